"""Files of other places, and of other times."""

import unittest

from pathspider.report.vantage import relation_of
from tests.report.records import WORKS, record, report_of


def of(source, hour):
    when = f"2026-11-22 {hour:02d}:00:00.000000"
    return [{**record("192.0.2.1", WORKS), "path": [source, "*", "192.0.2.1"], "time": {"from": when, "to": when}}]


class TestRelation(unittest.TestCase):
    def relation(self, *files, facts=()):
        with report_of(**{f"f{number}": one for number, one in enumerate(files)}) as report:
            for tally, name in zip(report.tallies, facts, strict=False):
                tally.facts = [{"run": "r", "vantage": {"name": name}}]
            found = relation_of(report)
            return found.noun, found.verb

    def test_places_and_times(self):
        self.assertEqual(self.relation(of("203.0.113.1", 10), of("203.0.113.2", 12)), ("vantage points", "differs"))
        self.assertEqual(self.relation(of("203.0.113.1", 12), of("203.0.113.1", 10)), ("times", "changed"))
        self.assertEqual(self.relation(of("203.0.113.1", 10), of("203.0.113.1", 10)), ("files", "differs"))
        self.assertEqual(self.relation(of("203.0.113.1", 10)), ("files", "differs"))

    def test_names_are_believed_before_addresses(self):
        two = of("203.0.113.1", 10), of("203.0.113.2", 12)
        self.assertEqual(self.relation(*two, facts=("fra1", "fra1")), ("times", "changed"))
        self.assertEqual(self.relation(*two, facts=("fra1", "nyc1")), ("vantage points", "differs"))

    def test_some_places_twice(self):
        self.assertEqual(self.relation(of("203.0.113.1", 10), of("203.0.113.2", 12), of("203.0.113.1", 14)),
                         ("times", "changed"))
