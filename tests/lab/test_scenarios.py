"""The table of truth holds together."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.conditions import PLACEHOLDERS, matches
from pathspider.installed import declared_conditions
from pathspider.lab import Lab
from pathspider.lab.answers import Remark, Responder
from pathspider.lab.errors import LabError
from pathspider.lab.feedback import AccurateServer, WithoutEcho
from pathspider.lab.hellos import HelloDevice
from pathspider.lab.links import Outage, SmallLink
from pathspider.lab.mangler import MANGLERS
from pathspider.lab.plugins import find_plugin
from pathspider.lab.scenario import SERVERS
from pathspider.lab.scenarios import (
    FAMILIES,
    HOP_FAMILY,
    add_scenarios,
    all_cases,
    clean_jobs,
    mangled,
    no_ecn_addresses,
    served_by,
    twin_of,
)
from tests.programs import as_nobody

PLAYED = Responder | Remark | AccurateServer | WithoutEcho | HelloDevice | SmallLink | Outage
"""What manglers of one path each are."""

OWN = """
from pathspider.lab.impairments import silent_drop
from pathspider.lab.scenario import Scenario

SCENARIOS = [
    Scenario("example-clean", [], ["example"], {"example.works"}),
    Scenario("example-dropped", [silent_drop()], ["example"], {"example.broken"}),
]
"""


class TestTable(unittest.TestCase):
    def test_names_and_addresses_are_unique(self):
        cases = all_cases()
        self.assertEqual(len({case.address for case in cases}), len(cases))
        names = [one.name for family in FAMILIES.values() for one in family.scenarios]
        self.assertEqual(len(set(names)), len(names))
        numbers = [HOP_FAMILY, *(family.number for family in FAMILIES.values())]
        self.assertEqual(len(set(numbers)), len(numbers))

    def test_every_ecn_scenario_has_both_ip_versions(self):
        for scenario in FAMILIES["ecn"].scenarios:
            self.assertEqual(scenario.versions, (4, 6), scenario.name)

    def test_every_case_has_a_clean_twin(self):
        for case in all_cases():
            with self.subTest(scenario=case.scenario.name, version=case.version):
                twin = twin_of(case)
                self.assertIsNotNone(twin)
                self.assertEqual(twin.scenario.connect, case.scenario.connect)

    def test_family_names_are_the_plugins(self):
        for plugin, family in FAMILIES.items():
            self.assertEqual({scenario.plugin for scenario in family.scenarios}, {plugin})

    def test_server_kinds_are_known(self):
        for case in all_cases():
            self.assertIn(case.scenario.server, {"", *SERVERS})

    def test_every_documented_condition_has_a_scenario(self):
        """And the other way round: the lab expects nothing that is not documented."""
        groups = declared_conditions()
        for plugin in FAMILIES:
            documented = groups[plugin]
            values = PLACEHOLDERS | find_plugin(plugin).placeholders
            produced = {one for case in all_cases(plugin) for one in case.truth if not one.startswith("pathspider.")}
            for condition in documented:
                with self.subTest(condition=condition):
                    self.assertTrue(any(matches(one, condition, values) for one in produced), "no scenario shows it")
            for one in produced:
                with self.subTest(produced=one):
                    self.assertTrue(any(matches(one, condition, values) for condition in documented),
                                    "it is not documented")

    def test_what_each_path_is_confirmed_as(self):
        """A true drop stays; no path where order or time decide is surely broken."""
        for case in all_cases():
            suspects = find_plugin(case.scenario.plugin).suspects
            first = {one.rpartition(".")[2] for one in case.truth if ".connectivity." in one or one in suspects}
            words = {one.rpartition(".")[2] for truth in case.truths(confirmed=True) for one in truth
                     if ".stable." in one}
            name = case.scenario.name
            with self.subTest(scenario=name):
                if name.startswith("order-") or "-answer-missing-" in name or name.endswith("-blocked"):
                    self.assertNotEqual(words, {"broken"})
                elif first & {"broken", "transient"}:
                    self.assertEqual(words, {"broken"} if "broken" in first else {"works"})
                else:
                    self.assertEqual(words, set())

    def test_every_truth_names_connectivity_once(self):
        for case in all_cases("ecn"):
            words = [one for one in case.truth if one.startswith("ecn.connectivity.")
                     or (case.scenario.connect == "dnstcp" and one.startswith("ecn.response.differs:"))]
            self.assertEqual(len(words), 1, case.scenario.name)

    def test_every_family_has_both_ip_versions(self):
        for plugin in FAMILIES:
            self.assertEqual({case.version for case in all_cases(plugin)}, {4, 6}, plugin)

    def test_truths_differ_from_each_other_in_every_mode(self):
        for plugin in FAMILIES:
            self.assertGreater(len({frozenset(case.truth) for case in all_cases(plugin)}), 1, plugin)

    def test_addresses_of_special_servers(self):
        addresses = no_ecn_addresses()
        self.assertEqual(len(addresses), len(served_by("no-ecn", "no-tfo")))
        self.assertEqual(set(served_by("http1").values()), {"http1"})

    def test_what_is_mangled_is_known(self):
        used = {name for names in mangled().values() for name in names}
        self.assertEqual({one for one in used if not isinstance(one, PLAYED)}, set(MANGLERS.values()))


class TestJobs(unittest.TestCase):
    def test_job_of_a_case(self):
        case = next(case for case in all_cases("ecn", "https", 6))
        self.assertEqual(case.job, {"dip": "fd00:20::1:3", "dp": 443, "domain": "ecn-clean-https.lab.test",
                                    "scenario": "ecn-clean-https"})

    def test_clean_jobs_alternate(self):
        jobs = list(clean_jobs(5))
        self.assertEqual([job["dip"] for job in jobs],
                         ["10.64.0.1", "fd00:21::1", "10.64.0.2", "fd00:21::2", "10.64.0.3"])
        self.assertEqual({job["dp"] for job in jobs}, {80})
        self.assertEqual([job["domain"] for job in jobs], [f"clean-{number}.lab.test" for number in (1, 1, 2, 2, 3)])

    def test_clean_jobs_of_one_version(self):
        self.assertEqual([job["dip"] for job in clean_jobs(2, "https", 6)], ["fd00:21::1", "fd00:21::2"])


class TestOwnScenarios(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.dict(FAMILIES)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "mine.py")
        path.write_text(text)
        return str(path)

    def test_added_beside_the_others(self):
        add_scenarios(self.write(OWN))
        self.assertEqual([case.address for case in all_cases("example")],
                         ["10.20.200.1", "fd00:20::200:1", "10.20.200.2", "fd00:20::200:2"])

    def test_names_twice(self):
        path = self.write(OWN)
        add_scenarios(path)
        with self.assertRaisesRegex(LabError, r"line 6: a scenario called 'example-clean' .*line 6\); give"):
            add_scenarios(path)

    def test_names_twice_in_one_file(self):
        with self.assertRaisesRegex(LabError, r"line 7: a scenario called 'example-clean' exists already .*line 6\)"):
            add_scenarios(self.write(OWN.replace("example-dropped", "example-clean")))

    def test_further_ones_for_a_plugin_that_has_some(self):
        add_scenarios(self.write(OWN.replace('["example"]', '["ecn"]')))
        self.assertEqual([case.address for case in all_cases("ecn")[-2:]], ["10.20.200.2", "fd00:20::200:2"])

    def test_a_lab_has_them(self):
        with Lab(scenarios=[self.write(OWN)]) as lab:
            rules = lab.run(["nft", "list", "ruleset"], room="router", capture_output=True).stdout.decode()
        self.assertIn("10.20.200.2 : goto", rules)

    def test_a_lab_refuses_rules_that_nft_does_not_know(self):
        path = self.write(OWN.replace("silent_drop()", "silent_drop().__class__('x', ('vanish',))"))
        with self.assertRaises(LabError) as caught:
            Lab(scenarios=[path]).start()
        self.assertRegex(str(caught.exception), rf"^{path}, line 7: scenario 'example-dropped': nft did not take the "
                                                "rule 'vanish': syntax error.*$")

    def test_unusable_files(self):
        for text, words in (
            ("", "mine.py: it defines no SCENARIOS"),
            ("SCENARIOS = 5", "SCENARIOS is of type int"),
            ("SCENARIOS = [1]", r"SCENARIOS\[0\] is 1"),
            ("\nimport", "mine.py, line 2: SyntaxError: invalid syntax$"),
            ("\n\n1 / 0", "mine.py, line 3: ZeroDivisionError"),
            ("SCENARIOS = [\nScenario()]", "mine.py, line 2: NameError: name 'Scenario'"),
            ("import sys\nsys.exit(3)", "mine.py, line 2: SystemExit: 3"),
            ("open('/nonexistent')", "mine.py, line 1: FileNotFoundError.*'/nonexistent'"),
        ):
            with self.subTest(text=text), self.assertRaisesRegex(LabError, words):
                add_scenarios(self.write(text))
        with self.assertRaisesRegex(LabError, "^/nonexistent/missing.py: No such file or directory; --scenarios names"):
            add_scenarios("/nonexistent/missing.py")
        with self.assertRaisesRegex(LabError, "300 scenarios"):
            add_scenarios(self.write(OWN + "SCENARIOS = SCENARIOS * 150"))

    def test_root_runs_nothing_that_others_can_write(self):
        path = Path(self.write(OWN))
        for one in (path, path.parent):
            ours = one.stat().st_mode
            for mode, owner, group, words in (
                (0o722, 0, 5, r"can be written by others \(mode 0722\), and root would run .* chmod go-w "),
                (0o720, 0, 5, r"can be written by others"), (0o702, 0, 0, "can be written by others"),
                (0o700, 1234, 0, "belongs to user 1234, and root would run .* chown -h root "),
            ):
                os.chown(one, owner, group)
                one.chmod(mode)
                where = "it" if one == path else f"{one}, on the way to it,"
                with self.subTest(one=one, mode=mode), self.assertRaisesRegex(LabError, f"^{path}: {where} {words}"):
                    add_scenarios(str(path))
            os.chown(one, 0, 0)
            one.chmod(ours)
        add_scenarios(str(path))

    def test_root_follows_no_link_of_somebody_else_s(self):
        link = Path(self.write("")).with_name("link.py")
        link.symlink_to(self.write(OWN))
        os.chown(link, 1234, 1234, follow_symlinks=False)
        with self.assertRaisesRegex(LabError, f"^{link}: {link}, on the way to it, belongs to user 1234"):
            add_scenarios(str(link))

    def test_what_belongs_to_who_called_sudo_is_run(self):
        for environment, mode, trusted in (({"SUDO_UID": "1234", "SUDO_GID": "1234"}, 0o664, True),
                                           ({"SUDO_UID": "1234", "SUDO_GID": "100"}, 0o644, True),
                                           ({"SUDO_UID": "1234", "SUDO_GID": "100"}, 0o664, False),
                                           ({"SUDO_UID": "1235", "SUDO_GID": "1235"}, 0o644, False)):
            path = self.write(OWN.replace("example-", f"example-{environment['SUDO_GID']}-"))
            os.chown(path, 1234, int(environment["SUDO_GID"]))
            os.chmod(path, mode)
            with self.subTest(environment), mock.patch.dict(os.environ, environment):
                if trusted:
                    add_scenarios(path)
                else:
                    self.assertRaisesRegex(LabError, "root would run", add_scenarios, path)

    def test_who_is_not_root_runs_his_own_risk(self):
        path = Path(self.write(OWN))
        path.parent.chmod(0o777)
        path.chmod(0o666)
        done = subprocess.run([*as_nobody(), sys.executable, "-m", "pathspider", "lab", "list", "--scenarios", path],
                              capture_output=True, text=True, check=False)
        self.assertIn("example-dropped", done.stdout, done.stderr)

    def test_values_that_cannot_be(self):
        for old, new, words in (
            ('"example-clean"', '"a b"', "'a b': a name is made of"),
            ('"example-clean"', "7", "7: a name is made of"),
            ('[], ["example"]', '5, ["example"]', "the path is 5; it is a list of impairments"),
            ('[], ["example"]', '["drop"], ["example"]', "it is a list of impairments"),
            ('[], ["example"]', '[], "example"', "'example'; it is a list of the plugin's name"),
            ('[], ["example"]', "[], []", "the plugin's name"),
            ('[], ["example"]', '[], ["--connect", "tcp"]', "begins with '--connect'"),
            ('[], ["example"]', '[], ["x", "--connect", "xyz"]', "--connect xyz: no .*; there are tcp, http"),
            ('[], ["example"]', '[], ["x", "--connect"]', "--connect : no connection mode"),
            ('{"example.works"}', '"example.works"', "are 'example.works'; they are a set"),
            ('{"example.works"}', "{1}", r"are \{1\}; they are a set"),
            ('{"example.works"}', '{4: {"x"}}', r"for IP versions \[4\]; its versions are \[4, 6\]"),
            ('{"example.works"}', '{"example.works"}, server="x"', "no server is called 'x'; there are no-ecn"),
            ('{"example.works"}', '{"example.works"}, port="x"', "the port is 'x'"),
            ('{"example.works"}', '{"example.works"}, instead={"x"}', r"instead is \{'x'\}; it is a list of sets"),
            ('{"example.works"}', '{"example.works"}, stable="works"', "stable is 'works'; it is a list of words: b"),
            ('{"example.works"}', '{"example.works"}, stable=["x"]', r"stable is \['x'\]; it is a list of words"),
            ('{"example.works"}', '{"example.works"}, versions=4', "the versions are 4"),
        ):
            with self.subTest(new=new), self.assertRaisesRegex(LabError, f"mine.py, line 6: scenario .*{words}"):
                add_scenarios(self.write(OWN.replace(old, new, 1)))

    def test_impairments_that_cannot_be(self):
        for arguments, words in (("'drop'", "towards is 'drop'"), ("(), [1]", r"back is \[1\]"),
                                 ("('$nope drop',)", "'nope'.*there are \\$ip"),
                                 ("mangle='x'", "'x'; it is a function .* or one of raise_mss")):
            text = OWN.replace("silent_drop()", f"silent_drop().__class__('x', {arguments})")
            with self.subTest(arguments=arguments), self.assertRaisesRegex(LabError, f"mine.py, line 7: .*{words}"):
                add_scenarios(self.write(text))

    def test_one_message_and_a_usage_error(self):
        path = self.write(OWN.replace('["example"]', '["x", "--connect", "xyz"]'))
        done = subprocess.run([sys.executable, "-m", "pathspider", "lab", "check", "--scenarios", path, "x"],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, rf"^pspdr lab: {path}, line 6: .*--connect xyz.*\n$")
