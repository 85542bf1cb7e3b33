"""The same targets asked by several plugins, and over both IP versions."""

import unittest

from pathspider.report.crossing import Crossed, features, versions
from tests.report.records import BROKEN, WORKS, record, report_of

TFO = {word: f"tfo.connectivity.{word}" for word in ("works", "broken", "offline")}


class TestFeatures(unittest.TestCase):
    def test_targets_of_two_plugins(self):
        ecn = [record("192.0.2.1", BROKEN), record("192.0.2.2", BROKEN), record("192.0.2.3", WORKS),
               record("192.0.2.4", WORKS), record("192.0.2.5", WORKS)]
        tfo = [{**record(f"192.0.2.{number}", TFO[word]), "dp": 443}
               for number, word in enumerate(("broken", "works", "works", "offline"), 1)]
        with report_of(a=ecn, b=tfo) as report:
            self.assertEqual(features(report), [Crossed("ecn", "tfo", 1, 1, 0, 1)])

    def test_other_names_are_other_targets(self):
        with report_of(a=[record("192.0.2.1", BROKEN), {**record("192.0.2.1", TFO["works"]), "domain": "b"}]) as report:
            self.assertEqual(features(report), [])

    def test_rounds_count(self):
        rows = [record("192.0.2.1", BROKEN, "ecn.stable.connectivity.works"), record("192.0.2.1", TFO["works"])]
        with report_of(a=rows) as report:
            self.assertEqual(features(report), [Crossed("ecn", "tfo", 0, 0, 0, 1)])


class TestVersions(unittest.TestCase):
    def test_names_with_both(self):
        def of(name, four, six):
            return [{**record(f"192.0.2.{name}", four), "domain": f"{name}.example"},
                    {**record(f"2001:db8::{name}", six), "domain": f"{name}.example"}]

        rows = [*of(1, WORKS, BROKEN), *of(2, WORKS, BROKEN), *of(3, BROKEN, BROKEN), *of(4, WORKS, WORKS),
                {**record("192.0.2.99", WORKS), "domain": "four.example"},
                {**record("2001:db8::99", WORKS), "domain": None}]
        with report_of(a=rows) as report:
            ((file, name, found),) = versions(report)
            self.assertEqual((file, name, found), (0, "ecn", Crossed("IPv4", "IPv6", 1, 0, 2, 1)))
            self.assertEqual((found.total, found.p), (4, 0.5))

    def test_of_several_addresses_one_broken_is_enough(self):
        rows = [record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN), record("2001:db8::1", WORKS)]
        with report_of(a=rows) as report:
            self.assertEqual([*versions(report)], [(0, "ecn", Crossed("IPv4", "IPv6", 0, 1, 0, 0))])

    def test_of_one_version_alone(self):
        with report_of(a=[record("192.0.2.1", WORKS)]) as report:
            self.assertEqual([*versions(report)], [])
