"""Who is asked when: without a socket, and without waiting."""

import unittest
from unittest import mock

from pathspider.targets.resolver import core
from pathspider.targets.resolver.core import AGE, AT_ONCE, TCP, UDP, Bucket, Core, Question
from pathspider.targets.resolver.message import TYPES, encode_name, question
from tests.helpers.resolvers import ADDRESS, answering

NUMBER = b"\x12\x34"


class CoreCase(unittest.TestCase):
    def begin(self, servers=1, timeout=3.0, options=b"", **settings):
        self.core = Core(servers, timeout, **settings)
        self.now = 100.0
        return self.ask(options)

    def ask(self, options=b""):
        one = Question(question(encode_name("alias.example.com"), TYPES["A"]), options)
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
        self.core.received(send, number, bytes(behaviour(send.question.message(NUMBER))), self.now)


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
        self.core.received(first, NUMBER, bytes(ADDRESS(one.message(NUMBER))), self.now)
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
