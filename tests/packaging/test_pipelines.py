"""The shell pipelines and the analysis in examples/ do on records what they say."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests import in_checkout
from tests.packaging.files import ROOT
from tests.programs import write_program, write_programs

EXAMPLES = ROOT / "examples"
WORKS, BROKEN = "ecn.connectivity.works", "ecn.connectivity.broken"


def record(dip, *conditions, asn=None, **more):
    path = ["10.0.0.2", "*", *([asn] if asn else []), dip]
    return {"dip": dip, "dp": 80, "domain": "www.example.com", "path": path, "conditions": list(conditions),
            "time": {"from": "2026-01-01 00:00:00.000000", "to": "2026-01-01 00:00:01.000000"}, **more}


RECORDS = [
    record("192.0.2.1", WORKS, "ecn.negotiation.succeeded", asn="AS64496"),
    record("192.0.2.2", BROKEN, asn="AS64496"),
    record("192.0.2.3", WORKS, "ecn.negotiation.failed", asn="AS64497"),
    record("2001:db8::4", BROKEN, flow_results=[{}], missed_flows=0),
]


@in_checkout
class TestPipelines(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        write_programs(self.folder)

    def write(self, name, records):
        path = self.folder / name
        path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
        return str(path)

    def run_example(self, name, *arguments):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = subprocess.run([str(EXAMPLES / name), *arguments], capture_output=True, text=True, check=False,
                              timeout=60, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_count_conditions(self):
        lines = self.run_example("pipelines/count-conditions", self.write("records", RECORDS)).split("\n")
        self.assertEqual([line.split() for line in lines[:2]], [["2", BROKEN], ["2", WORKS]])

    def test_broken_targets(self):
        jobs = [json.loads(line) for line in
                self.run_example("pipelines/broken-targets", self.write("records", RECORDS)).splitlines()]
        self.assertEqual(jobs, [{"dip": dip, "dp": 80, "domain": "www.example.com"} for dip in
                                ("192.0.2.2", "2001:db8::4")])

    def test_by_as(self):
        self.assertEqual(self.run_example("pipelines/by-as", self.write("records", RECORDS)).splitlines(),
                         ["as,targets,broken", "AS64496,2,1", "AS64497,1,0", "unknown,1,1"])

    def test_top_list_takes_one_address_of_each_kind(self):
        found = [{"rank": rank, "domain": "www.example.com", "dip": dip} for rank, dip in
                 (("10", "192.0.2.9"), ("2", "192.0.2.2"), ("2", "192.0.2.3"), ("2", "2001:db8::2"))]
        resolved = self.write("resolved", found)
        real = f"PYTHONPATH={ROOT} exec {sys.executable} -P -m pathspider"
        write_program(self.folder, "pspdr",
                      f'if [ "$1" = measure ]; then cat >/dev/null; exec cat {resolved}; fi\n{real} "$@"')
        names = EXAMPLES / "dnsresolvtest.csv"
        jobs = [json.loads(line) for line in self.run_example("pipelines/top-list", str(names), "eth0").splitlines()]
        self.assertEqual([(job["dip"], job["dp"]) for job in jobs],
                         [("192.0.2.2", 80), ("2001:db8::2", 80), ("192.0.2.9", 80)])

    def test_several_plugins_resumes(self):
        write_program(self.folder, "pspdr", 'echo "$@" >>"$(dirname "$0")/called"')
        results = self.folder / "results"
        results.mkdir()
        (results / "ecn.ndjson").touch()
        self.run_example("pipelines/several-plugins", "lab0", "jobs", str(results), "ecn", "mss")
        self.assertEqual((self.folder / "called").read_text(encoding="utf-8").splitlines(), [
            f"measure -i lab0 --input jobs --resume {results}/ecn.ndjson ecn",
            f"measure -i lab0 --input jobs --output {results}/mss.ndjson mss"])

    def test_analyse(self):
        first = self.write("first", RECORDS)
        second = self.write("second", [record("192.0.2.1", BROKEN), *RECORDS[1:]])
        text = self.run_example("analyse.py", "--plain", "--csv", str(self.folder / "table.csv"), first, second)
        self.assertIn(f"changed: 192.0.2.1 port 80: {WORKS} -> {BROKEN}\n", text)
        self.assertEqual(text.count("changed:"), 1)
        self.assertRegex(text, rf"first +IPv4 +{WORKS} +2 of +3 +66.67% +\[20.77%, 93.85%\]")
        table = (self.folder / "table.csv").read_text(encoding="utf-8")
        self.assertIn(f"{first},ecn,6,{BROKEN},1,1,1.0,0.2065,1.0", table)
