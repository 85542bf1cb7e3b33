"""``pspdr show``: plain text in a pipe, colours on a terminal."""

import gzip
import json
import os
import pty
import subprocess
import unittest

from tests.cmd.test_export import PSPDR, Case
from tests.programs import ROOT


class TestShow(Case):
    def test_a_pipe_gets_plain_text(self):
        text = self.pspdr("show", "r.ndjson").decode()
        self.assertIn("r.ndjson: 2 records\n", text)
        self.assertIn("192.0.2.2:80 www.example.com  ecn.connectivity.broken", text)
        self.assertNotIn("\x1b", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        data = (self.folder / "r.ndjson").read_bytes()
        self.assertEqual(self.pspdr("show", "-", data=data).decode(), text.replace("r.ndjson", "standard input"))

    def test_follow_ends_with_the_run(self):
        (self.folder / "r.ndjson.meta.json").write_text(json.dumps({"runs": [{"run": "x", "end": "now"}]}))
        text = self.pspdr("show", "--follow", "r.ndjson").decode()
        self.assertTrue(text.startswith("10:00:00  192.0.2.2:80 "))

    def test_a_target(self):
        self.assertIn(b"the baseline came up", self.pspdr("show", "r.ndjson", "--target", "192.0.2.2"))
        self.pspdr("show", "r.ndjson", "--target", "192.0.2.7", status=1, said="there is no record of 192.0.2.7")

    def test_a_terminal_gets_colours(self):
        ours, theirs = pty.openpty()
        done = subprocess.run([*PSPDR, "show", "r.ndjson"], cwd=self.folder, stdout=theirs, stderr=subprocess.PIPE,
                              check=False, timeout=120,
                              env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": ""})
        os.close(theirs)
        text = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("\x1b[31m10:00:00  192.0.2.2:80", text)

    def test_what_is_refused(self):
        (self.folder / "packed").write_bytes(gzip.compress(b"x"))
        for arguments, said in ((("r.ndjson", "--follow", "--target", "x"), "only one of them"),
                                (("r.ndjson", "--evidence", "."), "--evidence is for --target"),
                                (("r.ndjson", "--target", "x", "--evidence", "none"), "there is no such folder"),
                                (("-", "--follow"), "leave out --follow"), ((".",), "is a folder; name a file in it"),
                                (("none", "--follow"), "there is no such file"),
                                (("packed", "--follow"), "is compressed"), (("none",), "No such file")):
            self.assertIn(said, self.refused("show", *arguments))


if __name__ == "__main__":
    unittest.main()
