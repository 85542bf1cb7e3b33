"""Counting a stream in bounded memory: what is counted too high, what too low, and how much."""

import unittest
from datetime import datetime, timedelta

from pathspider.run.sketch import MOST_FREQUENT, MOST_SLICES, PLACES, Addresses, Frequent, Slices, name_of, network_of

BEGIN = datetime(2026, 11, 27)


class TestFrequent(unittest.TestCase):
    def test_the_most_frequent_are_kept(self):
        frequent = Frequent(10)
        for number in range(10_000):
            frequent.add(b"often" if number % 2 else b"%d" % number)
        self.assertLessEqual(len(frequent.counts), 10)
        self.assertLessEqual(frequent.counts[b"often"], 5000)
        self.assertGreaterEqual(frequent.counts[b"often"], 5000 - 10_000 // 11)

    def test_few_are_counted_as_they_are(self):
        frequent = Frequent(2)
        for key in (b"a", b"b", b"a"):
            frequent.add(key)
        self.assertEqual(frequent.counts, {b"a": 2, b"b": 1})


class TestAddresses(unittest.TestCase):
    def test_targets_are_never_too_few_and_words_never_too_many(self):
        addresses = Addresses(["broken"])
        for number in range(2 * PLACES):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            addresses.note(address, ["broken"] if number % 2 else ["works"])
        self.assertEqual(addresses.total, 2 * PLACES)
        for key in (bytes((10, 0, 7)), bytes((10, 1, 255))):
            self.assertTrue(256 <= addresses.targets(key) < 400, addresses.targets(key))
        found = addresses.frequent("broken")
        for counts, most in zip(found, (1, 128), strict=True):
            self.assertLessEqual(len(counts), MOST_FREQUENT)
            self.assertLessEqual(max(counts.values()), most)

    def test_what_is_no_address(self):
        addresses = Addresses([])
        for dip in (None, 7, "nonsense", "10.0.0\0", "fe80::1%eth0", ""):
            addresses.note(dip, [])
        self.assertEqual(addresses.total, 0)

    def test_names(self):
        four, six = bytes((192, 0, 2, 7)), bytes.fromhex("20010db8000500010000000000000001")
        self.assertEqual([name_of(key) for key in (four, network_of(four), six, network_of(six))],
                         ["192.0.2.7", "192.0.2.0/24", "2001:db8:5:1::1", "2001:db8:5::/48"])


class TestSlices(unittest.TestCase):
    def test_a_month(self):
        slices = Slices(BEGIN, 2)
        for hour in range(24 * 30):
            slices.at(BEGIN + timedelta(hours=hour))[0] += 1
        self.assertEqual((len(slices.counts), sum(row[0] for row in slices.counts)), (MOST_SLICES, 720))
        tenths = slices.tenths()
        self.assertEqual((len(tenths), sum(tenth.counts[0] for tenth in tenths)), (10, 720))
        self.assertTrue(all(60 < tenth.counts[0] < 85 for tenth in tenths), tenths)
        self.assertTrue(all(60 < tenth.rate * 72 * 3600 < 85 for tenth in tenths), tenths)

    def test_before_the_begin_and_a_clock_that_jumps(self):
        slices = Slices(BEGIN, 1)
        for year in (2025, 2026, 2999):
            slices.at(datetime(year, 12, 1))[0] += 1
        self.assertEqual(sum(tenth.counts[0] for tenth in slices.tenths()), 3)

    def test_nothing(self):
        self.assertEqual(Slices(BEGIN, 1).tenths(), [])


if __name__ == "__main__":
    unittest.main()
