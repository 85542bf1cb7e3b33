"""Blocks of pcapng, as tshark and scapy read them."""

import io
import tempfile
import unittest
from pathlib import Path

from scapy.utils import PcapNgReader

from pathspider import pcapng
from tests import in_checkout, wireshark
from tests.libtrace.frames import tcp4

WHEN = 1_700_000_000_123_456_789
MICRO = pcapng.Interface("eth0", 1, 65535, "tcp", 6)
NANO = pcapng.Interface("eth0", 1, 0, None, 9)
FRAME = tcp4("S")


def file_of(interface, *packets, comments=("a capture",)):
    return pcapng.section_header(comments) + pcapng.interface_description(interface) + b"".join(packets)


@in_checkout
class TestBlocks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "a.pcapng")

    def test_comments_and_times_as_tshark_reads_them(self):
        for interface, when in ((MICRO, "1700000000.123456000"), (NANO, "1700000000.123456789")):
            self.path.write_bytes(file_of(
                interface, pcapng.enhanced_packet(interface, WHEN, 1500, FRAME, "first ü"),
                pcapng.enhanced_packet(interface, WHEN, len(FRAME), FRAME)))
            self.assertEqual(wireshark.fields(self.path, "frame.time_epoch", "frame.len", "frame.cap_len",
                                              "frame.comment", "tcp.dstport"),
                             [[when, "1500", str(len(FRAME)), "first ü", "80"],
                              [when, str(len(FRAME)), str(len(FRAME)), "", "80"]])

    def test_the_section_and_its_interface(self):
        statistics = pcapng.interface_statistics(MICRO, WHEN, received=7, lost=2, lost_by_system=1, delivered=1)
        self.path.write_bytes(file_of(MICRO, pcapng.enhanced_packet(MICRO, WHEN, 60, FRAME), statistics,
                                      comments=("run x", '{"dip": "192.0.2.1"}')))
        facts = wireshark.facts(self.path)
        self.assertEqual(facts["Capture comment"], ["run x", '{"dip": "192.0.2.1"}'])
        self.assertRegex(facts["Capture application"][0], "^PATHspider ")
        self.assertTrue(facts["Capture hardware"][0])
        self.assertEqual((facts["Name"], facts["Filter string"], facts["Time precision"], facts["Capture length"],
                          facts["Number of stat entries"]),
                         (["eth0"], ["tcp"], ["microseconds (6)"], ["65535"], ["1"]))

    def test_as_scapy_reads_it(self):
        data = file_of(NANO, pcapng.enhanced_packet(NANO, WHEN, 1500, FRAME, "first"))
        packet, = PcapNgReader(io.BytesIO(data))
        self.assertEqual((bytes(packet), packet.wirelen, int(packet.time * 10 ** 9)), (FRAME, 1500, WHEN))

    def test_a_text_that_is_too_long_is_cut_between_characters(self):
        cut = pcapng.text("ü" * 40000)
        self.assertEqual((len(cut), cut.decode()), (pcapng.LONGEST_TEXT, "ü" * (pcapng.LONGEST_TEXT // 2)))
        self.assertEqual(pcapng.text("\ud800"), b"?")
        self.path.write_bytes(file_of(MICRO, pcapng.enhanced_packet(MICRO, WHEN, 60, FRAME, "x" * 70000)))
        self.assertEqual(len(wireshark.fields(self.path, "frame.comment")[0][0]), pcapng.LONGEST_TEXT)

    def test_the_longest_filter(self):
        long = MICRO._replace(filter="x" * 70000)
        self.path.write_bytes(file_of(long))
        self.assertEqual(wireshark.facts(self.path)["Number of packets"][0], "0")


if __name__ == "__main__":
    unittest.main()
