"""The runs that files are of."""

import json
import tempfile
import unittest
from pathlib import Path

from pathspider.report.page import as_html
from pathspider.report.plain import as_json, as_markdown
from pathspider.report.runs import HEADS, cells, differing, read_runs, unfinished
from tests.report.records import WORKS, record, report_of


def run(number, plugin="ecn", version="3.0", **measure):
    return {"run": f"run-{number}", "begin": "2026-11-22 10:00:00.000000", "end": None, "ended": None,
            "pathspider": "3.0", "plugin": {"name": plugin, "version": version}, "connect": "http",
            "options": {"measure": {"interface": "eth0", "seed": 0, **measure}, "plugin": {"connect": "http"}},
            "vantage": {"name": "here", "host": "one", "ipv6": None},
            "targets": {"file": "list", "sha256": "0123456789abcdef", "jobs": 7, "complete": False}}


class TestRuns(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.report = self.enterContext(report_of(a=[record("192.0.2.1", WORKS, run="run-1")],
                                                  b=[record("192.0.2.1", WORKS, run="run-2")]))
        self.a, self.b = self.report.tallies
        self.a.name, self.b.name = (str(self.folder / name) for name in ("a.ndjson.gz", "b.ndjson"))

    def write(self, name, *runs):
        (self.folder / f"{name}.meta.json").write_text(json.dumps({"runs": runs}))

    def test_those_that_the_records_are_of(self):
        self.write("b.ndjson", run(1), run(2), run(3))
        read_runs(self.b)
        self.assertEqual([one["run"] for one in self.b.facts], ["run-2"])
        (row,) = cells(self.b)
        self.assertEqual(dict(zip(HEADS, row, strict=True)), {
            "Results": "b", "Run": "run-2", "Plugin": "ecn 3.0", "PATHspider": "3.0", "Mode": "http",
            "Vantage point": "here, one", "Begin (UTC)": "2026-11-22 10:00:00", "End (UTC)": "",
            "Ended by": "nothing that was told",
            "Target list": "list (SHA-256 0123456789ab, 7 jobs, not read to its end)",
            "Options": "interface=eth0 seed=0 connect=http"})

    def test_how_hard_was_measured_is_told_and_of_which_campaign(self):
        self.write("b.ndjson", {**run(2, rate=50.0, workers=20, per_address=2, max_targets=None, status_file="s",
                                      locate=0, locate_rate=50.0, source_ip=[]),
                                "campaign": {"id": "0a", "label": "autumn", "chunks": 3}})
        read_runs(self.b)
        (row,) = cells(self.b)
        self.assertEqual(row[-1].split(), ["interface=eth0", "seed=0", "rate=50.0", "workers=20", "per_address=2",
                                           "locate=0", "connect=http", "campaign=autumn"])
        self.b.facts[0]["campaign"]["label"] = ""
        self.assertTrue(next(cells(self.b))[-1].endswith("campaign=0a"))

    def test_campaigns_that_were_not_finished(self):
        def of(campaign, **more):
            rows = [{"slot": slot, "measured": number, "targets": 10} for slot, number in more.items()]
            return {**run(1), "campaign": {"id": campaign, "label": "", "chunks": 1, "measured": rows}}

        self.a.facts = [of("x", a=10), of("y", a=10)]
        self.b.facts = [of("x", a=10, b=4)] * 2
        self.b.facts[0]["targets"]["file"] = "/somewhere/c/targets.ndjson"
        self.assertEqual([*unfinished([self.a, self.b])], [("x", "b has results of 4 of 10 targets")])
        self.a.facts[0]["campaign"]["label"] = "autumn"
        self.assertEqual(next(unfinished([self.a, self.b]))[0], "autumn")
        self.a.facts = [{**of("z", any=0), "targets": {"file": "/somewhere/c/targets.ndjson"}},
                        {**of("z", any=0), "targets": 7}]
        self.assertEqual([*unfinished([self.a])], [("c", "there are results of 0 of 10 targets")])
        self.a.facts = [{**run(1), "campaign": 7}, {**run(2), "campaign": {}}]
        self.assertEqual([*unfinished([self.a])], [])

    def test_of_a_packed_file(self):
        for name in ("a.ndjson.gz", "a.ndjson"):
            self.write(name, run(1))
            read_runs(self.a)
            self.assertEqual(len(self.a.facts), 1)
            self.a.facts = []
            (self.folder / f"{name}.meta.json").unlink()

    def test_what_is_no_metadata_or_of_other_runs_is_said(self):
        for text, says in (("precious", "not JSON"), ('{"runs": [{"run": "run-7"}]}', "says nothing of run run-2")):
            (self.folder / "b.ndjson.meta.json").write_text(text)
            with self.assertLogs("pathspider", "WARNING") as logs:
                read_runs(self.b)
            self.assertIn(says, logs.output[0])
            self.assertEqual(self.b.facts, [])

    def test_runs_that_were_not_made_alike(self):
        for second, what in ((run(2), None), (run(2, interface="eth1"), None), (run(2, plugin="mss", seed=7), None),
                             (run(2, seed=7), "seed was 0, and is 7"), (run(2, rate=7, workers=7), None),
                             (run(2, version="4"), "plugin ecn was 3.0, and is 4")):
            self.a.facts, self.b.facts = [run(1)], [second]
            self.assertEqual([*differing(self.report.tallies)], [("a and b", what)] if what else [])

    def test_all_formats_tell(self):
        self.a.facts, self.b.facts = [run(1)], [{**run(2, seed=7), "vantage": {"name": "<b>"}}]
        page, markdown = "".join(as_html(self.report)), "".join(as_markdown(self.report))
        found = json.loads("".join(as_json(self.report)))
        for text in (page, markdown):
            self.assertIn("runs that were not made alike", text)
            self.assertNotIn("<b>,", text)
        self.assertIn("run-1", page)
        self.assertIn("&lt;b&gt;", page)
        self.assertIn("run-1", markdown)
        self.assertEqual(found["differing"], [{"files": "a and b", "what": "seed was 0, and is 7"}])
        self.assertEqual([(one["run_ids"], one["runs"][0]["run"]) for one in found["files"]],
                         [({"run-1": 1}, "run-1"), ({"run-2": 1}, "run-2")])

    def test_strange_facts(self):
        self.a.facts = [{"run": "run-1", "plugin": 7, "vantage": [], "options": {"measure": 7}, "targets": "x"},
                        {"run": "run-2"}]
        self.assertEqual(len([*cells(self.a)]), 2)
        self.assertEqual([*differing(self.report.tallies)], [])


if __name__ == "__main__":
    unittest.main()
