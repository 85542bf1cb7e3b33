"""A plugin's questions on the page."""

import unittest

from pathspider.report.answers import MOST_ANSWERS, MOST_QUESTIONS, answers, listed_questions
from tests.report.records import BROKEN, WORKS, record, report_of


class TestAnswers(unittest.TestCase):
    def test_rounds_beside_first_pairs(self):
        rows = [record("192.0.2.1", BROKEN, "ecn.stable.connectivity.unstable"), record("192.0.2.2", WORKS)]
        with report_of(a=rows) as report:
            text = "".join(answers(report, listed_questions(report)["ecn"]))
            headings = [f"<code>ecn.connectivity {ending}</code></h3>" for ending in (
                "(baseline up, confirmed)", "(baseline up)", "(broken at first)", "(confirmed)")]
            for heading in headings:
                self.assertEqual(text.count(heading), 1)
            self.assertLess(text.index(headings[0]), text.index("First connections and further rounds, apart"))
            self.assertGreater(text.index(headings[1]), text.index("First connections and further rounds, apart"))
            self.assertIn("<b>unconfirmed</b>: what the first", text.replace("pathspider.unconfirmed", "unconfirmed"))

    def test_the_most_frequent_of_many_answers(self):
        rows = [record("192.0.2.1", f"x.value:{number}") for number in range(MOST_ANSWERS + 1)]
        with report_of(a=[*rows, rows[-1]]) as report:
            text = "".join(answers(report, ["x.value"]))
            self.assertIn(f"The {MOST_ANSWERS} most frequent of {MOST_ANSWERS + 1} answers", text)
            self.assertIn(f">{MOST_ANSWERS}<", text)

    def test_the_questions_with_the_most_records_are_listed(self):
        rows = [record("192.0.2.1", *(f"x.q{number}.yes" for number in range(MOST_QUESTIONS))),
                record("192.0.2.2", *(f"x.q{number}.yes" for number in range(1, MOST_QUESTIONS + 1)))]
        with report_of(a=[*rows, rows[1]]) as report:
            listed = listed_questions(report)["x"]
            self.assertEqual((len(listed), "x.q0" in listed, "x.q100" in listed), (MOST_QUESTIONS, False, True))
            self.assertIn(f"Here are the {MOST_QUESTIONS} questions", "".join(answers(report, listed)))

    def test_what_is_broken_comes_first_and_the_complement_is_not_drawn(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", BROKEN)]) as report:
            text = "".join(answers(report, ["ecn.connectivity (baseline up)"]))
            table = text[text.index("<tbody>"):]
            self.assertLess(table.index(">broken<"), table.index(">works<"))
            drawing = text[text.index("<svg"):text.index("</svg>")]
            self.assertIn(">broken<", drawing)
            self.assertNotIn("works", drawing)

    def test_headings_are_questions(self):
        rows = [record("192.0.2.1", WORKS, "ecn.negotiation.succeeded", "ecn.ipmark.ce.seen", "x.y.z")]
        with report_of(a=rows) as report:
            for plugin, questions in listed_questions(report).items():
                text = "".join(answers(report, questions))
                self.assertEqual(text.count("<h3>"), text.count("? <code>"), plugin)
            listed = listed_questions(report)["ecn"]
            self.assertLess(listed.index("ecn.negotiation"), listed.index("ecn.ipmark.ce"))

    def test_systems_and_countries_by_answer(self):
        rows = [record("192.0.2.1", WORKS, dip_asn=64496, country="nz"), record("192.0.2.2", BROKEN, dip_asn=64496)]
        with report_of(a=rows) as report:
            text = "".join(answers(report, ["ecn.connectivity (baseline up)"]))
            self.assertIn('<th scope="row">AS64496</th><td class="number" data-value="2" data-head="Of">2</td>'
                          '<td class="number share" data-value="0.5" data-head="broken">50.00 %', text)
            self.assertIn('<th scope="row">NZ</th>', text)
