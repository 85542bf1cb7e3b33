"""``show`` as a whole, with files and streams in place of a screen."""

import io
import json
import tempfile
import unittest
from pathlib import Path

from pathspider.show.showing import evidence_of, show_file, show_growing, show_target
from pathspider.terminal import Terminal
from pathspider.writing import json_line
from tests.report.records import BROKEN, WORKS, record
from tests.show.evidence import pair
from tests.test_terminal import Screen

NAME = "192.0/192.0.2.1_80.pcapng"


class TestShowing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "results.ndjson")
        self.path.write_bytes(json_line(record("192.0.2.1", BROKEN, evidence=NAME))
                              + json_line(record("192.0.2.2", WORKS)))
        self.out = io.StringIO()
        self.terminal = Terminal(self.out)

    def metadata(self, **run):
        self.path.with_name("results.ndjson.meta.json").write_text(json.dumps({"runs": [{"run": "r", **run}]}),
                                                                    encoding="utf-8")

    def test_a_file(self):
        with self.path.open("rb") as lines:
            self.assertTrue(show_file(lines, "results.ndjson", self.terminal))
        self.assertIn("results.ndjson: 2 records\n", self.out.getvalue())

    def test_bad_lines_are_counted(self):
        with self.assertLogs("pathspider"):
            self.assertFalse(show_file(io.BytesIO(b"{]\n" + self.path.read_bytes()), "x", self.terminal))
        self.assertIn("2 records, 1 bad lines", self.out.getvalue())

    def test_a_pipe_gets_odd_targets_as_they_come_and_the_rest_at_the_end(self):
        def more():
            with self.path.open("ab") as stream:
                stream.write(json_line(record("192.0.2.3", BROKEN)) + b"{]\n")
            self.metadata(end="2026-11-22 10:00:00.000000")

        self.metadata(end=None)
        self.assertFalse(show_growing(self.path, self.terminal, more))
        first, second, _, head, *_ = self.out.getvalue().splitlines()
        self.assertIn("192.0.2.1:80", first)
        self.assertIn("192.0.2.3:80", second)
        self.assertTrue(head.endswith(": 3 records, 1 bad lines"))

    def test_a_terminal_is_redrawn(self):
        screen = Screen()
        self.metadata(end=None)
        self.assertTrue(show_growing(self.path, Terminal(screen, {"TERM": "xterm"}), lambda: self.metadata(end="now")))
        self.assertEqual(screen.text.count("\x1b[H"), 2)
        self.assertIn("2 records", screen.text)

    def test_ctrl_c_ends_it_with_what_there_is(self):
        def interrupt():
            raise KeyboardInterrupt

        self.assertTrue(show_growing(self.path, self.terminal, interrupt))
        self.assertIn("2 records", self.out.getvalue())

    def test_a_target_with_its_packets_where_the_metadata_say(self):
        folder = self.path.parent / "evidence"
        (folder / "192.0").mkdir(parents=True)
        (folder / NAME).write_bytes(pair())
        self.metadata(options={"measure": {"evidence": "/elsewhere/evidence"}})
        self.assertEqual(evidence_of(str(self.path)), folder)
        with self.path.open("rb") as lines:
            self.assertTrue(show_target(lines, str(self.path), "192.0.2.1", None, self.terminal))
        self.assertIn("SYN ECE CWR", self.out.getvalue())
        self.assertNotIn("192.0.2.2", self.out.getvalue())

    def test_all_records_of_a_name(self):
        with self.path.open("rb") as lines:
            self.assertTrue(show_target(lines, "x", "www.example.com", None, self.terminal))
        self.assertEqual(self.out.getvalue().count("What was found"), 2)

    def test_a_target_that_is_not_there(self):
        with self.path.open("rb") as lines, self.assertLogs("pathspider", "ERROR") as said:
            self.assertFalse(show_target(lines, "x", "192.0.2.9", None, self.terminal))
        self.assertIn("there is no record of 192.0.2.9", said.output[0])

    def test_no_folder_of_packets(self):
        self.assertIsNone(evidence_of(str(self.path)))
        for run in ({}, {"options": 7}, {"options": {"measure": {"evidence": None}}},
                    {"options": {"measure": {"evidence": "none"}}}):
            self.metadata(**run)
            self.assertIsNone(evidence_of(str(self.path)))
