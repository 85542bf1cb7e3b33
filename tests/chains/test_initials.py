"""What Initial packets say: keys, frames, ClientHellos in pieces, and hostile ones."""

import unittest
from sys import modules
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from pathspider.chains import initials
from pathspider.chains.initials import (
    ATTEMPTS,
    LONGEST_HELLO,
    PARTS,
    Hello,
    Initials,
    MalformedError,
    Packet,
    client_hello,
    expand_label,
    frames,
    varint,
)
from tests.helpers import quic
from tests.helpers.quic import V1, V2, with_cryptography

HELLO = quic.client_hello(b"www.example.org", [b"h3", b"h3-29"])


def packet(data, version=V1, dcid=quic.DCID):
    """An Initial packet without token, whose length has two octets."""
    return Packet(data, 7 + len(dcid) + data[6 + len(dcid)] + 3, version, dcid)


class TestKeys(unittest.TestCase):
    def test_expand_label(self):  # RFC 9001, appendix A.1
        secret = bytes.fromhex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea")
        for label, expected in (("quic key", "1f369613dd76d5467730efcbe3b1a22d"),
                                ("quic iv", "fa044b2f42a3fd3b46fb255c"),
                                ("quic hp", "9f50449e04a0e810283a1e9933adedd2")):
            self.assertEqual(expand_label(secret, label, len(expected) // 2).hex(), expected)

    @with_cryptography
    def test_each_version_has_its_keys(self):
        for version in quic.SALTS:
            found = Initials()
            found.add(packet(quic.initial(quic.crypto(HELLO), version), version), False)
            self.assertEqual(found.sni, "www.example.org", version)
        found = Initials()
        found.add(packet(quic.initial(quic.crypto(HELLO), V1), V2), False)
        self.assertIsNone(found.sni)

    @with_cryptography
    def test_not_everything_is_deciphered(self):
        found = Initials()
        changed = bytes(quic.CLIENT_INITIAL[:-1]) + b"\0"
        for _ in range(ATTEMPTS):
            found.add(packet(changed), False)
        found.add(packet(quic.CLIENT_INITIAL), False)
        self.assertEqual((found.attempts, found.sni), (0, None))

    @with_cryptography
    def test_a_hello_that_was_read_is_not_read_again(self):
        found = Initials()
        for _ in range(10):
            found.add(packet(quic.CLIENT_INITIAL), False)
        self.assertEqual(found.attempts, ATTEMPTS - 1)
        found.add(packet(quic.SERVER_INITIAL, dcid=b""), True)
        self.assertIs(found.ack_ecn, False)

    def test_too_short_for_a_sample(self):
        for size in range(15, 40):
            Initials().add(packet(quic.CLIENT_INITIAL[:size]), False)


class TestFrames(unittest.TestCase):
    def test_varint(self):  # RFC 9000, appendix A.1
        for data, expected in (("c2197c5eff14e88c", 151288809941952652), ("9d7f3e7d", 494878333), ("7bbd", 15293),
                               ("25", 37), ("4025", 37)):
            self.assertEqual(varint(b"?" + bytes.fromhex(data), 1), (expected, 1 + len(data) // 2))
            self.assertRaises(MalformedError, varint, bytes.fromhex(data)[:-1], 0)

    def test_all_that_an_initial_may_have(self):
        data = b"\0\0\1" + quic.ack() + quic.ack(1, 2, 3) + quic.crypto(b"abc", 70) + b"\x1c\1\0\2no" + b"\0\1"
        self.assertEqual(list(frames(data)), [(2, 0, b""), (3, 0, b""), (6, 70, b"abc"), (0x1C, 0, b"")])

    def test_what_it_may_not_have(self):
        for data in (b"\x08\0\0", b"\6\0\5abc", b"\2\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0", b"\3\0\0\0\0", b"\2"):
            self.assertRaises(MalformedError, list, frames(data))

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_any_octets(self, before, after):
        found = Initials()
        found.read_client(before + quic.crypto(HELLO[: len(after)]) + after)
        found.read_server(before + after)
        found.read_server(after)


class TestHello(unittest.TestCase):
    def test_what_it_asks_for(self):
        self.assertEqual(client_hello(HELLO[4:]), ("www.example.org", ["h3", "h3-29"]))
        self.assertEqual(client_hello(quic.client_hello()[4:]), (None, None))
        self.assertEqual(client_hello(quic.client_hello(b"\xff\n", [b"\x0a\x0a", b""])[4:]), ("\\xff\n", ["\n\n", ""]))

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(HELLO) - 5), st.integers(0, 255)), max_size=4),
           st.integers(0, len(HELLO) - 4))
    def test_mangled(self, changes, cut):
        data = bytearray(HELLO[4:])
        for at, value in changes:
            data[at] = value
        try:
            sni, _ = client_hello(bytes(data[:cut]))
        except MalformedError:
            return
        self.assertIsInstance(sni, (str, type(None)))

    def test_every_cut(self):
        for cut in range(len(HELLO) - 4):
            self.assertRaises(MalformedError, client_hello, HELLO[4 : 4 + cut])

    def test_in_every_order(self):
        for cut in range(1, len(HELLO)):
            hello = Hello()
            self.assertIsNone(hello.add(cut, HELLO[cut:]))
            self.assertEqual(hello.add(0, HELLO[:cut]), HELLO[4:])
            self.assertEqual((hello.over, hello.data, hello.parts), (True, b"", {}))
            self.assertIsNone(hello.add(0, HELLO))

    def test_what_cannot_be_one_is_given_up(self):
        for data in (b"\2", b"\1" + LONGEST_HELLO.to_bytes(3, "big"), b"\1\xff\xff\xff"):
            hello = Hello()
            hello.add(0, data)
            self.assertTrue(hello.over)

    def test_a_hostile_one_does_not_grow(self):
        hello = Hello()
        for at in range(5, 2 * LONGEST_HELLO, 2):
            hello.add(at, bytes(1000))
        hello.add(1 << 61, bytes(1000))
        self.assertLessEqual(len(hello.parts), PARTS)
        self.assertEqual(sum(map(len, hello.parts.values())), hello.held)
        self.assertLessEqual(hello.held, LONGEST_HELLO)
        for at in range(5):
            hello.add(at, b"\1\0\x1f\xfc"[at : at + 1] or bytes(1000))
        self.assertEqual(sum(map(len, hello.parts.values())), hello.held)
        self.assertLess(len(hello.data), 2 * LONGEST_HELLO)


class TestWarning(unittest.TestCase):
    def test_it_is_said_once_and_names_the_package(self):
        with patch.dict(modules, {"cryptography": None, "cryptography.exceptions": None}):
            initials.aes.cache_clear()
            self.addCleanup(initials.aes.cache_clear)
            with self.assertLogs("pathspider", "WARNING") as logged:
                for _ in range(3):
                    self.assertIsNone(initials.aes())
                    Initials().add(packet(quic.CLIENT_INITIAL), False)
        self.assertEqual(len(logged.output), 1)
        self.assertIn("cryptography", logged.output[0])


if __name__ == "__main__":
    unittest.main()
