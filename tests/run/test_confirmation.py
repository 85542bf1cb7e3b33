"""Confirmation in a whole run: real threads, with connections whose course is known; then limiters over loopback."""

import collections
import queue
import threading
import time
import unittest

from pathspider.conditions import connectivity, succeeded
from pathspider.records import CONN_FAILED, CONN_OK, SHUTDOWN_SENTINEL
from pathspider.run import pipeline
from pathspider.run.options import RunOptions
from tests.run.spiders import Nowhere, feed, in_thread, job, make, run_jobs


class Course(Nowhere):
    """What a target does is in its job: for each pair of connections ``works``, ``broken``, …; the last for ever."""

    name = "course"

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.made = collections.Counter()
        self.open_to = collections.Counter()
        self.most_open = collections.Counter()
        self.times = collections.defaultdict(list)
        self.state = threading.Lock()

    def go(self, job, config):
        course = job.get("course", ["works"])
        with self.state:
            pair = self.made[job["number"]] // 2
            self.made[job["number"]] += 1
            self.open_to[job["dip"]] += 1
            self.most_open[job["dip"], pair > 0] = max(self.most_open[job["dip"], pair > 0], self.open_to[job["dip"]])
        word = course[min(pair, len(course) - 1)]
        up = {"works": (1, 1), "broken": (1, 0), "transient": (0, 1), "offline": (0, 0)}[word][config]
        time.sleep(job.get("takes", 0))
        with self.state:
            self.open_to[job["dip"]] -= 1
            self.times[job["number"]].append((pair, config, time.monotonic()))
        return {"spdr_state": CONN_OK if up else CONN_FAILED, "sp": 0}

    connections = [go, go]

    def combine_flows(self, flows):
        return [connectivity("x", *map(succeeded, flows))]


def stable(record):
    return [one for one in record["conditions"] if ".stable." in one or one.startswith("pathspider.")]


class ConfirmationCase(unittest.TestCase):
    def make(self, spider=Course, workers=4, confirm=4, gap=0.0, **more):
        return make(spider, workers, timeout=0.5, run_options=RunOptions(confirm=confirm, confirm_gap=gap, **more))

    def run_jobs(self, jobs, *args, **options):
        self.spider = self.make(*args, **options)
        return {record["number"]: record for record in run_jobs(self.spider, jobs)}


class TestRun(ConfirmationCase):
    def test_each_course_among_many_others(self):
        courses = [["broken"], ["transient"], ["broken", "works"], ["broken", "broken", "works"],
                   ["transient", "offline"], ["offline"], ["works", "broken"]]
        words = [["broken"], ["transient"], ["works"], ["unstable"], ["unstable"], [], []]
        jobs = [job(number, course=courses[number % 7]) for number in range(7 * 40)]
        records = self.run_jobs(jobs)
        self.assertEqual(len(records), len(jobs))
        for number, record in records.items():
            expected = [f"x.stable.connectivity.{word}" for word in words[number % 7]]
            self.assertEqual(stable(record), expected, record)
            self.assertEqual("rounds" in record, bool(expected))
        self.assertEqual(self.spider.jobs_done, len(jobs))
        self.assertEqual(self.spider.pipeline.confirmer.suspects, 5 * 40)

    def test_none_unless_asked_for(self):
        records = run_jobs(make(Course), [job(number, course=["broken"]) for number in range(20)])
        self.assertEqual([stable(record) for record in records], [[]] * 20)

    def test_rounds_have_an_address_to_themselves(self):
        jobs = [{**job(number, course=["broken"] if number % 2 else ["works"], takes=0.005), "dip": "192.0.2.1"}
                for number in range(30)]
        records = self.run_jobs(jobs, workers=10, per_address=4)
        self.assertEqual(sum(stable(record) == ["x.stable.connectivity.broken"] for record in records.values()), 15)
        dip = jobs[0]["dip"]
        self.assertGreater(self.spider.most_open[dip, False], 1)
        self.assertEqual(self.spider.most_open[dip, True], 1)

    def test_the_gap_is_kept_and_others_go_on(self):
        jobs = [job(0, course=["broken"]), *(job(number, takes=0.01) for number in range(1, 60))]
        self.run_jobs(jobs, workers=2, confirm=2, gap=0.2)
        times = self.spider.times[0]
        ends = {pair: max(at for one, _, at in times if one == pair) for pair in (0, 1, 2)}
        begins = {pair: min(at for one, _, at in times if one == pair) for pair in (0, 1, 2)}
        self.assertGreaterEqual(begins[1] - ends[0], 0.2)
        self.assertGreaterEqual(begins[2] - ends[1], 0.2)
        orders = [[config for one, config, _ in times if one == pair] for pair in (1, 2)]
        self.assertEqual(orders[0], orders[1][::-1])

    def test_a_suspect_that_nobody_is_left_beside(self):
        """The last job of a list: its rounds come after the input's end."""
        records = self.run_jobs([job(0, course=["broken"])], gap=0.05)
        self.assertEqual(stable(records[0]), ["x.stable.connectivity.broken"])

    def test_a_suspect_that_takes_its_time_to_be_one(self):
        """The confirmer looks while the last job is being judged: it does not think that all have been."""
        class Thoughtful(Course):
            def suspicious(self, found):
                self.jobqueue.ended.wait(100)
                self.pipeline._tell()
                self.pipeline._threads["confirmer"].join(0.3)
                return super().suspicious(found)

        spider = self.make(Thoughtful, workers=1, confirm=2)
        spider.jobqueue.ended = threading.Event()
        close = spider.jobqueue.close

        def closed():
            close()
            spider.jobqueue.ended.set()

        spider.jobqueue.close = closed
        record, = run_jobs(spider, [job(0, course=["broken"])])
        self.assertEqual(stable(record), ["x.stable.connectivity.broken"])

    def test_a_plugin_that_raises_in_a_round(self):
        class Raising(Course):
            def combine_flows(self, flows):
                if self.made[flows[0]["number"]] > 2:
                    raise ValueError("in a round")
                return super().combine_flows(flows)

        with self.assertLogs("pathspider", "ERROR"):
            records = self.run_jobs([job(0, course=["broken"])], Raising)
        self.assertEqual(stable(records[0]), ["pathspider.unconfirmed"])

    def test_memory_is_for_suspects_alone(self):
        self.run_jobs([job(number) for number in range(100)])
        self.assertEqual(len(self.spider.pipeline.confirmer._waiting), 0)


class TestEnd(ConfirmationCase):
    def started(self, jobs, **options):
        spider = self.make(**options)
        spider.start()
        self.records = []
        reader = in_thread(lambda: self.records.extend(iter(spider.outqueue.get, SHUTDOWN_SENTINEL)))
        feeder = feed(spider, jobs)
        return spider, feeder, reader

    def await_open(self, spider, count):
        deadline = time.monotonic() + 100
        while spider.pipeline.confirmer.open < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_interrupted(self):
        jobs = [job(number, course=["broken"]) for number in range(30)]
        spider, feeder, reader = self.started(jobs, gap=1000.0)
        self.await_open(spider, 30)
        spider.interrupt()
        for thread in (feeder, reader):
            thread.join(100)
            self.assertFalse(thread.is_alive())
        self.assertEqual([stable(record) for record in self.records], [["pathspider.unconfirmed"]] * 30)
        self.assertEqual({record["conditions"][0] for record in self.records}, {"x.connectivity.broken"})
        self.assertEqual((spider.pipeline.confirmer.unconfirmed, spider.jobs_done), (30, 30))

    def test_a_round_under_way_when_interrupted_is_finished(self):
        in_round, go_on = threading.Event(), threading.Event()

        class Waiting(Course):
            def go(self, job, config):
                if self.made[job["number"]] >= 2:
                    in_round.set()
                    go_on.wait(100)
                return super().go(job, config)

            connections = [go, go]

        spider, feeder, reader = self.started([job(0, course=["broken", "works"])], spider=Waiting)
        self.assertTrue(in_round.wait(100))
        spider.interrupt()
        go_on.set()
        reader.join(100)
        feeder.join(100)
        self.assertEqual([stable(record) for record in self.records], [["x.stable.connectivity.works"]])

    def test_terminated(self):
        spider, feeder, reader = self.started([job(0, course=["broken"])], gap=1000.0)
        self.await_open(spider, 1)
        spider.terminate()
        reader.join(100)
        self.assertFalse(reader.is_alive())
        feeder.join(100)
        self.assertFalse(feeder.is_alive())

    def test_a_run_that_fails(self):
        class Failing(Course):
            def post_connect(self, job, rec, config):
                if job["number"] == 5:
                    self.pipeline.fail(RuntimeError("told by the test"))

        spider = self.make(Failing, gap=1000.0)
        with self.assertLogs("pathspider", "ERROR"):
            records = run_jobs(spider, [job(number, course=["broken"]) for number in range(20)])
        self.assertTrue({one for record in records for one in stable(record)}
                        <= {"pathspider.unconfirmed", "pathspider.not_measured"})


class TestWorkersOfThirdParties(ConfirmationCase):
    """Loops of their own: nobody tells when a job is over, and some never wait for one."""

    def test_one_that_waits(self):
        class Own(Course):
            def worker(self, worker_number):
                while (one := self.jobqueue.get()) is not SHUTDOWN_SENTINEL:
                    self.mergequeue.put(self.measure(one))

        records = self.run_jobs([job(number, course=["broken"]) for number in range(20)], Own)
        self.assertEqual([stable(record) for record in records.values()], [["x.stable.connectivity.broken"]] * 20)

    def test_one_that_looks_now_and_then(self):
        class Polling(Course):
            def worker(self, worker_number):
                while True:
                    try:
                        one = self.jobqueue.get(block=False)
                    except queue.Empty:
                        time.sleep(0.01)
                        continue
                    if one is SHUTDOWN_SENTINEL:
                        return
                    self.mergequeue.put(self.measure(one))

        self.addCleanup(setattr, pipeline, "PATIENCE", pipeline.PATIENCE)
        pipeline.PATIENCE = 0.2
        records = self.run_jobs([job(number, course=["broken"]) for number in range(20)], Polling)
        self.assertEqual([stable(record) for record in records.values()], [["x.stable.connectivity.broken"]] * 20)

    def test_one_that_swallows_jobs(self):
        class Swallowing(Course):
            def worker(self, worker_number):
                while (one := self.jobqueue.get()) is not SHUTDOWN_SENTINEL:
                    if one["number"] % 2:
                        self.mergequeue.put(self.measure(one))

        records = self.run_jobs([job(number, course=["broken"]) for number in range(20)], Swallowing)
        self.assertEqual([stable(record) for record in records.values()], [["x.stable.connectivity.broken"]] * 10)

    def test_one_that_swallows_rounds(self):
        class Swallowing(Course):
            def worker(self, worker_number):
                while (one := self.jobqueue.get()) is not SHUTDOWN_SENTINEL:
                    if not self.made[one["number"]]:
                        self.mergequeue.put(self.measure(one))

        records = self.run_jobs([job(number, course=["broken"]) for number in range(20)], Swallowing)
        self.assertEqual([stable(record) for record in records.values()], [["pathspider.unconfirmed"]] * 20)

    def test_all_of_them_die(self):
        class Dying(Course):
            def worker(self, worker_number):
                self.mergequeue.put(self.measure(self.jobqueue.get()))
                raise RuntimeError("told by the test")

        spider = self.make(Dying, gap=1000.0)
        with self.assertLogs("pathspider", "ERROR"):
            records = run_jobs(spider, [job(number, course=["broken"]) for number in range(20)])
        self.assertTrue(records)
        self.assertFalse(spider.running)
