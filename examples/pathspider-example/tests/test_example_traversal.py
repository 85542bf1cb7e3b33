"""Run by `python3 -m unittest` in the folder above; as root, the tests in the lab too."""

import argparse
import os
import subprocess
import sys
import unittest
from pathlib import Path

from scapy.layers.inet import IP, TCP

from pathspider.plugins.example_traversal import ExampleTraversalPlugin
from pathspider.records import CONN_OK, CONN_TIMEOUT
from pathspider.traversal import NOT_AS_FORGED

PACKAGE = Path(__file__).resolve().parents[1]


def verdict(*states, spoilt=None):
    """The conditions for a baseline and each variant that ended so; the server echoes timestamps."""
    parser = argparse.ArgumentParser()
    ExampleTraversalPlugin.register_args(parser.add_subparsers())
    args = parser.parse_args(["example_traversal"])
    args.source = ("192.0.2.1", None)
    plugin = ExampleTraversalPlugin(1, "int:lo", args)
    flows = []
    for seq, state in enumerate(states):
        packet = plugin.forge({"dip": "192.0.2.2", "dp": 80}, seq)
        stamp = dict(packet[TCP].options[:4]).get("Timestamp") or (int.from_bytes(packet[TCP].options[-1][1][:4]), 0)
        reply = IP() / TCP(flags="SA", options=[("Timestamp", (1, stamp[0]))])
        flows.append({"spdr_state": state, "forged": bytes(packet).hex(), "headers_fwd": bytes(packet).hex(),
                      "headers_rev": None if state else bytes(reply).hex()})
        if seq:
            flows[-1]["variant"] = plugin.variants[seq - 1].name
    if spoilt is not None:
        flows[spoilt]["headers_fwd"] = flows[0]["headers_fwd"]
    return plugin.combine_flows(flows)


class TestVerdicts(unittest.TestCase):
    def test_works(self):
        found = verdict(CONN_OK, CONN_OK, CONN_OK, CONN_OK)
        self.assertEqual(found[:2], ["example_traversal.zero.connectivity.works",
                                     "example_traversal.zero.timestamp.echoed"])
        self.assertEqual(len(found), 6)

    def test_broken(self):
        found = verdict(CONN_OK, CONN_OK, CONN_TIMEOUT, CONN_OK)
        self.assertEqual(found[2], "example_traversal.largest.connectivity.broken")
        self.assertEqual(len(found), 5)

    def test_offline(self):
        found = verdict(CONN_TIMEOUT, CONN_TIMEOUT, CONN_TIMEOUT, CONN_TIMEOUT)
        self.assertEqual(found[0], "example_traversal.zero.connectivity.offline")

    def test_our_own_fault_is_no_verdict(self):
        found = verdict(CONN_OK, CONN_OK, CONN_OK, CONN_OK, spoilt=2)
        self.assertEqual(found, [NOT_AS_FORGED])


@unittest.skipUnless(os.geteuid() == 0, "the lab needs root")
class TestLab(unittest.TestCase):
    def test_every_path_is_found_to_be_what_it_is(self):
        environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{os.environ.get('PYTHONPATH', '')}"}
        command = [sys.executable, "-m", "pathspider", "lab", "check"]
        scenarios = PACKAGE / "scenarios" / "example_traversal.py"
        done = subprocess.run([*command, "--scenarios", scenarios, "example_traversal"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
