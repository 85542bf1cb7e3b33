"""Exact tests by hand agree with scipy's, and an interval with the paper that it is from."""

import unittest
from collections import Counter

from scipy.stats import binomtest, false_discovery_control

from pathspider.report.exact import adjusted, mcnemar, paired_difference


class TestMcNemar(unittest.TestCase):
    def test_as_scipy(self):
        many = [(0, 0), (0, 1), (1, 0), (0, 6), (40, 0), (3, 12), (500, 500), (499, 620), (1, 1000), (9_000, 9_400),
                (240_000, 243_000)]
        for gained, lost in [*many, *((one, other) for one in range(9) for other in range(9))]:
            expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
            self.assertAlmostEqual(mcnemar(gained, lost), expected, delta=1e-6, msg=(gained, lost))
            self.assertLess(abs(mcnemar(gained, lost) - expected), 1e-6 * expected)

    def test_what_is_too_small_for_a_double_is_0(self):
        self.assertEqual(mcnemar(0, 1_000_000), 0)

    def test_no_numbers_of_pairs(self):
        with self.assertRaises(ValueError):
            mcnemar(-1, 2)


class TestMany(unittest.TestCase):
    def test_as_scipy(self):
        values = [0.001, 0.008, 0.039, 0.041, 0.041, 0.042, 0.06, 0.074, 0.205, 0.205, 0.205, 1.0, 1.0]
        found = adjusted(Counter(values))
        for value, expected in zip(values, false_discovery_control(values), strict=True):
            self.assertAlmostEqual(found[value], expected, delta=1e-12)

    def test_of_none(self):
        self.assertEqual(adjusted({}), {})


class TestPairedDifference(unittest.TestCase):
    def test_as_published(self):
        """Newcombe 1998, table II: 36, 12, 2, 0 of 50 by method 10 is 0.0569 to 0.3404."""
        found = paired_difference(both=36, lost=2, gained=12, neither=0)
        self.assertAlmostEqual(found.value, 0.20)
        self.assertAlmostEqual(found.low, 0.0569, delta=5e-5)
        self.assertAlmostEqual(found.high, 0.3404, delta=5e-5)

    def test_of_pairs_that_agree_it_is_narrow(self):
        found = paired_difference(500, 0, 0, 500)
        self.assertEqual(found.value, 0)
        self.assertLess(found.high, 0.005)
