"""How many of a campaign's targets records are of."""

import unittest

from pathspider.campaign.coverage import Coverage, Measured, merged, not_all, not_finished, rows_of
from tests.campaign.cases import definition


def row(slot, measured, targets=10):
    return Measured(slot=slot, measured=measured, targets=targets)


class TestCoverage(unittest.TestCase):
    def test_each_chunk_once_and_the_last_one_is_short(self):
        coverage = Coverage(definition(mode="fanout", vantages=["a", "b"], targets=10))
        for number in (0, 2, 2):
            coverage.add("b", number)
        self.assertEqual(coverage.rows(), [row("a", 0), row("b", 6)])

    def test_of_some_slots(self):
        coverage = Coverage(definition(mode="fanout", vantages=["a", "b"], targets=10), ["a"])
        for number in range(3):
            coverage.add("a", number)
        self.assertEqual(coverage.rows(), [row("a", 10)])

    def test_the_file_that_lacks_most_counts(self):
        self.assertEqual(merged([[row("a", 10), row("b", 4)], [row("a", 6)]]), [row("a", 6), row("b", 4)])


class TestTold(unittest.TestCase):
    def test_who(self):
        self.assertEqual(not_all([row("a", 10)]), "")
        self.assertEqual(not_all([row("a", 1234, 5000), row("b", 5000, 5000), row("c", 0)]),
                         "a has results of 1,234 of 5,000 targets, c has results of 0 of 10 targets")
        self.assertEqual(not_all([row("any", 4)]), "there are results of 4 of 10 targets")

    def test_of_many_some_are_named(self):
        self.assertRegex(not_all([row(f"v{number}", 0) for number in range(5)]),
                         "v2 has .*, 2 more vantage points have not all either$")
        self.assertRegex(not_all([row(f"v{number}", 0) for number in range(4)]), "v3 has ")

    def test_of_a_folder(self):
        self.assertEqual(not_finished("c", [row("a", 10)]), "")
        self.assertEqual(not_finished("c", [row("a", 1)]),
                         "the campaign in c is not finished: a has results of 1 of 10 targets")

    def test_metadata_of_whatever_origin(self):
        self.assertEqual(rows_of({"campaign": {"measured": [row("a", 1)]}}), [row("a", 1)])
        for campaign in (None, 7, {}, {"measured": 7}, {"measured": [7, {}, {"slot": "a", "measured": "1",
                                                                            "targets": True}]}):
            self.assertEqual(rows_of({"campaign": campaign}), [], campaign)
