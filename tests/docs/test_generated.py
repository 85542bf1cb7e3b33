"""The documentation and the program name the same options, conditions, fields, plugins and chains."""

import re
import unittest
from importlib.util import find_spec
from itertools import product
from unittest.mock import patch

from pathspider.base import PluggableSpider
from pathspider.chains import tcp
from pathspider.cmd.describe import program
from pathspider.conditions import RUN, matches
from pathspider.discovery import classes
from pathspider.installed import available_chains, declared, declared_conditions
from pathspider.network import interfaces
from pathspider.network.privileges import OPTIONAL
from tests.docs.built import DOCS, built

FOREIGN = {"--ambient-caps", "--inh-caps", "--init-groups", "--no-deps", "--regid", "--reuid", "--print-architecture",
           "--break-system-packages"}
"""Options of setpriv(1), dpkg(1) and pip(1), which the pages name."""

PROGRAMS_OF_OTHERS = re.compile(r"^\s*(?:\$ |# )?(?:sudo )?(?:apt|apt-get|pip|python3?|vagrant|sphinx-build|make|git|"
                                r"chromium|\.venv/bin/pip) .*", re.MULTILINE)
"""Lines that call other programs, with options of theirs."""


def expanded(text):
    """``a.{b,c}`` -> ``a.b``, ``a.c``; the names X and V of numbers, and an ellipsis -> a number."""
    parts = [part.split(",") for part in re.split(r"[{}]", text)]
    return [re.sub(r"\b[XV]\b|…", "7", "".join(words)) for words in product(*parts)]


def pages_in(folder):
    """The names of the pages below ``docs/FOLDER``, its index left out."""
    return {page.stem for page in (DOCS / folder).glob("*.rst")} - {"index"}


@unittest.skipUnless(DOCS.is_dir() and find_spec("sphinx"), "needs the checkout and Sphinx")
class TestPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = built("text")
        cls.pages = {str(page.relative_to(text).with_suffix("")): page.read_text(encoding="utf-8")
                     for page in text.rglob("*.txt")}
        cls.sources = {str(page.relative_to(DOCS).with_suffix("")): page.read_text(encoding="utf-8")
                       for page in DOCS.rglob("*.rst")}
        cls.options = {flag for command in program().walk() for option in command.options for flag in option.flags}
        cls.plugins = {plugin.name: plugin for plugin in classes("pathspider.plugins", PluggableSpider)}

    def test_every_option_is_on_the_page(self):
        for flag in self.options:
            self.assertRegex(self.pages["commands"], rf'"{re.escape(flag)}[" ]')

    def test_the_pages_name_no_option_that_does_not_exist(self):
        for name, text in self.sources.items():
            ours = PROGRAMS_OF_OTHERS.sub("", text)
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", ours)) - FOREIGN
            wrong = {flag for flag in named if not any(option.startswith(flag) for option in self.options)}
            self.assertEqual(wrong, set(), f"in docs/{name}.rst")

    def test_a_page_for_each_plugin_and_for_nothing_else(self):
        self.assertEqual(pages_in("plugins"), set(self.plugins))
        for name in self.plugins:
            self.assertTrue(self.sources[f"plugins/{name}"].startswith(f"{name}: "), name)

    def test_a_page_for_each_chain_and_for_nothing_else(self):
        self.assertEqual(pages_in("chains"), set(available_chains()))
        for name, chain in available_chains().items():
            self.assertTrue(self.sources[f"chains/{name}"].startswith(f"{name}: "), name)
            self.assertIn(f".. autoclass:: {chain.__module__}.{chain.__name__}\n", self.sources[f"chains/{name}"])

    def test_every_field_is_on_its_page_and_in_the_list(self):
        pages = {f"chains/{name}": chain for name, chain in available_chains().items()}
        for page, chain in [*pages.items(), *self.own_chains()]:
            for field, about in chain.fields.items():
                for where in (page, "chains/index"):
                    self.assertIn(f'"{field}"', self.pages[where], where)
                self.assertIn("".join(about.doc.split())[:12], "".join(self.pages[page].split()))

    def own_chains(self):
        """The chains that plugins bring with them, with the pages of the plugins."""
        for name, plugin in self.plugins.items():
            for chain in plugin.chains:
                if chain not in available_chains().values():
                    yield f"plugins/{name}", chain

    def test_plugins_that_bring_a_chain_are_known(self):
        self.assertEqual({page for page, _ in self.own_chains()}, {"plugins/tfo", "plugins/udpopts"})

    def test_facts_of_the_plugins(self):
        for name, plugin in self.plugins.items():
            page = self.pages[f"plugins/{name}"]
            for word in (*plugin.connect_supported, *plugin.capabilities):
                self.assertIn(f'"{word}"', page, name)

    def test_every_condition_is_on_its_page_and_in_the_list(self):
        for condition in (condition for meanings in declared_conditions().values() for condition in meanings):
            self.assertIn(f'"{condition}"', self.pages["conditions"])
        for name, plugin in self.plugins.items():
            for condition in plugin.conditions:
                self.assertIn(f'"{condition}"', self.pages[f"plugins/{name}"], name)

    def test_faults_of_the_machine_and_of_jobs_are_all_explained(self):
        page = self.pages["faults"]
        for condition, meaning in declared_conditions()[RUN].items():
            name, _, word = condition.partition(":")
            self.assertIn(f'"{name}', page)
            if re.match("[a-z]", word):
                self.assertIn(f'"{word}"', page)
                self.assertIn("".join(meaning.split())[:20], "".join(page.split()))

    def test_capabilities_of_the_plugins(self):
        tables = {page: self.pages[page].split("Privileges\n", 1)[1] for page in ("faults", "installation")}
        for name, plugin in self.plugins.items():
            must = [f'"{one}"' for one in plugin.capabilities if one not in OPTIONAL]
            needed = " and ".join(must) or "nothing"
            if len(must) < len(plugin.capabilities):
                self.assertEqual(plugin.capabilities[len(must):], ("CAP_BPF",), name)
                needed += '; "CAP_BPF" helps'
            # a row may have several lines, of which the first says what is needed
            self.assertRegex(tables["faults"], rf"(?m)^\|(?:[^|]*\b{name}\b[^|]*\| {needed} +\|"
                                               rf"|[^|]*\| {needed} +\|\n\|[^|]*\b{name}\b[^|]*\| +\|)$")
            row = re.search(rf'(?m)^\| "pspdr measure[^|]*… {name}"[^|]*\| (.*?) +\|$', tables["installation"])
            said = row[1] if row else f"needs {needed}"
            if row is None:
                self.assertIn('"pspdr measure" with the other plugins', tables["installation"])
                self.assertEqual(len(plugin.capabilities), 2, name)
            self.assertEqual(said, f"needs {needed}" if plugin.capabilities else "works", name)

    def test_a_normal_user_is_given_the_same_as_the_program_says(self):
        with patch.object(interfaces, "effective_capabilities", return_value=0), \
                self.assertRaises(interfaces.CapabilityError) as caught:
            interfaces.check_capabilities("CAP_NET_RAW", "CAP_NET_ADMIN")
        command = re.search(r"sudo setpriv .* (?=COMMAND)", str(caught.exception))[0]
        for page in ("faults", "installation"):
            said = re.findall(r".*setpriv.*", self.sources[page])
            self.assertEqual([command in line for line in said], [True], page)

    def test_the_pages_name_no_condition_that_does_not_exist(self):
        known = [condition for meanings in declared_conditions().values() for condition in meanings]
        for name, text in self.sources.items():
            plugins = "|".join(self.plugins)
            found = re.findall(rf"``((?:{plugins})\.[a-zX0-9{{][^`]*)``", text)
            found += re.findall(rf"\b(?:{plugins})\.(?:connectivity|negotiation|upgrade|cookie|mark)\.[a-z_]+", text)
            for condition in (condition for words in found for condition in expanded(words)):
                whole = any(matches(condition, one) or one.startswith(f"{condition}.") for one in known)
                whole = whole or declared(condition, condition.partition(".")[0])  # what the run says of any plugin
                self.assertTrue(whole, f"{condition} in docs/{name}.rst")

    def test_constants_of_tcp_are_on_the_page(self):
        page = self.pages["chains/tcp"]
        for name, value in vars(tcp).items():
            if re.match("T(CP|O)_", name) and isinstance(value, int):
                self.assertRegex(page, rf'"{name}" +\|? *{value}\b')
