"""Addresses as text, as inet_ntop(3) writes them."""

import socket
import struct
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.libtrace import IP, IP6, TCP, Prefix, endpoints
from tests.libtrace.frames import tcp4, tcp6

WORDS = st.sampled_from([0, 0, 0, 1, 0x10, 0xFFFF, 0xDB8]) | st.integers(0, 0xFFFF)


class TestAddresses(unittest.TestCase):
    @given(st.lists(WORDS, min_size=8, max_size=8))
    def test_ipv6(self, words):
        address = struct.pack("!8H", *words)
        self.assertEqual(str(Prefix(address)), socket.inet_ntop(socket.AF_INET6, address))

    @given(st.binary(min_size=4, max_size=4))
    def test_ipv4(self, address):
        self.assertEqual(str(Prefix(address)), socket.inet_ntop(socket.AF_INET, address))

    def test_every_place_of_zeros(self):
        for set_words in range(256):
            for last in (0xFFFF, 1):
                words = [last if set_words >> place & 1 else 0 for place in range(8)]
                address = struct.pack("!8H", *words)
                self.assertEqual(str(Prefix(address)), socket.inet_ntop(socket.AF_INET6, address), words)


class TestEndpoints(unittest.TestCase):
    def test_of_both_versions(self):
        self.assertEqual(endpoints(IP(tcp4("S")[14:])), ("192.0.2.1", "198.51.100.1", 6, 1234, 80))
        self.assertEqual(endpoints(IP6(tcp6("S", rev=True)[14:])), ("2001:db8::2", "2001:db8::1", 6, 80, 1234))

    def test_without_ports(self):
        packet = bytearray(tcp4("S")[14:])
        packet[9] = 47
        self.assertEqual(endpoints(IP(bytes(packet)))[2:], (47, None, None))
        self.assertEqual(endpoints(IP(tcp4("S")[14:34]))[2:], (6, None, None))

    def test_of_other_things(self):
        for wrong in (TCP(tcp4("S")[34:]), Prefix("192.0.2.1"), None):
            with self.assertRaises(TypeError):
                endpoints(wrong)


if __name__ == "__main__":
    unittest.main()
