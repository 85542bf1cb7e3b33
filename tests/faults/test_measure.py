"""Bad days: whatever fails beside a measurement, no path is blamed for it, and nothing is lost or left behind."""

import itertools
import json
import os
import pwd
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from pathspider import base
from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from tests.cmd.test_measure import COMMAND, clean_jobs, ndjson

FALSE = (".broken", ".offline", ".transient", "negotiation.failed", "negotiation.reflected")
"""What would be a wrong verdict on a clean path."""


class FaultCase(unittest.TestCase):
    """Each test has a lab of its own: it may break it."""

    def setUp(self):
        self.lab = Lab()
        self.lab.start()
        self.addCleanup(self.lab.close)
        self.rules = self.state()

    def state(self):
        settings = ["sysctl", "-n", "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"]
        return [self.lab.run(command, capture_output=True).stdout for command in (settings, ["nft", "list", "ruleset"])]

    def state_is_back(self):
        return any(self.state() == self.rules for _ in range(500))

    def start(self, jobs, *options, plugin=("ecn", "--connect", "tcp"), workers=20):
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by the cleanup
        self.addCleanup(file.close)
        file.write(ndjson(jobs))
        file.flush()
        command = [*COMMAND, "-i", "lab0", "-w", str(workers), "--input", file.name, *options, *plugin]
        return self.lab.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def is_measuring(self):
        """Wait until some connections have been made; whether there are any."""
        return any(self.lab.run(["ss", "-Htan", "dport", "=", ":80"], capture_output=True).stdout for _ in range(500))

    def finish(self, run, timeout=60):
        """Wait for the end; the records. Checks what must hold after any fault."""
        output, errors = run.communicate(timeout=timeout)
        self.assertTrue(output.endswith(b"\n") or not output)
        records = [json.loads(line) for line in output.splitlines()]
        targets = [record["number"] for record in records]
        self.assertEqual(len(targets), len(set(targets)))
        self.assertNotIn(b"Traceback", errors)
        self.assertTrue(self.state_is_back(), "settings or rules were left behind")
        return records, errors.decode()

    def assert_no_false_verdict(self, records):
        for record in records:
            for condition in record["conditions"]:
                self.assertFalse(condition.endswith(FALSE), record)

    def works(self, records):
        return sum("ecn.connectivity.works" in record["conditions"] for record in records)


class TestFaults(FaultCase):
    def test_interface_taken_down(self):
        run = self.start(clean_jobs(2000), "--rate", "400")
        self.assertTrue(self.is_measuring())
        self.lab.run(["ip", "link", "set", "lab0", "down"])
        records, errors = self.finish(run)
        self.assertEqual(run.returncode, 1, errors)
        self.assertIn("lab0", errors)
        self.assertIn("down", errors)
        self.assert_no_false_verdict(records)

    def test_interface_removed(self):
        run = self.start(clean_jobs(2000), "--rate", "400")
        self.assertTrue(self.is_measuring())
        self.lab.run(["ip", "link", "delete", "lab0"])
        records, errors = self.finish(run)
        self.assertEqual(run.returncode, 1, errors)
        self.assert_no_false_verdict(records)

    def test_source_address_removed(self):
        run = self.start(clean_jobs(600)[::2], "--rate", "400")
        self.assertTrue(self.is_measuring())
        self.lab.run(["ip", "addr", "flush", "dev", "lab0"])
        records, errors = self.finish(run)
        self.assertEqual(len(records), 300, errors)
        self.assert_no_false_verdict(records)
        self.assertTrue(
            any(
                condition.startswith("pathspider.local_error:") or condition == "pathspider.not_observed"
                for record in records
                for condition in record["conditions"]
            )
        )

    def test_ephemeral_ports_exhausted(self):
        self.lab.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=50000 50003"])
        jobs = [
            {"dip": clean_address(0, 4), "dp": 80, "domain": f"{number}.example.com", "number": number}
            for number in range(100)
        ]
        records, errors = self.finish(self.start(jobs))
        self.assertEqual(len(records), 100, errors)
        self.assert_no_false_verdict(records)
        said = {condition for record in records for condition in record["conditions"]}
        self.assertIn("pathspider.local_error:EADDRNOTAVAIL", said)

    def test_descriptors_limited(self):
        command = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *COMMAND, "-i", "lab0", "-w", "1000", "ecn"]
        outcome = self.lab.run(command, data=ndjson(clean_jobs(5)), capture_output=True)
        self.assertEqual((outcome.returncode, outcome.stdout), (2, b""))
        self.assertIn(b"1000 workers need", outcome.stderr)
        self.assertIn(b"ulimit -n", outcome.stderr)

    def test_signals_at_random_moments(self):
        chance = random.Random(5)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                run = self.start(clean_jobs(1500), "--rate", "400")
                first = run.stdout.readline()  # of a run that has begun
                time.sleep(chance.uniform(0, 1.5))
                run.send_signal(number)
                records, _ = self.finish(run)
                self.assertEqual(run.returncode, -9 if number == signal.SIGKILL else 128 + number)
                self.assert_no_false_verdict([json.loads(first), *records])

    def test_the_server_dies(self):
        """Then targets really are gone: the verdicts say so, and the run goes on to its end."""
        drop = (
            b"add table inet test\nadd chain inet test forward { type filter hook forward priority -300; }\n"
            b"add rule inet test forward ip daddr 10.64.0.0/10 reject with icmp host-unreachable\n"
        )
        jobs = [job for job in clean_jobs(1200) if "." in job["dip"]]
        run = self.start(jobs, "--rate", "400")
        self.assertTrue(self.is_measuring())
        self.lab.run(["nft", "-f", "-"], data=drop, room="router")
        records, errors = self.finish(run)
        self.assertEqual((run.returncode, len(records)), (0, 600), errors)
        self.assertTrue(any("ecn.connectivity.offline" in record["conditions"] for record in records))
        for record in records:
            self.assertFalse(any(condition.startswith("pathspider.") for condition in record["conditions"]), record)

    def test_the_clock_is_set_back(self):
        """As the process sees it: time.time() goes back an hour while it runs; the capture's clock is the kernel's."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sitecustomize.py").write_text(
                "import os, time\n_time, _began, _told = time.time, time.monotonic(), []\n"
                "def set_back():\n"
                "    if time.monotonic() - _began < 1:\n"
                "        return _time()\n"
                "    if not _told:\n"
                "        _told.append(os.write(2, b'the clock goes back'))\n"
                "    return _time() - 3600\n"
                "time.time = set_back\n"
            )
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(Path(__file__).parents[2])])}
            jobs = clean_jobs(600)
            outcome = self.lab.run(
                [*COMMAND, "-i", "lab0", "--rate", "500", "ecn", "--connect", "tcp"],
                data=ndjson(jobs),
                env=environment,
                capture_output=True,
                timeout=60,
            )
        records = [json.loads(line) for line in outcome.stdout.splitlines()]
        self.assertEqual((outcome.returncode, len(records), self.works(records)), (0, 600, 600), outcome.stderr)
        self.assertIn(b"the clock goes back", outcome.stderr)
        self.assertTrue(all(record["time"]["from"] <= record["time"]["to"] for record in records))

    def test_endless_input_and_a_slow_reader(self):
        """Jobs wait outside: the process takes no more of them than it can work on, and stays as small as it was."""
        command = [*COMMAND, "-i", "lab0", "-w", "10", "--output-flows", "ecn", "--connect", "tcp"]
        run = self.lab.popen(command, **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE))
        self.addCleanup(run.kill)
        feed = run.stdin.fileno()
        os.set_blocking(feed, False)
        lines = (
            json.dumps({"dip": clean_address(number % 20000, 4), "domain": f"{number}.example"}).encode() + b"\n"
            for number in itertools.count()
        )
        pending, fed, refused = b"", 0, 0
        while refused < 40:  # nobody reads a record; in 4 s nothing more was taken
            pending = pending or b"".join(itertools.islice(lines, 200))
            try:
                taken = os.write(feed, pending)
            except BlockingIOError:
                refused += 1
                time.sleep(0.1)
                continue
            fed, refused = fed + pending[:taken].count(b"\n"), 0
            pending = pending[taken:]
            self.assertLess(fed, 200_000, "it takes whatever it is given")
        found = self.lab.run(
            [
                "sh",
                "-c",
                "grep -l 'measure' /proc/[0-9]*/cmdline | cut -d/ -f3 | while read p; do "
                "grep VmHWM /proc/$p/status; done",
            ],
            capture_output=True,
        ).stdout
        peaks = [int(line.split()[1]) for line in found.splitlines()]
        self.assertTrue(peaks)
        # KiB. What was measured in the five seconds for which a complete flow is kept waits for it, some 6 KiB a job.
        self.assertLess(max(peaks), 1_000_000)
        for _ in range(2):
            run.send_signal(signal.SIGTERM)  # twice, for nobody reads the records
        run.communicate(timeout=100)

    def test_run_and_guard_are_killed_together(self):
        """The run had given up root's rights; its journal is root's all the same, and the next run clears up."""
        run = self.start(clean_jobs(2000), "--rate", "200", "--lockstep")
        self.assertTrue(self.is_measuring())
        guards = self.lab.run(["pgrep", "-f", "network/guard.py"], capture_output=True).stdout.split()
        journals = self.lab.run(["find", "/run/pathspider", "-type", "f", "-uid", "0"], capture_output=True).stdout
        self.assertEqual((len(guards), len(journals.split())), (1, 1))
        owner = self.lab.run(["stat", "-c", "%u", f"/proc/{guards[0].decode()}/task"], capture_output=True).stdout
        run.send_signal(signal.SIGSTOP)
        self.lab.run(["kill", "-KILL", guards[0].decode()])
        run.kill()
        run.communicate(timeout=100)
        self.assertNotEqual(self.lab.run(["grep", "-c", "^+", journals.decode().strip()]).returncode, 2)
        following = self.start(clean_jobs(20), "--user", "daemon")
        records, errors = self.finish(following)
        self.assertRegex(errors, "process [0-9]+ left sysctl/net/ipv4/tcp_ecn changed; put back")
        self.assertEqual((following.returncode, self.works(records)), (0, 20))
        left = self.lab.run(["find", "/run/pathspider", "-type", "f"], capture_output=True).stdout.split()
        self.assertEqual((len(left), owner), (1, b"65534\n"))  # one, which has nothing in it: its run could not delete
        following = self.start(clean_jobs(20))
        self.assertNotIn("left sysctl", self.finish(following)[1])

    def test_a_normal_user_with_two_capabilities(self):
        nobody = pwd.getpwnam("nobody").pw_uid
        home = tempfile.mkdtemp(dir="/var/tmp")
        self.addCleanup(subprocess.run, ["rm", "-rf", home], check=True)
        subprocess.run(["cp", "-r", Path(base.__file__).parent, home], check=True)
        for site in (path for path in sys.path if path.endswith("site-packages")):  # a virtual environment's
            subprocess.run(["cp", "-r", site, f"{home}/site"], check=True)
        subprocess.run(["chmod", "-R", "a+rX", home], check=True)
        privileges = "+net_raw,+net_admin"
        command = [
            "setpriv",
            f"--reuid={nobody}",
            "--clear-groups",
            f"--inh-caps={privileges}",
            f"--ambient-caps={privileges}",
            "/usr/bin/env",
            "-C",
            home,
            f"PYTHONPATH={home}:{home}/site",
            os.path.realpath(sys.executable),
            "-m",
            "pathspider",
            "measure",
            "-i",
            "lab0",
            "ecn",
            "--connect",
            "tcp",
        ]
        outcome = self.lab.run(command, data=ndjson(clean_jobs(20)), capture_output=True, timeout=60)
        records = [json.loads(line) for line in outcome.stdout.splitlines()]
        self.assertEqual((outcome.returncode, self.works(records)), (0, 20), outcome.stderr)
        self.assertTrue(self.state_is_back())
