"""Archives: the same files make the same octets; what other programs make of them."""

import hashlib
import io
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from pathspider.export import bundle
from pathspider.export.bundle import EPOCH, Member, evidence, folder_of, moment_of, opened, schemas, write

MEMBERS = [Member.of_text("b.txt", "bee\n"), Member.of_text("a/c.txt", "sea ä\n")]


def archive(name, members=MEMBERS, moment=1_700_000_000):
    stream = io.BytesIO()
    write(stream, name, members, moment)
    return stream.getvalue()


class TestArchives(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)

    def test_the_same_files_make_the_same_octets(self):
        for name in ("x.tar.gz", "x.zip"):
            self.assertEqual(archive(name), archive(f"elsewhere/{name}", MEMBERS[::-1]))
            self.assertNotEqual(archive(name), archive(name, moment=1_700_000_002))

    def test_sha256sum_finds_all_in_order(self):
        (self.path / "x.tar.gz").write_bytes(archive("x.tar.gz"))
        with zipfile.ZipFile(io.BytesIO(archive("x.zip"))) as packed:
            packed.extractall(self.path / "zip")
        subprocess.run(["tar", "-xzf", "x.tar.gz"], cwd=self.path, check=True)
        for folder in (self.path / "x", self.path / "zip" / "x"):
            done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True,
                                  text=True, check=True)
            self.assertEqual(done.stdout.splitlines(), ["a/c.txt: OK", "b.txt: OK"])
            self.assertEqual((folder / "b.txt").stat().st_mode & 0o777, 0o644)

    def test_reading_gives_what_was_put_in(self):
        for name in ("x.tgz", "x.zip"):
            (self.path / name).write_bytes(archive(name))
            with opened(self.path / name) as members:
                found = {inner: (size, hashlib.sha256(stream.read()).hexdigest()) for inner, size, stream in members}
            self.assertEqual(found["x/b.txt"], (4, hashlib.sha256(b"bee\n").hexdigest()))
            self.assertEqual([*found], ["x/a/c.txt", "x/b.txt", "x/SHA256SUMS"])

    def test_a_file_that_changes_meanwhile_is_told(self):
        for size in (3, 5):
            for name in ("x.tar.gz", "x.zip"):
                with self.assertRaises(OSError) as caught:
                    archive(name, [Member("b.txt", size, lambda: io.BytesIO(b"bee\n"))])
                self.assertRegex(str(caught.exception), "while it was read", name)

    def test_folders(self):
        self.assertEqual([folder_of(name) for name in ("a/x.tar.gz", "x.y.zip", "x.tgz")], ["x", "x.y", "x"])
        for name in ("x.tar", ".zip", "x.rar"):
            with self.assertRaisesRegex(ValueError, r"\.tar\.gz"):
                folder_of(name)

    def test_no_pipe_is_put_in(self):
        with self.assertRaises(OSError):
            Member.of_path("x", self.path)


class TestContents(unittest.TestCase):
    def test_all_schemas_are_in(self):
        there = {path.name for path in Path(bundle.__file__).parents[1].joinpath("schemas").glob("*.json")}
        self.assertEqual({one.name for one in schemas()}, {f"schemas/{name}" for name in there})

    def test_evidence_stays_in_its_folder(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "evidence")
            (folder / "10.0").mkdir(parents=True)
            (folder / "10.0" / "x.pcapng").write_bytes(b"x")
            Path(name, "secret").write_bytes(b"x")
            (folder / "link").symlink_to("../secret")
            self.assertEqual([one.name for one in evidence(folder, ["10.0/x.pcapng"] * 2)], ["evidence/10.0/x.pcapng"])
            for bad in ("../secret", "link", "/etc/passwd", "10.0/none.pcapng"):
                with self.assertRaises(OSError):
                    [*evidence(folder, [bad])]

    def test_the_moment(self):
        ends = ["2026-11-22 10:00:00.000000", "2026-11-23 00:00:00.500000"]
        self.assertEqual(moment_of(ends, {}), 1795392000)
        self.assertEqual(moment_of(ends, {"SOURCE_DATE_EPOCH": "1700000000"}), 1700000000)
        self.assertEqual(moment_of([], {}), EPOCH)
