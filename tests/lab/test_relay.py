"""``pspdr lab run`` as a user has it, the relay: exit status, streams, signals, terminal, and sudden deaths."""

import os
import pty
import signal
import subprocess
import sys
import unittest

from tests.lab.processes import Watch, descendants, holders
from tests.programs import as_nobody

PSPDR = [sys.executable, "-m", "pathspider"]

ONE_SIGNAL = """
import signal, sys
signal.signal(signal.{0}, lambda *_: sys.exit(5))
print("ready", flush=True)
while True:
    signal.pause()
"""

COUNT_INTERRUPTS = """
import signal, sys, urllib.request
interrupt = [signal.SIGINT]
signal.pthread_sigmask(signal.SIG_BLOCK, interrupt)
print("ready", flush=True)
signal.sigwait(interrupt)
count = 1 + (signal.sigtimedwait(interrupt, 0.3) is not None)  # a second one would be wrong
urllib.request.urlopen("http://10.20.1.2/", timeout=100).read()  # the servers are still there
sys.exit(40 + count)
"""


def run(*arguments, **options):
    return subprocess.run([*PSPDR, "lab", *arguments], capture_output=True, timeout=60, check=False, **options)


class TestRun(unittest.TestCase):
    def test_exit_status_passes_through(self):
        for status in (0, 1, 42):
            with self.subTest(status=status):
                self.assertEqual(run("run", "--", "sh", "-c", f"exit {status}").returncode, status)

    def test_end_by_a_signal_reads_as_in_a_shell(self):
        self.assertEqual(run("run", "--", "sh", "-c", "kill -TERM $$").returncode, 128 + signal.SIGTERM)

    def test_streams(self):
        done = run("run", "--", "sh", "-c", "cat; echo err >&2; ip -o -4 address show lab0", input=b"in\n")
        self.assertTrue(done.stdout.startswith(b"in\n"))
        self.assertIn(b"10.0.0.2", done.stdout)
        self.assertEqual(done.stderr, b"err\n")

    def test_command_that_cannot_be_started(self):
        done = run("run", "--", "no-such-command")
        self.assertEqual(done.returncode, 127)
        self.assertIn(b"cannot start no-such-command", done.stderr)
        self.assertEqual(run("run", "--", "/etc/passwd").returncode, 126)

    def test_no_command(self):
        done = run("run")
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"no command given", done.stderr)

    def test_shell(self):
        done = run("shell", input=b"ip -o link\nexit 3\n", env=os.environ | {"SHELL": "/bin/sh"})
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"lab0", done.stdout)

    def test_without_root(self):
        done = subprocess.run([*as_nobody(), *PSPDR, "lab", "run", "--", "true"],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"needs root", done.stderr)


class TestSignals(unittest.TestCase):
    def test_signals_are_handed_on(self):
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"):
            with self.subTest(signal=name), subprocess.Popen(
                [*PSPDR, "lab", "run", "--", sys.executable, "-c", ONE_SIGNAL.format(name)],
                stdout=subprocess.PIPE, start_new_session=True,
            ) as process:
                self.assertEqual(process.stdout.readline(), b"ready\n")
                process.send_signal(signal.Signals[name])
                self.assertEqual(process.wait(100), 5)

    def test_ctrl_c_reaches_the_command_once_and_the_servers_never(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [*PSPDR, "lab", "run", "--", sys.executable, "-c", COUNT_INTERRUPTS])
        self.addCleanup(os.close, terminal)
        text = b""
        while b"ready\r\n" not in text:
            text += os.read(terminal, 1024)
        os.write(terminal, b"\x03")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 41)

    def test_a_terminal_that_goes_away_ends_the_command(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [*PSPDR, "lab", "run", "--", sys.executable, "-c", ONE_SIGNAL.format("SIGHUP")])
        text = b""
        while b"ready\r\n" not in text:
            text += os.read(terminal, 1024)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 5)


class TestSuddenDeath(unittest.TestCase):
    """SIGKILL of any part leaves nothing."""

    def start(self):
        process = subprocess.Popen(
            [*PSPDR, "lab", "run", "--", "sh", "-c", "setsid sleep 1000 & echo ready; sleep 1000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        pids = descendants(process.pid)
        watch = Watch(pids)
        self.addCleanup(watch.close)
        self.assertGreaterEqual(len(pids), 5)  # the one that waits, init, servers, sh, its children
        return process, pids, watch

    def check(self, process, watch):
        self.assertTrue(watch.all_end())
        process.wait(100)
        self.assertEqual(holders(watch), [])

    def test_of_the_command_line_tool(self):
        process, _, watch = self.start()
        process.kill()
        self.check(process, watch)

    def test_of_each_process_below_it(self):
        for part in ("the one that waits", "init", "servers"):
            with self.subTest(part=part):
                process, pids, watch = self.start()
                os.kill(pids[["the one that waits", "init", "servers"].index(part)], signal.SIGKILL)
                self.check(process, watch)
                self.assertNotEqual(process.returncode, 0)
