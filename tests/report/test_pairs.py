"""The same targets, compared as pairs."""

import unittest

from pathspider.report.questions import BASELINE_UP
from tests.report.records import BROKEN, WORKS, record, report_of

UP = "ecn.connectivity" + BASELINE_UP
OFFLINE = "ecn.connectivity.offline"
STABLE = "ecn.stable.connectivity."


def rows(*conditions, **more):
    return [record(f"192.0.2.{number}", *([one] if isinstance(one, str) else one), **more)
            for number, one in enumerate(conditions)]


class TestPairs(unittest.TestCase):
    def test_counts(self):
        with report_of(a=rows(WORKS, WORKS, BROKEN, BROKEN, OFFLINE, WORKS),
                       b=rows(WORKS, BROKEN, BROKEN, WORKS, BROKEN)) as report:
            pairs = report.pairs.of(0, 1, UP, "broken")
            self.assertEqual(pairs[4:], (1, 1, 1, 1))  # both, lost, gained, neither
            self.assertEqual(report.pairs.of(0, 1, "ecn.connectivity", "broken")[4:], (1, 1, 2, 1))
            self.assertEqual(report.pairs.of(0, 1, UP, "works")[4:], (1, 1, 1, 1))
            self.assertEqual(report.pairs.of(0, 1, UP, "offline")[4:], (0, 0, 0, 4))
            self.assertEqual(report.pairs.matrix(0, 1, "ecn.connectivity")[("offline",), ("broken",)], 1)

    def test_rounds_are_what_counts(self):
        first = [[BROKEN, STABLE + "works"], [BROKEN, STABLE + "broken"], [BROKEN, "pathspider.unconfirmed"], [WORKS]]
        with report_of(a=rows(*first), b=rows(WORKS, [BROKEN, STABLE + "broken"], WORKS, WORKS)) as report:
            pairs = report.pairs.of(0, 1, "ecn.connectivity (baseline up, confirmed)", "broken")
            self.assertEqual(pairs[4:], (1, 0, 0, 2))
            self.assertEqual(report.pairs.of(0, 1, UP, "broken")[4:], (1, 2, 0, 1))

    def test_independent_where_hardly_a_target_is_the_same(self):
        later = [record(f"198.51.100.{number}", WORKS) for number in range(9)]
        with report_of(a=rows(*[WORKS] * 10), b=[*later, record("192.0.2.1", BROKEN)]) as report:
            self.assertIsNotNone(report.pairs.of(0, 1, UP, "broken"))
            for one in report.compared(UP):
                self.assertIsNone(one.pairs)
                self.assertEqual(one.clear, one.difference.clear)

    def test_many_comparisons_ask_for_more(self):
        marks = [f"x.q{number}" for number in range(30)]
        works, broken = ([one, *(f"{mark}.no" for mark in marks)] for one in (WORKS, BROKEN))
        before, after = rows(*[works] * 8), rows(*[broken] * 6, *[works] * 2)
        with report_of(a=before, b=after) as report:
            one = next(one for one in report.compared(UP) if one.first.answer.answer == "broken")
            self.assertAlmostEqual(one.pairs.p, 0.03125)
            self.assertGreater(one.adjusted, 0.05)
            self.assertFalse(one.clear)

    def test_where(self):
        before = [record(f"192.0.2.{number}", WORKS, dip_asn=64496 + number % 10) for number in range(200)]
        after = [{**one, "conditions": [BROKEN]} if one["dip_asn"] == 64499 or one["dip"] == "192.0.2.1" else one
                 for one in before]
        with report_of(a=before, b=after) as report:
            change = report.pairs.where("as", report.pairs.of(0, 1, UP, "broken"))
            self.assertEqual([(one.name, one.gained, one.lost, one.clear) for one in change.places],
                             [("AS64499", 20, 0, True), ("AS64497", 1, 0, False)])
            self.assertEqual((change.many, change.known), (2, 21))
            self.assertEqual(report.changed_systems, ["AS64499", "AS64497"])
