"""DSCPChain: the first codepoint, by kind of packet and direction."""

import unittest

from pathspider.chains.dscp import DSCPChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6, udp4


class DSCP(ChainTest):
    def test_every_field_apart_and_zero_is_a_value(self):
        for make, mark in ((tcp4, "tos"), (tcp6, "tc")):
            self.assertEqual(
                self.flow(
                    DSCPChain,
                    make("S", **{mark: 46 << 2}),
                    make("SA", rev=True, **{mark: 10 << 2 | 3}),
                    make("A", **{mark: 4}),
                    make("PA", payload=b"x"),
                    make("PA", rev=True, payload=b"x", **{mark: 63 << 2}),
                ),
                {"dscp_mark_syn_fwd": 46, "dscp_mark_data_fwd": 0, "dscp_mark_syn_rev": 10, "dscp_mark_data_rev": 63},
            )

    def test_the_first_one_wins(self):
        record = self.flow(DSCPChain, udp4(tos=0), udp4(tos=46 << 2))
        self.assertEqual(
            (record["dscp_mark_data_fwd"], record["dscp_mark_data_rev"], record["dscp_mark_syn_fwd"]), (0, None, None)
        )


if __name__ == "__main__":
    unittest.main()
