"""Figures as people read them."""

import unittest

from hypothesis import given
from hypothesis.strategies import integers

from pathspider.report.figures import points
from pathspider.report.statistics import Difference, difference, wilson


class TestPoints(unittest.TestCase):
    def test_two_digits(self):
        self.assertEqual(points(Difference(-0.012345, -0.02, -0.001)), ("-1.23", "-2.00", "-0.10"))
        self.assertEqual(points(Difference(0.0, -0.000001, 0.02)), ("+0.00", "-0.00", "+2.00"))

    def test_more_where_a_clear_one_would_read_as_none(self):
        self.assertEqual(points(Difference(0.00002, 0.000004, 0.3)), ("+0.0020", "+0.0004", "+30.0000"))

    @given(integers(1, 10**9), integers(0, 10**9), integers(1, 10**9), integers(0, 10**9))
    def test_a_clear_one_never_reads_as_none(self, total, count, other_total, other_count):
        found = difference(wilson(min(count, total), total), wilson(min(other_count, other_total), other_total))
        if found.clear:
            self.assertFalse([text for text in points(found) if float(text) == 0])
