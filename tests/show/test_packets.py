"""Packets of evidence files, by connection and in words."""

import struct
import tempfile
import unittest
from pathlib import Path

from scapy.all import ICMP, IP, TCP, IPerror, IPv6, TCPerror

from pathspider.libtrace import Packet
from pathspider.show.packets import PacketsError, blocks, flag_names, in_words, stories
from tests.libtrace.frames import block, frame, options, tcp4, tcp6, udp4
from tests.show.evidence import file_of, pair


def words(data):
    packet = Packet()
    packet.set(data, len(data), 1, 0)
    return in_words(packet)


class TestWords(unittest.TestCase):
    def test_what_experiments_look_at(self):
        for data, told in {
                tcp4("S", options=[("MSS", 1460)]): "SYN MSS 1460", tcp4("SEC", tos=0): "SYN ECE CWR",
                tcp4("SA", rev=True): "SYN ACK", tcp4("PA", payload=b"abc", tos=2): "PSH ACK, 3 octets, ECT(0)",
                tcp6("S", tc=0xBB, options=[(34, b"")]): "SYN TFO, CE, DSCP 46", tcp4("RA"): "RST ACK",
                frame(IP(flags="evil") / TCP(flags="S")): "SYN, evil bit",
                udp4(b"abc"): "UDP, 3 octets", udp4(b"abc", chksum=0): "UDP, 3 octets, no checksum",
                frame(IP() / ICMP(type=3, code=13) / IPerror(src="192.0.2.1", dst="198.51.100.1") / TCPerror()):
                    "ICMP type 3 code 13", frame(IPv6(nh=59)): "protocol 59", b"\x00" * 20: "no IP packet"}.items():
            self.assertEqual(words(data), told)

    def test_flags(self):
        self.assertEqual([flag_names(flags) for flags in (0x1C2, 0, 0x12)], ["SYN ECE CWR AE", "no flag", "SYN ACK"])


class TestStories(unittest.TestCase):
    def read(self, content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.pcapng")
            path.write_bytes(content)
            return stories(path)

    def test_connections_in_the_order_in_which_they_began(self):
        baseline, experiment = self.read(pair())
        self.assertTrue(baseline.title.startswith("configuration 0 (baseline)"))
        self.assertEqual([(step.forward, step.what) for step in baseline.steps],
                         [(True, "SYN MSS 1460"), (False, "SYN ACK, ECT(0)"), (True, "ACK"),
                          (True, "PSH ACK, 5 octets, DSCP 46")])
        self.assertEqual([round(step.time - experiment.steps[0].time, 3) for step in experiment.steps], [0, 1])

    def test_an_icmp_error_is_of_its_flow(self):
        quoted = IPerror(src="192.0.2.1", dst="198.51.100.1") / TCPerror(sport=1234, dport=80)
        error = frame(IP(src="10.0.0.1", dst="192.0.2.1") / ICMP(type=3, code=1) / quoted)
        story, = self.read(file_of((0, tcp4("S"), "x"), (1, error, "")))
        self.assertEqual([step.what for step in story.steps], ["SYN", "ICMP type 3 code 1"])
        self.assertFalse(story.steps[1].forward)

    def test_the_same_ports_again_are_another_connection(self):
        found = self.read(file_of((0, tcp4("S"), "a"), (1, tcp4("S"), "b")))
        self.assertEqual([len(one.steps) for one in found], [1, 1])

    def test_a_file_that_breaks_off(self):
        content = pair()
        for length in range(28, len(content), 37):
            self.read(content[:length])
        self.assertEqual(len(self.read(content[:-4])[1].steps), 1)

    def test_the_other_byte_order_and_nanoseconds(self):
        data = tcp4("S")
        content = (block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1), ">")
                   + block(1, struct.pack(">HHI", 1, 0, 0) + options([(9, b"\x09")], ">"), ">")
                   + block(6, struct.pack(">IIIII", 0, 0, 2_000_000_000, len(data), len(data)) + data
                           + bytes(-len(data) % 4) + options([(1, b"hi")], ">"), ">"))
        found, = blocks(content)
        self.assertEqual((found.data, found.comment, found.nanoseconds), (data, "hi", 2_000_000_000))

    def test_what_is_none(self):
        for content in (b"", b"\xd4\xc3\xb2\xa1" + bytes(40)):
            with self.assertRaisesRegex(PacketsError, "not a pcapng file"):
                self.read(content)
        with self.assertRaisesRegex(PacketsError, "No such file"):
            stories(Path("/nonexistent/x.pcapng"))
