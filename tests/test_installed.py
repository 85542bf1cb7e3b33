"""Plugins and chains by name, no more modules loaded than are needed, and the conditions that plugins declare."""

import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path

import pathspider.base
from pathspider.conditions import RUN, connectivity_conditions, response_conditions
from pathspider.discovery import module_names
from pathspider.installed import (
    available_chains,
    available_plugins,
    declared,
    declared_conditions,
    find_plugin,
    passive_plugins,
    tells_of_others,
)

ROOT = Path(pathspider.base.__file__).parents[1]
OURS = {f"pathspider.plugins.{name}" for name in module_names("pathspider.plugins")
        if (ROOT / f"pathspider/plugins/{name}.py").is_file()}
EXTEND_PATH = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
PLUGINS = """
from pathspider.base import PluggableSpider
from pathspider.single import SingleSpider
class Mine(SingleSpider, PluggableSpider):
    name = "mine"
    conditions = {"mine.colour:<colour>": "what it looks like"}
    placeholders = {"colour": "red|blue"}
class Silent(SingleSpider, PluggableSpider):
    name = "silent"
"""


UNNAMED = """
from pathspider.base import PluggableSpider
from pathspider.single import SingleSpider
class Shared(SingleSpider, PluggableSpider):
    "What the others have in common."
class Good(Shared):
    name = "good"
class Forgotten(Shared):
    pass
class Odd(Shared):
    name = 5
class Void(Shared):
    name = None
class Heir(Good):
    pass
"""


@contextmanager
def tree_of(text):
    """An environment in which another distribution has a module of plugins; it sees ours too."""
    with tempfile.TemporaryDirectory() as folder:
        plugins = Path(folder, "pathspider", "plugins")
        plugins.mkdir(parents=True)
        for place in (plugins, plugins.parent):
            (place / "__init__.py").write_text(EXTEND_PATH)
        (plugins / "others.py").write_text(text)
        yield {**os.environ, "PYTHONPATH": folder}


class TestInstalled(unittest.TestCase):
    def test_all_plugins(self):
        names = [plugin.name for plugin in available_plugins()]
        self.assertEqual(names, sorted(names))
        self.assertLess({"dnsresolv", "ecn", "udpzero"}, set(names))

    def test_the_one_that_is_named(self):
        self.assertEqual([plugin.name for plugin in available_plugins("ecn")], ["ecn"])
        for word in (None, "--help", "none_such"):
            self.assertGreater(len(available_plugins(word)), 1)

    def test_one_alone_loads_no_other(self):
        text = "import sys; from pathspider.installed import find_plugin; find_plugin('ecn'); " \
               "print([name for name in sys.modules if name.startswith(('pathspider.plugins.', 'scapy'))])"
        found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
        self.assertEqual(found, "['pathspider.plugins.ecn']\n")

    def test_classes_that_cannot_be_offered(self):
        """Each is named with the reason, once; what they share with those that can is nobody's mistake."""
        with tree_of(UNNAMED) as environment:
            done = subprocess.run([sys.executable, "-m", "pathspider", "measure", "--help"], env=environment,
                                  cwd=ROOT, capture_output=True, text=True, check=True)
            typo = subprocess.run([sys.executable, "-m", "pathspider", "measure", "god"], env=environment,
                                  cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertIn("    good", done.stdout)
        self.assertNotIn("spider ", done.stdout.replace("PATHspider ", ""))
        for name, reason in (("Forgotten", "it has no name of its own"),
                             ("Odd", "its name is 5, where a word is needed"),
                             ("Void", "its name is None, where a word is needed"),
                             ("Heir", "it has the name of the plugin that it extends, good")):
            line = f"pathspider.plugins.others.{name} cannot be offered and is skipped: {reason}"
            self.assertEqual(done.stderr.count(line), 1, done.stderr)
            self.assertEqual(typo.stderr.count(line), 1, typo.stderr)
        self.assertNotIn("Shared", done.stderr)
        self.assertIn("did you mean good?", typo.stderr)

    def test_found_by_name(self):
        self.assertEqual(find_plugin("h2").name, "h2")
        self.assertIsNone(find_plugin("none_such"))

    def test_chains(self):
        chains = available_chains()
        self.assertEqual(chains["ecn"].__name__, "ECNChain")
        self.assertNotIn("base", chains)


class TestPassive(unittest.TestCase):
    def test_by_name(self):
        self.assertEqual([plugin.name for plugin in passive_plugins()], ["dscp", "ecn", "evilbit", "mss", "tfo"])
        self.assertEqual([plugin.name for plugin in passive_plugins(["mss", "ecn", "mss"])], ["ecn", "mss"])
        for name in ("h2", "nonsense"):
            with self.assertRaises(KeyError):
                passive_plugins([name])

    def test_one_that_names_no_chains_is_left_out(self):
        for number, wrong in enumerate((available_chains()["basic"], [int], ["basic"], None)):
            odd = type(f"Odd{number}", (pathspider.base.PluggableSpider,), {"passive_chains": wrong})
            with self.assertLogs("pathspider.discovery") as logs:
                self.assertFalse(tells_of_others(odd))
            self.assertIn("where a list of chains' classes is needed", logs.output[0])
        self.assertFalse(tells_of_others(pathspider.base.PluggableSpider))


class TestDeclared(unittest.TestCase):
    def test_every_plugin_that_concludes_declares_its_conditions(self):
        for plugin in available_plugins():
            if plugin.__module__ in OURS and (plugin.chains or plugin.name == "dnsresolv"):
                self.assertIn(f"{plugin.name}.", " ".join(plugin.conditions), plugin.name)

    def test_who_compares_responses_declares_what_is_said_of_them(self):
        for plugin in available_plugins():
            if plugin.__module__ in OURS:
                answered = set(plugin.connect_supported) - {"tcp"} and plugin.name not in ("mss", "tls", "pmtud")
                # of which one has no pair, one no response, and one takes any response
                declared_ones = [one for one in plugin.conditions if ".response.differs:" in one]
                self.assertEqual((plugin.compares_responses, bool(declared_ones)), (bool(answered),) * 2, plugin.name)

    def test_nobody_declares_what_is_another_s(self):
        for plugin in available_plugins():
            for condition in plugin.conditions:
                self.assertTrue(condition.startswith((f"{plugin.name}.", f"{RUN}.")), condition)

    def test_groups(self):
        groups = declared_conditions()
        self.assertEqual([*groups], [RUN, *(plugin.name for plugin in available_plugins())])
        self.assertEqual(groups["udpzero"], {**connectivity_conditions("udpzero"),
                                             **response_conditions("udpzero", ["dnsudp"])})
        self.assertEqual(groups[RUN]["pathspider.skipped:ipv6_has_no_evil_bit"],
                         "evilbit: the target's address is IPv6")
        self.assertRegex(groups[RUN]["pathspider.not_observed"], "^what a conclusion needs .*; tfo: also where")

    def test_the_meaning_of_one(self):
        for condition, plugin, text in (
                ("dscp.46.replymark:0", "dscp", "dscp.<codepoint>.replymark:<codepoint>"),
                ("dnsresolv.unresolved:refused", "dnsresolv", "dnsresolv.unresolved:<rcode>"),
                ("dnsresolv.unresolved:nxdomain", "dnsresolv", "dnsresolv.unresolved:nxdomain"),
                ("dscp.46.response.differs:200:403", "dscp", "dscp.<codepoint>.response.differs:<status>:<status>"),
                ("dscp.46.response.differs:noerror:rcode15", "dscp",
                 "dscp.<codepoint>.response.differs:<rcode>:<rcode>"),
                ("h2.upgrade.failed:http11_required", "h2", "h2.upgrade.failed:http11_required"),
                ("pathspider.local_error:ENETUNREACH", "ecn", "pathspider.local_error:<errno>"),
                ("pathspider.not_measured", "none_such", "pathspider.not_measured")):
            self.assertEqual(declared(condition, plugin)[0], text)
        self.assertRegex(declared("ecn.stable.connectivity.broken", "ecn")[1], "^in every further round, too, the base")
        self.assertEqual(declared("ecn.stable.negotiation.failed", "ecn")[1],
                         "in every further round: the SYN-ACK had any other flags")
        self.assertIsNone(declared("ecn.stable.colour.red", "ecn"))
        self.assertRegex(declared("ecn.lossy", "ecn")[1], "more tries")
        self.assertEqual(declared("h2.upgrade.success", "h2")[1], "the response came over HTTP/2")
        for condition, plugin in (("ecn.connectivity.works", "none_such"), ("ecn.connectivity.wrecks", "ecn")):
            self.assertIsNone(declared(condition, plugin))

    def test_a_third_party_s(self):
        """With a placeholder of its own, from a module that has another name; beside a plugin that declares none."""
        with tree_of(PLUGINS) as environment:
            text = "from pathspider.installed import declared, declared_conditions; " \
                   "print(declared('mine.colour:red', 'mine'), declared('mine.colour:7', 'mine'), " \
                   "declared_conditions()['silent'])"
            done = subprocess.run([sys.executable, "-c", text], env=environment, cwd=ROOT, capture_output=True,
                                  text=True, check=True)
        self.assertEqual(done.stdout, "('mine.colour:<colour>', 'what it looks like') None {}\n", done.stderr)
