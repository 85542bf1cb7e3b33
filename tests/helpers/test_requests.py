"""What connections begin with."""

import ssl
import unittest

import dnslib

from pathspider.helpers.requests import request_of

JOB = {"dip": "2001:db8::1", "dp": 80, "domain": "www.Example.com"}


class TestRequests(unittest.TestCase):
    def test_http(self):
        head, _, rest = request_of("http", JOB).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.assertEqual((lines[:2], rest), (["GET / HTTP/1.1", "Host: www.example.com"], b""))
        self.assertIn("Connection: close", lines)
        self.assertIn(b"Host: [2001:db8::1]\r\n", request_of("http", {**JOB, "domain": None}))

    def test_https(self):
        hello = request_of("https", JOB)
        self.assertEqual((hello[0], hello[5], int.from_bytes(hello[3:5], "big")), (22, 1, len(hello) - 5))
        self.assertIn(b"www.example.com", hello)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        incoming = ssl.MemoryBIO()
        incoming.write(hello)
        with self.assertRaises(ssl.SSLError) as caught:  # it is read, and there is no certificate to answer with
            server.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
        self.assertEqual(caught.exception.reason, "NO_SHARED_CIPHER")
        self.assertTrue(request_of("https", {"dip": "192.0.2.1"}))

    def test_dns(self):
        message = request_of("dnstcp", JOB)
        self.assertEqual(int.from_bytes(message[:2], "big"), len(message) - 2)
        self.assertEqual(str(dnslib.DNSRecord.parse(message[2:]).q.qname), "www.example.com.")

    def test_nothing(self):
        for mode in ("tcp", "dnsudp", None, "mine"):
            self.assertEqual(request_of(mode, JOB), b"")
