"""What a report says, as values."""

import unittest

from pathspider.report.questions import BASELINE_UP
from pathspider.report.summary import EVERYTHING, Repeated, Without
from tests.report.records import BROKEN, WORKS, record, report_of

OFFLINE = "ecn.connectivity.offline"
STABLE = "ecn.stable.connectivity."


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

    def test_first_pairs_beside_rounds(self):
        with report_of(a=[record("192.0.2.1", WORKS),
                          record("192.0.2.2", BROKEN, STABLE + "broken"), record("192.0.2.3", BROKEN, STABLE + "works"),
                          record("2001:db8::1", BROKEN, "pathspider.unconfirmed"), record("192.0.2.4", OFFLINE)],
                       b=[record("192.0.2.1", WORKS)], c=[record("192.0.2.1", BROKEN)]) as report:
            found = {(count.file, count.answer.question.partition(" ")[2], count.answer.answer):
                     (count.number, count.total) for question in report.questions("ecn")
                     for count in report.of(question, "all") if "(" in question}
            first = {word: count for (file, question, word), count in found.items()
                     if (file, question) == (0, "(broken at first)")}
            self.assertEqual(first, {"broken": (1, 3), "works": (1, 3), "unconfirmed": (1, 3), "transient": (0, 3),
                                     "unstable": (0, 3)})
            confirmed = {word: count for (file, question, word), count in found.items()
                         if (file, question) == (0, "(confirmed)")}
            self.assertEqual(confirmed, {"broken": (1, 5), "works": (2, 5), "unconfirmed": (1, 5), "transient": (0, 5),
                                         "unstable": (0, 5), "offline": (1, 5)})
            self.assertEqual(found[0, "(baseline up, confirmed)", "broken"], (1, 3))
            self.assertEqual(found[0, "(baseline up)", "broken"], (3, 4))
            self.assertEqual(found[1, "(baseline up, confirmed)", "broken"], (0, 1))  # it has no suspect
            self.assertEqual([one.label for one in report.unanswered("ecn.connectivity (confirmed)")], ["c"])
            compared = {pair.first.answer.answer: (pair.first.number, pair.second.number)
                        for pair in report.compared("ecn.connectivity (baseline up, confirmed)")}
            self.assertEqual(compared, {"broken": (1, 0), "works": (2, 1)})
            six = [count for count in report.of("ecn.connectivity (broken at first)", "ip")
                   if count.group[1] == "IPv6" and count.number]
            self.assertEqual(figures(six), [(0, "IPv6", "unconfirmed", 1, 1)])

    def test_by_autonomous_system(self):
        with report_of(a=[record("192.0.2.2", BROKEN, STABLE + "broken", dip_asn=64496)]) as report:
            self.assertEqual(figures(one for one in report.of("ecn.connectivity (confirmed)", "as") if one.number),
                             [(0, "AS64496", "broken", 1, 1)])
            self.assertEqual([count.answer.condition for count in report.counts() if count.group[1] == "AS64496"
                              and count.number and "confirmed" in count.answer.question], [STABLE + "broken"] * 2)

    def test_files_without_rounds_are_as_before(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN)]) as report:
            self.assertEqual(report.questions("ecn"), ["ecn.connectivity", "ecn.connectivity" + BASELINE_UP])

    def test_nothing_at_all(self):
        with report_of(a=[]) as report:
            self.assertEqual((report.plugins, list(report.counts()), report.of("x", EVERYTHING[0])), ([], [], []))
            self.assertEqual(list(report.compared("x")), [])
