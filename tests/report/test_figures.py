"""Figures as people read them."""

import unittest

from hypothesis import given
from hypothesis.strategies import integers

from pathspider.report.figures import bounds, percent, points, with_interval
from pathspider.report.statistics import Difference, difference, wilson


class TestPercent(unittest.TestCase):
    def test_digits(self):
        for share, text in ((0, "0.00 %"), (1, "100.00 %"), (0.5, "50.00 %"), (1 / 20_000, "0.0050 %"),
                            (19_999 / 20_000, "99.9950 %"), (0.001, "0.10 %"), (0.9996, "99.960 %"),
                            (1e-8, "0.0000010 %")):
            self.assertEqual(percent(share), text)

    @given(integers(1, 10**8), integers(0, 10**8))
    def test_what_is_said_is_nearly_so_and_in_its_interval(self, total, count):
        for number in {min(count, total), 1, total - 1}:
            value, low, high = (float(percent(share).removesuffix(" %")) for share in wilson(number, total))
            self.assertTrue(low <= value <= high)
            self.assertEqual((value == 0, value == 100), (number == 0, number == total))
            for said, rest in ((value, number), (100 - value, total - number)):
                self.assertAlmostEqual(said * total / 100, rest, delta=max(0.051 * rest, 1e-9))


class TestInterval(unittest.TestCase):
    def test_beside_its_share(self):
        share = wilson(8, 2986)
        self.assertEqual(with_interval(share).replace("\N{EN DASH}", "-"), "0.27 % (0.14-0.53)")
        self.assertIn(bounds(share), with_interval(share))


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
