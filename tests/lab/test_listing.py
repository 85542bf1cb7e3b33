"""``pspdr lab list`` and ``pspdr lab targets``."""

import contextlib
import io
import json
import unittest

from pathspider.lab.errors import LabError
from pathspider.lab.listing import print_table, show_list, show_targets
from pathspider.lab.scenarios import all_cases


def output(function, *arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        function(*arguments, **options)
    return text.getvalue()


def jobs(*arguments):
    return [json.loads(line) for line in output(show_targets, *arguments).splitlines()]


class TestTargets(unittest.TestCase):
    def test_all_of_a_plugin(self):
        self.assertEqual(jobs("ecn", None, None, None), [case.job for case in all_cases("ecn")])

    def test_of_one_mode_and_version(self):
        found = jobs("ecn", "https", None, 6)
        self.assertEqual({job["dp"] for job in found}, {443})
        self.assertTrue(all(":" in job["dip"] for job in found))

    def test_clean(self):
        self.assertEqual(len(jobs(None, None, 1000, None)), 1000)
        self.assertEqual([job["dp"] for job in jobs("ecn", "https", 2, None)], [443, 443])
        self.assertEqual([job["dp"] for job in jobs("udpzero", None, 1, 4)], [53])

    def test_unknown_plugin_and_mode(self):
        with self.assertRaisesRegex(LabError, "'nonesuch'.*ecn"):
            show_targets("nonesuch", None, None, None)
        with self.assertRaisesRegex(LabError, "--connect carrier-pigeon"):
            show_targets("ecn", "carrier-pigeon", None, None)


class TestList(unittest.TestCase):
    def test_table_names_everything(self):
        text = output(show_list, ["ecn"])
        for case in all_cases("ecn"):
            self.assertIn(case.scenario.name, text)
            self.assertIn(case.address, text)
            for condition in case.truth:
                self.assertIn(condition, text)

    def test_json(self):
        rows = [json.loads(line) for line in output(show_list, [], as_json=True).splitlines()]
        self.assertEqual([row["address"] for row in rows], [case.address for case in all_cases()])
        self.assertEqual(rows[0]["measure"], ["ecn", "--connect", "tcp"])


class TestTable(unittest.TestCase):
    def test_wraps_what_may_wrap(self):
        text = output(print_table, [("A", "B"), ("one", "word " * 20), ("x\ny", "z")], wrap=(1,), width=40)
        lines = text.splitlines()
        self.assertTrue(all(len(line) <= 40 for line in lines))
        self.assertEqual(lines[-2:], ["x    z", "y"])
