"""Resolving from the root on; the lab's tests do so where libunbound is installed."""

import tempfile
import unittest
from importlib.util import find_spec
from unittest import mock

from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.iterative import Iterative, MissingError
from pathspider.targets.resolver.message import TYPES, encode_name, question


class TestMissing(unittest.TestCase):
    def test_it_is_said_what_to_install(self):
        with mock.patch.dict("sys.modules", {"unbound": None}), self.assertRaisesRegex(MissingError, "python3-unbound"):
            Iterative(5)


@unittest.skipUnless(find_spec("unbound"), "without python3-unbound")
class TestIterative(unittest.TestCase):
    def test_hints_that_are_not_there(self):
        self.assertRaisesRegex(MissingError, "no such file", Iterative, 5, "/nonexistent/hints")

    def test_a_question_is_given_up(self):
        with tempfile.NamedTemporaryFile("w") as hints:
            hints.write(". 3600 NS ns.root.\nns.root. 3600 A 127.0.0.1\n")
            hints.flush()
            with Iterative(0.2, hints.name) as one:
                one.ask(Question(question(encode_name("www.example"), TYPES["A"])))
                found = []
                while one.pending:
                    found += one.step(5)
        self.assertIn(found[0].answer.problem, {"timeout", "servfail"})
