"""The source distribution holds every file that git knows, and nothing that a build made."""

import os
import subprocess
import unittest
from pathlib import PurePath

from tests import in_checkout
from tests.packaging.files import ROOT

OWN = {".gitignore", ".ci/run", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"}
"""What is only for a checkout, and what setuptools adds by itself."""


@in_checkout
class TestSdist(unittest.TestCase):
    @unittest.skipUnless((ROOT / ".git").exists(), "a checkout alone knows what is to be in it")
    def test_manifest(self):
        from setuptools.command.egg_info import FileList  # noqa: PLC0415 - an installed suite does without

        done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True,
                              text=True, check=True)
        tracked = {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}
        files = FileList()
        before = os.getcwd()
        os.chdir(ROOT)
        try:
            for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
                if line and not line.startswith("#"):
                    files.process_template_line(line)
        finally:
            os.chdir(before)
        found = set(files.files)
        python = {name for name in tracked if name.startswith("pathspider/") and name.endswith(".py")}
        self.assertEqual(tracked - found - python - OWN, set())
        made = {name for name in found if PurePath(name).suffix in (".so", ".pyc", ".o")}
        self.assertEqual(made, set())
        self.assertNotIn("pathspider/libtrace/_core.c", found)
