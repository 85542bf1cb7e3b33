"""Records: when, by which path, what the plugin says, and what is kept from the job."""

import time
import unittest
from datetime import UTC, datetime

from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.records import (
    CONN_DISCARD,
    CONN_FAILED,
    CONN_OK,
    CONN_SKIPPED,
    CONN_TIMEOUT,
    Result,
    Unmeasured,
    to_measure,
)
from pathspider.run.judge import Judge, first_packet, path_to, timestamp
from pathspider.run.match import Merged
from tests.run.spiders import Nowhere, make


def seconds(text):
    """A record's time as seconds since the epoch."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()


class JudgeCase(unittest.TestCase):
    def judge(self, spider=Nowhere, **arguments):
        return Judge(make(spider, source=("192.0.2.200", "2001:db8::200"), **arguments))

    def merged(self, flows=(None, None), job=None, order=(0, 1), missed=0, **connection):
        connections = [{"spdr_state": CONN_OK, "sp": 1, "dp": 80, "config": config, **connection}
                       for config in range(len(flows))]
        job = {"dip": "192.0.2.1", "dp": 80} if job is None else job
        return Merged(Result(job, connections, 100.0, 101.5, 0, order), [*flows], missed)


class TestRecord(JudgeCase):
    def test_time_begins_with_the_first_packet_that_was_captured(self):
        for stamps, begin in (((100.5, 100.25), 100.25), ((None, 100.75), 100.75), ((None, None), 100.0)):
            flows = [stamp and {"pkt_first": stamp} for stamp in stamps]
            (record,) = self.judge().record(self.merged(flows))
            self.assertEqual(record["time"], {"from": timestamp(begin), "to": timestamp(101.5)})

    def test_responses_are_compared_for_plugins_that_want_it(self):
        class Old(Nowhere):
            def combine_flows(self, flows):
                return ["x.connectivity.works"]

        class New(Old):
            compares_responses = True

        merged = self.merged()
        for status, connection in zip((200, 403), merged.result.connections, strict=True):
            connection["http_status"] = status
        for spider, more in ((Old, []), (New, ["x.response.differs:200:403"])):
            (record,) = self.judge(spider).record(merged)
            self.assertEqual(record["conditions"], ["x.connectivity.works", *more])

    def test_a_flow_without_a_time(self):
        self.assertEqual(first_packet([{}, {"pkt_first": None}], 7.0), 7.0)

    def test_the_order_of_the_connections_where_there_are_several(self):
        (record,) = self.judge().record(self.merged(order=(1, 0)))
        self.assertEqual(record["order"], [1, 0])
        (record,) = self.judge().record(self.merged([None], order=(0,)))
        self.assertNotIn("order", record)

    def test_the_record_has_both_spellings_of_a_name(self):
        job = {"dip": "192.0.2.1", "dp": 80, "domain": "straße.de", "domain_ascii": "from-an-older-record.example"}
        records = [*self.judge().record(self.merged(job=job)), *self.judge().unmeasured(Unmeasured(job, "a.b"))]
        for record in records:
            self.assertEqual((record["domain"], record["domain_ascii"]), ("straße.de", "xn--strae-oqa.de"))
            self.assertEqual(to_measure(record), {"dip": "192.0.2.1", "dp": 80, "domain": "straße.de"})
        (record,) = self.judge().record(self.merged(job={**to_measure(job), "domain": "example.org"}))
        self.assertNotIn("domain_ascii", record)

    def test_the_job_s_keys_are_kept_and_never_stand_in_for_what_was_observed(self):
        seen = []

        class Looking(Nowhere):
            def combine_flows(self, flows):
                seen.extend(flows)
                return []

        job = {"dip": "2001:DB8::1", "dp": 80, "rank": 7, "tcp_connected": True, "spdr_state": 9, "config": 9}
        flows = [{"dip": "2001:db8::1", "tcp_connected": False, "sp": 1}, None]
        (record,) = self.judge(Looking).record(self.merged(flows, job))
        self.assertEqual({key: record[key] for key in job}, job)
        self.assertEqual([(flow["dip"], flow["rank"], flow["spdr_state"], flow["config"], flow["observed"])
                          for flow in seen], [("2001:DB8::1", 7, 0, 0, True), ("2001:DB8::1", 7, 0, 1, False)])
        self.assertIs(seen[0]["tcp_connected"], False)

    def test_how_a_connection_failed(self):
        class Observing(Nowhere):
            chains = [BasicChain]

        for state, seen, answered, expected in (
            (CONN_TIMEOUT, "no_handshake", None, ("no_handshake", 5.0)),
            (CONN_FAILED, "icmp", None, ("icmp", 5.0)),
            (CONN_FAILED, None, 7.0, ("bad_answer", 7.0)),
            (CONN_TIMEOUT, None, None, (None, None)),  # the chain knows nothing of this protocol
            (CONN_OK, "no_answer", None, (None, None)),  # a handshake was all that was asked for
            (CONN_OK, None, 7.0, (None, None)),
            (CONN_SKIPPED, "no_handshake", None, (None, None)),
        ):
            flow = {"evidence_failure": seen, "evidence_failed_at": seen and 5.0, "evidence_answered_at": answered,
                    "evidence_syns_fwd": 3}
            merged = self.merged([flow, None], spdr_state=state)
            (record,) = self.judge(Observing, output_flows=True).record(merged)
            told, unseen = record["flow_results"]
            self.assertEqual((told["evidence_failure"], told["evidence_failed_at"]), expected)
            self.assertEqual(told["evidence_syns_fwd"], 3)
            self.assertEqual((unseen["evidence_failure"], unseen["evidence_syns_fwd"]), (None, 0))

    def test_what_an_icmp_error_ended_though_a_syn_ack_came_behind_it(self):
        class Observing(Nowhere):
            chains = [BasicChain]

        for error, kind, expected in (("EHOSTUNREACH", 3, "icmp"), ("EHOSTUNREACH", None, "no_answer"),
                                      ("ECONNRESET", 3, "no_answer")):
            flow = {"evidence_failure": "no_answer", "evidence_failed_at": 5.0, "evidence_icmp_type": kind}
            merged = self.merged([flow, None], spdr_state=CONN_FAILED, error=error)
            (record,) = self.judge(Observing, output_flows=True).record(merged)
            self.assertEqual(record["flow_results"][0]["evidence_failure"], expected)

    def test_evidence_that_is_a_job_s_own_or_that_nobody_noted(self):
        job = {"dip": "192.0.2.1", "dp": 80, "evidence_failure": "mine"}
        (record,) = self.judge(output_flows=True).record(self.merged(job=job))
        self.assertEqual([flow["evidence_failure"] for flow in record["flow_results"]], ["mine"] * 2)

        class Choosing(Nowhere):
            chains = [BasicChain]

            def merge(self, flow, res):
                return {"spdr_state": res["spdr_state"], "config": res["config"]}

        (record,) = self.judge(Choosing, output_flows=True).record(self.merged([{"evidence_failure": "icmp"}]))
        self.assertIsNone(record["flow_results"][0]["evidence_failure"])

    def test_a_job_that_the_plugin_wants_no_record_of(self):
        self.assertEqual([*self.judge().record(self.merged(spdr_state=CONN_DISCARD))], [])

    def test_the_plugin_is_asked_last(self):
        for merged, expected in (
            (self.merged(local_error="EMFILE", spdr_state=CONN_SKIPPED), ["pathspider.local_error:EMFILE"]),
            (self.merged(spdr_state=CONN_SKIPPED, skipped="because"), ["pathspider.skipped:because"]),
            (self.merged(spdr_state=CONN_SKIPPED, skipped="because", missed=1),
             ["pathspider.skipped:because", "pathspider.missed_flows:1"]),
            (self.merged(missed=2), ["up.0", "up.1", "pathspider.missed_flows:2"]),
            (self.merged(), ["up.0", "up.1"]),
        ):
            (record,) = self.judge().record(merged)
            self.assertEqual(record["conditions"], expected)

    def test_a_flow_that_was_not_observed_has_its_chains_initial_values(self):
        seen = []

        class Looking(Nowhere):
            chains = [BasicChain, TCPChain]

            def combine_flows(self, flows):
                seen.extend(flows)

        job = {"dip": "192.0.2.1", "dp": 80, "rank": 7, "tcp_connected": True, "pkt_rev": 9}
        (record,) = self.judge(Looking).record(self.merged([None], job, (0,), missed=1))
        self.assertEqual(record["conditions"], ["pathspider.not_observed", "pathspider.missed_flows:1"])
        (flow,) = seen
        self.assertEqual({**flow, "observed": False, "dip": "192.0.2.1", "dp": 80, "sp": 1, "rank": 7, "proto": None,
                          "tcp_connected": False, "tcp_synflags_fwd": None, "pkt_rev": 0}, flow)

    def test_the_plugin_is_not_asked_while_the_capture_loses_packets(self):
        judge = self.judge()
        judge.spider.capture_losses = lambda: 1
        for missed, expected in ((0, []), (1, ["pathspider.missed_flows:1"])):
            (record,) = judge.record(self.merged(missed=missed))
            self.assertEqual(record["conditions"], ["pathspider.not_observed",
                                                    "pathspider.local_error:capture_lost_packets", *expected])

    def test_flows_where_they_are_asked_for(self):
        (record,) = self.judge(output_flows=True).record(self.merged(missed=1))
        self.assertEqual(([flow["config"] for flow in record["flow_results"]], record["missed_flows"]), ([0, 1], 1))

    def test_conditions_are_strings_in_a_list(self):
        for conditions, expected in ((None, []), ([], []), (("a", "b"), ["a", "b"]), (iter(["a"]), ["a"])):
            class Saying(Nowhere):
                def combine_flows(self, flows, said=conditions):
                    return said

            (record,) = self.judge(Saying).record(self.merged())
            self.assertEqual(record["conditions"], expected)

    def test_rubbish_is_the_plugin_s_mistake(self):
        for rubbish in ("ecn.connectivity.works", ["a", None], [float("nan")], 7, [b"a"]):
            class Saying(Nowhere):
                def combine_flows(self, flows, said=rubbish):
                    return said

            with self.assertRaises(TypeError):
                next(self.judge(Saying).record(self.merged()))


class TestUnmeasured(JudgeCase):
    def test_the_moment_of_the_decision(self):
        judge = self.judge()
        (record,) = judge.unmeasured(Unmeasured({"dip": "192.0.2.1"}, "pathspider.blocklisted", moment=12.5))
        self.assertEqual(record, {"dip": "192.0.2.1", "path": ["192.0.2.200", "*", "192.0.2.1"],
                                  "conditions": ["pathspider.blocklisted"],
                                  "time": {"from": timestamp(12.5), "to": timestamp(12.5)},
                                  "run": judge.options.run})

    def test_now_where_it_is_not_told(self):
        before = time.time()
        (record,) = self.judge().unmeasured(Unmeasured({"dip": "nonsense", "n": 1}, "x", "ZeroDivisionError: y"))
        self.assertTrue(before - 1e-3 <= seconds(record["time"]["from"]) <= time.time() + 1e-3)
        self.assertEqual((record["error"], record["n"]), ("ZeroDivisionError: y", 1))

    def test_jobs_that_are_no_jobs_have_a_path(self):
        for job in ({}, {"dip": None}, {"dip": 7}, {"dip": ["x"]}):
            (record,) = self.judge().unmeasured(Unmeasured(job, "x"))
            self.assertEqual(record["path"], ["192.0.2.200", "*", job.get("dip")])


class TestParts(unittest.TestCase):
    def test_path(self):
        source = (["192.0.2.1"], ["2001:db8::1"])
        self.assertEqual(path_to({"dip": "192.0.2.9"}, source), ["192.0.2.1", "*", "192.0.2.9"])
        self.assertEqual(path_to({"dip": "2001:db8::9"}, source), ["2001:db8::1", "*", "2001:db8::9"])
        for known in (
            {"dip_asn": 64496},
            {"dip_asn": "AS64496"},
            {"dip_asn": 64496.0},
            {"info": {"ASN": "64496"}},
            {"canid_info": {"ASN": 64496}},
        ):
            self.assertEqual(path_to({"dip": "192.0.2.9", **known}, source), ["192.0.2.1", "*", "AS64496", "192.0.2.9"])
        for unknown in (*({"dip_asn": value} for value in (None, "x", 64496.5, float("inf"))), {"info": "x"},
                        {"canid_info": {}}):
            self.assertEqual(len(path_to({"dip": "192.0.2.9", **unknown}, source)), 3)
        looked_up = (["203.0.113.1", "AS64499"], [None])
        self.assertEqual(path_to({"dip": "192.0.2.9", "dip_asn": 64496}, looked_up),
                         ["203.0.113.1", "AS64499", "*", "AS64496", "192.0.2.9"])
        self.assertEqual(path_to({"dip": "2001:db8::9"}, looked_up), [None, "*", "2001:db8::9"])

    def test_timestamp(self):
        self.assertEqual(timestamp(0.25), "1970-01-01 00:00:00.250000")


if __name__ == "__main__":
    unittest.main()
