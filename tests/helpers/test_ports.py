"""Source ports rest before they are used again to one address."""

import errno
import os
import socket
import subprocess
import sys
import unittest

from pathspider.helpers import ports
from pathspider.helpers.forged import hold_tcp_port, hold_udp_port
from pathspider.helpers.ports import REST, AllUsed, Ledger, unused

PROGRAM = """
import sys
from pathlib import Path
from pathspider.helpers.dns import connect_dns_udp
from pathspider.helpers.forged import hold_tcp_port
from tests.helpers.netlab import enter_new
enter_new()
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40019")
results = [connect_dns_udp(("127.0.0.1", None), {"dip": "127.0.0.1", "dp": 9}, 1) for _ in range(25)]
ports = [result["sp"] for result in results if "local_error" not in result]
print(len(ports), len(set(ports)), {result.get("local_error") for result in results} - {None})
print(connect_dns_udp(("127.0.0.1", None), {"dip": "127.0.0.2", "dp": 9}, 1)["sp"] in ports)
"""


class TestLedger(unittest.TestCase):
    def setUp(self):
        self.now = 1000.0
        self.ledger = Ledger(lambda: self.now)

    def test_a_port_rests_for_each_address(self):
        self.assertTrue(self.ledger.claim("192.0.2.1", 4000))
        self.assertFalse(self.ledger.claim("192.0.2.1", 4000))
        self.assertTrue(self.ledger.claim("192.0.2.1", 4001))
        self.assertTrue(self.ledger.claim("192.0.2.2", 4000))
        self.assertEqual((self.ledger.claimed, self.ledger.refused), (3, 1))

    def test_it_rests_for_thirty_seconds_at_least_and_twice_that_at_most(self):
        for offset in (0.0, 1.0, REST / 2, REST - 0.1):
            self.ledger.claim("192.0.2.9", 1)  # whenever the generation began
            self.now += offset
            port = 5000 + int(offset)
            self.assertTrue(self.ledger.claim("192.0.2.1", port))
            self.now += REST - 0.1
            self.assertFalse(self.ledger.claim("192.0.2.1", port))
            self.now += 2 * REST
            self.assertTrue(self.ledger.claim("192.0.2.1", port))

    def test_memory_is_bounded_and_few_ports_are_refused_in_error(self):
        for number in range(100_000):
            self.ledger.claim(f"192.0.{number % 256}.1", number)
        self.assertLess(self.ledger.refused, 5000)
        self.assertEqual(len(self.ledger._young) + len(self.ledger._old), 2 * ports.BITS // 8)


class TestUnused(unittest.TestCase):
    def test_another_port_is_taken(self):
        ledger = Ledger()

        def make():
            sock = socket.socket(type=socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            return sock

        found = set()
        for _ in range(50):
            with unused(ledger, "192.0.2.1", make) as sock:
                found.add(sock.getsockname()[1])
        self.assertEqual(len(found), 50)

    def test_when_all_are_used_nothing_is_left_open(self):
        ledger = Ledger()
        port = []

        def make():
            sock = socket.socket(type=socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", port[0] if port else 0))
            return sock

        with unused(ledger, "192.0.2.1", make) as first:
            port.append(first.getsockname()[1])
            before = len(os.listdir("/proc/self/fd"))
            with self.assertRaises(AllUsed) as caught:
                unused(ledger, "192.0.2.1", make)
            self.assertEqual(caught.exception.errno, errno.EADDRNOTAVAIL)
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_queries_and_forged_flows_ask(self):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        first, second = done.stdout.splitlines()
        self.assertEqual(first, "20 20 {'EADDRNOTAVAIL'}")
        self.assertEqual(second, "True")
        for hold in (lambda: hold_tcp_port("127.0.0.1", 0, "192.0.2.77"),
                     lambda: hold_udp_port("127.0.0.1", 0, ("127.0.0.77", 9))):
            found = set()
            for _ in range(30):
                with hold() as sock:
                    found.add(sock.getsockname()[1])
            self.assertEqual(len(found), 30)


if __name__ == "__main__":
    unittest.main()
