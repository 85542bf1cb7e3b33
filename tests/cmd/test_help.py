"""``pspdr help`` says what ``--help`` says."""

import unittest

from tests.cmd.test_main import pspdr


class TestHelp(unittest.TestCase):
    def test_the_same_as_the_option(self):
        for words in ([], ["measure"], ["measure", "ecn"], ["lab", "check"], ["help"]):
            asked, optioned = pspdr("help", *words), pspdr(*words, "--help")
            self.assertEqual((asked.returncode, asked.stdout, asked.stderr), (0, optioned.stdout, ""), words)

    def test_what_is_not_there(self):
        for words, meant in ((["mesure"], "measure"), (["measure", "enc"], "ecn")):
            outcome = pspdr("help", *words)
            self.assertEqual((outcome.returncode, outcome.stdout), (2, ""))
            self.assertTrue(outcome.stderr.endswith(f"; did you mean {meant}?\n"), outcome.stderr)
