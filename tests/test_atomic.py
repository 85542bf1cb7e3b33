"""A file that is replaced is there whole at any time, and is the same file to others."""

import os
import stat
import tempfile
import unittest
from pathlib import Path

from pathspider.atomic import atomic_write

NOBODY = 65534


class TestAtomicWrite(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "file"

    def test_a_new_file_is_an_ordinary_one(self):
        mask = os.umask(0o027)
        self.addCleanup(os.umask, mask)
        with atomic_write(self.path) as stream:
            stream.write(b"new")
            self.assertFalse(self.path.exists())
        self.assertEqual((self.path.read_bytes(), stat.S_IMODE(self.path.stat().st_mode)), (b"new", 0o640))

    def test_owner_and_permissions_stay(self):
        self.path.write_bytes(b"old")
        os.chown(self.path, NOBODY, NOBODY)
        self.path.chmod(0o600)
        with atomic_write(self.path) as stream:
            stream.write(b"new")
        status = self.path.stat()
        self.assertEqual((status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)), (NOBODY, NOBODY, 0o600))
        self.assertEqual(self.path.read_bytes(), b"new")

    def test_a_link_goes_on_leading_there(self):
        self.path.write_bytes(b"old")
        link = self.folder / "link"
        link.symlink_to("file")
        with atomic_write(link) as stream:
            stream.write(b"new")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_bytes(), b"new")

    def test_a_device_or_a_pipe_stays_what_it_is(self):
        device, pipe = self.folder / "null", self.folder / "pipe"
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mkfifo(pipe)
        for path in (device, pipe, self.folder):
            before = path.stat()
            with self.assertRaisesRegex(OSError, "not an ordinary file"), atomic_write(path):
                self.fail("there is a draft")
            self.assertTrue(os.path.samestat(path.stat(), before))
        self.assertEqual(len([*self.folder.iterdir()]), 2)

    def test_what_fails_changes_nothing(self):
        self.path.write_bytes(b"old")
        with self.assertRaises(ZeroDivisionError), atomic_write(self.path) as stream:
            stream.write(b"new")
            raise ZeroDivisionError
        self.assertEqual([one.name for one in self.folder.iterdir()], ["file"])
        self.assertEqual(self.path.read_bytes(), b"old")
        with self.assertRaises(FileNotFoundError), atomic_write(self.folder / "no" / "such"):
            pass
