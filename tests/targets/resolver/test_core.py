"""Who is asked when: without a socket, and without waiting."""

import unittest
from unittest import mock

from pathspider.targets.resolver import core
from pathspider.targets.resolver.core import AGE, AT_ONCE, ODD_CASES, TCP, UDP, Bucket, Core, Question
from pathspider.targets.resolver.health import IN_A_ROW, PAUSE
from pathspider.targets.resolver.message import TYPES, encode_name, in_mixed_case, question
from tests.helpers.resolvers import ADDRESS, answering

NUMBER = b"\x12\x34"


class CoreCase(unittest.TestCase):
    def begin(self, servers=1, timeout=3.0, options=b"", **settings):
        self.core = Core(servers, timeout, **settings)
        self.now = 100.0
        return self.ask(options)

    def ask(self, options=b"", draw=b""):
        one = Question(question(encode_name("alias.example.com"), TYPES["A"]), options)
        if draw:
            one.mixed = in_mixed_case(one.asked, draw)
        self.core.ask(one, self.now)
        return one

    def sent(self):
        self.sends = [*self.core.sends(self.now)]
        return [(send.transport, send.server) for send in self.sends]

    def later(self, seconds):
        self.now += seconds
        self.core.expire(self.now)

    def answer(self, behaviour, which=0, number=NUMBER):
        send = self.sends[which]
        self.core.received(send, number, bytes(behaviour(send.message(NUMBER))), self.now)


class TestAttempts(CoreCase):
    def test_an_answer_ends_it(self):
        one = self.begin()
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.answer(ADDRESS)
        self.assertEqual((one.done, len(one.answer.values), self.core.pending, self.core.finished),
                         (True, 2, 0, [one]))
        self.answer(ADDRESS)
        self.assertEqual(self.core.finished, [one])

    def test_each_resolver_twice_and_then_over_tcp(self):
        one = self.begin(2, 5.0)
        seen = []
        while not one.done:
            seen += self.sent()
            self.now = self.core.next_due()
            self.core.expire(self.now)
        self.assertEqual(seen, [(UDP, 0), (UDP, 1), (UDP, 0), (UDP, 1), (TCP, 0)])
        self.assertEqual((one.answer.problem, self.now), ("timeout", 105.0))

    def test_a_late_answer_counts(self):
        one = self.begin()
        self.sent()
        first = self.sends[0]
        self.later(1.0)
        self.sent()
        self.core.received(first, NUMBER, bytes(ADDRESS(first.message(NUMBER))), self.now)
        self.assertTrue(one.answer.values)

    def test_a_failure_is_followed_by_the_next_at_once_and_the_most_telling_is_told(self):
        one = self.begin()
        self.sent()
        self.core.failed(self.sends[0], "unreachable", self.now)
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.answer(answering(rcode=2))
        self.assertEqual(self.sent(), [])  # over TCP it would say the same
        self.assertEqual((one.done, one.answer.problem), (True, "servfail"))

    def test_an_answer_that_comes_twice_is_one(self):
        one = self.begin()
        self.sent()
        self.answer(answering(rcode=2))
        self.answer(answering(rcode=2))
        self.assertEqual((self.sent(), one.done), ([(UDP, 0)], False))

    def test_over_tcp_when_truncated(self):
        one = self.begin()
        self.sent()
        self.answer(answering(truncated=True))
        self.assertEqual(self.sent(), [(TCP, 0)])
        self.answer(ADDRESS)
        self.assertEqual(one.answer.problem, "")

    def test_truncated_and_nothing_over_tcp(self):
        one = self.begin()
        self.sent()
        self.answer(answering(truncated=True))
        self.sent()
        self.core.failed(self.sends[0], "unreachable", self.now)
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.answer(answering(truncated=True))
        self.assertEqual((self.sent(), one.answer.problem), ([], "truncated"))

    def test_without_edns_where_it_is_not_known(self):
        one = self.begin()
        self.sent()
        self.answer(answering(rcode=1))
        self.assertEqual((self.sent(), one.options), ([(UDP, 0)], None))
        self.answer(ADDRESS)
        self.assertEqual(one.answer.problem, "")

    def test_who_asks_for_a_network_needs_edns(self):
        one = self.begin(options=b"\0\x08\0\7\0\1\x18\0\xc0\0\2")
        for _ in range(2):
            self.sent()
            self.answer(answering(rcode=1))
        self.assertEqual((one.done, one.answer.problem), (True, "formerr"))

    def test_what_belongs_to_another_query_is_waited_through(self):
        one = self.begin()
        self.sent()
        self.answer(lambda query: b"\x12\x35" + ADDRESS(query)[2:])
        self.answer(lambda query: ADDRESS(query)[:13] + b"x" + ADDRESS(query)[14:])
        self.assertEqual((one.done, one.problem), (False, "invalid"))
        self.answer(lambda query: ADDRESS(query)[:12] + ADDRESS(query)[12:29].upper() + ADDRESS(query)[29:])
        self.assertTrue(one.answer.values)

    def test_resolvers_take_turns(self):
        self.begin(3, rotate=True)
        for _ in range(3):
            self.ask()
        self.assertEqual(self.sent(), [(UDP, 0), (UDP, 1), (UDP, 2), (UDP, 0)])


    def test_what_is_over_is_not_kept(self):
        with mock.patch.object(core, "KEPT", 4):
            self.begin(1, 1000.0)
            for _ in range(50):
                self.sent()
                self.answer(ADDRESS)
                self.ask()
                self.core.expire(self.now)
        self.assertLess(max(len(self.core._due), len(self.core._ends)), 10)


class TestHealth(CoreCase):
    """Two resolvers, of which the first answers nothing."""

    def fails(self, behaviour=None):
        """One question, at first for the first resolver; then the other answers. What the first one was sent."""
        one = self.ask()
        self.assertEqual(self.sent(), [(UDP, 0)])
        unanswered = self.sends[0]
        if behaviour is None:
            self.now = self.core.next_due()
            self.core.expire(self.now)
        else:
            self.answer(behaviour)
        self.assertEqual(self.sent(), [(UDP, 1)])
        self.answer(ADDRESS)
        self.assertTrue(one.answer.values)
        return unanswered

    def turn(self):
        """One question for the second resolver."""
        self.ask()
        self.assertEqual(self.sent(), [(UDP, 1)])
        self.answer(ADDRESS)

    def set_aside(self, behaviour=None):
        self.begin(2, rotate=True)
        self.sent()
        self.answer(ADDRESS)
        self.turn()
        for _ in range(IN_A_ROW):
            self.fails(behaviour)
            if self.core.health.in_use == [0, 1]:
                self.turn()

    def test_who_is_silent_is_not_asked(self):
        self.set_aside()
        self.assertEqual([(one.server, one.problem) for one in self.core.health.changes], [(0, "timeout")])
        self.assertLess(self.core.free_at(), self.now + PAUSE)
        for _ in range(3):
            self.turn()

    def test_who_refuses_all_is_not_asked(self):
        for rcode, problem in ((5, "refused"), (2, "servfail")):
            self.set_aside(answering(rcode=rcode))
            self.assertEqual([(one.server, one.problem) for one in self.core.health.changes], [(0, problem)])
            self.turn()

    def test_what_waits_for_it_goes_to_others(self):
        self.begin(2, 60.0, rotate=True, rate=50)
        self.sent()
        self.answer(answering(rcode=5))
        self.assertEqual(self.sent(), [(UDP, 1)])
        answered = self.sends[0]
        asked = [self.ask() for _ in range(8)]
        self.assertEqual(self.sent(), [])  # they wait for both
        with mock.patch("pathspider.targets.resolver.health.IN_A_ROW", 1):
            self.core.received(answered, NUMBER, bytes(ADDRESS(answered.message(NUMBER))), self.now)
        while not all(one.done for one in asked):
            self.now = self.core.next_due() + 1e-6
            for server in [server for _, server in self.sent()]:
                self.assertEqual(server, 1)
                self.answer(ADDRESS)

    def test_one_question_tries_it_again(self):
        self.set_aside()
        self.now += PAUSE
        self.fails()
        self.turn()
        self.now += 2 * PAUSE
        self.ask()
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.answer(ADDRESS)
        self.assertEqual(self.core.health.in_use, [0, 1])
        self.fails()
        self.turn()

    def late(self, *answers):
        """As many questions as are needed to set the first resolver aside; it answers each too late, so."""
        self.begin(2, rotate=True)
        self.sent()
        self.answer(ADDRESS)
        self.turn()
        for _ in range(IN_A_ROW):
            late = self.fails()
            for number, behaviour in answers:
                self.core.received(late, number, bytes(behaviour(late.message(NUMBER))), self.now)
            if self.core.health.in_use == [0, 1]:
                self.turn()

    def test_who_is_late_is_not_dead(self):
        self.late((NUMBER, ADDRESS))
        self.assertEqual(self.core.health.in_use, [0, 1])

    def test_late_nonsense_is_no_sign_of_life(self):
        self.late((b"\0\0", ADDRESS), (NUMBER, answering(rcode=2)))
        self.assertEqual(self.core.health.in_use, [1])

    def test_dead_names_are_nobodys_fault(self):
        self.begin(2, rotate=True)
        for _ in range(3 * IN_A_ROW):
            one = self.ask()
            while not one.done:
                self.sent()
                self.now = self.core.next_due()
                self.core.expire(self.now)
        self.assertEqual(self.core.health.in_use, [0, 1])


def lower(query):
    """A server that does not keep the case of names."""
    answer = ADDRESS(query)
    return answer[:12] + answer[12:29].lower() + answer[29:]


class TestMixedCase(CoreCase):
    def ask_mixed(self, **settings):
        self.begin(**settings)
        self.answer_all()
        one = self.ask(draw=b"\1" * 255)
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.assertIn(b"ALIAS", self.sends[0].message(NUMBER))
        return one

    def answer_all(self):
        for send in [*self.core.sends(self.now)]:
            self.core.received(send, NUMBER, bytes(ADDRESS(send.message(NUMBER))), self.now)

    def test_who_keeps_it(self):
        one = self.ask_mixed()
        self.answer(ADDRESS)
        self.assertEqual((len(one.answer.values), self.core.keeps_case), (2, [True]))

    def test_another_case_is_asked_for_again_over_tcp(self):
        one = self.ask_mixed()
        self.answer(lower)
        self.assertEqual((one.done, self.sent()), (False, [(TCP, 0)]))
        self.answer(ADDRESS)  # it was not this server
        self.assertEqual((one.done, self.core.keeps_case), (True, [True]))

    def test_a_server_that_does_not_keep_it_is_asked_as_others(self):
        one = self.ask_mixed()
        self.answer(lower)
        self.sent()
        self.answer(lower)
        self.assertEqual((len(one.answer.values), self.core.keeps_case), (2, [False]))
        other = self.ask(draw=b"\1" * 255)
        self.sent()
        self.answer(lower)
        self.assertEqual(len(other.answer.values), 2)

    def test_nor_one_that_has_no_tcp(self):
        """As soon as that is certain; till then a question is asked in its own case at last."""
        self.begin()
        self.sent()
        self.answer(ADDRESS)
        for count in range(1, 2 * ODD_CASES):
            one, seen = self.ask(draw=b"\1" * 255), []
            while not one.done:
                seen += self.sent()
                if seen[-1] == (TCP, 0):
                    self.core.failed(self.sends[0], "unreachable", self.now)
                else:
                    self.answer(lower)
            keeps = False if count >= ODD_CASES else None
            self.assertEqual((len(one.answer.values), self.core.keeps_case), (2, [keeps]))
            self.assertEqual(TCP in [transport for transport, _ in seen], count <= ODD_CASES)

    def test_of_one_that_keeps_it_no_other_is_taken(self):
        self.ask_mixed()
        self.answer(ADDRESS)
        one = self.ask(draw=b"\1" * 255)
        self.sent()
        self.answer(lower)
        self.sent()
        self.core.failed(self.sends[0], "unreachable", self.now)
        self.assertEqual((one.done, self.core.keeps_case), (False, [True]))

    def test_what_fails_is_asked_for_in_its_own_case(self):
        one = self.ask_mixed()
        self.answer(answering(rcode=2))
        self.assertEqual(self.sent(), [(UDP, 0)])
        self.assertIn(b"alias", self.sends[0].message(NUMBER))
        self.answer(ADDRESS)
        self.assertEqual(one.answer.problem, "")

    def test_so_is_what_is_not_answered_at_last(self):
        self.ask_mixed(servers=2)
        seen = [self.sends[0].asked]
        for _ in range(4):
            self.now = self.core.next_due()
            self.core.expire(self.now)
            self.sent()
            seen.append(self.sends[0].asked)
        self.assertEqual([b"ALIAS" in asked for asked in seen], [True, True, True, False, False])

    def test_a_refusal_without_a_question_has_no_case(self):
        one = self.ask_mixed()
        self.answer(lambda query: query[:2] + b"\x80\x01" + bytes(8))
        self.assertEqual((self.sent(), one.options), ([(UDP, 0)], None))


class TestRates(CoreCase):
    def test_a_bucket(self):
        bucket = Bucket(100)
        taken = sum(bucket.take(50.0 + tick / 1000) for tick in range(1000))
        self.assertIn(taken, range(99, 104))
        self.assertFalse(bucket.take(51.0 - 0.001))
        self.assertAlmostEqual(bucket.next(), 51.0, delta=0.011)

    def test_each_resolver_has_its_rate(self):
        self.begin(2, 60.0, rate=10, rotate=True)
        for _ in range(39):
            self.ask()
        sent = self.sent()
        while self.now < 100.95:
            self.assertGreater(self.core.next_due(), self.now)
            self.now = self.core.next_due() + 1e-6
            sent += self.sent()
        for server in (0, 1):
            self.assertIn(sent.count((UDP, server)), (10, 11))

    def test_no_more_at_once_than_a_buffer_holds(self):
        self.begin(1, 60.0)
        for _ in range(2 * AT_ONCE):
            self.ask()
        self.assertEqual(len(self.sent()), AT_ONCE)
        self.assertAlmostEqual(self.core.next_due(), self.now + AGE)
        self.assertGreater(self.core.free_at(), self.now)
        self.answer(ADDRESS)
        self.assertEqual(len(self.sent()), 1)
        self.now += AGE
        self.assertEqual(len(self.sent()), AT_ONCE)
