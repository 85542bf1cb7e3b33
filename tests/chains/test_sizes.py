"""SizesChain: the largest packet each way."""

import unittest

from scapy.layers.inet import ICMP, IP

from pathspider.chains.sizes import SizesChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import frame, tcp4, tcp6


class Sizes(ChainTest):
    def test_the_largest_each_way(self):
        for make, header in ((tcp4, 40), (tcp6, 60)):
            self.assertEqual(self.flow(
                SizesChain, make("S"), make("SA", rev=True), make("PA", payload=bytes(900)),
                make("PA", payload=bytes(10)), make("PA", rev=True, payload=bytes(70))),
                {"size_fwd": header + 900, "size_rev": header + 70})

    def test_one_way(self):
        self.assertEqual(self.flow(SizesChain, tcp4("S")), {"size_fwd": 40, "size_rev": 0})

    def test_errors_about_the_flow_are_none_of_its_packets(self):
        sent = tcp4("S")
        quoted = IP(sent[14:])
        error = frame(IP(src="203.0.113.1", dst=quoted.src) / ICMP(type=3, code=4, nexthopmtu=576) / bytes(quoted))
        self.assertEqual(self.flow(SizesChain, sent, error), {"size_fwd": 40, "size_rev": 0})


if __name__ == "__main__":
    unittest.main()
