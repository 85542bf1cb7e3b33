"""Targets that changed, found on disk."""

import unittest
from unittest import mock

from pathspider.report.counting import Verdicts
from pathspider.report.targets import Move, Paired, Targets
from tests.report.records import BROKEN, WORKS, digest_of, note, record

TFO = "tfo.connectivity.works"


def changed(*files):
    """What is found of the records of some files: (targets that changed, pairs, changes)."""
    verdicts = Verdicts()
    with Targets(verdicts) as targets:
        for number, records in enumerate(files):
            for one in records:
                note(targets, number, one)
        targets.settle()
        found = [(one.target["dip"], one.questions, [(seen.file, list(seen.conditions)) for seen in one.seen])
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

    def test_one_address_in_two_forms_is_one_target(self):
        found, pairs, _ = changed([record("2001:db8::1", WORKS)], [record("2001:DB8:0::0001", BROKEN)])
        self.assertEqual([one[0] for one in found], ["2001:db8::1"])
        self.assertEqual(pairs, {Paired(0, 1, "ecn.connectivity"): 1})

    def test_files_are_paired_where_both_answer(self):
        later = [record(f"192.0.2.{number}", WORKS) for number in range(11)]
        none = [record(f"192.0.2.{number}", "pathspider.not_observed") for number in range(10)]
        broken = [record(f"192.0.2.{number}", BROKEN) for number in range(11)]
        _, pairs, changes = changed(none, later, broken)
        self.assertEqual(pairs, {Paired(1, 2, "ecn.connectivity"): 11})
        self.assertEqual(changes, {Paired(1, 2, "ecn.connectivity"): 11})
        again = [*none, *later[:10]]  # without a verdict at first
        self.assertEqual(changed(again, later)[1], {Paired(0, 1, "ecn.connectivity"): 10})

    def test_what_is_not_told_apart_is_no_answer(self):
        with mock.patch("pathspider.report.counting.MAX_ANSWERS", 1):
            files = [[record("192.0.2.1", "x.v:1")], [record("192.0.2.1", "x.v:2")], [record("192.0.2.1", "x.v:3")]]
            self.assertEqual(changed(*files), ([], {}, {}))
        self.assertEqual(len(changed(*files)[1]), 3)

    def test_how_targets_changed(self):
        verdicts = Verdicts()
        with Targets(verdicts) as targets:
            for file, answers in enumerate((["a", "b"], ["b"], ["b", "a"])):
                for dip in ("192.0.2.1", "192.0.2.2"):
                    one = record(dip, *(f"x.v:{answer}" for answer in answers))
                    note(targets, file, one)
            targets.settle()
            self.assertEqual(targets.moves, {Move(Paired(0, 1, "x.v"), ("a", "b"), ("b",)): 2,
                                             Move(Paired(1, 2, "x.v"), ("b",), ("a", "b")): 2})

    def test_what_is_answered_again(self):
        verdicts = Verdicts()
        with Targets(verdicts) as targets:
            for file, dip, conditions in (
                    (0, "192.0.2.1", [WORKS]), (0, "192.0.2.1", [TFO]),  # two plugins, one after the other
                    (0, "192.0.2.2", [WORKS]), (0, "192.0.2.2", [BROKEN]),
                    (0, "192.0.2.2", ["pathspider.not_observed"]),
                    (0, "192.0.2.3", [TFO]), (0, "192.0.2.3", [TFO]), (0, "192.0.2.3", [TFO]), (1, "192.0.2.3", [TFO]),
                    (0, None, []), (0, None, [])):
                note(targets, file, record(dip, *conditions))
            targets.settle()
            self.assertEqual(targets.again, {(0, "ecn.connectivity"): 1, (0, "tfo.connectivity"): 2})
            self.assertEqual(targets.targets, {0: 3, 1: 1})

    def test_each_two_of_three_files_are_compared(self):
        found, pairs, changes = changed(*([record("192.0.2.1", one)] for one in (WORKS, BROKEN, WORKS)))
        self.assertEqual(len(found), 1)
        self.assertEqual(pairs, {Paired(one, other, "ecn.connectivity"): 1 for one, other in ((0, 1), (0, 2), (1, 2))})
        self.assertEqual(changes, {Paired(0, 1, "ecn.connectivity"): 1, Paired(1, 2, "ecn.connectivity"): 1})

    def test_a_target_with_very_many_records(self):
        """Neither its list nor the time to compare it grows with the square of them."""
        records = [record("192.0.2.1", f"x.value:{number}") for number in range(3000)] * 2
        with Targets(Verdicts()) as targets:
            for one in records:
                note(targets, 0, one)
            targets.settle()
            (found,) = targets.changed()
            self.assertEqual(len(found.seen), 3000)
            self.assertEqual({seen.records for seen in found.seen}, {2})
            self.assertEqual(found.seen[7].conditions, ("x.value:7",))
            self.assertEqual(targets.targets, {0: 1})

    def test_as_many_as_batches_hold_and_more(self):
        records = [record(f"10.{number >> 8}.{number & 255}.1", WORKS) for number in range(25_000)]
        found, pairs, _ = changed(records, [*records[:-1], record(records[-1]["dip"], BROKEN)])
        self.assertEqual([one[0] for one in found], [records[-1]["dip"]])
        self.assertEqual(pairs, {Paired(0, 1, "ecn.connectivity"): 25_000})


class TestSystems(unittest.TestCase):
    def setUp(self):
        verdicts = Verdicts()
        self.targets = self.enterContext(Targets(verdicts))
        self.works, self.broken = verdicts.number([WORKS]), verdicts.number([BROKEN])

    def add(self, file, verdict, **more):
        self.targets.take(file, digest_of([record("192.0.2.1", **more)]), [verdict])

    def test_as_counted(self):
        for asn, records in ((64496.0, 3), (64497, 5), (64498, 1)):
            for _ in range(records):
                self.add(0, self.works, dip_asn=asn)
        self.add(1, self.broken, info={"ASN": "AS64496"})
        self.add(1, self.broken, canid_info={"ASN": 64498})
        self.targets.settle()
        self.assertEqual(self.targets.system_count, 3)
        self.assertEqual(self.targets.largest(2), [64497, 64496])
        self.assertEqual([*self.targets.of_systems()],
                         [(64496, 0, {self.works: 3}), (64496, 1, {self.broken: 1}), (64497, 0, {self.works: 5}),
                          (64498, 0, {self.works: 1}), (64498, 1, {self.broken: 1})])
        self.assertEqual([*self.targets.of_other_systems(2)], [(0, {self.works: 1}), (1, {self.broken: 1})])

    def test_what_is_no_system(self):
        for asn in (None, "none", -1, 1 << 32, "9" * 4000, [], [[64496]], 1.5, True, float(1 << 40)):
            self.add(0, self.works, dip_asn=asn)
        self.targets.settle()
        self.assertEqual(self.targets.system_count, 0)

    def test_more_than_a_batch(self):
        for number in range(25_000):
            self.add(0, self.works, dip_asn=1 + number % 12_000)
        self.targets.settle()
        self.assertEqual(self.targets.system_count, 12_000)
        self.assertEqual(sum(found[self.works] for _, _, found in self.targets.of_systems()), 25_000)
