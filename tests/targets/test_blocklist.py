"""Networks that are not measured."""

import gzip
import ipaddress
import tempfile
import unittest
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.blocklist import Blocklist, BlocklistError

NETWORKS = st.ip_addresses().flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda length: ipaddress.ip_network((address, length), strict=False)
    )
)


class TestBlocklist(unittest.TestCase):
    @given(st.lists(NETWORKS), st.ip_addresses())
    def test_an_address_is_in_it_if_it_is_in_one_of_its_networks(self, networks, address):
        expected = any(network.version == address.version and address in network for network in networks)
        self.assertEqual(str(address) in Blocklist(map(str, networks)), expected)

    @given(NETWORKS)
    def test_both_ends_of_a_network(self, network):
        blocklist = Blocklist([str(network)])
        self.assertIn(str(network[0]), blocklist)
        self.assertIn(str(network[-1]), blocklist)
        self.assertEqual(len(blocklist), 1)

    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "blocklist"
            path.write_text(text)
            return Blocklist.read(str(path))

    def test_file(self):
        blocklist = self.read("# asked on 2026-11-01\n192.0.2.0/24 # a network\n\n2001:db8::/32\n198.51.100.7\n")
        self.assertEqual(len(blocklist), 3)
        self.assertIn("192.0.2.9", blocklist)
        self.assertIn("2001:db8:1::1", blocklist)
        self.assertNotIn("198.51.100.8", blocklist)

    def test_packed_and_encoded(self):
        text = "192.0.2.0/24\r\n2001:db8::/32 # a network\r\n"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "blocklist"
            for data in (text.encode("utf-8-sig"), text.encode("utf-16"), gzip.compress(text.encode())):
                path.write_bytes(data)
                self.assertIn("2001:db8::7", Blocklist.read(str(path)))
            for data, says in ((gzip.compress(text.encode())[:-9], "cut off"), (b"<html>", "HTML")):
                path.write_bytes(data)
                with self.assertRaisesRegex(BlocklistError, says):
                    Blocklist.read(str(path))

    def test_a_bad_line_is_named(self):
        with self.assertRaisesRegex(BlocklistError, r"line 2: '192\.0\.2\.0/33'"):
            self.read("192.0.2.0/24\n192.0.2.0/33\n")

    def test_a_missing_file_is_named(self):
        with self.assertRaisesRegex(BlocklistError, "/nonexistent/blocklist"):
            Blocklist.read("/nonexistent/blocklist")

    def test_it_may_be_another_list(self):
        with self.assertRaisesRegex(BlocklistError, "^allowlist /nonexistent: No such file"):
            Blocklist.read("/nonexistent", "allowlist")
