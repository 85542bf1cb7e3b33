"""All connections to one target: their order, each over before the next, and measured again where we were not well."""

import time
import unittest
from dataclasses import replace
from types import SimpleNamespace

from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, Result, Unmeasured
from pathspider.run.connect import Connector, Stopped, checked, close_client
from pathspider.run.health import Health
from pathspider.run.pace import Pace
from pathspider.targets.blocklist import Blocklist
from tests.run.spiders import PATIENCE, Nowhere, in_thread, job, make, run_jobs


class Client:
    """What a connection function leaves open."""

    def __init__(self, log, config):
        self.log, self.config = log, config

    def close(self):
        self.log.append(("closed", self.config))


class Logging(Nowhere):
    """Notes what happens, in order."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.log = []

    def conn(self, job, config):
        self.log.append(("opened", config))
        return {"spdr_state": CONN_OK, "sp": 1000 + config, "client": Client(self.log, config)}

    connections = [conn, conn, conn]

    def post_connect(self, job, rec, config):
        self.log.append(("finished off", config, "client" in rec))

    def end_flow(self, job, connection):
        self.log.append(("flow over", connection["config"]))


class ConnectCase(unittest.TestCase):
    def connector(self, spider=Logging, *, disturbance=(), pace=None, **options):
        """A connector whose machine is disturbed at so many looks, one after the other."""
        spider = make(spider)
        spider.options = replace(spider.options, **options)
        kinds = iter(disturbance)
        health = Health(1, lambda: 0.0, lambda began, ended: next(kinds, None), time.monotonic)
        connector = Connector(spider, health)
        connector.pace = pace
        spider.pipeline.connector = connector
        return spider, connector


class TestOneAfterTheOther(ConnectCase):
    def test_each_is_over_before_the_next_one_begins(self):
        spider, connector = self.connector()
        connector.take(job())
        self.assertEqual(spider.log, [(what, config, *more) for config in range(3)
                                      for what, *more in (("opened",), ("finished off", True), ("closed",),
                                                          ("flow over",))])

    def test_or_all_are_open_together_where_the_plugin_says_so(self):
        class Together(Logging):
            keep_open = True

        spider, connector = self.connector(Together)
        connector.take(job())
        self.assertEqual([what for what, *_ in spider.log],
                         ["opened"] * 3 + ["finished off", "closed", "flow over"] * 3)

    def test_what_is_open_is_closed_where_the_plugin_raises(self):
        class Raising(Logging):
            def bad(self, job, config):
                raise ZeroDivisionError

            connections = [Logging.conn, bad]

        class RaisingTogether(Raising):
            keep_open = True

        class RaisingAfterwards(Logging):
            def post_connect(self, job, rec, config):
                raise ZeroDivisionError

        for plugin in (Raising, RaisingTogether, RaisingAfterwards):
            spider, connector = self.connector(plugin)
            with self.assertRaises(ZeroDivisionError):
                connector.take(job())
            self.assertIn(("closed", 0), spider.log)
            self.assertEqual(connector.health.under_way, 0)

    def test_the_run_stops_between_two(self):
        class Stopping(Logging):
            def stop(self, job, config):
                self.pipeline.connector.aborting.set()
                return self.conn(job, config)

            connections = [stop, Logging.conn]

        spider, connector = self.connector(Stopping)
        outcome = connector.take(job())
        self.assertEqual((outcome.condition, ("opened", 1) in spider.log), ("pathspider.not_measured", False))

    def test_no_job_begins_after_an_interruption(self):
        spider, connector = self.connector()
        connector.interrupted.set()
        self.assertEqual(connector.take(job()).condition, "pathspider.not_measured")
        self.assertEqual(spider.log, [])


class TestOrder(ConnectCase):
    def orders(self, **options):
        spider, connector = self.connector(**options)
        outcomes = [connector.take(job(number)) for number in range(60)]
        opened = [config for what, config, *_ in spider.log if what == "opened"]
        self.assertEqual(opened, [config for outcome in outcomes for config in outcome.order])
        for outcome in outcomes:  # the plugin gets them by its plan
            self.assertEqual([connection["config"] for connection in outcome.connections], [0, 1, 2])
            begins = [outcome.spans[config][0] for config in outcome.order]
            self.assertEqual(begins, sorted(begins))
        return [tuple(outcome.order) for outcome in outcomes]

    def test_fixed(self):
        self.assertEqual(set(self.orders()), {(0, 1, 2)})

    def test_random_by_the_seed_and_the_target(self):
        orders = self.orders(order="random", seed=1)
        self.assertEqual(len(set(orders)), 6)
        self.assertEqual(self.orders(order="random", seed=1), orders)
        self.assertNotEqual(self.orders(order="random", seed=2), orders)

    def test_never_where_connections_build_on_each_other(self):
        class Building(Logging):
            fixed_order = True

        _, connector = self.connector(Building, order="random")
        self.assertEqual({tuple(connector.take(job(number)).order) for number in range(20)}, {(0, 1, 2)})

    def test_with_the_baseline_between(self):
        class Between(Logging):
            baseline_between = True

        _, connector = self.connector(Between, order="random", seed=3)
        for number in range(20):
            outcome = connector.take(job(number))
            self.assertEqual(sorted(outcome.order), [0, 0, 1, 2])
            self.assertEqual([connection["config"] for connection in outcome.connections], [0, 1, 0, 2])

    def test_records_tell_it(self):
        spider = make(Logging)
        spider.options = replace(spider.options, order="random", seed=1)
        spider.combine_flows = lambda flows: [str(flow["config"]) for flow in flows]
        records = run_jobs(spider, [job(number) for number in range(60)])
        self.assertEqual([tuple(record["order"]) for record in sorted(records, key=lambda record: record["number"])],
                         self.orders(order="random", seed=1))
        self.assertEqual({tuple(record["conditions"]) for record in records}, {("0", "1", "2")})


class TestBlocklist(ConnectCase):
    BLOCKLIST = Blocklist(["198.51.100.0/24", "2001:db8:bad::/48"])

    def outcomes(self, pre_connect):
        spider, connector = self.connector(blocklist=self.BLOCKLIST)
        spider.pre_connect = pre_connect
        return [connector.take({**job(), "dip": dip}) for dip in ("192.0.2.1", "198.51.100.7", "2001:db8:bad::1")]

    def test_before_the_job(self):
        self.assertEqual([isinstance(outcome, Result) for outcome in self.outcomes(lambda job: None)],
                         [True, False, False])

    def test_asked_again_when_the_plugin_has_changed_the_address(self):
        def in_place(job):
            job["dip"] = "198.51.100.8"

        for change in (lambda job: {**job, "dip": "198.51.100.8"}, in_place):
            outcomes = self.outcomes(change)
            self.assertEqual([outcome.condition for outcome in outcomes], ["pathspider.blocklisted"] * 3)

    def test_another_address_that_may_be_measured(self):
        outcome = self.outcomes(lambda job: {**job, "dip": "192.0.2.99"})[0]
        self.assertEqual({connection["dip"] for connection in outcome.connections}, {"192.0.2.99"})
        self.assertEqual(outcome.job["dip"], "192.0.2.1")


class Failing(Logging):
    """The first connection times out."""

    def late(self, job, config):
        return {"spdr_state": CONN_TIMEOUT, "sp": 5, "round": len(self.log)}

    connections = [late, Logging.conn]


class TestPreConnect(ConnectCase):
    def test_what_it_returns_need_not_be_a_job(self):
        for returned in (None, True, 7, "x"):
            spider, connector = self.connector()
            spider.pre_connect = lambda job, returned=returned: returned
            self.assertEqual(len(connector.take(job()).connections), 3)


class TestDisturbed(ConnectCase):
    """What fails while our own machine is not well is made again, once."""

    def test_made_again_once_and_the_second_time_counts(self):
        _, connector = self.connector(Failing, disturbance=["paused"])
        outcome = connector.take(job())
        self.assertNotIn("local_error", outcome.connections[0])
        self.assertGreater(outcome.connections[0]["round"], 0)
        self.assertEqual(connector.health.repeated, 1)

    def test_what_was_prepared_for_the_job_serves_again(self):
        class Preparing(Logging):
            def conn_fails(self, job, config):
                self.seen.append(job["prepared"])
                return {"spdr_state": CONN_TIMEOUT, "sp": 0}

            connections = [conn_fails]

        spider, connector = self.connector(Preparing, disturbance=["paused"])
        spider.seen, calls = [], []
        spider.pre_connect = lambda job: calls.append(job) or {**job, "prepared": len(calls)}
        connector.take({"dip": "192.0.2.1", "dp": 80})
        self.assertEqual((len(calls), spider.seen), (1, [1, 1]))

    def test_no_verdict_where_it_is_disturbed_again(self):
        for kind in ("paused", "overloaded"):
            _, connector = self.connector(Failing, disturbance=["paused", kind])
            first, second = connector.take(job()).connections
            self.assertEqual((first["spdr_state"], first["local_error"]), (CONN_SKIPPED, kind))
            self.assertEqual(second["spdr_state"], CONN_OK)

    def test_it_is_said_of_the_connection_that_was_disturbed(self):
        class Second(Logging):
            def fails(self, job, config):
                return {"spdr_state": CONN_FAILED, "sp": 5, "error": "refused"}

            connections = [Logging.conn, fails]

        _, connector = self.connector(Second, disturbance=["paused", "overloaded"])
        first, second = connector.take(job()).connections
        self.assertEqual((first["spdr_state"], second["spdr_state"], second["local_error"], second["sp"]),
                         (CONN_OK, CONN_SKIPPED, "overloaded", 5))

    def test_waiting_for_a_turn_is_no_time_in_which_it_could_have_come_up(self):
        spans = []
        _, connector = self.connector(Failing)
        connector.health.disturbance = lambda began, ended: spans.append(ended - began)
        result = connector.take(job())._replace(spans=[(0.0, 500.0), (500.0, 501.0)])
        spans.clear()
        connector._disturbances(result)
        self.assertEqual(spans, [connector.spider.longest_connection()])

    def test_the_record_says_so(self):
        spider = make(Failing)
        spider.start()
        spider.pipeline.health.disturbance = lambda began, ended: "paused"
        spider.add_job(job())
        in_thread(spider.shutdown)
        self.assertEqual(spider.outqueue.get(timeout=PATIENCE)["conditions"], ["pathspider.local_error:paused"])

    def test_what_came_up_or_was_not_tried_is_believed(self):
        class Fine(Logging):
            def skip(self, job, config):
                return {"spdr_state": CONN_SKIPPED, "sp": 0, "skipped": "because"}

            connections = [Logging.conn, skip]

        _, connector = self.connector(Fine, disturbance=["paused"] * 9)
        self.assertNotIn("local_error", connector.take(job()).connections[0])
        self.assertEqual(connector.health.repeated, 0)

    def test_a_failure_as_well_as_a_timeout(self):
        class Refused(Logging):
            def refused(self, job, config):
                return {"spdr_state": CONN_FAILED, "sp": 5}

            connections = [refused]

        _, connector = self.connector(Refused, disturbance=["overloaded"])
        connector.take(job())
        self.assertEqual(connector.health.repeated, 1)


class TestPaceOfJobs(ConnectCase):
    def test_a_moment_is_a_job_s_and_its_connections_follow_each_other(self):
        now, waits = [0.0], []
        pace = Pace(2, lambda: now[0])

        def wait(seconds):
            waits.append((seconds, len(spider.log)))
            now[0] += seconds
            return False

        spider, connector = self.connector(pace=pace)
        connector.interrupted = SimpleNamespace(is_set=lambda: False, wait=wait)
        for number in range(3):
            connector.take(job(number))
        # three connections take 1.5 seconds of two a second; none of the waits is within a job
        self.assertEqual([seconds for seconds, _ in waits], [1.5, 1.5])
        self.assertEqual([count for _, count in waits], [12, 24])

    def test_an_interruption_ends_the_wait_of_a_job_and_not_what_is_within_one(self):
        pace = Pace(0.01, lambda: 0.0)
        pace.made(1)
        _, connector = self.connector(pace=pace)
        waiting = in_thread(connector.take, job())
        connector.interrupted.set()
        waiting.join(PATIENCE)
        self.assertFalse(waiting.is_alive())

        class Holding(Logging):
            def hold(self, job, config):
                self.pipeline.connector.interrupted.set()  # Ctrl-C, in the middle of this job
                self.one_more()
                return self.conn(job, config)

            connections = [hold]

        _, connector = self.connector(Holding, pace=Pace(1e6))
        self.assertIsInstance(connector.take(job()), Result)

    def test_the_end_of_all_ends_a_job_that_would_go_on(self):
        _, connector = self.connector(pace=Pace(0.001, lambda: 0.0))
        connector.aborting.set()
        with self.assertRaises(Stopped):
            connector.one_more()


class TestWhatPluginsReturn(ConnectCase):
    def test_rubbish(self):
        nan = float("nan")
        for rubbish in (None, nan, "OK", [], {}, {"dp": 1}, {"spdr_state": nan}, {"spdr_state": 77},
                        {"spdr_state": "x"}, {"spdr_state": None}, {"spdr_state": 0, "sp": nan},
                        {"spdr_state": 0, "sp": "5"}, {"spdr_state": 0, "sp": 5, "dp": "80"},
                        {"spdr_state": 0, "sp": 5, "dp": nan}, {"spdr_state": 0, "sp": 5.5}):
            with self.assertRaises((TypeError, ValueError), msg=repr(rubbish)):
                checked(rubbish, 0, {"dp": 80})

    def test_what_is_left_out_is_filled_in(self):
        self.assertEqual(checked({"spdr_state": 0}, 1, {"dp": 80}), {"spdr_state": CONN_OK, "config": 1, "dp": 80})
        self.assertEqual(checked({"spdr_state": 1, "sp": 9, "dp": 81}, 0, {})["dp"], 81)
        self.assertIs(checked({"sp": 9}, 0, {"dp": 80})["spdr_state"], CONN_OK)

    def test_a_run_over_rubbish_has_a_record_for_each(self):
        class Rubbish(Nowhere):
            def conn(self, job, config):
                return {"spdr_state": CONN_OK, "sp": job["sp"]}

            connections = [conn]

        jobs = [job(number, sp=sp) for number, sp in enumerate((0, None, float("nan"), "x", 1 << 70, -1, True, [1]))]
        with self.assertLogs("pathspider", "ERROR"):
            records = run_jobs(make(Rubbish), jobs)
        self.assertEqual(sorted(record["number"] for record in records), list(range(len(jobs))))

    def test_jobs_that_cannot_be_measured(self):
        spider, connector = self.connector()
        for bad in ({}, {"dip": "nonsense"}, {"dip": "192.0.2.1", "dp": 0}, {"dip": 7}):
            outcome = connector.take(bad)
            self.assertIsInstance(outcome, Unmeasured)
            self.assertTrue(outcome.condition.startswith("pathspider.invalid_job:"))
        self.assertEqual(spider.log, [])

    def test_a_client_is_closed_once(self):
        log = []
        connection = {"client": Client(log, 0)}
        close_client(connection)
        close_client(connection)
        self.assertEqual((connection, log), ({}, [("closed", 0)]))


if __name__ == "__main__":
    unittest.main()
