"""HeadersChain: the first packet each way, and which one that is."""

import unittest

from scapy.all import ICMP, IP, Ether, Raw

from pathspider.chains.headers import MOST_OCTETS, HeadersChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6, udp4

ETHERNET = len(Ether())


def packet(data):
    """What the chain says of a frame, which is longer than its packet where that is short."""
    begun = data[ETHERNET:]
    octets = int.from_bytes(begun[2:4]) if begun[0] >> 4 == 4 else 40 + int.from_bytes(begun[4:6])
    return begun[:octets][:MOST_OCTETS].hex()


class Headers(ChainTest):
    def test_each_direction(self):
        for make in (tcp4, tcp6):
            syn, answer = make("S", seq=5, options=[(99, b"ab")]), make("SA", rev=True, ack=6)
            self.assertEqual(self.flow(HeadersChain, syn, make("S", seq=5), answer, make("SA", rev=True, ack=6, seq=9)),
                             {"headers_fwd": packet(syn), "headers_rev": packet(answer)})

    def test_padding_is_no_part_of_a_packet(self):
        syn = tcp4("S")
        self.assertEqual(self.flow(HeadersChain, syn + bytes(6))["headers_fwd"], packet(syn))

    def test_what_is_no_answer(self):
        syn, answer = tcp4("S", seq=5), tcp4("SA", rev=True, ack=6)
        for other in (tcp4("RA", rev=True, ack=6), tcp4("SA", rev=True, ack=5), tcp4("S", rev=True),
                      tcp4("A", rev=True, ack=6),
                      frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3) / Raw(syn[ETHERNET:]))):
            with self.subTest(other=other):
                self.assertEqual(self.flow(HeadersChain, syn, other, answer)["headers_rev"], packet(answer))

    def test_datagrams(self):
        self.assertEqual(self.flow(HeadersChain, udp4(), udp4(rev=True), udp4(payload=b"more")),
                         {"headers_fwd": packet(udp4()), "headers_rev": packet(udp4(rev=True))})

    def test_no_more_than_the_first_octets(self):
        large = udp4(payload=bytes(1200))
        self.assertEqual(len(self.flow(HeadersChain, large)["headers_fwd"]), 2 * MOST_OCTETS)


if __name__ == "__main__":
    unittest.main()
