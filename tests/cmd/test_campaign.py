"""``pspdr campaign --local`` from the outside: real processes, which are killed."""

import gc
import json
import os
import shutil
import signal
import subprocess
import warnings

from pathspider.campaign.folder import Campaign
from tests.campaign.cases import FolderCase
from tests.helpers.netlab import HTTP, V4, NetLab, sh


class TestLocal(FolderCase):
    def test_all_of_it(self):
        done = self.pspdr(*self.local())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_each_once()
        status, shown, _ = self.here("campaign", "status", "c")
        self.assertEqual((status, shown.splitlines()[-1].split()[:3]), (0, ["local", "10", "10"]))
        self.assertEqual(json.loads(self.here("campaign", "status", "c", "--json")[1])["state"], "ended")
        self.assertEqual(self.here("campaign", "records", "c", "--output", "all.ndjson")[0], 0)
        run, = json.loads((self.folder / "all.ndjson.meta.json").read_bytes())["runs"]
        self.assertEqual((run["records"], run["vantage"]["name"], run["targets"]["complete"]), (10, "local", True))
        self.assertIn("in c, but local", self.here("campaign", "records", "c", "--vantage", "ber")[2])
        self.assertIn("something in this file", self.here("campaign", "records", "c", "-o", "all.ndjson")[2])

    def test_where_no_interface_is_named(self):
        """As for measure: the one that leads to the first target that can be one."""
        self.targets.write_text('{"dip": "foo"}\n{"dip": "127.0.0.1", "dp": 9}\n', encoding="utf-8")
        done = self.pspdr(*(word for word in self.local() if word not in ("-i", "lo")))
        self.assertIn("measuring through lo", done.stderr)
        self.assertEqual(Campaign(self.folder / "c").definition.here, ["--interface=lo"])
        self.assertEqual(len(self.records()), 2)

    def test_targets_that_cannot_be_measured_are_named_and_counted(self):
        with open(self.targets, "a", encoding="utf-8") as file:
            file.write('{"dip": "foo"}\n{"dip": "10.0.0.1", "dp": 99999}\n')
        done = self.pspdr(*self.local())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("targets.ndjson, line 12: dip_not_an_address: this target cannot be measured", done.stderr)
        self.assertIn("targets.ndjson, line 13: dp_not_a_port", done.stderr)
        self.assertIn("2 targets of ", done.stderr)
        status, shown, _ = self.here("campaign", "status", "c")
        self.assertEqual(status, 0)
        self.assertIn("2 targets of the list cannot be measured", shown)
        self.assertEqual(json.loads(self.here("campaign", "status", "c", "--json")[1])["unmeasurable"], 2)
        self.assertEqual(self.pspdr("campaign", "run", "c").returncode, 1)

    def test_a_line_that_is_no_target_is_an_exit_status(self):
        with open(self.targets, "a", encoding="utf-8") as file:
            file.write("no target\n")
        done = self.pspdr(*self.local())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("line 12", done.stderr)
        self.assert_each_once()

    def paused(self, number):
        """The command of a campaign that waits in the midst of this chunk, and the pipe at which it does."""
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        return self.local("--at", self._target(number), "--wait", pipe), pipe

    def _target(self, number):
        """A target of this chunk, which is the same in each campaign of this list and seed."""
        campaign = self.create(seed=0)
        found = campaign.chunk("local", number).jobs[2]["dip"]
        shutil.rmtree(campaign.folder)
        return found

    def state(self):
        return json.loads(self.here("campaign", "status", "c", "--json")[1])["state"]

    def test_killed_and_run_again(self):
        words, pipe = self.paused(1)
        with subprocess.Popen(self.command(*words), env=self.environment(), cwd=self.folder,
                              stderr=subprocess.PIPE) as process, pipe.open("w"):  # it waits there
            self.assertEqual(self.state(), "running")
            process.kill()
            process.wait(60)
            self.assertEqual(self.state(), "interrupted")  # the process that measures may not have noticed yet
            process.communicate(timeout=60)
        self.assertIn("2 chunks left: no process runs it now; pspdr campaign run c goes on",
                      self.here("campaign", "status", "c")[1])
        self.assertEqual(Campaign(self.folder / "c").done("local"), {0})
        pipe.unlink()
        pipe.touch()
        done = self.pspdr("campaign", "run", "c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_each_once()
        self.assertEqual([event["chunk"] for event in self.events("begin")], [0, 1, 1, 2])

    def test_torn_and_run_again(self):
        self.assertEqual(self.pspdr(*self.local()).returncode, 0)
        path = self.folder / "c" / "results" / "local" / "000001.zst"
        path.write_bytes(path.read_bytes()[:-40])
        done = self.pspdr("campaign", "run", "c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("c/results/local/000001.zst: torn", done.stderr)
        self.assertIn("this chunk is measured again, and the file is kept as 000001.damaged", done.stderr)
        self.assert_each_once()
        self.assertEqual([event["chunk"] for event in self.events("begin")], [0, 1, 2, 1])

    def test_a_chunk_that_always_kills(self):
        done = self.pspdr(*self.local("--at", self._target(1), "--kill"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("local, chunk 1 was given up: the process that measured it ended by SIGKILL", done.stderr)
        self.assertEqual(Campaign(self.folder / "c").done("local"), {0, 2})
        self.assertIn("given up: local, chunk 1", self.here("campaign", "status", "c")[1])
        self.assertEqual(self.here("campaign", "records", "c", "-o", "x")[0], 1)
        self.assertIn("once more: local, chunk 1", self.here("campaign", "retry", "c")[2])
        self.assertEqual([*Campaign(self.folder / "c").left()], [("local", 1)])

    def test_interrupted_once(self):
        words, pipe = self.paused(0)
        with subprocess.Popen(self.command(*words), env=self.environment(), cwd=self.folder, text=True,
                              stderr=subprocess.PIPE) as process:
            with pipe.open("w"):
                process.send_signal(signal.SIGINT)
                for line in process.stderr:
                    if "stopping when this chunk" in line:
                        break
            process.communicate(timeout=60)
        self.assertEqual((process.returncode, Campaign(self.folder / "c").done("local")), (128 + signal.SIGINT, {0}))

    def test_cancelled(self):
        self.create()
        self.assertEqual(self.here("campaign", "cancel", "c")[0], 0)
        status, _, said = self.here("campaign", "run", "c", "-i", "lo")
        self.assertEqual((status, self.events("begin")), (1, []), said)
        self.assertIn("was cancelled", said)


class TestUnfinished(FolderCase):
    def test_a_route_that_is_missing_and_comes_back(self):
        """Chunks with failures of this machine are told of, and measured again when that is asked for."""
        beyond = [f"203.0.113.{number}" for number in range(1, 4)]
        self.targets.write_text("".join(f'{{"dip": "{address}", "dp": {HTTP}}}\n' for address in [V4, *beyond]),
                                encoding="utf-8")
        with NetLab() as lab:
            done = self.pspdr("campaign", "run", "c", "--local", "-i", "va", "--targets", self.targets, "--chunk", 2,
                              "--", "--confirm", 0, "ecn", "--connect", "tcp")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("local: 3 targets in 2 chunks got no verdict, or only part of one, for a reason of the "
                          "machine that measured: 3 ENETUNREACH", done.stderr)
            self.assertIn("2 of 2 chunks with results", done.stderr)
            self.assertEqual(self.pspdr("campaign", "run", "c").returncode, 1)  # which measures nothing
            self.assertEqual(len(self.events("begin")), 2)
            sh("ip route add 203.0.113.0/24 via 10.9.0.2")
            server = f"nsenter --net=/proc/{os.getpid()}/fd/{lab.server}"
            sh("; ".join(f"{server} ip addr add {address}/32 dev lo" for address in beyond))
            self.assertEqual(self.here("campaign", "retry", "c", "--unfinished")[0], 0)
            done = self.pspdr("campaign", "run", "c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({record["dip"]: record["conditions"][0] for record in self.records()},
                         dict.fromkeys([V4, *beyond], "ecn.connectivity.works"))
        self.assertEqual(len(self.records()), 4)
        self.assertEqual(self.here("campaign", "status", "c")[0], 0)


class TestRefusals(FolderCase):
    def refused(self, words, *said):
        with warnings.catch_warnings(record=True) as unclosed:
            warnings.simplefilter("always", ResourceWarning)
            status, _, text = self.here(*words)
            gc.collect()
        self.assertEqual((status, [str(one.message) for one in unclosed]), (2, []), text)
        for one in said:
            self.assertIn(one, text)

    def test_what_is_missing(self):
        run = ("campaign", "run", "c")
        self.refused(run, "what is measured stands behind --")
        self.refused((*run, "--", "ecn"), "no campaign in this folder", "--targets")
        self.refused((*run, "--targets", self.targets, "--", "ecn"), "--local")
        self.refused((*run, "--local", "--targets", "nosuch", "--", "ecn"), "nosuch")
        self.refused((*run, "--local", "--targets", self.targets, "ecn"), "stands behind --")
        self.refused(("campaign", "status", "c"), "no campaign")
        self.refused(("campaign",), "usage")

    def test_options_that_a_campaign_cannot_have(self):
        run = ("campaign", "run", "c", "--local", "--targets", self.targets)
        self.refused((*run, "--", "--output", "x", "ecn"), "--output", "--confirm")
        self.refused((*run, "-i", "lo", "--vantage", "../x", "--", "ecn"), "small letters")
        self.assertFalse((self.folder / "c").exists())

    def test_another_campaign(self):
        begin = ("campaign", "run", "c", "--local", "--targets", self.targets)
        run = (*begin, "--", "ecn")
        self.create(plugin="ecn", measure=[], chunk=1000)
        self.refused((*begin, "--chunk", 5, "--", "ecn"), "another campaign in this folder", "(chunk: 1000, and not 5)")
        self.refused((*begin, "--", "ecn", "--connect", "tcp"), "(options: none, and not --connect tcp)")
        for words, said in ((("--chunk", 5, "--seed", 9), "(chunk: 1000, and not 5; seed: 1, and not 9)"),
                            (("--label", "L"), "label: , and not L"), (("--rate", 5), "rate: none, and not 5.0"),
                            (("--vantage", "ber"), "vantages: local, and not ber"),
                            (("--split",), "mode: local, and not split")):
            self.refused(("campaign", "run", "c", *words), said)
        self.targets.write_text('{"dip": "10.0.0.1"}\n', encoding="utf-8")
        self.refused(run, "another campaign", "targets")
        self.refused(("campaign", "run", "c", "--targets", self.targets), "another campaign", "targets")

    def test_what_cannot_be_begun_leaves_no_folder(self):
        begin = ("campaign", "run", "c", "--local", "--targets", self.targets)
        self.refused((*begin, "-i", "nosuch0", "--", "ecn"), "-i nosuch0: there is no interface 'nosuch0'")
        self.refused((*begin, "-i", "lo", "--user", "nosuch", "--", "ecn"), "--user nosuch")
        self.refused((*begin, "-i", "lo", "--blocklist", "nosuch", "--", "ecn"), "blocklist nosuch")
        self.targets.write_text("", encoding="utf-8")
        self.refused((*begin, "-i", "lo", "--", "ecn"), "no targets to measure: no campaign was made in c")
        self.assertFalse((self.folder / "c").exists())
