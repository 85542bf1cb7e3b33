"""``pspdr measure`` from the outside: real processes, real paths, and what is left of the machine afterwards."""

import hashlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

from pathspider.cmd.main import UsageError, build_parser
from pathspider.cmd.measure import run_options
from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from tests.cmd.test_main import pspdr
from tests.run.cases import unseen

COMMAND = [sys.executable, "-m", "pathspider", "measure", "--confirm", "0"]
"""First pairs alone: what is not about rounds does not wait for them."""
SETTINGS = ["net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"]


def clean_jobs(count):
    return [
        {"dip": clean_address(number // 2, (4, 6)[number % 2]), "dp": 80, "number": number} for number in range(count)
    ]


def ndjson(jobs):
    return b"".join(json.dumps(job).encode() + b"\n" for job in jobs)


class TestErrors(unittest.TestCase):
    """What cannot be done is said, and the exit status is not 0."""

    def check(self, outcome, status, *words):
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        self.assertEqual(outcome.stdout, "")
        for word in words:
            self.assertIn(word, outcome.stderr)
        self.assertNotIn("Traceback", outcome.stderr)

    def test_missing_input(self):
        self.check(
            pspdr("measure", "-i", "lo", "--input", "/nonexistent/jobs", "ecn"), 2, "/nonexistent/jobs", "No such file"
        )

    def test_output_that_cannot_be_written(self):
        self.check(
            pspdr("measure", "-i", "lo", "--output", "/nonexistent/records", "ecn", input=""),
            2,
            "/nonexistent/records",
            "No such file",
        )

    def test_unknown_plugin(self):
        self.check(pspdr("measure", "-i", "lo", "nonsense"), 2, "nonsense", "ecn")

    def test_bad_options(self):
        self.check(pspdr("measure", "-w", "0", "ecn"), 2, "--workers")
        self.check(pspdr("measure", "ecn", "--timeout", "-1"), 2, "--timeout")
        self.check(pspdr("measure", "ecn", "--connect", "carrier-pigeon"), 2, "carrier-pigeon", "dnstcp")

    def test_limits_that_cannot_be(self):
        self.check(pspdr("measure", "-i", "lo", "--rate", "0", "ecn", input=""), 2, "--rate")
        self.check(
            pspdr("measure", "-i", "lo", "--blocklist", "/nonexistent/list", "ecn", input=""), 2, "/nonexistent/list"
        )
        self.check(
            pspdr("measure", "-i", "lo", "--resume", "/nonexistent/list", "ecn", input=""), 2, "/nonexistent/list"
        )

    def test_where_words_stand(self):
        self.check(pspdr("measure", "--timeout", "3", "ecn"), 2, "--timeout is no option of measure", "after its name")
        self.check(pspdr("measure", "ecn", "--input", "x"), 2, "such as --input", "before the plugin's name")
        self.check(pspdr("measure", "ecn", "targets.ndjson"), 2, "targets.ndjson; targets are read from standard input")
        self.check(pspdr("measure", "ecn", ""), 2, "targets are read from standard input")
        self.check(pspdr("measure", "no_such_plugin"), 2, "PYTHONPATH=.")
        self.check(pspdr("measure", "ecn", "--verbose"), 2, "such as --verbose, stand before the plugin's name")
        self.check(pspdr("report", "--version", "x"), 2, "--version stands before the command")

    def test_plugin_help(self):
        outcome = pspdr("measure", "ecn", "--help")
        self.assertEqual(outcome.returncode, 0)
        for word in ("--connect", "http, https, tcp, dnstcp", "--timeout", "(Default: http)", "Example"):
            self.assertIn(word, " ".join(outcome.stdout.split()))


class TestLocate(unittest.TestCase):
    def options(self, *words):
        argv = ["measure", *words]
        return run_options(build_parser("measure", argv).parse_args(argv))

    def test_how_many(self):
        for words, locate in ((["ecn"], 0), (["--locate", "ecn"], 1000), (["--locate=7", "ecn"], 7)):
            self.assertEqual(self.options(*words).locate, locate)
        self.assertEqual(self.options("--locate", "--locate-rate", "0.5", "mss").locate_rate, 0.5)

    def test_not_what_hops_do_not_see(self):
        with self.assertRaisesRegex(UsageError, "hops see nothing of what h2 measures"):
            self.options("--locate", "h2")


class TestLoudness(unittest.TestCase):
    JOBS = '{"dip": "192.0.2.1"}\noops\n'

    def test_warnings_and_errors_alone(self):
        outcome = pspdr("measure", "-q", "--dry-run", "ecn", input=self.JOBS)
        self.assertIn("line 2", outcome.stderr)
        self.assertNotIn("would connect", outcome.stderr)

    def test_verbose_after_the_command(self):
        self.assertRegex(pspdr("measure", "-v", "--dry-run", "ecn", input=self.JOBS).stderr, "INFO pathspider: would")

    def test_not_both(self):
        outcome = pspdr("-v", "measure", "-q", "ecn", input=self.JOBS)
        self.assertEqual((outcome.returncode, outcome.stdout), (2, ""))
        self.assertIn("only one", outcome.stderr)


class LabCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.start()
        cls.addClassCleanup(cls.lab.close)

    def measure(self, *arguments, data=b""):
        outcome = self.lab.run([*COMMAND, "-i", "lab0", *arguments], data=data, capture_output=True, timeout=100)
        return outcome, [json.loads(line) for line in outcome.stdout.splitlines()]

    def settings(self):
        return self.lab.run(["sysctl", "-n", *SETTINGS], capture_output=True).stdout

    def sent(self):
        """How many packets have left."""
        devices = self.lab.run(["cat", "/proc/net/dev"], capture_output=True).stdout.decode()
        return int(devices.partition("lab0:")[2].split()[9])

    def assert_nothing_borrowed(self, before):
        self.assertEqual(self.settings(), before)


class TestMeasure(LabCase):
    def check_all_clean(self, connect, marks):
        jobs = clean_jobs(150)
        before = self.settings()
        outcome, records = self.measure("-w", "50", "ecn", "--connect", connect, data=ndjson(jobs))
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(sorted(record["number"] for record in records), list(range(len(jobs))))
        expected = [
            "ecn.connectivity.works",
            "ecn.negotiation.succeeded",
            f"ecn.ipmark.ect0.{marks}",
            "ecn.ipmark.ect1.not_seen",
            "ecn.ipmark.ce.not_seen",
        ]
        for record in records:
            self.assertEqual(record["conditions"], expected)
        self.assert_nothing_borrowed(before)

    def test_clean_targets_tcp(self):
        self.check_all_clean("tcp", "not_seen")

    def test_clean_targets_http(self):
        self.check_all_clean("http", "seen")

    def test_bad_lines_and_bad_jobs_cost_only_themselves(self):
        good = clean_jobs(1)[0]
        data = b"oops\n" + ndjson([good, {"dip": "nonsense", "rank": 7}, {"domain": "x"}, good])
        outcome, records = self.measure("ecn", "--connect", "tcp", data=data)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn(b"standard input, line 1", outcome.stderr)
        verdicts = {str(record.get("dip")): record["conditions"][0] for record in records}
        self.assertEqual(len(records), 3)
        self.assertEqual(
            verdicts,
            {
                good["dip"]: "ecn.connectivity.works",
                "nonsense": "pathspider.invalid_job:dip_not_an_address",
                "None": "pathspider.invalid_job:dip_missing",
            },
        )
        self.assertIn(b"1 targets were left out: they are repeated", outcome.stderr)

    def test_files_csv_and_flows(self):
        target = clean_address(0, 6)
        with tempfile.TemporaryDirectory() as folder:
            jobs, records = Path(folder) / "jobs.csv", Path(folder) / "records"
            jobs.write_text(f"{target},80,www.example.com,17\n")
            outcome, printed = self.measure(
                "--input", str(jobs), "--csv", "--output", str(records), "--output-flows", "ecn", "--connect", "tcp"
            )
            self.assertEqual((outcome.returncode, printed), (0, []), outcome.stderr)
            (record,) = (json.loads(line) for line in records.read_text().splitlines())
        self.assertEqual((record["rank"], record["domain"], record["missed_flows"]), ("17", "www.example.com", 0))
        self.assertEqual(record["path"][1:], ["*", target])
        baseline, experiment = record["flow_results"]
        self.assertEqual((baseline["tcp_synflags_fwd"], experiment["tcp_synflags_fwd"]), (2, 194))
        self.assertEqual((baseline["config"], experiment["config"]), (0, 1))
        for flow in (baseline, experiment):
            self.assertEqual((flow["spdr_state"], flow["observed"], flow["tcp_connected"]), (0, True, True))
            self.assertEqual((flow["sip"], flow["dip"]), (record["path"][0], target))

    def test_the_resumed_file_is_not_standard_output_too(self):
        with tempfile.NamedTemporaryFile() as records:
            records.write(ndjson([{"dip": "192.0.2.1", "conditions": ["ecn.connectivity.works"]}]))
            records.flush()
            for options in ((), ("--dry-run",)):
                outcome = self.lab.run([*COMMAND, "-i", "lab0", "--resume", records.name, *options, "ecn"],
                                       stdout=records.fileno(), stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(outcome.returncode, 2)
                self.assertIn(b"leave the redirection out", outcome.stderr)
            self.assertEqual(Path(records.name).read_bytes().count(b"\n"), 1)

    def test_where_nothing_is_observed_the_interface_is_the_wrong_one(self):
        unseen(self.lab, "10.70.0.1", self)
        for jobs, status in (([{"dip": "10.70.0.1"}], 1), ([{"dip": "10.70.0.1"}, *clean_jobs(1)], 0)):
            outcome, records = self.measure("mss", "--connect", "tcp", data=ndjson(jobs))
            self.assertEqual(outcome.returncode, status, outcome.stderr)
            self.assertIn(["pathspider.not_observed", "pathspider.missed_flows:1"],
                          [record["conditions"] for record in records])
            self.assertEqual(b"nothing at all was observed" in outcome.stderr, status == 1)

    def test_the_input_is_not_the_output(self):
        (job,) = clean_jobs(1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "both"
            path.write_bytes(ndjson([job]))
            Path(folder, "link").symlink_to(path)
            for options in (["--output", f"{folder}/link"], ["--resume", str(path)]):
                outcome, _ = self.measure("--input", str(path), *options, "ecn")
                self.assertEqual((outcome.returncode, path.read_bytes()), (2, ndjson([job])))
                self.assertIn(b"the file that is read", outcome.stderr)

    def test_two_runs_of_one_plugin_side_by_side_but_not_in_lockstep(self):
        before = self.settings()
        with tempfile.NamedTemporaryFile() as jobs:
            run = self.lab.popen([*COMMAND, "-i", "lab0", "ecn"],
                                 **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE))
            self.addCleanup(run.kill)
            while self.settings() == before:
                self.assertIsNone(run.poll())
            jobs.write(ndjson(clean_jobs(3)))
            jobs.flush()
            outcome, records = self.measure("--input", jobs.name, "--lockstep", "ecn")
            self.assertEqual((outcome.returncode, records), (2, []))
            self.assertRegex(outcome.stderr.decode(), r"^pspdr: net\.ipv4\.tcp_ecn\w* is borrowed by process \d+")
            outcome, records = self.measure("--input", jobs.name, "ecn")
            self.assertEqual((outcome.returncode, len(records)), (0, 3), outcome.stderr)
            self.assertEqual({record["conditions"][0] for record in records}, {"ecn.connectivity.works"})
            self.assertNotEqual(self.settings(), before)  # the first run goes on
            run.communicate(timeout=100)
        self.assertEqual((run.returncode, self.settings()), (0, before))

    def test_blocklist_and_dry_run(self):
        jobs = clean_jobs(4)
        with tempfile.NamedTemporaryFile("w") as blocklist:
            blocklist.write(f"{jobs[0]['dip']}\n{jobs[1]['dip']}/64\n")
            blocklist.flush()
            outcome, planned = self.measure(
                "--blocklist", blocklist.name, "--dry-run", "ecn", data=ndjson([*jobs, jobs[2] | {"path": []}])
            )
            self.assertEqual((planned, outcome.returncode), ([jobs[2]], 0))
            outcome, planned = self.measure("--dry-run", "ecn", data=ndjson([jobs[2] | {"path": [], "error": 1}]))
            self.assertEqual(planned, [jobs[2]])
            _, records = self.measure("--blocklist", blocklist.name, "ecn", "--connect", "tcp", data=ndjson(jobs))
        blocked = {record["number"] for record in records if record["conditions"] == ["pathspider.blocklisted"]}
        self.assertEqual((len(records), blocked), (4, {0, 1, 3}))

    def test_rate(self):
        _, records = self.measure("--rate", "20", "ecn", "--connect", "tcp", data=ndjson(clean_jobs(10)))
        begun = sorted(datetime.fromisoformat(record["time"]["from"]) for record in records)
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(begun)]
        self.assertGreaterEqual(sum(gaps), 0.85)  # ten pairs of connections, 1/10 s apart

    def test_https(self):
        job = {**clean_jobs(1)[0], "dp": 443, "domain": "www.example.com"}
        outcome, (record,) = self.measure("ecn", "--connect", "https", data=ndjson([job]))
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn("ecn.connectivity.works", record["conditions"])

    def test_a_version_without_source_address_is_a_local_error(self):
        outcome = self.lab.run(["ip", "-6", "addr", "show", "dev", "lab0", "scope", "global"], capture_output=True)
        address = outcome.stdout.split(b"inet6 ")[1].split()[0].decode()
        self.lab.run(["ip", "-6", "addr", "del", address, "dev", "lab0"])
        try:
            _, records = self.measure("ecn", "--connect", "tcp", data=ndjson([{"dip": clean_address(0, 6)}]))
        finally:
            self.lab.run(["ip", "-6", "addr", "add", address, "dev", "lab0", "nodad"])
        self.assertEqual(records[0]["conditions"], ["pathspider.local_error:no_ipv6_source"])


class FactsCase(LabCase):
    """Runs whose records go to a file."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.records, self.jobs = self.folder / "records", self.folder / "jobs"
        self.jobs.write_bytes(ndjson(clean_jobs(4)))

    def mss(self, *options, status=0, mode="tcp", data=b""):
        outcome, _ = self.measure("--input", str(self.jobs), *options, "mss", "--connect", mode, data=data)
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        return outcome.stderr.decode()

    def runs(self, name="records.meta.json"):
        return json.loads((self.folder / name).read_text())["runs"]

    def ids(self):
        return [json.loads(line)["run"] for line in self.records.read_text().splitlines()]


class TestFacts(FactsCase):
    """What is told of a run beside its records."""

    def test_a_blocklist_that_can_be_read_but_once(self):
        networks = b"192.0.2.0/24\n"
        self.mss("-o", str(self.records), "--blocklist", "/dev/stdin", data=networks)
        self.assertEqual(self.runs()[0]["blocklist_sha256"], hashlib.sha256(networks).hexdigest())

    def test_what_was_switched(self):
        outcome, _ = self.measure("--input", str(self.jobs), "-o", str(self.records), "--lockstep", "ecn")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        (run,) = self.runs()
        (ecn,) = (one for one in run["changed"] if one["name"] == "net.ipv4.tcp_ecn")
        self.assertEqual((ecn["before"], sorted(ecn["set"]), run["per_connection"]), ("2", ["1", "2"], None))

    def test_a_killed_run_has_facts_without_an_end(self):
        command = [*COMMAND, "-i", "lab0", "-o", str(self.records), "--status-file", str(self.folder / "status"), "mss"]
        run = self.lab.popen(command, **dict.fromkeys(("stdin", "stderr"), subprocess.PIPE))
        self.addCleanup(run.communicate)
        run.stdin.write(self.jobs.read_bytes())
        run.stdin.flush()
        while not (self.records.exists() and self.records.read_bytes().count(b"\n") == 4):
            self.assertIsNone(run.poll())
        state = json.loads((self.folder / "status").read_text())
        run.kill()
        run.wait(100)
        (facts,) = self.runs()
        self.assertEqual((facts["end"], facts["ended"], facts["targets"]["sha256"]), (None, None, None))
        self.assertEqual((state["run"], state["state"]), (facts["run"], "running"))

    def test_a_signal_is_why_it_ended(self):
        command = [*COMMAND, "-i", "lab0", "-o", str(self.records), "--status-file", str(self.folder / "status"), "mss"]
        run = self.lab.popen(command, **dict.fromkeys(("stdin", "stderr"), subprocess.PIPE))
        run.stdin.write(self.jobs.read_bytes())
        run.stdin.flush()
        while not (self.records.exists() and self.records.read_bytes().count(b"\n") == 4):
            self.assertIsNone(run.poll())
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=100)
        (facts,) = self.runs()
        state = json.loads((self.folder / "status").read_text())
        for told in (facts, state):
            self.assertEqual((told["ended"], told["status"]), ({"why": "signal", "what": "SIGTERM"}, 143))
        self.assertEqual((state["state"], state["done"]), ("ended", 4))

    def test_one_run_at_a_time_writes_to_a_file(self):
        run = self.lab.popen([*COMMAND, "-i", "lab0", "-o", str(self.records), "mss"],
                             **dict.fromkeys(("stdin", "stderr"), subprocess.PIPE))
        jobs = self.jobs.read_bytes()
        run.stdin.write(jobs)
        run.stdin.flush()
        while not (self.records.exists() and self.records.read_bytes().count(b"\n") == 4):
            self.assertIsNone(run.poll())
        for options in (("--resume", str(self.records)), ("-f", "-o", str(self.records))):
            self.assertIn("another run is writing to this file", self.mss(*options, status=2))
        run.communicate(ndjson([{**clean_jobs(1)[0], "dp": 443}]), timeout=30)
        self.assertEqual((run.returncode, len(self.ids())), (0, 5))
        self.mss("--resume", str(self.records), "--force")

class TestEnds(LabCase):
    """Whatever ends a run, the output is whole lines and the machine is as it was."""

    JOBS = 3000

    def start(self, *more):
        """A run in the middle of its work, and the settings before it."""
        before, self.sent_before = self.settings(), self.sent()
        jobs = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by the cleanup
        self.addCleanup(jobs.close)
        jobs.write(ndjson(clean_jobs(self.JOBS)))
        jobs.flush()
        options = ["-i", "lab0", "-w", "20", "--rate", "300", "--input", jobs.name, *more]
        run = self.lab.popen(
            [*COMMAND, *options, "ecn", "--connect", "tcp"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.addCleanup(run.kill)
        self.assertTrue(self.is_measuring(), "the experiment did not begin")
        return run, before

    def is_measuring(self):
        """Wait until some connections have been made; whether there are any."""
        return any(self.sent() >= self.sent_before + 20 for _ in range(2000))

    def settings_become(self, wanted):
        """Ask until the settings are as wanted; asking takes some milliseconds."""
        return any(wanted(self.settings()) for _ in range(2000))

    def check_signal(self, number, status):
        run, before = self.start()
        run.send_signal(number)
        output, errors = run.communicate(timeout=100)
        self.assertEqual(run.returncode, status, errors)
        records = [json.loads(line) for line in output.splitlines()]
        self.assertLess(len(records), self.JOBS - 1)
        self.assertTrue(output.endswith(b"\n"))
        self.assertNotIn(b"Traceback", errors)
        self.assert_nothing_borrowed(before)
        measured = [record for record in records if record["conditions"] != ["pathspider.not_measured"]]
        for record in measured:
            self.assertEqual(record["conditions"][:2], ["ecn.connectivity.works", "ecn.negotiation.succeeded"])

    def test_interrupt(self):
        self.check_signal(signal.SIGINT, 130)

    def test_terminate(self):
        self.check_signal(signal.SIGTERM, 143)

    def test_kill(self):
        run, before = self.start()
        run.kill()
        run.communicate(timeout=100)
        self.assertTrue(self.settings_become(lambda now: now == before), "the guard did not put the settings back")

    def test_reader_goes_away(self):
        run, before = self.start()
        run.stdout.close()
        self.assertEqual(run.wait(100), 1)
        self.assertIn(b"reader of the output", run.stderr.read())
        self.assert_nothing_borrowed(before)

    def test_full_disk(self):
        before = self.settings()
        outcome = self.lab.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                'mount -t tmpfs -o size=16k tmpfs /mnt && exec "$@"',
                "sh",
                *COMMAND,
                "-i",
                "lab0",
                "--output",
                "/mnt/records",
                "ecn",
                "--connect",
                "tcp",
            ],
            data=ndjson(clean_jobs(300)),
            capture_output=True,
            timeout=100,
        )
        self.assertEqual(outcome.returncode, 1)
        self.assertIn(b"No space left", outcome.stderr)
        self.assertNotIn(b"Traceback", outcome.stderr)
        self.assert_nothing_borrowed(before)

    def test_twice_ends_at_once(self):
        before = self.settings()
        rules = b"add table inet test\nadd chain inet test output { type filter hook output priority 0; }\n"
        self.lab.run(["nft", "-f", "-"], data=rules + b"add rule inet test output tcp dport 81 drop\n")
        self.addCleanup(self.lab.run, ["nft", "delete table inet test"])
        arguments = ["-i", "lab0", "ecn", "--connect", "tcp", "--timeout", "60"]
        run = self.lab.popen([*COMMAND, *arguments], **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE))
        run.stdin.write(ndjson([{"dip": clean_address(0, 4), "dp": 81}]))
        run.stdin.flush()
        under_way = ["ss", "-Htan", "state", "syn-sent", "dport", "=", ":81"]
        self.assertTrue(any(self.lab.run(under_way, capture_output=True).stdout for _ in range(2000)))
        run.send_signal(signal.SIGINT)
        self.assertIn(b"stopping", run.stderr.readline())
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(100), 130)
        self.assert_nothing_borrowed(before)

    def test_twice_ends_at_once_also_when_nobody_reads(self):
        run, before = self.start("--output-flows")
        self.assertTrue(run.stdout.readline())  # the pipe fills from now on
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        run.stderr.readline()
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(100), 130)
        self.assert_nothing_borrowed(before)
