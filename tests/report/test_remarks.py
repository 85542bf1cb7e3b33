"""What a reader has to know before any figure."""

import unittest

from pathspider.report.remarks import origin, remarks
from tests.report.records import BROKEN, WORKS, record, report_of

MANY = [f"x{number}.y.z" for number in range(5)]


class TestRemarks(unittest.TestCase):
    def test_nothing_is_the_matter(self):
        with report_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", WORKS)]) as report:
            self.assertEqual(list(remarks(report)), [])

    def test_rounds(self):
        with report_of(a=[record("192.0.2.1", BROKEN, "ecn.stable.connectivity.broken")]) as report:
            self.assertEqual([one.what for one in remarks(report)], ["First connections and rounds are counted apart"])
        with report_of(a=[record("192.0.2.1", BROKEN)]) as report:
            self.assertEqual(list(remarks(report)), [])

    def test_measured_again_in_one_file_of_two(self):
        with report_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", WORKS, *MANY)] * 2) as report:
            (one,) = remarks(report)
            self.assertEqual(one.what, "b has targets that were measured more than once")
            self.assertIn(": ecn.connectivity has 2 records of 1 target, x0.y has", one.meaning)
            self.assertIn("so it is with 3 more questions.", one.meaning)

    def test_flows_of_others(self):
        flow = {**record("192.0.2.1", "tfo.cookie.received"), "pkt_first": 1000.5}
        with report_of(a=[{**flow, "run": "a measurement, of what was observed once"}], b=[flow]) as report:
            (one,) = remarks(report)
            self.assertEqual(one.what, "b has 1 flow of others")
            self.assertIn("tfo.cookie", one.meaning)

    def test_a_campaign_that_is_not_finished(self):
        with report_of(a=[record("192.0.2.1", WORKS)]) as report:
            measured = [{"slot": "ber", "measured": 6, "targets": 10}]
            report.tallies[0].facts = [{"run": "r", "campaign": {"id": "x", "label": "autumn", "measured": measured}}]
            (one,) = remarks(report)
            self.assertEqual((one.what, one.meaning), (
                "The campaign autumn is not finished",
                ": ber has results of 6 of 10 targets. The figures are of these targets alone."))

    def test_a_file_that_breaks_off(self):
        with report_of(a=[], b=[]) as report:
            report.tallies[1].broken_off = "unexpected end"
            self.assertEqual([one.what for one in remarks(report)], ["b breaks off"])

    def test_origins(self):
        rows = [{**record("192.0.2.1", WORKS), "path": [f"203.0.113.{number}"]} for number in range(6)]
        with report_of(a=rows, b=[]) as report:
            self.assertRegex(origin(report, 0), r"^a\.ndjson, measured from (203\S+, ){4}others; .* of ecn \(6\)$")
            report.tallies[1].name = "-"
            self.assertEqual(origin(report, 1), "standard input; without any verdict")
