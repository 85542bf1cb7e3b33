"""Continuing the output of an interrupted run."""

import tempfile
import unittest
from pathlib import Path

from pathspider.conditions import is_unfinished
from pathspider.run.resume import resume
from pathspider.targets.problems import TARGET_KEYS
from pathspider.targets.reading import LineError, parse_ndjson, parse_record
from pathspider.targets.repeats import TargetFilter


class TestResume(unittest.TestCase):
    def resume(self, data, keys=TARGET_KEYS):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records"
            path.write_bytes(data)
            seen = TargetFilter(80, keys)
            several = keys != TARGET_KEYS
            try:
                kept = resume(str(path), seen, is_unfinished, parse_ndjson if several else parse_record,
                              several=several)
                return kept, seen, path.read_bytes()
            except LineError:
                self.assertEqual(path.read_bytes(), data)
                self.assertEqual(len(list(Path(folder).iterdir())), 1)
                raise

    def test_what_is_done_stays_and_what_is_not_goes(self):
        done = b'{"dip": "192.0.2.1", "dp": 80, "conditions": ["x.works"]}\n'
        not_done = b'{"dip": "192.0.2.2", "dp": 80, "conditions": ["pathspider.not_measured"]}\n'
        torn = b'{"dip": "192.0.2.3", "dp": 80, "condi'
        kept, seen, left = self.resume(done + not_done + torn)
        self.assertEqual((kept, left), (1, done))
        self.assertTrue(seen.repeats({"dip": "192.0.2.1"}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.2"}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.3"}))

    def test_the_last_of_several_lines_may_not_have_come(self):
        lines = [f'{{"domain": "{name}", "dip": "{dip}"}}\n'.encode()
                 for name, dip in (("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3"), ("c", "192.0.2.4"))]
        kept, seen, left = self.resume(b"".join(lines) + b'{"domain', ("dp", "domain"))
        self.assertEqual((kept, left), (2, b"".join(lines[:2])))
        self.assertTrue(seen.repeats({"domain": "a"}))
        self.assertTrue(seen.repeats({"domain": "b"}))
        self.assertFalse(seen.repeats({"domain": "c"}))

    def test_an_empty_file(self):
        for keys in (TARGET_KEYS, ("dp", "domain")):
            self.assertEqual(self.resume(b"", keys)[0], 0)

    def test_another_kind_of_file_is_left_alone(self):
        with self.assertRaisesRegex(LineError, "line 1"):
            self.resume(b"precious data\nof another kind\n")
        for job in ('{"dip": "192.0.2.1"}', '{"conditions": "x"}', '{"conditions": [7]}'):
            with self.assertRaisesRegex(LineError, "line 2: not a record"):
                self.resume(b'{"conditions": []}\n' + job.encode() + b"\n")
