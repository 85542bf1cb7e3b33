"""Archives that are whole, and all kinds of others."""

import gzip
import io
import sys
import tarfile
import tempfile
import unittest
import zipfile
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from pathspider.export import bundle
from pathspider.export.bundle import Member, schemas
from pathspider.export.verifying import NoSchemasError, verify, why_not_name
from pathspider.writing import json_line
from tests.report.records import WORKS, record

RECORD = record("192.0.2.1", WORKS, run="019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1")


@unittest.skipIf(find_spec("jsonschema") is None, "needs jsonschema")
class VerifyCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "study.tar.gz")

    def made(self, *members, records=(RECORD,)):
        """An archive with these records and members."""
        stream = io.BytesIO()
        bundle.write(stream, "study.tar.gz", [
            Member.of_text("results.ndjson", b"".join(map(json_line, records)).decode()), *members], 0)
        return stream.getvalue()

    def problems(self, data):
        self.path.write_bytes(data)
        return [*verify(self.path)]

    def tar(self, *entries, base=None):
        """A tar archive of an other one's members and of (TarInfo, content)."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as out:
            with tarfile.open(fileobj=io.BytesIO(base or self.made())) as old:
                for info in old:
                    out.addfile(info, old.extractfile(info))
            for info, content in entries:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
        return stream.getvalue()


class TestWhole(VerifyCase):
    def test_what_we_make(self):
        self.assertEqual(self.problems(self.made(*schemas(), Member.of_text("evidence/x.pcapng", "x"),
                                                 Member.of_text("README.md", "x"))), [])

    def test_zip(self):
        stream = io.BytesIO()
        bundle.write(stream, "study.zip", [Member.of_text("results.ndjson", json_line(RECORD).decode())], 0)
        self.assertEqual(self.problems(stream.getvalue()), [])


class TestWrong(VerifyCase):
    def assert_problem(self, data, *told):
        found = self.problems(data)
        for one in told:
            self.assertRegex("\n".join(found), one)
        return found

    def test_names_that_lead_out(self):
        for name in ("../evil", "/etc/evil", "study/../../evil", "study\\..\\evil", "C:evil", "study/./x", "evil",
                     "study//x", "study/\x1b"):
            with self.subTest(name):
                self.assertNotEqual(why_not_name(name), "")
        self.assert_problem(self.tar((tarfile.TarInfo("study/../../evil"), b"x")), "leads out of the archive")
        self.assertFalse((self.path.parent.parent / "evil").exists())

    def test_links_and_devices(self):
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("study/x")
            info.type, info.linkname = kind, "/etc/passwd"
            self.assert_problem(self.tar((info, b"")), "a link, a folder or a device")

    def test_a_link_in_a_zip(self):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as out:
            info = zipfile.ZipInfo("study/x")
            info.external_attr = 0o120777 << 16
            out.writestr(info, "/etc/passwd")
        self.assert_problem(stream.getvalue(), "a link, a folder or a device", "there is no SHA256SUMS")

    def test_checksums(self):
        whole = self.made(Member.of_text("README.md", "x"))
        with tarfile.open(fileobj=io.BytesIO(whole)) as old:
            sums = old.extractfile("study/SHA256SUMS").read()
        changed = (b"0" if sums[:1] != b"0" else b"1") + sums[1:]
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as out:
            for name, data in (("results.ndjson", json_line(RECORD)), ("extra", json_line(RECORD)),
                               ("SHA256SUMS", changed + b"nonsense\n")):
                info = tarfile.TarInfo(f"study/{name}")
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        self.assert_problem(stream.getvalue(), "SHA256SUMS, line 3: no checksum", "extra: SHA256SUMS does not know it",
                            "README.md: is missing")
        self.assert_problem(self.tar((tarfile.TarInfo("study/results.ndjson"), b"x")), "results.ndjson: is there twice")

    def test_a_changed_file(self):
        data = gzip.decompress(self.made())
        self.assert_problem(gzip.compress(data.replace(b"www.example.com", b"www.example.org")),
                            "results.ndjson: its checksum is another one")

    def test_schemas_of_records(self):
        found = self.assert_problem(self.made(records=[RECORD, {**RECORD, "run": 7}, *[{"conditions": ["x"]}] * 20]),
                                    r"results.ndjson, record 2: \['run'\]", "21 records are not as the schema says")
        self.assertLess(len(found), 13)

    def test_lines_that_are_no_records(self):
        with self.assertLogs("pathspider"):
            self.assert_problem(self.made(Member.of_text("other.ndjson", "{]\n")), "1 lines are no records",
                                "other.ndjson: holds no records")

    def test_metadata_and_schemas(self):
        self.assert_problem(self.made(Member.of_text("a.meta.json", "[]"),
                                      Member.of_text("b.meta.json", '{"runs": []}'),
                                      Member.of_text("schemas/record.schema.json", "{}")),
                            "a.meta.json: not the metadata", "b.meta.json: .*runs", "not the schema of this version")

    def test_damage(self):
        data = self.made()
        for broken in (b"", b"not an archive", data[:len(data) // 2], b"PK\3\4" + data, data[:60] + b"\xff" * 40):
            self.assert_problem(broken, "the archive is damaged")

    def test_two_folders(self):
        self.assert_problem(self.tar((tarfile.TarInfo("other/evidence/x"), b"x")), "there are several folders: ")

    def test_without_jsonschema(self):
        self.path.write_bytes(self.made())
        with patch.dict(sys.modules, {"jsonschema": None}), \
                self.assertRaisesRegex(NoSchemasError, "python3-jsonschema"):
            [*verify(self.path)]
