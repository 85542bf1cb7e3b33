"""HandshakeChain: which handshakes were seen whole."""

import unittest

from pathspider.chains.handshake import HandshakeChain
from pathspider.libtrace import FlowTable
from pathspider.libtrace.compiled import twin
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6

STAMPS = [[("MSS", 1460), ("Timestamp", (number, 0))] for number in range(2)]
SYN = tcp4("SEC", seq=7)
SYN_ACK = tcp4("SAE", rev=True, seq=90, ack=8)
ACK = tcp4("A", seq=8, ack=91)


class Handshake(ChainTest):
    def whole(self, *frames):
        return self.flow(HandshakeChain, *frames)["handshake_whole"]

    def timed(self, *frames):
        """The same of frames with their times."""
        found = set()
        for kind in {HandshakeChain, twin(HandshakeChain)}:
            table = FlowTable([kind()])
            for moment, data in frames:
                table.feed(data, 1000.0 + moment)
            (record,) = table.flush()
            found.add(record["handshake_whole"])
        (answer,) = found
        return answer

    def test_syn_and_syn_ack(self):
        self.assertTrue(self.whole(SYN, SYN_ACK))
        self.assertTrue(self.whole(SYN, SYN_ACK, ACK, tcp4("PA", seq=8, ack=91, payload=b"data"), tcp4("FA")))
        self.assertTrue(self.whole(tcp6("S"), tcp6("SA", rev=True)))
        self.assertTrue(self.whole(tcp4("S", options=STAMPS[0]), tcp4("SA", rev=True, options=STAMPS[1])))

    def test_sent_again_as_it_was(self):
        self.assertTrue(self.whole(SYN, SYN, SYN_ACK, SYN, SYN_ACK))

    def test_sent_again_as_something_else(self):
        for other in (tcp4("S", seq=7), tcp4("SEC", seq=8), tcp4("SEC", seq=7, payload=b"x"),
                      tcp4("SEC", seq=7, options=[("MSS", 536)])):
            self.assertFalse(self.whole(SYN, other, tcp4("SAE", rev=True, seq=90, ack=8)))
        self.assertFalse(self.whole(*(tcp4("S", options=stamp) for stamp in STAMPS), tcp4("SA", rev=True)))
        self.assertFalse(self.whole(SYN, SYN_ACK, tcp4("S", seq=7)), "the client has not got it, and falls back")
        for other in (tcp4("SA", rev=True, seq=90, ack=8), tcp4("SAE", rev=True, seq=91, ack=8)):
            self.assertFalse(self.whole(SYN, SYN_ACK, other))

    def test_one_side_alone(self):
        for frames in ((SYN,), (SYN, ACK), (SYN_ACK,), (SYN_ACK, ACK), (SYN_ACK, SYN), (ACK, SYN, SYN_ACK)):
            self.assertFalse(self.whole(*frames))

    def test_more_than_one_connection(self):
        self.assertFalse(self.whole(SYN, SYN_ACK, tcp4("S", seq=5000)))
        self.assertFalse(self.whole(tcp4("PA", payload=b"data"), SYN, SYN_ACK))

    def test_both_open_at_once(self):
        there, back = tcp4("S", rev=True, seq=90), tcp4("SA", seq=7, ack=91)
        self.assertFalse(self.whole(SYN, there, back, tcp4("SA", rev=True, seq=90, ack=8)))
        self.assertFalse(self.whole(SYN, tcp4("SA", rev=True, seq=90, ack=8), there))
        self.assertFalse(self.whole(SYN, SYN_ACK, back))

    def test_bogus_syn_acks(self):
        bogus = tcp4("SA", rev=True, seq=3, ack=77)
        for frames in ((SYN, bogus), (SYN, bogus, SYN, SYN_ACK), (SYN, SYN_ACK, bogus)):
            self.assertFalse(self.whole(*frames))

    def test_flags_that_cannot_be(self):
        for syn, answer in (("SF", "SA"), ("SR", "SA"), ("S", "SAR"), ("S", "SAF"), ("S", "R")):
            self.assertFalse(self.whole(tcp4(syn), tcp4(answer, rev=True)))

    def test_cut_options(self):
        syn, answer = (tcp4("S", options=STAMPS[0]), tcp4("SA", rev=True, options=STAMPS[0]))
        for frames in ((syn[:-1], answer), (syn, answer[:-1]), (syn, answer[:-12])):
            self.assertFalse(self.whole(*frames))
        self.assertTrue(self.whole(tcp4("S", payload=b"data of the SYN")[:-3], tcp4("SA", rev=True)))

    def test_an_answer_that_another_syn_may_have_got(self):
        self.assertTrue(self.timed((0, SYN), (0.999, SYN_ACK)))
        self.assertTrue(self.timed((0, SYN), (1.0, SYN), (1.9, SYN_ACK)))
        self.assertFalse(self.timed((0, SYN), (1.0, SYN_ACK)))
        self.assertFalse(self.timed((0, SYN), (-0.001, SYN_ACK)))
        self.assertFalse(self.timed((0, SYN), (1.2, SYN_ACK), (1.3, SYN), (1.4, SYN_ACK)))


if __name__ == "__main__":
    unittest.main()
