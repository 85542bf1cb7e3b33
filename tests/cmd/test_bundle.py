"""``pspdr bundle``: an archive, and its verification."""

import unittest
from importlib.util import find_spec

from tests.cmd.test_export import Case


class TestBundle(Case):
    @unittest.skipIf(find_spec("jsonschema") is None, "needs jsonschema")
    def test_made_and_verified(self):
        for name in ("x.tar.gz", "x.zip"):
            self.pspdr("bundle", "r.ndjson", "-o", name, "--licence", "CC0", said="files; look at what README.md says")
            self.pspdr("bundle", "--verify", name, said="all checksums are right")
            damaged = bytearray((self.folder / name).read_bytes())
            damaged[len(damaged) // 2] ^= 0xFF
            (self.folder / name).write_bytes(damaged)
            self.pspdr("bundle", "--verify", name, status=1, said="wrong with it")

    def test_what_is_refused(self):
        (self.folder / "full.zip").write_bytes(b"x")
        for arguments, said in ((("-o", "x.zip"), "name the results"),
                                (("r.ndjson",), "name the archive with --output"),
                                (("r.ndjson", "-o", "x.rar"), "has to end with one of"),
                                (("none", "-o", "x.zip"), "results none: there is no such file"),
                                ((".", "-o", "x.zip"), "not an ordinary file"),
                                (("r.ndjson", "-o", "full.zip"), "there is something in this file already"),
                                (("r.ndjson", "-o", "r.ndjson"), "this is the file that is read"),
                                (("--verify", "none"), "archive none: there is no such file"),
                                (("--verify", "full.zip", "r.ndjson"), "looks at one archive, and makes none")):
            self.assertIn(said, self.refused("bundle", *arguments))

    def test_bad_lines_are_told(self):
        with (self.folder / "r.ndjson").open("ab") as stream:
            stream.write(b"{]\n")
        self.pspdr("bundle", "r.ndjson", "-o", "x.zip", status=1, said="r.ndjson, line 3")
        self.assertTrue((self.folder / "x.zip").exists())
