"""The spider's threads and queues, with real connections over loopback and no capture."""

import argparse
import socket
import threading
import unittest

from pathspider.base import CONN_DISCARD, CONN_OK, SHUTDOWN_SENTINEL, Spider, positive_seconds
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.tcp import connect_tcp


class Twice(DesynchronizedSpider):
    """Two connections to each target; what came up is the condition."""

    def connect(self, job, config):
        return connect_tcp(("127.0.0.1", "::1"), job, 5)

    connections = [connect, connect]

    def combine_flows(self, flows):
        return [f"up.{flow['config']}" for flow in flows if flow["spdr_state"] == CONN_OK]


class SpiderCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = socket.create_server(("0.0.0.0", 0), backlog=512)  # all of 127.0.0.0/8
        cls.port = cls.server.getsockname()[1]
        threading.Thread(target=cls.serve, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as unused:
            cls.closed_port = unused.getsockname()[1]

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown(socket.SHUT_RDWR)
        cls.server.close()

    @classmethod
    def serve(cls):
        try:
            while True:
                cls.server.accept()[0].close()
        except OSError:
            pass

    def job(self, number=0, port=None):
        return {"dip": f"127.0.0.{number % 250 + 1}", "dp": port or self.port, "number": number}

    def make(self, spider=Twice, workers=10, **arguments):
        return spider(workers, "int:lo", argparse.Namespace(timeout=5, **arguments))

    def run_jobs(self, spider, jobs):
        spider.start()

        def feed():
            for job in jobs:
                if not spider.add_job(job):
                    break
            spider.shutdown()

        threading.Thread(target=feed, daemon=True).start()
        return list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))


class TestRun(SpiderCase):
    def test_one_record_a_job(self):
        records = self.run_jobs(self.make(), [self.job(number) for number in range(300)])
        self.assertEqual(sorted(record["number"] for record in records), list(range(300)))
        for record in records:
            self.assertEqual(record["conditions"], ["up.0", "up.1"])
            self.assertEqual(record["path"], [None, "*", record["dip"]])
            self.assertLessEqual(record["time"]["from"], record["time"]["to"])
            self.assertNotIn("flow_results", record)

    def test_flow_results(self):
        (record,) = self.run_jobs(self.make(output_flows=True), [self.job(7, self.closed_port)])
        self.assertEqual(record["missed_flows"], 0)
        self.assertEqual([flow["config"] for flow in record["flow_results"]], [0, 1])
        for flow in record["flow_results"]:
            self.assertEqual((flow["spdr_state"], flow["number"], flow["observed"]), (2, 7, False))
            self.assertNotIn("client", flow)

    def test_a_record_measured_again_keeps_nothing_of_the_earlier_measurement(self):
        old = {"path": ["x"], "conditions": ["up.7"], "time": {}, "flow_results": [1], "missed_flows": 3, "error": "x"}
        again, invalid = self.run_jobs(self.make(workers=1), [{**self.job(), **old}, {"dip": "nonsense", **old}])
        self.assertEqual(set(again), {"dip", "dp", "number", "path", "conditions", "time", "order"})
        self.assertEqual(again["conditions"], ["up.0", "up.1"])
        self.assertEqual(set(invalid), {"dip", "path", "conditions", "time"})

    def test_a_job_says_nothing_of_what_was_observed(self):
        class Observing(Twice):
            def outcome(self, merged):
                return super().outcome(merged._replace(flows=[{"dip": "::", "tcp_connected": False}] * 2))

            def combine_flows(self, flows):
                return [f"connected.{flow['tcp_connected']}" for flow in flows]

        job = {**self.job(), "tcp_connected": True}
        (record,) = self.run_jobs(self.make(Observing, output_flows=True), [job])
        self.assertEqual(record["conditions"], ["connected.False", "connected.False"])
        self.assertEqual(record["flow_results"][0]["dip"], job["dip"])
        self.assertIs(record["tcp_connected"], True)

    def test_invalid_jobs_have_records(self):
        records = self.run_jobs(self.make(), [{"dip": "nonsense"}, {"domain": "example.com"}, self.job()])
        self.assertEqual(
            {record["conditions"][0] for record in records},
            {"pathspider.invalid_job:dip_not_an_address", "pathspider.invalid_job:dip_missing", "up.0"},
        )

    def test_local_errors_are_no_verdicts(self):
        class Local(Twice):
            def fail_here(self, job, config):
                return {"spdr_state": 3, "sp": 0, "local_error": "EMFILE"}

            connections = [Twice.connect, fail_here]

        (record,) = self.run_jobs(self.make(Local), [self.job()])
        self.assertEqual(record["conditions"], ["pathspider.local_error:EMFILE"])

    def test_no_verdict_while_the_capture_loses_packets(self):
        class Losing(Twice):
            def create_observer(self):
                observer = super().create_observer()
                self.lost = observer.stats
                return observer

            def lose(self, job, config):
                self.observer.stats = self.lost._replace(dropped_kernel=3)
                return self.connect(job, config)

            connections = [Twice.connect, lose]

        spider = self.make(Losing, workers=1)
        first, second = self.run_jobs(spider, [self.job(0), self.job(1)])
        self.assertEqual(
            first["conditions"], ["pathspider.not_observed", "pathspider.local_error:capture_lost_packets"]
        )
        self.assertEqual(second["conditions"], ["up.0", "up.1"])  # nothing was lost any more

    def test_discarded_jobs_have_no_record(self):
        class Discard(Twice):
            def discard(self, job, config):
                return {"spdr_state": CONN_DISCARD, "sp": 0}

            connections = [discard]

        spider = self.make(Discard)
        self.assertEqual(self.run_jobs(spider, [self.job(), self.job(1)]), [])
        self.assertEqual(spider.pipeline.jobs_done, 2)

    def test_clients_are_closed_after_post_connect(self):
        seen = []

        class Post(Twice):
            def post_connect(self, job, rec, config):
                seen.append((config, rec["client"], rec["client"].fileno() >= 0))

        self.run_jobs(self.make(Post), [self.job()])
        self.assertEqual([(config, was_open) for config, _, was_open in seen], [(0, True), (1, True)])
        self.assertTrue(all(client.fileno() == -1 for _, client, _ in seen))

    def test_pre_connect_runs_once_and_may_replace_the_job(self):
        calls = []

        class Pre(Twice):
            def pre_connect(self, job):
                calls.append(job)
                return {**job, "dp": self.args.other}

        records = self.run_jobs(self.make(Pre, other=self.closed_port), [self.job()])
        self.assertEqual((len(calls), records[0]["conditions"]), (1, []))

    def test_a_slow_reader_slows_the_run_down(self):
        spider = self.make(workers=2)
        spider.start()
        feeder = threading.Thread(target=lambda: [spider.add_job(self.job(number)) for number in range(200)])
        feeder.start()
        feeder.join(1.5)
        self.assertTrue(feeder.is_alive(), "200 jobs were taken, although nobody read a record")
        threading.Thread(target=lambda: (feeder.join(), spider.shutdown())).start()
        self.assertEqual(len(list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))), 200)

    def test_the_baseline_may_come_between_experiments(self):
        class Three(Twice):
            connections = [Twice.connect] * 3
            baseline_between = True

        (record,) = self.run_jobs(self.make(Three), [self.job()])
        self.assertEqual(record["conditions"], ["up.0", "up.1", "up.0", "up.2"])


class TestEnds(SpiderCase):
    def check_failure(self, spider, jobs=100):
        with self.assertLogs("pathspider", "ERROR") as logs:
            records = self.run_jobs(spider, [self.job(number) for number in range(jobs)])
        self.assertEqual(len(records), jobs)
        self.assertIsNone(spider.exception)
        self.assertEqual(spider.pipeline.jobs_failed, 1)
        return records, logs.output[0]

    def test_a_plugin_that_raises_in_connect(self):
        class Raising(Twice):
            def bad(self, job, config):
                if job["number"] == 40:
                    raise ZeroDivisionError("a mistake")
                return self.connect(job, config)

            connections = [Twice.connect, bad]
            name = "raising"

        records, message = self.check_failure(self.make(Raising))
        self.assertIn("raising", message)
        self.assertIn("127.0.0.41", message)
        self.assertEqual(sum(record["conditions"] == ["up.0", "up.1"] for record in records), 99)
        bad = next(record for record in records if record["number"] == 40)
        self.assertEqual(
            (bad["conditions"], bad["error"]), (["pathspider.not_measured"], "ZeroDivisionError: a mistake")
        )

    def test_a_plugin_that_raises_in_combine_flows(self):
        class Raising(Twice):
            def combine_flows(self, flows):
                if flows[0]["number"] == 40:
                    raise ZeroDivisionError
                return super().combine_flows(flows)

        records, _ = self.check_failure(self.make(Raising, workers=3))
        self.assertEqual(sum(record["conditions"] == ["up.0", "up.1"] for record in records), 99)

    def test_a_plugin_that_raises_for_every_job_ends_the_run(self):
        class Raising(Twice):
            def bad(self, job, config):
                raise ZeroDivisionError

            connections = [bad]

        spider = self.make(Raising)
        with self.assertLogs("pathspider", "ERROR"):
            records = self.run_jobs(spider, [self.job(number) for number in range(1000)])
        self.assertIn("in a row", str(spider.exception))
        self.assertEqual(len(records), spider.pipeline.jobs.accepted)
        self.assertLess(len(records), 200)

    def test_a_connection_function_that_returns_nonsense(self):
        class Nonsense(Twice):
            def nothing(self, job, config):
                return None

            connections = [nothing]

        spider = self.make(Nonsense)
        with self.assertLogs("pathspider", "ERROR"):
            (record,) = self.run_jobs(spider, [self.job()])
        self.assertEqual(record["conditions"], ["pathspider.not_measured"])
        self.assertIn("TypeError", record["error"])

    def test_interrupt_finishes_what_is_under_way(self):
        under_way, go_on = threading.Event(), threading.Event()

        class Waiting(Twice):
            def wait(self, job, config):
                under_way.set()
                go_on.wait(10)
                return self.connect(job, config)

            connections = [wait]

        spider = self.make(Waiting, workers=2)
        spider.start()
        for number in range(4):
            spider.add_job(self.job(number))  # two are taken, two wait
        under_way.wait(10)
        spider.interrupt()
        self.assertFalse(spider.add_job(self.job()))
        go_on.set()
        threading.Thread(target=spider.shutdown).start()
        records = list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))
        self.assertEqual(len(records), spider.pipeline.jobs.accepted)
        self.assertGreaterEqual(sum(record["conditions"] == ["up.0"] for record in records), 1)
        self.assertGreaterEqual(sum(record["conditions"] == ["pathspider.not_measured"] for record in records), 1)

    def test_terminate_does_not_wait(self):
        go_on = threading.Event()

        class Stuck(Twice):
            def stuck(self, job, config):
                go_on.wait(20)
                return self.connect(job, config)

            connections = [stuck]

        spider = self.make(Stuck, workers=2)
        spider.start()
        spider.add_job(self.job())
        spider.terminate()
        self.assertEqual(list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL)), [])
        go_on.set()

    def test_shutdown_may_be_called_twice(self):
        spider = self.make()
        self.assertEqual(self.run_jobs(spider, []), [])
        spider.shutdown()

    def test_at_least_one_worker(self):
        with self.assertRaises(ValueError):
            self.make(workers=0)


class TestParts(unittest.TestCase):
    def test_positive_seconds(self):
        self.assertEqual(positive_seconds("0.5"), 0.5)
        for text in ("0", "-1", "inf", "nan"):
            with self.assertRaises(argparse.ArgumentTypeError):
                positive_seconds(text)

    def test_a_spider_without_a_model_says_so(self):
        spider = Spider(1, "int:lo", argparse.Namespace())
        with self.assertRaises(NotImplementedError):
            spider.combine_flows([])
