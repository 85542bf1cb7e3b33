"""ICMP errors end a connection until its handshake is complete, and not after: the same in every mode, with and without
TCP Fast Open. Measurements compare the two: a path that differs for one of them only by our own treatment is no path's.
"""

import itertools
import socket
import unittest

import pycurl

from pathspider.helpers import poller
from pathspider.helpers.dns import connect_dns_tcp
from pathspider.helpers.http import connect_http, connect_https
from pathspider.helpers.tcp import connect_tcp
from pathspider.helpers.tfo import FAST_OPEN, CookieCache
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.netlab import SOURCE, V4, V6, NetLab
from tests.times import least_time

MODES = ((connect_http, netlab.HTTP, netlab.HTTP_ERROR), (connect_https, netlab.TLS, netlab.TLS_ERROR),
         (connect_dns_tcp, netlab.DNS, netlab.DNS_ERROR), (connect_tcp, netlab.HTTP, netlab.HTTP_ERROR))
PLAIN, ASK, USE = "without Fast Open", "asks for a cookie", "uses a cookie"


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


class TestErrors(unittest.TestCase):
    def setUp(self):
        self.cookies = CookieCache()
        self.addCleanup(self.cookies.close)

    def each(self, check, addresses=(V4, V6)):
        """Check each mode over each IP version, without and with Fast Open, with the cookie cache as it has to be."""
        for (connect, *ports), address, kind in itertools.product(MODES, addresses, (PLAIN, ASK, USE)):
            self.cookies.forget(address)
            if kind == USE:
                self.connect(connect_dns_tcp, address, netlab.DNS, ASK)
                self.assertTrue(self.cookies.cookie(address))
            with self.subTest(connect=connect.__name__, address=address, kind=kind):
                check(connect, address, *ports, kind)

    def connect(self, connect, address, port, kind, timeout=3.0):
        result = connect(SOURCE, {"dip": address, "dp": port}, timeout, sockopts=None if kind == PLAIN else FAST_OPEN)
        if "client" in result:
            self.addCleanup(result["client"].close)
        return result

    def test_after_the_handshake_the_connection_goes_on(self):
        def check(connect, address, _port, port, kind):
            result = self.connect(connect, address, port, kind)
            self.assertEqual(result["spdr_state"], CONN_OK, result)
            self.assertNotIn("error", result)
            if connect is connect_tcp:
                result["client"].setblocking(True)
                result["client"].settimeout(100)
                result["client"].send(b"request")
                self.assertTrue(result["client"].recv(100).startswith(b"HTTP/1.1 200"))

        self.each(check)

    def test_whether_the_data_on_the_syn_were_acknowledged(self):
        def check(connect, address, port, _port_with_error, kind):
            result = self.connect(connect, address, port, kind)
            self.assertEqual(result["spdr_state"], CONN_OK, result)
            carried = kind == USE and connect is not connect_tcp  # which has nothing to send
            self.assertEqual(result.get("syn_data_acked", False), carried)

        self.each(check)

    def test_before_its_end_they_are_the_answer_at_once(self):
        def check(connect, address, _port, _port_with_error, kind):
            for port in (netlab.UNREACHABLE, netlab.PROHIBITED):
                def refused(port=port):
                    result = self.connect(connect, address, port, kind)
                    self.assertEqual(result["spdr_state"], CONN_FAILED, result)
                    self.assertNotIn("local_error", result)
                    self.assertGreater(result["sp"], 1023)

                # not only when the SYN is sent again, but that libcurl with GnuTLS (Debian's) looks only then
                most = 1.9 if connect is connect_https and "GnuTLS" in pycurl.version else 0.9
                self.assertLess(least_time(refused, most), most)

        self.each(check)

    def test_the_poller_forgets_the_transfers_that_are_over(self):
        for port in (netlab.HTTP, netlab.HTTP_ERROR, netlab.CLOSED, netlab.UNREACHABLE, netlab.DROP):
            self.connect(connect_http, V4, port, USE, 0.3)
        self.connect(connect_http, V4, netlab.HTTP, PLAIN)  # libcurl makes a connection
        current = poller._poller()
        self.assertEqual((current._heeds, current._unheeded), ({}, []))

    def test_silence_and_refusal(self):
        def check(connect, address, _port, _port_with_error, kind):
            for port, state in ((netlab.DROP, CONN_TIMEOUT), (netlab.CLOSED, CONN_FAILED)):
                result = self.connect(connect, address, port, kind, 0.3)
                self.assertEqual(result["spdr_state"], state, result)
                self.assertGreater(result["sp"], 1023)

        self.each(check)

    def test_a_neighbour_that_does_not_answer_is_no_fault_of_the_path(self):
        def check(connect, address, port, _port_with_error, kind):
            self.lose_neighbour(address)
            result = self.connect(connect, address, port, kind, 3)
            self.find_neighbour(address)
            self.assertEqual((result["spdr_state"], result.get("local_error")), (CONN_SKIPPED, "EHOSTUNREACH"), result)

        self.each(check, [V4])

    def lose_neighbour(self, address):
        self.addCleanup(self.find_neighbour, address)
        netlab.sh("nft -f -", "table arp mine { chain out { type filter hook output priority 0; policy drop; }\n}")
        netlab.sh(f"sysctl -qw net.ipv4.neigh.va.retrans_time_ms=50; ip neigh del {address} dev va")

    def find_neighbour(self, address):
        netlab.sh(f"ip neigh replace {address} lladdr 02:00:00:00:00:02 dev va nud permanent;"
                  "nft delete table arp mine 2>/dev/null || true")

    def test_a_handshake_is_made_where_nothing_is_to_be_sent(self):
        for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
            self.connect(connect_dns_tcp, address, netlab.DNS, ASK)
            result = self.connect(connect_tcp, address, netlab.HTTP, USE)
            self.assertEqual(result["spdr_state"], CONN_OK)
            self.assertTrue(lab.saw(own, result["sp"]))
            state = result["client"].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            self.assertEqual(state, 1)  # established
