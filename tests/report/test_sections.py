"""What the page tells, section by section."""

import unittest

from pathspider.report.sections import finding, measured, reading, without
from tests.report.records import BROKEN, WORKS, record, report_of


class TestSections(unittest.TestCase):
    def test_of_no_records(self):
        with report_of(a=[]) as report:
            self.assertIn("There are none.", "".join(without(report)))
            self.assertIn("<b>0</b> targets", "".join(finding(report)))

    def test_the_finding_comes_first(self):
        rows = [record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN)]
        with report_of(a=rows) as report:
            text = "".join(finding(report))
            self.assertTrue(text.startswith('<p class="find">Asking for ECN breaks <b class="figure">1 of 2</b> reach'))
            self.assertIn("<b>2</b> targets", text)

    def test_facts_of_the_run(self):
        with report_of(a=[record("192.0.2.1", WORKS)]) as report:
            report.tallies[0].facts = [{"run": "r", "pathspider": "3.0", "plugin": {"name": "ecn"}, "connect": "http",
                                        "kernel": "Linux 6.1.0-28 #1 SMP", "vantage": {"name": "<fra1>"},
                                        "options": {"measure": {"confirm": 4}}}]
            text = "".join(finding(report))
            for said in ("PATHspider <b>3.0</b>", "ecn --connect http --confirm 4", "at <b>&lt;fra1&gt;</b>",
                         "<span>Linux 6.1.0-28</span>", "from <b>203.0.113.1</b>"):
                self.assertIn(said, text)

    def test_what_was_measured_and_how_to_read_it(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.1", WORKS, minute=9)]) as report:
            self.assertIn("When was a measured?", "".join(measured(report)))
        self.assertIn("noise floor", "".join(reading()))
