"""Exact tests by hand agree with scipy's, and an interval with the paper that it is from."""

import unittest
from collections import Counter
from importlib.util import find_spec

from pathspider.report.exact import adjusted, mcnemar, paired_difference

BY_SCIPY = (
    (0, 1, 1.0), (0, 6, 0.03125), (40, 0, 1.8189894035458565e-12), (3, 12, 0.03515625), (9, 9, 1.0), (500, 500, 1.0),
    (499, 620, 0.0003300802687074506), (1, 1000, 9.351301457402253e-299), (9000, 9400, 0.0032655409890300887),
    (240000, 243000, 1.5943486171143186e-05))
"""Pairs that gained, that lost, and scipy.stats.binomtest(gained, gained + lost).pvalue of scipy 1.17.1; an installed
package, which ``pspdr test`` looks at, has no scipy beside it."""
VALUES = (0.001, 0.008, 0.039, 0.041, 0.041, 0.042, 0.06, 0.074, 0.205, 0.205, 0.205, 1.0, 1.0)
ADJUSTED = (0.013, 0.052, 0.091, 0.091, 0.091, 0.091, 0.11142857142857143, 0.12025, 0.24227272727272728,
            0.24227272727272728, 0.24227272727272728, 1.0, 1.0)
"""What scipy.stats.false_discovery_control(VALUES) is."""


class TestMcNemar(unittest.TestCase):
    def agrees(self, gained, lost, expected):
        self.assertLessEqual(abs(mcnemar(gained, lost) - expected), 1e-6 * expected, (gained, lost))

    def test_as_scipy_said(self):
        for gained, lost, expected in BY_SCIPY:
            self.agrees(gained, lost, expected)
            self.agrees(lost, gained, expected)
        self.assertEqual(mcnemar(0, 0), 1)

    @unittest.skipUnless(find_spec("scipy"), "scipy is not here")
    def test_as_scipy_says(self):
        from scipy.stats import binomtest  # noqa: PLC0415 - of requirements_dev.txt

        for gained in range(12):
            for lost in (*range(1, 12), 57, 1234):
                self.agrees(gained, lost, binomtest(gained, gained + lost).pvalue)

    def test_what_is_too_small_for_a_double_is_0(self):
        self.assertEqual(mcnemar(0, 1_000_000), 0)

    def test_no_numbers_of_pairs(self):
        with self.assertRaises(ValueError):
            mcnemar(-1, 2)


class TestMany(unittest.TestCase):
    def test_as_scipy_said(self):
        found = adjusted(Counter(VALUES))
        for value, expected in zip(VALUES, ADJUSTED, strict=True):
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
