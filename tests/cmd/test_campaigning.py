import argparse
import unittest

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import Campaign
from pathspider.cmd.campaigning import existing, local_words, told, vantage_name
from pathspider.cmd.main import UsageError
from tests.campaign.cases import FolderCase, definition


class TestExisting(FolderCase):
    def test_none_one_and_a_broken_one(self):
        self.assertIsNone(existing(str(self.folder / "c")))
        self.create()
        self.assertIsInstance(existing(str(self.folder / "c")), Campaign)
        (self.folder / "c" / "campaign.json").write_text("{", encoding="utf-8")
        self.assertRaises(CampaignError, existing, str(self.folder / "c"))

    def test_told(self):
        campaign = self.create()
        campaign.journal.record("dead", slot="local", chunk=1, why="it kills")
        with self.assertLogs("pathspider") as logged:
            self.assertEqual(told(campaign), 1)
            self.assertEqual(told(campaign, [2]), 130)
        self.assertIn("chunk 1 was given up: it kills", logged.output[0])


class TestWords(unittest.TestCase):
    def test_of_this_machine(self):
        args = argparse.Namespace(interface="eth0", blocklist=None, user=None, source_ip=["192.0.2.1"], quiet=True,
                                  allow_lab_addresses=True, vantage_lookup=False)
        self.assertEqual(local_words(args, definition(rate=5.0, options=[["--x", "-1"]])),
                         ["--vantage=local", "--interface=eth0", "--source-ip=192.0.2.1", "--allow-lab-addresses",
                          "--rate=5.0", "--quiet", "--confirm=0", "nowhere", "--x=-1"])

    def test_what_is_given_again_takes_the_place_of_what_was_given(self):
        args = argparse.Namespace(interface=None, blocklist=None, user="x", source_ip=[], quiet=False,
                                  allow_lab_addresses=False, vantage_lookup=False)
        self.assertEqual(local_words(args, definition(here=["--interface=eth0", "--user=y"]))[:3],
                         ["--vantage=local", "--interface=eth0", "--user=x"])

    def test_names(self):
        self.assertEqual(vantage_name("ber-1"), "ber-1")
        for name in ("", "-a", "a-", "A", "a.b", "a/b", "a" * 33, "a\n", "any thing"):
            self.assertRaises(UsageError, vantage_name, name)
