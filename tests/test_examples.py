"""The example package is what ``pspdr new-plugin`` writes, a plugin for each model; it runs in the lab, and installed.

``python -m tests.test_examples`` writes it anew, after a change of the templates.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.new_plugin import package
from tests import in_checkout

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "pathspider-example"
PLUGINS = {
    "example": ("synchronized", False),
    "example_desync": ("desynchronized", False),
    "example_single": ("single", False),
    "example_forge": ("forge", False),
    "example_traversal": ("traversal", False),
    "example_chain": ("single", True),
}
EXPECTED = {
    "example": ["example.connectivity.works"],
    "example_desync": ["example_desync.connectivity.works"],
    "example_single": ["example_single.connectivity.online", "example_single.dscp:0"],
    "example_forge": ["example_forge.connectivity.works"],
    "example_traversal": [f"example_traversal.{one}" for variant in ("zero", "largest", "echo")
                          for one in (f"{variant}.connectivity.works", f"{variant}.timestamp.echoed")],
    "example_chain": ["example_chain.connectivity.online", "example_chain.dscp:0", "example_chain.hops:1"],
}
PSPDR = [sys.executable, "-P", "-m", "pathspider"]


def generated():
    """The files of the example package: what is written for each plugin.

    Its README describes all of them, and a folder of this repository, which becomes part of the Debian package, has no
    .gitignore.
    """
    files = {}
    for name, (model, chain) in reversed(PLUGINS.items()):  # the first is the one after which the package is called
        files |= package(name, model, chain)
    del files["README.md"], files[".gitignore"]
    return files


@in_checkout
class TestExamples(unittest.TestCase):
    def pspdr(self, *arguments, path=".", data=""):
        done = subprocess.run([*PSPDR, *arguments], cwd=EXAMPLE, env={**os.environ, "PYTHONPATH": path}, input=data,
                              capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_it_is_what_new_plugin_writes(self):
        expected = generated()
        for path, text in expected.items():
            self.assertEqual((EXAMPLE / path).read_text(encoding="utf-8"), text, path)
        found = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*.py")}
        self.assertEqual(found - set(expected), set())

    def test_each_measures(self):
        targets = self.pspdr("lab", "targets", "--clean", "4", "--connect", "http")
        for plugin, conditions in EXPECTED.items():
            with self.subTest(plugin=plugin):
                measure = [*PSPDR, "measure", "-i", "lab0", plugin]
                records = [json.loads(line) for line in
                           self.pspdr("lab", "run", "--", *measure, data=targets).splitlines()]
                self.assertEqual([record["conditions"] for record in records], [conditions] * 4)

    def test_observe_offers_the_chain(self):
        self.assertRegex(self.pspdr("observe", "--list-chains"), re.compile(r"^example_chain\b", re.MULTILINE))

    def test_installed_as_a_distribution(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "setup.py", "-q", "build", "-b", f"{folder}/build",
                            "egg_info", "-e", folder, "install_lib", "-d", f"{folder}/lib"],
                           cwd=EXAMPLE, check=True, capture_output=True)
            installed = {str(path.relative_to(f"{folder}/lib")) for path in Path(folder, "lib").rglob("*.py")}
            self.assertEqual(installed, {f"pathspider/plugins/{name}.py" for name in PLUGINS}
                             | {"pathspider/chains/example_chain.py"})
            self.assertIn("--segment", self.pspdr("measure", "example_desync", "--help", path=f"{folder}/lib"))


if __name__ == "__main__":
    for path, text in generated().items():
        (EXAMPLE / path).parent.mkdir(parents=True, exist_ok=True)
        (EXAMPLE / path).write_text(text, encoding="utf-8")
