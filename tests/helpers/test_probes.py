"""Packets that are to die on the way, and what of them is quoted."""

import struct
import unittest
from socket import IPPROTO_TCP, IPPROTO_UDP

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw

from pathspider.helpers.probes import (
    as_quoted,
    datagram,
    differing,
    ends_of,
    hops_of_reply,
    is_quic,
    is_same,
    noise,
    probe,
    protocol_of,
    version_of,
)
from pathspider.helpers.segments import traffic_class_of, with_traffic_class
from pathspider.libtrace import ip, ip6

V4, V6 = {"src": "192.0.2.1", "dst": "198.51.100.7"}, {"src": "2001:db8::1", "dst": "2001:db8:1::7"}
SYN = {"sport": 40000, "dport": 80, "flags": "SEC", "seq": 7, "options": [("MSS", 1460), ("SAckOK", b"")]}


def view(packet):
    return ip(packet) if version_of(packet) == 4 else ip6(packet)


class TestDatagrams(unittest.TestCase):
    INITIAL = bytes.fromhex("c0000000010000") + bytes(1193)

    def test_what_begins_a_connection_of_quic(self):
        for header in IP(**V4), IPv6(**V6), IPv6(**V6) / IPv6ExtHdrDestOpt():
            for payload, expected in ((self.INITIAL, True), (b"query", False), (b"\x40" + bytes(99), False)):
                self.assertIs(is_quic(bytes(header / UDP(dport=443) / Raw(payload))), expected)
            self.assertFalse(is_quic(bytes(header / TCP(**SYN) / Raw(self.INITIAL))))

    def test_noise(self):
        """As long, with the same ports, and nothing that anybody knows."""
        for header in IP(**V4, tos=2), IPv6(**V6, tc=2):
            packet = bytes(header / UDP(sport=7, dport=443) / Raw(self.INITIAL))
            made, other = noise(packet), noise(packet)
            self.assertEqual((len(made), made[:-1200]), (len(packet), packet[:-1200]))
            self.assertNotEqual(made, other)
            self.assertFalse(made[-1200] & 0xC0)
            self.assertTrue(view(probe(made, port=9, ttl=3)).test_trans_cksm())
        self.assertEqual(noise(bytes(IP(**V4) / UDP())), bytes(IP(**V4) / UDP()))

    def test_the_mark_of_another_one(self):
        for header in IP(**V4), IPv6(**V6, fl=0xABCDE):
            plain = bytes(header / UDP(sport=1, dport=443) / Raw(self.INITIAL))
            marked = header.copy()
            setattr(marked, "tos" if header.version == 4 else "tc", 0xBA)
            if header.version == 6:
                marked.fl = 1
            other = bytes(marked / UDP() / Raw(b"short"))
            seen = view(probe(with_traffic_class(plain, traffic_class_of(other)), port=1))
            self.assertEqual((seen.traffic_class, seen.udp.payload.data), (0xBA, self.INITIAL))
            if seen.version == 6:
                self.assertEqual(seen.flow_label, 0xABCDE)


class TestProbe(unittest.TestCase):
    def test_tcp(self):
        for header in IP(**V4, tos=0xB8, flags="DF+evil"), IPv6(**V6, tc=0xB8, fl=99), IPv6(**V6) / IPv6ExtHdrDestOpt():
            template = bytes(header / TCP(**SYN) / Raw(b"data"))
            made = probe(template, port=50000, ttl=3, number=0x1234, seq=99)
            self.assertEqual(len(made), len(template))
            seen = view(made)
            self.assertEqual((seen.hop_limit, seen.tcp.src_port), (3, 50000))
            self.assertEqual((seen.tcp.seq_nbr, seen.tcp.flags), (99, 0xC2))
            self.assertTrue(seen.test_trans_cksm())
            before = view(template)
            self.assertEqual((seen.traffic_class, seen.tcp.options_data, seen.tcp.payload.data),
                             (before.traffic_class, before.tcp.options_data, b"data"))
            if seen.version == 4:
                self.assertEqual((seen.ident, seen.has_rf, seen.has_df), (0x1234, True, True))
                self.assertTrue(seen.test_l3_cksm())
            else:
                self.assertEqual(seen.flow_label, before.flow_label)

    def test_a_checksum_that_the_network_card_was_to_fill_in(self):
        template = bytes(IP(**V4) / TCP(**SYN, chksum=0x1111))
        self.assertTrue(ip(probe(template, port=1, seq=2)).test_trans_cksm())

    def test_udp(self):
        for header in IP(**V4), IPv6(**V6):
            made = probe(bytes(header / UDP(sport=1, dport=53) / Raw(b"query")), port=50000, ttl=9)
            self.assertTrue(view(made).test_trans_cksm())
            self.assertEqual(view(made).udp.src_port, 50000)

    def test_numbers_over_ipv6(self):
        """In the window of a SYN, which no path is chosen by; 0 leaves that as it is."""
        template = bytes(IPv6(**V6, fl=7) / TCP(**SYN, window=64240))
        seen = [as_quoted(probe(template, port=40000, ttl=3, number=number, seq=9)) for number in (0, 1, 2, 0x8001)]
        self.assertEqual([one.window for one in seen], [64240, 0x8001, 0x8002, 0x8001])
        self.assertEqual({(one.sport, one.dport, one.seq, one.flow_label, one.length) for one in seen},
                         {(40000, 80, 9, 7, len(template))})
        datagram_like = bytes(IPv6(**V6) / UDP(sport=40000, dport=53) / Raw(b"query"))
        self.assertEqual(probe(datagram_like, port=40000, ttl=64, number=5), probe(datagram_like, port=40000, ttl=64))

    def test_udp_without_checksum_stays_so(self):
        made = probe(bytes(IP(**V4) / UDP(sport=1, dport=53, chksum=0) / Raw(b"query")), port=50000)
        self.assertEqual(ip(made).udp.checksum, 0)

    def test_udp_options_are_not_in_the_checksum(self):
        made = probe(bytes(IP(**V4) / UDP(sport=1, dport=53, len=13) / Raw(b"query" + b"options")), port=50000)
        seen = ip(made)
        whole = bytearray(made[20:33])
        total = sum(struct.unpack("!6H", bytes(whole[:12]))) + (whole[12] << 8) + sum(
            struct.unpack("!4H", made[12:20])) + IPPROTO_UDP + 13
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        self.assertEqual((total, seen.pkt_len), (0xFFFF, 40))

    def test_datagram(self):
        for own, target in (V4.values(), V6.values()):
            made = datagram(own, target, (50000, 33434), 5, 77)
            seen = view(made)
            self.assertEqual((str(seen.src_prefix), str(seen.dst_prefix), seen.hop_limit), (own, target, 5))
            self.assertEqual((seen.udp.src_port, seen.udp.dst_port, seen.proto), (50000, 33434, IPPROTO_UDP))
            self.assertTrue(seen.test_trans_cksm())


    def test_ends(self):
        for header, ends in ((IP(**V4), V4), (IPv6(**V6), V6)):
            self.assertEqual(ends_of(bytes(header / UDP())), (ends["src"], ends["dst"]))


class TestQuoted(unittest.TestCase):
    def test_what_was_sent(self):
        sent = as_quoted(bytes(IP(**V4, tos=0xBA) / TCP(**SYN)))
        self.assertEqual((sent.dscp, sent.ecn, sent.tcp_flags, sent.mss, sent.proto), (46, 2, 0xC2, 1460, IPPROTO_TCP))
        self.assertEqual(protocol_of(bytes(IPv6(**V6) / IPv6ExtHdrDestOpt() / UDP())), IPPROTO_UDP)
        self.assertIsNone(as_quoted(b""))
        self.assertIsNone(as_quoted(b"\x15\x00"))

    def test_is_same(self):
        whole = bytes(IP(**V4, tos=2) / TCP(**SYN))
        sent = as_quoted(whole)
        other = as_quoted(bytes(IP(**V4, tos=2) / TCP(**{**SYN, "flags": "S"})))
        short = as_quoted(whole[:28])
        for quoted, fields, same in ((sent, ("tcp_flags", "ecn"), True), (other, ("tcp_flags", "ecn"), False),
                                     (other, ("ecn",), True), (short, ("tcp_flags",), None), (short, ("ecn",), True),
                                     (short, ("ecn", "tcp_flags"), None), (sent, (), True)):
            self.assertIs(is_same(sent, quoted, fields), same)
        bleached = as_quoted(bytes(IP(**V4) / TCP(**SYN))[:28])
        self.assertIs(is_same(sent, bleached, ("ecn", "tcp_flags")), False)

    def test_differing(self):
        """What is set is told; what any two packets have of their own is not."""
        plain = IP(**V4, id=7) / TCP(**{**SYN, "flags": "S"})
        plain[TCP].options = [("MSS", 1460), ("Timestamp", (1, 0))]
        other = IP(**V4, id=8) / TCP(**{**SYN, "flags": "S", "sport": 9, "seq": 5})
        other[TCP].options = [("MSS", 1460), ("Timestamp", (2, 0))]
        self.assertEqual(differing(bytes(other), bytes(plain)), [])
        other[TCP].options += [(99, b"\xa5")]
        other[IP].tos = 0xB8
        self.assertEqual(differing(bytes(other), bytes(plain)), ["dscp", "option_99"])
        six = IPv6(**V6) / TCP(**SYN)
        self.assertEqual(differing(bytes(IPv6(**V6) / IPv6ExtHdrDestOpt() / TCP(**SYN)), bytes(six)), ["headers"])
        query = IP(**V4) / UDP() / b"query"
        self.assertEqual(differing(bytes(IP(**V4) / UDP(chksum=0) / b"query"), bytes(query)), ["checksum"])
        self.assertEqual(differing(bytes(IP(**V4) / UDP() / b"other"), bytes(query)), [])
        self.assertEqual(differing(b"", bytes(query)), [])

    def test_an_option(self):
        packet = IP(**V4) / TCP(**{**SYN, "options": [("MSS", 1460), (99, b"\xa5"), (200, b"")]})
        sent = as_quoted(bytes(packet))
        self.assertEqual([sent.field(name) for name in ("option_99", "option_200", "option_98", "mss")],
                         ["a5", "", "absent", 1460])
        packet[TCP].options = [("MSS", 1460)]
        stripped, short = as_quoted(bytes(packet)), as_quoted(bytes(packet)[:42])
        self.assertEqual((stripped.field("option_99"), short.field("option_99")), ("absent", None))
        self.assertIs(is_same(sent, stripped, ["option_99"]), False)
        self.assertIsNone(is_same(sent, short, ["option_99"]))

    def test_hops_of_a_reply(self):
        for ttl, hops in ((64, 1), (56, 9), (128, 1), (119, 10), (255, 1), (20, 13), (None, 0)):
            self.assertEqual(hops_of_reply(ttl), hops, ttl)

    @given(st.binary(max_size=120))
    def test_any_octets(self, data):
        as_quoted(data)
        protocol_of(data)
