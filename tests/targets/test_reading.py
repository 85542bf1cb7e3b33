"""Reading targets: what is a job, and what a bad line costs."""

import gzip
import io
import logging
import lzma
import os
import pty
import tempfile
import tracemalloc
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.lists import TargetReader
from pathspider.targets.problems import key_advice, target_problem
from pathspider.targets.reading import (
    MAX_DEPTH,
    MAX_LINE,
    MOST_NAMED,
    JobReader,
    LineError,
    parse_ndjson,
    parse_record,
)
from pathspider.targets.selection import Selection


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

    def test_what_is_nested_so_deeply_that_it_could_not_be_written_again(self):
        for depth in (MAX_DEPTH, MAX_DEPTH + 1, 500, 950, 100_000):
            for begin, end in (('{"a":', "}"), ("[", "]")):
                inner = f"{begin * (depth - 1)}{1 if begin == '[' else '[]'}{end * (depth - 1)}"
                line = f'{{"dip": "192.0.2.1", "note": {inner}}}'
                with self.subTest(depth=depth, begin=begin):
                    if depth == MAX_DEPTH and begin == "[":
                        self.assertEqual(parse_ndjson(line)["dip"], "192.0.2.1")
                    else:
                        with self.assertRaisesRegex(LineError, "nested more than 100 deep|not JSON: .*recursion"):
                            parse_ndjson(line)
        self.assertEqual(len(parse_ndjson(f'{{"dip": "192.0.2.1", "many": [{", ".join(["[]"] * 500)}]}}')["many"]), 500)

    def test_the_record_of_a_job_that_is_one_can_be_read_again(self):
        job = '{"dip": "192.0.2.1", "note": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
        parse_ndjson(job)
        parse_record(f'{{"conditions": [], "flow_results": [{job}]}}')

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
        logging.disable(logging.CRITICAL)
        try:
            for reader in (JobReader(io.BytesIO(data), "targets"), TargetReader(io.BytesIO(data), "targets"),
                           TargetReader(io.BytesIO(data), "targets", csv_input=True),
                           TargetReader(io.BytesIO(data), "targets", seed=1)):
                for job in reader:
                    target_problem(job)
                    list(key_advice(job))
                if not reader.broken_off:
                    self.assertEqual(reader.position, len(data))
                    self.assertLessEqual(reader.jobs + reader.skipped, data.count(b"\n") + 1)
        finally:
            logging.disable(logging.NOTSET)

    @given(st.lists(st.sampled_from(['{"dip": "192.0.2.1"}', "192.0.2.2,80", "oops", '{"dip"', "2001:db8::1"])),
           st.none() | st.integers(0, 9), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
           st.sampled_from([bytes, gzip.compress, lzma.compress]), st.sampled_from(["\n", "\r\n", "\n\n"]))
    def test_every_line_is_accounted_for(self, lines, seed, encoding, pack, end):
        logging.disable(logging.CRITICAL)
        try:
            data = pack(end.join(lines).encode(encoding))
            reader = TargetReader(io.BytesIO(data), "targets", seed=seed)
            jobs = list(reader)
            self.assertEqual(len(jobs), sum(line not in ("oops", '{"dip"') for line in lines))
            self.assertEqual((reader.skipped, reader.broken_off), (len(lines) - len(jobs), ""))
        finally:
            logging.disable(logging.NOTSET)

    def test_many_lines_take_no_memory(self):
        class Lines(io.RawIOBase):
            left = 0

            def readable(self):
                return True

            def readinto(self, buffer):
                octets = b""
                if self.left:
                    self.left -= 1
                    octets = b"".join(b"192.0.2.%d,80\n" % (self.left * 4 + one & 255) for one in range(4))
                buffer[:len(octets)] = octets
                return len(octets)

        for seed, lines in ((None, 50_000), (1, 5_000)):
            source = Lines()
            source.left = lines
            tracemalloc.start()
            try:
                selection = Selection(TargetReader(source, "targets", seed=seed))
                self.assertEqual(sum(1 for _ in selection), 4 * lines)
                self.assertLess(tracemalloc.get_traced_memory()[1], 1_500_000)
            finally:
                tracemalloc.stop()

    def test_what_is_one_json_text(self):
        for data, says in ((b'[{"dip": "192.0.2.1"},', "jq -c '.[]'"), (b"[\n", "jq -c '.[]'"),
                           (b'{\n  "dip": "192.0.2.1"\n}\n' * 3, "jq -c .")):
            with self.assertLogs("pathspider.targets.reading", "ERROR") as logs:
                jobs, reader = read(data)
            self.assertEqual((jobs, reader.all_were_jobs, len(logs.output)), ([], False, 1))
            self.assertIn(says, logs.output[0])

    def test_what_breaks_off_has_no_torn_line(self):
        packed = gzip.compress(b"".join(b"192.0.2.%d\n" % (number % 256) for number in range(2999)))
        for at in range(len(packed) // 2, len(packed) // 2 + 40):
            with self.assertLogs("pathspider.targets.reading", "ERROR") as logs:
                reader = TargetReader(io.BytesIO(packed[:at]), "targets")
                jobs = list(reader)
            self.assertEqual([job["dip"] for job in jobs], [f"192.0.2.{number % 256}" for number in range(len(jobs))])
            self.assertIn(f"targets breaks off after {len(jobs)} lines: the gzip data are cut off", logs.output[0])
        with self.assertLogs("pathspider.targets.reading") as logs, tempfile.NamedTemporaryFile() as file:
            file.write(packed[:at])
            file.seek(0)
            self.assertEqual(len(list(TargetReader(file, "targets", seed=7))), len(jobs))
        self.assertIn(f"targets breaks off after {len(jobs)} lines", logs.output[-1])

    def test_an_input_without_targets_is_told_of(self):
        for data in (b"", b"\n \n"):
            for reader, what in ((JobReader, "records"), (TargetReader, "targets")):
                with self.assertLogs("pathspider.targets.reading", "WARNING") as logs:
                    self.assertEqual([*reader(io.BytesIO(data), "file")], [])
                self.assertEqual(logs.output, [f"WARNING:pathspider.targets.reading:file: there were no {what} in it"])
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
