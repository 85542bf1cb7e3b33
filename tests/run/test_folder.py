"""A folder that files are made in, where others may have been before."""

import os
import stat
import tempfile
import unittest
from pathlib import Path

from pathspider.run.folder import Folder, FolderError, has_room, write_all


class TestFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.folder = Folder.open(folder.name)
        self.addCleanup(self.folder.close)

    def create(self, name, content=b"x"):
        descriptor = self.folder.create(name)
        write_all(descriptor, content)
        os.close(descriptor)

    def test_files_in_it_and_in_a_folder_of_it(self):
        self.create("a")
        self.create("b/c", b"12")
        self.create("b/d")
        descriptor = self.folder.append("b/c")
        write_all(descriptor, b"34")
        os.close(descriptor)
        self.assertEqual((self.path / "b/c").read_bytes(), b"1234")
        self.folder.replace("a", "b/c")
        self.folder.remove("b/d")
        self.folder.remove("b/d")
        self.assertEqual(sorted(path.name for path in self.path.rglob("*")), ["a", "b"])

    def test_what_is_there_is_not_overwritten(self):
        self.create("b/c", b"precious")
        with self.assertRaises(FileExistsError):
            self.folder.create("b/c")
        self.assertEqual((self.path / "b/c").read_bytes(), b"precious")

    def test_links_are_not_followed(self):
        elsewhere = self.path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "file").write_text("precious")
        (self.path / "below").symlink_to(elsewhere)
        (self.path / "dangling").symlink_to(elsewhere / "new")
        (self.path / "link").symlink_to(elsewhere / "file")
        for name in ("below/new", "dangling", "link"):
            with self.assertRaises(OSError):
                self.folder.create(name)
        for name in ("link", "below/file"):
            with self.assertRaises(OSError):
                self.folder.append(name)
        self.assertEqual([path.name for path in elsewhere.iterdir()], ["file"])

    def test_only_ordinary_files_are_added_to(self):
        os.mkfifo(self.path / "pipe")
        with self.assertRaisesRegex(OSError, "not an ordinary file"):
            self.folder.append("pipe")

    def test_a_new_folder_is_given_away_and_an_old_one_stays_as_it_is(self):
        new, old = self.path / "new", self.path / "old"
        old.mkdir()
        for path, owner in ((new, 65534), (old, os.geteuid())):
            folder = Folder.make(str(path), (65534, 65534))
            self.addCleanup(folder.close)
            self.assertTrue(folder.is_empty())
            self.assertEqual(path.stat().st_uid, owner)
            folder.refuse_unwritable()
        self.assertTrue(stat.S_ISDIR(os.fstat(folder.descriptor).st_mode))

    def test_what_is_no_folder(self):
        (self.path / "file").touch()
        for name in ("file", "file/folder", "no/folder"):
            with self.assertRaisesRegex(FolderError, name):
                Folder.make(str(self.path / name), None)
        with self.assertRaisesRegex(FolderError, "file: Not a directory"):
            Folder.open(str(self.path / "file"))

    def test_who_cannot_write_is_told_so(self):
        child = os.fork()
        if not child:
            status = 1
            try:
                os.setresuid(65534, 65534, 65534)
                self.folder.refuse_unwritable()
            except FolderError as error:
                status = 0 if "user 65534" in str(error) else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_room(self):
        self.assertIsInstance(has_room(self.folder.descriptor), bool)
        elsewhere = Folder.open("/proc")  # it has none
        self.addCleanup(elsewhere.close)
        self.assertFalse(has_room(elsewhere.descriptor))


if __name__ == "__main__":
    unittest.main()
