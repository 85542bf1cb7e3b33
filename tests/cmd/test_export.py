"""``pspdr export``: what is refused, and what comes out."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.main import UsageError, build_parser
from pathspider.cmd.together import check_together
from pathspider.writing import json_line
from tests.export.optional import with_cryptography, with_pyarrow
from tests.report.records import BROKEN, WORKS, record

PSPDR = [sys.executable, "-P", "-m", "pathspider"]


class Case(unittest.TestCase):
    """A folder with results in it, and ``pspdr`` there."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.run_id = "019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1"
        (self.folder / "r.ndjson").write_bytes(json_line(record("192.0.2.1", WORKS, run=self.run_id)) + json_line(
            record("192.0.2.2", BROKEN, run=self.run_id)))

    def pspdr(self, *arguments, status=0, data=b"", said="."):
        done = subprocess.run([*PSPDR, *map(str, arguments)], cwd=self.folder, input=data, capture_output=True,
                              check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertRegex(done.stderr.decode() or "nothing", said)
        self.assertNotIn(b"Traceback", done.stderr)
        return done.stdout


    def refused(self, *arguments):
        """What is said of arguments that are refused; in this process, since there are many such."""
        said = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stderr(said):
            try:
                args = build_parser(arguments[0], arguments).parse_args(arguments)
                check_together(args, args.parser)
                args.func(args)
            except UsageError as error:
                return str(error)
            except SystemExit:
                return said.getvalue()
        return self.fail(f"{arguments} is not refused")


class TestExport(Case):
    def test_csv_on_standard_output(self):
        rows = [*csv.DictReader(io.StringIO(self.pspdr("export", "r.ndjson", "--format", "csv").decode()))]
        self.assertEqual([row["ecn.connectivity"] for row in rows], ["works", "broken"])

    def test_from_standard_input_into_a_file_that_is_there(self):
        data = (self.folder / "r.ndjson").read_bytes()
        arguments = ("export", "-", "--format", "sqlite", "-o", "x.sqlite")
        self.pspdr(*arguments, data=data)
        self.assertIn("there is something in this file already", self.refused(*arguments))
        self.pspdr(*arguments, "--force", data=data)
        self.assertTrue((self.folder / "x.sqlite").read_bytes().startswith(b"SQLite format 3\0"))

    @with_pyarrow
    def test_parquet_into_a_pipe(self):
        import pyarrow.parquet  # noqa: PLC0415 - optional

        data = self.pspdr("export", "r.ndjson", "--format", "parquet")
        self.assertEqual(pyarrow.parquet.read_table(io.BytesIO(data)).column("dp").to_pylist(), [80, 80])

    @with_cryptography
    def test_pto_anonymised(self):
        (self.folder / "key").write_text("00" * 32, encoding="ascii")
        metadata, *observations = map(json.loads, self.pspdr(
            "export", "r.ndjson", "--format", "pto", "--anonymise", "key", "--pto-source", "https://pto.example/raw/a/b",
            "--pto-analyzer", "https://example.org/x").splitlines())
        self.assertEqual((metadata["_sources"], metadata["_analyzer"], metadata["anonymised"], len(observations)),
                         (["https://pto.example/raw/a/b"], "https://example.org/x", True, 2))
        self.assertNotIn("192.0.2", json.dumps(observations))

    def test_what_is_refused(self):
        (self.folder / "bad").write_bytes(b"secret")
        for arguments, said in ((("--format", "sqlite"), "needs a file: name it with --output"),
                                (("--format", "csv", "--pto-source", "x"), "--pto-source is for --format pto"),
                                (("--format", "csv", "--keep-as"), "--keep-as is for --anonymise"),
                                (("--format", "csv", "--anonymise", "none"), "key none: No such file"),
                                (("--format", "csv", "--anonymise", "bad"), "key bad: a key is 32 octets"),
                                (("--format", "csv", "-o", "r.ndjson"), "this is the file that is read"),
                                (("none", "--format", "csv"), "records none: there is no such file"),
                                ((".", "--format", "csv"), "is a folder; name the files in it"),
                                (("-", "-", "--format", "csv"), "name - once"), ((), "--format")):
            self.assertIn(said, self.refused("export", "r.ndjson", *arguments))

    def test_a_bad_line_is_told_and_the_status_says_so(self):
        with (self.folder / "r.ndjson").open("ab") as stream:
            stream.write(b"{]\n")
        rows = self.pspdr("export", "r.ndjson", "--format", "csv", status=1, said="r.ndjson, line 3: not JSON")
        self.assertEqual(len(rows.splitlines()), 3)
