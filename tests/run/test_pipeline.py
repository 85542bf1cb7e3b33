"""The supervisor: whatever dies, the run ends, and says so."""

import queue
import threading
import unittest

from pathspider.observer import DummyObserver
from pathspider.records import SHUTDOWN_SENTINEL
from tests.run.spiders import Noting, jobs, records_of


class TestDeaths(unittest.TestCase):
    def check(self, kind, error, count=300):
        spider = kind()
        with self.assertLogs("pathspider", "ERROR"):
            found = records_of(spider, jobs(count))
        self.assertIsInstance(spider.exception, error)
        self.assertFalse(spider.running)
        return spider, found

    def test_a_merger_that_raises(self):
        class Dying(Noting):
            def merger(self):
                self.mergequeue.get()
                raise LookupError("of its own")

        _, found = self.check(Dying, LookupError)
        self.assertEqual(found, [])

    def test_an_observer_that_raises(self):
        class Blind(DummyObserver):
            def run_flow_enqueuer(self, flowqueue, irqueue=None):
                raise LookupError("of its own")

        class Dying(Noting):
            def create_observer(self):
                return Blind()

        spider, found = self.check(Dying, LookupError)
        self.assertEqual(len(found), spider.jobs_added)

    def test_all_workers_that_raise(self):
        class Dying(Noting):
            def worker(self, worker_number):
                raise LookupError("of its own")

        spider, found = self.check(Dying, LookupError)
        self.assertEqual(len(found), spider.jobs_added)
        self.assertTrue(all(record["conditions"] == ["pathspider.not_measured"] for record in found))

    def test_settings_that_cannot_be_given_back(self):
        class Dying(Noting):
            def give_settings_back(self):
                raise LookupError("of its own")

        _, found = self.check(Dying, LookupError, count=20)
        self.assertEqual(len(found), 20)

    def test_a_plugin_that_cannot_finish(self):
        class Dying(Noting):
            def finish(self):
                raise LookupError("of its own")

        _, found = self.check(Dying, LookupError, count=20)
        self.assertEqual(len(found), 20)

    def test_a_configurator_that_raises_in_the_middle(self):
        class Dying(Noting):
            def configurator(self):
                raise LookupError("of its own")

        spider, found = self.check(Dying, LookupError)
        self.assertEqual(len(found), spider.jobs_added)


class TestStart(unittest.TestCase):
    def test_what_cannot_be_borrowed_is_raised_and_nothing_runs(self):
        class Lacking(Noting):
            def borrow(self):
                raise LookupError("not to be had")

        spider, before = Lacking(), threading.active_count()
        with self.assertRaisesRegex(LookupError, "not to be had"):
            spider.start()
        self.assertFalse(spider.running)
        self.assertEqual(threading.active_count(), before)
        spider.shutdown()

    def test_a_spider_runs_once(self):
        spider = Noting()
        records_of(spider, jobs(1))
        with self.assertRaisesRegex(RuntimeError, "make another one"):
            spider.start()

    def test_finish_is_called_once(self):
        calls = []

        class Finishing(Noting):
            def finish(self):
                calls.append(threading.current_thread().name)

        records_of(Finishing(), jobs(5))
        self.assertEqual(len(calls), 1)

    def test_interrupted_before_it_began(self):
        spider = Noting()
        spider.interrupt()
        self.assertFalse(spider.add_job(jobs(1)[0]))


class TestWorkers(unittest.TestCase):
    def test_a_third_party_s_worker_need_not_put_the_sentinel_back(self):
        class Own(Noting):
            def worker(self, worker_number):
                while True:
                    job = self.jobqueue.get()
                    if job == SHUTDOWN_SENTINEL:
                        break
                    self.mergequeue.put(self.measure(job))

        self.assertEqual(len(records_of(Own(workers=8), jobs(100))), 100)

    def test_terminate_ends_the_records(self):
        spider = Noting()
        spider.start()
        spider.terminate()
        with self.assertRaises(queue.Empty):
            while spider.outqueue.get(timeout=5) is not SHUTDOWN_SENTINEL:
                pass
            raise queue.Empty
