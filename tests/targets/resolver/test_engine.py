"""Sockets that many questions share, against resolvers on loopback."""

import os
import threading
from unittest import mock

from pathspider.targets.resolver import engine
from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.engine import Engine, Server
from pathspider.targets.resolver.message import TYPES, encode_name, question
from tests.helpers.resolvers import ADDRESS, ResolverCase, answering


class TestEngine(ResolverCase):
    def ask(self, count, *addresses, **settings):
        servers = [Server(address, self.port) for address in addresses or ("127.0.0.1",)]
        asked = question(encode_name("alias.example.com"), TYPES["A"])
        finished = []
        with Engine(servers, settings.pop("timeout", 10), **settings) as one:
            for number in range(count):
                one.ask(Question(asked, owner=number))
            while one.pending:
                finished += one.step(10)
        self.assertEqual(sorted(done.owner for done in finished), [*range(count)])
        return {done.answer.problem for done in finished}

    def test_each_question_once(self):
        seen = []
        self.serve(ADDRESS, watch=lambda query, client: seen.append((query[:2], client[1])))
        with mock.patch.object(engine, "QUERIES_OF_A_PORT", 5):
            self.assertEqual(self.ask(100, ports=4), {""})
        self.assertGreaterEqual(len({port for _, port in seen}), 15)  # the kernel may give one again
        self.assertGreater(len({number for number, _ in seen}), 90)

    def test_resolvers_take_turns(self):
        seen = []
        for last in (1, 2):
            self.serve(ADDRESS, address=f"127.0.0.{last}", watch=lambda query, client, last=last: seen.append(last))
        self.assertEqual(self.ask(20, "127.0.0.1", "127.0.0.2", rotate=True), {""})
        self.assertGreaterEqual(min(seen.count(1), seen.count(2)), 10)

    def test_many_over_tcp(self):
        self.serve(answering(truncated=True), ADDRESS)
        with mock.patch.object(engine, "MOST_STREAMS", 3):
            self.assertEqual(self.ask(20), {""})

    def test_nobody_there(self):
        self.assertEqual(self.ask(20), {"unreachable"})

    def test_of_many_only_those_are_late_that_are_silent(self):
        def choosy(query):
            return ADDRESS(query) if query[0] & 1 else None

        self.serve(choosy)
        self.assertLessEqual(self.ask(20, timeout=0.5), {"", "timeout", "unreachable"})

    def test_resolvers_that_are_none(self):
        self.assertEqual(self.ask(3, "nonsense"), {"unreachable"})

    def test_it_can_be_woken_and_leaves_nothing_open(self):
        before = len(os.listdir("/proc/self/fd"))
        with Engine([Server("127.0.0.1", self.port)], 5) as one:
            waker = threading.Thread(target=one.wake)
            waker.start()
            self.assertEqual(one.step(60), [])
            waker.join()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_how_resolvers_are_written(self):
        for address, port, text in (("192.0.2.1", 53, "192.0.2.1"), ("192.0.2.1", 5, "192.0.2.1:5"),
                                    ("2001:db8::1", 53, "2001:db8::1"), ("2001:db8::1", 5, "[2001:db8::1]:5")):
            self.assertEqual(str(Server(address, port)), text)
