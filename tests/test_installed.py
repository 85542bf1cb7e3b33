"""Plugins and chains by name, and no more modules loaded than are needed."""

import subprocess
import sys
import unittest

from pathspider.installed import available_chains, available_plugins, find_plugin


class TestInstalled(unittest.TestCase):
    def test_all_plugins(self):
        names = [plugin.name for plugin in available_plugins()]
        self.assertEqual(names, sorted(names))
        self.assertLess({"dnsresolv", "ecn", "udpzero"}, set(names))

    def test_the_one_that_is_named(self):
        for words in (["ecn", "--connect", "tcp"], ["-i", "eth0", "ecn"]):
            self.assertEqual([plugin.name for plugin in available_plugins(words)], ["ecn"])
        self.assertGreater(len(available_plugins(["--help"])), 1)

    def test_one_alone_loads_no_other(self):
        text = "import sys; from pathspider.installed import find_plugin; find_plugin('ecn'); " \
               "print([name for name in sys.modules if name.startswith(('pathspider.plugins.', 'scapy'))])"
        found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
        self.assertEqual(found, "['pathspider.plugins.ecn']\n")

    def test_found_by_name(self):
        self.assertEqual(find_plugin("h2").name, "h2")
        self.assertIsNone(find_plugin("none_such"))

    def test_chains(self):
        chains = available_chains()
        self.assertEqual(chains["ecn"].__name__, "ECNChain")
        self.assertNotIn("base", chains)
