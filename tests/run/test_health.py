"""How much may be under way while we are late. Pure: lag and clock are arguments."""

import threading
import unittest

from pathspider.run.health import FEWEST, Health


class TestHealth(unittest.TestCase):
    def setUp(self):
        self.now, self.late = 0.0, 0.0
        self.health = Health(100, lambda: self.late, lambda began, ended: None, lambda: self.now)

    def pass_by(self, times, lag):
        for _ in range(times):
            self.now += 1
            self.late = lag
            with self.health.turn():
                pass

    def test_all_may_be_under_way_when_all_is_well(self):
        self.pass_by(50, 0.0)
        self.assertEqual(self.health.allowed, 100)

    def test_fewer_under_lag_and_more_again_afterwards(self):
        self.pass_by(3, 2.0)
        few = self.health.allowed
        self.assertLess(few, 100)
        self.pass_by(100, 2.0)
        self.assertEqual(self.health.allowed, FEWEST)
        self.pass_by(200, 0.0)
        self.assertEqual(self.health.allowed, 100)

    def test_a_little_lag_changes_nothing(self):
        self.pass_by(50, 0.3)
        self.assertEqual(self.health.allowed, 100)

    def test_never_fewer_than_there_are_workers(self):
        self.health = Health(3, lambda: self.late, lambda began, ended: None, lambda: self.now)
        self.pass_by(50, 5.0)
        self.assertEqual(self.health.allowed, 3)

    def test_who_is_too_much_waits_and_goes_on(self):
        self.pass_by(100, 2.0)
        order, entered = [], threading.Event()

        def one_more():
            with self.health.turn():
                order.append("in")
            entered.set()

        turns = [self.health.turn() for _ in range(FEWEST)]
        for turn in turns:
            turn.__enter__()
        thread = threading.Thread(target=one_more, daemon=True)
        thread.start()
        order.append("waits")
        turns[0].__exit__(None, None, None)
        self.assertTrue(entered.wait(10))
        self.assertEqual(order, ["waits", "in"])

    def test_nobody_waits_after_the_end(self):
        self.pass_by(100, 2.0)
        turns = [self.health.turn() for _ in range(FEWEST)]
        for turn in turns:
            turn.__enter__()
        thread = threading.Thread(target=lambda: self.health.turn().__enter__(), daemon=True)
        thread.start()
        self.health.end()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_jobs_that_are_measured_again_are_counted(self):
        with self.health.turn(rested=True):
            pass
        self.assertEqual(self.health.repeated, 1)
