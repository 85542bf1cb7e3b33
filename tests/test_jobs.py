"""What is a job and what is not; records as lines."""

import io
import json
import os
import pty
import tempfile
import tracemalloc
import unittest
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pathspider.conditions import is_unfinished
from pathspider.jobs import (
    MAX_LINE,
    MOST_NAMED,
    TARGET_KEYS,
    CompactSet,
    JobReader,
    LineError,
    RecordWriter,
    TargetFilter,
    json_line,
    parse_csv,
    parse_ndjson,
    parse_record,
    resume,
    target_problem,
)


def read(data, parse=parse_ndjson):
    reader = JobReader(io.BytesIO(data), "targets", parse)
    return list(reader), reader


class TestJobReader(unittest.TestCase):
    def test_good_lines_around_a_bad_one(self):
        with self.assertLogs("pathspider.jobs", "ERROR") as logs:
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
        with self.assertLogs("pathspider.jobs", "ERROR"):
            jobs, reader = read(b"\n".join(lines))
        self.assertEqual((jobs, reader.skipped), ([], len(lines)))

    def test_a_file_of_something_else_is_not_named_line_by_line(self):
        with self.assertLogs("pathspider.jobs", "ERROR") as logs:
            jobs, reader = read(b"oops\n" * (MOST_NAMED + 500))
        self.assertEqual((jobs, reader.skipped, len(logs.output)), ([], MOST_NAMED + 500, MOST_NAMED + 1))
        self.assertIn("further ones are skipped and counted, and not named", logs.output[-1])

    def test_a_huge_line_costs_only_itself(self):
        with self.assertLogs("pathspider.jobs", "ERROR"):
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
            with self.assertLogs("pathspider.jobs", "WARNING") as logs:
                self.assertEqual(read(data)[0], [])
            self.assertEqual(logs.output, ["WARNING:pathspider.jobs:targets: there were no targets in it"])
        with self.assertLogs("pathspider.jobs") as logs:
            read(b"oops\n")  # of which something else is told
        self.assertEqual(len(logs.output), 1)

    def test_a_terminal_is_asked_for_targets(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        os.write(ours, b'{"dip": "192.0.2.1"}\n\x04')
        with os.fdopen(theirs, "rb") as lines, self.assertLogs("pathspider.jobs", "INFO") as logs:
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


class TestTargets(unittest.TestCase):
    def test_good_ones(self):
        for job in (
            {"dip": "192.0.2.1"},
            {"dip": "2001:db8::1", "dp": 443, "domain": "x"},
            {"dip": "127.0.0.1", "dp": None},
        ):
            with self.subTest(job=job):
                self.assertIsNone(target_problem(job))

    def test_bad_ones(self):
        cases = {
            "dip_missing": [{}, {"domain": "x"}],
            "dip_not_an_address": [
                {"dip": ""},
                {"dip": "example.com"},
                {"dip": 1},
                {"dip": None},
                {"dip": ["192.0.2.1"]},
                {"dip": "192.0.2.300"},
                {"dip": "192.0.2.1/24"},
                {"dip": "192.0.2.1\0"},
            ],
            "dip_has_a_zone": [{"dip": "fe80::1%eth0"}],
            "dip_not_unicast": [{"dip": "224.0.0.1"}, {"dip": "ff02::1"}, {"dip": "0.0.0.0"}, {"dip": "::"}],
            "dip_is_ipv4_mapped": [{"dip": "::ffff:192.0.2.1"}],
            "dp_not_a_port": [{"dip": "192.0.2.1", "dp": port} for port in (0, -1, 65536, "80", 80.0, True, [])],
            "domain_not_a_string": [{"dip": "192.0.2.1", "domain": domain} for domain in (5, [], {})],
        }
        for problem, jobs in cases.items():
            for job in jobs:
                with self.subTest(job=job):
                    self.assertEqual(target_problem(job), problem)

    def test_repeats(self):
        seen = TargetFilter()
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 80}))
        self.assertTrue(seen.repeats({"dip": "192.0.2.1", "dp": 80, "rank": 5}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 81}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 80, "domain": "x"}))
        self.assertFalse(seen.repeats({"dip": ["unhashable"]}))

    def test_an_address_has_one_canonical_form(self):
        seen = TargetFilter()
        self.assertFalse(seen.repeats({"dip": "2001:db8::1"}))
        self.assertTrue(seen.repeats({"dip": "2001:DB8:0::0001"}))
        self.assertFalse(seen.repeats({"dip": "2001:db8::1:0"}))
        for odd in ("2001:db8::1%eth0", "::\0", "x:y", ":"):
            self.assertFalse(seen.repeats({"dip": odd}))


class TestCompactSet(unittest.TestCase):
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 40) | st.integers(0, 2**64 - 1))))
    def test_as_a_set(self, steps):
        compact, plain = CompactSet(), set()
        for adds, drawn in steps:
            number = drawn * CompactSet.BUCKETS if drawn <= 40 else drawn  # some share a bucket
            if adds:
                self.assertEqual(compact.add(number), number not in plain)
                plain.add(number)
            else:
                compact.discard(number)
                plain.discard(number)

    def test_a_target_costs_few_octets(self):
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        compact = CompactSet()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100_000):
            compact.add(number * 0x9E3779B97F4A7C15 % 2**64)
        after, _ = tracemalloc.get_traced_memory()
        self.assertLess((after - before) / 100_000, 16)


class TestResume(unittest.TestCase):
    def resume(self, data, keys=TARGET_KEYS):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records"
            path.write_bytes(data)
            seen = TargetFilter(80, keys)
            several = keys != TARGET_KEYS
            try:
                kept = resume(str(path), seen, is_unfinished, parse_ndjson if several else parse_record,
                              several=several)
                return kept, seen, path.read_bytes()
            except LineError:
                self.assertEqual(path.read_bytes(), data)
                self.assertEqual(len(list(Path(folder).iterdir())), 1)
                raise

    def test_what_is_done_stays_and_what_is_not_goes(self):
        done = b'{"dip": "192.0.2.1", "dp": 80, "conditions": ["x.works"]}\n'
        not_done = b'{"dip": "192.0.2.2", "dp": 80, "conditions": ["pathspider.not_measured"]}\n'
        torn = b'{"dip": "192.0.2.3", "dp": 80, "condi'
        kept, seen, left = self.resume(done + not_done + torn)
        self.assertEqual((kept, left), (1, done))
        self.assertTrue(seen.repeats({"dip": "192.0.2.1"}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.2"}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.3"}))

    def test_the_last_of_several_lines_may_not_have_come(self):
        lines = [f'{{"domain": "{name}", "dip": "{dip}"}}\n'.encode()
                 for name, dip in (("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3"), ("c", "192.0.2.4"))]
        kept, seen, left = self.resume(b"".join(lines) + b'{"domain', ("dp", "domain"))
        self.assertEqual((kept, left), (2, b"".join(lines[:2])))
        self.assertTrue(seen.repeats({"domain": "a"}))
        self.assertTrue(seen.repeats({"domain": "b"}))
        self.assertFalse(seen.repeats({"domain": "c"}))

    def test_an_empty_file(self):
        for keys in (TARGET_KEYS, ("dp", "domain")):
            self.assertEqual(self.resume(b"", keys)[0], 0)

    def test_another_kind_of_file_is_left_alone(self):
        with self.assertRaisesRegex(LineError, "line 1"):
            self.resume(b"precious data\nof another kind\n")
        for job in ('{"dip": "192.0.2.1"}', '{"conditions": "x"}', '{"conditions": [7]}'):
            with self.assertRaisesRegex(LineError, "line 2: not a record"):
                self.resume(b'{"conditions": []}\n' + job.encode() + b"\n")


class TestRecordWriter(unittest.TestCase):
    def test_one_line_each_whatever_the_text(self):
        stream = io.BytesIO()
        writer = RecordWriter(stream)
        writer.write({"domain": "line\nbreak \u2028 \ud800", "cookie": b"\x01\x02", "infos": {"b", "a"}})
        writer.write({})
        lines = stream.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(lines[0])["cookie"], "0102")
        self.assertEqual(json.loads(lines[0])["infos"], ["a", "b"])
        self.assertEqual(writer.written, 2)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_what_was_json_stays_what_it_was(self, value):
        line = json_line(value)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(json.loads(line), value)
