"""The Debian package asks for what the Python package needs, and both have one version."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from pathspider.version import __version__
from tests import in_checkout
from tests.packaging.files import ROOT


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@in_checkout
class TestDebian(unittest.TestCase):
    def test_one_version(self):
        debian = re.match(r"pathspider \(([^)]+)\)", read("debian/changelog"))[1]
        self.assertEqual(debian.replace("~", "."), __version__)

    def test_requirements_are_build_dependencies(self):
        """dh_python3 turns a requirement into a dependency of the package where its Debian package is installed."""
        control = read("debian/control")
        for line in read("requirements.txt").splitlines():
            name = re.match(r"[\w.]+", line)[0]
            self.assertIn(f" python3-{name},", control)

    def test_programs_that_are_called(self):
        package = read("debian/control").partition("\nPackage: pathspider\n")[2].partition("Recommends:")[0]
        for program in ("nftables", "openssl"):
            self.assertRegex(package, rf"\n {{9}}{program}\b")

    def test_the_core_is_translated_by_debians_cython(self):
        """Older than that of PyPI, with which everything else is built here, it knows less of the language."""
        with tempfile.TemporaryDirectory() as copy:
            files = "setup.py README.md requirements.txt pathspider"
            subprocess.run(f"git ls-files -z {files} | xargs -0 cp --parents -pt {copy}", shell=True, cwd=ROOT,
                           check=True)
            built = subprocess.run(["/usr/bin/python3", "setup.py", "--version"], cwd=copy, text=True,
                                   capture_output=True, check=False)
            self.assertEqual(built.returncode, 0, built.stdout[-3000:] + built.stderr)
            self.assertTrue((Path(copy) / "pathspider/libtrace/_core.c").exists())
