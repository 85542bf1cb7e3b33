"""Targets that changed, found on disk."""

import unittest

from pathspider.report.counting import Verdicts
from pathspider.report.targets import Paired, Targets
from tests.report.records import BROKEN, WORKS, record

TFO = "tfo.connectivity.works"


def changed(*files):
    """What is found of the records of some files: (targets that changed, pairs, changes)."""
    verdicts = Verdicts()
    with Targets(verdicts) as targets:
        for number, records in enumerate(files):
            for one in records:
                targets.add(number, one, verdicts.number(one["conditions"]))
        found = [(one.target["dip"], one.questions, [(file, list(words)) for file, words in one.seen])
                 for one in targets.changed()]
        return found, dict(targets.pairs), +targets.changes


class TestTargets(unittest.TestCase):
    def test_another_file_says_otherwise(self):
        found, pairs, changes = changed(
            [record("192.0.2.1", WORKS), record("192.0.2.2", WORKS), record("192.0.2.3", WORKS)],
            [record("192.0.2.3", WORKS), record("192.0.2.2", BROKEN), record("192.0.2.4", BROKEN)])
        self.assertEqual(found, [("192.0.2.2", ["ecn.connectivity"], [(0, [WORKS]), (1, [BROKEN])])])
        self.assertEqual(pairs, {Paired(0, 1, "ecn.connectivity"): 2})
        self.assertEqual(changes, {Paired(0, 1, "ecn.connectivity"): 1})

    def test_the_same_file_says_otherwise(self):
        found, pairs, _ = changed([record("192.0.2.1", WORKS), record("192.0.2.1", BROKEN)])
        self.assertEqual(found, [("192.0.2.1", ["ecn.connectivity"], [(0, [WORKS]), (0, [BROKEN])])])
        self.assertEqual(pairs, {})

    def test_another_question_is_no_change(self):
        found, pairs, _ = changed([record("192.0.2.1", WORKS)], [record("192.0.2.1", TFO)])
        self.assertEqual((found, pairs), ([], {}))

    def test_no_verdict_is_no_change(self):
        self.assertEqual(changed([record("192.0.2.1", WORKS)], [record("192.0.2.1", "pathspider.not_observed")])[0], [])

    def test_other_ports_and_names_are_other_targets(self):
        self.assertEqual(changed([record("192.0.2.1", WORKS)], [{**record("192.0.2.1", BROKEN), "dp": 443},
                                                                {**record("192.0.2.1", BROKEN), "domain": "b"}])[0], [])

    def test_three_files_are_compared_with_the_first(self):
        found, pairs, changes = changed(*([record("192.0.2.1", one)] for one in (WORKS, BROKEN, WORKS)))
        self.assertEqual(len(found), 1)
        self.assertEqual(pairs, {Paired(0, 1, "ecn.connectivity"): 1, Paired(0, 2, "ecn.connectivity"): 1})
        self.assertEqual(changes, {Paired(0, 1, "ecn.connectivity"): 1})

    def test_as_many_as_batches_hold_and_more(self):
        records = [record(f"10.{number >> 8}.{number & 255}.1", WORKS) for number in range(25_000)]
        found, pairs, _ = changed(records, [*records[:-1], record(records[-1]["dip"], BROKEN)])
        self.assertEqual([one[0] for one in found], [records[-1]["dip"]])
        self.assertEqual(pairs, {Paired(0, 1, "ecn.connectivity"): 25_000})
