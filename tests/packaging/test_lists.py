"""Every target list in examples/ is made of jobs, and of addresses behind which nobody is."""

import ipaddress
import unittest

from pathspider.cmd.filter import Sieve
from pathspider.lab.addresses import CASES_4, CASES_6, CLEAN_4, CLEAN_6
from pathspider.targets.lists import TargetReader
from pathspider.targets.repeats import TargetFilter
from pathspider.targets.selection import Selection
from tests import in_checkout
from tests.packaging.files import ROOT

EXAMPLES = ROOT / "examples"
HARMLESS = {
    "documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),  # RFC 5737, RFC 3849
    "lab": (CASES_4, CASES_6, CLEAN_4, CLEAN_6),
}
NAMES = {"documentation": (".example.com", ".example.net", ".example.org"), "lab": (".lab.test",)}
LISTS = sorted([*EXAMPLES.glob("*.ndjson"), *EXAMPLES.glob("*.csv")])


@in_checkout
class TestLists(unittest.TestCase):
    def test_there_is_one_of_each_kind(self):
        names = {path.name for path in LISTS}
        for kind in ("webtest", "dnstest", "tlstest", "lab-web", "lab-dns", "lab-tls"):
            self.assertIn(f"{kind}.ndjson", names)
        self.assertIn("dnsresolvtest.csv", names)

    def test_all_are_jobs(self):
        for path in LISTS:
            with self.subTest(path.name), path.open("rb") as lines:
                reader = TargetReader(lines, path.name, csv_input=path.suffix == ".csv")
                sieve = Sieve(reader)
                selection = Selection(sieve, TargetFilter(), keys=())
                jobs = list(selection)
                self.assertGreater(len(jobs), 2)
                self.assertEqual((reader.skipped, sieve.invalid, selection.repeated), (0, 0, 0))
                kind = "lab" if path.name.startswith("lab-") else "documentation"
                for job in jobs:
                    self.assertTrue(job["domain"].endswith(NAMES[kind]), job)
                    if path.name != "dnsresolvtest.csv":
                        address = ipaddress.ip_address(job["dip"])
                        networks = [ipaddress.ip_network(text, strict=False) for text in HARMLESS[kind]]
                        self.assertTrue(any(address in network for network in networks), job)

    def test_each_is_explained(self):
        readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
        for path in [*LISTS, *EXAMPLES.glob("pipelines/*"), EXAMPLES / "analyse.py"]:
            self.assertIn(f"| `{path.relative_to(EXAMPLES)}` |", readme)
