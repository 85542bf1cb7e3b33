"""What a worker does with a job."""

import unittest

from pathspider.blocklist import Blocklist
from pathspider.records import CONN_OK, CONN_TIMEOUT
from pathspider.run.connect import checked
from tests.run.spiders import Noting, jobs, records_of


class TestConnections(unittest.TestCase):
    def test_each_is_closed_before_the_next_begins(self):
        spider = Noting()
        (record,) = records_of(spider, jobs(1))
        self.assertEqual(spider.notes, [(what, config) for config in (0, 1) for what in ("made", "post", "closed")])
        self.assertEqual((record["conditions"], record["order"]), (["noting.0", "noting.1"], [0, 1]))

    def test_unless_the_plugin_needs_all_of_them(self):
        class Together(Noting):
            keep_open = True

        spider = Together()
        records_of(spider, jobs(1))
        self.assertEqual(spider.notes[:2], [("made", 0), ("made", 1)])
        self.assertEqual(sorted(spider.notes[2:]), sorted((what, config) for config in (0, 1)
                                                          for what in ("post", "closed")))

    def test_a_drawn_order_is_the_seed_s_and_flows_come_in_that_of_the_plan(self):
        orders = []
        for seed in (1, 1, 2):
            spider = Noting(workers=1, order="random", seed=seed)
            records = records_of(spider, jobs(60))
            self.assertTrue(all(record["conditions"] == ["noting.0", "noting.1"] for record in records))
            orders.append([record["order"] for record in records])
            made = [config for what, config in spider.notes if what == "made"]
            self.assertEqual(made, [config for order in orders[-1] for config in order])
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertIn([1, 0], orders[0])
        self.assertIn([0, 1], orders[0])

    def test_the_blocklist_is_asked_again_of_another_address(self):
        class Elsewhere(Noting):
            def pre_connect(self, job):
                return {**job, "dip": "198.51.100.7"}

        spider = Elsewhere(blocklist=Blocklist(["198.51.100.0/24"]))
        (record,) = records_of(spider, jobs(1))
        self.assertEqual((record["conditions"], spider.notes), (["pathspider.blocklisted"], []))

    def test_what_pre_connect_returns_need_not_be_a_job(self):
        class Content(Noting):
            def pre_connect(self, job):
                return True

        (record,) = records_of(Content(), jobs(1))
        self.assertEqual(record["conditions"], ["noting.0", "noting.1"])


class TestDisturbances(unittest.TestCase):
    """Our own machine is not well while connections fail."""

    def run_disturbed(self, times, state=CONN_TIMEOUT, kind="paused"):
        class Failing(Noting):
            def fail(self, job, config):
                self.notes.append(("made", config))
                return {"spdr_state": state, "sp": 0}

            connections = [Noting.connect, fail]

        spider = Failing()
        answers = iter([kind] * times)
        spider.pipeline.health.disturbance = lambda began, ended: next(answers, None)
        (record,) = records_of(spider, jobs(1))
        return record["conditions"], [config for what, config in spider.notes if what == "made"]

    def test_a_failure_is_measured_again_once(self):
        self.assertEqual(self.run_disturbed(1), (["noting.0", "noting.1"], [0, 1, 0, 1]))

    def test_and_is_no_verdict_if_it_is_disturbed_again(self):
        self.assertEqual(self.run_disturbed(2), (["pathspider.local_error:paused"], [0, 1, 0, 1]))
        self.assertEqual(self.run_disturbed(2, kind="overloaded")[0], ["pathspider.local_error:overloaded"])

    def test_what_came_up_stands(self):
        self.assertEqual(self.run_disturbed(2, state=CONN_OK), (["noting.0", "noting.1"], [0, 1]))


class TestChecked(unittest.TestCase):
    def test_the_port_is_the_job_s_where_the_connection_tells_none(self):
        self.assertEqual(checked({"spdr_state": 0, "sp": 9}, 1, {"dp": 80})["dp"], 80)

    def test_what_is_no_result_is_named(self):
        for rubbish in (None, [1], "x", {}, {"spdr_state": 77}, {"spdr_state": 0, "sp": "x"},
                        {"spdr_state": 0, "sp": 9, "dp": None}):
            with self.subTest(rubbish=rubbish), self.assertRaises((TypeError, ValueError)):
                checked(rubbish, 1, {"dp": 80})
