"""ICMPChain: errors about the flow, and what a chain is given of them."""

import unittest

from scapy.all import ICMP, IP, UDP, ICMPv6DestUnreach, ICMPv6TimeExceeded, IPv6, Raw

from pathspider.chains.base import Chain
from pathspider.chains.icmp import ICMP4_TTLEXCEEDED, ICMP4_UNREACHABLE, ICMP6_TTLEXCEEDED, ICMP6_UNREACHABLE, ICMPChain
from pathspider.libtrace import FlowTable
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, udp4


class ICMPs(ChainTest):
    def error4(self, kind, inner):
        return frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=kind) / Raw(inner[14:]))

    def test_unreachable_in_reverse(self):
        self.assertEqual((ICMP4_TTLEXCEEDED, ICMP4_UNREACHABLE, ICMP6_TTLEXCEEDED, ICMP6_UNREACHABLE), (11, 3, 3, 1))
        for inner in (udp4(), tcp4("S")):
            self.assertTrue(self.flow(ICMPChain, inner, self.error4(3, inner))["icmp_unreachable"])
            self.assertTrue(self.flow(ICMPChain, inner, self.error4(3, inner[:42]))["icmp_unreachable"])
            self.assertFalse(self.flow(ICMPChain, inner, self.error4(11, inner))["icmp_unreachable"])
        self.assertTrue(self.completes(ICMPChain, [udp4(), self.error4(3, udp4())]))

    def test_an_error_about_an_answer_is_not_in_reverse(self):
        answer = udp4(rev=True)
        about = frame(IP(src="203.0.113.9", dst="198.51.100.1") / ICMP(type=3) / Raw(answer[14:]))
        self.assertFalse(self.flow(ICMPChain, udp4(), answer, about)["icmp_unreachable"])

    def test_icmpv6(self):
        inner = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=1, dport=2) / Raw(b"x")
        for message, want in ((ICMPv6DestUnreach(), True), (ICMPv6TimeExceeded(), False)):
            error = frame(IPv6(src="2001:db8::9", dst="2001:db8::1") / message / inner)
            self.assertEqual(self.flow(ICMPChain, frame(inner), error)["icmp_unreachable"], want)

    def test_the_quote_is_handed_over(self):
        quotes = []

        class Quotes(Chain):
            def icmp4(self, rec, ip, q, rev):
                quotes.append((str(ip.src_prefix), q and (str(q.dst_prefix), q.udp.dst_port, q.udp.checksum), rev))
                return True

        table = FlowTable([Quotes()])
        table.feed(self.error4(3, udp4()), 1.0)
        table.feed(self.error4(3, udp4()[:40]), 1.0)
        table.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1") / ICMP(type=8)), 1.0)
        self.assertEqual([q[0] for q in quotes], ["203.0.113.9", "203.0.113.9", "192.0.2.1"])
        self.assertEqual(quotes[0][1][:2], ("198.51.100.1", 53))
        self.assertEqual((quotes[1][1], quotes[1][2]), (("198.51.100.1", 53, None), True))
        self.assertEqual(quotes[2][1:], (None, False))


if __name__ == "__main__":
    unittest.main()
