"""Packed captures: their content tells, whatever their name, and also of streams."""

import bz2
import gzip
import lzma
import os
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from pathspider.libtrace import CaptureError
from pathspider.libtrace.sources import Capture
from tests.libtrace.frames import pcap, pcapng, udp4

FRAMES = [udp4(sport=port) for port in range(1, 21)]
PLAIN = {"pcap": pcap(FRAMES), "pcapng": pcapng(FRAMES), "big-endian": pcapng(FRAMES, order=">")}


def packed_by(program, data, *options):
    return subprocess.run([program, *options, "-c"], input=data, capture_output=True, check=True).stdout


PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: packed_by("zstd", data, "-q"),
    "lz4": lambda data: packed_by("lz4", data, "-B4"),
    "lz4, old": lambda data: packed_by("lz4", data, "-l"),
    "zstd, a frame to be skipped first": lambda data: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + packed_by("zstd", data, "-q"),
    "gzip, in two parts": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "twice": lambda data: gzip.compress(lzma.compress(data)),
}


def contents(capture):
    found = []
    while (packet := capture.read()) is not None:
        found.append(packet[0])
    return found


def from_stdin(descriptor):
    """A source on standard input, which is a descriptor of ours meanwhile."""
    kept = os.dup(0)
    try:
        os.dup2(descriptor, 0)
        return Capture("-")
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def children():
    """The names of our child processes."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                found.append(Path("/proc", pid, "comm").read_text().strip())
            except OSError:
                continue
    return found


class Unpack(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, data, name):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def test_by_content_in_any_name(self):
        for packer, pack in PACKERS.items():
            for kind, plain in PLAIN.items():
                packed = pack(plain)
                for name in ("a.pcap", "a.pcap.gz", "a.zst", "a.lz4", "noname"):
                    with self.subTest(packer=packer, kind=kind, name=name), Capture(self.file(packed, name)) as capture:
                        self.assertEqual(contents(capture), FRAMES)
        for name in ("a.pcap.gz", "a.xz", "a.zst", "a.lz4", "a.bz2"):  # and not packed at all
            with Capture(self.file(PLAIN["pcap"], name)) as capture:
                self.assertEqual(contents(capture), FRAMES)

    def test_streams(self):
        for packer, pack in {**PACKERS, "not packed": bytes}.items():
            packed = pack(PLAIN["pcapng"])
            with self.subTest(packer=packer, stream="FIFO"):
                path = self.folder / "fifo.lz4"
                os.mkfifo(path)
                writer = threading.Thread(target=path.write_bytes, args=(packed,))
                with Capture(str(path)) as capture:
                    writer.start()
                    self.assertEqual(contents(capture), FRAMES)
                writer.join(100)
                path.unlink()
            with self.subTest(packer=packer, stream="pipe"):
                ours, theirs = os.pipe()
                writer = threading.Thread(target=lambda data=packed, fd=theirs: (os.write(fd, data), os.close(fd)))
                writer.start()
                with from_stdin(ours) as capture:
                    os.close(ours)
                    self.assertEqual(contents(capture), FRAMES)
                writer.join(100)
            with self.subTest(packer=packer, stream="file"), open(self.file(b"before" + packed, "x"), "rb") as file:
                os.lseek(file.fileno(), 6, os.SEEK_SET)
                with from_stdin(file.fileno()) as capture:
                    self.assertEqual(contents(capture), FRAMES)

    def test_a_writer_that_writes_octet_by_octet(self):
        for data in (gzip.compress(PLAIN["pcap"]), lzma.compress(PLAIN["pcap"]), PLAIN["pcap"]):
            ours, theirs = os.pipe()

            def write(data=data, theirs=theirs):
                for at in range(8):
                    os.write(theirs, data[at : at + 1])
                    time.sleep(0.005)
                os.write(theirs, data[8:])
                os.close(theirs)

            with from_stdin(ours) as capture:
                os.close(ours)
                writer = threading.Thread(target=write)
                writer.start()
                self.assertEqual(contents(capture), FRAMES)
            writer.join(100)

    def test_a_stream_that_ends_at_once_and_one_that_is_stopped(self):
        for data in (b"", b"\x1f", b"\xfd7z", PLAIN["pcap"][:3]):
            ours, theirs = os.pipe()
            os.write(theirs, data)
            os.close(theirs)
            with from_stdin(ours) as capture, self.assertRaisesRegex(CaptureError, "empty|not a capture"):
                capture.read()
            os.close(ours)
        for data in (b"", b"\x1f", gzip.compress(PLAIN["pcap"])[:40]):
            ours, theirs = os.pipe()
            os.write(theirs, data)
            capture = from_stdin(ours)
            threading.Timer(0.05, capture.stop).start()
            self.assertIsNone(capture.read())
            capture.close()
            os.close(ours)
            os.close(theirs)

    def test_a_cut_is_told_with_the_offset_in_the_unpacked_stream(self):
        whole = PLAIN["pcap"] + bytes(os.urandom(200_000))
        for packer, program in (("gzip", "gzip"), ("xz", "xz"), ("zstd", "zstd"), ("lz4", "lz4")):
            packed = PACKERS[packer](pcap(FRAMES) + pcap([os.urandom(1000) for _ in range(300)])[24:])
            path = self.file(packed[: len(packed) // 2], "a.pcap")
            with self.subTest(packer=packer), Capture(path) as capture:
                with self.assertRaises(CaptureError) as caught:
                    found = []
                    while True:
                        found.append(capture.read()[0])
                text = str(caught.exception)
                self.assertIn("of the unpacked stream", text)
                self.assertIn(f"{program} ended with status", text)
                self.assertEqual(found[:20], FRAMES)
                self.assertEqual(caught.exception.offset, 24 + sum(16 + len(frame) for frame in found))
        cut = gzip.compress(whole[:24 + 16])  # the unpacker is content: what it was given is cut
        says = "the record at byte 24 of the unpacked stream is incomplete;"
        with Capture(self.file(cut, "a.gz")) as capture, self.assertRaisesRegex(CaptureError, says):
            capture.read()

    def test_damaged_data_behind_the_last_record(self):
        packed = bytearray(gzip.compress(PLAIN["pcap"]))
        packed[-5] ^= 1  # the check sum
        says = r"is damaged: gzip ended with status 1 at byte \d+ of the unpacked stream"
        with Capture(self.file(bytes(packed), "a.gz")) as capture, self.assertRaisesRegex(CaptureError, says):
            contents(capture)
        with self.assertRaisesRegex(CaptureError, "is damaged: gzip ended with status"):
            contents(Capture(self.file(b"\x1f\x8b\x08" + bytes(50), "b.gz")))

    def test_no_process_stays_when_one_stops_in_the_middle(self):
        path = self.file(gzip.compress(pcap([os.urandom(1000) for _ in range(10_000)])), "a.gz")
        capture = Capture(path)
        self.assertIsNotNone(capture.read())
        self.assertIn("gzip", children())
        capture.close()
        self.assertNotIn("gzip", children())

    def test_a_program_that_is_not_there(self):
        path = self.file(PACKERS["lz4"](PLAIN["pcap"]), "a.lz4")
        says = "lz4 is needed to unpack this file; install lz4, or unpack it"
        with mock.patch.dict(os.environ, PATH="/nowhere"), self.assertRaisesRegex(CaptureError, says):
            Capture(path)


if __name__ == "__main__":
    unittest.main()
