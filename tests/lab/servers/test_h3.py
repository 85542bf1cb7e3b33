"""The lab's HTTP/3 server: what it says of ECN and versions, and that it forgets. Its clients are in tests/helpers."""

import unittest

from pathspider.lab.scenario import SERVERS
from pathspider.lab.servers.h3 import DRAFT_29, KINDS, congested, half, swapped
from tests.helpers.h3 import with_aioquic


class TestKinds(unittest.TestCase):
    def test_each_has_words(self):
        self.assertEqual({*KINDS} - {""}, {name for name in SERVERS if name.startswith("h3-")})

    def test_counts(self):
        self.assertEqual([tell((9, 2, 1)) for tell in (KINDS[""].told, half, swapped, congested)],
                         [(9, 2, 1), (4, 1, 0), (2, 9, 1), (0, 0, 12)])


@with_aioquic
class TestVersions(unittest.TestCase):
    def test_a_version_that_it_does_not_speak_is_answered_by_those_that_it_does(self):
        from aioquic.quic.configuration import QuicConfiguration  # noqa: PLC0415 - optional

        from pathspider.lab.servers.h3 import begin  # noqa: PLC0415
        from pathspider.lab.servers.sockets import Datagram  # noqa: PLC0415

        initial = bytes.fromhex("c0 00000001 08 0102030405060708 08 1112131415161718 00 449e") + bytes(1200)
        configuration = QuicConfiguration(is_client=False)
        (answer,) = begin(Datagram(initial, ("192.0.2.1", 9), b"", 443, {}, print), KINDS["h3-draft"], configuration)
        self.assertEqual(answer[1:5] + answer[-4:], bytes(4) + DRAFT_29.to_bytes(4, "big"))
        self.assertEqual(answer[5:23], bytes.fromhex("08 1112131415161718 08 0102030405060708"))

    def test_what_is_no_quic(self):
        from aioquic.quic.configuration import QuicConfiguration  # noqa: PLC0415

        from pathspider.lab.servers.h3 import begin  # noqa: PLC0415
        from pathspider.lab.servers.sockets import Datagram  # noqa: PLC0415

        for data in (b"", b"\x40", b"GET / HTTP/1.1\r\n\r\n", bytes(1200)):
            self.assertEqual(begin(Datagram(data, ("192.0.2.1", 9), b"", 443, {}, print), KINDS[""],
                                   QuicConfiguration(is_client=False)), [])


if __name__ == "__main__":
    unittest.main()
