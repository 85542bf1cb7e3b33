"""The progress line: an honest estimate, no wider than the terminal, and little of it in a log."""

import fcntl
import gzip
import io
import logging
import os
import pty
import select
import struct
import tempfile
import termios
import threading
import time
import types
import unittest
from contextlib import suppress
from unittest import mock

from pathspider.cmd import progress
from pathspider.cmd.progress import Progress, Reading, duration, every, interval_line, rough, size
from pathspider.observer import Stats
from pathspider.targets.reading import JobReader
from pathspider.targets.selection import Selection

LINE = b'{"dip": "192.0.2.1"}\n'


def run_of(done=0, missed=0, under_way=0):
    return types.SimpleNamespace(jobs_done=done, flows_missed=missed, jobs_under_way=under_way, suspects=0,
                                 jobs=types.SimpleNamespace(accepted=done + under_way))


class TestLine(unittest.TestCase):
    def reader(self, lines, read):
        jobs = self.enterContext(tempfile.TemporaryFile())
        jobs.write(LINE * lines)
        jobs.seek(0)
        reader = JobReader(jobs, "jobs")
        source = iter(reader)
        for _ in range(read):
            next(source)
        return reader

    def test_where_the_length_is_known(self):
        run = run_of()
        told = Progress(run, self.reader(3000, 510), io.StringIO())
        for second in range(1, 101):  # nothing, and then 10 a second
            run.jobs_done = max(0, second - 60) * 10
            told.line(told._began + second)
        run.jobs_done, run.jobs_under_way = 410, 100
        run.jobs.accepted = 510
        self.assertEqual(told.line(told._began + 101),
                         "410 of about 3,000 done, 100 under way, 6.8/s, about 6 min left")

    def test_the_rate_is_that_of_the_last_minute(self):
        run = run_of()
        told = Progress(run, self.reader(30000, 7000), io.StringIO())
        for second in range(400):
            run.jobs_done = max(0, second - 300) * 61
            line = told.line(told._began + second)
        self.assertIn(", 61/s, about ", line)
        self.assertLessEqual(len(told._samples), 62)

    def test_all_read(self):
        run = run_of(9, under_way=1)
        reader = self.reader(12, 12)  # two are repeated
        self.assertTrue(Progress(run, reader, io.StringIO()).line(time.monotonic()).startswith("9 of 10 done, 1 under"))

    def test_what_is_left_of_an_earlier_run_is_counted_alone(self):
        run = run_of(0, under_way=10)
        told = Progress(run, self.reader(100, 60), io.StringIO())  # 50 have their records
        self.assertTrue(told.line(told._began + 1).startswith("0 of about 50 done, 10 under way, 0.0/s"))
        self.assertNotIn("left", told.line(told._began + 2))

    def test_a_pipe_has_no_total(self):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
            told = Progress(run_of(5, under_way=3), JobReader(stream, "pipe"), io.StringIO())
            self.assertEqual(told.line(told._began + 1), "5 done, 3 under way, 5.0/s")
            self.assertIsNone(told._total())

    def test_input_that_somebody_has_begun_to_read(self):
        jobs = self.enterContext(tempfile.TemporaryFile())
        jobs.write(LINE * 100)
        jobs.seek(50 * len(LINE))
        reader = JobReader(jobs, "jobs")
        next(iter(reader))
        told = Progress(run_of(0, under_way=1), reader, io.StringIO())
        self.assertTrue(told.line(told._began + 1).startswith("0 of about 50 done"))

    def test_a_compressed_list(self):
        jobs = self.enterContext(tempfile.TemporaryFile())
        jobs.write(gzip.compress(b"".join(b'{"dip": "192.0.2.1", "n": %d}\n' % (n * 7919) for n in range(20000))))
        jobs.seek(0)
        reader = JobReader(jobs, "jobs")
        for number, _ in enumerate(reader, 1):
            if number == 10000:
                told = Progress(run_of(9900, under_way=100), reader, io.StringIO())
                self.assertRegex(told.line(told._began + 1), "^9,900 of about (19|20|21|22),000 done")
        self.assertEqual(reader.position, reader.length)

    def test_the_most_targets_are_the_total(self):
        reader = self.reader(3000, 0)
        targets = Selection(reader, most=700)
        source = iter(targets)
        for _ in range(510):
            next(source)
        told = Progress(run_of(410, under_way=100), reader, io.StringIO(), targets=targets)
        self.assertTrue(told.line(told._began + 9).startswith("410 of about 700 done"))
        self.assertEqual(sum(1 for _ in source), 190)
        told.run.jobs.accepted = 700
        self.assertTrue(told.line(told._began + 9).startswith("410 of 700 done"))

    def test_stopping(self):
        told = Progress(run_of(410, under_way=37), self.reader(3000, 510), io.StringIO(), stopping=lambda: True)
        self.assertEqual(told.line(told._began + 9), "stopping, 37 under way")
        self.assertEqual(told.last_line(told._began + 10), "410 of about 2,900 done in 0:10, 41/s")


class TestWhere(unittest.TestCase):
    def test_silent_where_there_is_no_terminal_and_the_run_is_short(self):
        stream = io.StringIO()
        with self.assertNoLogs("pathspider"), Progress(run_of(), JobReader(io.BytesIO(), "jobs"), stream):
            pass
        self.assertEqual(stream.getvalue(), "")

    def test_a_line_a_minute_in_a_log(self):
        with mock.patch.object(progress, "LOG_INTERVAL", 0.01), self.assertLogs("pathspider") as logged, \
                Progress(run_of(7), JobReader(io.BytesIO(), "jobs"), io.StringIO()):
            deadline = time.monotonic() + 100
            while not logged.output and time.monotonic() < deadline:
                time.sleep(0.01)
        self.assertIn("7 done, 0 under way", logged.output[0])

    def on_terminal(self, columns, run, message="", lines=None):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with os.fdopen(theirs, "w") as stream, mock.patch.object(progress, "REDRAWN", 0.01):
            handler = logging.StreamHandler(stream)
            logging.getLogger().addHandler(handler)
            self.addCleanup(logging.getLogger().removeHandler, handler)
            with Progress(run, JobReader(lines or io.BytesIO(), "jobs"), stream):
                select.select([ours], [], [], 0.1 if lines else 10)  # until something is drawn; or nothing is to be
                if message:
                    logging.getLogger("pathspider").warning(message)
        written = b""
        with suppress(OSError):  # EIO: the other side is closed, and everything read
            while part := os.read(ours, 10000):
                written += part
        os.close(ours)
        return written.decode()

    def test_what_the_user_types_is_not_drawn_over(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with os.fdopen(theirs, "rb") as typed:
            self.assertEqual(self.on_terminal(80, run_of(7), lines=typed), "")

    def test_a_last_line_on_a_terminal(self):
        written = self.on_terminal(0, run_of(7, 2))
        self.assertIn("7 done, 0 under way", written)
        self.assertRegex(written, r"\r7 done in 0:00, [\d,]+/s, 2 flows missed\x1b\[K\r\n$")

    def test_a_message_has_its_line_to_itself(self):
        self.assertIn("\r\x1b[Koops\r\n\r7 done in", self.on_terminal(80, run_of(7), "oops"))

    def test_a_terminal_that_has_gone(self):
        ours, theirs = pty.openpty()
        stream = os.fdopen(theirs, "w")
        with mock.patch.object(progress, "REDRAWN", 0.01), \
                Progress(run_of(7), JobReader(io.BytesIO(), "jobs"), stream):
            os.close(ours)
            time.sleep(0.05)
        with suppress(OSError):
            stream.close()

    def test_no_wider_than_the_terminal(self):
        written = self.on_terminal(20, run_of(7, 2))
        lines = [line.removesuffix("\x1b[K") for line in written.split("\r") if line != "\n"]
        self.assertEqual(max(map(len, lines)), 19, lines)


class TestReading(unittest.TestCase):
    def test_octets_packets_and_the_time_left(self):
        observer = types.SimpleNamespace(position=lambda: (25_000_000, 100_000_000),
                                         stats=types.SimpleNamespace(packets=12345, flows=678))
        told = Reading(observer, io.StringIO())
        self.assertEqual(told.line(told._began + 10), "25.0 MB of 100 MB read, 12,345 packets, 678 flows, 2.5 MB/s, "
                                                      "about 30 s left")
        self.assertEqual(told.last_line(told._began + 10), "25.0 MB of 100 MB read in 0:10, 12,345 packets, 678 flows")
        observer.position = lambda: (0, 0)
        self.assertEqual(told.line(told._began), "0 B of 0 B read, 12,345 packets, 678 flows, 0 B/s")

    def test_sizes(self):
        for octets, words in ((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (99_940, "99.9 kB"),
                              (99_960, "100 kB"), (999_700, "1.0 MB"), (5.4e9, "5.4 GB"), (7e15, "7000.0 TB")):
            self.assertEqual(size(octets), words)

    def test_each_interval(self):
        before = Stats(*(0,) * len(Stats._fields))._replace(packets=100, flows=10, dropped_kernel=1)
        after = before._replace(packets=1600, flows=12, open=3, dropped_kernel=4, dropped_ring=2)
        self.assertEqual(interval_line(before, after, 2),
                         "2.0 s: 1,500 packets, 750/s, 2 flows begun, 3 open, 5 packets lost")

    def test_every(self):
        told = threading.Semaphore(0)
        with every(0.01, told.release):
            for _ in range(3):
                self.assertTrue(told.acquire(timeout=100))
        count = told._value
        time.sleep(0.05)
        self.assertEqual(told._value, count)


class TestTimes(unittest.TestCase):
    def test_duration(self):
        self.assertEqual(
            [duration(seconds) for seconds in (0, 59.6, 61, 3600, 86399)],
            ["0:00", "1:00", "1:01", "1:00:00", "23:59:59"],
        )

    def test_rough(self):
        self.assertEqual([rough(seconds) for seconds in (0.2, 7, 42, 58, 100, 3600, 12000, 14400)],
                         ["0 s", "7 s", "40 s", "1 min", "2 min", "60 min", "3 h 20 min", "4 h"])
