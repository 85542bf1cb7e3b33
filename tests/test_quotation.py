"""What ICMP errors quote: whole, cut anywhere, padded, with extensions, and any octets at all."""

import random
import struct
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)

from pathspider import quotation
from pathspider.helpers.segments import ones_complement_sum

SYN = {"sport": 40000, "dport": 443, "seq": 0xA1B2C3D4, "flags": "SEC", "window": 64240, "options": [
    ("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 0)), ("NOP", None), ("WScale", 7), (34, b"\x01\x02\x03\x04")]}


def syn4(**ip):
    """A SYN as Linux sends it, with the evil bit."""
    ip = {"src": "10.0.0.2", "dst": "10.20.1.1", "tos": 0xB9, "id": 7, "flags": "evil+DF", "ttl": 1} | ip
    return bytes(IP(**ip) / TCP(**SYN))


def syn6():
    """The same over IPv6."""
    return bytes(IPv6(src="fd00::2", dst="fd00::9", tc=0xB9, fl=0xABCDE, hlim=1) / TCP(**SYN))


def expired(quoted, said=0, behind=b"", version=4):
    """A time exceeded message."""
    if version == 4:
        return bytes([11, 0, 0, 0, 0, said, 0, 0]) + quoted + behind
    return bytes([3, 0, 0, 0, said, 0, 0, 0]) + quoted + behind


def extension(*objects, summed=True):
    """An extension structure. RFC 4884, section 7"""
    data = b"".join(struct.pack("!HBB", 4 + len(value), number, kind) + value for number, kind, value in objects)
    head = b"\x20\0\0\0"
    checksum = 0xFFFF - ones_complement_sum(head + data) if summed else 0
    return b"\x20\0" + checksum.to_bytes(2, "big") + data


MPLS = (1, 1, bytes.fromhex("0001f101" "0002a9ff"))


class Whole(unittest.TestCase):
    def test_ipv4_and_tcp(self):
        read = quotation.read(expired(syn4()), 4)
        self.assertEqual((read.kind, read.type, read.code, read.version, read.said), ("time_exceeded", 11, 0, 4, 0))
        self.assertEqual((read.src, read.dst), (bytes([10, 0, 0, 2]), bytes([10, 20, 1, 1])))
        self.assertEqual((read.traffic_class, read.dscp, read.ecn), (0xB9, 46, 1))
        self.assertEqual((read.ident, read.flags, read.evil, read.fragment_offset, read.ttl), (7, 6, True, 0, 1))
        self.assertEqual((read.proto, read.header_length, read.ip_options), (6, 20, ()))
        self.assertEqual((read.sport, read.dport, read.seq, read.ack), (40000, 443, 0xA1B2C3D4, 0))
        self.assertEqual((read.tcp_flags, read.window, read.urgent), (0xC2, 64240, 0))
        self.assertEqual([kind for kind, _ in read.options], [2, 4, 8, 3, 34])
        self.assertEqual((read.mss, read.tfo, read.mptcp, read.has_option(3), read.options_whole),
                         (1460, True, False, True, True))
        self.assertEqual((read.octets, read.length, read.payload, read.payload_length), (len(syn4()),) * 2 + (b"", 0))

    def test_ipv6(self):
        read = quotation.read(expired(syn6(), version=6), 6)
        self.assertEqual((read.flow_label, read.dscp, read.ecn, read.ttl), (0xABCDE, 46, 1, 1))
        self.assertEqual((read.length, read.octets), (len(syn6()), len(syn6())))
        self.assertEqual((read.seq, read.mss, read.evil, read.ident), (0xA1B2C3D4, 1460, None, None))

    def test_accurate_ecn(self):
        syn = bytearray(syn4())
        syn[32] |= 1
        self.assertEqual(quotation.read(expired(bytes(syn)), 4).tcp_flags, 0x1C2)

    def test_udp_without_checksum_and_with_options(self):
        packet = IP(src="10.0.0.2", dst="10.20.1.1", len=20 + 8 + 5 + 4) / UDP(sport=1, dport=53, len=13, chksum=0)
        read = quotation.read(expired(bytes(packet) + b"query" + b"\x01\x02\x03\x04"), 4)
        self.assertEqual((read.checksum, read.udp_length, read.payload, read.surplus, read.payload_length),
                         (0, 13, b"query", 4, 5))

    def test_each_kind(self):
        for version, message, kind, value in (
            (4, ICMP(type=3, code=13), "unreachable", (None, None)),
            (4, ICMP(type=3, code=4, nexthopmtu=1400), "too_big", (1400, None)),
            (4, ICMP(type=12, code=0, ptr=9), "parameter_problem", (None, 9)),
            (4, ICMP(type=11, code=1), "time_exceeded", (None, None)),
            (6, ICMPv6DestUnreach(code=1), "unreachable", (None, None)),
            (6, ICMPv6PacketTooBig(mtu=1280), "too_big", (1280, None)),
            (6, ICMPv6ParamProblem(ptr=40), "parameter_problem", (None, 40)),
            (6, ICMPv6TimeExceeded(), "time_exceeded", (None, None)),
        ):
            with self.subTest(f"{version} {kind}"):
                read = quotation.read(bytes(message)[:8] + (syn4() if version == 4 else syn6()), version)
                self.assertEqual((read.kind, (read.mtu, read.pointer), read.mss), (kind, value, 1460))

    def test_what_is_no_error_or_of_the_other_version(self):
        for message, version in ((b"", 4), (expired(b""), 4), (expired(syn6()), 4), (expired(syn4(), version=6), 6),
                                 (b"\x08" + bytes(7) + syn4(), 4), (b"\x05" + bytes(7) + syn4(), 4),
                                 (b"\x80" + bytes(7) + syn6(), 6), (expired(syn4()), 5)):
            self.assertIsNone(quotation.read(message, version))

    def test_ipv4_options_and_fragments(self):
        packet = bytes(IP(src="1.2.3.4", dst="5.6.7.8", proto=6, options=[], ihl=6, len=44)
                       )[:20] + b"\x94\x04\0\0" + bytes(TCP(**(SYN | {"options": []})))
        read = quotation.read(expired(packet), 4)
        self.assertEqual((read.ip_options, read.header_length, read.sport), (((148, b"\0\0"),), 24, 40000))
        later = quotation.read(expired(syn4(frag=100)), 4)
        self.assertEqual((later.fragment_offset, later.sport, later.mss, later.tfo), (800, None, None, None))

    def test_ipv6_extension_headers(self):
        packet = bytes(IPv6(src="fd00::2", dst="fd00::9") / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=77)
                       / IPv6ExtHdrDestOpt() / TCP(**SYN))
        read = quotation.read(expired(packet, version=6), 6)
        self.assertEqual((read.extension_headers, read.header_length, read.ident, read.mss, read.proto),
                         ((0, 44, 60), 64, 77, 1460, 6))
        cut = quotation.read(expired(packet[:45], version=6), 6)
        self.assertEqual((cut.extension_headers, cut.proto, cut.sport), ((0, 44), None, None))
        later = quotation.read(expired(bytes(
            IPv6(src="fd00::2", dst="fd00::9") / IPv6ExtHdrFragment(offset=9, nh=6)) + b"x" * 40, version=6), 6)
        self.assertEqual((later.fragment_offset, later.sport), (72, None))


class Cut(unittest.TestCase):
    def test_what_came_is_the_same_and_the_rest_is_unknown(self):
        for version, packet in ((4, syn4()), (6, syn6())):
            whole = quotation.read(expired(packet, version=version), version)
            for octets in range(1, len(packet)):
                read = quotation.read(expired(packet[:octets], version=version), version)
                # a cut within a word of zeros may lose the word, no more
                self.assertTrue(octets - 4 <= read.octets <= octets, (version, octets, read.octets))
                for name in ("dscp", "ecn", "evil", "ident", "ttl", "sport", "seq", "ack", "tcp_flags", "window",
                             "checksum", "urgent", "mss", "tfo", "mptcp", "flow_label", "proto", "header_checksum"):
                    self.assertIn(getattr(read, name), (None, getattr(whole, name)), (version, octets, name))

    def test_eight_and_twenty_eight_octets(self):
        read = quotation.read(expired(syn4()[:28]), 4)
        self.assertEqual((read.octets, read.seq, read.ack, read.tcp_flags, read.mss, read.tfo, read.options),
                         (28, 0xA1B2C3D4, None, None, None, None, None))
        read = quotation.read(expired(syn4()[:48]), 4)
        self.assertEqual((read.tcp_flags, read.mss, read.tfo, read.options_whole, read.payload),
                         (0xC2, 1460, None, False, None))

    def test_a_header_without_room_for_options_has_none(self):
        packet = bytes(IP(src="1.2.3.4", dst="5.6.7.8") / TCP(**(SYN | {"options": []})))
        read = quotation.read(expired(packet[:34]), 4)
        self.assertEqual((read.mss, read.tfo, read.options_whole), (0, False, True))


class Padded(unittest.TestCase):
    def test_zeros_are_no_change(self):
        """A router that quotes so many octets pads to 128 of them, and says so or not."""
        packet = syn4()
        for said in (0, 32):
            for octets in (28, 40, 44, 48, 52, 60, len(packet)):
                cut, padded = expired(packet[:octets]), expired(packet[:octets].ljust(128, b"\0"), said)
                self.assertEqual(quotation.read(padded, 4).facts(), quotation.read(cut, 4).facts(), (said, octets))

    def test_a_zero_at_the_end_may_be_padding(self):
        """Of an acknowledgement number of 0 that nothing follows, nobody knows whether it was quoted."""
        padded = expired(syn4()[:32].ljust(128, b"\0"), 32)
        self.assertEqual(quotation.read(expired(syn4()[:32]), 4).ack, 0)
        self.assertEqual(quotation.read(padded, 4).facts(), quotation.read(expired(syn4()[:28]), 4).facts())

    def test_ipv6(self):
        for octets in (48, 64, len(syn6())):
            cut, padded = expired(syn6()[:octets], version=6), expired(syn6()[:octets].ljust(128, b"\0"), 16, version=6)
            self.assertEqual(quotation.read(padded, 6).facts(), quotation.read(cut, 6).facts(), octets)

    def test_zeros_of_the_packet_count(self):
        packet = bytes(IP(src="10.0.0.2", dst="10.20.1.1") / TCP(**SYN) / bytes(100))
        read = quotation.read(expired(packet), 4)
        self.assertEqual((read.octets, read.payload), (len(packet), bytes(100)))

    def test_udp_checksum_of_zero(self):
        packet = bytes(IP(src="10.0.0.2", dst="10.20.1.1") / UDP(sport=1, dport=53, chksum=0) / b"x")
        self.assertEqual(quotation.read(expired(packet.ljust(128, b"\0"), 32), 4).checksum, 0)


class Extensions(unittest.TestCase):
    def test_behind_what_the_message_says(self):
        for version, packet, said in ((4, syn4(), 32), (6, syn6(), 16)):
            for summed in (True, False):
                read = quotation.read(
                    expired(packet.ljust(128, b"\0"), said, extension(MPLS, (2, 0x0F, b"if"), summed=summed), version),
                    version)
                self.assertEqual((read.said, read.octets, read.mss), (128, len(packet), 1460))
                self.assertEqual([(one.number, one.type) for one in read.extensions], [(1, 1), (2, 15)])
                self.assertEqual(read.extensions[0].labels, [{"label": 31, "tc": 0, "bottom": 1, "ttl": 1},
                                                             {"label": 42, "tc": 4, "bottom": 1, "ttl": 255}])
                self.assertIsNone(read.extensions[1].labels)
                self.assertEqual(read.facts()["mpls"], read.extensions[0].labels)

    def test_routers_that_do_not_say(self):
        data = bytes(IP(src="10.0.0.2", dst="10.20.1.1") / TCP(**SYN) / (b"x" * 900))
        read = quotation.read(expired(data[:128], 0, extension(MPLS)), 4)
        self.assertEqual((read.octets, read.said, len(read.extensions)), (128, 0, 1))
        for behind in (extension(MPLS, summed=False), extension(MPLS)[:-1] + b"x", data[128:500]):
            read = quotation.read(expired(data[:128], 0, behind), 4)
            self.assertEqual((read.octets, read.extensions), (128 + len(behind), ()))

    def test_more_than_128_octets_before_them(self):
        data = bytes(IP(src="10.0.0.2", dst="10.20.1.1") / TCP(**SYN) / (b"x" * 900))[:512]
        read = quotation.read(expired(data, 128, extension(MPLS)), 4)
        self.assertEqual((read.octets, len(read.extensions)), (512, 1))

    def test_bad_ones_are_left_out(self):
        for behind in (b"\x20", b"\x10\0\0\0" + bytes(8), b"\x20\0\0\0\0\x03\1\1", b"\x20\0\0\0\xff\xff\1\1",
                       b"\x20\0\x12\x34\0\x08\1\1abcd"):
            read = quotation.read(expired(syn4().ljust(128, b"\0"), 32, behind), 4)
            self.assertEqual((read.extensions, read.mss), ((), 1460))

    def test_packet_too_big_has_no_length(self):
        read = quotation.read(b"\x02\0\0\0\0\0\x05\0" + syn6(), 6)
        self.assertEqual((read.mtu, read.said, read.mss), (1280, 0, 1460))


class Facts(unittest.TestCase):
    def test_only_what_was_quoted(self):
        self.assertEqual(quotation.read(expired(syn4()[:28]), 4).facts(), {
            "traffic_class": 0xB9, "dscp": 46, "ecn": 1, "length": len(syn4()), "ident": 7, "evil": True, "flags": 6,
            "ttl": 1, "proto": 6, "sport": 40000, "dport": 443, "seq": 0xA1B2C3D4})
        self.assertEqual(quotation.read(expired(syn4()), 4).facts()["options"], [2, 4, 8, 3, 34])


class Anything(unittest.TestCase):
    def assert_sane(self, message, version):
        read = quotation.read(message, version)
        if read is not None:
            self.assertLessEqual(read.octets, len(message) - 8)
            read.facts()
            for one in read.extensions:
                _ = one.labels

    def test_changed_octets(self):
        """One hundred thousand messages, the same in each run, with some octets changed and some cut off."""
        chance = random.Random(17)
        bases = [(expired(syn4()), 4), (expired(syn4().ljust(128, b"\0"), 32, extension(MPLS)), 4),
                 (expired(syn6(), version=6), 6),
                 (expired(syn6().ljust(128, b"\0"), 16, extension(MPLS), version=6), 6),
                 (expired(bytes(IPv6(src="::2", dst="::9") / IPv6ExtHdrHopByHop() / UDP() / b"x"), version=6), 6)]
        for _ in range(20_000):
            for base, version in bases:
                message = bytearray(base)
                for _ in range(chance.randrange(4)):
                    message[chance.randrange(len(message))] = chance.randrange(256)
                self.assert_sane(bytes(message[:chance.randrange(len(message) + 1)]), version)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=400), st.sampled_from([(4, 11), (4, 3), (4, 12), (6, 3), (6, 1), (6, 2), (6, 4)]))
    def test_any_octets(self, data, kind):
        version, number = kind
        self.assert_sane(bytes([number]) + data, version)
        self.assert_sane(bytes([number]) + data[:7].ljust(7, b"\0") + bytes([version << 4 | 5]) + data[7:], version)


if __name__ == "__main__":
    unittest.main()
