"""TCP connections: how they end, whose fault that is, and which port they came from."""

import errno
import socket
import subprocess
import sys
import unittest

from pathspider.helpers.tcp import connect_tcp
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.netlab import SOURCE, V4, V6, NetLab
from tests.times import least_time


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


class TestConnect(unittest.TestCase):
    def connect(self, address, port, timeout=3.0, source=SOURCE, **options):
        result = connect_tcp(source, {"dip": address, "dp": port}, timeout, **options)
        if "client" in result:
            self.addCleanup(result["client"].close)
        return result

    def test_success(self):
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            with self.subTest(address):
                result = self.connect(address, netlab.HTTP)
                self.assertEqual(result["spdr_state"], CONN_OK)
                self.assertTrue(lab.saw(own, result["sp"]))
                result["client"].settimeout(100)
                result["client"].sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertTrue(result["client"].recv(100).startswith(b"HTTP/1.1 200"))

    def test_refused(self):
        for address in (V4, V6):
            with self.subTest(address):
                result = self.connect(address, netlab.CLOSED)
                self.assertEqual((result["spdr_state"], result["error"]), (CONN_FAILED, "ECONNREFUSED"))
                self.assertGreater(result["sp"], 1023)
                self.assertNotIn("client", result)

    def test_timeout(self):
        for address in (V4, V6):
            with self.subTest(address):
                def wait(address=address):
                    result = self.connect(address, netlab.DROP, timeout=0.3)
                    self.assertEqual(result["spdr_state"], CONN_TIMEOUT)
                    self.assertGreater(result["sp"], 1023)

                self.assertTrue(0.29 < least_time(wait, 1) < 1)

    def test_an_icmp_error_is_the_paths_and_told_at_once(self):
        for address in (V4, V6):
            for port in (netlab.UNREACHABLE, netlab.PROHIBITED):
                with self.subTest(address=address, port=port):
                    result = self.connect(address, port, timeout=0.8)
                    self.assertEqual(result["spdr_state"], CONN_FAILED, result)
                    self.assertGreater(result["sp"], 1023)
                    self.assertNotIn("local_error", result)

    def test_no_source_address_for_the_version(self):
        self.assertEqual(self.connect(V6, 80, source=(SOURCE[0], None)),
                         {"spdr_state": CONN_SKIPPED, "sp": 0, "proto": 6, "local_error": "no_ipv6_source"})
        self.assertEqual(self.connect(V4, 80, source=(None, SOURCE[1]))["local_error"], "no_ipv4_source")

    def test_bad_targets_are_never_looked_up(self):
        for dip in ("localhost", "", None, 7, "10.9.0.2.3", "fe80::1%va", "10.9.0.2\0", "::ffff:zz"):
            with self.subTest(dip=dip):
                self.assertEqual(self.connect(dip, 80)["local_error"], "bad_dip")
        for port in (None, 0, -1, 65536, "80", 1.5):
            with self.subTest(port=port):
                self.assertEqual(self.connect(V4, port)["local_error"], "bad_dp")

    def test_socket_options_are_set_before_the_handshake(self):
        result = self.connect(V4, netlab.HTTP, sockopts=[(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 600)])
        self.assertLess(result["client"].getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 601)

    def test_a_refused_socket_option_is_an_error_of_ours(self):
        with self.assertRaises(OSError) as caught:
            self.connect(V4, netlab.HTTP, sockopts=[(socket.IPPROTO_TCP, 9999, 1)])
        self.assertEqual(caught.exception.errno, errno.ENOPROTOOPT)
        self.assertIn("9999", str(caught.exception))

    def test_one_source_port_serves_many_targets(self):
        netlab.sh("sysctl -qw net.ipv4.ip_local_port_range='40000 40003'")
        self.addCleanup(netlab.sh, "sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")
        results = [self.connect(f"127.0.0.{host}", 9, source=("127.0.0.1", None)) for host in range(1, 9)]
        self.assertEqual({result.get("error") for result in results}, {"ECONNREFUSED"})


class TestOwnFaults(unittest.TestCase):
    def skipped(self, address, port=80, source=SOURCE, timeout=3.0):
        result = connect_tcp(source, {"dip": address, "dp": port}, timeout)
        self.assertEqual(result["spdr_state"], CONN_SKIPPED, result)
        return result["local_error"]

    def test_no_route(self):
        self.assertEqual(self.skipped("198.51.100.1"), "ENETUNREACH")
        self.assertEqual(self.skipped("2001:db8::1"), "ENETUNREACH")

    def test_routes_that_refuse(self):
        kinds = (("unreachable", "EHOSTUNREACH"), ("prohibit", "EACCES"), ("blackhole", "EINVAL"))
        for number, (kind, name) in enumerate(kinds):
            netlab.sh(f"ip route add {kind} 203.0.113.{number}")
            self.addCleanup(netlab.sh, f"ip route del {kind} 203.0.113.{number}")
            with self.subTest(kind):
                self.assertEqual(self.skipped(f"203.0.113.{number}"), name)

    def test_the_source_address_is_gone(self):
        self.assertEqual(self.skipped(V4, source=("10.9.0.77", None)), "EADDRNOTAVAIL")

    def test_no_port_is_left(self):
        netlab.sh("sysctl -qw net.ipv4.ip_local_port_range='40100 40100'")
        self.addCleanup(netlab.sh, "sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")
        first = connect_tcp(SOURCE, {"dip": V4, "dp": netlab.SILENT}, 3)
        self.assertEqual((first["spdr_state"], first["sp"]), (CONN_OK, 40100))
        with first["client"]:
            self.assertEqual(self.skipped(V4, netlab.SILENT), "EADDRNOTAVAIL")

    def test_a_neighbour_that_does_not_answer(self):
        netlab.sh("sysctl -qw net.ipv4.neigh.va.retrans_time_ms=20 net.ipv6.neigh.va.retrans_time_ms=20")
        for address in ("10.9.0.66", "fd00:9::66"):
            with self.subTest(address):
                self.assertEqual(self.skipped(address), "EHOSTUNREACH")

    def test_a_local_firewall_that_refuses(self):
        rule = "tcp dport 99 reject with icmpx type admin-prohibited;"
        chain = f"chain out {{ type filter hook output priority 0; policy accept; {rule}\n}}\n"
        netlab.sh("nft -f -", f"table inet mine {{ {chain} }}\n")
        self.addCleanup(netlab.sh, "nft delete table inet mine")
        self.assertEqual(self.skipped(V4, 99), "EHOSTUNREACH")
        self.assertEqual(self.skipped(V6, 99), "EACCES")

    def test_no_descriptor_is_left(self):
        program = (
            "import resource, os\n"
            "from pathspider.helpers.tcp import connect_tcp\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
            "held = []\n"
            "try:\n"
            "    while True: held.append(os.dup(0))\n"
            "except OSError: pass\n"
            "print(connect_tcp(('127.0.0.1', None), {'dip': '127.0.0.1', 'dp': 9}, 1)['local_error'])\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.strip(), "EMFILE")
