"""Time in which nobody looked does not count, and is remembered."""

import time
import unittest

from pathspider.helpers.attended import AttendedClock


class TestClock(unittest.TestCase):
    """The arithmetic of the clock, on times of the test."""

    def setUp(self):
        self.clock = AttendedClock()
        self.now = time.monotonic()

    def test_it_stands_still_where_nobody_looks(self):
        now = self.now
        self.clock._time, self.clock._looked = (0.0, now - 4.0), now - 4.1
        self.assertAlmostEqual(self.clock.now(), now - 4.0, places=3)
        self.assertGreaterEqual(self.clock.lag(), 4.0)
        self.assertEqual(self.clock.disturbance(now - 5, now), "overloaded")
        self.clock._cpu = (now - 4.1, time.process_time())
        self.clock.attend(now, float("inf"))
        self.assertAlmostEqual(self.clock.lags, 4.0, places=6)
        self.assertAlmostEqual(self.clock.now(), time.monotonic() - 4.0, places=2)
        self.assertEqual(self.clock.disturbance(now - 1, now), "paused")
        self.assertIsNone(self.clock.disturbance(now + 0.1, now + 1))
        self.assertIsNone(self.clock.disturbance(now - 9, now - 8))

    def test_used_cpu_tells_overload_from_a_pause(self):
        now = self.now
        self.clock._time, self.clock._looked = (0.0, now - 1.0), now - 1.1
        self.clock._cpu = (now - 1.1, time.process_time() - 0.5)
        self.clock.attend(now, float("inf"))
        self.assertEqual(self.clock.disturbance(now - 1, now), "overloaded")

    def test_an_arrival_in_a_lag_is_told_by_the_time_that_passed(self):
        now = self.now
        for began, ended in ((-30, -26), (-20, -15)):
            self.clock._time = (self.clock._time[0], now + began + 0.1)
            self.clock._looked = now + began
            self.clock.attend(now + ended, float("inf"))
        total = 3.9 + 4.9
        for moment, offset in ((-31, 0.0), (-29, 0.0), (-25, 3.9), (-16, 3.9), (-14, total)):
            self.assertAlmostEqual(self.clock.arrived(now + moment), now + moment - offset, places=6)

    def test_many_small_lags_disturb_together(self):
        now = self.now
        for number in range(5):
            self.clock._time = (self.clock._time[0], now + number / 8)
            self.clock._looked = now + number / 8
            self.clock.attend(now + number / 8 + 0.08, float("inf"))
        self.assertIsNone(self.clock.disturbance(now, now + 0.2))
        self.assertIsNotNone(self.clock.disturbance(now, now + 1))
        self.assertIsNone(self.clock.disturbance(now, now + 5))  # which has nearly all of its time

    def test_workers_that_run_late_disturb_too_once_for_all(self):
        now = self.now
        for number in range(100):
            self.clock.woken_late(now + number / 1000, 0.15)
        self.assertIsNone(self.clock.disturbance(now, now + 1))
        self.clock.woken_late(now + 0.1, 0.3)
        self.assertEqual(self.clock.disturbance(now, now + 1), "overloaded")


if __name__ == "__main__":
    unittest.main()
