"""nginx as the lab's web server: it is nginx that answers, in both rooms, in every mode, and DNS is there too."""

import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import no_ecn_addresses
from tests import in_checkout

CLIENT = """
import socket, ssl, sys

for address in sys.argv[1:]:
    with socket.create_connection((address, 80), timeout=100) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
        data = b""
        while part := sock.recv(65536):
            data += part
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    server = [line for line in head.decode().splitlines() if line.startswith("Server: ")]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection((address, 443), timeout=100)) as sock:
        alpn = sock.selected_alpn_protocol()
    with socket.create_connection((address, 53), timeout=100):
        pass
    print(head.split()[1].decode(), server[0].partition("/")[0], body, alpn)
"""


@in_checkout
class TestNginx(unittest.TestCase):
    def test_it_answers_in_both_rooms(self):
        addresses = ["10.64.0.1", "fd00:21::1", *no_ecn_addresses()[:1]]
        with Lab("nginx") as lab:
            done = lab.run([sys.executable, "-c", CLIENT, *addresses], stdout=subprocess.PIPE, timeout=60)
        expected = "200 Server: nginx b'This is the PATHspider lab.\\n' h2"
        self.assertEqual(done.stdout.decode().splitlines(), [expected] * len(addresses))


if __name__ == "__main__":
    unittest.main()
