"""JSON, CSV and Markdown, of few records and of strangers' text."""

import csv
import io
import json
import unittest

from pathspider.report.plain import as_csv, as_json, as_markdown, targets_as_csv
from tests.report.records import BROKEN, WORKS, record, report_of

EVIL = "=1+1|`x`\x1b[31m\u202e,\"\n"


class TestPlain(unittest.TestCase):
    def test_every_format_of_no_records_at_all(self):
        with report_of(a=[]) as report:
            self.assertEqual(json.loads("".join(as_json(report)))["counts"], [])
            self.assertEqual(len("".join(as_csv(report)).splitlines()), 1)
            self.assertNotIn("## ", "".join(as_markdown(report)))

    def test_json_and_csv_have_the_same_counts(self):
        with report_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", BROKEN, dip_asn=64496)]) as report:
            found = json.loads("".join(as_json(report)))
            rows = [*csv.DictReader(io.StringIO("".join(as_csv(report)), newline=""))]
            self.assertEqual([{key: str(value) for key, value in one.items()} for one in found["counts"]], rows)
            self.assertEqual([one["seen"][1]["conditions"] for one in found["changed_targets"]], [[BROKEN]])
            self.assertIn("AS64496", {one["value"] for one in rows})

    def test_rounds_are_in_every_format(self):
        rows = [record(f"192.0.2.{number}", BROKEN, "ecn.stable.connectivity.works") for number in range(3)]
        with report_of(a=rows) as report:
            (count,) = (one for one in json.loads("".join(as_json(report)))["counts"] if one["group"] == "all"
                        and one["question"] == "ecn.connectivity (broken at first)" and one["answer"] == "broken")
            self.assertEqual((count["count"], count["total"], count["low"], count["condition"]),
                             (0, 3, 0, "ecn.stable.connectivity.broken"))
            self.assertGreater(count["high"], 0.5)
            self.assertIn("all,,ecn,ecn.connectivity (confirmed),works,ecn.connectivity.works,3,3,",
                          "".join(as_csv(report)))
            text = "".join(as_markdown(report))
            self.assertIn("### ecn.connectivity (broken at first)", text)
            self.assertIn("| a | all | unstable | 0 | 3 | 0.00 % | 0.00 % to 56.15 % |", text)

    def test_strangers_text_stays_in_its_cell(self):
        with report_of(a=[{**record("192.0.2.1", WORKS), "domain": EVIL}],
                       b=[{**record("192.0.2.1", BROKEN), "domain": EVIL}]) as report:
            table = "".join(targets_as_csv(report))
            self.assertEqual([len(row) for row in csv.reader(io.StringIO(table, newline=""))], [9, 9, 9])
            text = "".join(as_markdown(report))
            self.assertIn(r"=1+1\|\`x\`\\x1b\[31m\\u202e", text)
            self.assertTrue((table + text).replace("\n", "").replace("\r", "").isprintable())
