"""First pairs beside rounds: which questions a record answers by both."""

import unittest

from pathspider.installed import declared
from pathspider.report.confirmed import Words, added, possible, were_confirmed, words_of

FIRST = "ecn.connectivity."
STABLE = "ecn.stable.connectivity."


def answers(*conditions):
    return {(answer.question.partition(" ")[2], answer.answer, answer.condition)
            for words in words_of(conditions) for answer in added(words)}


class TestWords(unittest.TestCase):
    def test_of_a_suspect(self):
        self.assertEqual(words_of((FIRST + "broken", "ecn.negotiation.failed", STABLE + "unstable")),
                         [Words("ecn.connectivity", "broken", "unstable")])
        self.assertEqual(words_of((FIRST + "transient", "pathspider.unconfirmed")),
                         [Words("ecn.connectivity", "transient", "unconfirmed")])

    def test_of_others(self):
        self.assertEqual(words_of((FIRST + "works",)), [Words("ecn.connectivity", "works")])
        self.assertEqual(words_of(("mss.option.local.value:1460", "pathspider.not_observed")), [])

    def test_of_two_questions_of_a_third_party(self):
        found = words_of(("x.connectivity.broken", "x.b.connectivity.broken", "x.b.stable.connectivity.works"))
        self.assertEqual(found, [Words("x.connectivity", "broken", "unconfirmed"),
                                 Words("x.b.connectivity", "broken", "works")])


class TestAdded(unittest.TestCase):
    def test_a_suspect_counts_as_its_rounds_say(self):
        self.assertEqual(answers(FIRST + "broken", STABLE + "broken"),
                         {("(broken at first)", "broken", STABLE + "broken"),
                          ("(confirmed)", "broken", STABLE + "broken"),
                          ("(baseline up, confirmed)", "broken", STABLE + "broken")})
        self.assertEqual(answers(FIRST + "transient", STABLE + "works"),
                         {("(transient at first)", "works", STABLE + "works"),
                          ("(confirmed)", "works", FIRST + "works"),
                          ("(baseline up, confirmed)", "works", FIRST + "works")})

    def test_who_was_not_confirmed_is_neither(self):
        self.assertEqual(answers(FIRST + "broken"), {("(broken at first)", "unconfirmed", "pathspider.unconfirmed"),
                                                     ("(confirmed)", "unconfirmed", "pathspider.unconfirmed")})

    def test_no_suspect(self):
        self.assertEqual(answers(FIRST + "offline"), {("(confirmed)", "offline", FIRST + "offline")})

    def test_what_is_possible_has_a_meaning_each(self):
        found = list(possible("ecn.connectivity"))
        self.assertEqual(len(found), len(set(found)))
        for words in (Words("ecn.connectivity", "broken", "unstable"), Words("ecn.connectivity", "works")):
            self.assertLessEqual(set(added(words)), set(found))
        for answer in found:
            self.assertIsNotNone(declared(answer.condition, "ecn"), answer)


class TestWereConfirmed(unittest.TestCase):
    def test_by_file(self):
        one = "ecn.connectivity"
        for conditions, expected in (((FIRST + "works",), (set(), set())), ((FIRST + "broken",), (set(), {one})),
                                     ((FIRST + "broken", "pathspider.unconfirmed"), ({one}, {one})),
                                     ((FIRST + "broken", STABLE + "works"), ({one}, {one}))):
            self.assertEqual(were_confirmed([conditions]), expected)


if __name__ == "__main__":
    unittest.main()
