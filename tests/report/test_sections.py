"""What the page tells, section by section."""

import unittest

from pathspider.report.sections import (
    MOST_ANSWERS,
    MOST_QUESTIONS,
    answers,
    changed,
    listed_questions,
    measured,
    without,
)
from tests.report.records import BROKEN, WORKS, record, report_of


class TestSections(unittest.TestCase):
    def test_of_no_records(self):
        with report_of(a=[]) as report:
            self.assertIn("There are none.", "".join(without(report)))
            self.assertIn("No target was found", "".join(changed(report)))
            self.assertEqual(listed_questions(report), {})

    def test_one_target_that_changed_and_one_that_did_not(self):
        with report_of(a=[record("192.0.2.1", WORKS), record("192.0.2.2", WORKS)],
                       b=[record("192.0.2.1", BROKEN), record("192.0.2.2", WORKS)]) as report:
            text = "".join(changed(report))
            self.assertIn("1 target has records", text)
            self.assertNotIn("192.0.2.2", text)

    def test_rounds_beside_first_pairs(self):
        rows = [record("192.0.2.1", BROKEN, "ecn.stable.connectivity.unstable"), record("192.0.2.2", WORKS)]
        with report_of(a=rows) as report:
            text = "".join(answers(report, listed_questions(report)["ecn"]))
            for heading in ("(baseline up)", "(broken at first)", "(confirmed)", "(baseline up, confirmed)"):
                self.assertIn(f"<h3>ecn.connectivity {heading}</h3>", text)
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
            self.assertIn(f"Here are the {MOST_QUESTIONS} questions", "".join(measured(report)))

    def test_strangers_text_is_no_markup(self):
        evil = "</td><script>"
        with report_of(a=[{**record("192.0.2.1", WORKS), "domain": evil}],
                       b=[{**record("192.0.2.1", BROKEN), "domain": evil}]) as report:
            text = "".join(changed(report))
            self.assertNotIn(evil, text)
            self.assertIn("script", text)
