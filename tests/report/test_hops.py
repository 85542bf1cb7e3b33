"""Intervals of hops."""

import unittest
from collections import Counter
from unittest import mock

from pathspider.report.hops import OTHERS, End, Interval, by_systems, intervals, note

HOPS = {"A": [{"ttl": 3, "addr": "203.0.113.9", "ASN": 64510}, {"ttl": 4, "addr": "203.0.113.22"}],
        "B": [{"ttl": 3, "addr": "203.0.113.9", "ASN": 64510}]}
PATH = ["198.51.100.1", "AS64511", "*", "203.0.113.9", "203.0.113.22", "*", "AS64496", "192.0.2.1"]


def one(*conditions, **more):
    return {"conditions": list(conditions), "hops": HOPS, "path": PATH, **more}


def count(counter, record):
    for found in intervals(record):
        note(counter, found, 1)


class TestIntervals(unittest.TestCase):
    def test_two_addresses_and_their_systems(self):
        self.assertEqual([*intervals(one("ecn.connectivity.broken", "ecn.hop.dropped:3-4"))],
                         [Interval("ecn", "dropped", End("203.0.113.9", "AS64510"), End("203.0.113.22", ""))])
        (found,) = intervals(one("dscp.46.hop.changed:0-3"))
        self.assertEqual((found.name, found.low, str(found.high)),
                         ("dscp.46", End("198.51.100.1", "AS64511"), "203.0.113.9 (AS64510)"))

    def test_no_interval(self):
        for word in ("first", "target", "reverse_or_target", "not_located:no_answer"):
            self.assertEqual([*intervals(one(f"ecn.hop.{word}"))], [Interval("ecn", word, None, None)])
        self.assertEqual([*intervals(one("ecn.connectivity.broken"))], [])

    def test_strange_records(self):
        for more in ({"hops": None}, {"hops": {"A": 7, "B": [7, {"ttl": 3}, {"ttl": 3, "addr": 9}]}}, {"path": None},
                     {"path": [None, 7]}):
            (found,) = intervals(one("ecn.hop.changed:3-4", **more))
            self.assertEqual(found.word, "changed")
        (found,) = intervals(one("ecn.hop.changed:0-1", path=None, hops={}))
        self.assertEqual((str(found.low), str(found.high)), ("not known", "hop 1"))

    def test_grouped_by_both_systems(self):
        counter = Counter()
        for _ in range(3):
            count(counter, one("ecn.hop.dropped:3-4"))
        count(counter, one("ecn.hop.not_located:no_answer"))
        count(counter, one("ecn.hop.dropped:0-3"))
        self.assertEqual([(key, count, len(found)) for key, count, found in by_systems(counter)],
                         [(("ecn", "dropped", "AS64510", "not known"), 3, 1),
                          (("ecn", "dropped", "AS64511", "AS64510"), 1, 1),
                          (("ecn", "not_located:no_answer", "", ""), 1, 1)])

    def test_too_many_to_be_told_apart(self):
        counter = Counter()
        with mock.patch("pathspider.report.hops.MOST_INTERVALS", 2):
            for hop in range(5):
                count(counter, one(f"ecn.hop.changed:{hop}-9"))
        self.assertEqual(counter[OTHERS], 3)
