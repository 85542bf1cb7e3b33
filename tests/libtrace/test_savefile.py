"""Capture files: all that pcap and pcapng allow is read; what they do not is told with its offset."""

import struct
import tempfile
import unittest
from pathlib import Path

from pathspider.libtrace import CaptureError
from pathspider.libtrace.sources import Capture
from tests.libtrace.frames import block, enhanced, interface, options, pcap, pcapng, section, udp4

FRAMES = [udp4(sport=port) for port in range(1, 6)]
RAW = FRAMES[0][14:]
BOTH = ("<", ">")


class Files(unittest.TestCase):
    def setUp(self):
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory()), "a.pcapng")

    def read(self, data, **wishes):
        """Packets, ``(bytes, length on the wire, link type, ns)``, the error that ended them, and the source."""
        self.path.write_bytes(data)
        found = []
        try:
            with Capture(str(self.path), **wishes) as self.capture:
                while (packet := self.capture.read()) is not None:
                    found.append(packet)
        except CaptureError as error:
            return found, error
        return found, None

    def packets(self, data, **wishes):
        found, error = self.read(data, **wishes)
        self.assertIsNone(error)
        return found

    def frames(self, data, **wishes):
        return [packet[0] for packet in self.packets(data, **wishes)]

    def refused(self, data, offset, *words):
        """The error, after what stands before it was read."""
        found, error = self.read(data)
        self.assertIsNotNone(error)
        self.assertEqual(error.offset, offset)
        for word in (f"byte {offset}", str(self.path), *words):
            self.assertIn(word, str(error))
        return found


class Pcap(Files):
    def test_a_record_longer_than_the_header_s_snaplen(self):
        for order in BOTH:
            for size in (97, 65_549, 200_000, 262_144):
                big = FRAMES[0] + bytes(size - len(FRAMES[0]))
                found = self.packets(pcap([FRAMES[0], big, FRAMES[1]], snaplen=96, order=order), snaplen=262_144)
                self.assertEqual([packet[0] for packet in found], [FRAMES[0], big, FRAMES[1]])
        self.refused(pcap([FRAMES[0], bytes(262_145)]), 24 + 16 + len(FRAMES[0]), "262145")

    def test_a_header_whose_snaplen_says_nothing(self):
        for snaplen in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assertEqual(self.frames(pcap(FRAMES, snaplen=snaplen)), FRAMES)

    def test_kuznetzov_s_format_and_lengths_that_had_changed_places(self):
        for order in BOTH:
            head = struct.pack(order + "IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
            records = b"".join(struct.pack(order + "IIIIIHBB", 5, 6, len(one), len(one) + 9, 1, 8, 0, 0) + one
                               for one in FRAMES)
            found = self.packets(head + records)
            self.assertEqual([packet[0] for packet in found], FRAMES)
            self.assertEqual(found[0][1:], (len(FRAMES[0]) + 9, 1, 5_000_006_000))
            for minor in (2, 3):
                head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, minor, 0, 0, 65535, 1)
                records = b"".join(struct.pack(order + "IIII", 5, 6, len(one) + 9, len(one)) + one for one in FRAMES)
                self.assertEqual(self.packets(head + records), found)

    def test_bits_beside_the_link_type(self):
        data = bytearray(pcap(FRAMES))
        data[23] = 0x24  # the frame check sequence has 4 octets
        self.assertEqual(self.frames(bytes(data)), FRAMES)

    def test_files_one_behind_the_other(self):
        nano = bytearray(pcap([RAW], linktype=101, order=">", start=3000.0))
        nano[:4] = struct.pack(">I", 0xA1B23C4D)
        for order in BOTH:
            with self.subTest(order=order):
                data = pcap(FRAMES[:2], order=order) + pcap([]) + bytes(nano) + pcap(FRAMES[2:], start=2000.0)
                found = self.packets(data)
                self.assertEqual([one[0] for one in found], [*FRAMES[:2], RAW, *FRAMES[2:]])
                self.assertEqual([one[2] for one in found], [1, 1, 101, 1, 1, 1])
                self.assertEqual([one[3] for one in found[1:4]], [1000_001_000_000, 3000_000_000_000, 2000_000_000_000])
        self.assertEqual(self.frames(data, bpf="udp port 4"), [FRAMES[3]])

    def test_of_files_one_behind_the_other_offsets_are_those_of_all(self):
        first = pcap(FRAMES)
        self.assertEqual(len(self.refused(first + pcap([], linktype=147), len(first), "147")), 5)
        self.assertEqual(len(self.refused(first + pcap([])[:20], len(first), "truncated")), 5)

    def test_a_record_that_is_no_header_though_its_time_is_a_magic_number(self):
        for length in (1, 60):
            record = struct.pack("<IIII", 0xA1B2C3D4, 0x00040002, length, length) + bytes(length)
            self.assertEqual(self.frames(pcap([]) + record), [bytes(length)])


class Pcapng(Files):
    def test_several_interfaces_of_any_link_type(self):
        for order in BOTH:
            kinds = interface(1, order) + interface(113, order) + interface(147, order) + interface(101, order)
            sll = bytes(14) + FRAMES[1][12:]
            blocks = [(FRAMES[0], 0), (sll, 1), (RAW, 3), (b"what is this", 2), (FRAMES[2], 0)]
            data = section(order) + kinds + b"".join(enhanced(one, order=order, number=n) for one, n in blocks)
            found = self.packets(data)
            self.assertEqual([(packet[0], packet[2]) for packet in found],
                             [(FRAMES[0], 1), (sll, 113), (RAW, 101), (b"what is this", 147), (FRAMES[2], 1)])
            udp = self.frames(data, bpf="udp src port 1")
            self.assertEqual(udp, [FRAMES[0], RAW, b"what is this"])  # no filter is made for what we do not know

    def test_an_interface_that_is_described_later(self):
        data = section() + interface() + enhanced(FRAMES[0]) + interface(101) + enhanced(RAW, number=1)
        data += enhanced(FRAMES[1])
        self.assertEqual(self.frames(data), [FRAMES[0], RAW, FRAMES[1]])

    def test_sections_of_either_byte_order_have_interfaces_of_their_own(self):
        for orders in ("<<", "<>", "><", ">>"):
            first, second = orders
            data = (section(first, length=100) + interface(1, first) + enhanced(FRAMES[0], order=first)
                    + section(second) + interface(101, second) + enhanced(RAW, order=second))
            self.assertEqual([(p[0], p[2]) for p in self.packets(data)], [(FRAMES[0], 1), (RAW, 101)])
            data = section(first) + interface(1, first) + section(second)
            self.refused(data + enhanced(RAW, order=second), len(data), "interface description block is missing")

    def test_resolution_and_offset(self):
        for order in BOTH:
            for resolution, units, ns in (
                (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
                (0, 1_700_000_000, 1_700_000_000_000_000_000),
                (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
                (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
                (10, 17_000_000_001_234_567_899, 1_700_000_000_123_456_789),
                (12, 1_700_000_123_456_789_999, 1_700_000_123_456_789),
                (0x80, 1_700_000_000, 1_700_000_000_000_000_000),
                (0x80 | 10, 1_700_000_000 * 1024 + 512, 1_700_000_000_500_000_000),
                (0x80 | 32, 1_700_000_000 << 32 | 1 << 31, 1_700_000_000_500_000_000),
                (0x80 | 127, (1 << 64) - 1, 0),
                (127, (1 << 64) - 1, 0),
                (0, (1 << 64) - 1, 9_000_000_000_000_000_000),  # no clock shows this: it stays a number
            ):
                values = [] if resolution is None else [(9, bytes((resolution,)))]
                data = section(order) + interface(1, order, values=values) + enhanced(FRAMES[0], units, order)
                self.assertEqual(self.packets(data)[0][3], ns, resolution)
            for offset, ns in ((1_700_000_000, 1_700_000_005_000_000_000), (-3, 2_000_000_000), (-9, 0),
                               (-(1 << 63), 0), ((1 << 63) - 1, 9_000_000_000_000_000_000)):
                values = [(14, struct.pack(order + "q", offset))]
                data = section(order) + interface(1, order, values=values) + enhanced(FRAMES[0], 5_000_000, order)
                self.assertEqual(self.packets(data)[0][3], ns, offset)

    def test_packets_longer_and_shorter_than_their_interface_s_snaplen(self):
        for order in BOTH:
            for snaplen in (0, 1, 60, 64, 0xFFFFFFFF):
                data = section(order) + interface(1, order, snaplen) + enhanced(FRAMES[0] + bytes(100), order=order)
                self.assertEqual(self.frames(data), [FRAMES[0] + bytes(100)])

    def simple(self, data, order, wire_len=None):
        return block(3, struct.pack(order + "I", wire_len or len(data)) + data, order)

    def test_simple_and_old_packets(self):
        for order in BOTH:
            for snaplen, kept in ((0, 43), (65535, 43), (40, 40), (41, 41)):
                data = section(order) + interface(1, order, snaplen) + enhanced(FRAMES[1], order=order)
                found = self.packets(data + self.simple(FRAMES[0][:kept], order, 43))
                self.assertEqual(found[1], (FRAMES[0][:kept], 43, 1, found[0][3]))  # at the time of the one before
            old = struct.pack(order + "HHIIII", 1, 7, 0, 5_000_000, 43, 50) + FRAMES[0]
            data = section(order) + interface(101, order) + interface(1, order)
            self.assertEqual(self.packets(data + block(2, old, order)), [(FRAMES[0], 50, 1, 5_000_000_000)])
            self.assertEqual(self.capture.counts()["dropped_kernel"], 7)

    def test_what_is_passed_over(self):
        """Names, keys, journals, custom blocks and those that are not known: also those larger than our buffer."""
        for order in BOTH:
            data = section(order) + block(4, bytes(8), order) + interface(1, order)
            for kind in (0, 4, 9, 10, 0xBAD, 0x40000BAD, 0x80000001, 0x0A0D0A00):
                data += block(kind, bytes(2_500_000 if kind == 10 else 36), order) + enhanced(FRAMES[0], order=order)
            self.assertEqual(self.frames(data), [FRAMES[0]] * 8)
        long = [(0x8001, bytes(65_000))] * 20
        data = section(values=long) + interface(values=long) + enhanced(FRAMES[0], values=long) + enhanced(FRAMES[1])
        self.assertEqual(self.frames(data), FRAMES[:2])

    def test_files_without_packets(self):
        for data in (section(), section() + interface(), section() + interface(147), section() * 3):
            self.assertEqual(self.packets(data), [])

    def test_only_packets_of_a_link_type_that_we_do_not_know(self):
        data = section() + interface(147) + interface(187)
        found, error = self.read(data + enhanced(b"x", number=0) + enhanced(b"x", number=1))
        self.assertEqual(len(found), 2)
        self.assertRegex(str(error), r"link type 147 \(USER0\)")

    def test_drop_counts(self):
        for order in BOTH:
            def count(number, order=order):
                return struct.pack(order + "Q", number)

            def statistics(number, *values, order=order):
                head = struct.pack(order + "III", number, 0, 0)
                return block(5, head + options(list(values), order), order)

            start = section(order) + interface(1, order) + interface(1, order)
            one = enhanced(FRAMES[0], order=order, values=[(4, count(3))])
            two = enhanced(FRAMES[0], order=order, number=1, values=[(4, count(5))])
            for data, dropped in (
                (one + two + one, 11),
                (statistics(0, (4, count(100)), (5, count(2)), (7, count(4))), 6),
                (statistics(0, (5, count(2))) + statistics(0, (5, count(9))) + statistics(1, (5, count(1))), 10),
                (one + statistics(0, (5, count(20))) + two, 25),
                (statistics(0, (5, count(20))) + one, 20),
                (statistics(0, (5, count((1 << 64) - 1))), 0),
                (one + section(order) + interface(1, order) + one, 6),
            ):
                self.packets(start + data)
                self.assertEqual(self.capture.counts()["dropped_kernel"], dropped)

    def test_comments(self):
        for order in BOTH:
            data = section(order, [(1, "Zürich, Montag".encode()), (4, b"dumpcap")])
            second = len(data)
            data += interface(1, order, values=[(1, b"a\x1b[31m\nb")])
            third = len(data)
            data += enhanced(FRAMES[0], order=order, values=[(1, b"x" * 300)])
            self.packets(data)
            count, found = self.capture.comments()
            self.assertEqual([one[:2] for one in found[:2]], [(0, "Zürich, Montag"), (second, "a [31m b")])
            self.assertEqual((count, found[2].offset), (3, third))
            self.assertEqual(found[2].text, "x" * 240 + "…")
        self.packets(section() + interface() + enhanced(FRAMES[0], values=[(1, b"again")]) * 100)
        self.assertEqual((self.capture.comments()[0], len(self.capture.comments()[1])), (100, 16))

    def test_what_is_missing_is_said_with_its_offset(self):
        for order in BOTH:
            head = section(order)
            for packet in (enhanced(FRAMES[0], order=order), self.simple(FRAMES[0], order)):
                self.refused(head + packet, 28, "interface description block is missing", "interface 0")
            data = head + interface(1, order) + enhanced(FRAMES[0], order=order)
            other = enhanced(FRAMES[0], order=order, number=3)
            found = self.refused(data + other, len(data), "interface 3", "describes only 1")
            self.assertEqual(len(found), 1)

    def test_lengths_that_cannot_be(self):
        for order in BOTH:
            good = pcapng(FRAMES[:2], order=order)
            for length in (0, 4, 11, 13, 30, 0xFFFFFFFF):
                found = self.refused(good + struct.pack(order + "III", 6, length, 0) + bytes(40), len(good))
                self.assertEqual(len(found), 2)
            unlike = bytearray(enhanced(FRAMES[0], order=order))
            unlike[-4:] = struct.pack(order + "I", len(unlike) + 4)
            self.refused(good + unlike, len(good), "twice, and not the same")
            unlike = bytearray(block(77, bytes(40), order))
            unlike[-4:] = bytes(4)
            self.refused(good + unlike, len(good), "twice, and not the same")
            for caplen in (45, 65535, 262_145, 0xFFFFFFFF):
                one = bytearray(enhanced(FRAMES[0], order=order))
                one[20:24] = struct.pack(order + "I", caplen)
                self.refused(good + one, len(good), f"cannot be {caplen}")
            for kind, size in ((1, 0), (2, 4), (3, 0), (5, 8), (6, 16), (0x0A0D0D0A, 4)):
                short = block(kind, (struct.pack(order + "I", 0x1A2B3C4D) + bytes(16))[:size], order)
                self.assertEqual(len(self.refused(good + short, len(good), "cannot be")), 2)

    def test_sections_that_cannot_be(self):
        for order in BOTH:
            good = pcapng(FRAMES[:2], order=order)
            other = bytearray(section(order))
            other[8:12] = b"abcd"
            self.refused(good + other, len(good), "byte-order magic")
            found, error = self.read(bytes(other) + good)
            self.assertEqual(found, [])
            self.assertIn("not a capture file", str(error))
            later = bytearray(section(order))
            later[12:14] = struct.pack(order + "H", 2)
            self.refused(good + later, len(good), "version")

    def test_a_cut_anywhere(self):
        for order in BOTH:
            parts = [section(order), interface(1, order), block(77, bytes(30), order),
                     *[enhanced(one, order=order, values=[(1, b"abc")]) for one in FRAMES[:2]]]
            whole = b"".join(parts)
            ends = [sum(map(len, parts[:count])) for count in range(len(parts) + 1)]
            for cut in range(8, len(whole)):
                before = max(end for end in ends if end <= cut)
                found, error = self.read(whole[:cut])
                self.assertEqual(len(found), max(0, ends.index(before) - 3), cut)
                if cut in ends:
                    self.assertIsNone(error)
                else:
                    self.assertEqual(error.offset, before, (cut, str(error)))
                    self.assertIn("truncated", str(error))


if __name__ == "__main__":
    unittest.main()
