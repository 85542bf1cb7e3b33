"""What JSON has of findings and comparisons."""

import unittest

from pathspider.report import rows
from tests.report.records import BROKEN, WORKS, record, report_of

HOPS = {"B": [{"ttl": 3, "addr": "203.0.113.9"}], "A": [{"ttl": 4, "addr": "203.0.113.22"}]}


class TestRows(unittest.TestCase):
    def test_all(self):
        before = [record("192.0.2.1", WORKS, "tfo.connectivity.works", dip_asn=64496), record("2001:db8::1", WORKS)]
        after = [record("192.0.2.1", BROKEN, "ecn.hop.dropped:3-4", "ecn.handshake.works", dip_asn=64496, hops=HOPS),
                 record("2001:db8::1", WORKS)]
        with report_of(a=before, b=after) as report:
            found = {one["name"]: one for one in rows.found(report)}
            self.assertEqual([(one["file"], one["broken"], one["reachable"], one["noise"]["transient"])
                              for one in found["ecn"]["in_files"]], [("a", 0, 2, 0), ("b", 1, 2, 0)])
            self.assertEqual([one["same_targets"]["gained"] for one in rows.differing(report)
                              if one["question"] == "ecn.connectivity" and one["answer"] == "broken"], [1])
            self.assertIn(("as", "AS64496", 1, 0), [
                tuple(one[key] for key in ("kind", "name", "gained", "lost")) for one in rows.places(report)])
            self.assertEqual([*rows.located(report)], [
                {"file": "b", "name": "ecn", "what": "dropped", "low": {"address": "203.0.113.9", "as": None},
                 "high": {"address": "203.0.113.22", "as": None}, "targets": 1}])
            self.assertEqual([(one["condition"], one["count"], one["total"]) for one in rows.alongside(report)],
                             [("ecn.handshake.works", 1, 1)])
            self.assertEqual([*rows.agreeing(report)], [])  # of one vantage point
            self.assertEqual([(one["one"], one["other"], one["neither"]) for one in rows.crossed(report)],
                             [("ecn", "tfo", 1)])
            self.assertEqual([(one["file"], one["ipv4_alone"], one["neither"]) for one in rows.by_version(report)],
                             [("a", 0, 1), ("b", 1, 0)])

    def test_vantage_points_that_disagree(self):
        here = [record("192.0.2.1", WORKS, dip_asn=64496), record("192.0.2.2", BROKEN, dip_asn=64497)]
        there = [{**record(f"192.0.2.{number}", BROKEN, dip_asn=64495 + number),
                  "path": ["203.0.113.2", "*", f"192.0.2.{number}"]} for number in (1, 2)]
        with report_of(a=here, b=there) as report:
            self.assertEqual([*rows.agreeing(report)], [
                {"question": "ecn.connectivity", "works": 0, "broken": 1, "path_dependent": 1,
                 "path_dependent_by_as": {"AS64496": 1}}])
