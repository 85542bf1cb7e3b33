"""What the parsers offer, as plain data."""

import argparse
import unittest

from pathspider.cmd.describe import Argument, describe, program


class TestDescribe(unittest.TestCase):
    def setUp(self):
        parser = argparse.ArgumentParser("tool", description="long", epilog="end")
        parser.add_argument("--output", "-o", metavar="RECORDS", help="where to (%(default)s)", default="-")
        parser.add_argument("--mark", action="append", choices=[1, 2], help="a mark")
        parser.add_argument("--hidden", help=argparse.SUPPRESS)
        parser.add_argument("--quiet", action="store_true")
        below = parser.add_subparsers(metavar="COMMAND")
        first = below.add_parser("first", help="the first")
        first.add_argument("words", nargs="*", help="100%% of it")
        below.add_parser("second").add_argument("pair", nargs=2, metavar=("A", "B"))
        self.command = describe(parser, ("tool",), "short")

    def test_options(self):
        self.assertEqual(self.command.options[1:], [
            Argument(("--output", "-o"), "RECORDS", (), "where to (-)", False),
            Argument(("--mark",), "{1,2}", ("1", "2"), "a mark", True),
            Argument(("--quiet",), "", (), "", False)])
        self.assertEqual(self.command.positionals, [])

    def test_commands_below(self):
        self.assertEqual([(one.words, one.summary) for one in self.command.walk()],
                         [(("tool",), "short"), (("tool", "first"), "the first"), (("tool", "second"), "")])
        first, second = self.command.commands
        self.assertEqual(first.positionals, [Argument((), "words", (), "100% of it", True)])
        self.assertEqual(second.positionals[0].metavar, "A B")
        self.assertEqual((self.command.description, self.command.epilog, second.description), ("long", "end", ""))

    def test_usage_is_one_line(self):
        self.assertRegex(self.command.usage, r"^tool \[-h\] \[--output RECORDS\][^\n]*$")

    def test_what_a_value_is(self):
        for metavar, want in (("RESULTS", "file"), ("OUT-DIR", "file"), ("INTERFACE", "interface"), ("N", ""), ("", ""),
                              ("... -- COMMAND", "command"), ("{FILE,x}", "file"), ("PROFILES", "")):
            self.assertEqual(Argument((), metavar, (), "", False).value, want, metavar)

    def test_the_program_has_every_command_once(self):
        words = [command.words for command in program().walk()]
        self.assertEqual(len(set(words)), len(words))
        self.assertIn(("pspdr", "measure", "ecn"), words)


if __name__ == "__main__":
    unittest.main()
