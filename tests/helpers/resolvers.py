"""Resolvers on loopback, for tests: a few lines that behave as they are told, and Knot."""

import contextlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import dnslib

from pathspider.lab.external import environment, find_program
from pathspider.targets import resolve
from tests import in_checkout


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


class PortCase(unittest.TestCase):
    """All resolvers are asked at a port that is free."""

    def setUp(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        patch = mock.patch.object(resolve, "DNS_PORT", self.port)
        patch.start()
        self.addCleanup(patch.stop)


class ResolverCase(PortCase):
    def serve(self, udp=None, tcp=NOTHING, address="127.0.0.1", watch=None):
        """A resolver; ``None`` is silent. Several addresses share one port."""
        for kind, answer in ((socket.SOCK_DGRAM, udp), (socket.SOCK_STREAM, tcp)):
            if answer is NOTHING:
                continue
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            sock.bind((address, self.port))
            if kind == socket.SOCK_STREAM:
                sock.listen()
            thread = threading.Thread(target=self.run_server, args=(sock, kind, answer, watch), daemon=True)
            thread.start()
            self.addCleanup(self.stop, sock)

    @staticmethod
    def stop(sock):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    @staticmethod
    def run_server(sock, kind, answer, watch):
        try:
            while True:
                if kind == socket.SOCK_DGRAM:
                    query, client = sock.recvfrom(2000)
                    if not client:
                        return
                    if watch is not None:
                        watch(query, client)
                    message = None if answer is None else answer(query)
                    if message is not None:
                        sock.sendto(message, client)
                else:
                    connection, _ = sock.accept()
                    with connection:
                        query = connection.recv(2000)[2:]
                        message = answer(query)
                        connection.sendall(len(message).to_bytes(2, "big") + message)
        except OSError:
            pass


CONFIGURATION = """
server:
    rundir: "{folder}"
    listen: [ "127.0.0.1@{port}" ]
    user: root:root
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
zone:
  - domain: example
    file: "{folder}/zone"
    zonefile-sync: -1
    journal-content: none
"""

ZONE = """
$ORIGIN example.
$TTL 60
@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60
@ NS ns.example.
ns A 192.0.2.53
web A 192.0.2.1
web A 192.0.2.2
web AAAA 2001:db8::1
four A 192.0.2.4
first CNAME second
second CNAME third
third CNAME web
away CNAME www.example.org.
xn--strae-oqa CNAME web
-lead._under A 192.0.2.9
""" + "".join(f"many A 198.51.100.{number}\n" for number in range(100))


@in_checkout
class KnotCase(PortCase):
    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        Path(folder, "zone").write_text(ZONE, encoding="ascii")
        Path(folder, "conf").write_text(CONFIGURATION.format(folder=folder, port=self.port), encoding="ascii")
        binary = find_program("knotd", "knot")
        server = subprocess.Popen([binary, "-c", f"{folder}/conf"], env=environment(binary))
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            self.assertIsNone(server.poll())
            time.sleep(0.02)
        self.fail("knotd does not listen")
