"""Observation set files, against the format that the observatory publishes."""

import ipaddress
import json
import re
import unittest
from datetime import datetime

from pathspider.export.pto import ANALYZER, ObservationSet, moment, path_elements
from tests.export import registry
from tests.report.records import BROKEN, WORKS, record

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def file_of(records, **metadata):
    """(metadata, observations, what made them)"""
    with ObservationSet() as made:
        for one in records:
            made.add(one)
        data = b"".join(made.pieces(made.metadata(["https://pto.example/raw/x/y"], ANALYZER, metadata)))
        first, *others = map(json.loads, data.splitlines())
        return first, others, made


def element_kind(element):
    """The kind of a path element as doc/OBSETS.md lists them; None for what is in no row of its table."""
    if element == "*":
        return "unknown"
    if re.fullmatch(r"AS\d+", element):
        return "system"
    if six := re.fullmatch(r"\[([0-9a-f:.]+)\](/\d+)?", element):
        return "IPv6" if str(ipaddress.IPv6Address(six[1])) == six[1] else None
    return "IPv4" if re.fullmatch(r"(\d+\.){3}\d+(/\d+)?", element) else None


class TestFormat(unittest.TestCase):
    def test_every_observation_of_every_plugin_is_as_published(self):
        metadata, observations, made = file_of(registry.records())
        self.assertGreater(len(observations), 100)
        self.assertEqual(len(observations), made.observations)
        declared = set(metadata["_conditions"])
        for one in observations:
            self.assertIn(len(one), (5, 6))
            self.assertTrue(all(isinstance(part, str) for part in one), one)
            for time in one[1:3]:
                self.assertRegex(time, RFC3339)
                self.assertIsNotNone(datetime.fromisoformat(time).tzinfo)
            self.assertNotIn(None, map(element_kind, one[3].split()))
            self.assertIn(one[4], declared)
            self.assertNotIn(":", one[4])
        self.assertEqual(declared, {one[4] for one in observations})

    def test_every_condition_comes_back(self):
        expected = {one for one in registry.every_condition() if not one.startswith("pathspider.")}
        _, observations, _ = file_of(registry.records())
        self.assertEqual({":".join(one[4:]) for one in observations}, expected)

    def test_metadata(self):
        metadata, observations, _ = file_of([record("192.0.2.1", WORKS, run="r", minute=5),
                                             record("2001:db8::1", BROKEN, "mss.option.local.value:1460", run="r")],
                                            anonymised=True)
        self.assertEqual({key: metadata[key] for key in ("_sources", "_analyzer", "_conditions", "runs", "anonymised",
                                                         "time_start", "time_end")},
                         {"_sources": ["https://pto.example/raw/x/y"], "_analyzer": ANALYZER, "runs": ["r"],
                          "_conditions": [BROKEN, WORKS, "mss.option.local.value"], "anonymised": True,
                          "time_start": "2026-11-22T10:00:00.000000Z", "time_end": "2026-11-22T10:05:00.000000Z"})
        self.assertEqual(observations[2], ["", "2026-11-22T10:00:00.000000Z", "2026-11-22T10:00:00.000000Z",
                                           "203.0.113.1 * [2001:db8::1]", "mss.option.local.value", "1460"])

    def test_no_records(self):
        metadata, observations, _ = file_of([])
        self.assertEqual((metadata["_conditions"], observations, "time_start" in metadata), ([], [], False))


class TestWhich(unittest.TestCase):
    def test_paths(self):
        for path, told in {("10.0.0.2", "*", "AS64496", "10.20.1.2"): "10.0.0.2 * AS64496 10.20.1.2",
                           (None, "*", "2001:DB8::1"): "* [2001:db8::1]",
                           ("10.0.0.2", "10.1.0.1", "*", "*", "10.20.1.2"): "10.0.0.2 10.1.0.1 * 10.20.1.2"}.items():
            self.assertEqual(path_elements(path), told)
        with self.assertRaises(ValueError):
            path_elements(["10.0.0.2", "*", "www.example.org"])

    def test_what_says_nothing_of_a_path_is_counted(self):
        no_time, no_path = record("192.0.2.1", WORKS), record("192.0.2.1", WORKS, path=["here", "*", "there"])
        no_time["time"] = {"from": "now", "to": "then"}
        _, observations, made = file_of([record("192.0.2.1", "pathspider.not_observed"), no_time, no_path,
                                         {"conditions": [WORKS]}, {"conditions": []}])
        self.assertEqual((observations, made.without_verdict, made.without_path), ([], 2, 3))

    def test_moment(self):
        self.assertEqual(moment("2026-11-22 10:00:00.000000"), "2026-11-22T10:00:00.000000Z")
