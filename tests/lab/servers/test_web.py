"""The lab's web servers: the answer, and then the end of the connection, in every way to ask."""

import subprocess
import sys
import unittest

from pathspider.lab import Lab
from tests import in_checkout

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
    sock = socket.create_connection(("10.64.0.1", port), timeout=100)
    if not alpn:
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(sock)

def http1(sock, method=b"GET", more=b""):
    sock.sendall(method + b" / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
    print(until_end(sock).partition(b"\r\n\r\n")[::2])

def raw(*parts):
    # the first line, whether Connection says close, whether there is a body, and how the connection ends
    sock = connect(80)
    data = b""
    try:
        for part in parts:
            sock.sendall(part)
        while part := sock.recv(65536):
            data += part
        end = "end"
    except ConnectionError as error:
        end = type(error).__name__
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    print((lines[0], b"connection: close" in lines, len(body) > 0, end))

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

    def test_the_client_may_still_be_sending(self):
        upload = "b'POST / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: 400000\\r\\n\\r\\n'"
        for _ in range(3):
            self.assertEqual(self.ask(f"raw({upload}, bytes(400000))"), (b"http/1.1 200 ok", True, True, "end"))

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

    def test_who_keeps_its_end_is_let_go_too(self):
        code = "s = connect(80); s.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n'); until_end(s); time.sleep(1)"
        self.ask(f"import time; {code}; s.close(); print(1)")


class TestAsNginx(unittest.TestCase):
    """Requests after which nginx closes: ours says and does the same."""

    REQUESTS = (
        [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: ", b"close\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"],
        [b"GET / HTTP/1.0\r\n\r\n"],
        [b"HEAD / HTTP/1.0\r\n\r\n"],
        [b"nonsense\r\n\r\n"],
    )

    def answers(self, servers):
        code = CLIENT + "".join(f"raw(*{request})\n" for request in self.REQUESTS)
        with Lab(servers) as lab:
            done = lab.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return [eval(line) for line in done.stdout.splitlines()]

    @in_checkout
    def test_answers(self):
        ours = self.answers("builtin")
        self.assertEqual(ours, self.answers("nginx"))
        self.assertEqual({(closes, end) for _, closes, _, end in ours}, {(True, "end")})


if __name__ == "__main__":
    unittest.main()
