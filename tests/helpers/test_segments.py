"""Segments as bytes, compared with what Scapy makes of them."""

import unittest

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw

from pathspider.chains.tcp import TCP_ACK, TCP_AE, TCP_RST
from pathspider.helpers.probes import probe
from pathspider.helpers.segments import (
    Stream,
    flags_of,
    following,
    is_bogus_syn_ack,
    ones_complement_sum,
    payload_of,
    refusing,
    resumed,
    syn_verdict,
    timestamp,
    transport_offset,
    with_traffic_class,
)

HEADERS = (
    IP(src="192.0.2.1", dst="192.0.2.2", flags=6, id=77, tos=184),
    IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP() for _ in range(4)]),
    IPv6(src="2001:db8::1", dst="2001:db8::2", fl=5),
    IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrDestOpt(),
)
NUMBERS = st.integers(0, 2**32 - 1)


def segment(**fields):
    return bytes(TCP(**{"sport": 80, "dport": 1000, **fields}))


class TestFollowing(unittest.TestCase):
    @given(st.sampled_from(HEADERS), NUMBERS, NUMBERS, st.tuples(st.booleans(), st.booleans()), st.binary(max_size=9))
    def test_as_scapy_would(self, header, seq, theirs, stamped, data):
        we_stamp, they_stamp = stamped
        syn = bytes(header / TCP(sport=1000, dport=80, seq=seq, flags="S", options=[("MSS", 1460)] + [
            ("Timestamp", (5, 0))] * we_stamp) / Raw(data))
        reply = segment(seq=theirs, flags="SA", options=[("SAckOK", b""), ("Timestamp", (9, 5))] if they_stamp else [])
        made = following(syn, TCP_ACK, reply)
        stamps = [("NOP", None), ("NOP", None), ("Timestamp", (6, 9))] if we_stamp and they_stamp else []
        expected = bytes(header / TCP(sport=1000, dport=80, seq=(seq + 1) % 2**32, ack=(theirs + 1) % 2**32, flags="A",
                                      window=502, options=stamps))
        self.assertEqual(made, expected)

    @given(st.sampled_from(HEADERS), st.binary(min_size=1, max_size=9), st.integers(0, 99), st.integers(0, 255))
    def test_data_and_what_is_behind_them(self, header, data, behind, mark):
        syn = bytes(header / TCP(sport=1000, dport=80, seq=2**32 - 5, flags="S", options=[("Timestamp", (5, 0))]))
        reply = segment(seq=7, flags="SA", options=[("Timestamp", (9, 5))])
        made = following(with_traffic_class(syn, mark), TCP_ACK | TCP_AE, reply, data, behind)
        again = header.copy()
        setattr(again, "tos" if IP in header else "tc", mark)
        expected = TCP(sport=1000, dport=80, seq=(2**32 - 4 + behind) % 2**32, ack=8, flags="AN", window=502,
                       options=[("NOP", None), ("NOP", None), ("Timestamp", (6, 9))])
        self.assertEqual(made, bytes(again / expected / Raw(data)))

    def test_reset(self):
        for header in HEADERS:
            made = following(bytes(header / TCP(sport=7, dport=80, seq=2**32 - 1, flags="S")), TCP_RST)
            self.assertEqual(made, bytes(header / TCP(sport=7, dport=80, seq=0, ack=0, flags="R", window=502)))
            self.assertEqual(len(made) - transport_offset(made), 20)


class TestRefusing(unittest.TestCase):
    @given(st.sampled_from(HEADERS), NUMBERS, st.binary(max_size=9))
    def test_as_scapy_would(self, header, acknowledged, data):
        """A RST without ACK, its sequence number what was acknowledged. RFC 9293, section 3.10.7.3"""
        syn = bytes(header / TCP(sport=1000, dport=80, seq=5, flags="S", options=[("MSS", 1460)]) / Raw(data))
        made = refusing(syn, segment(flags="SA", ack=acknowledged))
        self.assertEqual(made, bytes(header / TCP(sport=1000, dport=80, seq=acknowledged, ack=0, flags="R", window=0)))

    def test_what_is_refused(self):
        for fields, bogus in (({"flags": "SA", "ack": 0}, False), ({"flags": "SA", "ack": 5}, False),
                              ({"flags": "SA", "ack": 6}, True), ({"flags": "SAE", "ack": 2**32 - 1}, True),
                              ({"flags": "A", "ack": 6}, False), ({"flags": "S"}, False), ({"flags": "R"}, False),
                              ({"flags": "SRA", "ack": 6}, False)):
            with self.subTest(**fields):
                self.assertIs(is_bogus_syn_ack(2**32 - 1, 5, segment(**fields)), bogus)
        self.assertFalse(is_bogus_syn_ack(0, 0, b""))


class TestVerdict(unittest.TestCase):
    def test_answers_to_a_syn(self):
        for fields, verdict in (({"flags": "SA"}, True), ({"flags": "SAE"}, True), ({"flags": "RA"}, False),
                                ({"flags": "R"}, False), ({"flags": "A"}, None), ({"flags": "SA", "ack": 99}, None),
                                ({"flags": "RA", "ack": 99}, None), ({"flags": "S"}, None)):
            with self.subTest(**fields):
                self.assertIs(syn_verdict(2**32 - 1, 0, segment(**{"ack": 0, **fields})), verdict)

    def test_data_on_the_syn(self):
        for ack, verdict in ((1, True), (6, True), (7, None), (0, None)):
            self.assertIs(syn_verdict(0, 5, segment(flags="SA", ack=ack)), verdict)

    @given(st.binary(max_size=60))
    def test_nonsense(self, data):
        syn_verdict(0, 0, data)
        flags_of(data)
        if len(data) >= 20:
            timestamp(data)

    @given(st.binary(max_size=40), st.integers(0, 0xFFFF))
    def test_a_sum_with_its_complement_is_all_ones(self, data, start):
        total = ones_complement_sum(data, start)
        self.assertEqual(ones_complement_sum((0xFFFF - total).to_bytes(2, "big") + data, start), 0xFFFF)


class TestResumed(unittest.TestCase):
    """A segment of another connection, as one of this."""

    @given(st.sampled_from(HEADERS), NUMBERS, NUMBERS, st.binary(min_size=1, max_size=9), st.integers(0, 3000))
    def test_as_scapy_would(self, header, seq, theirs, data, behind):
        stamped = [("NOP", None), ("Timestamp", (5, 0))]
        syn = bytes(header / TCP(sport=9, dport=80, seq=seq, flags="S", options=stamped))
        reply = segment(seq=theirs, flags="SA", options=[("Timestamp", (77, 5))])
        other, mine = header.copy(), header.copy()
        if IPv6 in header:
            other.fl = 4711
        observed = other / TCP(sport=1, dport=80, seq=1, ack=2, flags="PAE", window=9, options=[
            (254, b"x"), ("Timestamp", (1, 2))]) / Raw(data)
        expected = mine / TCP(sport=9, dport=80, seq=(seq + 1 + behind) % 2**32, ack=(theirs + 1) % 2**32, flags="PAE",
                              window=9, options=[(254, b"x"), ("Timestamp", (6, 77))]) / Raw(data)
        made = resumed(bytes(observed), syn, reply, behind)
        number = getattr(header, "id", 0)
        self.assertEqual(probe(made, port=9, number=0 if IPv6 in header else number), bytes(expected))
        self.assertEqual(payload_of(made), data)

    def test_without_timestamps(self):
        syn, reply = bytes(IP() / TCP(flags="S")), segment(flags="SA")
        observed = bytes(IP() / TCP(flags="A", options=[("Timestamp", (1, 2))]) / Raw(b"x"))
        self.assertIn(observed[42:52], resumed(observed, syn, reply))


class TestStream(unittest.TestCase):
    def test_segments_of_others(self):
        stream = Stream(2 ** 32 - 2)
        for part, seq in ((b"c", 0), (b"later", 2 ** 31), (b"before", 2 ** 32 - 3), (b"ab", 2 ** 32 - 2), (b"", 1)):
            stream.take(segment(seq=seq, flags="A") + part)
        stream.take(b"short")
        self.assertEqual((stream.octets, stream.is_over), (b"abc", False))
