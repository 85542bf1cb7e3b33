"""TCPChain and the options parser."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.chains import tcp as constants
from pathspider.chains.tcp import (
    TCP_SA,
    TCP_SAE,
    TCP_SAEC,
    TCP_SEC,
    TCPChain,
    has_syn_ack,
    is_bogus,
    next_option,
    tcp_options,
)
from pathspider.libtrace import tcp
from tests.chains.flows import ChainTest
from tests.libtrace.frames import tcp4, tcp6

SILENT = {
    "tcp_synflags_fwd": None,
    "tcp_synflags_rev": None,
    "tcp_fin_fwd": False,
    "tcp_fin_rev": False,
    "tcp_rst_fwd": False,
    "tcp_rst_rev": False,
    "tcp_connected": False,
    "tcp_bogus_synack_rev": 0,
    "tcp_bogus_ack_rev": None,
}


class TCP(ChainTest):
    def test_constants_are_the_documented_ones(self):
        want = {
            "TCP_ACK": 16,
            "TCP_CWR": 128,
            "TCP_ECE": 64,
            "TCP_FIN": 1,
            "TCP_PSH": 8,
            "TCP_RST": 4,
            "TCP_SA": 18,
            "TCP_SAE": 82,
            "TCP_SAEC": 210,
            "TCP_SAE_C": 210,
            "TCP_SEC": 194,
            "TCP_SYN": 2,
            "TCP_URG": 32,
            "TO_EOL": 0,
            "TO_EXID_FASTOPEN": (249, 137),
            "TO_EXPA": 254,
            "TO_EXPB": 255,
            "TO_FASTOPEN": 34,
            "TO_MPTCP": 30,
            "TO_MSS": 2,
            "TO_NOP": 1,
            "TO_SACK": 5,
            "TO_SACKOK": 4,
            "TO_TS": 8,
            "TO_WS": 3,
        }
        self.assertEqual({name: getattr(constants, name) for name in want}, want)

    def test_a_handshake(self):
        for make in (tcp4, tcp6):
            self.assertEqual(
                self.flow(TCPChain, make("SEC"), make("SAE", rev=True), make("A")),
                {**SILENT, "tcp_synflags_fwd": TCP_SEC, "tcp_synflags_rev": TCP_SAE, "tcp_connected": True},
            )

    def test_no_handshake_without_each_of_its_parts(self):
        for frames in (
            [tcp4("S"), tcp4("SA", rev=True)],
            [tcp4("S"), tcp4("A")],
            [tcp4("SA", rev=True), tcp4("A")],
            [tcp4("S"), tcp4("SA", rev=True), tcp4("A", rev=True)],
            [tcp4("S"), tcp4("S", rev=True), tcp4("A")],
            [tcp4("S"), tcp4("SA", rev=True), tcp4("R")],
            [tcp4("S"), tcp4("SA", rev=True), tcp4("RA")],
        ):
            self.assertFalse(self.flow(TCPChain, *frames)["tcp_connected"])

    def test_a_simultaneous_open(self):
        """RFC 9293, figure 8: two SYNs cross, and each is answered by a SYN-ACK."""
        syns = [tcp4("S"), tcp4("S", rev=True)]
        for frames in (
            [tcp4("SA"), tcp4("SA", rev=True, ack=1), tcp4("A"), tcp4("A", rev=True)],
            [tcp4("SA"), tcp4("SA", rev=True, ack=1)],
            [tcp4("SA", rev=True, ack=1), tcp4("SA")],
            [tcp4("SA", rev=True, ack=1), tcp4("A")],
        ):
            record = self.flow(TCPChain, *syns, *frames)
            self.assertTrue(record["tcp_connected"])
            self.assertEqual((record["tcp_synflags_fwd"], record["tcp_synflags_rev"]), (2, 2))
        for frames in ([tcp4("SA")], [tcp4("SA", rev=True, ack=1)], [tcp4("SA"), tcp4("A")],
                       [tcp4("SA", rev=True, ack=1), tcp4("RA")]):
            self.assertFalse(self.flow(TCPChain, *syns, *frames)["tcp_connected"])

    def test_the_first_syn_in_each_direction_wins(self):
        record = self.flow(TCPChain, tcp4("SEC"), tcp4("S"), tcp4("SA", rev=True), tcp4("SAEC", rev=True))
        self.assertEqual((record["tcp_synflags_fwd"], record["tcp_synflags_rev"]), (TCP_SEC, TCP_SA))
        record = self.flow(TCPChain, tcp4("S"), tcp4("SAEC", rev=True))
        self.assertEqual(record["tcp_synflags_rev"], TCP_SAEC)

    def test_fin_and_rst_belong_to_their_direction(self):
        self.assertEqual(self.flow(TCPChain, tcp4("FA")), {**SILENT, "tcp_fin_fwd": True})
        self.assertEqual(self.flow(TCPChain, tcp4("A"), tcp4("FA", rev=True)), {**SILENT, "tcp_fin_rev": True})
        self.assertEqual(self.flow(TCPChain, tcp4("R")), {**SILENT, "tcp_rst_fwd": True})
        self.assertEqual(self.flow(TCPChain, tcp4("A"), tcp4("RA", rev=True)), {**SILENT, "tcp_rst_rev": True})

    def test_a_syn_ack_that_acknowledges_another_syn_is_noted_and_not_believed(self):
        for make in (tcp4, tcp6):
            syn, bogus = make("SEC", seq=2**32 - 1), make("SAEC", rev=True, ack=77, seq=5)
            answer, acknowledgement = make("SAE", rev=True, ack=0, seq=6), make("A")
            noted = {**SILENT, "tcp_synflags_fwd": TCP_SEC, "tcp_bogus_synack_rev": 1, "tcp_bogus_ack_rev": 77}
            self.assertEqual(self.flow(TCPChain, syn, bogus), noted)
            self.assertEqual(self.flow(TCPChain, syn, bogus, acknowledgement), noted)  # of nothing
            record = self.flow(TCPChain, syn, bogus, make("R", seq=77), syn, answer, acknowledgement)
            self.assertEqual(record, {**noted, "tcp_rst_fwd": True, "tcp_synflags_rev": TCP_SAE, "tcp_connected": True})
            record = self.flow(TCPChain, syn, bogus, make("SA", rev=True, ack=78), answer)
            self.assertEqual((record["tcp_bogus_synack_rev"], record["tcp_bogus_ack_rev"]), (2, 77))

    def test_what_a_syn_ack_may_acknowledge(self):
        """The SYN, and of the data on it as much as was taken, also where it was sent again without them."""
        syn, plain = tcp4("S", seq=2**32 - 3, payload=b"12345"), tcp4("S", seq=2**32 - 3)
        for sent in ([syn], [syn, plain], [plain, syn]):
            for ack, believed in ((2**32 - 3, False), (2**32 - 2, True), (0, True), (3, True), (4, False)):
                record = self.flow(TCPChain, *sent, tcp4("SA", rev=True, ack=ack))
                self.assertIs(has_syn_ack(record), believed, ack)
        for ack, believed in ((10, False), (11, True), (12, False)):
            self.assertIs(has_syn_ack(self.flow(TCPChain, tcp4("S", seq=10), tcp4("SA", rev=True, ack=ack))), believed)

    def test_where_the_syn_was_not_seen_its_answer_is_believed(self):
        record = self.flow(TCPChain, tcp4("A"), tcp4("SAE", rev=True, ack=77))
        self.assertEqual((record["tcp_synflags_rev"], record["tcp_bogus_synack_rev"]), (TCP_SAE, 0))
        record = self.flow(TCPChain, tcp4("SA", ack=77), tcp4("A", rev=True))  # the capture began with it
        self.assertEqual((record["tcp_synflags_fwd"], record["tcp_bogus_synack_rev"]), (TCP_SA, 0))

    def test_other_syns_than_syn_acks_acknowledge_nothing(self):
        record = self.flow(TCPChain, tcp4("S", seq=9), tcp4("S", rev=True, ack=0), tcp4("SA", seq=9, ack=1))
        self.assertEqual((record["tcp_synflags_rev"], record["tcp_bogus_synack_rev"]), (2, 0))

    def test_ports_that_are_used_again(self):
        """The answer to the later SYN is one."""
        record = self.flow(TCPChain, tcp4("S", seq=9), tcp4("S", seq=500), tcp4("SA", rev=True, ack=501))
        self.assertEqual((record["tcp_synflags_rev"], record["tcp_bogus_synack_rev"]), (TCP_SA, 0))

    def test_completion(self):
        bogus = [tcp4("S", seq=9), tcp4("SA", rev=True, ack=77), tcp4("R", seq=77)]
        self.assertFalse(self.completes(TCPChain, bogus))
        self.assertTrue(self.completes(TCPChain, [*bogus, tcp4("S", seq=9), tcp4("SA", rev=True, ack=10), tcp4("R")]))
        self.assertTrue(self.completes(TCPChain, [*bogus, tcp4("RA", rev=True)]))
        self.assertTrue(self.completes(TCPChain, [tcp4("FA"), tcp4("FA", rev=True)]))
        self.assertTrue(self.completes(TCPChain, [tcp4("S"), tcp4("R", rev=True)]))
        self.assertFalse(self.completes(TCPChain, [tcp4("FA"), tcp4("FA")]))
        self.assertFalse(self.completes(TCPChain, [tcp4("S"), tcp4("SA", rev=True), tcp4("A")]))


class Options(unittest.TestCase):
    def options(self, data):
        data += bytes(-len(data) % 4)
        return tcp_options(tcp(bytes(12) + bytes([(5 + len(data) // 4) << 4]) + bytes(7) + data))

    def test_values(self):
        self.assertEqual(
            self.options(b"\x02\x04\x05\xb4\x01\x01\x04\x02\x03\x03\x07"), {2: b"\x05\xb4", 4: b"", 3: b"\x07"}
        )

    def test_the_end_of_list_ends_it(self):
        self.assertEqual(self.options(b"\x01\x00\x02\x04\x05\xb4"), {})

    def test_where_options_stand(self):
        """As for somebody who wants to change one: padding is passed over, what cannot be ends the search."""
        data = b"\x01\x02\x04\x05\xb4\x01\x01\x04\x02\x00\x03\x03\x07"
        self.assertEqual([next_option(data, at) for at in (0, 1, 5, 7, 9, len(data))], [1, 1, 7, 7, -1, -1])
        for malformed in (b"\x02", b"\x02\x00", b"\x02\x01", b"\x02\x04\x05", b"\x01\x01", b""):
            self.assertEqual(next_option(malformed, 0), -1)

    def test_malformed_options_yield_what_stands_before(self):
        for bad in (b"\x08", b"\x08\x00", b"\x08\x01", b"\x08\x0a\x00", b"\xfe\xff"):
            self.assertEqual(self.options(b"\x02\x04\x05\xb4" + bad.rjust(4, b"\x01")), {2: b"\x05\xb4"})

    @given(st.binary(max_size=40), st.integers(0, 15), st.integers(0, 60))
    def test_any_bytes(self, data, doff, cut):
        header = (bytes(12) + bytes([doff << 4]) + bytes(7) + data)[: 20 + cut]
        for kind, value in tcp_options(tcp(header)).items():
            self.assertIn(bytes([kind, len(value) + 2]) + value, data)


class TestBogus(unittest.TestCase):
    def test_each_record_is_asked_about_a_segment_that_no_table_shows(self):
        answer = tcp(tcp4("SA", rev=True, ack=8)[34:])
        self.assertTrue(is_bogus({"_syn_seq": 0, "_syn_bytes": 0}, answer, True))
        self.assertFalse(is_bogus({"_syn_seq": 7, "_syn_bytes": 0}, answer, True))


if __name__ == "__main__":
    unittest.main()


class TestHasSYNACK(unittest.TestCase):
    def test_only_syn_and_ack_together(self):
        for flags, found in ((TCP_SA, True), (TCP_SAE, True), (0x14, False), (0x02, False), (None, False)):
            self.assertIs(has_syn_ack({"tcp_synflags_rev": flags}), found)
