"""The semaphore of several tokens, and workers in step with the configurator."""

import argparse
import threading
import unittest

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL
from pathspider.sync import SemaphoreN, SynchronizedSpider


class SemaphoreModel(RuleBasedStateMachine):
    """Any sequence of calls leaves as many tokens as simple arithmetic says."""

    SIZE = 5

    def __init__(self):
        super().__init__()
        self.semaphore = SemaphoreN(self.SIZE)
        self.free = self.SIZE

    @rule(count=st.integers(0, SIZE))
    def acquire(self, count):
        taken = self.semaphore.acquire_n(count, blocking=False)
        assert taken == (count <= self.free)
        self.free -= count * taken

    @rule(count=st.integers(0, SIZE))
    def release(self, count):
        if self.free + count > self.SIZE:
            try:
                self.semaphore.release_n(count)
            except ValueError:
                return
            raise AssertionError("more tokens came back than were taken")
        self.semaphore.release_n(count)
        self.free += count

    @precondition(lambda self: self.free == self.SIZE)
    @rule()
    def empty(self):
        self.semaphore.empty()
        self.free = 0

    @invariant()
    def tokens_are_conserved(self):
        assert not self.semaphore.acquire_n(self.free + 1, blocking=False) if self.free < self.SIZE else True
        assert self.semaphore.acquire_n(self.free, blocking=False)
        self.semaphore.release_n(self.free)


TestSemaphoreModel = SemaphoreModel.TestCase


class TestSemaphoreN(unittest.TestCase):
    def test_is_a_bounded_semaphore(self):
        semaphore = SemaphoreN(1)
        self.assertIsInstance(semaphore, threading.BoundedSemaphore)
        with semaphore:
            self.assertFalse(semaphore.acquire(blocking=False))
        with self.assertRaises(ValueError):
            semaphore.release()

    @given(st.integers(-9, 9), st.integers(1, 4))
    def test_impossible_numbers_are_refused(self, count, size):
        semaphore = SemaphoreN(size)
        if not 0 <= count <= size:
            with self.assertRaises(ValueError):
                semaphore.acquire_n(count)
        if count < 0:
            with self.assertRaises(ValueError):
                semaphore.release_n(count)

    def test_a_timeout_takes_nothing(self):
        semaphore = SemaphoreN(3)
        self.assertTrue(semaphore.acquire())
        self.assertFalse(semaphore.acquire_n(3, timeout=0.01))
        self.assertTrue(semaphore.acquire_n(2, blocking=False))

    def test_timeout_needs_blocking(self):
        with self.assertRaises(ValueError):
            SemaphoreN(1).acquire_n(1, blocking=False, timeout=1)

    def test_a_waiter_for_many_does_not_swallow_the_wake_up_of_another(self):
        semaphore = SemaphoreN(3)
        semaphore.empty()
        done = threading.Event()
        many = threading.Thread(target=semaphore.acquire_n, args=(3,), daemon=True)
        one = threading.Thread(target=lambda: (semaphore.acquire(), done.set()), daemon=True)
        many.start()
        one.start()
        semaphore.release_n(1)
        self.assertTrue(done.wait(100))
        semaphore.release_n(3)
        many.join(100)
        self.assertFalse(many.is_alive())

    def test_empty_waits_for_those_who_hold(self):
        semaphore = SemaphoreN(2)
        semaphore.acquire()
        emptied = threading.Event()
        thread = threading.Thread(target=lambda: (semaphore.empty(), emptied.set()), daemon=True)
        thread.start()
        self.assertFalse(emptied.is_set())
        semaphore.release()
        self.assertTrue(emptied.wait(100))
        thread.join()


class InStep(SynchronizedSpider):
    """Notes under which configuration each connection ran."""

    chains = []

    def __init__(self, workers):
        super().__init__(workers, "int:lo", argparse.Namespace(connect="tcp", timeout=1))
        self.machine = None
        self.wrong = []
        self.turns = 0

    def set_a(self):
        self.machine = 0
        self.turns += 1

    def set_b(self):
        self.machine = 1

    configurations = [set_a, set_b]

    def connect(self, job, config):
        for _ in range(3):
            if self.machine != config:
                self.wrong.append((job, config))
        return {"spdr_state": CONN_OK, "sp": 0}

    def combine_flows(self, flows):
        return [f"config.{flow['config']}" for flow in flows]


def records_of(spider):
    """All records of a spider, until their end."""
    return list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))


class TestSynchronizedSpider(unittest.TestCase):
    def run_jobs(self, spider, count):
        spider.start()

        def feed():
            for number in range(count):
                spider.add_job({"dip": f"192.0.2.{number % 250 + 1}", "dp": 80, "number": number})
            spider.shutdown()

        threading.Thread(target=feed, daemon=True).start()
        return records_of(spider)

    def test_each_connection_runs_under_its_configuration(self):
        for workers, count in ((1, 5), (7, 100), (50, 10), (20, 400)):
            with self.subTest(workers=workers, count=count):
                spider = InStep(workers)
                records = self.run_jobs(spider, count)
                self.assertEqual(sorted(record["number"] for record in records), list(range(count)))
                self.assertEqual(spider.wrong, [])
                self.assertTrue(all(record["conditions"] == ["config.0", "config.1"] for record in records))

    def test_workers_share_a_configuration(self):
        class AllTogether(InStep):
            """Each connection waits until every worker has one under the same configuration."""

            together = threading.Barrier(50, timeout=30)

            def connect(self, job, config):
                self.together.wait()
                return super().connect(job, config)

        spider = AllTogether(50)
        self.assertEqual(len(self.run_jobs(spider, 500)), 500)
        self.assertFalse(AllTogether.together.broken)
        self.assertEqual(spider.turns, 12)  # ten, and before and after the run

    def test_one_job_does_not_wait_for_the_other_workers(self):
        spider = InStep(10)
        spider.start()
        spider.add_job({"dip": "192.0.2.1"})
        self.assertEqual(spider.outqueue.get(timeout=100)["conditions"], ["config.0", "config.1"])
        spider.shutdown()
        self.assertEqual(records_of(spider), [])

    def test_no_jobs_at_all(self):
        self.assertEqual(self.run_jobs(InStep(3), 0), [])

    def test_a_failing_configuration_ends_the_run_and_every_job_has_a_record(self):
        class Failing(InStep):
            def set_bad(self):
                raise OSError("no such sysctl")

            configurations = [InStep.set_a, set_bad]

        spider = Failing(4)
        with self.assertLogs("pathspider", "ERROR"):
            records = self.run_jobs(spider, 40)
        self.assertIsInstance(spider.exception, OSError)
        self.assertEqual(len(records), spider.pipeline.jobs.accepted)
        self.assertTrue(all(record["conditions"] == ["pathspider.not_measured"] for record in records))
