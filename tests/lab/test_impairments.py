"""What the router does to packets, seen by plain sockets and raw packets."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

from pathspider.lab import Lab
from pathspider.lab.scenarios import all_cases

PROBE = str(Path(__file__).with_name("probe.py"))


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
                self.assertEqual(sorted(found[case.address]), sorted(case.scenario.expect))

    def test_truth_with_built_in_servers(self):
        self.probe("builtin")

    def test_truth_with_nginx(self):
        self.probe("nginx")
