"""Plugins are found in every distribution that has some, and a broken one costs only itself."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.base import PluggableSpider
from pathspider.discovery import classes, module_names

EXTEND_PATH = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
PLUGIN = """
from pathspider.base import PluggableSpider
from pathspider.desync import DesynchronizedSpider
class Mine(DesynchronizedSpider, PluggableSpider):
    "Tries whether third parties are found."
    name, description, version = "mine", "A plugin of a third party", "0.1"
"""


class TestDiscovery(unittest.TestCase):
    def test_our_own(self):
        self.assertIn("ecn", module_names("pathspider.plugins"))
        self.assertIn("ecn", [plugin.name for plugin in classes("pathspider.plugins", PluggableSpider)])

    def test_one_module_alone(self):
        self.assertEqual(
            [plugin.name for plugin in classes("pathspider.plugins", PluggableSpider, only="ecn")], ["ecn"]
        )

    def test_without_straight_plugin(self):
        with mock.patch.dict(sys.modules, {"straight.plugin.loaders": None}):
            self.assertIn("ecn", module_names("pathspider.plugins"))

    def test_a_third_party_beside_a_broken_one(self):
        with tempfile.TemporaryDirectory() as folder:
            plugins = Path(folder) / "pathspider" / "plugins"
            plugins.mkdir(parents=True)
            for package in (plugins, plugins.parent):
                (package / "__init__.py").write_text(EXTEND_PATH)
            (plugins / "mine.py").write_text(PLUGIN)
            (plugins / "broken.py").write_text("1 / 0\n")
            (plugins / "unfinished.py").write_text("def (:\n")
            for blocked in ("", "import sys; sys.modules['straight.plugin.loaders'] = None; "):
                outcome = subprocess.run(
                    [
                        sys.executable,
                        "-c",
                        f"{blocked}import sys; from pathspider.cmd.main import main; main(sys.argv[1:])",
                        "measure",
                        "--help",
                    ],
                    env={**os.environ, "PYTHONPATH": "."},
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual(outcome.returncode, 0, outcome.stderr)
                self.assertIn("A plugin of a third party", outcome.stdout)
                self.assertIn("Explicit Congestion Notification", outcome.stdout)
                self.assertIn("pathspider.plugins.broken cannot be imported", outcome.stderr)
                self.assertIn("ZeroDivisionError", outcome.stderr)
                named = subprocess.run([sys.executable, "-m", "pathspider", "measure", "broken"], cwd=folder, text=True,
                                       env={**os.environ, "PYTHONPATH": "."}, capture_output=True, check=False)
                self.assertEqual(named.stderr.count("broken cannot be imported"), 1, named.stderr)
                self.assertIn("pathspider.plugins.unfinished", outcome.stderr)
