"""Which targets have come by, and what remembering them costs."""

import tracemalloc
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.repeats import CompactSet, KeyFilter, TargetFilter


class TestTargetFilter(unittest.TestCase):
    def test_repeats(self):
        seen = TargetFilter()
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 80}))
        self.assertTrue(seen.repeats({"dip": "192.0.2.1", "dp": 80, "rank": 5}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 81}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": 80, "domain": "x"}))
        self.assertFalse(seen.repeats({"dip": ["unhashable"]}))

    def test_a_port_that_is_none_is_another(self):
        seen = TargetFilter(80)
        for port in ("80", 80, 80.0, True, "443", 443):
            self.assertFalse(seen.repeats({"dip": "192.0.2.1", "dp": port}), port)
        self.assertTrue(seen.repeats({"dip": "192.0.2.1"}))

    def test_a_name_s_case_and_final_dot(self):
        seen = TargetFilter(80)
        self.assertFalse(seen.repeats({"domain": "EXAMPLE.ORG"}))
        self.assertTrue(seen.repeats({"domain": "example.org."}))
        self.assertTrue(seen.repeats({"domain": "example.org"}))
        self.assertFalse(seen.repeats({"domain": "www.example.org"}))
        self.assertFalse(seen.repeats({"domain": 7}))
        self.assertEqual(len(seen), 3)

    def test_an_address_has_one_canonical_form(self):
        seen = TargetFilter()
        self.assertFalse(seen.repeats({"dip": "2001:db8::1"}))
        self.assertTrue(seen.repeats({"dip": "2001:DB8:0::0001"}))
        self.assertFalse(seen.repeats({"dip": "2001:db8::1:0"}))
        for odd in ("2001:db8::1%eth0", "::\0", "x:y", ":"):
            self.assertFalse(seen.repeats({"dip": odd}))

    def test_a_name_has_one_canonical_form(self):
        seen = TargetFilter()
        for first, *others in (("example.org", "EXAMPLE.ORG", "example.org."), ("straße.de", "xn--strae-oqa.DE"),
                               ("strasse.de",), ("a b",), ("", None)):
            self.assertFalse(seen.repeats({"dip": "192.0.2.1", "domain": first}))
            for other in others:
                self.assertTrue(seen.repeats({"dip": "192.0.2.1", "domain": other}))
        self.assertTrue(seen.repeats({"dip": "192.0.2.1"}))
        self.assertFalse(seen.repeats({"dip": "192.0.2.1", "domain": ["unhashable"]}))


class TestCompactSet(unittest.TestCase):
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 40) | st.integers(0, 2**64 - 1))))
    def test_as_a_set(self, steps):
        compact, plain = CompactSet(), set()
        for adds, drawn in steps:
            number = drawn * CompactSet.BUCKETS if drawn <= 40 else drawn  # some share a bucket
            if adds:
                self.assertEqual(compact.add(number), number not in plain)
                plain.add(number)
            else:
                compact.discard(number)
                plain.discard(number)

    def test_a_target_costs_few_octets(self):
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        compact = CompactSet()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(100_000):
            compact.add(number * 0x9E3779B97F4A7C15 % 2**64)
        after, _ = tracemalloc.get_traced_memory()
        self.assertLess((after - before) / 100_000, 16)


class TestKeyFilter(unittest.TestCase):
    def test_by_something_else(self):
        seen = KeyFilter(lambda job: job.get("domain"))
        found = [seen.repeats({"domain": name}) for name in ("a", "b", "a", None, None)]
        self.assertEqual(found, [False, False, True, False, False])
        self.assertEqual(len(seen), 2)
