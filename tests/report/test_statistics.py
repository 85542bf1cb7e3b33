"""The intervals, against published values and against what they must hold."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.report.statistics import Share, difference, wilson


class TestWilson(unittest.TestCase):
    def test_published_values(self):
        """R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
        for count, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                        (1, 29, 0.0061, 0.1718)):
            share = wilson(count, total)
            self.assertAlmostEqual(share.low, low, places=4)
            self.assertAlmostEqual(share.high, high, places=4)
            self.assertEqual(share.value, count / total)

    @given(st.integers(0, 10**7), st.integers(0, 10**7))
    def test_bounds(self, count, more):
        total = count + more
        if not total:
            return
        share = wilson(count, total)
        self.assertTrue(0 <= share.low <= share.value <= share.high <= 1, share)
        mirrored = wilson(more, total)
        self.assertAlmostEqual(share.low, 1 - mirrored.high)

    def test_what_is_no_proportion(self):
        for count, total in ((0, 0), (2, 1), (-1, 5)):
            with self.assertRaises(ValueError):
                wilson(count, total)


class TestDifference(unittest.TestCase):
    def test_published_values(self):
        """Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10: the first minus the second."""
        for first, second, low, high in (((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090),
                                         ((10, 10), (0, 20), 0.6791, 1.0), ((6, 7), (2, 7), 0.0582, 0.8062)):
            found = difference(wilson(*second), wilson(*first))
            self.assertAlmostEqual(found.low, low, places=4)
            self.assertAlmostEqual(found.high, high, places=4)
            self.assertTrue(found.clear)

    def test_direction(self):
        self.assertFalse(difference(wilson(5, 10), wilson(6, 10)).clear)
        found = difference(wilson(100, 1000), wilson(300, 1000))
        self.assertAlmostEqual(found.value, 0.2)
        self.assertTrue(found.low > 0)
        self.assertTrue(difference(Share(0.9, 0.88, 0.92), Share(0.1, 0.08, 0.12)).high < 0)
