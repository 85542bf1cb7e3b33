"""The shape of a scenario: what it says of itself, and where it lies. What cannot be one: test_scenarios.py."""

import unittest

from pathspider.lab.errors import LabError
from pathspider.lab.impairments import silent_drop
from pathspider.lab.plugins import find_plugin
from pathspider.lab.scenario import Case, Family, Scenario, cases_of, connect_mode, without_mode
from pathspider.lab.scenarios import FAMILIES


class TestScenario(unittest.TestCase):
    def test_clean_and_not(self):
        self.assertTrue(Scenario("x", [], ["ecn"], set()).clean)
        for what in ({"path": [silent_drop()]}, {"server": "no-ecn"}, {"port": 9}):
            scenario = Scenario(**{"name": "x", "path": [], "measure": ["ecn"], "expect": set(), **what})
            self.assertFalse(scenario.clean, what)
            self.assertNotEqual(scenario.about, "clean")

    def test_all_that_is_special_is_told(self):
        drop = silent_drop()
        scenario = Scenario("x", [drop, drop], ["ecn"], set(), server="no-ecn", port=9)
        self.assertEqual(scenario.about, f"{drop.about}; {drop.about}; server without ECN; port 9 is closed")

    def test_port_of_its_own(self):
        scenario = Scenario("x", [], ["ecn", "--connect", "tcp"], set(), port=9)
        self.assertFalse(scenario.clean)
        self.assertEqual(scenario.about, "port 9 is closed")

    def test_the_truth_may_differ_between_the_versions(self):
        scenario = Scenario("x", [], ["ecn"], {4: {"a.b"}, 6: {"a.c"}})
        self.assertEqual([case.truth for case in cases_of(Family(9, [scenario]))], [{"a.b"}, {"a.c"}])
        same = Scenario("x", [], ["ecn"], {"a.b"})
        self.assertEqual((same.truth(4), same.truth(6)), ({"a.b"}, {"a.b"}))

    def test_what_is_stable_follows_from_the_first_word(self):
        for first, stable, words in (("broken", (), ["broken"]), ("transient", (), ["works"]), ("works", (), [None]),
                                     ("broken", ("unstable",), ["unstable"]), ("offline", (), [None]),
                                     ("broken", ("works", "unstable"), ["works", "unstable"])):
            scenario = Scenario("x", [], ["ecn"], {f"a.connectivity.{first}", "a.b"}, stable=stable)
            plain = {f"a.connectivity.{first}", "a.b"}
            with self.subTest(first=first, stable=stable):
                self.assertEqual(scenario.truths(4), [plain])
                self.assertEqual(scenario.truths(4, confirmed=True),
                                 [plain | ({f"a.stable.connectivity.{word}"} if word else set()) for word in words])

    def test_what_chance_decides(self):
        works, broken = {"a.connectivity.works"}, {"a.connectivity.broken"}
        scenario = Scenario("x", [], ["ecn"], works, instead=[broken], stable=("works", "unstable"))
        self.assertEqual((scenario.truth(4), scenario.truths(6)), (works, [works, broken]))
        self.assertEqual(scenario.truths(6, confirmed=True), [works, broken | {"a.stable.connectivity.works"},
                                                              broken | {"a.stable.connectivity.unstable"}])

    def test_where_it_stands_is_told(self):
        one = Scenario("x", [], ["ecn"], set())
        two = Scenario("x", [], ["ecn"], set())
        self.assertRegex(one.where, r"test_scenario\.py, line \d+$")
        line_of = [int(scenario.where.rpartition(" ")[2]) for scenario in (one, two)]
        self.assertEqual(line_of[1] - line_of[0], 1)

    def test_ports_and_names_at_their_limits(self):
        for port in (1, 65535):
            self.assertEqual(Scenario("x" * 63, [], ["ecn"], set(), port=port).port, port)
        for name, port in (("x" * 64, 80), ("x", 0), ("x", 65536), ("", 80), ("x\n", 80)):
            with self.assertRaises(LabError):
                Scenario(name, [], ["ecn"], set(), port=port)


class TestCases(unittest.TestCase):
    def test_numbers_go_on_where_a_version_is_missing(self):
        rows = [Scenario("a", [], ["ecn"], set()), Scenario("b", [], ["ecn"], set(), versions=(6,)),
                Scenario("c", [], ["ecn"], set(), versions=(4,))]
        self.assertEqual([(case.scenario.name, case.address) for case in cases_of(Family(9, rows))],
                         [("a", "10.20.9.1"), ("a", "fd00:20::9:1"), ("b", "fd00:20::9:2"), ("c", "10.20.9.3")])

    def test_more_than_a_number_has_addresses_for(self):
        cases = [*cases_of(Family(9, [Scenario("a", [], ["ecn"], set(), versions=(4,))] * 255))]
        self.assertEqual([case.address for case in cases[253:]], ["10.20.9.254", "10.20.109.1"])
        with self.assertRaisesRegex(ValueError, "family 309"):
            [*cases_of(Family(209, [Scenario("a", [], ["ecn"], set())] * 255))]

    def test_the_jobs_port_is_that_of_the_mode_unless_it_has_its_own(self):
        for measure, port, want in ((["ecn"], None, 80), (["ecn", "--connect", "dnstcp"], None, 53),
                                    (["udpzero"], None, 53), (["ecn", "--connect=https"], 9, 9)):
            job = Case(Scenario("x", [], measure, set(), port=port), 9, 1, 4).job
            self.assertEqual(job, {"dip": "10.20.9.1", "dp": want, "domain": "x.lab.test", "scenario": "x"})


class TestConnectionMode(unittest.TestCase):
    def test_connection_mode(self):
        self.assertEqual(connect_mode(["ecn"]), "http")
        self.assertEqual(connect_mode(["ecn", "--connect", "tcp"]), "tcp")
        self.assertEqual(connect_mode(["ecn", "--connect=tcp", "--timeout", "3"]), "tcp")
        self.assertEqual(connect_mode(["dnsresolv"]), "tcp")
        with self.assertRaisesRegex(LabError, "no plugin called 'example'.*pip.*PYTHONPATH"):
            connect_mode(["example"])

    def test_the_last_one_counts(self):
        self.assertEqual(connect_mode(["ecn", "--connect", "tcp", "--connect=https"]), "https")

    def test_default_modes_are_the_plugins(self):
        for plugin in FAMILIES:
            self.assertEqual(connect_mode([plugin]), find_plugin(plugin).connect_supported[0])

    def test_arguments_without_the_mode(self):
        for measure in (["ecn"], ["ecn", "--connect", "tcp"], ["ecn", "--connect=tcp"]):
            self.assertEqual(without_mode(measure), ["ecn"])
        self.assertEqual(without_mode(["dscp", "--connect", "tcp", "--codepoint", "10"]), ["dscp", "--codepoint", "10"])


if __name__ == "__main__":
    unittest.main()
