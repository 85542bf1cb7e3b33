"""So many per second and no more."""

import itertools
import threading
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.run.pace import Pace
from tests.run.spiders import PATIENCE, in_thread


class Time:
    """A clock, and an event that is waited for by it."""

    def __init__(self):
        self.now = 0.0
        self.is_set = threading.Event().is_set

    def wait(self, seconds):
        self.now += seconds
        return False


class TestPace(unittest.TestCase):
    def setUp(self):
        self.time = Time()

    def pace(self, rate):
        return Pace(rate, lambda: self.time.now)

    @given(st.floats(0.1, 1e5), st.lists(st.tuples(st.floats(0, 10), st.integers(1, 3)), min_size=1))
    def test_never_closer_than_the_rate(self, rate, arrivals):
        self.time = Time()
        pace = self.pace(rate)
        moments = []
        for pause, connections in arrivals:
            self.time.now += pause
            self.assertTrue(pace.wait(connections, self.time))
            moments.append((self.time.now, connections))
        for (earlier, connections), (later, _) in itertools.pairwise(moments):
            self.assertGreaterEqual(later - earlier, connections / rate * (1 - 1e-6) - 1e-9)

    def test_moments_are_not_saved_up(self):
        pace = self.pace(2)
        for moment in (0.0, 100.0, 100.5):
            self.time.now = max(self.time.now, moment - 0.1 if moment == 100.5 else moment)
            pace.wait(1, self.time)
            self.assertEqual(self.time.now, moment)

    def test_nobody_has_a_moment_ahead_of_time(self):
        """Many wait while we are stopped for long: afterwards one goes, and the next one after its interval."""
        pace, gone = self.pace(1), []

        class Stopped(Time):
            def wait(self, seconds):
                self.now += 60 if not gone else seconds
                return False

        self.time = Stopped()
        pace.made(1)

        def go():
            pace.wait(1, self.time)
            gone.append(self.time.now)

        for thread in [in_thread(go) for _ in range(20)]:
            thread.join(PATIENCE)
        self.assertEqual(gone[0], 60.0)
        self.assertEqual(sorted(gone), [60.0 + number for number in range(20)])

    def test_what_is_made_beside_is_waited_for_by_those_who_wait_already(self):
        pace = self.pace(1)

        class Meanwhile(Time):
            def wait(self, seconds):
                if self.now < 0.5:
                    pace.made(3)
                return super().wait(seconds)

        self.time = Meanwhile()
        pace.made(1)
        pace.wait(1, self.time)
        self.assertEqual(self.time.now, 4.0)

    def test_the_end_of_waiting(self):
        pace, stop = Pace(0.001), threading.Event()
        pace.made(1)
        said = []
        threads = [in_thread(lambda: said.append(pace.wait(1, stop))) for _ in range(3)]
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(said, [False] * 3)

    def test_a_rate_of_one_in_many_years(self):
        stop = threading.Event()
        pace = Pace(1e-12)
        self.assertTrue(pace.wait(1, stop))
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(pace.wait(1, stop)), daemon=True)
        thread.start()
        stop.set()
        thread.join(100)
        self.assertEqual(waiting, [False])

    def test_a_rate_is_over_nothing(self):
        for rate in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                Pace(rate)


if __name__ == "__main__":
    unittest.main()
