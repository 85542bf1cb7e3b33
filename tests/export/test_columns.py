"""Records as rows: columns, types, what does not fit, and the way back to conditions."""

import unittest
from unittest.mock import patch

from pathspider.export import columns
from pathspider.export.columns import Kind, Rows, conditions_of, declared_families, family, is_time
from pathspider.installed import declared_conditions
from tests.export import registry
from tests.report.records import BROKEN, WORKS, record


def table(records):
    """Columns by name, and rows as dicts."""
    with Rows() as rows:
        for one in records:
            rows.add(one)
        found, families = rows.columns()
        made = []
        for batch in rows.batches():
            values = [batch.values(column, families) for column in found]
            made += [dict(zip([column.name for column in found], row, strict=True))
                     for row in zip(*values, strict=True)]
        return {column.name: column for column in found}, made


class TestFamilies(unittest.TestCase):
    def test_a_condition_in_two_parts(self):
        for condition, parts in {WORKS: ("ecn.connectivity", "works"), "ecn.lossy": ("ecn", "lossy"),
                                 "mss.option.local.value:1460": ("mss.option.local.value", "1460"),
                                 "ecn.response.differs:200:403": ("ecn.response.differs", "200:403")}.items():
            self.assertEqual(family(condition), parts)

    def test_every_condition_of_every_plugin_comes_back_from_its_columns(self):
        declared = [one for group in declared_conditions().values() for one in group]
        declared += registry.every_condition()
        records = [*registry.records()]
        self.assertGreater(len(records), 100)
        found, rows = table(records)
        families = [name for name, column in found.items() if name not in
                    {one.name for one in columns.FIXED} and column.kind in (Kind.TEXT, Kind.LIST)]
        for one, row in zip(records, rows, strict=True):
            self.assertEqual(conditions_of(row, families, declared), set(one["conditions"]))
            self.assertEqual(row["conditions"], one["conditions"])

    def test_a_plugin_s_columns_are_there_whatever_was_found(self):
        one, two = (table([record("192.0.2.1", condition)])[0] for condition in (WORKS, BROKEN))
        self.assertEqual(one, two)
        self.assertIn("ecn.negotiation", one)
        self.assertIn("works: both connections came up", declared_families(["ecn"])["ecn.connectivity"])

    def test_several_values_are_a_list_and_those_of_the_run_always(self):
        found, rows = table([record("192.0.2.1", "x.mark:1", "x.mark:2", "y.mark:3"), record("192.0.2.2", "x.mark:4"),
                             record("192.0.2.3", "pathspider.not_observed")])
        self.assertEqual([found[name].kind for name in ("x.mark", "y.mark", "pathspider")],
                         [Kind.LIST, Kind.TEXT, Kind.LIST])
        self.assertEqual([row["x.mark"] for row in rows], [["1", "2"], ["4"], None])
        self.assertEqual([row["pathspider"] for row in rows], [None, None, ["not_observed"]])

    def test_too_many_families_are_counted(self):
        with patch.object(columns, "MOST_FAMILIES", 2), Rows() as rows:
            for number in range(4):
                rows.add(record("192.0.2.1", f"x.{number}.y"))
            names = [column.name for column in rows.columns()[0]]
            self.assertEqual(([name for name in names if name.startswith("x.")], rows.left_out), (["x.0", "x.1"], 2))


class TestRows(unittest.TestCase):
    def test_what_a_record_says(self):
        _, (row,) = table([record("2001:db8::1", WORKS, order=[1, 0], dip_asn="AS64496", evidence="a/b.pcapng",
                                  rounds=[{"order": [0, 1]}], rank=7, scenario=None, missed_flows=2, run="r")])
        expected = {"dip": "2001:db8::1", "ip_version": 6, "dp": 80, "domain": "www.example.com", "domain_ascii": None,
                    "asn": 64496, "source": "203.0.113.1", "time_from": "2026-11-22 10:00:00.000000",
                    "path": ["203.0.113.1", "*", "2001:db8::1"], "order": [1, 0], "rounds": '[{"order":[0,1]}]',
                    "missed_flows": 2, "evidence": "a/b.pcapng", "error": None, "conditions": [WORKS],
                    "ecn.connectivity": "works", "rank": 7, "dip_asn": "AS64496", "run": "r"}
        self.assertEqual({key: row[key] for key in expected}, expected)
        self.assertNotIn("scenario", row)

    def test_what_does_not_fit_is_not_lost(self):
        _, rows = table([record("192.0.2.1", WORKS), {
            "dip": 7, "dp": "http", "domain": ["x"], "path": [None, 4], "order": [1 << 70], "time": {"from": "now"},
            "missed_flows": 1 << 80, "conditions": []}])
        row = rows[1]
        for key, told in {"dip": "7", "dp": '"http"', "domain": '["x"]', "path": "[null,4]", "missed_flows":
                          str(1 << 80), "order": f"[{1 << 70}]"}.items():
            self.assertIsNone(row[key])
            self.assertEqual(str(row[f"job.{key}"]).replace('"', ""), told.replace('"', ""), key)
        self.assertEqual((row["time_from"], row["time"]), (None, '{"from":"now"}'))

    def test_types_of_further_keys(self):
        found, rows = table([record("192.0.2.1", a=1, b=1, c=True, d="x", e={"f": 1}, g=1),
                             record("192.0.2.2", a=2.5, b="x", c=False, d="y", e=[1], g=1 << 64)])
        self.assertEqual([found[key].kind for key in "abcdeg"],
                         [Kind.NUMBER, Kind.JSON, Kind.BOOLEAN, Kind.TEXT, Kind.JSON, Kind.JSON])
        self.assertEqual([[row[key] for row in rows] for key in "abcdeg"],
                         [[1.0, 2.5], ["1", '"x"'], [True, False], ["x", "y"], ['{"f":1}', "[1]"],
                          ["1", str(1 << 64)]])

    def test_names_of_further_keys_are_unlike_those_of_columns(self):
        found, (row,) = table([record("192.0.2.1", WORKS, Rank=1, rank=2, DIP="x", asn=3, more=4)])
        told = [row[name] for name in ("Rank", "job.rank", "job.DIP", "job.asn", "asn")]
        self.assertEqual(told, [1, 2, "x", 3, None])
        self.assertEqual(len({name.casefold() for name in found}), len(found))

    def test_a_key_that_is_called_as_conditions_are(self):
        _, (row,) = table([{**record("192.0.2.1", "ecn.lossy"), "ecn": 5}])
        self.assertEqual((row["ecn"], row["job.ecn"]), ("lossy", 5))

    def test_too_many_further_keys_are_in_one_column(self):
        with patch.object(columns, "MOST_KEYS", 3):
            _, (row,) = table([record("192.0.2.1", **{f"k{number}": number for number in range(6)})])
        self.assertEqual((row["k0"], row["k2"], row["more"]), (0, 2, '{"k3":3,"k4":4,"k5":5}'))

    def test_halves_of_characters_are_escaped(self):
        _, (row,) = table([record("192.0.2.1", "x.y:\ud800", note="\udfff", **{"domain_ascii": "\ud800ä"})])
        self.assertEqual((row["x.y"], row["note"], row["domain_ascii"], row["conditions"]),
                         ("\\ud800", "\\udfff", "\\ud800ä", ["x.y:\\ud800"]))

    def test_batches_are_one_table(self):
        with patch.object(columns, "BATCH", 2):
            _, rows = table([record(f"192.0.2.{number}", WORKS, **({"late": number} if number > 3 else {}))
                             for number in range(5)])
        self.assertEqual([row["late"] for row in rows], [None] * 4 + [4])
        self.assertEqual([row["dip"] for row in rows], [f"192.0.2.{number}" for number in range(5)])

    def test_long_lines_are_put_aside_early(self):
        with patch.object(columns, "BATCH_OCTETS", 100), Rows() as rows:
            for _ in range(3):
                rows.add(rows.parse('{"conditions": [], "x": "' + "y" * 200 + '"}'))
                self.assertEqual(rows._records, [])
            self.assertEqual((rows.records, len([*rows.batches()])), (3, 3))

    def test_times(self):
        for text, fine in {"2026-11-22 10:00:00.000000": True, "2026-02-30 10:00:00.000000": False,
                           "2026-11-22T10:00:00.000000": False, "": False,
                           "2026-11-22 10:00:60.000000": False, "2026-11-22 24:00:00.000000": False}.items():
            self.assertEqual(is_time(text), fine, text)
            one, other = record("192.0.2.1"), record("192.0.2.2")
            one["time"] = {"from": text, "to": text}
            self.assertEqual([row["time_to"] for row in table([one, other])[1]],
                             [text if fine else None, "2026-11-22 10:00:00.000000"])
        self.assertFalse(is_time(None))
