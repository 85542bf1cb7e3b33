"""SegmentsChain: how a client's first data left, and how the answer begins."""

import unittest

from pathspider.chains.segments import SegmentsChain
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6


class Segments(ChainTest):
    def test_each_segment(self):
        for make in (tcp4, tcp6):
            self.assertEqual(self.flow(
                SegmentsChain, make("S", seq=5), make("SA", rev=True, seq=9, ack=6), make("A", seq=6, ack=10),
                make("PA", seq=6, payload=bytes(1300)), make("PA", seq=1306, payload=bytes(505)),
                make("PA", rev=True, seq=10, payload=b"\x16\x03\x03\x00\x7a\x02more")),
                {"segments_fwd": "1300,505", "segments_rev": "160303007a02" + b"mo".hex()})

    def test_what_is_sent_again_does_not_count(self):
        whole = tcp4("PA", seq=6, payload=bytes(100))
        self.assertEqual(self.flow(SegmentsChain, tcp4("S", seq=5), whole, whole, tcp4("PA", seq=56, payload=bytes(9)),
                                   tcp4("PA", seq=106, payload=bytes(7)))["segments_fwd"], "100,7")

    def test_sequence_numbers_that_begin_anew(self):
        self.assertEqual(self.flow(SegmentsChain, tcp4("S", seq=0xFFFFFFFE), tcp4("PA", seq=0xFFFFFFFF, payload=b"abc"),
                                   tcp4("PA", seq=2, payload=b"d"), tcp4("PA", seq=2, payload=b"d"))["segments_fwd"],
                         "3,1")

    def test_data_on_the_syn_are_none_of_them(self):
        self.assertEqual(self.flow(SegmentsChain, tcp4("S", seq=5, payload=b"ab"), tcp4("PA", seq=8, payload=b"cde")),
                         {"segments_fwd": "3", "segments_rev": None})

    def test_those_behind_an_answer_count_too(self):
        """It may come before all have left."""
        found = self.flow(SegmentsChain, tcp4("S", seq=5), tcp4("PA", seq=6, payload=b"ab"),
                          tcp4("PA", rev=True, payload=b"no"), tcp4("PA", seq=8, payload=b"cde"),
                          tcp4("PA", rev=True, payload=b"yes"))
        self.assertEqual(found, {"segments_fwd": "2,3", "segments_rev": b"no".hex()})

    def test_no_more_than_the_first(self):
        found = self.flow(SegmentsChain, tcp4("S", seq=5), *(tcp4("A", seq=6 + at, payload=b"x") for at in range(20)))
        self.assertEqual(found["segments_fwd"], ",".join("1" * 16))

    def test_no_data(self):
        self.assertEqual(self.flow(SegmentsChain, tcp4("S"), tcp4("SA", rev=True), tcp4("R")),
                         {"segments_fwd": None, "segments_rev": None})


if __name__ == "__main__":
    unittest.main()
