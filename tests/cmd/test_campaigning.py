import argparse
import gzip
import unittest

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.fleet import Fleet, State
from pathspider.campaign.folder import Campaign
from pathspider.cmd.campaigning import existing, local_words, refuse_other, told, vantage_name
from pathspider.cmd.main import UsageError, build_parser
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


class TestAgain(FolderCase):
    """What is given again of a campaign that there is."""

    def setUp(self):
        super().setUp()
        self.fleet = Fleet.create(self.folder / "fleet", State("127.0.0.1"))
        for name in ("a", "b"):
            self.fleet.add(name)

    def again(self, campaign, *words):
        argv = ["campaign", "run", str(campaign.folder), *words]
        refuse_other(build_parser("campaign", argv).parse_args(argv), campaign, [])

    def test_vantage_points(self):
        campaign = self.create(mode="fanout", vantages=["a", "b"], fleet=str(self.fleet.folder))
        with self.assertNoLogs("pathspider"):
            for names in ("a,b", "b,a", "all"):
                self.again(campaign, "--fanout", names)
        self.fleet.add("grown")
        with self.assertLogs("pathspider", "WARNING") as logged:
            self.again(campaign, "--fanout", "all")
        self.assertIn("--fanout all: this campaign's vantage points stay those that it began with (a, b), and nothing "
                      "of it is measured by grown", logged.output[0])
        for names, said in (("a", r"vantages: a b, and not a\)"), ("b,grown", "vantages: a b, and not b grown"),
                            ("a,b,nosuch", "no vantage point nosuch")):
            with self.assertRaisesRegex(UsageError, said):
                self.again(campaign, "--fanout", names)
        self.fleet.remove("b")
        self.again(campaign, "--fanout", "b,a")

    def test_what_is_this_machines_is_none_of_a_fleets(self):
        for more in ({"mode": "fanout", "vantages": ["a", "b"]}, {"mode": "split", "vantages": []}):
            campaign = self.create(fleet=str(self.fleet.folder), **more)
            for words in (["--vantage", "a"], ["-i", "lo"]):
                with self.assertRaisesRegex(UsageError, f"--{words[0].strip('-')}.* is for campaigns of this machine"):
                    self.again(campaign, *words)
            for file in campaign.folder.iterdir():
                file.unlink()

    def test_a_list_that_breaks_off(self):
        """There is a campaign: it is not said that there is none."""
        self.create(plugin="ecn", measure=[])
        cut = self.folder / "cut.ndjson.gz"
        cut.write_bytes(gzip.compress(self.targets.read_bytes() * 500)[:-20])
        for folder, said in (("c", "nobody can say whether these are the campaign's targets"),
                             ("new", "there is no campaign yet")):
            status, _, text = self.here("campaign", "run", folder, "--local", "-i", "lo", "--targets", cut, "--", "ecn")
            self.assertEqual((status, said in text), (2, True), text)


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
