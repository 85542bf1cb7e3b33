import unittest

from pathspider.cmd.main import UsageError
from pathspider.cmd.words import command_line, parse


class TestParse(unittest.TestCase):
    def test_options_as_they_were_typed(self):
        words = parse(["-w", "20", "--work", "30", "--confirm=2", "--lockstep", "ecn", "--connect", "https",
                       "--timeout=2.50"])
        self.assertEqual(words.plugin, "ecn")
        self.assertEqual(words.measure, [["--workers", "20"], ["--workers", "30"], ["--confirm", "2"], ["--lockstep"]])
        self.assertEqual(words.options, [["--connect", "https"], ["--timeout", "2.50"]])
        self.assertEqual((words.args.confirm, words.args.plugin_args.timeout), (2, 2.5))

    def test_the_words_again(self):
        words = ["--workers=20", "--lockstep", "ecn", "--connect=https"]
        self.assertEqual(command_line(*parse(words)[:3]), words)

    def test_a_value_is_never_taken_for_an_option(self):
        self.assertEqual(command_line("ecn", [], [["--timeout", "--connect"]]), ["ecn", "--timeout=--connect"])

    def test_what_cannot_be(self):
        for words in ([], ["--output", "x", "ecn"], ["-i", "lo", "ecn"], ["--user", "root", "ecn"]):
            self.assertRaises(UsageError, parse, words)
