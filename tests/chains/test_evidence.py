"""EvidenceChain: how far a connection came, and who said that it goes no further."""

import json
import struct
import unittest
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import (
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    Raw,
)

from pathspider.chains.basic import BasicChain
from pathspider.chains.evidence import EvidenceChain
from pathspider.lab.addresses import CLIENT_LINK
from pathspider.lab.scenarios import all_cases
from pathspider.libtrace import FlowTable, json_lines
from pathspider.libtrace.compiled import twin
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame
from tests.run.cases import CaseTest, clean, twice

START = 1000.0
"""Time of the first frame; each later one comes a millisecond after the one before it."""
SEQ = 0xFFFFFFF0
"""Sequence number of our SYN: data on it goes over the end of the number space."""


class Path:
    """Packets between us and a target, and errors that a router sends about them."""

    ours, target, router = "192.0.2.1", "198.51.100.1", "203.0.113.9"

    def ip(self, src, dst, ttl=64, tos=0):
        return IP(src=src, dst=dst, ttl=ttl, tos=tos, id=7)

    def out(self, what, **fields):
        return frame(self.ip(self.ours, self.target, **fields) / what)

    def back(self, what, ttl=50):
        return frame(self.ip(self.target, self.ours, ttl) / what)

    def syn(self, seq=SEQ, data=b"", **fields):
        return self.out(TCP(sport=1234, dport=80, flags="S", seq=seq) / Raw(data), **fields)

    def synack(self, ack=SEQ + 1, ttl=50, flags="SA", data=b""):
        return self.back(TCP(sport=80, dport=1234, flags=flags, seq=99, ack=ack & 0xFFFFFFFF) / Raw(data), ttl)

    def rst(self, ack=SEQ + 1, ttl=40, flags="RA"):
        return self.synack(ack, ttl, flags)

    def request(self):
        return self.out(TCP(sport=1234, dport=80, flags="PA", seq=SEQ + 1, ack=100) / Raw(b"GET /"))

    def response(self):
        return self.back(TCP(sport=80, dport=1234, flags="PA", seq=100, ack=SEQ + 6 & 0xFFFFFFFF) / Raw(b"200"))

    def query(self):
        return self.out(UDP(sport=5353, dport=53) / Raw(b"query"))

    def answer(self):
        return self.back(UDP(sport=53, dport=5353) / Raw(b"answer"))

    def error(self, quote, kind=3, code=1, length=0, ttl=30):
        message = struct.pack("!BBHBBH", kind, code, 0, 0, length, 0)
        return frame(IP(src=self.router, dst=self.ours, ttl=ttl, proto=1) / Raw(message + quote))

    headers = 20
    unreachable, expired, parameter, too_big = (3, 1), (11, 0), (12, 0), (3, 4)
    no_failures = ((3, 4), (4, 0), (5, 1))
    ident = 7


class Path6(Path):
    ours, target, router = "2001:db8::1", "2001:db8::2", "2001:db8::9"

    def ip(self, src, dst, ttl=64, tos=0):
        return IPv6(src=src, dst=dst, hlim=ttl, tc=tos)

    def error(self, quote, kind=1, code=0, length=0, ttl=30):
        message = struct.pack("!BBHBBH", kind, code, 0, length, 0, 0)
        return frame(IPv6(src=self.router, dst=self.ours, hlim=ttl, nh=58) / Raw(message + quote))

    headers = 40
    unreachable, expired, parameter, too_big = (1, 1), (3, 0), (4, 0), (2, 0)
    no_failures = ((2, 0),)
    ident = None


def at(number):
    """The time of a frame."""
    return START + number / 1000


class Evidence(ChainTest):
    def over_both(self):
        for path in (Path(), Path6()):
            with self.subTest(path=type(path).__name__):
                yield path

    def told(self, *frames, **expected):
        """The record of frames has these values, and no other that a new record has not."""
        record = self.flow(EvidenceChain, *frames)
        found = {name.removeprefix("evidence_"): value for name, value in record.items()
                 if value != EvidenceChain.fields[name].initial}
        self.assertEqual(found, expected)
        return record

    def test_syns_without_an_answer(self):
        for path in self.over_both():
            self.told(path.syn(), failure="no_handshake", failed_at=at(0), syns_fwd=1)
            self.told(*[path.syn()] * 4, failure="no_handshake", failed_at=at(3), syns_fwd=4)

    def test_a_connection_that_is_answered(self):
        for path in self.over_both():
            ack = path.out(TCP(sport=1234, dport=80, flags="A", seq=SEQ + 1, ack=100))
            self.told(path.syn(), path.synack(), ack, path.request(), path.response(), path.rst(),
                      syns_fwd=1, synack_ttl=50, rtt=0.001, asked_at=at(3), answered_at=at(4), rst_ttl=40)

    def test_the_round_trip_is_that_of_the_last_syn(self):
        for path in self.over_both():
            self.told(path.syn(), path.syn(), path.synack(), path.synack(ttl=9), path.syn(), path.response(),
                      syns_fwd=3, synack_ttl=50, rtt=0.001, answered_at=at(5))

    def test_a_clock_that_was_set_back_gives_no_round_trip(self):
        for kind in (EvidenceChain, twin(EvidenceChain)):
            table = FlowTable([kind()])
            table.feed(Path().syn(), START)
            table.feed(Path().synack(), START - 0.5)
            (record,) = table.flush()
            self.assertEqual((record["evidence_rtt"], record["evidence_synack_ttl"]), (None, 50))

    def test_data_behind_their_fin(self):
        for path in self.over_both():
            fin = path.back(TCP(sport=80, dport=1234, flags="FA", seq=999, ack=SEQ + 1))
            told = {"syns_fwd": 1, "synack_ttl": 50, "rtt": 0.001, "asked_at": at(2)}
            self.told(path.syn(), path.synack(), path.request(), fin, path.response(), **told, answered_at=at(4),
                      after_fin=True)
            self.told(path.syn(), path.synack(), path.request(), path.response(), fin, path.response(), **told,
                      answered_at=at(3))

    def test_a_handshake_and_nothing_after_it(self):
        for path in self.over_both():
            handshake = {"syns_fwd": 1, "synack_ttl": 50, "rtt": 0.001, "failure": "no_answer"}
            self.told(path.syn(), path.synack(), **handshake, failed_at=at(1))
            handshake |= {"asked_at": at(2), "failed_at": at(3)}
            self.told(path.syn(), path.synack(), path.request(), path.request(), **handshake)
            self.told(path.syn(), path.synack(), path.request(), path.rst(), **handshake, rst_ttl=40)

    def test_data_on_the_syn_ack_is_an_answer(self):
        for path in self.over_both():
            self.told(path.syn(), path.synack(data=b"early"), syns_fwd=1, synack_ttl=50, rtt=0.001, answered_at=at(1))

    def test_a_rst_in_answer_to_a_syn(self):
        for path in self.over_both():
            self.told(path.syn(), path.syn(), path.rst(), path.rst(ttl=9),
                      syns_fwd=2, failure="refused", failed_at=at(2), rst_ttl=40)

    def test_a_rst_that_does_not_acknowledge_the_syn_is_not_believed(self):
        for path in self.over_both():
            for bogus in (path.rst(SEQ), path.rst(SEQ + 2), path.rst(flags="R")):
                self.told(path.syn(), bogus, failure="no_handshake", failed_at=at(0), syns_fwd=1)

    def test_a_syn_ack_that_does_not_acknowledge_the_syn_is_no_handshake(self):
        for path in self.over_both():
            ours = path.out(TCP(sport=1234, dport=80, flags="R", seq=4711))
            for ack in (SEQ, SEQ + 2, 4711, 0):
                bogus = [path.syn(), path.synack(ack, ttl=20), path.synack(ack, ttl=21), ours]
                failed = {"failure": "no_handshake", "bogus_synack_ttl": 20}
                self.told(*bogus, **failed, failed_at=at(0), syns_fwd=1)
                self.told(*bogus, path.response(), **failed, failed_at=at(0), syns_fwd=1)
                self.told(*bogus, path.syn(), path.synack(), syns_fwd=2, bogus_synack_ttl=20, synack_ttl=50,
                          rtt=0.001, failure="no_answer", failed_at=at(5))

    def test_a_syn_with_data_may_be_acknowledged_with_all_or_some_or_none_of_it(self):
        for path in self.over_both():
            data = bytes(40)  # over the end of the number space
            for acked, good in ((0, True), (1, True), (40, True), (41, False), (-1, False)):
                for again in ([], [path.syn()]):  # without the data, as after a fallback
                    frames = [path.syn(data=data), *again, path.synack(SEQ + 1 + acked)]
                    record = self.flow(EvidenceChain, *frames)
                    self.assertEqual(record["evidence_synack_ttl"], 50 if good else None, acked)
                    self.assertEqual(record["evidence_bogus_synack_ttl"], None if good else 50, acked)
            record = self.flow(EvidenceChain, path.syn(data=data), path.syn(seq=5), path.synack(36))
            self.assertIsNone(record["evidence_synack_ttl"])  # that SYN had none

    def test_what_is_no_syn_is_not_counted(self):
        for path in self.over_both():
            odd = [path.out(TCP(sport=1234, dport=80, flags=flags, seq=SEQ)) for flags in ("SA", "SR", "A", "R", "FA")]
            self.told(*odd)
            self.told(path.syn(), path.synack(flags="S"), syns_fwd=1, failure="no_handshake", failed_at=at(0))

    def test_a_capture_that_begins_in_the_middle(self):
        for path in self.over_both():
            self.told(path.request(), asked_at=at(0))
            self.told(path.request(), path.request(), path.response(), path.request(), asked_at=at(0),
                      answered_at=at(2))
            self.told(path.request(), path.rst(), asked_at=at(0), rst_ttl=40)

    def test_datagrams(self):
        for path in self.over_both():
            self.told(path.query(), path.query(), datagrams_fwd=2, failure="no_answer", failed_at=at(1))
            self.told(path.query(), path.query(), path.answer(), path.query(), path.answer(),
                      datagrams_fwd=2, answered_at=at(2))

    def test_icmp_errors(self):
        for path in self.over_both():
            for sent, count in ((path.syn(tos=0x2B, ttl=3), "syns_fwd"), (path.query(), "datagrams_fwd")):
                for kind, code in (path.unreachable, path.expired, path.parameter):
                    error = path.error(sent[14:], kind, code)
                    other = path.error(sent[14:], *path.unreachable, ttl=9)
                    record = self.flow(EvidenceChain, sent, error, sent, other)
                    self.assertEqual(
                        {name: record[f"evidence_{name}"] for name in (
                            "failure", "failed_at", count, "icmp_type", "icmp_code", "icmp_from", "icmp_ttl")},
                        {"failure": "icmp", "failed_at": at(1), count: 2, "icmp_type": kind, "icmp_code": code,
                         "icmp_from": path.router, "icmp_ttl": 30})

    def test_messages_that_are_no_failure(self):
        for path in self.over_both():
            for kind, code in path.no_failures:
                self.told(path.syn(), path.error(path.syn()[14:], kind, code),
                          syns_fwd=1, failure="no_handshake", failed_at=at(0))

    def test_an_error_about_what_came_back_is_not_ours(self):
        for path in self.over_both():
            self.told(path.query(), path.answer(), path.error(path.answer()[14:]), datagrams_fwd=1, answered_at=at(1))

    def test_a_stray_error_about_another_syn(self):
        for path in self.over_both():
            for octets in (path.headers + 8, None):
                self.told(path.syn(), path.error(path.syn(seq=5)[14:][:octets]),
                          syns_fwd=1, failure="no_handshake", failed_at=at(0))

    def test_an_error_is_overtaken_by_the_handshake_and_by_an_answer(self):
        for path in self.over_both():
            error = path.error(path.syn()[14:])
            for frames, failure, failed in (
                ([path.syn(), error, path.syn()], "icmp", at(1)),
                ([path.syn(), error, path.rst()], "icmp", at(1)),
                ([path.syn(), path.rst(), error], "refused", at(1)),
                ([path.syn(), error, path.syn(), path.synack()], "no_answer", at(3)),
                ([path.syn(), path.synack(), path.request(), path.error(path.request()[14:])], "icmp", at(3)),
                ([path.syn(), path.synack(), path.response(), error], None, None),
                ([path.query(), path.error(path.query()[14:]), path.query(), path.answer()], None, None),
            ):
                record = self.flow(EvidenceChain, *frames)
                self.assertEqual((record["evidence_failure"], record["evidence_failed_at"]), (failure, failed))
                self.assertEqual(record["evidence_icmp_from"], path.router)

    def test_quotations_of_all_lengths(self):
        for path in self.over_both():
            ip = {"sip": path.ours, "dip": path.target, "ttl": 3, "traffic_class": 0x2B, "ident": path.ident}
            sent = {6: path.syn(data=bytes(60), tos=0x2B, ttl=3)[14:],
                    17: path.out(UDP(sport=1234, dport=80) / Raw(bytes(72)), tos=0x2B, ttl=3)[14:]}
            for proto, packet in sent.items():
                for octets in (*range(path.headers + 4, path.headers + 24), len(packet)):
                    record = self.flow(EvidenceChain, path.error(packet[:octets]))
                    self.assertEqual(record["evidence_failure"], "icmp")
                    beyond = octets - path.headers
                    self.assertEqual(record["evidence_icmp_quoted"], {
                        **ip, "proto": proto, "sp": 1234, "dp": 80, "length": path.headers + 80, "octets": octets,
                        "tcp_seq": SEQ if proto == 6 and beyond >= 8 else None,
                        "tcp_flags": 2 if proto == 6 and beyond >= 14 else None}, octets)

    def test_a_quotation_that_ends_before_the_ports_is_in_the_flow_without_ports(self):
        for path in self.over_both():
            for octets in range(path.headers, path.headers + 4):
                flows = self.flows(EvidenceChain, [path.syn(), path.error(path.syn()[14:][:octets])])
                self.assertEqual([flow["evidence_failure"] for flow in flows], ["no_handshake", "icmp"])
                quoted = flows[1]["evidence_icmp_quoted"]
                self.assertEqual((quoted["octets"], quoted["tcp_seq"], quoted["dp"]), (octets, None, None))
                self.assertEqual(quoted["sp"], 1234 if octets >= path.headers + 2 else None)

    def test_a_quotation_that_is_no_packet_is_nobodys(self):
        for path in self.over_both():
            for quote in (b"", b"\x45", path.syn()[14:][:path.headers - 1], bytes(60)):
                for flow in self.flows(EvidenceChain, [path.syn(), path.error(quote)]):
                    self.assertIsNone(flow["evidence_icmp_type"])

    def test_extensions_behind_a_quotation_are_none_of_it(self):
        for path in self.over_both():
            packet = path.syn(data=bytes(400))[14:]
            unit = 4 if path.headers == 20 else 8
            extension = b"\x20\0\0\0\0\x08\x01\x01\x12\x34\x56\x78"
            for length, octets in ((0, 140), (8, 140), (128 // unit, 128), (255, 140)):
                error = path.error(packet[:128] + extension, length=length)
                self.assertEqual(self.flow(EvidenceChain, error)["evidence_icmp_quoted"]["octets"], octets)
            for kind, code in (path.unreachable, path.parameter):  # ICMPv6 has its pointer where others have a length
                padded = path.syn()[14:] + bytes(200)
                error = path.error(padded[:160], kind, code, 128 // unit)
                quoted = self.flow(EvidenceChain, error)["evidence_icmp_quoted"]
                self.assertEqual(quoted["octets"], path.headers + 20)

    def test_messages_as_scapy_makes_them(self):
        inner = IPv6(src=Path6.ours, dst=Path6.target) / TCP(sport=1234, dport=80, seq=SEQ, flags="S")
        for message, kind in ((ICMPv6DestUnreach(code=4), 1), (ICMPv6TimeExceeded(), 3), (ICMPv6ParamProblem(), 4),
                              (ICMPv6PacketTooBig(), None)):
            error = frame(IPv6(src=Path6.router, dst=Path6.ours) / message / inner)
            self.assertEqual(self.flow(EvidenceChain, frame(inner), error)["evidence_icmp_type"], kind)
        inner = IP(src=Path.ours, dst=Path.target) / SCTP(sport=1234, dport=80, tag=1)
        error = frame(IP(src=Path.router, dst=Path.ours) / ICMP(type=3, code=2) / inner)
        record = self.flow(EvidenceChain, frame(inner), error)
        self.assertEqual((record["evidence_failure"], record["evidence_icmp_code"]), ("icmp", 2))
        self.assertEqual((record["evidence_icmp_quoted"]["proto"], record["evidence_icmp_quoted"]["dp"]), (132, 80))

    def test_records_are_lines_of_json(self):
        for path in self.over_both():
            record = self.flow(EvidenceChain, path.syn(), path.error(path.syn()[14:]))
            self.assertEqual(json.loads(json_lines([record])), record)

    def test_what_was_noted_for_itself_leaves_no_trace_beside_other_chains(self):
        table = FlowTable([BasicChain(), EvidenceChain()])
        table.feed(Path().syn(), START)
        (record,) = table.flush()
        self.assertEqual(set(record), {*BasicChain.fields, *EvidenceChain.fields, "pkt_first", "pkt_last"})


EVENTS = {
    "syn": Path.syn, "synack": Path.synack, "bogus": lambda path: path.synack(7), "rst": Path.rst,
    "stray rst": lambda path: path.rst(7), "request": Path.request, "response": Path.response,
    "error": lambda path: path.error(path.syn()[14:], *path.unreachable),
    "stray error": lambda path: path.error(path.syn(seq=5)[14:], *path.unreachable),
    "too big": lambda path: path.error(path.syn()[14:], *path.too_big),
}
PACKETS = {kind: {event: make(kind()) for event, make in EVENTS.items()} for kind in (Path, Path6)}


class AnyOrder(ChainTest):
    """After a SYN, whatever comes in whatever order: what the fields say of each other."""

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from([Path, Path6]), st.lists(st.sampled_from(sorted(EVENTS)), max_size=10))
    def test_invariants(self, kind, events):
        events = ["syn", *events]
        record = self.flow(EvidenceChain, *[PACKETS[kind][event] for event in events])
        value = {name.removeprefix("evidence_"): found for name, found in record.items()}
        self.assertEqual(value["syns_fwd"], events.count("syn"))
        self.assertEqual(value["synack_ttl"] is not None, "synack" in events)
        self.assertEqual(value["icmp_type"] is not None,
                         "error" in events or "stray error" in events[events.index("synack"):]
                         if "synack" in events else "error" in events)
        self.assertEqual(value["failure"] is None, value["answered_at"] is not None)
        self.assertEqual(value["failed_at"] is None, value["failure"] is None)
        answered = "synack" in events and "response" in events[events.index("synack"):]
        self.assertEqual(value["answered_at"] is not None, answered)
        if value["failure"] == "no_handshake":
            self.assertTrue(value["rst_ttl"] is value["icmp_type"] is value["synack_ttl"] is None)
        if value["failure"] == "refused":
            self.assertTrue(value["rst_ttl"] and value["synack_ttl"] is None)
        if value["failure"] == "icmp":
            self.assertIsNotNone(value["icmp_from"])
        if value["failure"] == "no_answer":
            self.assertEqual(value["synack_ttl"], 50)


CHOOSY = """
    def conn_two(self, job, config):
        from pathspider.base import CONN_FAILED
        from pathspider.helpers.http import connect_http
        return {**connect_http(self.source, job, self.args.timeout), "spdr_state": CONN_FAILED}

    def create_observer(self):
        from pathspider.observer import Observer
        return Observer(self.libtrace_uri, chains=self.chains)
"""


class InTheLab(CaseTest):
    """What whole runs say of paths whose truth is known, with plugins that do not know of the chain too."""

    def run_of(self, jobs, *words, tree=None):
        return self.start(jobs, "--output-flows", *words, "--timeout", "2", tree=tree)

    def flows_of(self, run):
        """The flow records of a run: job and flow, the chain's prefix left out."""
        records, errors = self.finish(run)
        self.assertEqual(run.returncode, 0, errors)
        self.assertTrue(records)
        return [(record, {name.removeprefix("evidence_"): value for name, value in flow.items()})
                for record in records for flow in record["flow_results"]]

    def test_whole_runs(self):
        names = {"ecn-offline-tcp", "ecn-offline-closed", "ecn-offline-unreachable", "ecn-clean-tcp"}
        paths = [case.job for case in all_cases("ecn") if case.scenario.name in names]
        silent = [case.job for case in all_cases("dscp") if case.scenario.name == "dscp-dns-silent"]
        waiting = [*clean(1, 4, 53), *clean(1, 6, 53)]  # a DNS server, which waits for the rest of a message
        runs = [
            self.run_of(paths, "third", tree=self.tree("third", twice("third"))),
            self.run_of(silent, "dscp", "--connect", "dnsudp"),
            self.run_of(waiting, "ecn", "--connect", "http"),
            self.run_of([*clean(1), *clean(1, 6)], "choosy", tree=self.tree("choosy", twice("choosy", CHOOSY))),
        ]
        third, silent, waiting, choosy = map(self.flows_of, runs)
        self.assertEqual(len(third), 4 * 2 * 2)
        for record, flow in third:
            with self.subTest(scenario=record["scenario"], ip=record["dip"]):
                self.check(record["scenario"], flow, ":" in record["dip"])
        for _, flow in silent:
            self.assertEqual((flow["failure"], flow["syns_fwd"], flow["answered_at"]), ("no_answer", 0, None))
            self.assertGreaterEqual(flow["datagrams_fwd"], 1)
        for _, flow in waiting:
            self.assertEqual((flow["failure"], flow["answered_at"]), ("no_answer", None))
            self.assertTrue(flow["pkt_first"] < flow["failed_at"] <= flow["pkt_last"])
        self.assertEqual([flow["failure"] for _, flow in choosy], [None, "bad_answer"] * 2)
        for _, flow in choosy[1::2]:
            self.assertTrue(flow["pkt_first"] < flow["failed_at"] == flow["answered_at"])

    def check(self, scenario, flow, six):
        self.assertGreaterEqual(flow["syns_fwd"], 1)
        if scenario == "ecn-clean-tcp":
            self.assertEqual((flow["spdr_state"], flow["failure"], flow["failed_at"]), (0, None, None))
            self.assertGreater(flow["rtt"], 0)
            self.assertIn(flow["synack_ttl"], range(60, 65))
            return
        self.assertNotEqual(flow["spdr_state"], 0)
        self.assertIsNone(flow["synack_ttl"])
        self.assertTrue(flow["pkt_first"] <= flow["failed_at"] <= flow["pkt_last"])
        if scenario == "ecn-offline-tcp":
            self.assertEqual(flow["failure"], "no_handshake")
            self.assertGreaterEqual(flow["syns_fwd"], 2)  # the kernel's second comes after a second
        elif scenario == "ecn-offline-closed":
            self.assertEqual((flow["failure"], flow["icmp_type"]), ("refused", None))
            self.assertIn(flow["rst_ttl"], range(60, 65))
        else:
            self.assertEqual((flow["failure"], flow["rst_ttl"]), ("icmp", None))
            self.assertEqual((flow["icmp_type"], flow["icmp_code"]), (1, 3) if six else (3, 1))
            self.assertEqual(ip_address(flow["icmp_from"]), ip_address(CLIENT_LINK.near[six]))
            quoted = flow["icmp_quoted"]
            self.assertEqual((quoted["dip"], quoted["dp"], quoted["sp"], quoted["proto"], quoted["tcp_flags"]),
                             (flow["dip"], flow["dp"], flow["sp"], 6, 2))


if __name__ == "__main__":
    unittest.main()
