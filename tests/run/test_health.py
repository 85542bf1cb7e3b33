"""Fewer jobs under way while we do not look in time, more afterwards, and nobody starves."""

import threading
import unittest
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from pathspider.run.health import BETWEEN, FEWEST, IN_TIME, TOO_LATE, Health
from tests.run.spiders import PATIENCE, in_thread


class TestHealth(unittest.TestCase):
    def setUp(self):
        self.now = self.lag = 0.0

    def health(self, workers):
        return Health(workers, lambda: self.lag, lambda began, ended: None, lambda: self.now)

    def later(self, health, lag, turns=1):
        """Turns that end one after the other, so much later that something may be changed."""
        self.lag = lag
        for _ in range(turns):
            self.now += BETWEEN
            with health.turn():
                pass

    def hold(self, health, count):
        stack = ExitStack()
        for _ in range(count):
            stack.enter_context(health.turn())
        return stack

    def test_all_workers_while_we_are_in_time(self):
        health = self.health(100)
        with self.hold(health, 100):
            self.assertEqual(health.under_way, 100)
        self.assertEqual((health.under_way, health.allowed), (0, 100))

    def test_fewer_under_lag_by_what_is_under_way(self):
        health = self.health(1000)
        held, one = self.hold(health, 99), self.hold(health, 1)
        self.now, self.lag = BETWEEN, TOO_LATE + 0.1
        one.close()
        self.assertLess(health.allowed, 100)
        self.assertGreater(health.allowed, FEWEST)
        held.close()

    def test_not_more_often_than_its_effect_can_be_seen(self):
        health = self.health(100)
        self.later(health, 1.0)
        before = health.allowed
        for _ in range(5):
            self.now += BETWEEN / 10
            with health.turn():
                pass
        self.assertEqual(health.allowed, before)

    def test_never_fewer_than_a_few(self):
        for workers in (1, 5, FEWEST, 100):
            health = self.health(workers)
            self.later(health, 60.0, turns=100)
            self.assertEqual(health.allowed, min(FEWEST, workers))

    def test_more_afterwards_until_all_are_allowed(self):
        health = self.health(100)
        self.later(health, 1.0, turns=20)
        self.later(health, (IN_TIME + TOO_LATE) / 2, turns=20)
        self.assertEqual(health.allowed, FEWEST)  # neither good nor bad
        self.later(health, 0.0)
        self.assertGreater(health.allowed, FEWEST)
        self.later(health, 0.0, turns=100)
        self.assertEqual(health.allowed, 100)

    @given(st.integers(1, 60), st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3)), max_size=60))
    def test_what_is_allowed_is_within_bounds(self, workers, moments):
        self.now = 0.0
        health = self.health(workers)
        for passed, lag in moments:
            self.now += passed
            self.lag = lag
            with health.turn():
                self.assertEqual(health.under_way, 1)
            self.assertTrue(min(FEWEST, workers) <= health.allowed <= workers)

    def test_one_that_raises_gives_its_place_back(self):
        health = self.health(1)
        for _ in range(3):
            with self.assertRaises(ZeroDivisionError), health.turn():
                raise ZeroDivisionError
        self.assertEqual(health.under_way, 0)

    def test_who_waits_comes_in_when_another_goes(self):
        health = self.health(1)
        held = self.hold(health, 1)
        entered = threading.Event()

        def enter():
            with health.turn():
                entered.set()

        thread = in_thread(enter)
        while not health._room._waiters:
            threading.Event().wait(0.001)
        self.assertFalse(entered.is_set())
        held.close()
        self.assertTrue(entered.wait(PATIENCE))
        thread.join(PATIENCE)

    def test_nobody_starves_under_lasting_lag(self):
        """Many more than are allowed, some of them measured again: all have their turn though nothing gets better."""
        health = self.health(100)
        self.later(health, 5.0, turns=20)
        count, lock = [0], threading.Lock()

        def turn(number):
            with health.turn(rested=number % 3 == 0), lock:
                count[0] += 1
                self.now += BETWEEN / 5

        held = self.hold(health, FEWEST)
        threads = [in_thread(turn, number) for number in range(60)]
        held.close()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual((count[0], health.under_way, health.repeated), (60, 0, 20))

    def test_a_job_that_is_measured_again_waits_until_few_are_under_way(self):
        health = self.health(100)
        held, one = self.hold(health, 60), self.hold(health, 1)
        self.now, self.lag = BETWEEN, 1.0
        one.close()
        self.assertLess(health.allowed, 60)
        entered = threading.Event()

        def again():
            with health.turn(rested=True):
                entered.set()

        thread = in_thread(again)
        while not health._room._waiters:
            threading.Event().wait(0.001)
        self.assertFalse(entered.is_set())
        held.close()
        self.assertTrue(entered.wait(PATIENCE))
        thread.join(PATIENCE)

    def test_the_end_frees_all(self):
        health = self.health(1)
        held = self.hold(health, 1)
        count = threading.Semaphore(0)

        def turn(rested):
            with health.turn(rested=rested):
                count.release()
                over.wait(PATIENCE)

        over = threading.Event()
        threads = [in_thread(turn, rested) for rested in (False, True, False)]
        health.end()
        for _ in threads:
            self.assertTrue(count.acquire(timeout=PATIENCE))
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
        held.close()


if __name__ == "__main__":
    unittest.main()
