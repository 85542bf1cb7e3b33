"""``--resume``: records of an earlier run stand, and what is missing is measured as they were."""

import json
import os
import stat
import tempfile
import unittest
from pathlib import Path

from tests.cmd.test_measure import COMMAND, FactsCase, LabCase, clean_jobs, ndjson


class TestResume(LabCase):
    def test_resume_measures_what_is_missing(self):
        jobs = clean_jobs(6)
        with tempfile.TemporaryDirectory() as folder:
            records = Path(folder) / "records"
            self.measure("--output", str(records), "ecn", "--connect", "tcp", data=ndjson(jobs[:3]))
            whole = records.read_bytes()
            records.write_bytes(whole[:-10])
            outcome, _ = self.measure("--resume", str(records), "ecn", "--connect", "tcp", data=ndjson(jobs))
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            self.assertIn(b"2 targets were left out: they have a record already", outcome.stderr)
            numbers = [json.loads(line)["number"] for line in records.read_text().splitlines()]
        self.assertEqual(sorted(numbers), list(range(6)))

    def test_resume_takes_records_of_its_plugin_alone(self):
        (job,) = clean_jobs(1)
        of_ecn = ndjson([{**job, "conditions": ["pathspider.not_observed"]},
                         {**job, "conditions": ["ecn.connectivity.works"]}])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "there"
            for text, plugin, says in ((ndjson([job]), "dscp", b"there, line 1: not a record"),
                                       (ndjson([{**job, "conditions": 5}]), "dnsresolv", b"line 1: not a record"),
                                       (of_ecn, "dscp", b"there, line 2: a record of the ecn plugin"),
                                       (of_ecn, "dnsresolv", b"there, line 2: a record of the ecn plugin")):
                path.write_bytes(text)
                outcome, records = self.measure("--resume", str(path), plugin, data=ndjson([job]))
                self.assertEqual((outcome.returncode, records, path.read_bytes()), (2, [], text))
                self.assertIn(says, outcome.stderr)

    def test_only_a_file_can_be_resumed(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe, device = Path(folder) / "pipe", Path(folder) / "null"
            os.mkfifo(pipe)
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            for name in (folder, pipe, device):
                for more in ((), ("--dry-run",)):
                    outcome, _ = self.measure("--resume", str(name), *more, "ecn", data=b"")
                    self.assertEqual(outcome.returncode, 2)
                    self.assertIn(b"not an ordinary file", outcome.stderr)
            self.assertTrue(device.is_char_device())

    def test_what_would_be_resumed(self):
        jobs = clean_jobs(3)
        text = ndjson([{**jobs[0], "conditions": ["ecn.connectivity.works"]},
                       {**jobs[1], "conditions": ["pathspider.not_measured"]}]) + b'{"dip'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "there"
            path.write_bytes(text)
            _, planned = self.measure("--resume", str(path), "--dry-run", "ecn", data=ndjson(jobs))
            self.assertEqual((planned, path.read_bytes()), (jobs[1:], text))


class TestLikeBefore(FactsCase):
    def test_a_resumed_run_is_another_run(self):
        self.mss("-o", str(self.records))
        self.records.write_bytes(b"".join(self.records.read_bytes().splitlines(keepends=True)[:2]))
        self.mss("--resume", str(self.records), "-w", "5", "--rate", "50")
        first, second = (run["run"] for run in self.runs())
        self.assertEqual(self.ids(), [first, first, second, second])

    def test_other_options_and_other_targets_are_not_resumed(self):
        self.mss("-o", str(self.records))
        before = self.records.read_bytes()
        told = self.mss("--resume", str(self.records), "--order", "random", status=2, mode="http")
        self.assertIn("order was fixed, and is random; connect was tcp, and is http. Give", told)
        with self.jobs.open("ab") as jobs:
            jobs.write(ndjson([{**clean_jobs(1)[0], "dp": 81}]))
        self.assertIn("the list of targets is another one, or has changed",
                      self.mss("--resume", str(self.records), status=2))
        self.assertEqual(self.records.read_bytes(), before)
        self.assertIn("--resume", self.mss("-f", "--resume", str(self.records)))
        self.assertEqual((len(self.ids()), len(self.runs())), (5, 2))

    def test_of_standard_input_it_is_told_at_the_end(self):
        self.mss("-o", str(self.records))
        self.records.write_bytes(b"")
        command = ("--resume", str(self.records), "mss", "--connect", "tcp")
        outcome, _ = self.measure(*command, data=ndjson(clean_jobs(3)))
        self.assertEqual(outcome.returncode, 0)
        self.assertIn(b"the list of targets is not the one of the run that was continued", outcome.stderr)
        self.assertEqual(len(self.ids()), 3)

    def test_without_metadata_a_warning_says_that_nothing_is_known(self):
        self.mss("-o", str(self.records))
        (self.folder / "records.meta.json").unlink()
        self.assertIn("there is no metadata of the run that is resumed", self.mss("--resume", str(self.records)))
        (self.folder / "records.meta.json").write_text("precious")
        self.assertIn("not JSON", self.mss("--resume", str(self.records), status=2))
        self.assertEqual((self.folder / "records.meta.json").read_text(), "precious")

    def test_without_an_interface_it_is_the_same_one(self):
        """What the run found out is compared with what is found out now; --dry-run finds out nothing."""
        def mss(*options):
            done = self.lab.run([*COMMAND, "--input", str(self.jobs), *options, "mss", "--connect", "tcp"],
                                capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.splitlines()

        mss("-o", str(self.records))
        self.records.write_bytes(b"".join(self.records.read_bytes().splitlines(keepends=True)[:1]))
        self.assertEqual(len(mss("--resume", str(self.records), "--dry-run")), 3)
        mss("--resume", str(self.records))
        self.assertEqual((len(self.ids()), [run["vantage"]["interface"] for run in self.runs()]), (4, ["lab0"] * 2))

    def test_another_name_of_the_same_interface(self):
        self.lab.run(["ip", "link", "property", "add", "dev", "lab0", "altname", "uplink"])
        self.addCleanup(self.lab.run, ["ip", "link", "property", "del", "dev", "lab0", "altname", "uplink"])
        self.mss("-i", "uplink", "-o", str(self.records))
        self.mss("-i", "uplink", "--resume", str(self.records))

    def test_a_file_that_is_not_there_is_not_made(self):
        self.assertIn("No such file", self.mss("--resume", str(self.records), status=2))
        self.assertFalse(self.records.exists())


if __name__ == "__main__":
    unittest.main()
