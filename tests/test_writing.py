"""Writing records: whole lines of JSON, whatever is in them."""

import csv
import io
import json
import os
import resource
import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pathspider.writing import CSVWriter, JSONFile, RecordWriter, ThreadedWriter, json_line


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

    def test_what_stood_in_the_file_stays_where_there_is_no_room_for_the_first_line(self):
        with tempfile.NamedTemporaryFile() as file, open(os.open(file.name, os.O_WRONLY | os.O_APPEND), "wb",
                                                         buffering=0) as stream:
            file.write(b'{"a": 1}\n')
            file.flush()
            for room in (0, 5):
                with self.subTest(room=room), no_room_beyond(9 + room), self.assertRaises(OSError):
                    RecordWriter(stream).write({"b": 2})
                self.assertEqual(Path(file.name).read_bytes(), b'{"a": 1}\n')


class TestThreadedWriter(unittest.TestCase):
    def test_all_is_written_in_its_order(self):
        stream = io.BytesIO()
        writer = RecordWriter(stream)
        with ThreadedWriter(writer) as writing:
            for number in range(500):
                writing.write_all([{"n": number, "more": once} for once in range(3)])
        self.assertEqual([json.loads(line) for line in stream.getvalue().splitlines()],
                         [{"n": number, "more": once} for number in range(500) for once in range(3)])
        self.assertEqual(writer.written, 1500)

    def test_a_file_that_is_full_is_told_and_nobody_waits(self):
        with tempfile.NamedTemporaryFile() as file, open(os.open(file.name, os.O_WRONLY), "wb", buffering=0) as stream:
            with no_room_beyond(20), self.assertRaises(OSError), ThreadedWriter(RecordWriter(stream)) as writing:
                for number in range(200):
                    writing.write_all([{"n": number}])
            self.assertIn(file.read(), [b"", b'{"n": 0}\n', b'{"n": 0}\n{"n": 1}\n'])

    def test_at_the_end_it_is_told_too(self):
        with tempfile.NamedTemporaryFile() as file, open(os.open(file.name, os.O_WRONLY), "wb", buffering=0) as stream:
            with no_room_beyond(4), self.assertRaises(OSError), ThreadedWriter(RecordWriter(stream)) as writing:
                writing.write_all([{"n": 1}])
            self.assertEqual(file.read(), b"")

    def test_what_else_went_wrong_is_not_hidden(self):
        with self.assertRaises(ZeroDivisionError), ThreadedWriter(RecordWriter(io.BytesIO())) as writing:
            writing.write_all([{"n": 1}])
            raise ZeroDivisionError


class TestCSVWriter(unittest.TestCase):
    def rows(self, records, columns):
        stream = io.BytesIO()
        writer = CSVWriter(stream, columns)
        for record in records:
            writer.write(record)
        writer.end()
        self.assertEqual(writer.written, len(records))
        return list(csv.reader(io.StringIO(stream.getvalue().decode(), newline=""))), writer

    def test_values(self):
        values = {"none": None, "no": False, "yes": True, "number": -7, "float": 1000.25, "nan": float("nan"),
                  "text": 'a,"b"', "list": ["a", {"b": 1}], "octets": b"\x01\xff", "set": {"b", "a"},
                  "formula": "=1+1", "lines": "a\r\nb", "large": 1 << 70, "alone": "\ud800"}
        (header, row), _ = self.rows([values], values)
        self.assertEqual(header, list(values))
        self.assertEqual(row, ["", "false", "true", "-7", "1000.25", "", 'a,"b"', '["a", {"b": 1}]', "01ff",
                               '["a", "b"]', "'=1+1", "a\\r\\nb", str(1 << 70), "\\ud800"])

    def test_a_header_line_also_where_nothing_follows(self):
        self.assertEqual(self.rows([], ["a", "b"])[0], [["a", "b"]])

    def test_fields_that_no_chain_declares(self):
        rows, writer = self.rows([{"b": 2, "own": 3}, {"own": 4, "late": 5}, {"b": 6, "late": 7}], ["a", "b"])
        self.assertEqual(rows, [["a", "b", "own"], ["", "2", "3"], ["", "", "4"], ["", "6", ""]])
        self.assertEqual(writer.left_out, {"late": 2})


@contextmanager
def no_room_beyond(size):
    """As on a full disk: no file can become longer. setrlimit(2)"""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestJSONFile(unittest.TestCase):
    def test_what_stood_in_the_file_stays_where_there_is_no_room_for_more(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b'{"runs": ["earlier"]}\n')
            file.flush()
            with no_room_beyond(30), self.assertRaises(OSError):
                JSONFile(file.fileno()).write({"runs": ["earlier", "now"]})
            self.assertEqual(Path(file.name).read_bytes(), b'{"runs": ["earlier"]}\n')

    def test_whoever_reads_finds_one_whole_value(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 500)
            file.flush()
            written = JSONFile(file.fileno())
            for value in ({"a": "long " * 50}, {"b": float("nan")}, {"c": ["longer "] * 100}):
                written.write(value)
                text = Path(file.name).read_bytes()
                self.assertTrue(text.endswith(b"\n"))
                self.assertEqual(json.loads(text), {"b": None} if "b" in value else value)
                self.assertNotIn(b"x", text)
            last = Path(file.name).read_bytes()
            descriptor = os.dup(file.fileno())
            written = JSONFile(descriptor)
            written.write({"a": 1})
            written.close()
            self.assertLess(len(Path(file.name).read_bytes()), len(last))
            self.assertLess(os.fstat(file.fileno()).st_blocks * 512, JSONFile.AHEAD)
            with self.assertRaises(OSError):
                os.fstat(descriptor)
