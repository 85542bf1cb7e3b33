"""ClientHellos made by hand: a real TLS library reads them, and what answers them is told apart."""

import contextlib
import socket
import ssl
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.helpers import hello
from pathspider.helpers.hello import MOST_OCTETS, Answer, client_hello, connect_hello, record, server_name
from pathspider.lab.certificate import make_certificate
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT

LOOPBACK = ("127.0.0.1", "::1")


def extensions(message):
    """The extensions of a ClientHello by type; KeyError and more where it is malformed."""
    assert (message[0], int.from_bytes(message[1:4])) == (1, len(message) - 4)
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + int.from_bytes(message[at:at + 2])
    at += 1 + message[at]
    assert int.from_bytes(message[at:at + 2]) == len(message) - at - 2
    at, found = at + 2, {}
    while at < len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        assert kind not in found
        found[kind] = message[at + 4:at + 4 + length]
        at += 4 + length
    assert at == len(message)
    return found


class TestClientHello(unittest.TestCase):
    def test_lengths(self):
        self.assertLess(len(client_hello("www.example.com")), 400)
        for name in (None, "a.example", "x" * 60 + ".example"):
            self.assertEqual(len(client_hello(name, octets=1800)), 1800)

    def test_only_what_is_asked_for(self):
        for _ in range(50):  # some of it is drawn
            plain, ech, large = (extensions(client_hello("www.example.com", **options))
                                 for options in ({}, {"ech": True}, {"octets": 1800}))
            meaningless = [kind for kind in plain if kind & 0x0F0F == 0x0A0A]
            self.assertEqual(len(meaningless), 2)
            self.assertEqual([kind for kind in ech if kind & 0x0F0F != 0x0A0A and kind not in plain], [0xFE0D])
            self.assertEqual([kind for kind in large if kind & 0x0F0F != 0x0A0A and kind not in plain], [21])
            self.assertIn(b"www.example.com", plain[0])
            outer = ech[0xFE0D]
            self.assertEqual(outer[:5], bytes((0, 0, 1, 0, 1)))
            self.assertEqual((outer[6:8], int.from_bytes(outer[40:42])), (b"\0\x20", len(outer) - 42))
            self.assertIn(int.from_bytes(outer[40:42]), hello.ECH_PAYLOADS)

    def test_a_name_need_not_be(self):
        self.assertNotIn(0, extensions(client_hello(None)))

    def test_the_post_quantum_key_is_one(self):
        shares = extensions(client_hello(None, octets=1800))[51]
        at = shares.index(bytes.fromhex("11ec")) + 4
        key = shares[at:at + 1184]
        self.assertEqual(int.from_bytes(shares[at - 2:at]), 1184 + 32)
        for place in range(0, 1152, 3):
            both = int.from_bytes(key[place:place + 3], "little")
            self.assertLess(max(both & 0xFFF, both >> 12), 3329)

    def test_names(self):
        for domain, name in (("www.Example.com.", "www.example.com"), ("straße.de", "xn--strae-oqa.de"), (None, None),
                             ("", None), ("192.0.2.1", None), ("2001:db8::1", None), (".", None)):
            self.assertEqual(server_name({"domain": domain}), name)
        with self.assertRaises(ValueError):
            server_name({"domain": "a..b"})


def alert(*octets, version=3):
    """A record of alerts: levels and numbers."""
    return bytes((21, version, 3, 0, len(octets), *octets))


def server_hello(octets=118, version=3):
    """A ServerHello of so many octets behind its header."""
    return bytes((2, *octets.to_bytes(3, "big"), version)) + bytes(octets - 1)


SERVER_HELLO = record(server_hello())
WARNED = alert(1, 112)


def answer_of(data, at_once=1 << 16):
    """What an answer is by now, and whether that is final, where it comes so many octets at once."""
    answer = Answer()
    for start in range(0, len(data), at_once):
        answer.take(data[start:start + at_once])
    return answer.word, answer.is_final


class TestAnswers(unittest.TestCase):
    def test_each_kind_is_told_by_its_last_octet_or_by_the_first_that_cannot_be(self):
        cut = [record(server_hello()[start:start + 50]) for start in range(0, 122, 50)]
        for data, answer, octets in (
            (SERVER_HELLO, "server_hello", 127), (record(server_hello() + b"\x0b" + bytes(999)), "server_hello", 127),
            (b"".join(cut), "server_hello", 137), (record(server_hello(38)), "server_hello", 47),
            (record(server_hello(37)), "other", 9), (record(server_hello(20000)[:99]), "other", 9),
            (record(server_hello(version=1)), "other", 10), (record(b"\x0b"), "other", 6),
            (alert(2, 40), "alert:40", 7), (alert(1, 0), "alert:0", 7), (alert(1, 112, 2, 40), "alert:40", 9),
            (WARNED + alert(2, 80), "alert:80", 14), (cut[0] + alert(2, 80), "alert:80", 62),
            (alert(*[7] * 26), "other", 31), (alert(2, 40, 9), "other", 8), (alert(2, 40, version=2), "other", 2),
            (WARNED + record(b"\x01"), "other", 13), (alert(), "other", 5), (b"\x16\3\3\x40\x01", "other", 5),
            (b"HTTP/1.1", "other", 1), (b"\x16HTTP", "other", 2), (b"\x17\3\3", "other", 1),
        ):
            with self.subTest(data[:20].hex()):
                for length in range(len(data) + 1):
                    self.assertEqual(answer_of(data[:length]) == (answer, True), length >= octets, length)
                self.assertEqual(answer_of(data, 1), (answer, True))

    def test_what_is_not_all(self):
        for data, answer in ((b"", "none"), (WARNED, "alert:112"), (WARNED + alert(1, 90, 1, 91), "alert:91"),
                             (WARNED + b"\x16", "incomplete"), (SERVER_HELLO[:-1], "incomplete"),
                             (WARNED[:-1], "incomplete"), (record(server_hello()[:50]), "incomplete")):
            self.assertEqual(answer_of(data), (answer, False))
            self.assertEqual(answer_of(data, 1), (answer, False))

    def test_there_is_an_end(self):
        """A server that warns for ever costs others nothing: of what was looked at, only what is not whole is kept."""
        answer, warned = Answer(), WARNED * 100
        for _ in range(MOST_OCTETS // len(warned)):
            answer.take(warned + WARNED[:1])
            self.assertLess(len(answer._rest), len(WARNED))
            answer.take(WARNED[1:])
            if answer.is_final:
                break
        self.assertEqual((answer.word, answer.is_final), ("other", True))
        self.assertLess(answer._octets, MOST_OCTETS + 2 * len(warned))


class TestConnections(unittest.TestCase):
    """Over the loopback interface; the server says what it is told to."""

    def serve(self, act, family=socket.AF_INET):
        listener = socket.create_server((LOOPBACK[family == socket.AF_INET6], 0), family=family)
        self.addCleanup(listener.close)

        def answer():
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(100)
                act(sock)

        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)
        return {"dip": listener.getsockname()[0], "dp": listener.getsockname()[1]}

    def test_a_real_server(self):
        with tempfile.TemporaryDirectory() as folder:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*make_certificate(Path(folder)))
        message, ech = client_hello("a.example", octets=1800), client_hello("a.example", ech=True)
        whole = record(message)

        def act(sock):
            with contextlib.suppress(OSError):  # the client leaves
                context.wrap_socket(sock, server_side=True)

        for parts in ([record(client_hello(None))], [record(ech)], [whole[:1300], whole[1300:]],
                      [record(message[:1295]), record(message[1295:])]):
            for family in (socket.AF_INET, socket.AF_INET6):
                done = connect_hello(LOOPBACK, self.serve(act, family), 30, parts)
                self.assertEqual((done["spdr_state"], done["tls_answer"]), (CONN_OK, "server_hello"))
                self.assertEqual(done["tls_segments"], ",".join(str(len(part)) for part in parts))
                self.assertNotIn("client", done)

    def test_other_ends(self):
        def reset(sock):
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def slowly(sock):
            sock.recv(4096)
            for octet in SERVER_HELLO:
                sock.send(bytes((octet,)))

        for act, state, answer in (
            (reset, CONN_FAILED, "reset"),
            (lambda sock: sock.recv(4096), CONN_FAILED, "closed"),
            (lambda sock: (sock.recv(4096), sock.send(b"\x16\x03")), CONN_FAILED, "incomplete"),
            (lambda sock: (sock.recv(4096), sock.send(bytes((21, 3, 3, 0, 2, 2, 80)))), CONN_FAILED, "alert:80"),
            (slowly, CONN_OK, "server_hello"),
            (lambda sock: (sock.recv(4096), sock.send(WARNED), sock.send(SERVER_HELLO)), CONN_OK, "server_hello"),
            (lambda sock: (sock.recv(4096), sock.send(WARNED + SERVER_HELLO)), CONN_OK, "server_hello"),
            (lambda sock: (sock.recv(4096), sock.send(WARNED)), CONN_FAILED, "alert:112"),
            (lambda sock: (sock.recv(4096), sock.send(WARNED + b"\x16")), CONN_FAILED, "incomplete"),
        ):
            done = connect_hello(LOOPBACK, self.serve(act), 30, [b"hello"])
            self.assertEqual((done["spdr_state"], done["tls_answer"]), (state, answer))

    def test_no_answer_or_half_of_one(self):
        for said, state, answer in ((b"", CONN_TIMEOUT, "none"), (SERVER_HELLO[:-1], CONN_TIMEOUT, "incomplete"),
                                    (WARNED, CONN_FAILED, "alert:112")):
            job = self.serve(lambda sock, said=said: (sock.recv(4096), sock.send(said), sock.recv(4096)))
            done = connect_hello(LOOPBACK, job, 0.5, [b"hello"])
            self.assertEqual((done["spdr_state"], done["tls_answer"]), (state, answer))

    def test_no_connection(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        done = connect_hello(LOOPBACK, {"dip": "127.0.0.1", "dp": port}, 30, [b"hello"])
        self.assertEqual((done["spdr_state"], done["tls_answer"]), (CONN_FAILED, "no_connection"))

    def test_our_own_fault(self):
        done = connect_hello((None, None), {"dip": "127.0.0.1", "dp": 1}, 30, [b"hello"])
        self.assertEqual((done["spdr_state"], done["local_error"]), (CONN_SKIPPED, "no_ipv4_source"))


if __name__ == "__main__":
    unittest.main()
