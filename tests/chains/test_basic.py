"""BasicChain: the 5-tuple and counters, different in each direction."""

import unittest

from scapy.all import ICMP, IP, SCTP, UDP, IPv6, Raw

from pathspider.chains.basic import BasicChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


class Basic(ChainTest):
    def test_tcp_over_ipv4(self):
        self.assertEqual(
            self.flow(BasicChain, tcp4("S"), tcp4("SA", rev=True), tcp4("PA", rev=True, payload=bytes(100))),
            {
                "sip": "192.0.2.1",
                "dip": "198.51.100.1",
                "proto": 6,
                "sp": 1234,
                "dp": 80,
                "pkt_fwd": 1,
                "pkt_rev": 2,
                "oct_fwd": 40,
                "oct_rev": 180,
            },
        )

    def test_tcp_over_ipv6(self):
        self.assertEqual(
            self.flow(BasicChain, tcp6("SA", rev=True), tcp6("A"), tcp6("A", payload=b"12345")),
            {
                "sip": "2001:db8::2",
                "dip": "2001:db8::1",
                "proto": 6,
                "sp": 80,
                "dp": 1234,
                "pkt_fwd": 1,
                "pkt_rev": 2,
                "oct_fwd": 60,
                "oct_rev": 125,
            },
        )

    def test_octets_are_the_headers_not_the_captures(self):
        data = tcp4("PA", payload=bytes(1000))
        self.assertEqual(self.flow(BasicChain, data[:60])["oct_fwd"], 1040)
        self.assertEqual(self.flow(BasicChain, tcp4("A") + bytes(6))["oct_fwd"], 40)
        offloaded = data[:16] + b"\0\0" + data[18:]
        self.assertEqual(self.flow(BasicChain, offloaded)["oct_fwd"], 1040)

    def test_protocols_with_and_without_ports(self):
        ends = {"src": "192.0.2.1", "dst": "198.51.100.1"}
        for packet, want in (
            (udp4(), (17, 5353, 53)),
            (frame(IP(**ends) / SCTP(sport=5, dport=6) / Raw(bytes(8))), (132, 5, 6)),
            (frame(IP(**ends) / ICMP()), (1, None, None)),
            (frame(IP(proto=47, **ends) / Raw(bytes(20))), (47, None, None)),
            (frame(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2)), (17, 1, 2)),
        ):
            record = self.flow(BasicChain, packet)
            self.assertEqual((record["proto"], record["sp"], record["dp"]), want)

    def test_sctp_has_ports_in_both_directions_over_both_versions(self):
        for version, ours, theirs in ((IP, "192.0.2.1", "198.51.100.1"), (IPv6, "2001:db8::1", "2001:db8::2")):
            there = frame(version(src=ours, dst=theirs) / SCTP(sport=5000, dport=9899) / Raw(bytes(8)))
            back = frame(version(src=theirs, dst=ours) / SCTP(sport=9899, dport=5000) / Raw(bytes(8)))
            other = frame(version(src=ours, dst=theirs) / SCTP(sport=5001, dport=9899) / Raw(bytes(8)))
            first, second = self.flows(BasicChain, [there, back, other])
            self.assertEqual([first[name] for name in ("sip", "dip", "proto", "sp", "dp", "pkt_fwd", "pkt_rev")],
                             [ours, theirs, 132, 5000, 9899, 1, 1])
            self.assertEqual((second["sp"], second["dp"]), (5001, 9899))

    def test_a_header_cut_before_its_ports_has_none(self):
        self.assertEqual(self.flow(BasicChain, tcp4("S")[:36])["sp"], None)


if __name__ == "__main__":
    unittest.main()
