"""The plugin for L4S: what it sends, and what follows from what is counted and seen. Its paths are in
tests/lab/test_check.py."""

import argparse
import unittest

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from pathspider import libtrace
from pathspider.chains.tcp import tcp_options
from pathspider.conditions import NOT_OBSERVED
from pathspider.helpers import poller
from pathspider.helpers.forged import LocalError
from pathspider.plugins.l4s import L4S, counters, final_status, request
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from pathspider.traversal import NOT_AS_FORGED

V4, V6 = {"dip": "192.0.2.2", "dp": 80, "domain": "www.example.com"}, {"dip": "2001:db8::2", "dp": 80}
AE, CWR, ECE = 0x100, 0x80, 0x40
ACCURATE, CLASSIC, NONE = CWR, ECE, 0
OK, INTERIM = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def spider(**options):
    """The plugin in a run without packets."""
    return L4S(1, "int:lo", argparse.Namespace(connect="http", timeout=1, source=("192.0.2.1", "2001:db8::1"),
                                               **options))


class Target:
    """A forged flow whose other end answers each packet that is sent with what a test has for it."""

    source_port = 5000

    def __init__(self, *answers):
        self.sent, self.later, self.come = [], [*answers], []

    def send(self, packet):
        self.sent.append(packet)
        if self.later:
            self.come += self.later.pop(0)

    def arrival(self, until):
        return bool(self.come)

    def answers(self):
        while self.come:
            yield self.come.pop(0)


def segment(flags="A", payload=b"", code=0, seq=1001, **fields):
    """What comes back, from its TCP header on."""
    return bytes(TCP(sport=80, dport=5000, seq=seq, flags=int(TCP(flags=flags).flags) | code, **fields) / payload)


SYN_ACK = {code: segment("SA", code=code, seq=1000, options=[("Timestamp", (7, 0))])
           for code in (ACCURATE, CLASSIC, NONE)}


def go_on(job, row, code, *answers):
    """What comes of a SYN-ACK with these flags, and what was sent behind it, as chains see it."""
    plugin, target = spider(), Target([], *answers)
    packet = plugin.forge(job, row)
    raw = bytes(packet)
    course, waits = plugin.go_on(job, packet, raw, SYN_ACK[code], target, poller.clock() + 10), None
    try:
        while True:
            waits = course.send(waits)
    except StopIteration as end:
        result = end.value
    plugin.take_leave(job, raw, target, SYN_ACK[code])
    view = libtrace.IP if job is V4 else libtrace.IP6
    return result, [view(sent) for sent in (raw, *target.sent)]


class TestPackets(unittest.TestCase):
    def test_what_is_sent(self):
        for job in (V4, V6):
            for row, syn_class, data_class in ((0, 0, 0), (1, 0, 1), (2, 1, 1), (3, 180, 181)):
                for code in (ACCURATE, CLASSIC, NONE):
                    result, (syn, ack, data, end) = go_on(job, row, code, [segment(payload=OK)])
                    self.assertEqual(result, {"spdr_state": CONN_OK, "http_status": 200})
                    self.assertEqual([packet.traffic_class for packet in (syn, ack, data, end)],
                                     [syn_class, syn_class, data_class, syn_class])
                    accurate = row and code == ACCURATE
                    self.assertEqual([packet.tcp.flags for packet in (syn, ack, data, end)], [
                        0x1C2 if row else 2, 0x10 | (CWR if accurate else 0), 0x18 | (AE | ECE if accurate else 0), 4])
                    octets = len(request(job))
                    self.assertEqual([packet.tcp.seq_nbr - syn.tcp.seq_nbr & 0xFFFFFFFF for packet in (ack, data, end)],
                                     [1, 1, 1 + octets])
                    self.assertEqual([packet.tcp.ack_nbr for packet in (ack, data)], [1001, 1001])
                    self.assertEqual(tcp_options(data.tcp)[8][4:], bytes((0, 0, 0, 7)))
                    self.assertEqual(bytes(data.data)[-octets:], request(job))

    def test_checksums(self):
        for job, header in ((V4, IP), (V6, IPv6)):
            for sent in go_on(job, 3, ACCURATE, [segment(payload=OK)])[1]:
                packet = header(bytes(sent.data))
                whole = packet.copy()
                del whole[TCP].chksum
                if header is IP:
                    del whole.chksum
                self.assertEqual(bytes(whole), bytes(packet))

    def test_requests(self):
        self.assertRegex(request(V4), rb"^HEAD / HTTP/1\.1\r\nHost: www\.example\.com\r\n(.+\r\n)+\r\n$")
        self.assertIn(b"Host: [2001:db8::2]\r\n", request(V6))
        with self.assertRaisesRegex(LocalError, "bad_domain"):
            request({**V4, "domain": "a b"})
        done = spider().connect({**V4, "domain": "a b"}, 1)  # before anything has left
        self.assertEqual((done["spdr_state"], done["local_error"]), (CONN_SKIPPED, "bad_domain"))


class TestResponses(unittest.TestCase):
    def test_what_is_no_answer_is_waited_through(self):
        others = [segment(), segment(payload=OK, seq=2000), SYN_ACK[NONE]]
        self.assertEqual(go_on(V4, 1, NONE, [*others, segment(payload=OK)])[0]["spdr_state"], CONN_OK)

    def test_a_request_is_sent_again(self):
        result, sent = go_on(V4, 1, NONE, [], [], [segment(payload=OK)])
        self.assertEqual(result["spdr_state"], CONN_OK)
        self.assertEqual([bytes(packet.data) for packet in sent[2:5]], [bytes(sent[2].data)] * 3)

    def test_refusals_and_silence(self):
        for answers, state in (([segment("RA")], CONN_FAILED), ([segment(payload=b"220 mail")], CONN_FAILED),
                               ([segment(payload=INTERIM)], CONN_TIMEOUT), ([], CONN_TIMEOUT),
                               ([segment("FA")], CONN_FAILED), ([segment("FA", INTERIM)], CONN_FAILED),
                               ([segment("FA", OK)], CONN_OK), ([segment("FA", seq=1005)], CONN_TIMEOUT)):
            self.assertEqual(go_on(V6, 2, NONE, answers)[0]["spdr_state"], state, answers)

    def test_a_response_in_several_segments(self):
        whole = INTERIM + b"HTTP/1.1 404 Not Found\r\n\r\n"
        for sizes in ((1,) * len(whole), (3, 20), (len(INTERIM),), (len(INTERIM) + 9,), (5, 0, 5)):
            parts, at = [], 0
            for size in (*sizes, len(whole)):
                parts.append(segment(payload=whole[at:at + size], seq=1001 + at))
                at += size
            for answers in (parts, parts[::-1], [*parts, *parts]):
                self.assertEqual(go_on(V4, 1, NONE, answers)[0], {"spdr_state": CONN_OK, "http_status": 404})

    def test_statuses(self):
        for octets, status in ((b"HTTP/1.0 404 Not Found", 404), (b"HTTP/1.1 200", 200), (b"HTTP/1.1 20", None),
                               (b"HTT", None), (b"HTTP/1.1", None), (b"HTTP/1.1 103 Early", None), (b"", None),
                               (INTERIM, None), (INTERIM + INTERIM + OK, 200), (INTERIM + b"HTTP/1", None)):
            self.assertEqual(final_status(octets), status, octets)
        for octets in (b"HTTP/2 200", b"SSH-2.0", b"H ", b"HTTP/1.1200", b"HTTP/1.1 2x0", b"HTTP/1.1 099 ",
                       INTERIM + b"SSH"):
            with self.assertRaises(ValueError):
                final_status(octets)

    def test_what_an_answer_is(self):
        """Of a probe's data, with ``--locate``."""
        for octets, is_one in ((OK, True), (INTERIM, None), (b"HTT", None), (b"SSH-2.0", False)):
            self.assertIs(spider().is_answer(octets), is_one)


def flow(plugin, row, *, state=CONN_OK, code=NONE, job=V4, **more):
    """A flow of one row: what left as it is forged, and a SYN-ACK with these flags."""
    packet = bytes(plugin.forge(job, row)).hex()
    reply = bytes((IP if job is V4 else IPv6)() / TCP(flags=0x12 | code)).hex()
    dscp = 45 if row == 3 else 0
    return {"spdr_state": state, "forged": packet, "headers_fwd": packet, "headers_rev": reply if state == 0 else None,
            "ecn_ect1_syn_rev": False, "ecn_ect1_data_rev": False, "feedback_ecn_fwd": 1 if row else 0,
            "feedback_octets_fwd": 100, "feedback_again_fwd": False, "feedback_flags_rev": 0x10,
            "feedback_option_rev": None, "dscp_mark_data_fwd": dscp, "tcp_connected": state == CONN_OK,
            "tcp_rst_rev": False,
            **({"variant": ("", "control", "dscp45")[row - 1]} if row else {}), **more}


def accurate(e1=1, ce=0, e0=1, flags=AE | ECE):
    """What an acknowledgement says by counters of accurate ECN."""
    return {"code": ACCURATE, "feedback_flags_rev": 0x10 | flags,
            "feedback_option_rev": "ae" + b"".join(one.to_bytes(3, "big") for one in (e1, ce, e0)).hex()}


class TestVerdicts(unittest.TestCase):
    def said(self, row=1, baseline=None, job=V4, **more):
        """What is said of one row, without its name."""
        plugin = spider()
        flows = [flow(plugin, one, job=job, **(more if one == row else baseline or {} if not one else {}))
                 for one in range(4)]
        prefix = plugin.variants[row - 1].prefix("l4s")
        found = plugin.combine_flows(flows)
        self.assertEqual(len(set(found)), len(found))
        if found[0].startswith("pathspider"):
            return found
        return [one.removeprefix(f"{prefix}.") for one in found
                if one.startswith(f"{prefix}.") and (row > 1 or one.split(".")[1] not in ("control", "dscp45"))]

    def test_what_data_arrived_as(self):
        for more, word in (
            (accurate(101), "arrived"), (accurate(201), "arrived"), (accurate(), "bleached"),
            (accurate(1, 100), "remarked:ect1-ce"), (accurate(1, 0, 101), "remarked:ect1-ect0"),
            (accurate(51), None),
            ({"code": ACCURATE, "feedback_flags_rev": 0x10 | AE | CWR}, "remarked:ect1-ce"),
            ({"code": ACCURATE, "feedback_flags_rev": 0x10 | AE | CWR, "feedback_again_fwd": True}, None),
            ({"code": ACCURATE, "feedback_flags_rev": 0x10 | AE | ECE}, None),
            ({**accurate(101), "code": CLASSIC}, None), ({**accurate(101), "code": NONE}, None),
            ({**accurate(101), "feedback_flags_rev": None}, None),
        ):
            for job in (V4, V6):
                for row in (1, 3):
                    with self.subTest(more, row=row):
                        words = ["connectivity.works", "ect1.reverse.not_seen"]
                        self.assertEqual(self.said(row, job=job, **more),
                                         words + ([f"ect1.forward.{word}"] if word else []))

    def test_what_a_syn_arrived_as(self):
        for code, word in ((CWR, "bleached"), (CWR | ECE, "arrived"), (AE, "remarked:ect1-ect0"),
                           (AE | CWR, "remarked:ect1-ce"), (ECE, None), (0, None), (AE | CWR | ECE, None)):
            found = self.said(2, **{**accurate(101), "code": code})
            self.assertEqual([one for one in found if "forward" in one], [f"ect1.forward.{word}"] if word else [])

    def test_a_copy_of_the_flags_tells_nothing(self):
        """Without the option: who sends that has not copied anything."""
        copy = {"code": CWR | ECE, "feedback_flags_rev": 0x10 | AE | CWR, "ecn_ect1_data_rev": True}
        plugin = spider()
        flows = [flow(plugin, 0), *(flow(plugin, row, **copy) for row in (1, 2, 3))]
        rows = ("l4s", "l4s.control", "l4s.dscp45")
        self.assertEqual(plugin.combine_flows(flows), [f"{row}.connectivity.works" for row in rows])
        flows[1]["feedback_option_rev"] = accurate(101)["feedback_option_rev"]
        found = plugin.combine_flows(flows)
        self.assertIn("l4s.ect1.forward.arrived", found)
        self.assertIn("l4s.ect1.reverse.seen", found)
        flows[1] |= {"feedback_option_rev": None}
        flows[1] |= {"headers_rev": flow(plugin, 1, code=CWR)["headers_rev"]}
        self.assertIn("l4s.control.ect1.forward.arrived", plugin.combine_flows(flows))

    def test_what_the_baseline_got_too_is_no_answer(self):
        found = self.said(1, {"code": ACCURATE}, **accurate(101))
        self.assertEqual(found, ["connectivity.works", "ect1.reverse.not_seen"])

    def test_what_came_back(self):
        for marked in ("ecn_ect1_syn_rev", "ecn_ect1_data_rev"):
            for code, word in ((ACCURATE, "seen"), (CLASSIC, "remarked:ect0-ect1"), (NONE, "remarked:notect-ect1")):
                self.assertEqual(self.said(1, code=code, **{marked: True}),
                                 ["connectivity.works", f"ect1.reverse.{word}"])
                self.assertEqual(self.said(1, {marked: True}, code=code, **{marked: True}),
                                 ["connectivity.works", "ect1.reverse.remarked:notect-ect1"])

    def test_connectivity(self):
        down = {"state": CONN_TIMEOUT}
        self.assertEqual(self.said(3, **down), ["connectivity.broken"])
        for reset, doubt in ((False, ["handshake.works"]), (True, [])):
            self.assertEqual(self.said(3, **down, tcp_connected=True, tcp_rst_rev=reset),
                             ["connectivity.broken", *doubt])
        self.assertEqual(self.said(3, down), ["connectivity.transient", "ect1.reverse.not_seen"])
        self.assertEqual(self.said(3, down, **down), ["connectivity.offline"])

    def test_what_left_otherwise_or_was_not_seen(self):
        for row, more in ((1, {"feedback_ecn_fwd": 0}), (2, {"feedback_ecn_fwd": 3}), (3, {"dscp_mark_data_fwd": 0}),
                          (1, {"headers_fwd": "45"})):
            self.assertEqual(self.said(row, **more), [NOT_AS_FORGED])
        self.assertEqual(self.said(1, {"feedback_ecn_fwd": 1}), [NOT_AS_FORGED])
        self.assertEqual(self.said(1, observed=False, feedback_ecn_fwd=None), [NOT_OBSERVED])

    def test_whose_responses_are_compared(self):
        plugin = spider(baseline="each")
        flows = [{"spdr_state": 0}, {"variant": ""}, {"spdr_state": 1}, {"variant": "control"}, {"spdr_state": 0},
                 {"variant": "dscp45"}]
        for name, place in (("l4s", 1), ("l4s.control", 3), ("l4s.dscp45", 5)):
            self.assertEqual([*map(id, plugin.compared(name, flows))], [id(flows[place - 1]), id(flows[place])])

    def test_counters(self):
        self.assertEqual(counters("ac000001000002000003"), {"ect0": 1, "ce": 2, "ect1": 3})
        self.assertEqual(counters("ae000001000002000003"), {"ect1": 1, "ce": 2, "ect0": 3})
        self.assertEqual(counters("ae0000010000"), {"ect1": 1})
        self.assertEqual((counters("ac"), counters(None)), ({}, {}))


if __name__ == "__main__":
    unittest.main()
