"""A lab starts, runs commands, ends, and leaves nothing."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from pathspider.lab import Lab, LabError
from tests.lab.processes import Watch, descendants, holders

FETCH = """
import sys, urllib.request
for address in sys.argv[1:]:
    print(urllib.request.urlopen(f"http://{address}/", timeout=100).read().decode().strip())
"""


def mounts():
    return Path("/proc/self/mountinfo").read_text()


def sysctls():
    return {name: Path("/proc/sys", name).read_text()
            for name in ("net/ipv4/tcp_ecn", "net/ipv4/ip_forward", "net/core/somaxconn", "net/ipv4/tcp_fastopen")}


def links():
    return sorted(os.listdir("/sys/class/net"))


class TestLab(unittest.TestCase):
    def test_start_is_quick_and_nothing_stays(self):
        before = mounts(), sysctls(), links()
        with Lab() as lab:
            watch = Watch(descendants(lab._process.pid))
            self.addCleanup(watch.close)
            self.assertGreaterEqual(len(watch.descriptors), 2)  # init and servers
            self.assertEqual(lab.run(["true"]).returncode, 0)
            self.assertGreaterEqual(len(watch.namespaces), 3)
        self.assertTrue(watch.all_end())
        self.assertEqual(holders(watch), [])
        self.assertEqual((mounts(), sysctls(), links()), before)
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("pathspider_lab", tables)

    def test_servers_answer_on_every_address(self):
        addresses = ["10.20.1.2", "[fd00:20::1:2]", "10.64.0.1", "10.127.255.254", "[fd00:21::1]",
                     "[fd00:21::ffff:ffff]", "10.20.1.6", "[fd00:20::1:6]"]
        with Lab() as lab:
            done = lab.run([sys.executable, "-c", FETCH, *addresses], capture_output=True)
        self.assertEqual(done.stdout.decode().splitlines(), ["This is the PATHspider lab."] * len(addresses),
                         done.stderr.decode())

    def test_exit_status_streams_environment_and_folder(self):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            self.assertEqual(lab.run(["sh", "-c", "exit 7"]).returncode, 7)
            self.assertEqual(lab.run(["sh", "-c", "kill -9 $$"]).returncode, -9)
            done = lab.run(["sh", "-c", "cat; echo bad >&2"], data=b"x" * 300_000, capture_output=True)
            self.assertEqual((done.stdout, done.stderr), (b"x" * 300_000, b"bad\n"))
            done = lab.run(["sh", "-c", "pwd; echo $WHO"], capture_output=True, cwd=folder,
                           env=os.environ | {"WHO": "me"})
            self.assertEqual(done.stdout.decode().split(), [os.path.realpath(folder), "me"])
            with self.assertRaisesRegex(LabError, "no-such-command"):
                lab.run(["no-such-command"])
            with self.assertRaises(subprocess.TimeoutExpired):
                lab.run(["sleep", "100"], timeout=0.1)

    def test_the_client_sees_its_own_network_only(self):
        with Lab() as lab:
            done = lab.run(["sh", "-c", "ls /sys/class/net; ls -d /proc/[0-9]* | wc -l"], capture_output=True)
        *interfaces, processes = done.stdout.decode().split()
        self.assertEqual(interfaces, ["lab0", "lo"])
        self.assertLess(int(processes), 10)

    def test_rooms_differ_in_ecn(self):
        with Lab() as lab:
            values = [lab.run(["cat", "/proc/sys/net/ipv4/tcp_ecn"], room=room, capture_output=True).stdout.strip()
                      for room in ("client", "server", "no_ecn")]
        self.assertEqual(values, [b"2", b"1", b"0"])

    def test_several_at_once(self):
        with Lab() as one, Lab() as other:
            for lab, value in ((one, "3"), (other, "4")):
                lab.run(["sh", "-c", f"ip address add 10.9.9.{value}/32 dev lab0"])
            with ThreadPoolExecutor(2) as pool:
                found = list(pool.map(
                    lambda lab: lab.run(["ip", "-4", "-o", "address"], capture_output=True).stdout.decode(),
                    (one, other)))
        self.assertIn("10.9.9.3", found[0])
        self.assertNotIn("10.9.9.4", found[0])
        self.assertIn("10.9.9.4", found[1])

    def test_a_command_that_cannot_be_sent_leaves_nothing(self):
        with Lab() as lab:
            lab._process.kill()
            lab._reader.join()
            before = os.listdir("/proc/self/fd")
            for _ in range(3):
                with self.assertRaises(LabError):
                    lab.popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual((lab._commands, os.listdir("/proc/self/fd")), ({}, before))

    def test_commands_side_by_side(self):
        with Lab() as lab:
            first = lab.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            second = lab.run(["echo", "second"], capture_output=True)
            self.assertIsNone(first.poll())
            self.assertEqual(first.communicate(b"first"), (b"first", b""))
        self.assertEqual(second.stdout, b"second\n")

    def test_what_a_command_leaves_running_goes_with_the_lab(self):
        with Lab() as lab:
            before = len(descendants(lab._process.pid))
            lab.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"])
            watch = Watch(descendants(lab._process.pid))
            self.addCleanup(watch.close)
            self.assertEqual(len(watch.descriptors), before + 1)
        self.assertTrue(watch.all_end())


class TestBreakdown(unittest.TestCase):
    def test_the_death_of_init_is_told(self):
        with Lab() as lab:
            command = lab.popen(["sleep", "1000"])
            os.kill(descendants(lab._process.pid)[0], signal.SIGKILL)
            with self.assertRaisesRegex(LabError, "lab ended while sleep ran"):
                command.wait(100)
            with self.assertRaises(LabError):
                lab.run(["true"])

    def test_the_death_of_the_servers_is_told(self):
        with Lab() as lab:
            command = lab.popen(["sleep", "1000"])
            servers = descendants(lab._process.pid)[1]
            os.kill(servers, signal.SIGKILL)
            with self.assertRaisesRegex(LabError, "servers ended with status -9"):
                command.wait(100)

    def test_the_death_of_the_one_that_waits_ends_the_lab(self):
        with Lab() as lab:
            watch = Watch(descendants(lab._process.pid))
            self.addCleanup(watch.close)
            lab._process.kill()
            self.assertTrue(watch.all_end())

    def test_unknown_servers(self):
        with self.assertRaisesRegex(LabError, "no servers are called 'iis'"):
            Lab("iis").start()

    def test_without_root(self):
        with mock.patch("os.geteuid", return_value=1000), self.assertRaisesRegex(LabError, "sudo"):
            Lab().start()

    def test_without_nft(self):
        with mock.patch("shutil.which", return_value=None), self.assertRaisesRegex(LabError, "install nftables"):
            Lab().start()

    def test_closed_lab_runs_nothing(self):
        lab = Lab()
        with lab:
            pass
        lab.close()
        with self.assertRaisesRegex(LabError, "not running"):
            lab.run(["true"])
