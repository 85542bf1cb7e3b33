"""Where records are written to: a file, a pipe, standard output; what stays and what goes."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.main import UsageError
from pathspider.cmd.output import open_output, refuse_same, start_afresh
from pathspider.writing import RecordWriter


class TestOutput(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "out.ndjson"

    def write(self, data, **how):
        with open_output(str(self.file), force=True, **how) as stream:
            start_afresh(stream)
            stream.write(data)
            self.assertEqual(self.file.read_bytes(), data)  # no buffer keeps it back

    def test_a_file_is_as_it_was_until_there_is_something_better(self):
        self.write(b"longer than the next\n")
        with open_output(str(self.file), force=True):
            self.assertEqual(self.file.read_bytes(), b"longer than the next\n")
        self.write(b"next\n")

    def test_a_file_that_has_content_is_not_overwritten(self):
        self.file.write_bytes(b"precious\n")
        (self.folder / "link").symlink_to(self.file)
        for name in ("out.ndjson", "link"):
            with self.assertRaisesRegex(UsageError, f"output .*{name}: there is something.*, resume it, or.*--force"), \
                    open_output(str(self.folder / name), instead=", resume it"):
                self.fail("opened")
        self.assertEqual(self.file.read_bytes(), b"precious\n")

    def test_an_empty_file_and_a_device_are_as_if_there_was_none(self):
        self.file.write_bytes(b"")
        for name in (self.file, "/dev/null"):
            with open_output(str(name)) as stream:
                start_afresh(stream)
                stream.write(b"x")
        self.assertEqual(self.file.read_bytes(), b"x")

    def test_a_name_that_leads_to_standard_output_is_standard_output(self):
        code = ("from pathspider.cmd.output import *\n"
                "with open_output('/dev/stdout') as stream: start_afresh(stream); stream.write(b'new')")
        self.file.write_bytes(b"old")
        with self.file.open("ab") as out:
            subprocess.run([sys.executable, "-c", code], check=True, stdout=out)
        self.assertEqual(self.file.read_bytes(), b"oldnew")
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, b"new")

    def test_appending_goes_behind_what_is_there_and_what_others_append(self):
        self.file.write_bytes(b"1\n")
        with open_output(str(self.file), append=True) as stream:
            stream.write(b"2\n")
            with self.file.open("ab") as other:
                other.write(b"3\n")
            stream.write(b"4\n")
        self.assertEqual(self.file.read_bytes(), b"1\n2\n3\n4\n")

    def test_a_pipe_is_not_emptied(self):
        os.mkfifo(self.file)
        reader = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        with open_output(str(self.file)) as stream:
            start_afresh(stream)
            stream.write(b"x")
        self.assertEqual(os.read(reader, 9), b"x")

    def test_standard_output_stays_open_and_keeps_what_is_in_it(self):
        code = ("import os; from pathspider.cmd.output import *\n"
                "for text in b'12', b'34':\n"
                "    with open_output('-') as stream: start_afresh(stream); stream.write(text)\n")
        with self.file.open("wb") as out:
            out.write(b"0")
            out.flush()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=out)
        self.assertEqual(self.file.read_bytes(), b"01234")

    def test_a_file_that_cannot_be_written_is_named_with_the_reason(self):
        for name, reason in ((self.folder, "Is a directory"), (self.folder / "no" / "x", "No such file")):
            with self.assertRaisesRegex(UsageError, f"^output {name}: {reason}"), open_output(str(name)):
                self.fail("opened")

    def test_a_disk_that_is_full_is_told_with_the_file(self):
        with open_output("/dev/full") as stream, self.assertRaises(OSError) as caught:
            RecordWriter(stream).write({"b": 2})
        self.assertEqual(caught.exception.filename, "/dev/full")

    def test_the_file_that_is_read_is_refused_by_any_of_its_names(self):
        self.file.write_bytes(b"")
        (self.folder / "link").symlink_to(self.file)
        (self.folder / "hard").hardlink_to(self.file)
        for name in ("out.ndjson", "link", "hard"):
            with self.assertRaisesRegex(UsageError, f"{name}: this is the file that is read"):
                refuse_same(self.file.stat(), str(self.folder / name))

    def test_other_files_new_ones_and_devices_are_not_refused(self):
        self.file.write_bytes(b"")
        (self.folder / "other").write_bytes(b"")
        for name in ("other", "new", "no/new"):
            refuse_same(self.file.stat(), str(self.folder / name))
        refuse_same(os.stat("/dev/null"), "/dev/null")

    def test_standard_output_that_is_the_file_that_is_read(self):
        self.file.write_bytes(b"")
        code = f"import os; from pathspider.cmd.output import *; refuse_same(os.stat({str(self.file)!r}), '-')"
        for out, status in ((self.file, 1), (self.folder / "other", 0)):
            with out.open("ab") as stream:
                done = subprocess.run([sys.executable, "-c", code], check=False, stdout=stream, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertEqual(b"this is the file that is read" in done.stderr, bool(status))


if __name__ == "__main__":
    unittest.main()
