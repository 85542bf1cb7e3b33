"""The records that the plugins' pages show are such as the lab gives: conditions of the truth, fields that exist."""

import json
import re
import textwrap
import unittest
from pathlib import Path

from pathspider.base import PluggableSpider
from pathspider.discovery import classes
from pathspider.lab.scenarios import all_cases
from pathspider.records import Connection

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^\.\. code-block:: json\n\n((?: +.*\n|\n)+)", re.MULTILINE)
OF_CONNECTIONS = {*Connection.__annotations__, "config"}


@unittest.skipUnless(DOCS.is_dir(), "needs the checkout")
class TestRecords(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.records = [(page.stem, json.loads(textwrap.dedent(block)))
                       for page in sorted((DOCS / "plugins").glob("*.rst"))
                       for block in BLOCK.findall(page.read_text(encoding="utf-8"))]

    def test_every_plugin_that_observes_shows_one(self):
        plugins = classes("pathspider.plugins", PluggableSpider)
        self.assertEqual({name for name, _ in self.records}, {plugin.name for plugin in plugins if plugin.chains})

    def test_conditions_are_the_truth_of_the_path(self):
        for name, record in self.records:
            with self.subTest(plugin=name):
                case = next(case for case in all_cases(name) if case.address == record["dip"])
                self.assertEqual({key: record[key] for key in case.job}, case.job)
                self.assertEqual(set(record["conditions"]), set(case.truth))

    def test_fields_are_those_of_the_plugin(self):
        plugins = {plugin.name: plugin for plugin in classes("pathspider.plugins", PluggableSpider)}
        for name, record in self.records:
            fields = {field for chain in plugins[name].chains for field in chain.fields} | OF_CONNECTIONS
            for number, flow in enumerate(record["flow_results"]):
                self.assertEqual(flow["config"], number)
                self.assertLessEqual(set(flow), fields)
