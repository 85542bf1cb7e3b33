"""CSV, SQLite, Parquet: what goes in comes out, of every condition of every plugin too."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from datetime import UTC, datetime
from pathlib import Path

from pathspider.export.columns import FIXED, Kind, Rows, conditions_of
from pathspider.export.tables import as_csv, as_parquet, as_sqlite, quoted
from pathspider.installed import declared_conditions
from tests.export import registry
from tests.export.optional import with_pyarrow
from tests.report.records import WORKS, record

DECLARED = [*(one for group in declared_conditions().values() for one in group), *registry.every_condition()]
FIXED_NAMES = {column.name for column in FIXED}


class TableCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "table")

    def rows(self, records):
        rows = Rows()
        self.addCleanup(rows.__exit__, None, None, None)
        for one in records:
            rows.add(one)
        return rows

    def assert_round_trip(self, rows, records, families):
        for row, one in zip(rows, records, strict=True):
            self.assertEqual(row["conditions"], one["conditions"])
            self.assertEqual(conditions_of(row, families, DECLARED), set(one["conditions"]))


class TestSQLite(TableCase):
    def read(self, records):
        as_sqlite(self.rows(records), self.path)
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        database.row_factory = sqlite3.Row
        kinds = {name: Kind(kind) for name, kind, _ in database.execute("select * from columns")}
        lists = {name for name, kind in kinds.items() if kind in (Kind.LIST, Kind.INTEGERS)}
        return kinds, [{name: json.loads(row[name]) if name in lists and row[name] else row[name] for name in kinds}
                       for row in database.execute("select * from records order by rowid")]

    def test_every_condition(self):
        records = [*registry.records()]
        kinds, rows = self.read(records)
        families = [name for name, kind in kinds.items() if name not in FIXED_NAMES and kind in (Kind.TEXT, Kind.LIST)]
        self.assert_round_trip(rows, records, families)

    def test_values(self):
        kinds, (row,) = self.read([record("192.0.2.1", WORKS, order=[0, 1], flag=True, weight=0.5,
                                          **{'a "b"': "\0x", "Ä": 1})])
        self.assertEqual((row["dp"], row["order"], row["flag"], row["weight"], row['a "b"'], row["Ä"]),
                         (80, [0, 1], 1, 0.5, "\0x", 1))
        self.assertEqual(kinds["time_from"], Kind.TIME)

    def test_sql_knows_the_times_and_the_lists(self):
        self.read([record("192.0.2.1", WORKS, minute=5), record("192.0.2.2", "x.y:1", "x.y:2")])
        with sqlite3.connect(self.path) as database:
            self.assertEqual(database.execute("select strftime('%M', time_from) from records").fetchall(),
                             [("05",), ("00",)])
            self.assertEqual(database.execute("select value from records, json_each(\"x.y\")").fetchall(),
                             [("1",), ("2",)])
        database.close()

    def test_names(self):
        self.assertEqual(quoted('a"b\0'), '"a""b"')


class TestCSV(TableCase):
    def read(self, records):
        return [*csv.DictReader(io.StringIO(b"".join(as_csv(self.rows(records))).decode(), newline=""))]

    def test_every_condition(self):
        records = [*registry.records()]
        rows = self.read(records)
        self.assertEqual([json.loads(row["conditions"]) for row in rows], [one["conditions"] for one in records])
        for row, one in zip(rows, records, strict=True):
            if "ecn.negotiation.failed" in one["conditions"] and len(one["conditions"]) == 1:
                self.assertEqual(row["ecn.negotiation"], '["failed"]')  # a record has all of them

    def test_values(self):
        row, other = self.read([record("192.0.2.1", WORKS, flag=True, order=[0, 1], note="=1+1", other="a\nb"),
                                record("192.0.2.2", flag=False)])
        self.assertEqual((row["flag"], other["flag"], row["order"], row["note"], row["other"], other["note"]),
                         ("true", "false", "[0,1]", "'=1+1", "a\\nb", ""))
        self.assertEqual((row["ecn.connectivity"], other["ecn.connectivity"], other["conditions"]), ("works", "", "[]"))


@with_pyarrow
class TestParquet(TableCase):
    def read(self, records):
        import pyarrow.parquet  # noqa: PLC0415 - optional

        with self.path.open("wb") as stream:
            as_parquet(self.rows(records), stream)
        return pyarrow.parquet.read_table(self.path)

    def test_every_condition(self):
        records = [*registry.records()]
        found = self.read(records)
        families = [field.name for field in found.schema if field.name not in FIXED_NAMES
                    and str(field.type) in ("string", "list<item: string>", "list<element: string>")]
        self.assert_round_trip(found.to_pylist(), records, families)

    def test_types_and_values(self):
        found = self.read([record("192.0.2.1", WORKS, order=[0, 1], flag=True, weight=1, deep={"a": [1]}),
                           record("2001:db8::1", weight=0.5)])
        row, other = found.to_pylist()
        self.assertEqual(row["time_from"], datetime(2026, 11, 22, 10, tzinfo=UTC))
        self.assertEqual((row["order"], row["flag"], row["weight"], row["deep"]), ([0, 1], True, 1.0, '{"a":[1]}'))
        self.assertEqual((other["order"], other["flag"], other["weight"], other["conditions"]), (None, None, 0.5, []))
        self.assertEqual(str(found.schema.field("time_to").type), "timestamp[us, tz=UTC]")
        self.assertIn(b"both connections", found.schema.field("ecn.connectivity").metadata[b"meaning"])

    def test_no_records(self):
        self.assertEqual(self.read([]).num_rows, 0)


class TestWithoutPyarrow(unittest.TestCase):
    def test_it_says_what_to_do(self):
        code = ("import sys; sys.modules['pyarrow'] = None\nfrom pathspider.cmd.main import main\n"
                "sys.exit(main(['export', '-', '--format', 'parquet', '--output', '/dev/null']))")
        done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"pip install pyarrow", done.stderr)
