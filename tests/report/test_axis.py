"""Axes are as wide as the intervals, and logarithmic where shares differ by orders."""

import unittest

from pathspider.report.axis import MOST_DECADES, axis_of, label
from pathspider.report.statistics import Share, wilson


class TestAxis(unittest.TestCase):
    def test_every_interval_is_on_it(self):
        for counts in ([(8, 2986)], [(48, 3000), (8, 2986)], [(0, 10)], [(10, 10)], [(0, 1)], [(2990, 3000)], [(1, 2)],
                       [(1, 10**6), (800, 1000)], [(0, 50), (1, 10**7), (49, 50)]):
            found = [wilson(*count) for count in counts]
            axis = axis_of(found)
            for share in found:
                self.assertLessEqual(axis.place(share.low), axis.place(share.value))
                self.assertLessEqual(axis.place(share.value), axis.place(share.high))
                self.assertLessEqual(share.high, axis.high + 1e-9)
                if not axis.logarithmic:
                    self.assertGreaterEqual(share.low, axis.low - 1e-9)
            self.assertLessEqual(2, len(axis.ticks))
            self.assertLessEqual(len(axis.ticks), MOST_DECADES + 2)

    def test_small_shares_fill_it(self):
        axis = axis_of([wilson(8, 2986)])
        self.assertEqual((axis.low, axis.logarithmic, [label(tick) for tick in axis.ticks]),
                         (0, False, ["0 %", "0.2 %", "0.4 %", "0.6 %"]))
        self.assertGreater(axis.place(0.0053), 0.8)

    def test_orders(self):
        axis = axis_of([wilson(3, 10_000), wilson(5_000, 10_000)])
        self.assertTrue(axis.logarithmic)
        self.assertEqual([label(tick) for tick in axis.ticks], ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
        self.assertEqual(axis.place(0), 0)
        self.assertAlmostEqual(axis.place(0.01), 0.5)

    def test_no_width_at_all(self):
        self.assertEqual(axis_of([Share(0.0, 0.0, 0.0)]).place(0.0), 0)
        self.assertGreater(len(axis_of([]).ticks), 1)
