"""FallbackChain: the SYNs before the first answer."""

import unittest

from pathspider.chains.fallback import FallbackChain
from pathspider.chains.tcp import TCP_SEC
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4


class Fallback(ChainTest):
    def test_syns_up_to_the_answer(self):
        self.assertEqual(
            self.flow(FallbackChain, tcp4("SEC"), tcp4("SEC"), tcp4("S"), tcp4("SA", rev=True), tcp4("SEC")),
            {"syn_count_fwd": 3, "synflags_last_fwd": 2},
        )
        self.assertEqual(
            self.flow(FallbackChain, tcp4("SEC"), tcp4("SA", rev=True)),
            {"syn_count_fwd": 1, "synflags_last_fwd": TCP_SEC},
        )
        self.assertEqual(
            self.flow(FallbackChain, tcp4("SEC"), tcp4("SA", rev=True, ack=9), tcp4("S"), tcp4("SA", rev=True)),
            {"syn_count_fwd": 2, "synflags_last_fwd": 2},
        )
        self.assertEqual(
            self.flow(FallbackChain, tcp4("SEC"), tcp4("S", rev=True), tcp4("SA"), tcp4("SA", rev=True)),
            {"syn_count_fwd": 1, "synflags_last_fwd": TCP_SEC},
        )
        self.assertEqual(self.flow(FallbackChain, tcp4("A")), {"syn_count_fwd": 0, "synflags_last_fwd": None})


if __name__ == "__main__":
    unittest.main()
