"""The documentation and the program name the same options, conditions and fields."""

import re
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from itertools import product
from pathlib import Path

from pathspider.chains.base import Chain
from pathspider.cmd.describe import program
from pathspider.conditions import DOCUMENTED, matches
from pathspider.discovery import classes

DOCS = Path(__file__).resolve().parents[2] / "docs"

FOREIGN = {"--ambient-caps", "--inh-caps", "--init-groups", "--reuid"}
"""Options of setpriv(1), which the pages name."""


def expanded(text):
    """``a.{b,c}`` -> ``a.b``, ``a.c``; the names X and V of numbers -> a number."""
    parts = [part.split(",") for part in re.split(r"[{}]", text)]
    return [re.sub(r"\b[XV]\b", "7", "".join(words)) for words in product(*parts)]


@unittest.skipUnless(DOCS.is_dir() and find_spec("sphinx"), "needs the checkout and Sphinx")
class TestPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            sphinx = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "text", "-d", f"{folder}/trees"]
            build = subprocess.run([*sphinx, DOCS, f"{folder}/text"], capture_output=True, text=True, check=False)
            if build.returncode:
                raise AssertionError(f"the documentation does not build:\n{build.stderr}")
            cls.pages = {page.stem: page.read_text(encoding="utf-8") for page in Path(folder, "text").glob("*.txt")}
        cls.sources = {page.stem: page.read_text(encoding="utf-8") for page in DOCS.glob("*.rst")}
        cls.options = {flag for command in program().walk() for option in command.options for flag in option.flags}

    def test_every_option_is_on_the_page(self):
        for flag in self.options:
            self.assertRegex(self.pages["commands"], rf'"{re.escape(flag)}[" ]')

    def test_the_pages_name_no_option_that_does_not_exist(self):
        for name, text in self.sources.items():
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) - FOREIGN
            wrong = {flag for flag in named if not any(option.startswith(flag) for option in self.options)}
            self.assertEqual(wrong, set(), f"in docs/{name}.rst")

    def test_every_field_is_on_the_page(self):
        for chain in classes("pathspider.chains", Chain):
            for field in chain.fields:
                self.assertIn(f'"{field}"', self.pages["chains"])

    def test_every_condition_is_on_its_page_and_explained_with_its_plugin(self):
        explained = self.conditions_of_the_plugins_page()
        for condition in (condition for meanings in DOCUMENTED.values() for condition in meanings):
            self.assertIn(f'"{condition}"', self.pages["conditions"])
            self.assertTrue(any(matches(one, condition) for one in explained), condition)

    def test_the_plugins_page_names_no_condition_that_does_not_exist(self):
        known = [condition for meanings in DOCUMENTED.values() for condition in meanings]
        for condition in self.conditions_of_the_plugins_page():
            self.assertTrue(any(matches(condition, one) for one in known), condition)

    def conditions_of_the_plugins_page(self):
        named = re.findall(rf"``((?:{'|'.join(DOCUMENTED)})\.[^`]+)``", self.sources["plugins"])
        return [condition for text in named for condition in expanded(text)]
