"""ECNChain: each codepoint, each kind of packet, each direction apart."""

import unittest

from pathspider.chains.ecn import ECNChain
from tests.chains.flows import ChainTest, seen
from tests.libtrace.frames import tcp4, tcp6, udp4


class ECN(ChainTest):
    def test_every_field_apart(self):
        codes = {"ect0": 2, "ect1": 1, "ce": 3}
        for make, mark in ((tcp4, "tos"), (tcp6, "tc")):
            for name, code in codes.items():
                for flags, payload, kind in (("S", b"", "syn"), ("PA", b"x", "data")):
                    for rev, way in ((False, "fwd"), (True, "rev")):
                        marked = make(
                            flags + "A" if rev and kind == "syn" else flags,
                            rev=rev,
                            payload=payload,
                            **{mark: code | 0xB8},
                        )
                        record = self.flow(ECNChain, make("A"), marked)
                        self.assertEqual(seen(record), {f"{name}_{kind}_{way}"})

    def test_marks_add_up(self):
        self.assertEqual(
            seen(
                self.flow(
                    ECNChain,
                    tcp4("S", tos=2),
                    tcp4("PA", payload=b"x", tos=1),
                    tcp4("PA", payload=b"y", tos=3),
                    tcp4("PA", rev=True, payload=b"z", tos=2),
                )
            ),
            {"ect0_syn_fwd", "ect1_data_fwd", "ce_data_fwd", "ect0_data_rev"},
        )

    def test_pure_acks_do_not_count(self):
        self.assertEqual(
            seen(self.flow(ECNChain, tcp4("A", tos=3), tcp4("FA", tos=3), tcp4("A", tos=3) + bytes(6))), set()
        )

    def test_what_is_not_tcp_is_data(self):
        self.assertEqual(
            seen(self.flow(ECNChain, udp4(tos=1), udp4(rev=True, tos=3))), {"ect1_data_fwd", "ce_data_rev"}
        )

    def test_data_is_known_by_the_ip_header_not_by_the_capture(self):
        self.assertEqual(seen(self.flow(ECNChain, tcp4("PA", payload=bytes(100), tos=2)[:54])), {"ect0_data_fwd"})

    def test_a_cut_header_says_nothing(self):
        self.assertEqual(seen(self.flow(ECNChain, tcp4("S", tos=2)[:46])), set())


if __name__ == "__main__":
    unittest.main()
