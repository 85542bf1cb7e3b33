"""Captured packets as pcapng blocks on their way to a file."""

import io
import unittest

from scapy.utils import RawPcapNgReader

from pathspider import pcapng
from pathspider.libtrace.sources import Capture
from tests.libtrace.frames import in_namespace, pair, send, tcp4, udp4

FRAMES = [tcp4("S"), udp4(b"x"), udp4(b"xy"), udp4(b"xyz" * 400)]
ROOM = 1 << 16
FOR_EVER = 20000


def read(capture, count):
    for _ in range(count):
        capture.read()


def taken(tap, most=1 << 20):
    """All blocks until the end, and how many each taking had."""
    blocks, counts = b"", []
    while (found := tap.take(most, FOR_EVER)) is not None:
        blocks += found[0]
        counts += [found[1]] if found[1] else []
    return blocks, counts


def frames_in(blocks, link=1):
    interface = pcapng.Interface("a0", link, 0)
    return [data for data, _ in RawPcapNgReader(io.BytesIO(
        pcapng.section_header([]) + pcapng.interface_description(interface) + blocks))]


class TestTap(unittest.TestCase):
    def captured(self, frames, most=1 << 20, **options):
        """What a tap has of frames on a live interface."""
        def run():
            pair()
            with Capture("int:b0", "not ip6 or udp or tcp", **options) as capture:
                link = capture.link()
                tap = capture.tap(ROOM)
                with self.assertRaises(RuntimeError):
                    capture.tap(ROOM)
                send("a0", frames)
                read(capture, len(frames))
                capture.stop()
                read(capture, 1)
                return link, tap, *taken(tap, most)
        return in_namespace(run)

    def test_each_packet_is_there_as_it_was(self):
        link, tap, blocks, counts = self.captured(FRAMES)
        self.assertEqual((link, frames_in(blocks), sum(counts)), (1, FRAMES, len(FRAMES)))
        self.assertEqual(tap.counts(), (len(FRAMES), 0))
        self.assertIsNone(tap.take(1, 0))

    def test_no_more_than_is_asked_for_but_one_at_least(self):
        _, _, blocks, counts = self.captured(FRAMES, most=1)
        self.assertEqual((frames_in(blocks), counts), (FRAMES, [1] * len(FRAMES)))
        self.assertEqual(self.captured(FRAMES, most=200)[3], [2, 1, 1])

    def test_the_ring_goes_round_and_what_finds_no_room_is_counted(self):
        def run():
            pair()
            with Capture("int:b0", "udp") as capture:
                tap = capture.tap(ROOM)
                rounds, got = 1500, []
                sent = [udp4(number.to_bytes(2, "big") * 500) for number in range(rounds)]
                for first in range(0, rounds, 100):  # the ring has room for some 500
                    send("a0", sent[first:first + 100])
                    read(capture, 100)
                    while (found := tap.take(1 << 16, 0))[1]:
                        got += frames_in(found[0])
                self.assertEqual(got, sent)
                for _ in range(10):
                    send("a0", [udp4(b"x" * 1000)] * 100)
                    read(capture, 100)
                offered, lost = tap.counts()
                self.assertEqual(offered, rounds + 1000)
                self.assertTrue(300 < lost < 700, lost)
                capture.stop()
                read(capture, 1)
                return lost, taken(tap)

        lost, (blocks, _) = in_namespace(run)
        self.assertEqual(len(frames_in(blocks)), 1000 - lost)

    def test_whoever_ends_it_gets_no_more(self):
        def run():
            pair()
            with Capture("int:b0", "udp") as capture:
                tap = capture.tap(ROOM)
                tap.end()
                send("a0", [udp4()])
                read(capture, 1)
                self.assertIsNone(tap.take(1, FOR_EVER))
                self.assertEqual(tap.counts(), (1, 1))

        in_namespace(run)

    def test_of_a_source_that_is_over(self):
        def run():
            pair()
            capture = Capture("int:b0")
            capture.close()
            self.assertIsNone(capture.link())
            return capture.tap(ROOM)

        self.assertIsNone(in_namespace(run).take(1, FOR_EVER))

    def test_it_outlives_its_source(self):
        def run():
            pair()
            capture = Capture("int:b0", "udp")
            tap = capture.tap(ROOM)
            send("a0", [udp4()])
            read(capture, 1)
            capture.close()
            del capture
            return tap

        blocks, _ = taken(in_namespace(run))
        self.assertEqual(frames_in(blocks), [udp4()])

    def test_snaplen(self):
        _, _, blocks, _ = self.captured(FRAMES, snaplen=60)
        self.assertEqual(frames_in(blocks), [frame[:60] for frame in FRAMES])


if __name__ == "__main__":
    unittest.main()
