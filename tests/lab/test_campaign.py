"""What ``pspdr lab campaign`` compares; all of it at work takes a minute: ``pspdr lab campaign`` itself."""

import io
import json
import os
import shutil
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

from pathspider.campaign.allowlist import AllowList
from pathspider.campaign.folder import Campaign
from pathspider.campaign.results import Packer, head_of
from pathspider.lab.campaign import ALLOWED, PATHS, _below, _compare
from pathspider.lab.scenarios import all_cases, clean_jobs
from tests.campaign.cases import definition


class TestPaths(unittest.TestCase):
    def test_their_truth_is_that_of_the_lab(self):
        truths = {case.scenario.name: case.truth for case in all_cases("ecn")}
        for scenario, truth in PATHS.values():
            self.assertLessEqual(truth, truths[scenario or "ecn-clean-tcp"])

    def test_the_allow_list(self):
        allowed = AllowList.parse(ALLOWED.encode(), "x")
        self.assertEqual(allowed.words("ecn", [["--confirm", "0"]], [["--connect", "tcp"]], None)[-1], "--connect=tcp")


class TestCompare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.campaign = Campaign.create(Path(folder, "c"), definition(
            mode="fanout", vantages=[*PATHS], plugin="ecn"), clean_jobs(4, version=4))
        self.addCleanup(self.campaign.close)

    def compared(self, wrong=""):
        for name, (_, truth) in PATHS.items():
            chunk, packer = self.campaign.chunk(name, 0), Packer()
            for job in chunk.jobs:
                found = ["ecn.connectivity.works"] if name == wrong else sorted(truth)
                packer.add(json.dumps({**job, "conditions": found}).encode() + b"\n")
            self.campaign.store(name, 0, packer.whole(head_of(chunk, name, {})))
        output = io.StringIO()
        with redirect_stdout(output):
            return _compare(self.campaign, 4), output.getvalue()

    def test_as_it_is(self):
        status, shown = self.compared()
        self.assertEqual(status, 0)
        self.assertEqual(shown.splitlines()[-1].split(), ["ecn", "0", "0", "4"])

    def test_a_vantage_point_that_is_wrong(self):
        status, shown = self.compared("ber")
        self.assertEqual(status, 1)
        self.assertIn("ber: 4 records of 4 targets: 4 ecn.connectivity.works; 0 of 4 are right", shown)


class TestBelow(unittest.TestCase):
    def test_ourselves_first(self):
        self.assertEqual(next(_below(os.getpid())), os.getpid())
