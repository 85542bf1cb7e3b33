"""Files that grow, shrink and end: nothing is told twice, torn lines wait."""

import json
import tempfile
import unittest
from pathlib import Path

from pathspider.show.following import follow, run_has_ended
from pathspider.targets.reading import MAX_LINE


class TestFollow(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "x.ndjson")

    def lines(self, *steps):
        """What is told while these steps, functions, are done one after another."""
        left = [*steps]

        def wait():
            left.pop(0)()

        return [line for lines in follow(self.path, lambda: not left, wait) for line in lines]

    def append(self, data):
        def step():
            with self.path.open("ab") as stream:
                stream.write(data)
        return step

    def test_lines_come_whole_and_once(self):
        self.path.write_bytes(b"one\ntw")
        self.assertEqual(self.lines(self.append(b"o\nthr"), self.append(b""), self.append(b"ee\nfour")),
                         ["one", "two", "three"])

    def test_what_comes_with_the_end_is_told(self):
        self.path.write_bytes(b"")
        self.assertEqual(self.lines(self.append(b"last\n")), ["last"])

    def test_a_file_that_is_written_anew(self):
        self.path.write_bytes(b"old\nolder\n")
        self.assertEqual(self.lines(lambda: self.path.write_bytes(b"new\n")), ["old", "older", "new"])

    def test_a_line_without_end_takes_no_memory(self):
        self.path.write_bytes(b"x" * (3 * MAX_LINE))
        found = self.lines()
        self.assertTrue(found)
        self.assertLess(sum(map(len, found)), 10)

    def test_it_waits_only_when_all_was_told(self):
        self.path.write_bytes(b"one\n")
        waited = []
        found = []

        def wait():
            waited.append([*found])

        for lines in follow(self.path, lambda: len(waited) > 1, wait):
            found += lines
        self.assertEqual(waited, [["one"], ["one"]])

    def test_when_a_run_has_ended(self):
        for content, ended in (({"runs": [{"end": "x"}, {"end": None}]}, False),
                               ({"runs": [{"end": None}, {"end": "x"}]}, True),
                               ({"runs": []}, False), ([], False)):
            self.path.write_text(json.dumps(content), encoding="utf-8")
            self.assertEqual(run_has_ended(self.path), ended)
        self.path.write_text("{", encoding="utf-8")
        for path in (self.path, Path("/nonexistent/x"), None):
            self.assertFalse(run_has_ended(path))
