"""Counting, against a count made in the simplest way."""

import random
import unittest
from collections import Counter
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pathspider.report import counting
from pathspider.report.counting import MAX_LENGTH, Tally, Verdicts
from pathspider.report.questions import NO_CONDITION
from tests.report.records import BROKEN, WORKS, digest_of, record

CONDITIONS = [WORKS, BROKEN, "dscp.46.replymark:0", "dscp.46.replymark:46", "mss.option.local.value:1460",
              "pathspider.not_observed", "pathspider.local_error:EMFILE", "pathspider.missed_flows:1"]
RECORDS = st.lists(st.builds(
    lambda dip, conditions: record(dip, *conditions),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.lists(st.sampled_from(CONDITIONS), max_size=5)),
    max_size=40)


def tally_of(records):
    tally = Tally("label", "name", Verdicts())
    tally.take(digest_of(records))
    return tally


def counted(tally, wanted=("all", "")):
    numbers = dict(tally.groups()).get(wanted, {})
    given, asked, without = counting.counted(tally.verdicts.found, numbers)
    return Counter({answer.condition: number for answer, number in given.items()}), asked, without


class TestTally(unittest.TestCase):
    @given(RECORDS)
    def test_as_counted_by_hand(self, records):
        tally = tally_of(records)
        self.assertEqual(tally.records, len(records))
        groups = {("all", ""): records} | {
            ("ip", version): part for version, sign in (("IPv4", "."), ("IPv6", ":"))
            if (part := [one for one in records if sign in one["dip"]])}
        for group, part in groups.items():
            given, asked, without = counted(tally, group)
            sets = [set(one["conditions"]) for one in part]
            for condition in CONDITIONS[:5]:
                self.assertEqual(given[condition], sum(condition in one for one in sets))
            self.assertEqual(asked["ecn.connectivity"], sum(bool(one & {WORKS, BROKEN}) for one in sets))
            self.assertEqual(asked["dscp.46.replymark"], sum(bool(one & set(CONDITIONS[2:4])) for one in sets))
            self.assertEqual(without["pathspider.not_observed"], sum("pathspider.not_observed" in one for one in sets))
            self.assertEqual(without[NO_CONDITION], sum(not one - {"pathspider.missed_flows:1"} for one in sets))
            self.assertNotIn("pathspider.missed_flows:1", without)
        self.assertEqual(tally.concluded, sum(bool(set(one["conditions"]) & set(CONDITIONS[:5])) for one in records))

    @given(RECORDS, st.randoms(use_true_random=False))
    def test_the_order_is_of_no_matter(self, records, shuffler):
        shuffled = records[:]
        shuffler.shuffle(shuffled)
        for group in (("all", ""),):
            self.assertEqual(counted(tally_of(records), group), counted(tally_of(shuffled), group))

    def test_marks_count_where_a_syn_ack_came_back(self):
        unmarked, failed = "ecn.ipmark.ect0.not_seen", "ecn.negotiation.failed"
        given, asked, without = counted(tally_of([
            record("192.0.2.1", WORKS, failed, unmarked), record("192.0.2.2", BROKEN, unmarked),
            record("192.0.2.3", "ecn.connectivity.offline", unmarked)]))
        self.assertEqual((given[unmarked], asked["ecn.ipmark.ect0"], asked["ecn.connectivity"]), (1, 1, 3))
        self.assertEqual(without, {})

    def test_time_and_place(self):
        tally = tally_of([record("192.0.2.1", WORKS, minute=7), record("192.0.2.2", WORKS, minute=3),
                          {**record("192.0.2.3", WORKS), "time": {"from": "yesterday", "to": 7}, "path": None}])
        self.assertEqual((tally.first[:16], tally.last[:16]), ("2026-11-22 10:03", "2026-11-22 10:07"))
        self.assertEqual(tally.times, {"2026-11-22 10:07": 1, "2026-11-22 10:03": 1})
        self.assertEqual(tally.sources, {"203.0.113.1": 2})

    def test_impossible_times_and_systems(self):
        times = ("0000-00-00 00:00:00.000000", "9999-99-99 99:99:99.999999", "2026-02-29 10:00:00.000000",
                 "2026-02-28 10:00:00.000000")
        tally = tally_of([{**record("192.0.2.1"), "time": {"from": one, "to": one},
                           "path": ["203.0.113.1", "AS64499", "*", "192.0.2.1"]} for one in times])
        self.assertEqual((tally.first, tally.last), (times[3], times[3]))
        self.assertEqual(tally.times, {"2026-02-28 10:00": 1})
        self.assertEqual(tally.sources, {"203.0.113.1 AS64499": 4})

    def test_many_sets_are_folded_and_counts_stay_right(self):
        draw = random.Random(1)
        records = [record("192.0.2.1", f"x.value:{draw.random()}", f"y{number}.is.so") for number in range(1000)] * 2
        with mock.patch.object(counting, "MAX_VERDICTS", 10):
            tally = tally_of(records)
        self.assertLessEqual(len(tally.verdicts.found), 21)
        self.assertEqual(tally.verdicts.folded, 1980)
        self.assertEqual(sum(dict(tally.groups())["all", ""].values()), 2000)

    def test_many_answers_to_one_question_leave_the_others_alone(self):
        records = [record("192.0.2.1", f"x.value:{number}", (WORKS, BROKEN)[number % 4 == 0]) for number in range(1000)]
        with mock.patch.object(counting, "MAX_ANSWERS", 10):
            tally = tally_of(records)
            given, asked, _ = counted(tally)
        self.assertEqual((given[WORKS], given[BROKEN], asked["ecn.connectivity"]), (750, 250, 1000))
        self.assertEqual((given["x.value:9"], given["x.value:…"], asked["x.value"]), (1, 990, 1000))
        self.assertEqual(tally.verdicts.folded, 990)

    def test_many_questions(self):
        with mock.patch.object(counting, "MAX_CONDITIONS", 10):
            tally = tally_of([record("192.0.2.1", WORKS), *(record("192.0.2.1", f"x{number}.y.z", WORKS)
                                                            for number in range(100))])
            given, asked, _ = counted(tally)
        self.assertEqual((given[WORKS], given["….…"], asked["…"]), (101, 91, 91))

    def test_long_conditions(self):
        tally = tally_of([record("192.0.2.1", "x.value:" + letter * 100_000) for letter in "ab"])
        self.assertLess(max(len(one) for one in counted(tally)[0]), MAX_LENGTH + 9)
        self.assertEqual((tally.verdicts.folded, sum(counted(tally)[0].values())), (2, 2))

    def test_times_from_all_ages(self):
        with mock.patch.object(counting, "MAX_TIMES", 5):
            tally = tally_of([{**record("192.0.2.1"), "time": dict.fromkeys(("from", "to"), when)}
                              for number in range(100)
                              for when in (f"{1900 + number}-01-{1 + number % 9:02d} 10:{number % 60:02d}:00.000000",)])
        self.assertEqual(sum(tally.times.values()), 100)
        self.assertTrue(any(when.endswith("-01-01 00:00") for when in tally.times))
