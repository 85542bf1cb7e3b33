"""From files to files: whole or not at all, several ones, anonymised."""

import gc
import io
import json
import sqlite3
import sys
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

from pathspider.export.anonymise import Anonymiser
from pathspider.export.tables import MissingPackageError
from pathspider.export.writing import Options, export, paused_gc
from pathspider.writing import json_line
from tests.export.optional import with_cryptography
from tests.report.records import WORKS, record


class TestExport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name, "out")
        self.records = [record(f"192.0.2.{number}", WORKS, rank=number) for number in range(3)]

    def export(self, *contents, **options):
        with self.assertLogs("pathspider", "INFO") as said:
            done = export([(f"file{number}", io.BytesIO(one)) for number, one in enumerate(contents)],
                          Options(**{"format": "csv", "output": self.out, **options}))
        self.said = "\n".join(said.output)
        return done

    def test_several_files(self):
        lines = b"".join(map(json_line, self.records))
        self.assertTrue(self.export(lines, json_line(record("2001:db8::1", WORKS))))
        self.assertEqual(len(self.out.read_text(encoding="utf-8").splitlines()), 5)
        self.assertIn("4 records", self.said)

    def test_what_is_no_record_is_told_and_nothing_else_lost(self):
        self.assertFalse(self.export(json_line(self.records[0]) + b"{]\n" + json_line(self.records[1])))
        self.assertIn("file0, line 2: not JSON", self.said)
        self.assertEqual(len(self.out.read_text(encoding="utf-8").splitlines()), 3)

    def test_an_empty_file_is_not_all_well(self):
        self.assertFalse(self.export(b""))

    def test_sqlite_replaces_a_file_whole(self):
        self.out.write_bytes(b"what was there")
        self.assertTrue(self.export(json_line(self.records[0]), format="sqlite"))
        with sqlite3.connect(self.out) as database:
            self.assertEqual(database.execute("select dip from records").fetchall(), [("192.0.2.0",)])
        database.close()
        self.assertEqual([path.name for path in self.out.parent.iterdir()], ["out"])

    def test_pto(self):
        self.assertTrue(self.export(b"".join(map(json_line, [*self.records, record("192.0.2.9", "pathspider.x")])),
                                    format="pto", pto_sources=["https://pto.example/raw/a/b"]))
        metadata, *observations = map(json.loads, self.out.read_text(encoding="utf-8").splitlines())
        self.assertEqual((metadata["_sources"], len(observations)), (["https://pto.example/raw/a/b"], 3))
        self.assertIn("1 records say nothing of a path", self.said)

    @with_cryptography
    def test_anonymised(self):
        for kind in ("csv", "sqlite", "pto"):
            self.assertTrue(self.export(json_line(self.records[1]), format=kind, anonymiser=Anonymiser(bytes(32))))
            data = self.out.read_bytes()
            for secret in (b"192.0.2", b"example.com", b"203.0.113"):
                self.assertNotIn(secret, data, kind)
        self.assertIn("rank (of 1)", self.said)

    def test_parquet_without_pyarrow_reads_nothing(self):
        stream = io.BytesIO(json_line(self.records[0]))
        with patch.dict(sys.modules, {"pyarrow": None, "pyarrow.parquet": None}), \
                self.assertRaises(MissingPackageError):
            export([("x", stream)], Options("parquet", self.out))
        self.assertEqual((stream.tell(), self.out.exists()), (0, False))

    def test_the_garbage_collector_goes_on_afterwards(self):
        self.assertTrue(gc.isenabled())
        with paused_gc():
            self.assertFalse(gc.isenabled())
        self.assertTrue(gc.isenabled())
