"""The server that knows HTTP/1.1 and nothing later."""

import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import served_by
from pathspider.lab.servers.http1 import BODY, response

CLIENT = """
import socket, ssl, sys

def first_line(sock):
    data = b""
    while b"\\r\\n" not in data:
        data += sock.recv(65536)
    return data.split(b"\\r\\n")[0].decode()

address, what = sys.argv[1:]
sock = socket.create_connection((address, 80 if what == "upgrade" else 443), timeout=10)
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


class TestResponse(unittest.TestCase):
    def test_a_head_request_gets_no_body(self):
        whole, head = response(b"GET / HTTP/1.1\r\n\r\n"), response(b"HEAD / HTTP/1.1\r\n\r\n")
        self.assertEqual(whole, head + BODY)
        self.assertTrue(head.endswith(b"\r\n\r\n"))
        self.assertIn(b"Content-Length: %d\r\n" % len(BODY), head)


class TestServer(unittest.TestCase):
    def test_it_passes_over_the_upgrade_and_speaks_no_h2(self):
        old = next(address for address, kind in served_by("http1").items() if kind == "http1" and ":" not in address)
        with Lab() as lab:
            said = {(address, what): lab.run([sys.executable, "-c", CLIENT, address, what], stdout=subprocess.PIPE,
                                             timeout=30).stdout.decode().strip()
                    for address in (old, "10.64.0.1") for what in ("upgrade", "alpn")}
        self.assertEqual(said, {(old, "upgrade"): "HTTP/1.1 200 OK", (old, "alpn"): "http/1.1",
                                ("10.64.0.1", "upgrade"): "HTTP/1.1 101 Switching Protocols",
                                ("10.64.0.1", "alpn"): "h2"})


if __name__ == "__main__":
    unittest.main()
