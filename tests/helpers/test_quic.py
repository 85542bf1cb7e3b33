"""A request over HTTP/3 by aioquic, and packets with ECT(0) behind it: over real sockets, to the lab's server."""

import contextlib
import os
import socket
import threading
import unittest
from unittest import mock

from pathspider.helpers import poller, quic
from pathspider.helpers.quic import PACKETS, Exchange, connect_quic
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.h3 import serving, with_aioquic
from tests.helpers.netlab import SOURCE, V4, V6, NetLab

PORT = 9443


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


def ask(address=V4, timeout=10.0, port=PORT, domain="example.org"):
    return connect_quic(SOURCE, {"dip": address, "dp": port, "domain": domain}, timeout)


def rules(case, text):
    """Rules of the client's output hook until a test is over."""
    netlab.sh("nft -f -", f"table inet own {{ chain output {{ type filter hook output priority 0\n{text}\n }}\n }}")
    case.addCleanup(netlab.sh, "nft delete table inet own")


@contextlib.contextmanager
def at_the_server(text):
    """Rules of the server's input hook."""
    home = netlab.namespace()
    netlab.enter(lab.server)
    netlab.sh("nft -f -", "table inet on_way { set shut { type ipv4_addr; flags dynamic; size 99; }\n"
                          f"chain input {{ type filter hook input priority 0\n{text}\n }}\n }}")
    netlab.enter(home)
    try:
        yield
    finally:
        netlab.enter(lab.server)
        netlab.sh("nft delete table inet on_way")
        netlab.enter(home)
        os.close(home)


@with_aioquic
class TestConnect(unittest.TestCase):
    def test_response_counts_and_spin(self):
        with serving(lab, PORT):
            for address in (V4, V6):
                result = ask(address)
                self.assertEqual((result["spdr_state"], result["http_status"], result["quic_answer"],
                                  result["quic_version"], result["proto"]), (CONN_OK, 200, "response", 1, 17))
                self.assertGreaterEqual(result["quic_marked"], PACKETS)
                self.assertEqual(result["quic_counts"], [result["quic_marked_acked"], 0, 0])
                pairs = result["quic_spins"].split(",")
                self.assertEqual({*pairs}, {"00", "11"})
                self.assertNotIn("quic_unmarked_acked", result)

    def test_no_mark_before_the_response(self):
        with serving(lab, PORT, "h3-mute"):
            rules(self, "ip ecn != not-ect counter drop")
            result = ask(timeout=1.5)
            self.assertEqual((result["spdr_state"], result["quic_answer"]), (CONN_TIMEOUT, "handshake"))
            self.assertNotIn("quic_marked", result)
            self.assertIn("packets 0 ", netlab.sh("nft list table inet own"))

    def test_without_counts(self):
        with serving(lab, PORT, "h3-no-counts"):
            result = ask()
            self.assertIsNone(result["quic_counts"])
            self.assertGreaterEqual(result["quic_marked_acked"], PACKETS)

    def test_marks_that_are_lost(self):
        with serving(lab, PORT):
            for address in (V4, V6):
                with at_the_server("ip ecn ect0 drop\n ip6 ecn ect0 drop"):
                    result = ask(address)
                self.assertEqual((result["http_status"], result["quic_marked_acked"], result["quic_unmarked_acked"]),
                                 (200, 0, True))
                self.assertEqual({*result["quic_spins"].split(",")}, {"00", "11"})

    def test_a_path_that_a_mark_closes(self):
        with serving(lab, PORT), at_the_server("ip saddr @shut drop\n ip ecn ect0 add @shut { ip saddr } drop"):
            result = ask(timeout=3.0)
        self.assertEqual((result["http_status"], result["quic_marked_acked"], result["quic_unmarked_acked"],
                          result["quic_spins"]), (200, 0, False, ""))

    def test_other_versions(self):
        for kind, version in (("h3-version-2", 0x6B3343CF), ("h3-draft", None)):
            with serving(lab, PORT, kind):
                result = ask()
                self.assertEqual(result.get("quic_version"), version)
                self.assertEqual(result["quic_answer"], "response" if version else "other_version")
                self.assertEqual(len(result["quic_offered"]), 1)

    def test_a_server_that_knows_no_http_3(self):
        with serving(lab, PORT, "h3-other-protocol"):
            result = ask()
            self.assertEqual((result["spdr_state"], result["quic_answer"]), (CONN_FAILED, "closed:0x178"))

    def test_failures(self):
        for port, state, answer in ((netlab.CLOSED, CONN_FAILED, "icmp"), (netlab.PROHIBITED, CONN_FAILED, "icmp"),
                                    (netlab.UNREACHABLE, CONN_FAILED, "icmp"), (netlab.DROP, CONN_TIMEOUT, "none")):
            for address in (V4, V6):
                with self.subTest(port=port, address=address):
                    result = ask(address, timeout=1.0, port=port)
                    self.assertEqual((result["spdr_state"], result["quic_answer"]), (state, answer))

    def test_what_our_own_firewall_holds_back(self):
        rules(self, "udp dport 9500 drop\n udp dport 9501 reject")
        for port in (9500, 9501):
            result = ask(port=port, timeout=2.0)
            self.assertEqual((result["spdr_state"], result["local_error"]), (CONN_SKIPPED, "EPERM"))

    def test_what_cannot_be_asked(self):
        self.assertEqual(ask(domain="a..b")["local_error"], "bad_domain")
        self.assertEqual(connect_quic((None, None), {"dip": V4}, 1)["local_error"], "no_ipv4_source")

    def test_a_wait_for_our_turn_is_no_time_of_the_network(self):
        """Nobody can go on for longer than the whole timeout: answers that came meanwhile are in time."""
        def late(exchange):
            threading.Event().wait(2.5)
            exchange_asks(exchange)

        exchange_asks = Exchange.ask
        with serving(lab, PORT), mock.patch.object(Exchange, "ask", late), mock.patch.object(poller, "_current", None):
            poller.stays()  # all of it is the poller's then, also where it need not wait
            self.assertEqual(ask(timeout=2.0)["quic_answer"], "response")

    def test_a_clock_that_stands_still_while_others_compute(self):
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            one.connect(other.getsockname())
            exchange = Exchange(one, None, 5.0, 0.25)
        with mock.patch.object(quic, "clock", return_value=12.0):
            exchange.waited_since(3.0)  # it was not left to others
            self.assertEqual((exchange.lag, exchange.now()), (0.25, 11.75))
            exchange.left, exchange.waits = (10.0, 0.0), True
            exchange.waited_since(11.5)  # an answer came
            exchange.waited_since(11.0)  # another one, of which no time is taken off twice
            self.assertEqual((exchange.lag, exchange.now()), (0.75, 11.75))
            exchange.left, exchange.waits = (11.0, 0.0), True
            exchange.waited_since(9.0)  # one that had come before
            self.assertEqual(exchange.lag, 1.75)
            exchange.waits = True
            exchange.waited_since(12.5)  # one that comes in a time that the clock of all does not count
            self.assertEqual((exchange.lag, exchange.now()), (1.75, 11.75))  # it never goes back


if __name__ == "__main__":
    unittest.main()
