"""Whose fault a failure is, from the kernel's own words; what is refused before a socket is made."""

import errno
import select
import socket
import struct
import unittest
from time import monotonic

from pathspider.helpers import sockets
from pathspider.helpers.sockets import is_ipv6, offender, open_connection, pending_error, wait
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT

BOTH = ("127.0.0.1", "::1")


class TestWords(unittest.TestCase):
    def test_addresses(self):
        self.assertEqual([is_ipv6(one) for one in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1")],
                         [False, True, True])
        for text in ("", "localhost", "fe80::1%lo", "192.0.2", "192.0.2.1 ", "1::2::3", "é", "1\0"):
            with self.assertRaises(ValueError):
                is_ipv6(text)

    def test_names_of_errors(self):
        self.assertEqual((sockets.errno_name(101), sockets.errno_name(9999)), ("ENETUNREACH", "errno 9999"))

    def test_who_sent_an_icmp_message(self):
        four = struct.pack("=HH4s8x", socket.AF_INET, 0, bytes([192, 0, 2, 1]))
        six = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 0)
        self.assertEqual((offender(four), offender(six)), ("192.0.2.1", "2001:db8::1"))
        for cut in (b"", four[:1], four[:7], six[:23], b"\0" * 28):
            self.assertIsNone(offender(cut))


class TestConnection(unittest.TestCase):
    def open(self, job, source=BOTH, **more):
        found = open_connection(source, job, monotonic() + 100, **more)
        if "client" in found:
            self.addCleanup(found["client"].close)
        return found

    def test_jobs_and_sources_that_will_not_do(self):
        for dip, dp, source, word in (
            (None, 80, BOTH, "bad_dip"), (7, 80, BOTH, "bad_dip"), ("localhost", 80, BOTH, "bad_dip"),
            ("127.0.0.1", "80", BOTH, "bad_dp"), ("127.0.0.1", 0, BOTH, "bad_dp"), ("127.0.0.1", 65536, BOTH, "bad_dp"),
            ("127.0.0.1", 80, (None, "::1"), "no_ipv4_source"), ("::1", 80, ("127.0.0.1", None), "no_ipv6_source"),
        ):
            self.assertEqual(self.open({"dip": dip, "dp": dp}, source),
                             {"spdr_state": CONN_SKIPPED, "sp": 0, "local_error": word})

    def test_left_for_somebody_else_to_connect(self):
        found = self.open({"dip": "127.0.0.1", "dp": 9}, connect=False)
        self.assertEqual((found["spdr_state"], found["sp"]), (CONN_OK, 0))
        self.assertFalse(found["client"].getblocking())
        self.assertEqual(found["client"].getsockname()[0], "127.0.0.1")

    def test_a_closed_port_answers_a_datagram_with_an_error_of_the_network_once(self):
        for address in BOTH:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as unused:
                unused.bind((address, 0))
                port = unused.getsockname()[1]
            found = self.open({"dip": address, "dp": port}, kind=socket.SOCK_DGRAM)
            self.assertEqual(found["spdr_state"], CONN_OK)
            found["client"].send(b"x")
            self.assertTrue(wait(found["client"], select.POLLIN, monotonic() + 100) & select.POLLERR)
            self.assertEqual(pending_error(found["client"], address, address), (errno.ECONNREFUSED, True))
            self.assertEqual(pending_error(found["client"], address, address), (0, False))

    def test_the_same_message_from_our_own_address_about_another_target_is_ours(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        client = self.open({"dip": "127.0.0.1", "dp": port}, kind=socket.SOCK_DGRAM)["client"]
        client.send(b"x")
        wait(client, select.POLLIN, monotonic() + 100)
        self.assertEqual(pending_error(client, "127.0.0.1", "192.0.2.1"), (errno.ECONNREFUSED, False))

    def test_waiting_ends_at_a_deadline_that_is_over(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.assertEqual(wait(server, select.POLLIN, monotonic() - 1), 0)

    def test_how_a_failure_is_told(self):
        for number, network, want in (
            (errno.ETIMEDOUT, True, {"spdr_state": CONN_TIMEOUT, "sp": 7, "error": "ETIMEDOUT"}),
            (errno.EHOSTUNREACH, True, {"spdr_state": CONN_FAILED, "sp": 7, "error": "EHOSTUNREACH"}),
            (errno.EHOSTUNREACH, False, {"spdr_state": CONN_SKIPPED, "sp": 7, "local_error": "EHOSTUNREACH"}),
        ):
            sock = socket.socket()
            self.assertEqual(sockets.failure(sock, number, network, 7), want)
            self.assertEqual(sock.fileno(), -1)


if __name__ == "__main__":
    unittest.main()
