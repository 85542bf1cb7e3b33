"""Where targets changed."""

import sqlite3
import unittest
from contextlib import closing
from unittest import mock

from pathspider.report.places import Places, country_of, prefix_of
from pathspider.report.targets import Move, Paired

PAIR = Paired(0, 1, "ecn.connectivity")
BROKE, HEALED = Move(PAIR, ("works",), ("broken",)), Move(PAIR, ("broken",), ("works",))


class TestPlaces(unittest.TestCase):
    def test_prefixes(self):
        for dip, prefix in (("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::9", "2001:db8:1::/48"),
                            ("2001:db8::9", "2001:db8::/48"), ("2a00::1", "2a00::/48"), ("::1", "::/48"),
                            ("2001:db8:0:1:1:1:1:1", "2001:db8::/48"), ("2001:db8:a::", "2001:db8:a::/48")):
            self.assertEqual(prefix_of(dip), prefix)

    def test_countries(self):
        for job, country in (({"country": "nz"}, "NZ"), ({"info": {"Country": "CH"}}, "CH"),
                             ({"canid_info": {"CountryCode": "US"}}, "US"), ({"country": "New Zealand"}, ""),
                             ({"country": 64}, ""), ({"info": "CH"}, ""), ({}, "")):
            self.assertEqual(country_of(job), country)

    def test_gains_and_losses_most_first(self):
        with mock.patch("pathspider.report.places.BATCH", 4), closing(sqlite3.connect(":memory:")) as table:
            places = Places(table)
            for number in range(7):
                places.note(f'["192.0.2.{number}", 80, null]', 64496 + number % 2, "", [BROKE])
            places.note('["198.51.100.1", 80, null]', 64497, "CH", [HEALED])
            places.note('["198.51.100.2", 80, null]', 0, "", [])
            places.settle()
            ways = {BROKE: 1, HEALED: -1}
            self.assertEqual([*places.of("as", ways)], [("AS64496", 4, 0), ("AS64497", 3, 1)])
            self.assertEqual([*places.of("prefix", ways)], [("192.0.2.0/24", 7, 0), ("198.51.100.0/24", 0, 1)])
            self.assertEqual([*places.of("country", ways)], [("CH", 0, 1)])
            self.assertEqual([*places.of("ip", ways)], [("IPv4", 7, 1)])
            self.assertEqual([*places.of("as", {})], [])
