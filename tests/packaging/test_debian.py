"""The Debian package asks for what the Python package needs, and both have one version."""

import re
import unittest

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
