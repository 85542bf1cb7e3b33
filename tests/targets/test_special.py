"""Special-purpose addresses, as IANA's registries have them."""

import ipaddress
import unittest

from pathspider.targets.special import LAB, NOT_REACHABLE, REACHABLE, special_purpose


class TestSpecial(unittest.TestCase):
    def test_what_is(self):
        for address, name in {
            "0.1.2.3": "This network", "10.1.2.3": "Private-Use", "100.64.0.1": "Shared", "127.0.0.1": "Loopback",
            "169.254.1.1": "Link Local", "172.16.0.1": "Private-Use", "172.31.255.255": "Private-Use",
            "192.0.0.8": "IETF", "192.0.0.170": "IETF", "192.0.2.1": "TEST-NET-1", "192.88.99.1": "6to4",
            "192.168.255.255": "Private-Use", "198.19.255.255": "Benchmarking", "198.51.100.1": "TEST-NET-2",
            "203.0.113.1": "TEST-NET-3", "240.0.0.1": "Reserved", "255.255.255.255": "Reserved",
            "::": "Unspecified", "::1": "Loopback", "::ffff:192.0.2.1": "IPv4-mapped", "64:ff9b:1::1": "Translation",
            "100::1": "Discard", "100:0:0:1::1": "Dummy", "2001::1": "IETF", "2001:2::1": "IETF", "2001:10::1": "IETF",
            "2001:db8::1": "Documentation", "2002::1": "6to4", "3fff::1": "Documentation", "5f00::1": "SRv6",
            "fd12::1": "Unique-Local", "fe80::1": "Link-Local",
        }.items():
            self.assertIn(name, special_purpose(address) or "nothing", address)

    def test_what_is_not(self):
        for address in ("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.32.0.1",
                        "192.0.0.9", "192.0.0.10", "192.31.196.1", "192.52.193.1", "192.175.48.1", "198.17.255.255",
                        "198.20.0.0", "223.255.255.255", "64:ff9b::1", "2000::1", "2001:1::1", "2001:3::1",
                        "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:200::1", "2001:db9::", "2620:4f:8000::1",
                        "2a00::1", "10.20.1.1", "10.64.0.1", "fd00:20::1", "fd00:21::1"):
            self.assertEqual(special_purpose(address), "", address)

    def test_all_are_prefixes(self):
        for prefix in (*NOT_REACHABLE, *REACHABLE, *LAB):
            ipaddress.ip_network(prefix)
