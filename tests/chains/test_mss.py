"""MSSChain: the option of the first SYN in each direction."""

import unittest

from pathspider.chains.mss import MSSChain, mss_option
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

    def test_a_bogus_syn_ack_is_none(self):
        syn, bogus = tcp4("S", seq=5), tcp4("SA", rev=True, ack=5, options=[("MSS", 536)])
        self.assertEqual(self.flow(MSSChain, syn, bogus)["mss_len_rev"], None)
        answer = tcp4("SA", rev=True, ack=6, options=[("MSS", 1460)])
        self.assertEqual(self.flow(MSSChain, syn, bogus, answer)["mss_value_rev"], 1460)

    def test_odd_options(self):
        """What is there is recorded; of several, what kernels read, which is the last that is as it ought to be."""
        for options, length, value in (
            ("020405b4", 4, 1460), ("02040000", 4, 0),
            ("020405b4" "02040218", 4, 536), ("020405b4" "01010101" "02040218", 4, 536),
            ("020405b4" "02040000", 4, 1460), ("02040000" "020405b4", 4, 1460),
            ("020405b4" "020302" "01", 4, 1460), ("020302" "020405b4" "01", 4, 1460), ("020605b40000" "0101", 6, 1460),
            ("020605b40000" "020302" "010101", 3, None), ("020305b4", 3, None), ("02020101", 2, None),
            ("02000101", 0, None), ("020105b4", 1, None), ("020505b4", 5, 1460), ("02ff05b4", 255, 1460),
            ("01010104" "020405b4", None, None), ("010105b4", None, None), ("01010102", None, None),
            ("01010204", 4, None), ("00" "020405b4" "000000", None, None), ("020405b4" "0103" "0200", 4, 1460),
            ("02050218" "01" "020405b4" "000000", 4, 1460),
        ):
            data = bytes.fromhex(options)
            with self.subTest(options):
                self.assertEqual(mss_option(data), None if length is None else (length, value))
                for make, rev in ((tcp4, False), (tcp6, True)):
                    frame = make("SA" if rev else "S", rev=rev, dataofs=5 + len(data) // 4, payload=data)
                    record = self.flow(MSSChain, *([make("S")] if rev else []), frame)
                    way = "rev" if rev else "fwd"
                    self.assertEqual((record[f"mss_len_{way}"], record[f"mss_value_{way}"]), (length, value))


if __name__ == "__main__":
    unittest.main()
