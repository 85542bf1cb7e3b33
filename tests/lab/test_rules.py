"""The text that nft gets."""

import re
import subprocess
import unittest

from pathspider.lab import Lab
from pathspider.lab import impairments as path
from pathspider.lab.errors import LabError
from pathspider.lab.impairments import SETS
from pathspider.lab.rules import find_nft_scenario, ruleset
from pathspider.lab.scenario import Case, Scenario
from pathspider.lab.scenarios import all_cases


def case(*impairments, version=4):
    return Case(Scenario("x", list(impairments), ["ecn"], set()), 7, 3, version)


class TestRuleset(unittest.TestCase):
    def test_one_impairment_one_way(self):
        text = ruleset([case(path.silent_drop())])
        self.assertIn("chain towards_7_3_4", text)
        self.assertIn("ip daddr vmap { 10.20.7.3 : goto towards_7_3_4 }", text)
        self.assertNotIn("chain back_", text)
        self.assertNotIn("saddr vmap", text)

    def test_ip_version_of_fields_and_sets(self):
        text = ruleset([case(path.reflect_ecn_flags(), version=6)])
        self.assertIn("add @asked_6 { ip6 saddr . ip6 daddr . th sport }", text)
        self.assertIn("ip6 daddr . ip6 saddr . th dport @asked_6", text)
        self.assertIn("ip6 saddr vmap { fd00:20::7:3 : goto back_7_3_6 }", text)

    def test_several_impairments_in_their_order(self):
        text = ruleset([case(path.strip_ecn_from_syn(), path.every_nth_lost(5))])
        self.assertLess(text.index("flags set syn"), text.index("numgen"))

    def test_clean_paths_have_no_rule(self):
        self.assertNotIn("vmap", ruleset([case()]))

    def test_nothing_is_left_to_chance(self):
        self.assertFalse("random" in ruleset(all_cases()))

    def test_no_placeholder_is_left(self):
        self.assertFalse("$" in ruleset(all_cases()))

    def test_every_set_that_is_used_is_declared(self):
        used = set(re.findall(r"@(\w+)_[46]", ruleset(all_cases())))
        self.assertEqual(used - set(SETS), set())
        self.assertEqual(set(SETS) - used, set())

    def test_the_path_to_all_clean_targets(self):
        text = ruleset([case(path.silent_drop())], case(path.set_dscp(34, back=True)).scenario)
        self.assertIn("ip saddr 10.64.0.0/10 goto back_clean_4", text)
        self.assertIn("ip6 saddr fd00:21::/32 goto back_clean_6", text)
        self.assertNotIn("towards_clean", text)
        self.assertIn("10.20.7.3 : goto towards_7_3_4", text)

    def test_loss_comes_before_all_else(self):
        text = ruleset([case(path.silent_drop())], loss=2.5)
        self.assertLess(text.index("numgen random mod 100000 < 2500 drop"), text.index("vmap"))

    def test_whose_path_can_lead_to_clean_targets(self):
        self.assertEqual(find_nft_scenario("order-ban").name, "order-ban")
        for name, words in (("ordr-ban", "'ordr-ban'.*order-ban"), ("ecn-no-server-tcp", "more than rules"),
                            ("mss-raised-tcp", "more than rules"), ("ecn-offline-closed", "port 9 is closed")):
            with self.subTest(name=name), self.assertRaisesRegex(LabError, words):
                find_nft_scenario(name)

    def test_a_lab_with_both(self):
        with Lab(behind="order-ban", loss=12.5) as lab:
            done = lab.run(["nft", "list", "table", "inet", "pathspider_lab"], room="router", capture_output=True)
        text = done.stdout.decode()
        self.assertIn("numgen random mod 100000 < 12500 drop", text)
        self.assertIn("ip daddr 10.64.0.0/10 goto towards_clean_4", text)
        self.assertIn("ip6 daddr fd00:21::/32 goto towards_clean_6", text)

    def test_a_path_that_does_not_exist_ends_the_lab(self):
        with self.assertRaisesRegex(LabError, "no scenario is called 'nonesuch'"):
            Lab(behind="nonesuch").start()

    def test_the_router_has_the_rules(self):
        with Lab() as lab:
            done = lab.run(["nft", "list", "table", "inet", "pathspider_lab"], room="router", capture_output=True)
        text = done.stdout.decode()
        for case_ in all_cases():
            if any(one.towards or one.back for one in case_.scenario.path):
                self.assertTrue(f"{case_.address} : goto" in text, case_.address)

    def test_each_rule_is_good_for_nft_alone(self):
        for version in (4, 6):
            for impairment in (path.icmp_unreachable("host-unreachable"), path.first_connection_fails(),
                               path.remark_ect("marked", "not-ect", towards=True, back=True)):
                with self.subTest(impairment=impairment.about, version=version):
                    done = subprocess.run(["unshare", "--net", "nft", "--check", "-f", "-"],
                                          input=ruleset([case(impairment, version=version)]), text=True,
                                          capture_output=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
