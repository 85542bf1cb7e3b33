"""The shell pipelines and the analysis in examples/ do on records what they say."""

import gzip
import itertools
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

    def run_example(self, name, *arguments, status=0):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        command = [sys.executable] if name.endswith(".py") else []
        done = subprocess.run([*command, str(EXAMPLES / name), *arguments], capture_output=True, text=True, check=False,
                              timeout=60, env=environment)
        self.assertEqual(done.returncode, status, done.stderr)
        self.said = done.stderr
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

    def test_by_as_counts_no_as_of_ours(self):
        looked_up = [{**one, "path": ["192.0.2.250", "AS64499", *one["path"][1:]]} for one in RECORDS]
        odd = [{"conditions": [], "path": path} for path in ([], None, ["192.0.2.250", "AS64499"], [None, "*", None])]
        self.assertEqual(
            self.run_example("pipelines/by-as", self.write("records", [*looked_up, *odd, {}])).splitlines(),
            ["as,targets,broken", "unknown,6,1", "AS64496,2,1", "AS64497,1,0"])

    def test_top_list_takes_one_address_of_each_kind(self):
        found = [{"rank": rank, "domain": "www.example.com", "dip": dip} for rank, dip in
                 (("10", "10.64.0.9"), ("2", "10.64.0.2"), ("2", "10.64.0.3"), ("2", "fd00:21::2"), ("3", "192.0.2.1"))]
        resolved = self.write("resolved", found)
        real = f"PYTHONPATH={ROOT} exec {sys.executable} -P -m pathspider"
        write_program(self.folder, "pspdr",
                      f'if [ "$1" = measure ]; then cat >/dev/null; exec cat {resolved}; fi\n{real} "$@"')
        names = EXAMPLES / "dnsresolvtest.csv"
        jobs = [json.loads(line) for line in self.run_example("pipelines/top-list", str(names), "eth0").splitlines()]
        self.assertEqual([(job["dip"], job["dp"]) for job in jobs],
                         [("10.64.0.2", 80), ("fd00:21::2", 80), ("10.64.0.9", 80)])

    def test_several_plugins_goes_on(self):
        write_program(self.folder, "pspdr", 'echo "$@" >>"$(dirname "$0")/called"; case "$@" in *ecn) exit 1; esac')
        self.run_example("pipelines/several-plugins", "lab0", "jobs", str(self.folder / "results"), "ecn", "mss",
                         status=1)
        self.assertEqual(len((self.folder / "called").read_text(encoding="utf-8").splitlines()), 2)

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
        tfo = "tfo.connectivity.works"
        first = self.write("first", [*RECORDS, RECORDS[0], record("192.0.2.9", WORKS)])
        second = self.write("second", [record("192.0.2.1", tfo), record("192.0.2.2", tfo),
                                       record("2001:db8::4", BROKEN), record("192.0.2.3", "pathspider.not_observed"),
                                       {**record("192.0.2.9", tfo), "dp": 443}])
        with open(second, "a", encoding="utf-8") as stream:
            stream.write('{"dip": 7}\n{"dip": null, "conditions": ["x.connectivity.y"]}\n[1]\n{"dip": "192.0.2')
        with open(second, "ab") as stream:
            stream.write(b'\xff"}\n')
        odd = [{**record("2001:DB8::7", WORKS), "dp": ["x"], "domain": {"y": 1}},
               {**record("192.0.2.8", WORKS), "dp": "80"}]
        first = self.write("first", [*RECORDS, RECORDS[0], record("192.0.2.9", WORKS), *odd,
                                     {**record(None, WORKS), "domain": None}])
        with open(second, "ab") as stream:
            for one in (record("2001:db8::7", tfo, dp=["x"]) | {"domain": {"y": 1}}, record("192.0.2.8", tfo)):
                stream.write(json.dumps(one).encode() + b"\n")
        packed = self.folder / "second.gz"
        packed.write_bytes(gzip.compress(Path(second).read_bytes()))
        table = self.folder / "table.csv"
        for how, name in itertools.product(((), ("--plain",)), (second, str(packed))):
            with self.subTest(how=how, name=name):
                self.assertEqual(self.run_example("analyse.py", *how, "--csv", str(table), first, name),
                                 f"{'':23}  {BROKEN}  {tfo}\n{BROKEN}  {1:23}  {1:22}\n{WORKS:23}  {0:23}  {3:22}\n")
                self.assertEqual(self.said, f"{name}: 3 lines are no records, left out\n")
                self.assertEqual(table.read_text(encoding="utf-8").split(),
                                 [f",{BROKEN},{tfo}", f"{BROKEN},1,1", f"{WORKS},0,3"])

    def test_analyse_what_is_not_there(self):
        for how in ((), ("--plain",)):
            self.run_example("analyse.py", *how, "/no/such/file", "/no/such/file", status=1)
            self.assertIn("/no/such/file", self.said)
            self.assertEqual(self.said.count("\n"), 1)
