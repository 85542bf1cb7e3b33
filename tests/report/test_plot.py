"""Drawings: what they tell is where the numbers say, and can be seen."""

import re
import unittest
from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

from pathspider.report.axis import axis_of
from pathspider.report.plot import (
    CAP,
    LEFT,
    MARKS,
    MOST_BARS,
    MOST_LABEL,
    SCALE,
    WIDTH,
    Point,
    Row,
    history,
    shares,
    timeline,
)
from pathspider.report.statistics import wilson


def drawn(pieces):
    """The SVG's elements, by class."""
    found = {}
    for one in ElementTree.fromstring("".join(pieces)).iter():
        for name in one.get("class", one.tag).split():
            found.setdefault(name, []).append(one)
    return found


def whisker(element):
    """Where a whisker begins and ends, and how far its ends reach up and down."""
    low, up, high = re.fullmatch(r"M([\d.]+) \d+v(\d+)m0 -\d+H([\d.]+)m0 -\d+v\2", element.get("d")).groups()
    return float(low), float(high), int(up) / 2


class TestShares(unittest.TestCase):
    def test_an_interval_is_where_its_share_is(self):
        for share in (wilson(0, 10), wilson(5, 10), wilson(10, 10), wilson(7, 10_000_000)):
            (found,) = drawn(shares("shares", [Row("works", "", 0, share)]))["whisker"]
            low, high, _ = whisker(found)
            axis = axis_of([share])
            self.assertAlmostEqual(low, LEFT + SCALE * axis.place(share.low), delta=0.06)
            self.assertAlmostEqual(high, LEFT + SCALE * axis.place(share.high), delta=0.06)
            self.assertGreater(high - low, SCALE / 4)  # the axis is as wide as the interval

    def test_no_mark_hides_an_interval(self):
        for mark in MARKS:
            self.assertLess(max(map(float, re.findall(r"\d+", mark))), 2 * CAP)
        (found,) = drawn(shares("shares", [Row("works", "", 0, wilson(7, 10_000_000))]))["whisker"]
        self.assertEqual(whisker(found)[2], CAP)

    def test_each_file_has_its_mark(self):
        rows = [Row("works", f"file {number}", number, wilson(1, 2)) for number in range(4)]
        marks = [one.get("d").partition(" ")[2].partition("m")[2] for one in drawn(shares("shares", rows))["mark"]]
        self.assertEqual(len(set(marks)), 4)

    def test_labels_keep_clear_of_the_grid(self):
        rows = [Row("works", "", 0, wilson(1, 2)), Row("broken", "", 0, wilson(1, 2))]
        found = drawn(shares("shares", rows))
        spans = [(int(y), int(y) + int(height)) for line in found["grid"]
                 for y, height in re.findall(r"M[\d.]+ (\d+)v(\d+)", line.get("d"))]
        self.assertEqual(len(spans), 2 * len(axis_of([wilson(1, 2)]).ticks))
        for text in found["text"]:
            if text.get("x") == str(LEFT):
                baseline = int(text.get("y"))
                self.assertFalse([span for span in spans if span[0] < baseline + 3 and baseline - 9 < span[1]])

    def test_a_long_label_is_cut_and_says_so(self):
        for row, label in ((Row("x" * 60, "", 0, wilson(1, 2)), "x" * 49 + "…"),
                           (Row("x" * 60, "monday", 0, wilson(1, 2)), "x" * 41 + "…, monday"),
                           (Row("works", "y" * 60, 0, wilson(1, 2)), "works, " + "y" * 42 + "…"),
                           (Row("x" * 60, "y" * 60, 0, wilson(1, 2)), "x" * 22 + "…, " + "y" * 24 + "…")):
            text = drawn(shares("shares", [row]))["text"][0].text
            self.assertEqual((text, len(text)), (label, MOST_LABEL))

    def test_strangers_text(self):
        text = "".join(shares("<&>", [Row("<script>&\x1b", "</svg>", 0, wilson(1, 2))]))
        self.assertEqual(drawn([text])["text"][0].text, "<script>&\\x1b, </svg>")


class TestHistory(unittest.TestCase):
    def points(self, *counts):
        return [Point(f"day {day}", datetime(2026, 11, day + 1), wilson(count, 100))
                for day, count in enumerate(counts)]

    def test_later_is_further_right_and_more_is_higher(self):
        found = drawn(history("h", self.points(1, 20, 5)[::-1]))
        places = [tuple(map(float, re.match(r"M([\d.]+) ([\d.]+)", one.get("d")).groups())) for one in found["mark"]]
        self.assertEqual([x for x, _ in places], sorted(x for x, _ in places))
        self.assertLess(places[1][1], places[2][1])
        self.assertLess(places[2][1], places[0][1])
        self.assertIn("1.00 % (day 0) to 5.00 % (day 2)", found["title"][0].text)
        self.assertTrue(all(0 <= x <= WIDTH for x, _ in places))

    def test_of_one_moment_there_is_none(self):
        self.assertEqual([*history("h", self.points(1) * 2)], [])


class TestTimeline(unittest.TestCase):
    def test_nothing_to_draw(self):
        self.assertEqual([*timeline("when", Counter())], [])
        self.assertEqual([*timeline("when", Counter({"2026-11-22 10:00": 5}))], [])

    def test_its_height_has_a_scale(self):
        found = drawn(timeline("when", Counter({"2026-11-22 10:00": 1500, "2026-11-22 10:01": 750})))
        self.assertEqual([one.text for one in found["small"]], ["records in each minute", "1,500", "0",
                                                                "2026-11-22 10:00", "2026-11-22 10:01"])
        high, low = (float(one.get("height")) for one in found["bar"])
        top, bottom = (float(one.get("d").split()[1].partition("H")[0]) for one in found["grid"])
        self.assertEqual((high, low), (bottom - top, (bottom - top) / 2))
        self.assertEqual(found["title"][0].text, "when: from 2026-11-22 10:00:00 to 2026-11-22 10:01:00 UTC, "
                                                 "at most 1,500 records in 1 minute")

    def test_bars_are_whole_minutes_hours_or_days(self):
        for last, each in (("2026-11-22 10:59", "minute"), ("2026-11-22 11:00", "2 minutes"),
                           ("2026-11-26 11:00", "98 minutes"), ("2026-12-02 10:00", "5 hours"),
                           ("2027-11-22 10:00", "7 days"), ("9999-12-31 23:59", "48536 days")):
            found = drawn(timeline("when", Counter({"2026-11-22 10:00": 3, last: 1})))
            self.assertEqual(found["small"][0].text, f"records in each {each}")
            for bar in found["bar"]:
                self.assertLessEqual(float(bar.get("x")) + float(bar.get("width")), WIDTH)
            self.assertLessEqual(len(found["bar"]), MOST_BARS)

    def test_every_record_is_in_a_bar(self):
        minutes = Counter({f"2026-11-22 {hour:02d}:{minute:02d}": 1 for hour in range(3) for minute in range(60)})
        found = drawn(timeline("when", minutes))
        self.assertEqual((len(found["bar"]), found["small"][1].text), (60, "3"))
