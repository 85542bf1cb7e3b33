"""What a report says, as values."""

import unittest

from pathspider.report.summary import BASELINE_UP, EVERYTHING, Repeated, Without
from tests.report.records import BROKEN, WORKS, record, report_of

OFFLINE = "ecn.connectivity.offline"


def figures(counts):
    return [(count.file, count.group[1], count.answer.answer, count.number, count.total) for count in counts]


class TestSummary(unittest.TestCase):
    def test_an_answer_that_a_file_lacks_is_a_count_of_0_there(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN)],
                       b=[record("192.0.2.1", WORKS)]) as report:
            self.assertEqual(figures(report.of("ecn.connectivity", "all")),
                             [(0, "", "broken", 1, 2), (1, "", "broken", 0, 1), (0, "", "works", 1, 2),
                              (1, "", "works", 1, 1)])
            self.assertEqual([(one.first.number, one.second.number) for one in report.compared("ecn.connectivity")],
                             [(1, 0), (1, 1)])

    def test_targets_that_were_offline_are_not_counted_of_those_whose_baseline_came_up(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN),
                          record("2001:db8::1", OFFLINE)]) as report:
            question = "ecn.connectivity" + BASELINE_UP
            self.assertEqual(figures(report.of(question, "all")), [(0, "", "broken", 1, 2), (0, "", "works", 1, 2)])
            self.assertEqual({count.group[1] for count in report.of(question, "ip")}, {"IPv4"})
            self.assertEqual(report.questions("ecn"), ["ecn.connectivity", question])

    def test_who_answers_nothing_is_no_part_of_a_comparison(self):
        with report_of(a=[record("192.0.2.1", "pathspider.not_observed")], b=[record("192.0.2.1", WORKS)]) as report:
            self.assertEqual([tally.label for tally in report.unanswered("ecn.connectivity")], ["a"])
            self.assertEqual(list(report.compared("ecn.connectivity")), [])
            self.assertEqual(report.without, [Without(0, "pathspider.not_observed", 1)])
            self.assertEqual(report.given_by, [{}, {"ecn": 1}])

    def test_targets_that_answer_twice(self):
        with report_of(a=[record("192.0.2.1", WORKS)], b=[record("192.0.2.1", WORKS)] * 3) as report:
            self.assertEqual(report.repeated, [Repeated(1, "ecn.connectivity", 3, 1)])

    def test_nothing_at_all(self):
        with report_of(a=[]) as report:
            self.assertEqual((report.plugins, list(report.counts()), report.of("x", EVERYTHING[0])), ([], [], []))
            self.assertEqual(list(report.compared("x")), [])
