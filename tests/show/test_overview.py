"""Counts, rates and odd targets, in as many lines and columns as there are."""

import unittest

from pathspider.show.overview import MOST_LINES, Overview, odd_conditions, target_of
from tests.report.records import BROKEN, WORKS, record


def overview(*records):
    made = Overview("results.ndjson")
    for one in records:
        made.add(one)
    return made


class TestOdd(unittest.TestCase):
    def test_which(self):
        stable = "ecn.stable.connectivity."
        for found, odd in (([WORKS], False), (["ecn.connectivity.offline"], False), ([BROKEN], True),
                           (["ecn.connectivity.transient"], True), ([BROKEN, f"{stable}works"], False),
                           ([BROKEN, f"{stable}broken"], True), (["x.response.differs:200:403"], True),
                           (["mss.connectivity.online"], False), (["pathspider.not_observed"], False), ([], False)):
            self.assertEqual(bool(odd_conditions(found)), odd, found)

    def test_targets(self):
        for one, told in ((record("192.0.2.1"), "192.0.2.1:80 www.example.com"),
                          ({"dip": "2001:db8::1", "dp": 443}, "[2001:db8::1]:443"), ({}, "no target"),
                          ({"domain": "a\x1b[31m"}, "a\\x1b[31m"), ({"dip": 7, "dp": "x"}, "7")):
            self.assertEqual(target_of(one), told)


class TestOverview(unittest.TestCase):
    def test_as_it_looks(self):
        made = overview(*(record(f"192.0.2.{number}", WORKS, minute=number) for number in range(9)),
                        record("192.0.2.9", BROKEN, minute=9), record("192.0.2.10", "pathspider.not_observed"))
        self.assertEqual(made.lines(80), [
            "results.ndjson: 11 records",
            "2026-11-22 10:00:00 to 10:09:00 UTC; 0.02 a second, 0.03 in the last minute",
            "",
            "ecn.connectivity",
            "  works               9   90.00 % ###########################",
            "  broken              1   10.00 % ###",
            "without a verdict, or part of one",
            "           1  pathspider.not_observed",
            "",
            "Odd targets, the latest 1 (time in UTC):",
            "10:09:00  192.0.2.9:80 www.example.com  ecn.connectivity.broken"])

    def test_rates(self):
        made = overview(*(record("192.0.2.1", WORKS, minute=number // 6) for number in range(60)))
        self.assertEqual(made.rates, (60 / 540, 12 / 60))  # of the last minute, both ends
        self.assertIsNone(overview(record("192.0.2.1", WORKS)).rates)

    def test_the_latest_are_told_first_and_how_many_there_are(self):
        made = overview(*(record(f"192.0.2.{number}", BROKEN) for number in range(30)))
        lines = made.lines(80)
        self.assertIn("Odd targets, the latest 10 of 30 (time in UTC):", lines)
        self.assertIn("192.0.2.29:80", lines[-10])

    def test_no_more_than_there_is_room_for(self):
        records = [record(f"192.0.2.{number}", BROKEN, f"x.{number}.y", domain="w" * 300) for number in range(40)]
        made = overview(*records)
        for width, height in ((40, 5), (40, 24), (80, 24), (200, 100)):
            lines = made.lines(width, height)
            self.assertLessEqual(len(lines), height)
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertIn("192.0.2.39" if height > 5 else "40 records", "\n".join(lines))

    def test_strangers_text_and_many_answers_do_no_harm(self):
        made = overview(*({"conditions": [f"x.y{number}:\x1b{number}" for number in range(60)], "time": 7}
                          for _ in range(50)), *(record("192.0.2.1", f"z.v:{number}") for number in range(3000)))
        self.assertNotIn("\x1b", "".join(made.lines(80)))
        self.assertLessEqual(len(made._answers), 1100)

    def test_answers_that_are_not_named_are_counted(self):
        for more, said in ((1, "  1 other answer"), (2, "  2 other answers")):
            made = overview(*(record("192.0.2.1", f"z.v.w{number}") for number in range(MOST_LINES + more)))
            self.assertIn(said, made.lines(80, 100))
