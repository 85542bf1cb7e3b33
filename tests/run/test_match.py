"""Results and flows find each other, in any order."""

import itertools
import random
import unittest
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from pathspider.records import CONN_OK, CONN_SKIPPED, Result
from pathspider.run.match import Matcher


def result(number, *ports, dip="192.0.2.1"):
    connections = [{"spdr_state": CONN_OK, "sp": port, "dp": 80} for port in ports]
    return Result({"dip": dip, "dp": 80, "number": number}, connections, 0.0, 1.0)


def flow(port, dip="192.0.2.1", **more):
    return {"sip": "198.51.100.1", "dip": dip, "proto": 6, "sp": port, "dp": 80, **more}


class TestMerger(unittest.TestCase):
    @given(st.integers(1, 8), st.integers(1, 3), st.randoms(use_true_random=False), st.floats(0, 1))
    def test_every_job_comes_out_once_with_its_own_flows(self, jobs, configs, rng, lost):
        merger = Matcher(patience=100)
        items, kept = [], set()
        for number in range(jobs):
            ports = [1000 * number + config + 1 for config in range(configs)]
            items.append(result(number, *ports))
            for port in ports:
                if rng.random() >= lost:
                    kept.add(port)
                    items.append(flow(port))
        rng.shuffle(items)
        merged = []
        for item in items:
            merged += merger.add_result(item, 0) if isinstance(item, Result) else merger.add_flow(item, 0)
        merged += merger.finish()
        self.assertEqual(sorted(job.result.job["number"] for job in merged), list(range(jobs)))
        for job in merged:
            ports = [connection["sp"] for connection in job.result.connections]
            self.assertEqual(
                [found and found["sp"] for found in job.flows], [port if port in kept else None for port in ports]
            )
            self.assertEqual(job.missed, sum(port not in kept for port in ports))

    def test_spelling_of_an_address_does_not_matter(self):
        merger = Matcher(patience=100)
        self.assertEqual(list(merger.add_result(result(1, 5, dip="2001:DB8:0:0::1"), 0)), [])
        (job,) = merger.add_flow(flow(5, dip="2001:db8::1"), 0)
        self.assertEqual(job.missed, 0)

    def test_other_traffic_is_not_taken(self):
        merger = Matcher(patience=100)
        list(merger.add_result(result(1, 5), 0))
        for other in (flow(6), flow(5, dip="192.0.2.2"), {**flow(5), "dp": 81}, {**flow(5), "sp": None, "dp": None}):
            self.assertEqual(list(merger.add_flow(other, 0)), [])
        (job,) = merger.finish()
        self.assertEqual(job.missed, 1)

    def test_a_port_used_twice_is_matched_in_order(self):
        merger = Matcher(patience=100)
        first, second = result(1, 5), result(2, 5)
        self.assertEqual([*merger.add_result(first, 0), *merger.add_result(second, 0)], [])
        (one,) = merger.add_flow(flow(5, pkt_first=1.0), 0)
        (two,) = merger.add_flow(flow(5, pkt_first=2.0), 0)
        self.assertEqual((one.result.job["number"], one.flows[0]["pkt_first"]), (1, 1.0))
        self.assertEqual((two.result.job["number"], two.flows[0]["pkt_first"]), (2, 2.0))

    def test_one_port_of_a_job_is_matched_by_what_began_first(self):
        """Seen on a busy machine: the flow of the second connection had ended before that of the first."""
        first, second = flow(5, pkt_first=10.1, pkt_last=10.9), flow(5, proto=132, pkt_first=10.5, pkt_last=10.6)
        for spans, places in (((), (0, 1)), (((1.0, 1.2), (1.4, 1.5)), (0, 1)), (((1.4, 1.5), (1.0, 1.2)), (1, 0))):
            for flows in ((first, second), (second, first)):
                for early in (False, True):
                    merger = Matcher(patience=100)
                    merged = [] if early else [*merger.add_result(result(1, 5, 5)._replace(spans=spans), 0)]
                    for one in flows:
                        merged += merger.add_flow(one, 0)
                    if early:
                        merged += merger.add_result(result(1, 5, 5)._replace(spans=spans), 0)
                    self.assertEqual([merged[0].flows.index(one) for one in (first, second)], [*places])

    def test_protocols_that_are_told_come_before_the_order(self):
        job = result(1, 5, 5)
        for connection, protocol in zip(job.connections, (132, 6), strict=True):
            connection["proto"] = protocol
        first, second = flow(5, pkt_first=10.1), flow(5, proto=132, pkt_first=10.5)
        merger = Matcher(patience=100)
        merged = [*merger.add_result(job, 0), *merger.add_flow(first, 0), *merger.add_flow(second, 0)]
        self.assertEqual(merged[0].flows, [second, first])

    def test_patience_ends_and_memory_is_given_back(self):
        merger = Matcher(patience=10)
        list(merger.add_result(result(1, 5, 6), 0))
        list(merger.add_flow(flow(5), 1))
        list(merger.add_flow(flow(99), 1))
        (job,) = merger.add_flow(flow(98), 10.5)
        self.assertEqual((job.result.job["number"], job.missed), (1, 1))
        list(merger.add_flow(flow(97), 50))
        self.assertEqual((merger._connections, merger._results, len(merger._flows)), ({}, {}, 1))

    def test_a_flow_that_was_over_before_the_job_began_is_another_connection_s(self):
        """A FIN that is sent again after its flow's end makes a flow of its own; then the port is used again."""
        for first in ("flow", "result"):
            with self.subTest(first=first):
                matcher, later = Matcher(patience=100), result(1, 5)._replace(began=50.0)
                stale, own = flow(5, pkt_first=40.0, pkt_last=41.0), flow(5, pkt_first=50.1, pkt_last=50.2)
                found = []
                if first == "flow":
                    found += matcher.add_flow(stale, 0)
                found += matcher.add_result(later, 0)
                if first == "result":
                    found += matcher.add_flow(stale, 0)
                self.assertEqual(found, [])
                (job,) = matcher.add_flow(own, 0)
                self.assertEqual(job.flows, [own])

    def test_a_flow_of_another_protocol_is_another_connection_s(self):
        """One plugin connects over TCP and UDP, and the kernel gives both the same port: it may."""
        for told, order in itertools.product(((6, 17), (6, None), (None, 17)), itertools.permutations((6, 17))):
            for first in ("flows", "results"):
                if told[0] is None and first == "flows":
                    continue  # nobody can know
                with self.subTest(told=told, order=order, first=first):
                    matcher, made = Matcher(patience=100), [result(number, 5) for number in (1, 2)]
                    for one, protocol in zip(made, told, strict=True):
                        if protocol is not None:
                            one.connections[0]["proto"] = protocol
                    flows = [flow(5, pkt_first=1.0) | {"proto": protocol} for protocol in order]
                    steps = [*(partial(matcher.add_flow, one) for one in flows)]
                    asked = [*(partial(matcher.add_result, one) for one in made)]
                    merged = [job for step in (steps + asked if first == "flows" else asked + steps) for job in step(0)]
                    self.assertEqual({job.result.job["number"]: job.flows[0]["proto"] for job in merged}, {1: 6, 2: 17})

    def test_a_flow_that_comes_too_late_is_not_given_to_another(self):
        merger = Matcher(patience=10)
        list(merger.add_result(result(1, 5), 0))
        (gone,) = merger.add_result(result(2, 6), 20)
        self.assertEqual(gone.result.job["number"], 1)
        self.assertEqual(list(merger.add_flow(flow(5), 21)), [])

    def test_skipped_connections_expect_no_flow(self):
        skipped = Result({"dip": "192.0.2.1"}, [{"spdr_state": CONN_SKIPPED, "sp": 0, "dp": 80}], 0, 0)
        (job,) = Matcher(patience=10).add_result(skipped, 0)
        self.assertEqual((job.flows, job.missed), ([None], 0))

    def test_a_connection_without_a_port_counts_as_missed(self):
        (job,) = Matcher(patience=10).add_result(result(1, 0), 0)
        self.assertEqual(job.missed, 1)

    def test_nothing_is_missed_when_nothing_is_observed(self):
        (job,) = Matcher(patience=10, observing=False).add_result(result(1, 5), 0)
        self.assertEqual((job.flows, job.missed), ([None], 0))

    def test_many_results_at_once_stay_fast_to_give_up(self):
        merger = Matcher(patience=10)
        ports = list(range(1, 5001))
        random.Random(1).shuffle(ports)
        for port in ports:
            list(merger.add_result(result(port, port), 0))
        self.assertEqual(sum(job.missed for job in merger.finish()), 5000)
        self.assertEqual(merger._connections, {})
