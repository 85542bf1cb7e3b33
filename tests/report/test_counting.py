"""Counting, against a count made in the simplest way."""

import random
import unittest
from collections import Counter
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pathspider.report import counting
from pathspider.report.counting import Tally, Verdicts
from tests.report.records import BROKEN, WORKS, record

CONDITIONS = [WORKS, BROKEN, "dscp.46.replymark:0", "dscp.46.replymark:46", "mss.option.local.value:1460",
              "pathspider.not_observed", "pathspider.local_error:EMFILE", "pathspider.missed_flows:1"]
RECORDS = st.lists(st.builds(
    lambda dip, conditions, asn: record(dip, *conditions, dip_asn=asn),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.lists(st.sampled_from(CONDITIONS), max_size=5),
    st.sampled_from([None, 64496, "AS64497"])), max_size=40)


def tally_of(records):
    tally = Tally("label", "name", Verdicts())
    for one in records:
        tally.add(one)
    return tally


def counted(tally, wanted=("all", "")):
    numbers = tally.systems[wanted[1]] if wanted[0] == "as" else dict(tally.groups())[wanted]
    given, asked, without = tally.counted(numbers)
    return Counter({answer.condition: number for answer, number in given.items()}), asked, without


class TestTally(unittest.TestCase):
    @given(RECORDS)
    def test_as_counted_by_hand(self, records):
        tally = tally_of(records)
        self.assertEqual(tally.records, len(records))
        groups = {("all", ""): records} | {
            ("ip", version): part for version, sign in (("IPv4", "."), ("IPv6", ":"))
            if (part := [one for one in records if sign in one["dip"]])} | {
            ("as", name): part for name, asn in (("AS64496", 64496), ("AS64497", "AS64497"))
            if (part := [one for one in records if one["dip_asn"] == asn])}
        for group, part in groups.items():
            given, asked, without = counted(tally, group)
            sets = [set(one["conditions"]) for one in part]
            for condition in CONDITIONS[:5]:
                self.assertEqual(given[condition], sum(condition in one for one in sets))
            self.assertEqual(asked["ecn.connectivity"], sum(bool(one & {WORKS, BROKEN}) for one in sets))
            self.assertEqual(asked["dscp.46.replymark"], sum(bool(one & set(CONDITIONS[2:4])) for one in sets))
            self.assertEqual(without["pathspider.not_observed"], sum("pathspider.not_observed" in one for one in sets))
            self.assertNotIn("pathspider.missed_flows:1", without)

    @given(RECORDS, st.randoms(use_true_random=False))
    def test_the_order_is_of_no_matter(self, records, shuffler):
        shuffled = records[:]
        shuffler.shuffle(shuffled)
        for group in (("all", ""),):
            self.assertEqual(counted(tally_of(records), group), counted(tally_of(shuffled), group))

    def test_time_and_place(self):
        tally = tally_of([record("192.0.2.1", WORKS, minute=7), record("192.0.2.2", WORKS, minute=3),
                          {**record("192.0.2.3", WORKS), "time": {"from": "yesterday", "to": 7}, "path": None}])
        self.assertEqual((tally.first[:16], tally.last[:16]), ("2026-11-22 10:03", "2026-11-22 10:07"))
        self.assertEqual(tally.minutes, {"2026-11-22 10:07": 1, "2026-11-22 10:03": 1})
        self.assertEqual(tally.sources, {"203.0.113.1": 2})

    def test_memory_is_bounded_and_counts_stay_right(self):
        with mock.patch.multiple(counting, MAX_VERDICTS=10, MAX_AS=5):
            draw = random.Random(1)
            records = [record("192.0.2.1", f"x.value:{draw.random()}", f"y{number}.is.so", dip_asn=number)
                       for number in range(1000)]
            tally = tally_of(records)
        self.assertLessEqual(len(tally.verdicts.found), 21)
        self.assertEqual(tally.verdicts.folded, 990)
        self.assertEqual(sum(dict(tally.groups())["all", ""].values()), 1000)
        self.assertEqual(len(tally.systems), 6)
        self.assertEqual(sum(sum(one.values()) for one in tally.systems.values()), 1000)
