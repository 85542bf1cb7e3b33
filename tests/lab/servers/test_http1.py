"""HTTP/1.1 alone: its answers, and how its connections end, in a lab."""

import json
import subprocess
import sys
import unittest

from pathspider.lab import Lab
from pathspider.lab.scenarios import served_by
from pathspider.lab.servers.http1 import BODY, response, with_header

CLIENT = r"""
import json, socket, ssl, sys

def ask(address, port, request, body):
    sock = socket.create_connection((address, port), timeout=100)
    alpn = None
    if port == 443:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        sock = context.wrap_socket(sock)
        alpn = sock.selected_alpn_protocol()
    data = b""
    try:
        sock.sendall(request.encode())
        sock.sendall(bytes(body))
        while part := sock.recv(65536):
            data += part
    except OSError as error:
        return [data.decode(), alpn, type(error).__name__]
    return [data.decode(), alpn, "end"]

print(json.dumps([ask(*question) for question in json.load(sys.stdin)]))
"""
UPGRADE = ("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
UPLOAD = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"


class TestResponse(unittest.TestCase):
    def test_by_request(self):
        whole = with_header(BODY)
        for request, answer in ((b"GET / HTTP/1.1\r\n\r\n", whole), (b"OPTIONS * HTTP/1.0\r\n\r\n", whole),
                                (b"HEAD / HTTP/1.1\r\n\r\n", whole[:-len(BODY)])):
            self.assertEqual(response(request), answer, request)
        for request in (b"nonsense\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"\r\n\r\n"):
            self.assertTrue(response(request).startswith(b"HTTP/1.1 400 Bad Request\r\n"), request)


class TestServer(unittest.TestCase):
    def test_answers_and_ends(self):
        addresses = [*served_by("http1")]
        self.assertEqual({":" in address for address in addresses}, {True, False})
        questions = [(address, 80, *rest) for address in addresses for rest in ((UPGRADE, 0), (UPLOAD, 400_000))]
        questions += [(address, 443, UPGRADE, 0) for address in addresses]
        with Lab() as lab:
            done = lab.run([sys.executable, "-c", CLIENT], data=json.dumps(questions).encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        for question, answer in zip(questions, json.loads(done.stdout), strict=True):
            alpn = "http/1.1" if question[1] == 443 else None
            self.assertEqual(answer, [with_header(BODY).decode(), alpn, "end"], question)


if __name__ == "__main__":
    unittest.main()
