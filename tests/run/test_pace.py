"""So many per second and no more."""

import itertools
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.run.pace import Pace


class TestPace(unittest.TestCase):
    @given(st.floats(0.1, 1e5), st.lists(st.floats(0, 10), min_size=1))
    def test_never_closer_than_the_rate(self, rate, arrivals):
        now = 0.0

        def clock():
            return now

        pace = Pace(rate, clock)
        moments = []
        for wait in arrivals:
            now += wait
            delay = pace.delay()
            self.assertGreaterEqual(delay, 0)
            moments.append(now + delay)
        for earlier, later in itertools.pairwise(moments):
            self.assertGreaterEqual(later - earlier, 1 / rate * (1 - 1e-6) - 1e-9)

    def test_moments_are_not_saved_up(self):
        now = 0.0
        pace = Pace(2, lambda: now)
        pace.delay()
        now = 100.0
        self.assertEqual([pace.delay(), pace.delay()], [0.0, 0.5])

    def test_a_rate_is_over_nothing(self):
        for rate in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                Pace(rate)
