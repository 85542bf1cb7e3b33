"""Run by `python3 -m unittest` in the folder above; as root, the tests in the lab too."""

import argparse
import os
import subprocess
import sys
import unittest
from pathlib import Path

from pathspider.conditions import NOT_OBSERVED
from pathspider.plugins.example_single import ExampleSinglePlugin
from pathspider.records import CONN_OK, CONN_TIMEOUT

PACKAGE = Path(__file__).resolve().parents[1]


def flow(state, **fields):
    """A flow record: how the connection ended, and what the plugin's chains say of it.

    Fields that a test does not give have the values that they have before a chain has seen a packet.
    """
    unseen = {name: field.initial
              for chain in ExampleSinglePlugin.chains for name, field in chain.fields.items()}
    fields = {"dscp_mark_syn_rev": 0, **fields}
    return {"spdr_state": state, **unseen, **fields}


class TestVerdicts(unittest.TestCase):
    def verdict(self, *flows):
        parser = argparse.ArgumentParser()
        ExampleSinglePlugin.register_args(parser.add_subparsers())
        plugin = ExampleSinglePlugin(1, "int:lo", parser.parse_args(["example_single"]))
        return plugin.combine_flows(list(flows))

    def test_online(self):
        found = self.verdict(flow(CONN_OK))
        self.assertEqual(found, ["example_single.connectivity.online",
                                 "example_single.dscp:0"])

    def test_marked(self):
        found = self.verdict(flow(CONN_OK, dscp_mark_syn_rev=46))
        self.assertIn("example_single.dscp:46", found)

    def test_offline(self):
        found = self.verdict(flow(CONN_TIMEOUT))
        self.assertEqual(found, ["example_single.connectivity.offline"])

    def test_an_answer_that_was_not_seen(self):
        found = self.verdict(flow(CONN_OK, dscp_mark_syn_rev=None))
        self.assertEqual(found, [NOT_OBSERVED])


@unittest.skipUnless(os.geteuid() == 0, "the lab needs root")
class TestLab(unittest.TestCase):
    def test_every_path_is_found_to_be_what_it_is(self):
        environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{os.environ.get('PYTHONPATH', '')}"}
        command = [sys.executable, "-m", "pathspider", "lab", "check"]
        scenarios = PACKAGE / "scenarios" / "example_single.py"
        done = subprocess.run([*command, "--scenarios", scenarios, "example_single"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
