"""The sentences with which a report begins."""

import unittest

from pathspider.report.findings import MOST_FEATURES, evidence, findings, lead, located, others, plain
from tests.report.records import BROKEN, WORKS, record, report_of

DASH = "\N{EN DASH}"
STABLE = "ecn.stable.connectivity."


def as_typed(sentence):
    return plain(sentence).replace(DASH, "-")


def day(number, rows):
    when = f"2026-11-{number:02d} 10:00:00.000000"
    return [{**one, "time": {"from": when, "to": when}} for one in rows]


def two_days():
    """400 targets in ten ASes; on the second day those of two of these are broken, but for one."""
    before = [record(f"192.0.{number // 200}.{number % 200}", WORKS, dip_asn=64500 + number % 10)
              for number in range(400)]
    after = [{**one, "conditions": [BROKEN]} if one["dip_asn"] in (64500, 64503) and number else one
             for number, one in enumerate(before)]
    return before, after


class TestLocated(unittest.TestCase):
    def test_intervals_between_the_same_systems_are_one(self):
        """Three intervals between two ASes, one whose ends have none, and one target that was not located."""
        systems = {"ASN": 64510}, {"ASN": 64509}
        hops = [[{"ttl": ttl, "addr": f"203.0.113.{ttl * 10 + number}", **(more if number < 4 else {})}
                 for ttl, more in zip((3, 4), systems, strict=True)] for number in range(1, 5)]
        rows = [record(f"192.0.2.{number}", BROKEN, "ecn.hop.dropped:3-4", hops={"B": one})
                for number, one in enumerate(hops)]
        rows += [record("192.0.2.9", BROKEN, "ecn.hop.not_located:no_answer", hops={})]
        with report_of(a=rows) as report:
            self.assertEqual(located(findings(report)[0]), "3 dropped between AS64510 and AS64509; 1 dropped between "
                             "203.0.113.34 and 203.0.113.44; 1 not between two hops")


class TestLead(unittest.TestCase):
    def said(self, **files):
        with report_of(**files) as report:
            (found,) = findings(report)
            return [as_typed(sentence) for sentence in lead(found)]

    def test_of_one_file(self):
        rows = [record("192.0.2.1", BROKEN, STABLE + "broken"), record("192.0.2.2", BROKEN, STABLE + "unstable"),
                record("2001:db8::1", WORKS), record("192.0.2.3", "ecn.connectivity.transient", STABLE + "transient")]
        with report_of(a=rows) as report:
            (found,) = findings(report)
            self.assertEqual([as_typed(one) for one in lead(found)],
                             ["Asking for ECN breaks 1 of 2 reachable targets, confirmed: 50.00 % (9.45-90.55)."])
            text = "".join(evidence(found)).replace(DASH, "-")
            self.assertEqual(text, "IPv4 100.00 % (20.65-100.00); IPv6 0.00 % (0.00-79.35); noise floor 50.00 % "
                                   "(9.45-90.55): 1 target failed only without it; of 2 broken at first, further "
                                   "rounds confirmed 1 and rejected 1.")
        self.assertNotIn("confirmed", self.said(a=[record("192.0.2.1", WORKS)])[0])  # there is nothing to confirm
        self.assertIn("not confirmed", self.said(a=[record("192.0.2.1", BROKEN)])[0])

    def test_all_of_it_is_in_two_systems(self):
        before, after = two_days()
        first, second, where = self.said(Monday=day(1, before), Tuesday=day(2, after))
        self.assertTrue(first.startswith("Tuesday: asking for ECN breaks 19.75 % (16.14-23.93) of reachable targets"))
        self.assertEqual(second, "Of the same 400 targets, 79 broke from Monday to Tuesday, none recovered "
                                 "(p < 10⁻¹², exact).")
        self.assertEqual(where, "All of it is in AS64500 and AS64503.")

    def test_some_of_it_is_elsewhere(self):
        before, after = two_days()
        after[1] = {**after[1], "conditions": [BROKEN]}
        self.assertEqual(self.said(a=day(1, before), b=day(2, after))[2], "79 of 80 are in AS64500 and AS64503.")

    def test_no_clear_difference_is_nowhere(self):
        rows = [record(f"192.0.2.{number}", WORKS, dip_asn=64496) for number in range(9)]
        found = self.said(a=day(1, rows), b=day(2, [record("192.0.2.0", BROKEN), *rows[1:]]))
        self.assertEqual(len(found), 2)
        self.assertIn("1 broke from a to b, none recovered (p = 1, exact): no clear difference.", found[1])
        self.assertIn("none changed", self.said(a=day(1, rows), b=day(2, rows))[1])

    def test_other_targets_are_no_pairs(self):
        rows = [record(f"192.0.2.{number}", WORKS) for number in range(90)]
        others = [record(f"198.51.100.{number}", BROKEN) for number in range(90)]
        self.assertIn("Of other targets each, a and b make a clear difference: +100.00 points",
                      self.said(a=day(1, rows), b=day(2, others))[1])

    def test_vantage_points(self):
        before, after = two_days()
        files = {f"p{number}": [{**one, "path": [f"203.0.113.{number}", "*", one["dip"]]}
                                for one in (after if number == 2 else before)] for number in range(7)}
        found = self.said(**files)
        self.assertIn("breaks between 0.00 % (0.00-0.95) of reachable targets (p0) and 19.75 %", found[0])
        self.assertTrue(found[1].startswith("79 of 400 targets are path-dependent: "))
        self.assertIn("79 are broken from p2 alone, none from p0 alone", found[2])
        self.assertEqual(found[3], "All of it is in AS64500 and AS64503.")

    def test_clear_differences_come_first(self):
        before, after = two_days()
        quiet = {one: one.replace("ecn", "dscp.46") for one in (WORKS, BROKEN)}
        with report_of(a=[{**one, "conditions": [*one["conditions"], quiet[WORKS]]} for one in before],
                       b=[{**one, "conditions": [*one["conditions"], quiet[WORKS]]} for one in after]) as report:
            self.assertEqual([one.name for one in findings(report)], ["ecn", "dscp.46"])

    def test_plugins_that_break_nothing(self):
        rows = [record(f"192.0.2.{number}", "mss.connectivity.online", "mss.option.received.unchanged")
                for number in (1, 2)]
        with report_of(a=rows) as report:
            ((question, sentence),) = others(report)
            self.assertEqual((question, as_typed(sentence).strip()), (
                "mss.option.received", "TCP Maximum Segment Size: unchanged 100.00 % (34.24-100.00), of 2."))

    def test_of_very_many_plugins_some_are_told(self):
        rows = [record("192.0.2.1", f"p{number}.connectivity.works", f"q{number}.x.y")
                for number in range(MOST_FEATURES + 9)]
        with report_of(a=rows) as report:
            self.assertEqual(len(findings(report)), MOST_FEATURES)
            self.assertLessEqual(len([*others(report)]), MOST_FEATURES)
