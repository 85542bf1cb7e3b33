"""The templates for plugin authors: they run in the lab, from their directory and installed."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests import in_checkout

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "pathspider-example"
EXTEND_PATH = "from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n"
EXPECTED = {
    "example": "example.connectivity.works",
    "example_desync": "example_desync.connectivity.works",
    "example_single": "example_single.status:200",
    "example_forge": "example_forge.connectivity.works",
    "example_chain": "example_chain.hops:1",
}
PSPDR = [sys.executable, "-P", "-m", "pathspider"]


@in_checkout
class TestExamples(unittest.TestCase):
    def pspdr(self, *arguments, path=".", data=""):
        done = subprocess.run([*PSPDR, *arguments], cwd=EXAMPLE, env={**os.environ, "PYTHONPATH": path}, input=data,
                              capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_layout(self):
        for room in ("", "plugins", "chains"):
            self.assertEqual((EXAMPLE / "pathspider" / room / "__init__.py").read_text(encoding="utf-8"), EXTEND_PATH)
        found = {path.stem for path in (EXAMPLE / "pathspider" / "plugins").glob("[!_]*.py")}
        self.assertEqual(found, set(EXPECTED))

    def test_each_measures(self):
        targets = self.pspdr("lab", "targets", "--clean", "4", "--connect", "http")
        for plugin, condition in EXPECTED.items():
            with self.subTest(plugin=plugin):
                measure = [*PSPDR, "measure", "-i", "lab0", plugin]
                records = [json.loads(line) for line in
                           self.pspdr("lab", "run", "--", *measure, data=targets).splitlines()]
                self.assertEqual([record["conditions"] for record in records], [[condition]] * 4)

    def test_observe_offers_the_chain(self):
        self.assertRegex(self.pspdr("observe", "--list-chains"), re.compile(r"^ttl\b", re.MULTILINE))

    def test_installed_as_a_distribution(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "setup.py", "-q", "build", "-b", f"{folder}/build",
                            "egg_info", "-e", folder, "install_lib", "-d", f"{folder}/lib"],
                           cwd=EXAMPLE, check=True, capture_output=True)
            installed = {str(path.relative_to(f"{folder}/lib")) for path in Path(folder, "lib").rglob("*.py")}
            self.assertIn("pathspider/plugins/example.py", installed)
            self.assertFalse([path for path in installed if path.endswith("__init__.py")])
            self.assertIn("--segment", self.pspdr("measure", "example_desync", "--help", path=f"{folder}/lib"))
