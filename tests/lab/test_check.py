"""``pspdr lab check``: comparing, and the ECN family for real, with the built-in servers and with nginx."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.helpers.optional import MissingError
from pathspider.lab import check
from pathspider.lab.check import Result, Run, compare
from pathspider.lab.demo import found
from pathspider.lab.errors import LabError
from pathspider.lab.hops import BRANCH, Place, Route
from pathspider.lab.impairments import drop_ecn_setup_syn
from pathspider.lab.scenario import Family, Scenario, cases_of
from pathspider.lab.scenarios import all_cases
from tests import in_checkout

CASE = all_cases("ecn")[0]


def record(case, **changes):
    return json.dumps(case.job | {"conditions": sorted(case.truth)} | changes)


class TestCompare(unittest.TestCase):
    def test_right(self):
        (result,) = compare([CASE], [record(CASE)])
        self.assertTrue(result.right)

    def test_missing_record(self):
        (result,) = compare([CASE], [])
        self.assertFalse(result.right)
        self.assertEqual((result.found, result.records), (None, 0))
        self.assertEqual(result.missing, sorted(CASE.truth))

    def test_record_without_conditions(self):
        (result,) = compare([CASE], [json.dumps(CASE.job)])
        self.assertFalse(result.right)

    def test_wrong_missing_doubled(self):
        truth = sorted(CASE.truth)
        for conditions in (truth[1:], [*truth, "ecn.x"], [*truth, truth[0]], ["ecn.x"]):
            with self.subTest(conditions=conditions):
                (result,) = compare([CASE], [record(CASE, conditions=conditions)])
                self.assertFalse(result.right)
                self.assertTrue(result.missing or result.wrong)

    def test_two_records_for_a_path(self):
        (result,) = compare([CASE], [record(CASE), record(CASE)])
        self.assertFalse(result.right)

    def test_of_another_address(self):
        (result,) = compare([CASE], [record(CASE, dip="10.20.1.99")])
        self.assertFalse(result.right)

    def test_the_place_on_a_path_of_hops(self):
        """An interval may be wider than need be, and no other word, no second one and no missing one is right."""
        scenario = Scenario("x", [], ["ecn"], {"ecn.connectivity.works"}, route=Route(4),
                            place=Place("changed:4-5", ("not_located:rate_limited",)))
        (case, _) = cases_of(Family(9, [scenario]))
        for words, right, smallest in ((["changed:4-5"], True, True), (["changed:3-6"], True, False),
                                       (["not_located:rate_limited"], True, False), ([], False, False),
                                       (["changed:5-6"], False, False), (["changed:4-5", "first"], False, False)):
            with self.subTest(words):
                found = ["ecn.connectivity.works", *(f"ecn.hop.{word}" for word in words)]
                (result,) = compare([case], [record(case, conditions=found)])
                self.assertEqual((result.right, result.smallest), (right, smallest))
                self.assertEqual(bool(result.missing or result.wrong), not right)

    def test_no_place_where_nothing_happens_or_chance_did_nothing(self):
        route = Route(BRANCH, branches=True)
        clean = Scenario("x", [], ["ecn"], {"ecn.connectivity.works"}, route=Route())
        chance = Scenario("y", [drop_ecn_setup_syn()], ["ecn"], {"ecn.connectivity.broken"}, route=route,
                          place=Place("dropped:4-5"), instead=[{"ecn.connectivity.works"}])
        for scenario, conditions, right in ((clean, ["ecn.connectivity.works"], True),
                                            (clean, ["ecn.connectivity.works", "ecn.hop.changed:1-2"], False),
                                            (chance, ["ecn.connectivity.works"], True),
                                            (chance, ["ecn.connectivity.broken"], False),
                                            (chance, ["ecn.connectivity.broken", "ecn.hop.dropped:4-5"], True)):
            (case, _) = cases_of(Family(9, [scenario]))
            (result,) = compare([case], [record(case, conditions=conditions)])
            self.assertEqual(result.right, right, conditions)

    def test_what_has_a_place_is_measured_in_a_run_of_its_own(self):
        scenarios = [Scenario(name, [], ["ecn"], set(), route=route) for name, route in (("x", None), ("y", Route()))]
        self.assertEqual([(run.locate, len(run.cases)) for run in check.plan(list(cases_of(Family(9, scenarios))))],
                         [(False, 2), (True, 2)])

    def test_what_is_stable_belongs_to_rounds(self):
        case = next(one for one in all_cases("ecn") if one.scenario.name == "order-ban")
        with_rounds = record(case, conditions=sorted(case.truth | {"ecn.stable.connectivity.unstable"}))
        for line, confirmed, right in ((record(case), False, True), (record(case), True, False),
                                       (with_rounds, True, True), (with_rounds, False, False)):
            (result,) = compare([case], [line], confirmed=confirmed)
            self.assertEqual(result.right, right, (line, confirmed))
            self.assertEqual(right, not result.missing and not result.wrong)

    def test_where_chance_decides(self):
        case = next(one for one in all_cases("ecn") if one.scenario.name == "order-backend-dead-by-port")
        for number, truth in enumerate(case.truths()):
            (result,) = compare([case], [record(case, conditions=sorted(truth))])
            self.assertTrue(result.right, number)
        (result,) = compare([case], [record(case, conditions=["ecn.connectivity.broken"])])
        self.assertEqual((result.missing, result.wrong), ([f"ecn.ipmark.{mark}.not_seen"
                                                           for mark in ("ce", "ect0", "ect1")], []))

    def test_broken_line(self):
        (result,) = compare([CASE], ["{", record(CASE)])
        self.assertTrue(result.right)


class TestPlan(unittest.TestCase):
    def test_what_cannot_be_shown_is_left_out(self):
        def needed(*of):
            return {case.scenario.needs for case in check.to_measure(["ecn"], *of)}

        def marks(*of):
            return {word for case in check.to_measure(["ecn"], *of) for word in case.scenario.measure} & {
                "--feedback", "--syn-ect"}

        self.assertEqual((needed(), needed("apache")), ({"", "odd-web", "odd-dns"}, {""}))
        self.assertEqual((marks(), marks("builtin", ["--lockstep"])), ({"--feedback", "--syn-ect"}, set()))

    def test_what_is_not_installed_is_left_out_with_a_word(self):
        cases = check.to_measure(["dscp"])
        with mock.patch("pathspider.lab.check.require_aioquic", side_effect=MissingError("no aioquic")):
            stream = io.StringIO()
            left = check.installed(cases, stream)
            self.assertEqual({case.scenario.connect for case in left}, {"http", "tcp", "dnsudp", "dnstcp"})
            self.assertEqual(stream.getvalue(), f"left out: {len(cases) - len(left)} paths, since no aioquic\n")
            with self.assertRaisesRegex(LabError, "^no aioquic$"):
                check.installed([case for case in cases if case.scenario.needs == "h3"], None)
        with mock.patch("pycurl.version_info", return_value=(0, "7.88.1", 0, "", 0)):
            self.assertEqual({case.scenario.connect for case in check.installed(cases, None)},
                             {"http", "tcp", "dnsudp", "dnstcp"})

    def test_same_arguments_share_a_run(self):
        runs = check.plan(all_cases("ecn"))
        self.assertEqual(len(runs), 8)  # four modes, without further connections and with them
        self.assertEqual(sum(len(run.cases) for run in runs), len(all_cases("ecn")))


class TestReport(unittest.TestCase):
    def report(self, run):
        with contextlib.redirect_stdout(io.StringIO()) as text:
            check.report([run])
        return text.getvalue()

    def test_no_difference(self):
        run = Run(["ecn"], [CASE], results=[Result(CASE, tuple(CASE.truth))])
        self.assertTrue(run.right)
        self.assertEqual(self.report(run), "1 paths, all as the truth has it\n")

    def test_differences_are_named(self):
        run = Run(["ecn"], [CASE], results=[Result(CASE, ("ecn.connectivity.broken",))])
        text = self.report(run)
        self.assertFalse(run.right)
        for part in (CASE.scenario.name, CASE.address, "ecn.connectivity.works", "ecn.connectivity.broken", "1 diff"):
            self.assertIn(part, text)
        self.assertEqual(check.as_data([run], "builtin")["differences"], 1)

    def test_failed_run(self):
        run = Run(["ecn"], [CASE], status=1, errors="out of paper", results=[Result(CASE, None, 0)])
        text = self.report(run)
        self.assertIn("no record", text)
        self.assertIn("out of paper", text)

    def test_a_run_that_could_not_begin_comes_first_and_is_no_difference(self):
        refused = Run(["ecn", "--nope"], [CASE], status=2, errors="no such option", results=[Result(CASE, None, 0)])
        self.assertFalse(refused.right)
        text = self.report(refused)
        self.assertTrue(text.startswith("1 paths were not measured: pspdr measure ecn --nope said:\nno such option\n"))
        self.assertNotIn("no record", text)
        self.assertIn("no path was measured", text)


class TestRequired(unittest.TestCase):
    """What cannot be measured is said before a lab is made."""

    def check(self, text, *plugins, **variables):
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder, "pathspider", "plugins")
            package.mkdir(parents=True)
            for part in (package, package.parent):
                (part / "__init__.py").write_text(
                    "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n")
            (package / "mine.py").write_text(
                "from pathspider.base import PluggableSpider\nfrom pathspider.desync import DesynchronizedSpider\n"
                "class Mine(DesynchronizedSpider, PluggableSpider):\n"
                "    'Mine.'\n    name, description, version = 'mine', 'Mine', '1'\n")
            (package / "broken.py").write_text("1 / 0\n")
            Path(folder, "paths.py").write_text(f"from pathspider.lab.scenario import Scenario\nSCENARIOS = [{text}]\n")
            return subprocess.run(
                [sys.executable, "-P", "-m", "pathspider", "lab", "check", "--scenarios", "paths.py", *plugins],
                cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)

    def test_plugin_that_is_not_found(self):
        done = self.check("Scenario('mine-clean', [], ['mine'], {'x'})", "mine")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, "^pspdr lab: paths.py, line 2: scenario 'mine-clean': there is no plugin called "
                                      "'mine'; .*installed with pip.*PYTHONPATH=\\. before pspdr.*\n$")

    def test_plugin_that_is_found(self):
        done = self.check("Scenario('mine-clean', [], ['mine', '--connect', 'tcp'], {'x'})", "mine", PYTHONPATH=".")
        self.assertEqual(done.returncode, 2)
        self.assertIn("mine has no --connect tcp; it has no connection modes, leave it out", done.stderr)

    def test_plugin_that_cannot_be_imported_is_told_once(self):
        done = self.check("Scenario('broken-clean', [], ['broken'], {'x'})", "broken", PYTHONPATH=".")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr.count("ZeroDivisionError"), 1)
        self.assertIn("no plugin called 'broken'; its module cannot be imported, for the reason above", done.stderr)

    def test_connection_mode_that_the_plugin_has_not(self):
        done = self.check("Scenario('e', [], ['ecn', '--connect', 'dnsudp'], {'x'})", "ecn")
        self.assertEqual(done.returncode, 2)
        self.assertIn("scenario 'e': ecn has no --connect dnsudp; it has http, https, tcp, dnstcp", done.stderr)

    def test_condition_that_the_plugin_does_not_declare(self):
        done = self.check("Scenario('e', [], ['ecn'], {'ecn.connectivity.wroks', 'ecn.negotiation.failed'})", "ecn")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("paths.py, line 2: scenario 'e': ecn.connectivity.wroks is expected, which ecn does not declare",
                      done.stderr)

    def test_option_that_the_plugin_has_not(self):
        text = "Scenario('r', [], ['dnsresolv', '--nope'], {'pathspider.not_measured'}, versions=(4,))"
        done = self.check(text, "dnsresolv")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("1 paths were not measured: pspdr measure dnsresolv --nope said:\n"))


class TestDemo(unittest.TestCase):
    def test_conditions_in_short(self):
        result = Result(CASE, ("ecn.connectivity.works", "ecn.negotiation.failed", "ecn.ipmark.ce.seen",
                               "ecn.ipmark.ect0.not_seen"))
        self.assertEqual(found(result), "works, negotiation failed, ce seen")
        self.assertEqual(found(Result(CASE, None, 0)), "no record")


class TestAll(unittest.TestCase):
    """The product's own command against the truth; what ECN looks like without it is in test_impairments."""

    def check(self, plugins, servers, **options):
        """A few paths may have no word since the machine was too busy; none has a wrong one."""
        for run in check.check(plugins, servers, **options):
            found = [result for result in run.results if result.found != ("pathspider.local_error:overloaded",)]
            self.assertGreater(len(found), 0.8 * len(run.results), run.errors)
            self.assertEqual(run.status, int(len(found) < len(run.results)), run.errors)
            for result in found:
                with self.subTest(scenario=result.case.scenario.name, address=result.case.address):
                    self.assertEqual(result.records, 1)
                    self.assertEqual(sorted(result.found), sorted(result.truth))

    def test_with_built_in_servers(self):
        self.check([], "builtin")

    def test_with_rounds(self):
        """Those of ECN are all the paths that order and time decide."""
        self.check(["ecn", "udpopts", "evilbit"], "builtin", confirm=2)

    @in_checkout
    def test_with_nginx(self):
        self.check(["ecn", "h2", "tfo"], "nginx")

    @in_checkout
    def test_with_apache_and_knot(self):
        self.check(["h2", "tfo", "dscp", "udpzero"], "apache")
