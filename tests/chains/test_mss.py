"""MSSChain: the option of the first SYN in each direction."""

import unittest

from pathspider.chains.mss import MSSChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6


class MSS(ChainTest):
    def test_each_direction_apart(self):
        for make in (tcp4, tcp6):
            self.assertEqual(
                self.flow(
                    MSSChain,
                    make("S", options=[("MSS", 1460)]),
                    make("SA", rev=True, options=[("NOP", None), ("MSS", 536)]),
                ),
                {"mss_len_fwd": 4, "mss_len_rev": 4, "mss_value_fwd": 1460, "mss_value_rev": 536},
            )

    def test_only_on_syns_and_the_first_wins(self):
        self.assertEqual(
            self.flow(MSSChain, tcp4("A", options=[("MSS", 9)]), tcp4("SA", rev=True))["mss_value_fwd"], None
        )
        self.assertEqual(
            self.flow(MSSChain, tcp4("S", options=[("MSS", 9)]), tcp4("S", options=[("MSS", 8)]))["mss_value_fwd"], 9
        )

    def test_a_malformed_option(self):
        data = tcp4("S", options=[("MSS", 1460)])
        self.assertEqual(
            self.flow(MSSChain, data[:55] + b"\x03" + data[56:]),
            {"mss_len_fwd": 3, "mss_len_rev": None, "mss_value_fwd": None, "mss_value_rev": None},
        )
        self.assertEqual(set(self.flow(MSSChain, data[:55] + b"\x05" + data[56:]).values()), {None})


if __name__ == "__main__":
    unittest.main()
