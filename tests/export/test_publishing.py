"""From results to an archive: what goes in, what is refused."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from pathspider.export.bundle import opened
from pathspider.export.publishing import BundleError, Options, look_at, metadata_of, publish
from pathspider.writing import json_line
from tests.report.records import BROKEN, WORKS, record

RUN_ID = "019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1"


class TestPublish(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.results = self.path / "results.ndjson"
        self.results.write_bytes(json_line(record("192.0.2.1", WORKS, run=RUN_ID)) + json_line(
            record("192.0.2.2", BROKEN, run=RUN_ID, evidence="192.0/192.0.2.2_80.pcapng")))
        self.out = self.path / "study.tar.gz"

    def publish(self, *results, **options):
        with self.assertLogs("pathspider", "INFO") as said:
            done = publish(results or [self.results], Options(**{"output": self.out, **options}))
        self.said = "\n".join(said.output)
        return done

    def contents(self):
        with opened(self.out) as members:
            return {name.removeprefix("study/"): stream.read() for name, _, stream in members}

    def metadata(self, **run):
        (self.path / "results.ndjson.meta.json").write_text(json.dumps({"runs": [{"run": RUN_ID, **run}]}),
                                                            encoding="utf-8")

    def test_what_is_in_it(self):
        self.metadata(end="2026-11-22 11:00:00.000000", plugin={"name": "ecn"})
        self.assertTrue(self.publish(licence="CC0"))
        found = self.contents()
        self.assertEqual({name for name in found if not name.startswith("schemas/")},
                         {"results.ndjson", "results.ndjson.meta.json", "README.md", "SHA256SUMS"})
        self.assertEqual(found["results.ndjson"], self.results.read_bytes())
        self.assertIn(b"CC0", found["README.md"])
        self.assertIn("packets of 1 targets are left out", self.said)

    def test_again_it_is_the_same(self):
        self.metadata(end="2026-11-22 11:00:00.000000")
        made = []
        for moment in (1, 2):
            os.utime(self.results, (moment, moment))
            self.publish()
            made.append(self.out.read_bytes())
        self.assertEqual(*made)

    def test_evidence(self):
        folder = self.path / "evidence"
        (folder / "192.0").mkdir(parents=True)
        (folder / "192.0" / "192.0.2.2_80.pcapng").write_bytes(b"packets")
        (folder / "192.0" / "other.pcapng").write_bytes(b"of nobody")
        self.publish(evidence=folder)
        self.assertEqual({name for name in self.contents() if "evidence" in name},
                         {"evidence/192.0/192.0.2.2_80.pcapng"})

    def test_without_metadata_it_is_said(self):
        self.publish()
        self.assertIn("has no metadata beside it", self.said)

    def test_a_readme_that_was_written(self):
        written = self.path / "written.md"
        written.write_text("# All is said", encoding="utf-8")
        self.publish(readme=written)
        self.assertEqual(self.contents()["README.md"], b"# All is said")
        self.assertNotIn("has to be written", self.said)

    def test_bad_lines_are_told_and_all_is_in_it(self):
        self.results.write_bytes(self.results.read_bytes() + b"{]\n")
        self.assertFalse(self.publish())
        self.assertIn(b"{]", self.contents()["results.ndjson"])

    def test_what_cannot_be(self):
        other = self.path / "other" / "results.ndjson"
        other.parent.mkdir()
        other.write_bytes(self.results.read_bytes())
        (self.path / "a\nb").write_bytes(self.results.read_bytes())
        for results, options, why in (([self.results, other], {}, "two files are called results.ndjson"),
                                      ([self.path / "a\nb"], {}, "rename it"),
                                      ([self.results], {"output": self.path / "x.rar"}, "has to end with one of"),
                                      ([self.results], {"evidence": self.path}, "192.0.2.2_80.pcapng: No such file")):
            with self.assertRaisesRegex(BundleError, why), self.assertLogs("pathspider"):
                publish(results, Options(**{"output": self.out, **options}))
                self.fail()
        self.assertEqual({path.name for path in self.path.iterdir()}, {"results.ndjson", "other", "a\nb"})

    def test_metadata_that_is_none(self):
        (self.path / "results.ndjson.meta.json").write_text("[]", encoding="utf-8")
        with self.assertRaisesRegex(BundleError, "not the metadata of a run"):
            publish([self.results], Options(self.out))


class TestParts(unittest.TestCase):
    def test_metadata_of_a_packed_file(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name, "x.ndjson.meta.json")
            path.touch()
            for results in ("x.ndjson", "x.ndjson.gz", "x.ndjson.zst"):
                self.assertEqual(metadata_of(Path(name, results)), path)
            self.assertIsNone(metadata_of(Path(name, "y.ndjson")))

    def test_what_a_file_holds(self):
        with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
            file.write(json_line(record("192.0.2.1", "mss.option.local.value:1460", minute=7)) +
                       json_line(record("192.0.2.1", "mss.option.local.value:1400", minute=3, evidence="x")))
            file.flush()
            packets = set()
            found, whole = look_at(Path(file.name), packets)
        self.assertEqual((found.records, found.conditions, packets, whole),
                         (2, {"mss.option.local.value": 2}, {"x"}, True))
        self.assertEqual((found.first[14:16], found.last[14:16]), ("03", "07"))
