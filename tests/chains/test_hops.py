"""HopsChain: who said that a packet expired, and what was quoted of it."""

import unittest

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from pathspider.chains.hops import MOST, HopsChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame

NOTHING = {"hops_count": 0, "hops_expired": None}
SYN = TCP(sport=40000, dport=80, seq=5, flags="SEC", options=[("MSS", 1460)])
SENT4 = IP(src="192.0.2.1", dst="198.51.100.1", ttl=3, id=3, tos=2) / SYN
SENT6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=3, tc=2) / SYN


def expired4(packet, octets=None, *, kind=11, code=0, router="203.0.113.9", receiver="192.0.2.1"):
    return frame(IP(src=router, dst=receiver, ttl=62) / ICMP(type=kind, code=code) / Raw(bytes(packet)[:octets]))


def expired6(packet, octets=None, code=0):
    return frame(IPv6(src="2001:db8::9", dst="2001:db8::1", hlim=61) / ICMPv6TimeExceeded(code=code)
                 / Raw(bytes(packet)[:octets]))


class Hops(ChainTest):
    def test_each_message_with_what_it_quotes(self):
        for sent, expired, addr, left in ((SENT4, expired4, "203.0.113.9", 62), (SENT6, expired6, "2001:db8::9", 61)):
            came = sent.copy()
            came[0].setfieldval("tos" if sent is SENT4 else "tc", 0)
            header = len(sent) - 24
            record = self.flow(HopsChain, frame(sent), expired(sent), expired(came, header + 8))
            self.assertEqual(record["hops_count"], 2)
            first, second = record["hops_expired"]
            self.assertEqual((first["addr"], first["ttl"], first["octets"]), (addr, left, header + 24))
            self.assertEqual((first["quoted"]["ecn"], first["quoted"]["mss"], first["quoted"]["tcp_flags"]),
                             (2, 1460, 0xC2))
            self.assertEqual((second["octets"], second["quoted"]["ecn"], second["quoted"]["seq"]), (header + 8, 0, 5))
            self.assertFalse({"mss", "tcp_flags", "ack"} & set(second["quoted"]))
            self.assertEqual((first["at"], second["at"]), (1000.001, 1000.002))

    def test_the_number_of_the_probe(self):
        (hop,) = self.flow(HopsChain, frame(SENT4), expired4(SENT4))["hops_expired"]
        self.assertEqual((hop["quoted"]["ident"], hop["quoted"]["ttl"]), (3, 3))

    def test_what_is_none(self):
        answer = IP(src="198.51.100.1", dst="192.0.2.1") / TCP(sport=80, dport=40000, flags="SA")
        for message in (expired4(SENT4, kind=3), expired4(SENT4, code=1),
                        expired4(answer, receiver="198.51.100.1")):
            self.assertEqual(self.flow(HopsChain, frame(SENT4), message), NOTHING)
        self.assertEqual(self.flow(HopsChain, frame(SENT6), expired6(SENT6, code=1)), NOTHING)

    def test_a_list_has_an_end(self):
        record = self.flow(HopsChain, frame(SENT4), *[expired4(SENT4)] * (MOST + 9))
        self.assertEqual((record["hops_count"], len(record["hops_expired"])), (MOST + 9, MOST))

    def test_flows_share_no_list(self):
        other = SENT4.copy()
        other[TCP].sport = 40001
        records = self.flows(HopsChain, [frame(SENT4), frame(other), expired4(SENT4), expired4(other), expired4(other)])
        self.assertEqual(sorted(len(one["hops_expired"]) for one in records), [1, 2])


if __name__ == "__main__":
    unittest.main()
