"""Borrowed settings are put back, whatever ends the borrower."""

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from pathspider.network import guard, journal
from pathspider.network.settings import Settings, SettingsError, sysctl_path
from tests.helpers import netlab
from tests.network.test_journal import STRANGER, without_waiting
from tests.programs import as_nobody

ECN, FALLBACK = "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"
THING = "sysctl/net/ipv4/tcp_ecn"
BORROWER = f"""
import signal, sys
from pathspider.network.settings import Settings, SettingsError
try:
    with Settings() as settings:
        settings.sysctl({ECN!r}, 1)
        settings.sysctl({FALLBACK!r}, 0)
        if "nft" in sys.argv:
            settings.nft(["tcp dport 9 ip dscp set 46"])
        print("ready", settings._guard.pid, flush=True)
        sys.stdin.readline()
        if "fail" in sys.argv:
            raise ArithmeticError
except SettingsError as error:
    print("error", error, flush=True)
"""


def value(name):
    return int(sysctl_path(name).read_text())


def wait_for_release(thing=THING):
    """Return when no process holds the lock; ``journal.Busy`` if one goes on holding it."""
    journal.lock(thing).close()


def wait_for_end(pid):
    """Return when a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([descriptor], [], [], 10)
    os.close(descriptor)


class Borrower:
    """Another process that borrows; ``guard`` is its guard's pid, ``error`` what it said if it could not."""

    def __init__(self, case, *arguments, prefix=(), program=BORROWER):
        self.process = subprocess.Popen(
            # Whoever runs the tests may ignore some signals (nohup, a shell's background): it is not to inherit that.
            [*prefix, "env", "--default-signal=INT,HUP,TERM", sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        case.addCleanup(self.end)
        word, _, rest = self.process.stdout.readline().partition(" ")
        self.guard = int(rest) if word == "ready" else None
        self.error = rest if word == "error" else None

    def end(self):
        """End it as a user would, by closing its input; what it wrote to standard error."""
        if self.process.returncode is None:
            self.stderr = self.process.communicate()[1]
        return self.process.returncode

    def kill(self, number):
        self.process.send_signal(number)
        return self.end()


class NamespaceCase(unittest.TestCase):
    """Each test in a network namespace of its own."""

    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        self.namespace = netlab.enter_new()
        self.addCleanup(os.close, self.namespace)
        self.addCleanup(self.check_nothing_is_left)
        self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))

    def check_nothing_is_left(self):
        self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))
        self.assertEqual(netlab.sh("nft list ruleset"), "")
        self.assertEqual(journal.leftovers(), [])


class TestEndings(NamespaceCase):
    def test_normal_end(self):
        self.assertEqual(Borrower(self, "nft").end(), 0)

    def test_exception(self):
        borrower = Borrower(self, "fail", "nft")
        self.assertEqual(borrower.end(), 1)
        self.assertIn("ArithmeticError", borrower.stderr)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP):
            with self.subTest(number.name):
                borrower = Borrower(self, "nft")
                self.assertEqual((value(ECN), value(FALLBACK)), (1, 0))
                self.assertIn(f"pathspider_{borrower.process.pid}", netlab.sh("nft list ruleset"))
                self.assertNotEqual(borrower.kill(number), 0)
                wait_for_release()
                self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))
                wait_for_release(f"nft/inet pathspider_{borrower.process.pid}")
                self.assertEqual(netlab.sh("nft list ruleset"), "")

    def test_ctrl_c_and_sigterm_to_all_of_them(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                borrower = Borrower(self)
                self.assertNotEqual(os.getsid(borrower.guard), os.getsid(borrower.process.pid))
                os.kill(borrower.guard, number)
                os.killpg(borrower.process.pid, number)
                borrower.end()
                wait_for_release()
                self.assertEqual(value(ECN), 2)

    def test_a_forked_child_that_lives_on_does_not_matter(self):
        program = BORROWER.replace(
            "sys.stdin.readline()", "import os\n        os.fork() or signal.pause()\n        sys.stdin.readline()\n"
            "        os.kill(os.getpid(), 9)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        guard = os.pidfd_open(int(process.stdout.readline().split()[1]))
        self.addCleanup(os.close, guard)
        process.stdin.close()  # the end comes when somebody looks
        self.assertEqual(process.wait(), -9)
        self.assertTrue(select.select([guard], [], [], 30)[0])
        self.assertEqual(value(ECN), 2)


class TestOtherRuns(NamespaceCase):
    def test_a_second_run_is_refused_and_changes_nothing(self):
        first = Borrower(self)
        with Settings() as settings, self.assertRaises(SettingsError) as caught:
            settings.sysctl(ECN, 0)
        self.assertIn(f"process {first.process.pid}", str(caught.exception))
        self.assertEqual((value(ECN), value(FALLBACK)), (1, 0))
        first.end()
        with Settings() as settings:
            settings.sysctl(ECN, 0)
            self.assertEqual(value(ECN), 0)

    def test_two_in_one_process(self):
        with Settings() as one, Settings() as two:
            one.sysctl(ECN, 1)
            with self.assertRaisesRegex(SettingsError, "another part of this process"):
                two.sysctl(ECN, 0)
            two.sysctl(FALLBACK, 0)
            one.nft(["ip dscp set 1"])
            two.nft(["ip dscp set 2"])
            self.assertEqual(netlab.sh("nft list tables").count("pathspider_"), 2)

    def test_runs_in_other_namespaces_do_not_meet(self):
        first = Borrower(self)
        other = Borrower(self, prefix=("unshare", "--net"))
        self.assertIsNone(other.error)
        other.kill(signal.SIGKILL)
        self.assertEqual(value(ECN), 1)
        self.assertEqual(first.end(), 0)

    def test_what_a_killed_run_and_guard_have_left_is_cleaned(self):
        for borrow in (False, True):
            with self.subTest(borrow=borrow):
                borrower = Borrower(self, "nft")
                os.kill(borrower.guard, signal.SIGKILL)
                borrower.kill(signal.SIGKILL)
                self.assertEqual((value(ECN), value(FALLBACK)), (1, 0))
                with self.assertLogs("pathspider.network.settings", logging.WARNING) as logs, Settings() as settings:
                    self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))
                    self.assertEqual(netlab.sh("nft list ruleset"), "")
                    if borrow:
                        settings.sysctl(ECN, 1)
                self.assertIn(str(borrower.process.pid), logs.output[0])
                self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))

    def test_the_journal_of_a_living_run_is_left_alone(self):
        borrower = Borrower(self, "nft")
        with Settings():
            self.assertEqual((value(ECN), value(FALLBACK)), (1, 0))
            self.assertIn("pathspider_", netlab.sh("nft list ruleset"))
        self.assertEqual(borrower.end(), 0)

    def test_a_dead_guard_is_noticed_and_replaced(self):
        with Settings() as settings:
            settings.sysctl(ECN, 1)
            first = settings._guard
            first.kill()
            first.wait()
            with self.assertLogs("pathspider.network.settings", logging.WARNING) as logs:
                settings.sysctl(ECN, 2)
            self.assertIn("has died", logs.output[0])
            self.assertNotEqual(settings._guard.pid, first.pid)
            settings.sysctl(ECN, 1)
            settings._guard.kill()
            settings._guard.wait()


class TestUse(NamespaceCase):
    def test_switching(self):
        with Settings() as settings:
            settings.sysctl(ECN, 1)
            descriptors = os.listdir("/proc/self/fd")
            for turn in range(1000):
                settings.sysctl(ECN, turn % 3)
            self.assertEqual((value(ECN), settings.read(ECN)), (0, "0"))
            self.assertEqual(os.listdir("/proc/self/fd"), descriptors)

    def test_for_the_length_of_a_block(self):
        with Settings() as settings:
            with settings.sysctl(ECN, 1), settings.sysctl(FALLBACK, 0):
                self.assertEqual((value(ECN), value(FALLBACK)), (1, 0))
            self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))
            settings.sysctl(ECN, 1)
            with settings.sysctl(ECN, 0):
                self.assertEqual(value(ECN), 0)
            self.assertEqual(value(ECN), 1)

    def test_rules_are_replaced_in_our_own_table_only(self):
        netlab.sh("nft -f -", "table inet theirs {\n chain c {\n ip dscp 7 drop\n }\n}\n")
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(netlab.sh, "nft delete table inet theirs")
        theirs = netlab.sh("nft list ruleset")
        with Settings() as settings:
            settings.nft(["meta l4proto tcp ip dscp set 46", "meta l4proto tcp ip6 dscp set 46"])
            self.assertIn("ip6 dscp set ef", netlab.sh("nft list ruleset"))
            settings.nft(["ip dscp set 10"])
            self.assertIn("ip dscp set af11", netlab.sh("nft list ruleset"))
            self.assertNotIn("dscp set ef", netlab.sh("nft list ruleset"))
            settings.nft([])
            self.assertNotIn("dscp set", netlab.sh("nft list ruleset"))
            settings.nft(["tcp dport { 80, 443 } meta mark set 1"], "type filter hook output priority 0;")
            for rules in (["bogus"], ["ip dscp set 1; drop"], ["}"], ["drop\n}"]):
                with self.subTest(rules), self.assertRaises(SettingsError):
                    settings.nft(rules)
            self.assertIn("mark set", netlab.sh("nft list ruleset"))
        self.assertEqual(netlab.sh("nft list ruleset"), theirs)
        self.doCleanups()

    def test_names(self):
        netlab.sh("ip link add name du0.5 type veth peer name du1")
        expected = Path("/proc/sys/net/ipv4/conf/du0.5/forwarding")
        for name in (
            "net/ipv4/conf/du0.5/forwarding",
            "net.ipv4.conf.du0/5.forwarding",
            "net.ipv4.conf.du0.5.forwarding",
        ):
            self.assertEqual(sysctl_path(name), expected)
        for name in ("net.ipv4.nothing", "net.ipv4", "kernel.panic", "net/../kernel/panic", "", "net..x", "net.\0"):
            with self.subTest(name=name), self.assertRaises(SettingsError):
                sysctl_path(name)

    def test_an_interface_that_goes_away(self):
        netlab.sh("ip link add name du0 type veth peer name du1")
        with Settings() as settings:
            settings.sysctl("net.ipv4.conf.du0.forwarding", 1)
            netlab.sh("ip link del du0")

    def test_errors_name_the_setting_and_the_reason(self):
        with Settings() as settings:
            for name, wrong, text in (
                (ECN, 77, "refuses this value"),
                (ECN, "é", "not a value"),
                ("net.ipv4.nothing", 1, "no such sysctl"),
            ):
                with self.subTest(text), self.assertRaisesRegex(SettingsError, text):
                    settings.sysctl(name, wrong)
        with self.assertRaisesRegex(SettingsError, "put back already"):
            settings.sysctl(ECN, 1)
        settings.close()

    def test_without_privilege(self):
        borrower = Borrower(self, prefix=as_nobody())
        self.assertIn(f"cannot set {ECN}: no permission; it needs CAP_NET_ADMIN", borrower.error)

    def test_a_normal_user_with_the_capability(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        os.chown(home.name, 65534, 65534)
        borrower = Borrower(self, "nft", prefix=["env", f"XDG_RUNTIME_DIR={home.name}", *as_nobody("net_admin")])
        self.assertIsNone(borrower.error)
        self.assertEqual(value(ECN), 1)
        borrower.kill(signal.SIGKILL)
        wait_for_release()
        self.assertEqual(value(ECN), 2)

    def test_many_threads(self):
        failures = []

        def switch(settings, number):
            try:
                for turn in range(50):
                    settings.sysctl(ECN if number % 2 else FALLBACK, turn % 2)
            except Exception as error:
                failures.append(error)

        with Settings() as settings:
            threads = [threading.Thread(target=switch, args=(settings, number)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])

    def test_nothing_borrowed_needs_no_guard(self):
        with Settings() as settings:
            self.assertIsNone(settings._guard)

    def test_the_guard_is_light(self):
        with Settings() as settings:
            settings.sysctl(ECN, 1)
            status = Path(f"/proc/{settings._guard.pid}/status").read_text()
            private = int(status.split("RssAnon:")[1].split()[0])
            self.assertLess(private, 8192)


SHARER = f"""
import sys
from pathspider.network.settings import Settings, SettingsError
try:
    with Settings() as settings:
        settings.sysctl({FALLBACK!r}, sys.argv[1], shared=True)
        print("ready", settings._guard.pid, flush=True)
        sys.stdin.readline()
except SettingsError as error:
    print("error", error, flush=True)
"""


class TestSharing(NamespaceCase):
    """The last one that leaves puts back what was there before the first came."""

    def share(self, wanted="0"):
        return Borrower(self, wanted, program=SHARER)

    def wait_for(self, wanted):
        deadline = time.monotonic() + 100
        while value(FALLBACK) != wanted and time.monotonic() < deadline:
            pass
        self.assertEqual(value(FALLBACK), wanted)

    def test_whoever_is_last_puts_back(self):
        for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
            for how in ("end", "kill"):
                with self.subTest(order=order, how=how):
                    sharers = [self.share() for _ in range(3)]
                    self.assertEqual([sharer.error for sharer in sharers], [None] * 3)
                    for number in order[:2]:
                        sharers[number].end() if how == "end" else sharers[number].kill(signal.SIGKILL)
                        if how == "kill":
                            wait_for_end(sharers[number].guard)
                        self.assertEqual(value(FALLBACK), 0)
                    sharers[order[2]].kill(signal.SIGKILL)
                    self.wait_for(1)

    def test_all_killed_at_once(self):
        sharers = [self.share() for _ in range(4)]
        for sharer in sharers:
            sharer.process.send_signal(signal.SIGKILL)
        self.wait_for(1)
        for sharer in sharers:
            sharer.end()
            wait_for_end(sharer.guard)
        self.assertEqual(value(FALLBACK), 1)

    def test_the_first_is_killed_with_its_guard(self):
        first, second = self.share(), self.share()
        os.kill(first.guard, signal.SIGKILL)
        first.kill(signal.SIGKILL)
        with Settings():  # cleans leftovers, of which this is none yet
            self.assertEqual(value(FALLBACK), 0)
        self.assertEqual(second.end(), 0)
        self.assertEqual(value(FALLBACK), 1)

    def test_all_are_killed_with_their_guards(self):
        sharers = [self.share() for _ in range(2)]
        for sharer in sharers:
            os.kill(sharer.guard, signal.SIGKILL)
            sharer.kill(signal.SIGKILL)
        self.assertEqual(value(FALLBACK), 0)
        third = self.share()
        self.assertIsNone(third.error)
        third.end()
        self.assertEqual(value(FALLBACK), 1)

    def test_nobody_waits_at_the_gate_for_a_guard_to_start(self):
        """On a busy machine that takes seconds, for each of those who come at once."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        go_on, slow = folder / "go on", folder / "python"
        os.mkfifo(go_on)
        slow.write_text(f"#!/bin/sh\nread line <'{go_on}'\nexec '{sys.executable}' \"$@\"\n")
        slow.chmod(0o755)
        with Settings() as settings, mock.patch.object(sys, "executable", str(slow)):
            thread = threading.Thread(target=settings.sysctl, args=(ECN, 0, True))
            thread.start()
            with open(go_on, "w", encoding="ascii") as file:  # as soon as it is being started
                held = guard.holder(b"\0pathspider/" + THING.encode() + b"/gate")
                file.write("\n")
            thread.join()
            self.assertEqual((held, value(ECN)), (None, 0))

    def test_another_value_is_refused(self):
        first = self.share()
        other = self.share("1")
        self.assertRegex(other.error, f"^{FALLBACK} is shared by process {first.process.pid} in this network namespace,"
                                      " at 0, and this run needs 1; wait for its end")
        first.end()
        with Settings() as settings:
            settings.sysctl(FALLBACK, 0, shared=True)
            with settings.sysctl(FALLBACK, 0, shared=True), settings.sysctl("net/ipv4/tcp_ecn_fallback", 0):
                pass
            for shared in (True, False):
                with self.assertRaisesRegex(SettingsError, "is shared with other runs, at 0, and cannot become 1"):
                    settings.sysctl("net/ipv4/tcp_ecn_fallback", 1, shared=shared)
            settings.sysctl(ECN, 1)
            with self.assertRaisesRegex(SettingsError, "borrowed for this run alone"):
                settings.sysctl(ECN, 1, shared=True)

    def test_alone_and_shared_exclude_each_other(self):
        alone = Borrower(self)
        sharer = self.share()
        self.assertRegex(sharer.error, f"{FALLBACK} is borrowed by process {alone.process.pid} .*spoil")
        alone.end()
        sharer = self.share()
        alone = Borrower(self)
        self.assertRegex(alone.error, f"{FALLBACK} is borrowed by process {sharer.process.pid} .*spoil")
        sharer.process.kill()
        sharer.process.communicate()
        with Settings() as settings:  # waits for the guard of the dead sharer
            settings.sysctl(FALLBACK, 0)
            self.assertEqual(settings._borrowed["sysctl/net/ipv4/tcp_ecn_fallback"].old.strip(), "1")

    def test_given_back_early_it_can_be_borrowed_alone(self):
        with Settings() as settings:
            settings.sysctl(FALLBACK, 0, shared=True)
            settings.give_back(FALLBACK)
            settings.give_back(FALLBACK)
            self.assertEqual(value(FALLBACK), 1)
            settings.sysctl(FALLBACK, 0)
            self.assertIsNotNone(self.share().error)

    def test_many_come_and_go(self):
        program = f"""
import random, sys
from pathspider.network.settings import Settings
from pathspider.network.settings import sysctl_path
for _ in range(15):
    with Settings() as settings:
        settings.sysctl({FALLBACK!r}, 0, shared=True)
        if sysctl_path({FALLBACK!r}).read_text() != "0\\n":
            sys.exit("put back by another")
"""
        processes = [subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.getcwd()})
                     for _ in range(4)]
        self.assertEqual([process.wait() for process in processes], [0] * 4)
        self.assertEqual(value(FALLBACK), 1)

    def test_a_forked_child_that_lives_on_does_not_count(self):
        program = SHARER.replace(
            "sys.stdin.readline()",
            "import os, signal\n        os.fork() or signal.pause()\n        os.kill(os.getpid(), 9)",
        )
        process = subprocess.Popen([sys.executable, "-c", program, "0"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, start_new_session=True,
                                   env={**os.environ, "PYTHONPATH": os.getcwd()})
        self.addCleanup(process.stdout.close)
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        process.stdout.readline()
        process.wait()
        self.wait_for(1)


class TestNft(NamespaceCase):
    """nft that refuses, cannot be started, or goes away: its own words, and nothing else suffers."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"))

    def program(self, lines):
        """What is found as nft from now on."""
        path = self.folder / "nft"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return path

    def test_its_own_words_and_no_entry_for_what_was_never_made(self):
        real = shutil.which("nft")
        for lines in ("echo Error: Could not process rule: Operation not supported >&2; exit 1",
                      f'[ "$1" = -f ] && exec {real} "$@"; echo Error: another one >&2; exit 1'):
            self.program(lines)
            with Settings() as settings:
                settings.sysctl(ECN, 1)
                for ask in (lambda: settings.nft(["ip dscp set 1", "bogus"]),
                            lambda: settings.nft_table("chain c {\nip dscp set 1\nbogus\n}")):
                    with self.assertRaises(SettingsError) as caught:
                        ask()
                    said = str(caught.exception)
                    self.assertNotRegex(said, "another one|256|could not put back")
                    self.assertRegex(said, "^nft refuses (our rules|the rule 'bogus'): ")
                    self.assertRegex(said, "Operation not supported" if "process" in lines else "syntax error")
                    self.assertEqual([thing for thing in journal.leftovers() if thing.startswith("nft")], [])
            self.assertEqual((value(ECN), journal.leftovers()), (2, []))

    def test_the_second_rules_are_refused_and_the_first_stay(self):
        with Settings() as settings:
            settings.nft(["ip dscp set 1"])
            with self.assertRaisesRegex(SettingsError, "the rule 'ip6 dscp set 77': .*exceeds"):
                settings.nft(["ip dscp set 2", "ip6 dscp set 77"])
            self.assertIn("ip dscp set lephb", netlab.sh("nft list ruleset"))

    def test_what_can_be_put_back_is_where_nft_is_gone(self):
        program = self.program(f'exec {shutil.which("nft")} "$@"')
        settings = Settings()
        settings.sysctl(ECN, 1)
        settings.nft(["ip dscp set 1"])
        settings.nft_table("")
        settings.sysctl(FALLBACK, 0, shared=True)
        program.unlink()
        with self.assertRaisesRegex(SettingsError, "^could not put back table inet pathspider_[0-9]+_2 .*: nft cannot "
                                                   "be started: No such file.*; table inet pathspider_[0-9]+ .*: nft "):
            settings.close()
        self.assertEqual((value(ECN), value(FALLBACK)), (2, 1))
        self.assertEqual(settings._guard.returncode, 1)
        with self.assertLogs("pathspider.network.settings", logging.WARNING), Settings():
            pass  # puts back what is left

    def test_give_back_says_what_cannot_be_put_back(self):
        program = self.program(f'exec {shutil.which("nft")} "$@"')
        with Settings() as settings:
            table = settings.nft_table("")
            program.unlink()
            with self.assertRaisesRegex(SettingsError, f"^could not put back table {table}: nft cannot be started"):
                settings.give_back(f"table {table}")
            self.program(f'exec {shutil.which("nft", path="/usr/sbin")} "$@"')

    def test_leftovers_that_cannot_be_put_back_are_told(self):
        borrower = Borrower(self, "nft")
        os.kill(borrower.guard, signal.SIGKILL)
        borrower.kill(signal.SIGKILL)
        with mock.patch.object(shutil, "which", return_value=None), \
                self.assertLogs("pathspider.network.settings", logging.WARNING) as logs, Settings():
            self.assertEqual(value(ECN), 2)
        self.assertRegex("\n".join(logs.output), "left nft/inet pathspider_[0-9]+ changed: nft is not installed")
        with self.assertLogs("pathspider.network.settings", logging.WARNING), Settings():
            pass

    def test_a_journal_that_cannot_be_written(self):
        with mock.patch.object(guard.Journal, "note", side_effect=OSError(28, "No space left on device")), \
                self.assertLogs("pathspider.network.settings", logging.WARNING) as logs, Settings() as settings:
            settings.sysctl(ECN, 1)
        self.assertIn("No space left on device", logs.output[0])
        self.assertEqual(value(ECN), 2)


class TestStrangers(NamespaceCase):
    """A user without privileges holds names of ours: that changes nothing, or is told at once."""

    def hold(self, *names):
        process = subprocess.Popen([*as_nobody(), sys.executable, "-c", STRANGER, "listening", *names],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process

    def series(self, name):
        return [name, *(f"{name}~{number}" for number in range(1, guard.SERIES))]

    THING = "pathspider/sysctl/net/ipv4/tcp_ecn_fallback"

    def test_a_share_is_put_back(self):
        """Seen: it was left as it was, without a word."""
        with without_waiting(self), Settings() as settings:
            settings.sysctl(FALLBACK, 0, shared=True)
            self.hold(*(f"{self.THING}/{number}" for number in range(1, guard.SHARES)), *self.series(self.THING),
                      *self.series(f"{self.THING}/gate"))
            self.assertEqual(value(FALLBACK), 0)
        self.assertEqual(value(FALLBACK), 1)

    def test_who_holds_all_names_is_named(self):
        stranger = self.hold(*self.series(self.THING), *self.series(f"{self.THING}/gate"))
        with without_waiting(self), Settings() as settings:
            for shared in (True, False):
                with self.assertRaisesRegex(SettingsError, f"{FALLBACK}.*: process {stranger.pid} of user 65534"):
                    settings.sysctl(FALLBACK, 0, shared=shared)
            settings.sysctl(ECN, 1)

    def test_leftovers_behind_a_stranger_are_told(self):
        borrower = Borrower(self, "nft")
        os.kill(borrower.guard, signal.SIGKILL)
        borrower.kill(signal.SIGKILL)
        stranger = self.hold(*self.series("pathspider/sysctl/net/ipv4/tcp_ecn"))
        with self.assertLogs("pathspider.network.settings", logging.WARNING) as logs, Settings():
            self.assertEqual((value(ECN), value(FALLBACK)), (1, 1))
        self.assertRegex("\n".join(logs.output), f"tcp_ecn.*process {stranger.pid} of user 65534")
        stranger.communicate()
        with self.assertLogs("pathspider.network.settings", logging.WARNING), Settings():
            pass

    def test_a_table_of_our_own_all_the_same(self):
        self.hold(*self.series(f"pathspider/nft/inet pathspider_{os.getpid()}"))
        with Settings() as settings:
            self.assertTrue(settings.nft_table("").endswith("_2"))


class TestForeignJournals(NamespaceCase):
    def test_only_what_a_run_can_have_changed_is_put_back(self):
        folder = journal.RUN / journal.namespace_key()
        folder.mkdir(parents=True, mode=0o755)
        things = ("sysctl/kernel/panic", "nft/inet theirs", "shell/reboot", "sysctl/net/../kernel/panic")
        (folder / "1").write_text("1\n" + "".join(f"+{thing}\t99\n" for thing in things))
        netlab.sh("nft add table inet theirs")
        before = Path("/proc/sys/kernel/panic").read_text()
        with self.assertLogs("pathspider.network.settings", logging.WARNING), Settings():
            pass
        self.assertEqual(Path("/proc/sys/kernel/panic").read_text(), before)
        self.assertIn("theirs", netlab.sh("nft list ruleset"))
        netlab.sh("nft delete table inet theirs")
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
