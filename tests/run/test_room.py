"""Room on the disk for records to come: real files, on a small file system of our own where it has to be full."""

import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.run.room import AHEAD, FEW, Room
from pathspider.writing import RecordWriter
from tests.packaging.files import ROOT

FULL = """
from pathspider.run.room import Room
from pathspider.writing import RecordWriter
with open("/mnt/records", "wb", buffering=0) as stream:
    writer, jobs, done = RecordWriter(stream), 0, 0
    room = Room(writer)
    try:
        while True:
            room.ensure(jobs - done + 1, done)
            jobs += 1
            if jobs % 3 == 0:
                writer.write({"x": "y" * 700})
                done += 1
    except OSError as error:
        print(error.errno, jobs)
    for _ in range(jobs - done):
        writer.write({"x": "y" * 700})
    room.release()
"""
"""Jobs begin until there is no room for one more; then those that began are written."""


class TestRoom(unittest.TestCase):
    def setUp(self):
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/var/tmp")), "records")

    def blocks(self):
        return self.file.stat().st_blocks * 512

    def test_it_is_kept_ahead_and_given_back(self):
        with self.file.open("wb", buffering=0) as stream:
            writer = RecordWriter(stream)
            room = Room(writer)
            room.ensure(10, 0)
            if not self.blocks():
                self.skipTest("this file system does not reserve")
            self.assertGreaterEqual(self.blocks(), AHEAD)
            writer.write({"dip": "192.0.2.1"})
            room.release()
        self.assertLessEqual(self.blocks(), 1 << 16)
        self.assertEqual(self.file.read_bytes(), b'{"dip": "192.0.2.1"}\n')

    def test_long_records_need_more(self):
        with self.file.open("wb", buffering=0) as stream:
            writer = RecordWriter(stream)
            room = Room(writer)
            for _ in range(FEW):
                writer.write({"x": "y" * 10_000})
            room.ensure(1000, FEW)
            self.assertGreaterEqual(self.blocks(), 1000 * 20_000)
            room.release()

    def test_what_others_append_meanwhile_is_not_cut_off(self):
        with self.file.open("ab", buffering=0) as stream, self.file.open("ab") as other:
            writer = RecordWriter(stream)
            room = Room(writer)
            room.ensure(1, 0)
            writer.write({})
            other.write(b"theirs\n")
            other.flush()
            room.release()
        self.assertEqual(self.file.read_bytes(), b"{}\ntheirs\n")

    def test_a_pipe_and_what_has_no_descriptor(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            for stream in (pipe, io.BytesIO()):
                room = Room(RecordWriter(stream))
                room.ensure(1 << 40, 0)
                room.release()

    def test_whoever_began_has_room_on_a_full_disk(self):
        for make in ("mount -t tmpfs -o size=300k none /mnt",
                     "truncate -s 20M /tmp/$$.img && mkfs.ext4 -q /tmp/$$.img && mount -o loop /tmp/$$.img /mnt"):
            script = f'{make} || exit 77; "$@"; wc -l </mnt/records; rm -f /tmp/$$.img'
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", FULL], cwd=ROOT,
                                  capture_output=True, text=True, check=False, timeout=120)
            with self.subTest(make):
                if done.returncode == 77:
                    self.skipTest(f"cannot be made here: {done.stderr}")
                self.assertEqual(done.stderr, "")
                error, jobs, written = map(int, done.stdout.split())
                self.assertEqual((error, written), (28, jobs))
                self.assertGreater(jobs, 100)


if __name__ == "__main__":
    unittest.main()
