"""The guard by itself: what it is told, it puts back when its borrower is gone, in reverse order, once."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from pathspider.network import guard


class TestGuard(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.setting = self.folder / "setting"
        self.setting.write_text("borrowed")
        self.lock, other = os.pipe()
        self.addCleanup(os.close, self.lock)
        self.addCleanup(os.close, other)

    def start(self, borrower=None, prefix=(), stderr=subprocess.PIPE, journal=None):
        more = [str(journal.descriptor), journal.path, str(journal.lock)] if journal else []
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(100)
        with theirs:
            process = subprocess.Popen([*prefix, sys.executable, "-I", "-S", guard.__file__,
                                        str(borrower or os.getpid()), *more], stdin=theirs, stderr=stderr, text=True,
                                       pass_fds=(journal.descriptor, journal.lock) if journal else ())
        self.addCleanup(process.communicate)
        self.addCleanup(self.channel.close)  # first: it ends with its borrower
        return process

    def borrow(self, old, kind="sysctl", name="the setting", thing=""):
        descriptor = os.open(self.setting, os.O_WRONLY | os.O_TRUNC if kind == "sysctl" else os.O_RDONLY)
        try:
            message = "\0".join(("7", kind, name, old, thing, "mytool")).encode()
            socket.send_fds(self.channel, [message], [self.lock, descriptor])
        finally:
            os.close(descriptor)
        self.assertEqual(self.channel.recv(9), b"7\0ok")

    def program(self, lines):
        """A program in place of nft."""
        path = self.folder / "nft"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    def end(self, process):
        self.channel.close()
        said = process.communicate(timeout=100)[1]
        return process.returncode, said

    def journal(self):
        """A journal with two entries, alone in its folder."""
        path = self.folder / "journal" / "7"
        path.parent.mkdir()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        journal = guard.Journal(descriptor, str(path), os.dup(self.lock))
        self.addCleanup(journal.close)
        journal.note("sysctl/a", "1\t2\n")
        journal.note("nft/inet t", "")
        return journal

    def test_the_first_value_is_put_back_and_the_journal_goes_with_its_folder(self):
        process = self.start(journal=self.journal())
        self.borrow("first", thing="sysctl/a")
        self.borrow("later", thing="sysctl/a")
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "first")
        self.assertFalse((self.folder / "journal").exists())

    def test_a_borrower_that_is_done_has_put_back_itself(self):
        process = self.start()
        self.borrow("old")
        self.setting.write_text("its own")
        self.channel.send(b"done")
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "its own")

    def test_what_cannot_be_put_back_is_told_stays_in_the_journal_and_stops_nothing(self):
        journal = self.journal()
        process = self.start(journal=journal)
        self.borrow("old", thing="sysctl/a")
        self.borrow("/bin/false inet t\n", kind="nft", name="inet t", thing="nft/inet t")
        status, said = self.end(process)
        self.assertEqual(status, 1)
        self.assertRegex(said, r"^mytool: could not put back inet t \(.*inet t\): nft ended with status \d+\n$")
        self.assertEqual(self.setting.read_text(), "old")
        self.assertEqual(Path(journal.path).read_text(), "+sysctl/a\t1\\t2\\n\n+nft/inet t\t\n-sysctl/a\n")

    def test_who_puts_back_alone_ends_what_dead_runs_noted_too(self):
        journal = self.journal()
        other = self.folder / "journal" / "8"
        other.write_text("8\n+sysctl/a\tx\n")
        journal.forget("sysctl/a", alone=False)
        self.assertNotIn("-", other.read_text())
        journal.forget("sysctl/a")
        self.assertEqual(other.read_text(), "8\n+sysctl/a\tx\n-sysctl/a\n")

    def test_a_journal_that_was_deleted_is_told(self):
        journal = self.journal()
        os.unlink(journal.path)
        with self.assertRaises(FileNotFoundError):
            journal.note("sysctl/a", "")

    def test_a_guard_that_needs_long_answers_for_the_lock(self):
        """Its borrower is dead, and of a user who is believed no longer then."""
        name = f"\0pathspider-test/{os.getpid()}".encode()
        with socket.socket(socket.AF_UNIX) as lock:
            lock.bind(name)
            lock.listen()
            os.dup2(lock.fileno(), self.lock)
        self.assertEqual(guard.holder(name), (os.getpid(), os.getuid()))
        process = self.start()
        go_on = self.folder / "go on"
        os.mkfifo(go_on)
        program = self.program(f"read line <'{go_on}'")
        self.borrow(f"{program} inet t", kind="nft", name="table inet t")
        self.channel.close()
        deadline = time.monotonic() + guard.COMMAND_SECONDS
        while guard.holder(name) != (process.pid, os.getuid()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        go_on.write_text("\n")
        self.assertEqual(self.end(process), (0, ""))

    def test_a_program_that_cannot_be_started_stops_nothing(self):
        for broken in ("/nowhere/nft", str(self.folder)):
            process = self.start()
            self.borrow("old")
            self.borrow(f"{broken} inet t", kind="nft", name="table inet t")
            self.borrow(broken, kind="marks", name="marks 7")
            status, said = self.end(process)
            self.assertEqual(status, 1)
            self.assertRegex(said, r"^mytool: could not put back marks 7 .*: .* cannot be started: .+\n"
                                   r"mytool: could not put back table inet t .*: nft cannot be started: .+\n$")
            self.assertEqual(self.setting.read_text(), "old")

    def test_whatever_standard_error_is_the_rest_is_put_back(self):
        full, nobody = os.pipe(), os.pipe()
        os.set_blocking(full[1], False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(full[1], bytes(65536))
        os.set_blocking(full[1], True)
        os.close(nobody[0])
        for kind, prefix, stderr in (("closed", ["sh", "-c", 'exec "$@" 2>&-', "sh"], None),
                                     ("full", [], full[1]), ("nobody reads", [], nobody[1])):
            with self.subTest(kind):
                process = self.start(prefix=prefix, stderr=stderr)
                self.borrow("old")
                self.borrow("/bin/false inet t", kind="nft", name="table inet t")
                self.borrow("/nowhere/nft inet t", kind="nft", name="table inet t")
                self.assertEqual(self.end(process)[0], 1)
                self.assertEqual(self.setting.read_text(), "old")
        for descriptor in (*full, nobody[1]):
            os.close(descriptor)

    def test_what_cannot_be_understood_is_refused_and_does_not_end_it(self):
        process = self.start()
        self.borrow("old")
        with open(os.memfd_create("said"), "w+b") as said:
            socket.send_fds(self.channel, [b"1\0fill\0/nowhere/nft"], [said.fileno(), said.fileno()])
            self.assertEqual(self.channel.recv(99), b"1\0refused")
            said.seek(0)
            self.assertIn(b"cannot be started", said.read())
        for message in (b"2\0fill\0/bin/true", b"3\0sysctl\0name", b"4\0sysctl\0name\0old\0\0mytool", b"\xff"):
            self.channel.send(message)
            number, _, said = self.channel.recv(99).partition(b"\0")
            self.assertEqual(number, message.partition(b"\0")[0])
            self.assertNotIn(said, (b"ok", b"0", b""))
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "old")

    def test_the_programs_own_words(self):
        for lines, words in (("echo Error: Operation not supported >&2; exit 1", "nft: Error: Operation not supported"),
                             ("exit 3", "nft ended with status 3"), ("kill -9 $$", "nft was ended by signal 9")):
            self.assertEqual(guard.put_back("nft", f"{self.program(lines)} inet t", [self.lock]), words)
        self.assertIsNone(guard.put_back("nft", f"{self.program('exit 0')} inet t", [self.lock]))

    def test_for_want_of_processes_it_is_started_again(self):
        refused = BlockingIOError(11, "Resource temporarily unavailable")
        child = os.posix_spawn("/bin/true", ["true"], os.environ)
        for outcomes, said in (([refused] * (guard.STARTS - 1) + [child], None),
                               ([refused] * guard.STARTS, "nft cannot be started: Resource temporarily unavailable")):
            with mock.patch.object(os, "posix_spawn", side_effect=outcomes), \
                    mock.patch.object(guard, "START_AGAIN", 0.001):
                self.assertEqual(guard.put_back("nft", "/bin/true inet t", [self.lock]), said)

    def test_whatever_goes_wrong_is_told_and_raises_nothing(self):
        for kind, old, descriptors in (("sysctl", "é", [self.lock, self.lock]), ("shared", "1", [self.lock]),
                                       ("nft", "no table", []), ("nft", "nothing", [self.lock])):
            self.assertTrue(guard.put_back(kind, old, descriptors))

    def test_a_program_that_does_not_end(self):
        file = self.folder / "child"
        program = self.program(f"sleep 60 & echo $! >{file}; wait")
        with mock.patch.object(guard, "COMMAND_SECONDS", 0.5):
            self.assertEqual(guard.put_back("nft", f"{program} inet t", [self.lock]), "nft did not end within 0.5 s")
        deadline = time.monotonic() + 100
        while guard.lives(int(file.read_text())):  # its children neither
            self.assertLess(time.monotonic(), deadline)

    def test_signals_do_not_end_it(self):
        process = self.start()
        self.borrow("old")
        for number in guard.IGNORED:
            process.send_signal(number)
        self.borrow("new")  # still there
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "old")

    def test_a_borrower_that_is_not_its_parent_or_not_there_is_gone(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        for pid in (gone.pid, 1):
            process = self.start(pid)
            self.assertEqual(process.wait(100), 0)


if __name__ == "__main__":
    unittest.main()
