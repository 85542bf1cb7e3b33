"""``pspdr lab``: its words. What they do is tested where it is done, in tests/lab."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.programs import as_nobody

COMMAND = [sys.executable, "-m", "pathspider", "lab"]


def lab(*words, before=(), **options):
    return subprocess.run([*before, *COMMAND, *words], capture_output=True, text=True, timeout=60, check=False,
                          **options)


class TestWords(unittest.TestCase):
    def test_without_a_command_it_says_which_there_are(self):
        done = lab()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for name in ("list", "targets", "run", "shell", "check", "demo"):
            self.assertRegex(done.stderr, rf"(?m)^    {name} ")

    def test_targets_are_chosen_by_plugin_mode_and_version(self):
        jobs = [json.loads(line) for line in
                lab("targets", "--plugin", "ecn", "--connect", "dnstcp", "--ip-version", "6").stdout.splitlines()]
        self.assertTrue(jobs)
        self.assertTrue(all(":" in job["dip"] and job["dp"] == 53 for job in jobs), jobs)

    def test_with_hops_there_are_paths_that_say_at_which(self):
        """Without, there are none: a lab has eight routers only where somebody wants them."""
        usual, found = ({one["scenario"]: one.get("hop") for one in map(json.loads, lab(
            "list", "--json", "udpopts", *hops).stdout.splitlines())} for hops in ((), ("--hops", "8")))
        self.assertIsNone(usual["udpopts-dropped"])
        self.assertFalse(usual.keys() & found.keys())
        self.assertEqual((found["udpopts-dropped-at-3"], found["udpopts-clean-hops"]), (["dropped:3-4"], []))
        jobs = lab("targets", "--plugin", "udpopts", "--hops", "8").stdout.splitlines()
        self.assertEqual({json.loads(job)["scenario"] for job in jobs}, found.keys())

    def test_clean_targets_are_as_many_as_asked_for(self):
        self.assertEqual(len(lab("targets", "--clean", "7").stdout.splitlines()), 7)
        for number in ("0", "-1", "many"):
            done = lab("targets", "--clean", number)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("--clean", done.stderr)

    def test_a_run_needs_a_command(self):
        for words in (("run",), ("run", "--")):
            done = lab(*words)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertIn("no command given", done.stderr)

    def test_other_servers_than_there_are(self):
        done = lab("run", "--servers", "iis", "--", "true")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "--servers: .*iis.*builtin")

    def test_values_that_cannot_be(self):
        for words, said in ((("run", "--loss", "101", "--", "true"), "--loss: it is from 0 to 100"),
                            (("check", "--confirm", "1"), "--confirm: no rounds .*two and more"),
                            (("check", "--confirm", "-1"), "--confirm")):
            done = lab(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertRegex(done.stderr, said)

    def test_a_path_to_all_clean_targets_that_does_not_exist(self):
        done = lab("run", "--behind", "order-bann", "--", "true")
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertRegex(done.stderr, "^pspdr lab: no scenario is called 'order-bann'.*order-ban")

    def test_a_path_to_all_clean_targets_and_loss(self):
        script = "pspdr lab targets --clean 4 --connect tcp | pspdr measure -i lab0 ecn --connect tcp --timeout 1"
        done = lab("run", "--behind", "ecn-offline-tcp", "--loss", "1", "--", "sh", "-c",
                   script.replace("pspdr", f"{sys.executable} -m pathspider"))
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([record["conditions"][0] for record in records], ["ecn.connectivity.offline"] * 4, done.stderr)

    def test_a_file_of_scenarios_that_is_not_there(self):
        for words, status in ((("list",), 2), (("targets",), 2), (("run",), 125), (("check",), 2)):
            done = lab(*words, "--scenarios", "/nowhere/mine.py", *(["--", "true"] if words == ("run",) else []))
            self.assertEqual((done.returncode, done.stdout), (status, ""), words)
            self.assertIn("/nowhere/mine.py", done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_scenarios_of_a_file_are_listed(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "mine.py")
            file.write_text("from pathspider.lab.scenario import Scenario\n"
                            "SCENARIOS = [Scenario('ecn-mine', [], ['ecn'], {'ecn.connectivity.works'})]\n")
            rows = [json.loads(line) for line in lab("list", "--json", "--scenarios", str(file)).stdout.splitlines()]
        self.assertIn("ecn-mine", {row["scenario"] for row in rows})

    def test_a_shell_of_the_user_s_own(self):
        environment = os.environ | {"SHELL": "/bin/cat"}
        done = lab("shell", input="through the shell\n", env=environment)
        self.assertEqual((done.returncode, done.stdout), (0, "through the shell\n"), done.stderr)
        self.assertIn("lab0", done.stderr)

    def test_without_root_it_says_so(self):
        for words in (("run", "--", "true"), ("check", "ecn"), ("demo",)):
            done = lab(*words, before=as_nobody())
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, "(?m)^pspdr lab: .*root")
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
