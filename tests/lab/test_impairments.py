"""What the router does to packets, seen by plain sockets and raw packets."""

import inspect
import json
import subprocess
import sys
import unittest
from pathlib import Path

from pathspider.lab import Lab, impairments
from pathspider.lab.scenarios import all_cases
from tests import in_checkout

FURTHER = ("ecn.feedback.", "ecn.syn_ect.", "ecn.ipmark.ect0.unclear")
"""What is said of further connections, which the probe does not make, and by the time that an answer took."""

PROBE = str(Path(__file__).with_name("probe.py"))


class TestImpairments(unittest.TestCase):
    @in_checkout
    def test_each_is_in_the_documentation(self):
        text = Path(__file__).parents[2].joinpath("docs/lab.rst").read_text(encoding="utf-8")
        functions = [name for name, one in inspect.getmembers(impairments, inspect.isfunction)
                     if one.__module__ == impairments.__name__]
        self.assertGreater(len(functions), 15)
        for name in functions:
            self.assertIn(f"``{name}(", text)


class TestECNPaths(unittest.TestCase):
    """Every ECN scenario, measured without PATHspider."""

    def probe(self, servers):
        cases = all_cases("ecn")
        jobs = "".join(json.dumps(case.job | {"connect": case.scenario.connect}) + "\n" for case in cases)
        with Lab(servers) as lab:
            done = lab.run([sys.executable, PROBE], data=jobs.encode(), stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 0)
        found = json.loads(done.stdout)
        for case in cases:
            with self.subTest(scenario=case.scenario.name, address=case.address):
                self.assertIn(set(found[case.address]), [{one for one in truth if not one.startswith(FURTHER)}
                                                         for truth in case.truths()])

    def test_truth_with_built_in_servers(self):
        self.probe("builtin")

    @in_checkout
    def test_truth_with_nginx(self):
        self.probe("nginx")
