"""The targets of a list, to take them out of another."""

import unittest

from pathspider.targets.difference import Difference

TARGET = {"dip": "2001:db8::1", "dp": 80, "domain": "example.org", "rank": 1}


class TestDifference(unittest.TestCase):
    def test_an_entry_stands_for_all_that_are_like_it(self):
        for entry in ({"dip": "2001:DB8::0:1"}, {"domain": "EXAMPLE.org."}, {"dip": "2001:db8::1", "dp": 80},
                      {"domain": "example.org", "dp": 80}, {"dip": "2001:db8::1", "domain": "example.org"}, TARGET,
                      {**TARGET, "rank": 2}, {"dip": "2001:db8::1", "dp": None}):
            difference = Difference()
            difference.add(entry)
            self.assertIn(TARGET, difference)
            self.assertEqual(len(difference), 1)

    def test_others(self):
        difference = Difference()
        for entry in ({"dip": "2001:db8::1", "dp": 443}, {"dip": "2001:db8::2"}, {"domain": "www.example.org"},
                      {**TARGET, "domain": "example.net"}, {}, {"dp": 80}, {"note": 1}):
            difference.add(entry)
        self.assertEqual(len(difference), 4)
        for job in (TARGET, {"dip": "2001:db8::1"}, {"domain": "example.org"}, {}, {"dp": 80}):
            self.assertNotIn(job, difference)
        self.assertIn({"dip": "2001:db8::2", "dp": 1, "domain": "x"}, difference)
