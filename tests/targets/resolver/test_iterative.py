"""Resolving from the root on; the lab's tests do so where libunbound is installed."""

import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from pathspider.targets.resolver.iterative import Iterative, MissingError
from tests import in_checkout
from tests.programs import with_unbound

IMPORTS = """
from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.iterative import Iterative
from pathspider.targets.resolver.message import TYPES, encode_name, question
"""


class TestMissing(unittest.TestCase):
    def test_it_is_said_what_to_install(self):
        with mock.patch.dict("sys.modules", {"unbound": None}), self.assertRaisesRegex(MissingError, "python3-unbound"):
            Iterative(5)


@in_checkout
class TestIterative(unittest.TestCase):
    """In a process of its own: the virtual environment has no libunbound, which no index offers."""

    def outcome(self, *lines):
        done = subprocess.run([sys.executable, "-c", "\n".join((IMPORTS, *lines))], env=with_unbound(), timeout=60,
                              capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr

    def test_hints_that_are_not_there(self):
        self.assertIn("no such file", self.outcome("Iterative(5, '/nonexistent/hints')"))

    def test_a_question_is_given_up(self):
        with tempfile.NamedTemporaryFile("w") as hints:
            hints.write(". 3600 NS ns.root.\nns.root. 3600 A 127.0.0.1\n")
            hints.flush()
            found = self.outcome(
                f"with Iterative(0.2, {hints.name!r}) as one:",
                "    one.ask(Question(question(encode_name('www.example'), TYPES['A'])))",
                "    while one.pending:",
                "        for done in one.step(5):",
                "            print(done.answer.problem)")
        self.assertIn(found, {"timeout", "servfail"})
