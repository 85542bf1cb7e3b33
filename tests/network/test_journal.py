"""Locks that die with their holders, and the journal of a network namespace."""

import os
import subprocess
import sys
import unittest

from pathspider.network import journal
from tests.helpers import netlab

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

    def hold(self, thing):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, thing], stdin=subprocess.PIPE,
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
