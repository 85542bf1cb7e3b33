"""Confirmation in the lab: healthy targets behind a limiter, and a feature that is dropped where packets are lost, too.

All paths that order and time decide are measured one by one in tests/lab/test_check.py, and many targets behind each in
benchmarks/verdicts.py.
"""

import json
import unittest
from collections import Counter

from pathspider.lab import Lab
from pathspider.lab.scenarios import clean_jobs
from tests.run.cases import COMMAND, ndjson

COUNT = 30
"""Clean targets, IPv4 and IPv6 in turn."""


class TestBehind(unittest.TestCase):
    """Many targets behind one path of the lab; their connections differ in nothing that a limiter looks at."""

    def words(self, plugin="ecn", mode="tcp", timeout=4, **options):
        """What the first pairs said, and what is stable: how often each word."""
        with Lab(**options) as lab:
            done = lab.run([*COMMAND, "--confirm", "2", "--confirm-gap", "0.5", plugin, "--connect", mode, "--timeout",
                            str(timeout)], data=ndjson(clean_jobs(COUNT, mode)), capture_output=True, timeout=120)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((done.returncode, len(records)), (0, COUNT), done.stderr)
        found = [condition for record in records for condition in record["conditions"] if "connectivity" in condition]
        return [Counter(one.rpartition(".")[2] for one in found if (".stable." in one) == stable)
                for stable in (False, True)]

    def test_a_ban_after_the_first_contact(self):
        first, stable = self.words(behind="order-ban")
        self.assertEqual(first.most_common(1)[0][0], "broken")
        self.assertEqual(stable, {"unstable": first["broken"]})

    def test_a_limiter_of_connections_that_build_on_each_other(self):
        first, stable = self.words("tfo", "http", 2, behind="order-one-in-30s")
        self.assertEqual(first.most_common(1)[0][0], "broken")
        self.assertEqual(stable, {"unstable": first["broken"]})

    def test_a_feature_that_is_dropped_under_loss(self):
        first, stable = self.words(behind="ecn-syn-dropped-tcp", loss=5)
        self.assertEqual(stable.most_common(1)[0][0], "broken")
        self.assertNotIn("works", {*first, *stable})

    def test_loss_alone(self):
        _, stable = self.words(loss=10)
        self.assertNotIn("broken", stable)


if __name__ == "__main__":
    unittest.main()
