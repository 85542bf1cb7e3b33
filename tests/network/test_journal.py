"""Locks that die with their holders, and the journal of a network namespace."""

import os
import select
import subprocess
import sys
import time
import unittest

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
import socket, sys
held = []
for name in sys.argv[2:]:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(chr(0) + name)
    if sys.argv[1] != "deaf":
        sock.listen(0 if sys.argv[1] == "full" else 9)
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


class StrangerCase(NamespaceCase):
    def stranger(self, how, *names, prefix=()):
        process = subprocess.Popen([*as_nobody(), *prefix, sys.executable, "-c", STRANGER, how, *names],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process

    def setUp(self):
        super().setUp()
        began = time.monotonic()
        self.addCleanup(lambda: self.assertLess(time.monotonic() - began, 8))


class TestStrangers(StrangerCase):
    """Only who may change the setting can hold its lock."""

    def test_a_name_that_a_stranger_holds_is_passed_over(self):
        for how in ("listening", "deaf", "full"):
            for prefix in ((), *USER_NAMESPACE):  # in one of his own he seems to have all capabilities
                with self.subTest(how=how, prefix=prefix):
                    stranger = self.stranger(how, "pathspider/thing", prefix=prefix)
                    began = time.monotonic()
                    process = self.hold("thing")
                    self.assertLess(time.monotonic() - began, 2)
                    stranger.communicate()  # the first name is free again: that does not make two holders
                    for _ in range(2):
                        with self.assertRaises(journal.Busy) as caught:
                            journal.lock("thing")
                        self.assertEqual(caught.exception.pid, process.pid)
                    process.communicate()
                    journal.lock("thing").close()

    def test_one_who_holds_all_names_is_named_at_once(self):
        stranger = self.stranger("listening", *SERIES)
        began = time.monotonic()
        for act in (journal.lock, journal.lock_alone, journal.share):
            with self.assertRaisesRegex(TimeoutError, f"process {stranger.pid} of user 65534, .* end it"):
                act("thing")
        self.assertLess(time.monotonic() - began, 1)

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


class TestJournal(NamespaceCase):
    def test_what_is_written_is_read_until_it_is_removed(self):
        self.assertEqual((journal.leftovers(), journal.read("sysctl/a/b")), ([], None))
        for thing, old in (("sysctl/a/b", "1\n2\n"), ("nft/inet x", ""), ("sysctl/a/b", "3")):
            file = journal.place(thing)
            self.addCleanup(journal.folder(create=True).rmdir) if thing.startswith("nft") else None
            journal.write(file, old)
            self.assertEqual(journal.read(thing), (os.getpid(), old, file))
        self.assertEqual(journal.leftovers(), ["nft/inet x", "sysctl/a/b"])
        for thing in journal.leftovers():
            os.unlink(journal.place(thing))
        self.assertEqual(journal.leftovers(), [])

    def test_a_folder_that_another_run_removes_is_made_again(self):
        file = journal.place("thing")
        journal.folder(create=False).rmdir()
        journal.write(file, "old")
        self.assertEqual(journal.read("thing")[1], "old")
        os.unlink(file)
        journal.folder(create=False).rmdir()
        self.assertIsNone(journal.read("thing"))

    def test_what_is_no_entry(self):
        folder = journal.folder(create=True)
        self.addCleanup(folder.rmdir)
        for text in ("", "12", "x\n1"):
            (folder / "thing").write_text(text)
            self.addCleanup((folder / "thing").unlink, missing_ok=True)
            self.assertIsNone(journal.read("thing"), text)
        (folder / ".7-thing").write_text("half written")
        self.addCleanup((folder / ".7-thing").unlink)
        self.assertEqual(journal.leftovers(), ["thing"])

    def test_a_folder_that_others_can_write_is_not_trusted(self):
        folder = journal.folder(create=True)
        self.addCleanup(folder.rmdir)
        folder.chmod(0o777)
        self.assertNotEqual(journal.folder(create=False), folder)
        folder.chmod(0o755)

    def test_a_folder_of_somebody_else_is_not_trusted(self):
        folder = journal.folder(create=True)
        self.addCleanup(folder.rmdir)
        os.chown(folder, 65534, 65534)
        self.assertNotEqual(journal.folder(create=False), folder)


if __name__ == "__main__":
    unittest.main()
