"""Commands of commands."""

import argparse
import io
import unittest
from contextlib import redirect_stderr

from pathspider.campaign.errors import CampaignError
from pathspider.cmd.main import UsageError
from pathspider.cmd.nested import nested_commands, of_campaigns


class TestNested(unittest.TestCase):
    def test_without_one_of_them(self):
        parser = argparse.ArgumentParser("pspdr fleet")
        nested_commands(parser).add_parser("up").set_defaults(func=lambda args: 0)
        self.assertEqual(parser.parse_args(["up"]).func(None), 0)
        said = io.StringIO()
        with redirect_stderr(said):
            self.assertEqual(parser.parse_args([]).func(None), 2)
        self.assertIn("usage: pspdr fleet", said.getvalue())

    def test_trouble_with_a_campaign(self):
        def broken(args):
            raise CampaignError("no such folder")

        self.assertRaisesRegex(UsageError, "no such folder", of_campaigns(broken), None)
        self.assertEqual(of_campaigns(lambda args: 7)(None), 7)


if __name__ == "__main__":
    unittest.main()
