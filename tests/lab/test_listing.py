"""``pspdr lab list`` and ``pspdr lab targets``."""

import contextlib
import io
import json
import unittest
from unittest import mock

from pathspider.lab.errors import LabError
from pathspider.lab.families.ecn import FINE_WITHOUT_DATA
from pathspider.lab.families.order import TRANSIENT
from pathspider.lab.hops import Place, Route
from pathspider.lab.listing import places, print_table, show_list, show_targets, truth
from pathspider.lab.plugins import find_plugin
from pathspider.lab.scenario import Family, Scenario
from pathspider.lab.scenarios import FAMILIES, all_cases


def output(function, *arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        function(*arguments, **options)
    return text.getvalue()


def jobs(*arguments):
    return [json.loads(line) for line in output(show_targets, *arguments).splitlines()]


class TestTargets(unittest.TestCase):
    def test_of_a_plugin_are_those_of_its_default_mode(self):
        for plugin in FAMILIES:
            with self.subTest(plugin=plugin):
                found = jobs(plugin, None, None, None)
                self.assertEqual(found, jobs(plugin, find_plugin(plugin).connect_supported[0], None, None))
                self.assertTrue(found)

    def test_are_measured_with_one_command(self):
        names = {job["scenario"] for job in jobs("dscp", "tcp", None, None)}
        measured = {tuple(case.scenario.measure) for case in all_cases("dscp") if case.scenario.name in names}
        self.assertEqual(measured, {("dscp", "--connect", "tcp")})  # not those with --codepoint 10

    def test_of_all_plugins(self):
        self.assertEqual(jobs(None, None, None, None), [case.job for case in all_cases()])

    def test_of_one_mode_and_version(self):
        found = jobs("ecn", "https", None, 6)
        self.assertEqual({job["dp"] for job in found}, {443})
        self.assertTrue(all(":" in job["dip"] for job in found))

    def test_clean(self):
        self.assertEqual(len(jobs(None, None, 1000, None)), 1000)
        self.assertEqual([job["dp"] for job in jobs("ecn", "https", 2, None)], [443, 443])
        self.assertEqual([job["dp"] for job in jobs("udpzero", None, 1, 4)], [53])

    def test_unknown_plugin_and_mode(self):
        with self.assertRaisesRegex(LabError, "'nonesuch'.*ecn"):
            show_targets("nonesuch", None, None, None)
        with self.assertRaisesRegex(LabError, "--connect carrier-pigeon"):
            show_targets("ecn", "carrier-pigeon", None, None)
        with self.assertRaisesRegex(LabError, "carrier-pigeon.*http"):
            show_targets("ecn", "carrier-pigeon", 5, None)
        with self.assertRaisesRegex(LabError, "udpzero with --connect tcp; .*--connect dnsudp$"):
            show_targets("udpzero", "tcp", None, None)


class TestOwnOptions(unittest.TestCase):
    def test_where_every_path_is_measured_with_some(self):
        with_options = ["dnsresolv", "--resolver", "10.64.0.1"]
        rows = [Scenario("x-1", [], with_options, {"x"}), Scenario("x-2", [], ["dnsresolv", "--timeout", "9"], {"x"}),
                Scenario("x-3", [], [*with_options, "--connect=tcp"], {"x"}, versions=(4,))]
        with mock.patch.dict(FAMILIES, {"mine": Family(200, rows)}):
            names = [job["scenario"] for job in jobs("dnsresolv", None, None, None)]
        self.assertEqual(names, ["x-1", "x-1", "x-3"])


class TestList(unittest.TestCase):
    def test_table_names_everything(self):
        text = output(show_list, ["ecn"])
        for case in all_cases("ecn"):
            self.assertIn(case.scenario.name, text)
            self.assertIn(case.address, text)
            for condition in case.truth:
                self.assertIn(condition, text)

    def test_what_chance_decides_and_what_is_stable(self):
        scenarios = {case.scenario.name: case.scenario for case in all_cases("ecn")}
        for name, lines in (("order-backend-dead", ["ecn.stable.connectivity.unstable"]),
                            ("order-flapping", [f"or {', '.join(sorted(FINE_WITHOUT_DATA - TRANSIENT))}",
                                                "or ecn.connectivity.offline",
                                                "ecn.stable.connectivity.works|unstable"]),
                            ("ecn-syn-dropped-tcp", ["ecn.stable.connectivity.broken"]), ("ecn-clean-tcp", [])):
            with self.subTest(name=name):
                self.assertEqual(truth(scenarios[name])[len(scenarios[name].truth(4)):], lines)

    def test_the_place_on_a_path_of_hops(self):
        scenario = Scenario("x", [], ["ecn"], FINE_WITHOUT_DATA, route=Route(),
                            place=Place("changed:4-5", ("not_located:rate_limited",)))
        self.assertEqual(truth(scenario)[-2:], ["*.hop.changed:4-5", "*.hop.not_located:rate_limited"])
        self.assertEqual(places(scenario), {"hop": ["changed:4-5", "not_located:rate_limited"]})
        nothing = Scenario("y", [], ["ecn"], FINE_WITHOUT_DATA, route=Route())
        self.assertEqual((places(nothing), truth(nothing)), ({"hop": []}, sorted(FINE_WITHOUT_DATA)))
        self.assertEqual(places(Scenario("z", [], ["ecn"], FINE_WITHOUT_DATA)), {})

    def test_json(self):
        rows = [json.loads(line) for line in output(show_list, [], as_json=True).splitlines()]
        self.assertEqual([row["address"] for row in rows], [case.address for case in all_cases()])
        self.assertEqual(rows[0]["measure"], ["ecn", "--connect", "tcp"])
        self.assertEqual([row["confirmed"] for row in rows],
                         [[sorted(one) for one in case.truths(confirmed=True)] for case in all_cases()])


class TestTable(unittest.TestCase):
    def test_wraps_what_may_wrap(self):
        text = output(print_table, [("A", "B"), ("one", "word " * 20), ("x\ny", "z")], wrap=(1,), width=40)
        lines = text.splitlines()
        self.assertTrue(all(len(line) <= 40 for line in lines))
        self.assertEqual(lines[-2:], ["x    z", "y"])
