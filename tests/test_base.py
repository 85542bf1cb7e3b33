"""The documented face of a run: what it refuses, and what stands in for what a plugin leaves out."""

import argparse
import unittest

from pathspider.base import Spider, positive_seconds, sources_of
from pathspider.chains.basic import BasicChain
from pathspider.chains.evidence import EvidenceChain
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT
from pathspider.sync import SynchronizedSpider
from tests.run.spiders import Nowhere, job, make, run_jobs


class Switching(SynchronizedSpider):
    """One of the other model: its gates have a token a worker."""

    configurations = [lambda self: None] * 2

    def combine_flows(self, flows):
        return []


class TestSpider(unittest.TestCase):
    def test_at_least_one_worker(self):
        for spider in (Nowhere, Switching):
            with self.assertRaises(ValueError):
                make(spider, workers=-1)
            without = make(spider, workers=0)  # is only asked to combine
            self.assertEqual(without.combine_flows([]), [])
            with self.assertRaises(ValueError):
                without.start()

    def test_positive_seconds(self):
        self.assertEqual([repr(positive_seconds(text)) for text in ("0.5", "3", "3.0", "1e1")], ["0.5", "3", "3", "10"])
        for text in ("0", "-1", "inf", "nan"):
            with self.assertRaises(argparse.ArgumentTypeError):
                positive_seconds(text)

    def test_a_spider_without_a_model_says_so(self):
        spider = Spider(1, "int:lo", argparse.Namespace())
        with self.assertRaises(NotImplementedError):
            spider.configuration_count()

    def test_without_combine_flows_there_is_nothing_to_say(self):
        self.assertIsNone(Spider(1, "int:lo", argparse.Namespace()).combine_flows([]))

    def test_evidence_is_observed_where_records_hold_flows_or_suspects_are_confirmed(self):
        class Mine(EvidenceChain):
            """A third party's."""

        for chains, wanted, expected in (
            ([BasicChain], {}, [BasicChain]),
            ([BasicChain], {"output_flows": True}, [BasicChain, EvidenceChain]),
            ([BasicChain], {"confirm": 1}, [BasicChain, EvidenceChain]),
            ([], {"output_flows": True, "confirm": 4}, []),
            ([EvidenceChain, BasicChain], {"output_flows": True}, [EvidenceChain, BasicChain]),
            ([Mine], {"confirm": 4}, [Mine]),
        ):
            spider = make(type("Observing", (Nowhere,), {"chains": chains}), **wanted)
            self.assertEqual(spider.observed_chains(), expected)
            self.assertEqual(spider.chains, chains)

    def test_chains_may_be_a_property(self):
        class Computing(Nowhere):
            @property
            def chains(self):
                return []

        self.assertEqual(len(run_jobs(make(Computing, output_flows=True), [job()])), 1)

    def test_a_worker_loop_of_a_plugin_s_own_does_not_tell_when_a_job_is_over(self):
        class Own(Nowhere):
            def worker(self, worker_number):
                pass

        self.assertEqual((make().per_address(), make(Own).per_address()), (2, None))

    def test_addresses_of_the_interface(self):
        self.assertEqual(sources_of("int:lo").default[0], "127.0.0.1")
        for uri in ("", "lo", "pcapfile:lo", "int:", "int:no such", "int:lo0123456789abcdef"):
            self.assertIsNone(sources_of(uri))
        self.assertEqual(make().source[0], "127.0.0.1")
        self.assertEqual(make(source=("192.0.2.1", "2001:db8::1")).source, ("192.0.2.1", "2001:db8::1"))
        self.assertEqual(make(source=(None, "2001:db8::1")).source, ("127.0.0.1", "2001:db8::1"))

    def test_combine_connectivity(self):
        spider = make()
        for arguments, word in (
            ((True, True), "works"), ((True, False), "broken"), ((False, True), "transient"),
            ((False, False), "offline"), ((CONN_OK, CONN_TIMEOUT), "broken"), ((2, 0), "transient"),
            ((0, 0), "works"), ((1, CONN_FAILED), "offline"),
            ((True,), "online"), ((False,), "offline"), ((CONN_OK,), "online"), ((1,), "offline"),
        ):
            self.assertEqual(spider.combine_connectivity(*arguments), f"spider.connectivity.{word}")
            self.assertEqual(spider.combine_connectivity(*arguments, prefix="x.y"), f"x.y.connectivity.{word}")

    def test_the_plan_with_the_baseline_between(self):
        class Between(Nowhere):
            connections = [Nowhere.up] * 3
            baseline_between = True

        class Alone(Between):
            connections = [Nowhere.up]

        self.assertEqual((make(Between).plan(), make(Alone).plan(), make().plan()), ([0, 1, 0, 2], [0], [0, 1]))


if __name__ == "__main__":
    unittest.main()
