"""The guard by itself: what it is told, it puts back when its borrower is gone, in reverse order, once."""

import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.network import guard


class TestGuard(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.setting = self.folder / "setting"
        self.setting.write_text("borrowed")
        self.lock, other = os.pipe()
        self.addCleanup(os.close, self.lock)
        self.addCleanup(os.close, other)

    def start(self, borrower=None):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(10)
        self.addCleanup(self.channel.close)
        with theirs:
            process = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, str(borrower or os.getpid())],
                                       stdin=theirs, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        return process

    def borrow(self, old, kind="sysctl", name="the setting", journal=""):
        descriptor = os.open(self.setting, os.O_WRONLY | os.O_TRUNC if kind == "sysctl" else os.O_RDONLY)
        try:
            message = "\0".join((kind, name, old, journal, "mytool")).encode()
            socket.send_fds(self.channel, [message], [self.lock, descriptor])
        finally:
            os.close(descriptor)
        self.assertEqual(self.channel.recv(9), b"ok")

    def end(self, process):
        self.channel.close()
        said = process.communicate(timeout=10)[1]
        return process.returncode, said

    def test_the_first_value_is_put_back_and_the_journal_goes_with_its_folder(self):
        files = [self.folder / "journal" / name for name in ("a", "b")]
        files[0].parent.mkdir()
        files[0].touch()
        (files[0].parent / ".b").touch()  # killed as it wrote this one
        process = self.start()
        self.borrow("first", journal=str(files[0]))
        self.borrow("later", journal=str(files[1]))
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "first")
        self.assertFalse(files[0].parent.exists())

    def test_a_borrower_that_is_done_has_put_back_itself(self):
        process = self.start()
        self.borrow("old")
        self.setting.write_text("its own")
        self.channel.send(b"done")
        self.assertEqual(self.end(process), (0, ""))
        self.assertEqual(self.setting.read_text(), "its own")

    def test_what_cannot_be_put_back_is_told_stays_in_the_journal_and_stops_nothing(self):
        file = self.folder / "journal"
        file.touch()
        process = self.start()
        self.borrow("old")
        self.borrow("/bin/false inet t\n", kind="nft", name="inet t", journal=str(file))
        status, said = self.end(process)
        self.assertEqual(status, 1)
        self.assertRegex(said, r"^mytool: could not put back inet t \(.*inet t\): nft ended with status \d+\n$")
        self.assertEqual(self.setting.read_text(), "old")
        self.assertTrue(file.exists())

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
            self.assertEqual(process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
