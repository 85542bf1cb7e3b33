"""The progress line: only on a terminal, and with an honest estimate."""

import io
import os
import pty
import tempfile
import types
import unittest

from pathspider.cmd.progress import Progress, duration, input_length
from pathspider.jobs import JobReader


def spider(done=0, missed=0):
    return types.SimpleNamespace(jobs_done=done, flows_missed=missed)


class TestProgress(unittest.TestCase):
    def test_silent_where_there_is_no_terminal(self):
        stream = io.StringIO()
        with Progress(spider(), JobReader(io.BytesIO(), "jobs"), stream):
            pass
        self.assertEqual(stream.getvalue(), "")

    def test_a_last_line_on_a_terminal(self):
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as stream:
            with Progress(spider(7, 2), JobReader(io.BytesIO(), "jobs"), stream):
                pass
            written = os.read(ours, 1000).decode()
        os.close(ours)
        self.assertIn("7 done", written)
        self.assertIn("2 flows missed", written)
        self.assertTrue(written.endswith("\n"))
        self.assertNotIn("left", written)

    def test_time_left_where_the_length_is_known(self):
        with tempfile.TemporaryFile() as jobs:
            jobs.write(b'{"dip": "192.0.2.1"}\n' * 100)
            jobs.seek(0)
            reader = JobReader(jobs, "jobs")
            source = iter(reader)
            for _ in range(50):
                next(source)
            progress = Progress(spider(50), reader)
            self.assertEqual(input_length(reader), 2100)
            self.assertAlmostEqual(progress._seconds_left(50, 10.0), 10.0, delta=0.5)
            self.assertAlmostEqual(progress._seconds_left(25, 10.0), 30.0, delta=1)
            self.assertIsNone(progress._seconds_left(0, 10.0))

    def test_length_of_a_pipe_is_not_known(self):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
            self.assertIsNone(input_length(JobReader(stream, "pipe")))

    def test_duration(self):
        self.assertEqual(
            [duration(seconds) for seconds in (0, 59.6, 61, 3600, 86399)],
            ["0:00", "1:00", "1:01", "1:00:00", "23:59:59"],
        )
