"""``--pcap`` and ``--evidence`` from the outside: real paths, real files, and what Wireshark reads of them."""

import json
import signal
import stat
import subprocess
import tempfile
import unittest
from argparse import ArgumentTypeError
from pathlib import Path

from pathspider.cmd.packets import octets
from pathspider.lab.scenarios import all_cases
from tests import in_checkout, wireshark
from tests.cmd.test_main import pspdr
from tests.cmd.test_measure import COMMAND, LabCase, clean_jobs, ndjson

NOBODY = 65534


def jobs_of(*names, version=4):
    """Jobs for these paths of the lab, which are measured by TCP."""
    found = {case.scenario.name: case for case in all_cases() if case.version == version}
    return [{"dip": found[name].address, "dp": 80, "name": name} for name in names]


class TestOctets(unittest.TestCase):
    def test_units(self):
        self.assertEqual([octets(text) for text in ("1", "20k", "3M", "4G")], [1, 20_000, 3_000_000, 4_000_000_000])
        for text in ("", "0", "0k", "-1", "1.5M", "1 M", "1m", "M", "1kk"):
            with self.assertRaises(ArgumentTypeError):
                octets(text)


class TestRefused(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def check(self, *options, plugin="mss", says):
        outcome = pspdr("measure", "-i", "lo", *map(str, options), plugin, input="")
        self.assertEqual((outcome.returncode, outcome.stdout), (2, ""), outcome.stderr)
        self.assertIn(says, outcome.stderr)
        self.assertNotIn("Traceback", outcome.stderr)

    def test_what_would_be_lost(self):
        precious, full = self.folder / "precious", self.folder / "full"
        precious.write_text("precious")
        full.mkdir()
        (full / "precious").touch()
        self.check("--pcap", precious, says="there is something in this file already")
        self.check("--evidence", full, says="there is something in this folder already")
        self.check("--evidence", precious, says="precious")
        (self.folder / "run_00002.pcapng").touch()
        self.check("--pcap", self.folder / "run.pcapng", "--pcap-size", "1M", says="run_00002.pcapng")
        records = self.folder / "records"
        records.touch()
        self.check("--pcap", precious, "-f", "--resume", records, says="there is something in this file already")
        self.check("--pcap", self.folder / "new", "-o", self.folder / "new", says="this is the output too")
        self.check("--pcap", "/dev/stdout", says="the output and the packets are one file")  # a pipe
        self.assertEqual(precious.read_text(), "precious")
        self.assertEqual({path.name for path in self.folder.iterdir()},
                         {"precious", "full", "run_00002.pcapng", "records"})

    def test_what_cannot_be(self):
        self.check("--pcap", "-", says="name a file")
        self.check("--pcap-size", "1M", says="--pcap-size is for --pcap")
        self.check("--pcap-size", "1x", "--pcap", "x", says="500k")
        self.check("--pcap", "/nonexistent/x", says="No such file")
        self.check("--evidence", "/nonexistent/x", says="No such file")
        self.check("--evidence", self.folder / "new", plugin="dnsresolv", says="captures no packets")

    def test_where_the_run_cannot_make_files(self):
        closed = self.folder / "closed"
        closed.mkdir()
        self.check("--evidence", closed, says=f"closed: user {NOBODY}, as whom the run goes on")
        self.check("--pcap", self.folder / "run.pcapng", "--pcap-size", "1M", says=f"user {NOBODY}")


@in_checkout
class TestPackets(LabCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.evidence, self.pcap = self.folder / "evidence", self.folder / "run.pcapng"

    def run_jobs(self, jobs, *options, status=0):
        outcome, records = self.measure("--confirm", "0", *map(str, options), "ecn", "--connect", "tcp",
                                        "--timeout", "1", data=ndjson(jobs))
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        self.said = outcome.stderr.decode()
        return {record.get("name", record["dip"]): record for record in records}

    def files(self):
        return sorted(str(path.relative_to(self.evidence)) for path in self.evidence.rglob("*") if path.is_file())

    def comments(self, record):
        return [comment for comment, in wireshark.fields(self.evidence / record["evidence"], "frame.comment",
                                                         where="frame.comment")]

    def test_of_a_broken_path_there_is_evidence_and_of_a_clean_one_none(self):
        for version in (4, 6):
            names = ("ecn-clean-tcp", "ecn-syn-dropped-tcp", "ecn-syn-reset-tcp", "ecn-syn-prohibited",
                     "ecn-offline-tcp")
            jobs = jobs_of(*names, version=version)
            records = self.run_jobs(jobs, "--evidence", self.evidence, "-f", "--confirm", "0")
            self.assertNotIn("evidence", records["ecn-clean-tcp"])
            for name in names[1:]:
                record = records[name]
                path = self.evidence / record["evidence"]
                word = "offline" if "offline" in name else "broken"
                self.assertEqual([comment.partition(":")[0] for comment in self.comments(record)],
                                 ["configuration 0 (baseline), first connections",
                                  "configuration 1 (experiment), first connections"], name)
                self.assertTrue(all(f"ecn.connectivity.{word}" in one for one in self.comments(record)))
                syns = wireshark.fields(path, "tcp.flags.ece", where="tcp.flags.syn == 1 && tcp.flags.ack == 0")
                self.assertLessEqual({("0",), ("1",)}, {tuple(one) for one in syns})
                about = json.loads(wireshark.facts(path)["Capture comment"][1])
                self.assertEqual({key: about[key] for key in ("dip", "name", "conditions", "run")},
                                 {key: record[key] for key in ("dip", "name", "conditions", "run")})
            icmp = wireshark.fields(self.evidence / records["ecn-syn-prohibited"]["evidence"], "frame.number",
                                    where="icmp || icmpv6")
            self.assertTrue(icmp)
        self.assertEqual(len(self.files()), 8)
        self.assertEqual({path.stat().st_uid for path in (self.evidence, *self.evidence.rglob("*"))}, {NOBODY})

    def test_rounds_are_in_it(self):
        jobs = jobs_of("ecn-clean-tcp", "ecn-syn-dropped-tcp")
        records = self.run_jobs(jobs, "--confirm", "2", "--confirm-gap", "0.2", "--evidence", self.evidence)
        record = records["ecn-syn-dropped-tcp"]
        rounds = [f"round {number + 1}" for number in range(len(record["rounds"]))]
        self.assertGreaterEqual(len(rounds), 2)  # some are made again on a busy machine
        self.assertEqual(sorted(comment.partition(": ")[0] for comment in self.comments(record)), sorted(
            f"configuration {config}, {when}" for config in ("0 (baseline)", "1 (experiment)")
            for when in ("first connections", *rounds)))
        sentence, about = wireshark.facts(self.evidence / record["evidence"])["Capture comment"]
        self.assertTrue(sentence.endswith(": " + ", ".join(record["conditions"])), sentence)
        self.assertEqual(json.loads(about)["rounds"], record["rounds"])
        self.assertEqual(self.files(), [record["evidence"]])

    def test_suspects_of_a_run_that_is_stopped_have_theirs(self):
        jobs = self.folder / "jobs"
        jobs.write_bytes(ndjson(jobs_of("ecn-syn-dropped-tcp")))
        command = [*COMMAND, "-i", "lab0", "--input", str(jobs), "--confirm", "2", "--confirm-gap", "1000",
                   "--evidence", str(self.evidence), "ecn", "--connect", "tcp", "--timeout", "1"]
        run = self.lab.popen(command, **dict.fromkeys(("stdout", "stderr"), subprocess.PIPE))
        self.addCleanup(run.kill)
        while not (self.evidence.exists() and self.files()):
            self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
        record = json.loads(said)
        self.assertIn("pathspider.unconfirmed", record["conditions"])
        sentence = wireshark.facts(self.evidence / record["evidence"])["Capture comment"][0]
        self.assertIn("pathspider.unconfirmed", sentence)
        self.assertEqual(len(self.comments(record)), 2)

    def test_all_packets(self):
        records = self.folder / "records"
        self.run_jobs([*clean_jobs(20), *jobs_of("ecn-syn-dropped-tcp")], "--pcap", self.pcap, "-o", records)
        facts = json.loads((self.folder / "records.meta.json").read_text())["runs"][0]
        count = int(wireshark.facts(self.pcap)["Number of packets"][-1])
        self.assertEqual(facts["pcap"], {"files": 1, "packets": count, "lost": 0})
        self.assertEqual((facts["packets"], facts["evidence"]), ({"observed": count, "lost": 0}, None))
        self.assertIn(f"pcap: {count} packets, in 1 files", self.said)
        self.assertIn(f"run {facts['run']}", wireshark.facts(self.pcap)["Capture comment"][0])
        syns = wireshark.fields(self.pcap, "ip.dst", "ipv6.dst", where="tcp.flags.syn == 1 && tcp.flags.ack == 0")
        targets = {record["dip"] for record in map(json.loads, records.read_text().splitlines())}
        self.assertEqual({four or six for four, six in syns}, targets)
        self.assertEqual(self.pcap.stat().st_uid, 0)  # as the records: opened before root was given up

    def test_files_of_a_size_are_made_by_the_user_that_the_run_goes_on_as(self):
        self.folder.chmod(0o777 | stat.S_ISVTX)
        self.pcap.write_text("old")
        self.run_jobs(clean_jobs(20), "--pcap", self.pcap, "--pcap-size", "10k", "-f")
        files = sorted(self.folder.iterdir())
        self.assertGreater(len(files), 2)
        self.assertEqual([path.stat().st_uid for path in files], [0] + [NOBODY] * (len(files) - 1))
        self.assertLessEqual(max(path.stat().st_size for path in files), 10000)
        self.assertEqual(sum(int(wireshark.facts(path)["Number of packets"][-1]) for path in files),
                         int(self.said.partition("pcap: ")[2].split()[0]))

    def test_a_resumed_run_adds_to_it(self):
        records, jobs = self.folder / "records", self.folder / "jobs"
        jobs.write_bytes(ndjson(jobs_of("ecn-syn-dropped-tcp", "ecn-syn-reset-tcp")))
        options = ("--input", jobs, "--evidence", self.evidence)
        self.run_jobs([], *options, "-o", records)
        first, second = map(json.loads, records.read_text().splitlines())
        records.write_text(json.dumps(first) + "\n")
        self.run_jobs([], *options, "--resume", records)
        again = json.loads(records.read_text().splitlines()[1])
        self.assertEqual(again["evidence"], second["evidence"].replace(".pcapng", "_1.pcapng"))
        self.assertEqual(self.files(), sorted(one["evidence"] for one in (first, second, again)))

    def test_what_cannot_be_written_is_said_and_the_records_are_all_there(self):
        self.evidence.mkdir()
        self.evidence.chmod(0o777)
        (self.evidence / "10.20").symlink_to("/tmp")
        records = self.run_jobs(jobs_of("ecn-syn-dropped-tcp", "ecn-syn-reset-tcp"), "--evidence", self.evidence, "-f",
                                status=1)
        self.assertEqual([record["conditions"][0] for record in records.values()], ["ecn.connectivity.broken"] * 2)
        self.assertIn("2 times, packets could not be written", self.said)
        self.assertEqual(self.said.count("could not be written"), 2)


if __name__ == "__main__":
    unittest.main()
