"""The kernel's cookie cache, as root over loopback."""

import multiprocessing
import os
import socket
import unittest
from contextlib import closing

from pathspider.helpers.tfo import FAST_OPEN, CookieCache


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

    def test_forgetting_without_permission_is_an_error(self):
        def forget(writer):
            os.setresuid(65534, 65534, 65534)
            with closing(CookieCache()) as cache:
                try:
                    cache.forget("192.0.2.77")
                except PermissionError as error:
                    writer.send(str(error))

        context = multiprocessing.get_context("fork")
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=forget, args=(writer,))
        process.start()
        process.join(100)
        self.assertTrue(reader.poll())
        self.assertIn("kernel's cache of TCP Fast Open cookies: Operation not permitted", reader.recv())

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
