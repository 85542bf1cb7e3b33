"""Reading targets: what is a job, and what a bad line costs."""

import io
import os
import pty
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.problems import target_problem
from pathspider.targets.reading import MAX_LINE, MOST_NAMED, JobReader, LineError, parse_csv, parse_ndjson


def read(data, parse=parse_ndjson):
    reader = JobReader(io.BytesIO(data), "targets", parse)
    return list(reader), reader


class TestJobReader(unittest.TestCase):
    def test_good_lines_around_a_bad_one(self):
        with self.assertLogs("pathspider.targets.reading", "ERROR") as logs:
            jobs, reader = read(b'{"dip": "192.0.2.1"}\n\noops\n{"dip": "192.0.2.2"}')
        self.assertEqual([job["dip"] for job in jobs], ["192.0.2.1", "192.0.2.2"])
        self.assertEqual((reader.jobs, reader.skipped), (2, 1))
        self.assertIn("targets, line 3", logs.output[0])

    def test_every_line_that_is_not_an_object_is_counted(self):
        lines = [
            b"[1]",
            b"5",
            b'"x"',
            b"null",
            b"NaN",
            b'{"dip": NaN}',
            b'{"w": 1e999}',
            b'{"dip"',
            b"\xff\xfe",
            b"\x00",
            b"{}}",
            b"[" * 100000,
        ]
        with self.assertLogs("pathspider.targets.reading", "ERROR"):
            jobs, reader = read(b"\n".join(lines))
        self.assertEqual((jobs, reader.skipped), ([], len(lines)))

    def test_a_file_of_something_else_is_not_named_line_by_line(self):
        with self.assertLogs("pathspider.targets.reading", "ERROR") as logs:
            jobs, reader = read(b"oops\n" * (MOST_NAMED + 500))
        self.assertEqual((jobs, reader.skipped, len(logs.output)), ([], MOST_NAMED + 500, MOST_NAMED + 1))
        self.assertIn("further ones are skipped and counted, and not named", logs.output[-1])

    def test_a_huge_line_costs_only_itself(self):
        with self.assertLogs("pathspider.targets.reading", "ERROR"):
            jobs, reader = read(b'{"dip": "' + b"x" * (3 * MAX_LINE) + b'"}\n{"dip": "192.0.2.1"}\n')
        self.assertEqual((len(jobs), reader.skipped), (1, 1))

    def test_byte_order_mark_and_carriage_returns(self):
        jobs, _ = read(b'\xef\xbb\xbf{"dip": "192.0.2.1"}\r\n{"dip": "192.0.2.2"}\r\n')
        self.assertEqual(len(jobs), 2)

    @given(st.binary())
    def test_no_input_raises(self, data):
        import logging  # noqa: PLC0415

        logging.disable(logging.CRITICAL)
        try:
            for parse in (parse_ndjson, parse_csv):
                jobs, reader = read(data, parse)
                self.assertEqual(reader.position, len(data))
                for job in jobs:
                    target_problem(job)
        finally:
            logging.disable(logging.NOTSET)


    def test_an_input_without_targets_is_told_of(self):
        for data in (b"", b"\n \n"):
            with self.assertLogs("pathspider.targets.reading", "WARNING") as logs:
                self.assertEqual(read(data)[0], [])
            self.assertEqual(logs.output, ["WARNING:pathspider.targets.reading:targets: there were no targets in it"])
        with self.assertLogs("pathspider.targets.reading") as logs:
            read(b"oops\n")  # of which something else is told
        self.assertEqual(len(logs.output), 1)

    def test_a_terminal_is_asked_for_targets(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        os.write(ours, b'{"dip": "192.0.2.1"}\n\x04')
        with os.fdopen(theirs, "rb") as lines, self.assertLogs("pathspider.targets.reading", "INFO") as logs:
            self.assertEqual(list(JobReader(lines, "standard input")), [{"dip": "192.0.2.1"}])
        self.assertIn("standard input is a terminal: waiting for targets", logs.output[0])


class TestCSV(unittest.TestCase):
    def test_columns(self):
        self.assertEqual(parse_csv("1,example.com"), {"rank": "1", "domain": "example.com"})
        self.assertEqual(parse_csv("192.0.2.1,80,example.com"), {"dip": "192.0.2.1", "dp": 80, "domain": "example.com"})
        self.assertEqual(
            parse_csv("2001:db8::1, 80,example.com,7"),
            {"dip": "2001:db8::1", "dp": 80, "domain": "example.com", "rank": "7"},
        )

    def test_what_is_not(self):
        for line in ("192.0.2.1", "a,b,c,d,e", "dip,dp,domain", '"a,b'):
            with self.subTest(line=line), self.assertRaises(LineError):
                parse_csv(line)
