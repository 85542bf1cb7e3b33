"""Templates: the same octets as Scapy's, whatever the numbers."""

import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, IPOption_NOP
from scapy.layers.inet6 import (
    HAO,
    HBHOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrSegmentRouting,
    PadN,
)
from scapy.packet import Raw
from scapy.volatile import RandShort, RandString

from pathspider.helpers import templates
from pathspider.helpers.templates import Templates, kind_of

PORTS, WORDS = st.integers(0, 65535), st.integers(0, 2**32 - 1)
OPTIONS = [
    lambda stamp: [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (stamp, 0)), ("NOP", None), ("WScale", 7)],
    lambda stamp: [("MSS", 1460), (99, b"\xa5\xc3")],
    lambda stamp: [(99, b"abc"), ("NOP", None), ("Timestamp", (7, stamp))],
    lambda stamp: [(98, bytes(32)), ("Timestamp", (stamp, 1))],  # more than a header can have
    lambda stamp: [],
]
HEADERS = [
    lambda last, number: IP(src="192.0.2.1", dst=f"192.0.2.{last}", id=number & 0xFFFF, flags="DF", ttl=64),
    lambda last, number: IP(src="192.0.2.1", dst=f"198.51.100.{last}", tos=181),
    lambda last, number: IPv6(src="2001:db8::1", dst=f"2001:db8::{last:x}", fl=number & 0xFFFFF, hlim=64),
    lambda last, number: IPv6(src="2001:db8::1", dst=f"2001:db8::{last:x}", tc=181),
    lambda last, number: IPv6(src="2001:db8::1", dst=f"2001:db8::{last:x}", fl=number & 0xFFFFF) / IPv6ExtHdrHopByHop(
        options=[HBHOptUnknown(otype=0x1E, optdata=bytes(60))], autopad=0) / IPv6ExtHdrFragment(id=number ^ 7),
    lambda last, number: IPv6(src="2001:db8::1", dst=f"2001:db8::{last:x}") / IPv6ExtHdrSegmentRouting(
        addresses=[f"2001:db8::{last:x}", f"2001:db8:{number & 0xFFFF:x}::1"], segleft=0, lastentry=1)
    / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"1234")], autopad=0),
]


class TestTemplates(unittest.TestCase):
    @given(st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(OPTIONS), st.sampled_from(["S", "SEC", 0x1C2]),
                              st.integers(1, 254), PORTS, PORTS, WORDS, WORDS), min_size=2, max_size=12))
    def test_the_same_as_scapy_s(self, syns):
        made = Templates()
        for header, options, flags, last, sport, dport, seq, stamp in syns:
            packet = header(last, seq) / TCP(sport=sport, dport=dport, seq=seq, flags=flags, options=options(stamp))
            for _ in range(2):  # the second one is of a kind that is known
                self.assertEqual(made.octets(packet), bytes(packet))

    def test_one_build_for_each_kind(self):
        made = Templates()
        for header in HEADERS:
            for last in (1, 2, 3):
                packet = header(last, last) / TCP(sport=last, seq=last, flags="S", options=OPTIONS[0](last))
                with mock.patch.object(type(packet), "build", autospec=True, side_effect=type(packet).build) as builds:
                    made.octets(packet)
                self.assertEqual(builds.called, last == 1)

    def test_what_is_of_no_kind(self):
        for packet in (
            IP() / TCP() / Raw(b"x"), IP(chksum=1) / TCP(), IP() / TCP(chksum=1), IP(options=[IPOption_NOP()]) / TCP(),
            IP() / TCP(dataofs=5), IP(id=RandShort()) / TCP(),
            IP() / TCP(window=RandShort()), IP() / TCP(options=[("MSS", RandShort())]), IP() / Raw(b"x"), IP(),
            IPv6() / IPv6ExtHdrDestOpt(), IPv6() / IP() / TCP(), IPv6() / TCP() / IPv6(),
            IP() / IPv6ExtHdrDestOpt() / TCP(), IPv6() / IPv6ExtHdrDestOpt(len=0) / TCP(),
            IPv6() / IPv6ExtHdrFragment(id=RandShort()) / TCP(),
            IPv6() / IPv6ExtHdrDestOpt(options=[HAO()]) / TCP(),  # its address is in the checksum
            IPv6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=RandString(4))]) / TCP(),
            IPv6() / IPv6ExtHdrSegmentRouting(addresses=["2001:db8::2"], segleft=1) / TCP(),
            IPv6() / IPv6ExtHdrSegmentRouting(addresses=["2001:db8::2"]) / TCP(),
            IP() / TCP(options=[("EOL", None), ("Timestamp", (1, 2))]),
            IP() / TCP(options=[(8, b"another."), ("Timestamp", (1, 2))]),
        ):
            self.assertIsNone(kind_of(packet), packet.summary())
        with_data = IP(src="192.0.2.1", dst="192.0.2.2") / TCP() / Raw(b"x")
        self.assertEqual(Templates().octets(with_data), bytes(with_data))

    def test_so_many_at_once(self):
        made = Templates()
        with mock.patch.object(templates, "MOST_KINDS", 2):
            for tos in range(4):
                packet = IP(src="192.0.2.1", dst="192.0.2.2", tos=tos) / TCP()
                self.assertEqual(made.octets(packet), bytes(packet))
        self.assertEqual(len(made._kept), 2)


if __name__ == "__main__":
    unittest.main()
