"""Looking names up, against resolvers on loopback."""

import contextlib
import socket
import tempfile
import threading
import unittest
from pathlib import Path
from time import thread_time
from unittest import mock

import dnslib

from pathspider.targets import resolve
from pathspider.targets.resolve import Lookup, lookup, system_resolvers
from tests.helpers.messages import pointer_chains


def answering(*records, rcode=0, truncated=False):
    """A server's behaviour: answer every query with these records."""
    def answer(query):
        reply = dnslib.DNSRecord.parse(query).reply()
        reply.header.rcode = rcode
        reply.header.tc = truncated
        for record in records:
            reply.add_answer(*dnslib.RR.fromZone(record))
        return reply.pack()
    return answer


ADDRESS = answering("alias.example.com 60 CNAME real.example.com", "real.example.com 60 A 192.0.2.7",
                    "real.example.com 60 A 192.0.2.8", "real.example.com 60 A 192.0.2.7")
NOTHING = object()
"""A server that does not listen."""


class TestLookup(unittest.TestCase):
    def serve(self, udp=None, tcp=NOTHING, address="127.0.0.1"):
        """A resolver; ``None`` is silent. Several addresses share one port."""
        for kind, answer in ((socket.SOCK_DGRAM, udp), (socket.SOCK_STREAM, tcp)):
            if answer is NOTHING:
                continue
            sock = socket.socket(socket.AF_INET, kind)
            sock.bind((address, self.port))
            if kind == socket.SOCK_STREAM:
                sock.listen()
            thread = threading.Thread(target=self.run_server, args=(sock, kind, answer), daemon=True)
            thread.start()
            self.addCleanup(self.stop, sock)

    @staticmethod
    def stop(sock):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    @staticmethod
    def run_server(sock, kind, answer):
        try:
            while True:
                if kind == socket.SOCK_DGRAM:
                    query, client = sock.recvfrom(2000)
                    if not client:
                        return
                    if answer is not None:
                        sock.sendto(answer(query), client)
                else:
                    connection, _ = sock.accept()
                    with connection:
                        query = connection.recv(2000)[2:]
                        message = answer(query)
                        connection.sendall(len(message).to_bytes(2, "big") + message)
        except OSError:
            pass

    def setUp(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        patch = mock.patch.object(resolve, "DNS_PORT", self.port)
        patch.start()
        self.addCleanup(patch.stop)

    def lookup(self, *resolvers, timeout=5.0, qtype="A"):
        return lookup(resolvers or ["127.0.0.1"], "alias.example.com", qtype, timeout)

    def test_addresses_behind_an_alias_each_once(self):
        self.serve(ADDRESS)
        self.assertEqual(self.lookup(), Lookup(["192.0.2.7", "192.0.2.8"]))
        self.assertEqual(self.lookup(qtype="AAAA"), Lookup([], "nodata"))

    def test_names_without_addresses(self):
        for rcode, problem in ((3, "nxdomain"), (2, "servfail"), (5, "refused")):
            with self.subTest(problem=problem):
                self.serve(answering(rcode=rcode), address=f"127.0.0.{rcode + 1}")
                self.assertEqual(self.lookup(f"127.0.0.{rcode + 1}"), Lookup([], problem))

    def test_the_same_over_tcp(self):
        self.serve(answering(rcode=2), answering(rcode=2))
        self.assertEqual(self.lookup(), Lookup([], "servfail"))

    def test_another_resolver_knows_better(self):
        self.serve(answering(rcode=2))
        self.serve(ADDRESS, address="127.0.0.2")
        self.assertEqual(self.lookup("127.0.0.1", "127.0.0.2").problem, "")

    def test_a_truncated_answer_is_asked_for_over_tcp(self):
        self.serve(answering(truncated=True), ADDRESS)
        self.assertEqual(self.lookup().answers, ["192.0.2.7", "192.0.2.8"])

    def test_a_resolver_that_speaks_tcp_only(self):
        self.serve(None, ADDRESS)
        self.assertEqual(self.lookup(timeout=0.3).answers, ["192.0.2.7", "192.0.2.8"])

    def test_silence(self):
        self.serve(None)
        self.assertEqual(self.lookup(timeout=0.1).problem, "timeout")

    def test_nobody_there(self):
        self.assertEqual(self.lookup().problem, "unreachable")

    def test_nonsense(self):
        self.serve(lambda query: b"nonsense", lambda query: b"nonsense")
        self.assertEqual(self.lookup().problem, "invalid")

    def test_a_hostile_answer_costs_milliseconds(self):
        self.serve(lambda query: pointer_chains(query, 65507))
        began = thread_time()
        self.assertEqual(self.lookup(), Lookup([], "nodata"))
        self.assertLess(thread_time() - began, 0.5)

    def test_texts(self):
        self.serve(answering('alias.example.com 60 TXT "a b" "c"', "alias.example.com 60 A 192.0.2.7"))
        self.assertEqual(self.lookup(qtype="TXT").answers, ['"a b","c"'])

    def test_a_text_longer_than_its_record(self):
        def answer(query):
            reply = answering('alias.example.com 60 TXT "abc"')(query)
            return reply[:-4] + b"\x09abc"
        self.serve(answer, answer)
        self.assertEqual(self.lookup(qtype="TXT").problem, "invalid")

    def test_a_name_that_cannot_be_asked_for(self):
        for name in ("x" * 64 + ".com", "x." * 200):
            self.assertEqual(lookup(["127.0.0.1"], name, "A", 1), Lookup([], "bad_domain"))


class TestResolvConf(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "resolv.conf"
            path.write_text(text, encoding="utf-8")
            return system_resolvers(path)

    def test_name_servers(self):
        text = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\n"
        self.assertEqual(self.read(text), ["192.0.2.1", "2001:db8::1"])

    def test_none(self):
        self.assertEqual(self.read("options edns0\nnameserver\n"), ["127.0.0.1"])
        self.assertEqual(system_resolvers(Path("/nonexistent/resolv.conf")), ["127.0.0.1"])
