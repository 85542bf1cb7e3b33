"""Which packets carry a mark that tells of the flow."""

import unittest

from scapy.all import ICMP, IP, UDP, ICMPv6DestUnreach, IPv6, Raw

from pathspider.chains.dscp import DSCPChain
from pathspider.chains.ecn import ECNChain
from pathspider.chains.evil import EvilChain
from pathspider.chains.kind import DATA, NEITHER, SYN, packet_kind
from pathspider.libtrace import IP as IP4
from pathspider.libtrace import IP6
from tests.chains.flows import ChainTest, seen
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


class Kind(ChainTest):
    def test_each_kind(self):
        for make, view in ((tcp4, IP4), (tcp6, IP6)):
            for data, want in (
                (make("S", payload=b"x"), SYN),
                (make("SA", rev=True), SYN),
                (make("A"), NEITHER),
                (make("FA", payload=b"x"), DATA),
                (make("R"), NEITHER),
            ):
                self.assertEqual(packet_kind(view(data[14:])), want)

    def test_the_mark_of_a_bogus_syn_ack_is_not_the_targets(self):
        def evil(data):
            return data[:20] + bytes([data[20] | 0x80]) + data[21:]

        for chain, makes in ((ECNChain, (tcp4, tcp6)), (DSCPChain, (tcp4, tcp6)), (EvilChain, (tcp4,))):
            for make in makes:
                mark = "tos" if make is tcp4 else "tc"
                syn, answer = make("S", seq=9, **{mark: 46 << 2}), make("SA", rev=True, ack=10, **{mark: 10 << 2})
                bogus = make("SA", rev=True, ack=9, **{mark: 46 << 2 | 3})
                self.assertEqual(self.flow(chain, syn, evil(bogus) if make is tcp4 else bogus, answer),
                                 self.flow(chain, syn, answer), chain)

    def test_the_mark_of_an_icmp_error_is_not_the_flows(self):
        error = frame(IP(src="203.0.113.9", dst="192.0.2.1", tos=0xC3) / ICMP(type=3) / Raw(udp4()[14:]))
        for chain in (ECNChain, DSCPChain, EvilChain):
            self.assertEqual(self.flow(chain, udp4(), error), self.flow(chain, udp4()))
        inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2) / Raw(b"x")
        six = frame(IPv6(src="2001:db8::9", dst="2001:db8::1", tc=3) / ICMPv6DestUnreach() / inner)
        self.assertEqual(seen(self.flow(ECNChain, frame(inner), six)), set())
        echo = frame(IP(src="192.0.2.1", dst="198.51.100.1", tos=3) / ICMP(type=8))
        self.assertEqual(seen(self.flow(ECNChain, echo)), {"ce_data_fwd"})


if __name__ == "__main__":
    unittest.main()
