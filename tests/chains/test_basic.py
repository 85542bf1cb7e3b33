"""BasicChain: the 5-tuple and counters, different in each direction."""

import unittest

from scapy.all import AH, ICMP, IP, SCTP, TCP, UDP, IPv6, Raw

from pathspider.chains.basic import BasicChain
from pathspider.libtrace import FlowTable
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6, udp4

ENDS = {"src": "192.0.2.1", "dst": "198.51.100.1"}


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

    def ports(self, data):
        record = self.flow(BasicChain, data)
        return record["sp"], record["dp"]

    def test_of_a_header_that_is_cut_the_ports_that_are_there(self):
        whole = {6: tcp4("S"), 17: udp4(), 132: frame(IP(**ENDS) / SCTP(sport=1, dport=2) / bytes(4))}
        for proto, data in whole.items():
            sp, dp = self.ports(data)
            for cut, want in ((34, (None, None)), (35, (None, None)), (36, (sp, None)), (37, (sp, None)),
                              (38, (sp, dp)), (40, (sp, dp)), (50, (sp, dp))):
                with self.subTest(proto=proto, cut=cut):
                    self.assertEqual(self.ports(data[:cut]), want)

    def test_of_a_quotation_that_is_cut_as_well(self):
        inner = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=5, dport=53))
        for cut, want in ((20, (None, None)), (22, (5, None)), (24, (5, 53)), (28, (5, 53))):
            error = frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / Raw(inner[:cut]))
            self.assertEqual(self.ports(error), want)

    def test_dccp_and_udp_lite_have_ports(self):
        for proto in (33, 136):
            for network in (IP(proto=proto, **ENDS), IPv6(src="2001:db8::1", dst="2001:db8::2", nh=proto)):
                frames = [frame(network / Raw(bytes((0, 1, 0, port)) + bytes(12))) for port in (2, 3, 2)]
                records = self.flows(BasicChain, frames)
                self.assertEqual(sorted((r["sp"], r["dp"], r["pkt_fwd"]) for r in records), [(1, 2, 2), (1, 3, 1)])

    def test_behind_an_authentication_header_is_the_protocol(self):
        for proto, transport in ((6, TCP(sport=1, dport=2)), (17, UDP(sport=1, dport=2))):
            for network in (IP(proto=51, **ENDS), IPv6(src="2001:db8::1", dst="2001:db8::2", nh=51)):
                record = self.flow(BasicChain, frame(network / AH(nh=proto, icv=bytes(12), payloadlen=4) / transport))
                self.assertEqual((record["proto"], record["sp"], record["dp"]), (proto, 1, 2))

    def octets(self, data, wire_len):
        table = FlowTable([BasicChain()])
        table.feed(data, 1.0, 1, wire_len)
        return table.flush()[0]["oct_fwd"]

    def test_octets_of_packets_that_are_longer_than_their_headers_can_say(self):
        big = bytearray(tcp4("A"))
        big[16:18] = bytes(2)  # BIG TCP over IPv4: the length is left to the card
        six = bytearray(frame(IPv6() / TCP()))
        six[18:20] = bytes(2)
        for data in (bytes(big), bytes(six)):
            for wire_len in (80_054, 190_014):
                self.assertEqual(self.octets(data, wire_len), wire_len - 14)
        for before in (b"", b"\x05\x02\0\0\x01\0\0\0"):  # another option, the jumbo payload behind it; RFC 2675
            options = before + b"\xc2\x04" + (70_016).to_bytes(4, "big")
            jumbo = bytes((17, len(options) // 8)) + options + bytes(-(len(options) + 2) % 8)
            data = frame(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=0, plen=0) / Raw(jumbo + bytes(8)))
            self.assertEqual(self.octets(data, 70_070), 70_056)
            self.assertEqual(self.octets(data, 70_090), 70_056)  # padding of the link layer


if __name__ == "__main__":
    unittest.main()
