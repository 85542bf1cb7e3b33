"""Addresses of cases and of clean targets."""

import unittest
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from pathspider.lab.addresses import (
    CASES_4,
    CASES_6,
    CLEAN_4,
    CLEAN_6,
    CLEAN_TARGETS,
    CLIENT_LINK,
    NO_ECN_LINK,
    SERVER_LINK,
    case_address,
    clean_address,
)


class TestCases(unittest.TestCase):
    def test_both_versions(self):
        self.assertEqual(case_address(1, 20, 4), "10.20.1.20")
        self.assertEqual(case_address(1, 20, 6), "fd00:20::1:20")

    def test_inside_the_prefixes(self):
        self.assertIn(ip_address(case_address(254, 254, 4)), ip_network(CASES_4))
        self.assertIn(ip_address(case_address(254, 254, 6)), ip_network(CASES_6))

    def test_numbers_out_of_range(self):
        for family, case in ((0, 1), (1, 0), (255, 1), (1, 255)):
            with self.subTest(family=family, case=case), self.assertRaises(ValueError):
                case_address(family, case, 4)


class TestClean(unittest.TestCase):
    def test_first_and_last(self):
        self.assertEqual(clean_address(0, 4), "10.64.0.1")
        self.assertEqual(clean_address(253, 4), "10.64.0.254")
        self.assertEqual(clean_address(254, 4), "10.64.1.1")
        self.assertEqual(clean_address(CLEAN_TARGETS - 1, 4), "10.127.255.254")
        self.assertEqual(clean_address(0, 6), "fd00:21::1")

    @given(st.sets(st.integers(0, CLEAN_TARGETS - 1), max_size=50), st.sampled_from([4, 6]))
    def test_unique_and_inside(self, numbers, version):
        network = ip_network(CLEAN_4 if version == 4 else CLEAN_6)
        addresses = {ip_address(clean_address(number, version)) for number in numbers}
        self.assertEqual(len(addresses), len(numbers))
        for address in addresses:
            self.assertIn(address, network)
            if version == 4:
                self.assertNotIn(address.packed[3], (0, 255))

    def test_too_many(self):
        with self.assertRaisesRegex(ValueError, "4161536 clean targets"):
            clean_address(CLEAN_TARGETS, 4)


class TestLinks(unittest.TestCase):
    def test_links_do_not_meet_each_other_or_the_targets(self):
        links = (CLIENT_LINK, SERVER_LINK, NO_ECN_LINK)
        for version, (index, length) in enumerate(((0, 24), (1, 64))):
            networks = [ip_network(f"{link.near[index]}/{length}", strict=False) for link in links]
            networks += [ip_network(text) for text in ((CASES_4, CLEAN_4), (CASES_6, CLEAN_6))[version]]
            for number, one in enumerate(networks):
                self.assertFalse(any(one.overlaps(other) for other in networks[:number]))
            for link in links:
                self.assertNotEqual(link.near[index], link.far[index])
        self.assertEqual(len({link.hardware(end) for link in links for end in (1, 2)}), 6)
