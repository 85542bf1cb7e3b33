import argparse
import unittest

from pathspider.cmd.main import UsageError, build_parser
from pathspider.cmd.together import COMMANDS, check_together
from tests.campaign.cases import FolderCase

MEASURE = ["measure", "-i", "lo"]


class TestTogether(unittest.TestCase):
    def check(self, *words):
        args = build_parser("measure", [*MEASURE, *words]).parse_args([*MEASURE, *words])
        check_together(args, args.parser)

    def test_what_is_refused_without_what_it_needs(self):
        self.check("--locate", "--locate-rate", "5", "ecn")
        self.check("--pcap-size", "1M", "--pcap", "x", "ecn")
        for words in (("--locate-rate", "5"), ("--pcap-size", "1M")):
            with self.assertRaisesRegex(UsageError, f"{words[0]} is for --"):
                self.check(*words, "ecn")

    def test_what_has_no_effect_is_said(self):
        with self.assertNoLogs("pathspider"):
            self.check("--confirm-gap", "1", "--seed", "5", "ecn")
            self.check("--confirm", "0", "--seed", "5", "tcpopt", "--variants", "3")  # plugins draw from it, too
            self.check("--confirm", "0", "ecn")
        with self.assertLogs("pathspider", "WARNING") as logged:
            self.check("--confirm", "0", "--confirm-gap", "1", "ecn")
        self.assertEqual(["has no effect" in one for one in logged.output], [True])

    def test_each_row_is_of_an_option_that_there_is(self):
        for command, rows in COMMANDS.items():
            name, *below = command.split()
            parser = build_parser(name, [name])
            for word in (name, *below):
                parser = next(action for action in parser._actions
                              if isinstance(action, argparse._SubParsersAction)).choices[word]
            self.assertEqual(parser.prog, f"pspdr {command}")
            args = argparse.Namespace(**{action.dest: parser.get_default(action.dest) for action in parser._actions})
            for row in rows:
                with self.subTest(command, option=row.option):
                    self.assertIn(row.name, vars(args))
                    self.assertIn(row.option, parser._option_string_actions)
                    self.assertIsInstance(row.is_there(args), bool)
            with self.assertNoLogs("pathspider"):
                check_together(args, parser)  # nothing was given


class TestCommands(FolderCase):
    def test_each_command_asks(self):
        for words, said in (
                (("campaign", "run", "c", "--local", "--fleet", "f"), "--fleet is for --fanout or --split"),
                (("campaign", "run", "c", "--split", "-i", "lo"), "--interface is for --local"),
                (("campaign", "run", "c", "--max-targets", 5), "--max-targets is for --targets"),
                (("fleet", "init", "f", "--broker", "amqps://h/v", "--local-port", 9), "--local-port is for a broker"),
                (("resolve", "--root-hints", "x"), "--root-hints is for --iterative")):
            status, _, text = self.here(*words)
            self.assertEqual(status, 2, text)
            self.assertIn(said, text)
        self.assertFalse((self.folder / "f").exists())
