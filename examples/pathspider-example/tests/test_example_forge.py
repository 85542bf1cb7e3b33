"""Run by `python3 -m unittest` in the folder above; as root, the tests in the lab too."""

import argparse
import os
import subprocess
import sys
import unittest
from pathlib import Path

from pathspider.plugins.example_forge import ExampleForgePlugin
from pathspider.records import CONN_OK, CONN_TIMEOUT

PACKAGE = Path(__file__).resolve().parents[1]


def flow(state, **fields):
    """A flow record: how the connection ended, and what the plugin's chains say of it.

    Fields that a test does not give have the values that they have before a chain has seen a packet.
    """
    unseen = {name: field.initial
              for chain in ExampleForgePlugin.chains for name, field in chain.fields.items()}
    return {"spdr_state": state, **unseen, **fields}


class TestVerdicts(unittest.TestCase):
    def verdict(self, *flows):
        parser = argparse.ArgumentParser()
        ExampleForgePlugin.register_args(parser.add_subparsers())
        plugin = ExampleForgePlugin(1, "int:lo", parser.parse_args(["example_forge"]))
        return plugin.combine_flows(list(flows))

    def test_works(self):
        found = self.verdict(flow(CONN_OK), flow(CONN_OK))
        self.assertEqual(found, ["example_forge.connectivity.works"])

    def test_broken(self):
        found = self.verdict(flow(CONN_OK), flow(CONN_TIMEOUT))
        self.assertEqual(found, ["example_forge.connectivity.broken"])

    def test_offline(self):
        found = self.verdict(flow(CONN_TIMEOUT), flow(CONN_TIMEOUT))
        self.assertEqual(found, ["example_forge.connectivity.offline"])


@unittest.skipUnless(os.geteuid() == 0, "the lab needs root")
class TestLab(unittest.TestCase):
    def test_every_path_is_found_to_be_what_it_is(self):
        environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{os.environ.get('PYTHONPATH', '')}"}
        command = [sys.executable, "-m", "pathspider", "lab", "check"]
        scenarios = PACKAGE / "scenarios" / "example_forge.py"
        done = subprocess.run([*command, "--scenarios", scenarios, "example_forge"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
