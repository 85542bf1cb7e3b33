"""What is different between files, and where, on the page."""

import unittest

from pathspider.report.comparison import changed, compared, crossed, heading, located
from tests.report.records import BROKEN, WORKS, record, report_of


def day(number, *records):
    """Records of a day of November 2026."""
    when = f"2026-11-{number:02d} 10:00:00.000000"
    return [{**one, "time": {"from": when, "to": when}} for one in records]


class TestChanged(unittest.TestCase):
    def test_one_target_that_changed_and_one_that_did_not(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", WORKS)],
                       b=[record("192.0.2.1", BROKEN), record("192.0.2.2", WORKS)]) as report:
            text = "".join(changed(report))
            self.assertIn("1 target has records", text)
            self.assertNotIn("192.0.2.2", text)

    def test_strangers_text_is_no_markup(self):
        evil = "</td><script>"
        with report_of(a=[{**record("192.0.2.1", WORKS), "domain": evil}],
                       b=[{**record("192.0.2.1", BROKEN), "domain": evil}]) as report:
            text = "".join(changed(report))
            self.assertNotIn(evil, text)
            self.assertIn("script", text)


class TestCompared(unittest.TestCase):
    def test_before_and_after_and_where(self):
        before = [record(f"192.0.2.{number}", WORKS, dip_asn=64496 + number % 2, country="CH") for number in range(60)]
        after = [{**one, "conditions": [BROKEN]} if one["dip_asn"] == 64497 else one for one in before]
        with report_of(a=day(1, *before), b=day(2, *after)) as report:
            self.assertEqual(heading(report), "What changed, and where?")
            text = "".join(compared(report))
            self.assertIn('<th scope="row">works</th><td class="number hot" data-value="30">30</td>'
                          '<td class="number" data-value="30">30</td>', text)
            self.assertIn('<th scope="row">AS64497</th><td class="number" data-value="30"', text)
            self.assertNotIn("AS64496", text)
            self.assertIn("192.0.2.0/24", text)
            self.assertLess(text.index("Clear differences"), text.index("+30 -0 of 60"))

    def test_a_history_of_days_alone(self):
        one = record("192.0.2.1", WORKS)
        with report_of(**{f"d{number}": day(number, one) for number in (1, 2, 3)}) as report:
            self.assertIn("Share that is broken", "".join(compared(report)))
        one["dip_asn"] = 64496
        places = {f"p{number}": [{**one, "path": [f"203.0.113.{number}", "*", "192.0.2.1"],
                                  "conditions": [BROKEN if number == 2 else WORKS]}] for number in (1, 2, 3)}
        with report_of(**places) as report:
            text = "".join(compared(report))
            self.assertEqual(heading(report), "What differs between vantage points, and where?")
            self.assertNotIn("Share that is broken", text)
            self.assertIn("path-dependent (ecn.multipoint.path_dependent)</th>"
                          '<td class="number" data-value="1.0" data-head="Targets">1', text)
            self.assertIn("path-dependent targets by AS", text)
            self.assertIn('<th scope="row">AS64496</th>', text[text.index("path-dependent targets by AS"):])

    def test_files_that_have_nothing_in_common(self):
        with report_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", "mss.connectivity.online")]) as report:
            self.assertEqual("".join(compared(report)), "")


class TestTheSameTargets(unittest.TestCase):
    def test_intervals(self):
        hops = {"B": [{"ttl": 3, "addr": "203.0.113.9"}], "A": [{"ttl": 4, "addr": "203.0.113.22"}]}
        rows = [record("192.0.2.1", BROKEN, "ecn.hop.dropped:3-4", hops=hops)]
        with report_of(a=rows) as report:
            text = "".join(located(report))
            self.assertIn("203.0.113.9", text)
            self.assertIn("which of these does it is not known", text)
        with report_of(a=[record("192.0.2.1", BROKEN)]) as report:
            self.assertEqual("".join(located(report)), "")

    def test_several_features_and_both_versions(self):
        rows = [record("192.0.2.1", WORKS), record("192.0.2.1", "tfo.connectivity.broken"),
                record("2001:db8::1", BROKEN)]
        with report_of(a=rows) as report:
            text = "".join(crossed(report))
            self.assertIn("ecn, tfo", text)
            self.assertIn("over IPv4 and IPv6", text)
        with report_of(a=rows[:1]) as report:
            self.assertEqual("".join(crossed(report)), "")
