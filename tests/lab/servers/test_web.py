"""The lab's web servers: the answer, and then the end of the connection, in every way to ask."""

import subprocess
import sys
import unittest

from pathspider.lab import Lab

CLIENT = r"""
import socket, ssl, sys
from h2.config import H2Configuration
from h2.connection import H2Connection

def until_end(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data

def connect(port, *alpn):
    sock = socket.create_connection(("10.64.0.1", port), timeout=10)
    if not alpn:
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(sock)

def http1(sock, method=b"GET", more=b""):
    sock.sendall(method + b" / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
    print(until_end(sock).partition(b"\r\n\r\n")[::2])

def http2(sock, connection):
    # Nothing is acknowledged, and our end stays open: the server's closing depends on nobody.
    data = until_end(sock)
    if data.startswith(b"HTTP/1.1 101 "):
        data = data.partition(b"\r\n\r\n")[2]
    print([type(event).__name__ for event in connection.receive_data(data)])

def ask(sock):
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "x")],
                            end_stream=True)
    sock.sendall(connection.data_to_send())
    http2(sock, connection)

def upgrade(sock):
    connection = H2Connection(H2Configuration(client_side=True))
    settings = connection.initiate_upgrade_connection()
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                 b"HTTP2-Settings: " + settings + b"\r\n\r\n")
    http2(sock, connection)

def leave(sock):
    sock.shutdown(socket.SHUT_WR)
    print(until_end(sock))

"""
GOODBYE = ["ResponseReceived", "DataReceived", "StreamEnded", "ConnectionTerminated"]


class TestWeb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.start()
        cls.addClassCleanup(cls.lab.close)

    def ask(self, statement):
        done = self.lab.run([sys.executable, "-c", CLIENT + statement], capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return eval(done.stdout)

    def test_http_1(self):
        for where in ("connect(80)", "connect(443, 'http/1.1')"):
            head, body = self.ask(f"http1({where})")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
            self.assertIn(b"\r\nConnection: close", head)
            self.assertEqual(body, b"This is the PATHspider lab.\n")
            self.assertEqual(self.ask(f"http1({where}, b'HEAD')")[1], b"")

    def test_other_upgrades_are_passed_over(self):
        head, _ = self.ask("http1(connect(80), more=b'Connection: Upgrade\\r\\nUpgrade: websocket\\r\\n')")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "))

    def test_http_2(self):
        for statement in ("ask(connect(80))", "ask(connect(443, 'h2', 'http/1.1'))", "upgrade(connect(80))"):
            events = self.ask(statement)
            self.assertEqual([event for event in events if event in GOODBYE], GOODBYE, statement)

    def test_who_says_nothing_is_let_go(self):
        self.assertEqual(self.ask("leave(connect(80))"), b"")

    def test_nonsense_ends(self):
        nonsense = "s = connect(80); s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nnonsense' * 9); until_end(s); print(1)"
        self.assertEqual(self.ask(nonsense), 1)

    def test_nothing_stays_open_at_the_server(self):
        self.ask("http1(connect(80))")
        self.ask("ask(connect(80))")
        command = ["ss", "-Htn", "state", "established", "state", "close-wait", "sport", "=", ":80"]
        for _ in range(100):
            found = self.lab.run(command, room="server", stdout=subprocess.PIPE, capture_output=True).stdout
            if not found:
                break
        self.assertEqual(found, b"")


if __name__ == "__main__":
    unittest.main()
