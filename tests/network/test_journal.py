"""Locks that die with their holders, and the journal of a network namespace."""

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from pathspider.network import guard, journal
from tests.helpers import netlab
from tests.programs import as_nobody

HOLDER = """
import sys
from pathspider.network import journal
held = journal.lock(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


class NamespaceCase(unittest.TestCase):
    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        os.close(netlab.enter_new())

    def hold(self, thing, prefix=()):
        process = subprocess.Popen([*prefix, sys.executable, "-c", HOLDER, thing], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process


class TestLocks(NamespaceCase):
    def test_a_living_holder_is_named_and_a_dead_one_is_none(self):
        for thing in ("sysctl/net/ipv4/tcp_ecn", "x" * 300):
            process = self.hold(thing)
            for _ in range(2):
                with self.assertRaises(journal.Busy) as caught:
                    journal.lock(thing)
                self.assertEqual(caught.exception.pid, process.pid)
            journal.lock(thing + "y").close()
            process.kill()
            process.wait()
            journal.lock(thing).close()
            journal.lock(thing).close()

    def test_a_copy_of_the_socket_holds_it_too(self):
        held = journal.lock("thing")
        with held.dup():
            held.close()
            with self.assertRaises(journal.Busy):
                journal.lock("thing")
        journal.lock("thing").close()

    def test_another_namespace_has_locks_of_its_own(self):
        with journal.lock("thing"):
            here = journal.namespace_key()
            os.close(netlab.enter_new())
            self.assertNotEqual(journal.namespace_key(), here)
            journal.lock("thing").close()


STRANGER = """
import os, socket, sys
held = []
for name in sys.argv[2:]:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(chr(0) + name)
    if sys.argv[1] == "dead":  # who listened has ended, and another has the socket
        if not os.fork():
            sock.listen(99)
            os._exit(0)
        os.wait()
    elif sys.argv[1] != "deaf":
        sock.listen(0 if sys.argv[1] == "full" else 99)
    held.append(sock)
    if sys.argv[1] == "full":
        for _ in range(3):
            other = socket.socket(socket.AF_UNIX)
            other.setblocking(False)
            other.connect_ex(chr(0) + name)
            held.append(other)
print("held", flush=True)
sys.stdin.readline()
"""
"""A user without privileges who holds names of ours, in one of several ways."""
SERIES = [f"pathspider/thing{more}" for more in ("", *(f"~{number}" for number in range(1, guard.SERIES)))]


class TestLooks(NamespaceCase):
    def test_a_lock_that_was_looked_at_very_often_is_held_still(self):
        """Each look stays in the queue of the socket that is the lock."""
        with journal.lock("thing"):
            for _ in range(1100):
                self.assertIsNotNone(guard.holder(b"\0pathspider/thing"))
            self.assertEqual(guard.holder(b"\0pathspider/thing"), (0, os.getuid()))
            with self.assertRaises(journal.Busy):
                journal.lock("thing")


USER_NAMESPACE = [] if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode else [
    ("unshare", "-Ur")]
"""How a program is run in one, where there can be any: not in a chroot."""


@contextmanager
def without_waiting(case):
    """Fails if a gate, or one who may be dead, is waited for: that lasts minutes within."""
    began = time.monotonic()
    with mock.patch.multiple(guard, GATE_SECONDS=200.0, PATIENCE=200.0):
        yield
    case.assertLess(time.monotonic() - began, 100)


class StrangerCase(NamespaceCase):
    def stranger(self, how, *names, prefix=()):
        process = subprocess.Popen([*as_nobody(), *prefix, sys.executable, "-c", STRANGER, how, *names],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process


class TestStrangers(StrangerCase):
    """Only who may change the setting can hold its lock."""

    def test_a_name_that_a_stranger_holds_is_passed_over(self):
        for how in ("listening", "deaf", "full"):
            for prefix in ((), *USER_NAMESPACE):  # in one of his own he seems to have all capabilities
                with self.subTest(how=how, prefix=prefix):
                    stranger = self.stranger(how, "pathspider/thing", prefix=prefix)
                    process = self.hold("thing")
                    stranger.communicate()  # the first name is free again: that does not make two holders
                    for _ in range(2):
                        with self.assertRaises(journal.Busy) as caught:
                            journal.lock("thing")
                        self.assertEqual(caught.exception.pid, process.pid)
                    process.communicate()
                    journal.lock("thing").close()

    def test_one_who_holds_all_names_is_named_at_once(self):
        stranger = self.stranger("listening", *SERIES)
        with without_waiting(self):
            for act in (journal.lock, journal.lock_alone, journal.share):
                with self.assertRaisesRegex(TimeoutError, f"process {stranger.pid} of user 65534, .* end it"):
                    act("thing")

    def test_a_gate_that_a_stranger_holds(self):
        self.stranger("listening", "pathspider/thing/gate", "pathspider/thing/gate~1")
        with journal.gate("thing"):
            other = subprocess.Popen([sys.executable, "-c", "from pathspider.network import journal\n"
                                      "with journal.gate('thing'): print('in')"], stdout=subprocess.PIPE, text=True)
            self.addCleanup(other.wait)
            self.addCleanup(other.stdout.close)
            self.assertEqual(select.select([other.stdout], [], [], 0.5)[0], [])
        self.assertEqual(other.stdout.read(), "in\n")

    def test_shares_of_strangers_do_not_count(self):
        for how in ("listening", "deaf", "full"):
            stranger = self.stranger(how, *(f"pathspider/thing/{number}" for number in range(5)))
            with journal.gate("thing"):
                own, other = journal.share("thing")
            self.assertIsNone(other)
            own.close()
            journal.lock_alone("thing").close()
            stranger.communicate()

    def test_a_user_with_the_capability_is_no_stranger(self):
        process = self.hold("thing", as_nobody("net_admin"))
        with self.assertRaises(journal.Busy) as caught:
            journal.lock("thing")
        self.assertEqual((caught.exception.pid, caught.exception.uid), (process.pid, 65534))


    def test_our_own_user_is_a_stranger_without_the_capability(self):
        """A run that gave up root's rights has a user that other processes have too."""
        for how in ("listening", "dead"):
            with self.subTest(how=how):
                stranger = self.stranger(how, "pathspider/thing")
                process = self.hold("thing", as_nobody("net_admin"))
                for prefix in ((), as_nobody("net_admin")):
                    other = subprocess.run([*prefix, sys.executable, "-c", HOLDER, "thing"], stdin=subprocess.DEVNULL,
                                           capture_output=True, text=True, check=False)
                    self.assertIn(f"journal.Busy: ({process.pid}, 65534)", other.stderr)
                process.communicate()
                stranger.communicate()

    def test_who_cannot_be_looked_at_is_believed_if_he_is_of_our_user(self):
        self.assertTrue(guard.may_change(0, os.geteuid()))
        self.assertTrue(guard.may_change(0, 0))
        self.assertFalse(guard.may_change(0, 65534))


class TestJournal(NamespaceCase):
    def open(self):
        own = journal.open_own()
        self.addCleanup(own.close)
        self.addCleanup(own.delete)
        return own

    def test_what_is_written_is_read_until_it_is_back(self):
        self.assertEqual((journal.leftovers(), journal.read("sysctl/a/b")), ([], None))
        own = self.open()
        for thing, old in (("sysctl/a/b", "1\n2\t\n"), ("nft/inet x", ""), ("sysctl/a/b", "3\\"), ("marks/1", "é\n")):
            own.note(thing, old)
            self.assertEqual(journal.read(thing), (os.getpid(), old))
        self.assertEqual(journal.leftovers(), ["marks/1", "nft/inet x", "sysctl/a/b"])
        for thing in journal.leftovers():
            own.forget(thing)
        self.assertEqual((journal.leftovers(), journal.read("sysctl/a/b")), ([], None))

    def test_each_who_borrows_has_a_journal_of_his_own(self):
        first, second = self.open(), self.open()
        first.note("thing", "1")
        second.note("thing", "1")
        first.forget("thing", alone=False)
        self.assertEqual(journal.leftovers(), ["thing"])

    def test_one_that_was_opened_early_is_the_first(self):
        journal.open_early()
        journal.open_early()
        self.assertEqual(len(journal.files()), 1)
        early = self.open()
        self.assertEqual([str(file) for file in journal.files()], [early.path])
        self.assertNotEqual(self.open().path, early.path)

    def test_only_dead_runs_are_cleaned_up_after(self):
        own = self.open()
        own.note("thing", "1")
        folder = journal.files()[0].parent
        (folder / "7").write_text("7\n+other\t2\\n\n+thing\t1\n-thing\n")
        (folder / "8").write_text("8\n")
        self.assertEqual([(pid, things) for pid, things, _ in journal.of_dead_runs()], [(7, {"other": "2\n"}), (8, {})])
        self.assertEqual(sorted(file.name for file in journal.files()), sorted(["7", str(os.getpid())]))
        for _, _, noted in journal.of_dead_runs():
            noted.forget("other")
        self.assertEqual([str(file) for file in journal.files()], [own.path])

    def test_what_dead_runs_could_not_delete_goes_also_in_other_namespaces(self):
        folder = journal.RUN / "another-namespace"
        folder.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        dead = subprocess.Popen(["true"])
        dead.wait()
        for name, text in (("dead", f"{dead.pid}\n"), ("living", f"{os.getpid()}\n"),
                           ("left", f"{dead.pid}\n+sysctl/a\t1\n")):
            (folder / name).write_text(text)
        self.open()
        self.assertEqual(sorted(os.listdir(folder)), ["left", "living"])

    def test_what_is_no_entry(self):
        own = self.open()
        file = journal.files()[0]
        for text in ("", "12", "12\n+thing\t1", "12\n*thing\t1\n", "12\n+thing\n", "12\n+thing\t\\x\n"):
            file.write_text(text)
            self.assertIsNone(journal.read("thing"), text)
        os.unlink(own.path)

    def test_a_place_that_others_can_write_or_own_is_not_trusted(self):
        own = self.open()
        own.note("thing", "1")
        file = journal.files()[0]
        for path in (file, file.parent):
            path.chmod(0o777)
            self.assertIsNone(journal.read("thing"))
            path.chmod(0o755)
            os.chown(path, 65534, 65534)
            self.assertIsNone(journal.read("thing"))
            os.chown(path, 0, 0)
        self.assertEqual(journal.read("thing"), (os.getpid(), "1"))

    def test_all_folders_are_looked_at(self):
        """Seen: the first trusted one alone."""
        self.open()
        runtime = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(mock.patch.dict(os.environ, XDG_RUNTIME_DIR=runtime))
        folder = Path(runtime) / "pathspider" / journal.namespace_key()
        folder.mkdir(parents=True)
        (folder / "7").write_text("7\n+thing\t1\n")
        self.assertEqual(journal.read("thing"), (7, "1"))
        self.assertEqual([pid for pid, _, _ in journal.of_dead_runs()], [7])


if __name__ == "__main__":
    unittest.main()
