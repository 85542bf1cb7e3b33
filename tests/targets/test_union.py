"""Several lists as one."""

import io
import unittest

from pathspider.targets.lists import TargetReader
from pathspider.targets.union import Rules, Union, shuffled


class TestUnion(unittest.TestCase):
    def test_one_after_the_other(self):
        union = Union([TargetReader(io.BytesIO(text), name) for name, text in
                       (("a", b"192.0.2.1\n\n192.0.2.2\n"), ("b", b"dip,dp\n192.0.2.3,\noops\n"), ("c", b"%PDF-1.7"))])
        self.assertEqual(union.name, "a")
        with self.assertLogs("pathspider", "ERROR"):
            found = [(job["dip"], union.name, union.line) for job in union]
        self.assertEqual(found, [("192.0.2.1", "a", 1), ("192.0.2.2", "a", 3), ("192.0.2.3", "b", 2)])
        self.assertEqual((union.jobs, union.skipped, union.all_were_jobs), (3, 1, False))
        self.assertIn("PDF", union.broken_off)

    def test_all_were_jobs(self):
        union = Union([TargetReader(io.BytesIO(b"192.0.2.1\n"), name) for name in "ab"])
        self.assertEqual(len(list(union)), 2)
        self.assertEqual((union.broken_off, union.all_were_jobs), ("", True))


class TestShuffled(unittest.TestCase):
    def test_each_once(self):
        jobs = [{"domain": f"é{number}.example", "list": [number]} for number in range(500)]
        found = list(shuffled(iter(jobs), 7))
        self.assertCountEqual(found, jobs)
        self.assertNotEqual(found, jobs)
        self.assertEqual(found, list(shuffled(jobs, 7)))
        self.assertNotEqual(found, list(shuffled(jobs, 8)))
        self.assertEqual(list(shuffled([], 7)), [])


class TestRules(unittest.TestCase):
    def test_what_is_left_out_is_counted(self):
        rules = Rules([{"dp": number} for number in range(10)],
                      [("small", lambda job: job["dp"] > 2), ("odd", lambda job: not job["dp"] % 2)])
        self.assertEqual([job["dp"] for job in rules], [4, 6, 8])
        self.assertEqual(rules.left_out, {"small": 3, "odd": 4})
