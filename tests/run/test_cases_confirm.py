"""Confirmation in the lab: healthy targets behind a limiter, and a feature that is dropped where packets are lost, too.

All paths that order and time decide are measured one by one in tests/lab/test_check.py, and many targets behind each in
benchmarks/confirm.py.
"""

import json
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import clean_jobs
from tests.run.cases import COMMAND, ndjson

COUNT = 30
"""Clean targets, IPv4 and IPv6 in turn."""


class TestBehind(unittest.TestCase):
    """Many targets behind one path of the lab; ECN's connections differ in nothing that a limiter looks at."""

    def words(self, **options):
        """What the first pairs said, and what is stable, each word once."""
        with Lab(**options) as lab:
            done = lab.run([*COMMAND, "--confirm", "2", "--confirm-gap", "0.5", "ecn", "--connect", "tcp", "--timeout",
                            "4"], data=ndjson(clean_jobs(COUNT, "tcp")), capture_output=True, timeout=120)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((done.returncode, len(records)), (0, COUNT), done.stderr)
        found = [condition for record in records for condition in record["conditions"] if "connectivity" in condition]
        return {kind: {one.rpartition(".")[2] for one in found if (".stable." in one) == (kind == "stable")}
                for kind in ("first", "stable")}

    def test_a_ban_after_the_first_contact(self):
        self.assertEqual(self.words(behind="order-ban"), {"first": {"broken"}, "stable": {"unstable"}})

    def test_a_feature_that_is_dropped_under_loss(self):
        found = self.words(behind="ecn-syn-dropped-tcp", loss=5)
        self.assertEqual(found["stable"] - {"unstable"}, {"broken"})
        self.assertNotIn("works", found["first"])

    def test_loss_alone(self):
        self.assertNotIn("broken", self.words(loss=10)["stable"])


if __name__ == "__main__":
    unittest.main()
