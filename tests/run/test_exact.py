"""Exact tests and intervals: against sums that are written out, in fractions."""

import unittest
from fractions import Fraction
from itertools import permutations, product
from math import comb

from pathspider.run.exact import binomial_tail, hypergeometric_tail, rising, share_bounds


def binomial(count, total, share):
    return float(sum(comb(total, one) * share**one * (1 - share)**(total - one) for one in range(count, total + 1)))


def hypergeometric(count, drawn, marked, total):
    ways = sum(comb(marked, one) * comb(total - marked, drawn - one) for one in range(count, min(drawn, marked) + 1)
               if drawn - one <= total - marked)
    return ways / comb(total, drawn)


class TestTails(unittest.TestCase):
    def test_binomial(self):
        for total, tenths in product((1, 2, 7, 40), range(11)):
            share = Fraction(tenths, 10)
            for count in range(total + 2):
                with self.subTest(count=count, total=total, share=share):
                    self.assertAlmostEqual(binomial_tail(count, total, float(share)), binomial(count, total, share), 12)

    def test_hypergeometric(self):
        for total in (1, 5, 12):
            for count, drawn, marked in product(range(total + 1), repeat=3):
                with self.subTest(count=count, drawn=drawn, marked=marked, total=total):
                    self.assertAlmostEqual(hypergeometric_tail(count, drawn, marked, total),
                                           hypergeometric(count, drawn, marked, total), 12)

    def test_millions(self):
        self.assertAlmostEqual(binomial_tail(500_000, 1_000_000, 0.5), 0.5, 3)
        self.assertAlmostEqual(hypergeometric_tail(50_000, 100_000, 500_000, 1_000_000), 0.5, 2)
        self.assertEqual(binomial_tail(900_000, 1_000_000, 0.5), 0)
        self.assertLess(hypergeometric_tail(1000, 2000, 10_000, 5_000_000), 1e-300)


class TestBounds(unittest.TestCase):
    def test_as_published(self):
        """Values of R's binom.test."""
        for count, total, low, high in ((0, 10, 0, 0.3084971), (10, 10, 0.6915029, 1), (3, 13, 0.0503811, 0.5381315)):
            found = share_bounds(count, total)
            self.assertAlmostEqual(found[0], low, 6)
            self.assertAlmostEqual(found[1], high, 6)

    def test_each_bound_leaves_out_2_5_percent(self):
        low, high = share_bounds(27, 126)
        self.assertAlmostEqual(binomial_tail(27, 126, low), 0.025, 9)
        self.assertAlmostEqual(1 - binomial_tail(28, 126, high), 0.025, 9)


class TestRising(unittest.TestCase):
    def test_all_orders_of_five(self):
        pairs = {order: sum(order[one] < order[other] for other in range(5) for one in range(other))
                 for order in permutations(range(5))}
        for order, rises in pairs.items():
            as_many = sum(other >= rises for other in pairs.values())
            self.assertAlmostEqual(rising(order), as_many / 120, 12)

    def test_equal_ones_do_not_rise(self):
        self.assertEqual(rising([1, 1, 1]), 1)
        self.assertAlmostEqual(rising([1, 1, 2]), 0.5)


if __name__ == "__main__":
    unittest.main()
