"""apache2 and knot in the lab: HTTP/2 both ways, an address that knows HTTP/1.1 alone, DNS over both transports."""

import socket
import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.apache import answers
from pathspider.lab.scenarios import served_by
from tests import in_checkout
from tests.libtrace.frames import in_namespace, ip

CLIENT = """
import socket, ssl, sys

def first_line(sock):
    data = b""
    while b"\\r\\n" not in data:
        data += sock.recv(65536)
    return data.split(b"\\r\\n")[0].decode()

address, what = sys.argv[1:]
sock = socket.create_connection((address, 80 if what == "upgrade" else 443), timeout=100)
if what == "upgrade":
    sock.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade, HTTP2-Settings\\r\\nUpgrade: h2c\\r\\n"
                 b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\\r\\n\\r\\n")
    print(first_line(sock))
else:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    print(context.wrap_socket(sock).selected_alpn_protocol())
"""

DNS = """
import socket, sys
from dnslib import DNSRecord

query = DNSRecord.question(sys.argv[2])
for tcp in (False, True):
    answer = DNSRecord.parse(query.send(sys.argv[1], 53, tcp=tcp, timeout=100))
    print(answer.header.rcode, [str(one.rdata) for one in answer.rr])
"""


class TestAnswers(unittest.TestCase):
    def test_a_port_answers_when_both_versions_do(self):
        def scenario():
            ip("link set lo up")
            found = [answers(80)]
            with socket.create_server(("", 80)):
                found.append(answers(80))
                with socket.create_server(("::", 80), family=socket.AF_INET6):
                    found.append(answers(80))
            return found

        self.assertEqual(in_namespace(scenario), [False, False, True])


@in_checkout
class TestApacheKnot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab("apache")
        cls.lab.start()
        cls.addClassCleanup(cls.lab.close)

    def said(self, code, *words):
        return self.lab.run([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, timeout=60).stdout.decode()

    def test_http2_where_it_is_to_be_known(self):
        old = next(address for address, kind in served_by("http1").items() if kind == "http1" and ":" not in address)
        for address, upgrade, alpn in (("10.64.0.1", "101 Switching Protocols", "h2"), (old, "200 OK", "http/1.1")):
            self.assertEqual(self.said(CLIENT, address, "upgrade"), f"HTTP/1.1 {upgrade}\n")
            self.assertEqual(self.said(CLIENT, address, "alpn"), f"{alpn}\n")

    def test_knot_knows_names_of_the_lab(self):
        for name, found in (("clean-1.lab.test", "0 ['10.64.0.1']\n"), ("no-such.lab.test", "3 []\n")):
            with self.subTest(name=name):
                self.assertEqual(self.said(DNS, "10.64.0.1", name), 2 * found)


if __name__ == "__main__":
    unittest.main()
