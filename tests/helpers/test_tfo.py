"""The kernel's cookie cache, as root over loopback."""

import socket
import struct
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.helpers.tfo import FAST_OPEN, CookieCache, attribute, parse_attributes


class TestAttributes(unittest.TestCase):
    @given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=20))))
    def test_there_and_back(self, attributes):
        data = b"".join(attribute(kind, value) for kind, value in attributes)
        self.assertEqual(list(parse_attributes(data)), attributes)
        self.assertEqual(len(data) % 4, 0)

    @given(st.binary(max_size=60))
    def test_nonsense_ends(self, data):
        list(parse_attributes(data))

    def test_nested_bit_is_no_part_of_the_kind(self):
        self.assertEqual(list(parse_attributes(struct.pack("=HHI", 8, 0x8006, 1))), [(6, struct.pack("=I", 1))])


class TestCookieCache(unittest.TestCase):
    def setUp(self):
        self.cache = CookieCache()
        self.addCleanup(self.cache.close)

    def test_nothing_is_cached(self):
        for address in ("192.0.2.77", "2001:db8::77"):
            self.cache.forget(address)
            self.assertIsNone(self.cache.cookie(address))

    def test_a_cookie_comes_and_goes(self):
        for family, address in ((socket.AF_INET, "127.0.0.77"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
                server.bind((address, 0))
                server.listen()
                self.cache.forget(address)
                self.connect(family, server.getsockname())
                if server_fast_open():
                    self.assertTrue(self.cache.cookie(address))
                self.cache.forget(address)
                self.assertIsNone(self.cache.cookie(address))

    def connect(self, family, address):
        with socket.socket(family) as client:
            for level, option, value in FAST_OPEN:
                client.setsockopt(level, option, value)
            client.connect(address)
            client.send(b"x")


def server_fast_open():
    """Whether this machine's kernel hands out cookies: bit 1 of the sysctl."""
    with open("/proc/sys/net/ipv4/tcp_fastopen", encoding="ascii") as setting:
        return int(setting.read()) & 2
