"""Messages between a lab and its init: whole, with their descriptors, and the end."""

import os
import socket
import unittest

from pathspider.lab import wire
from pathspider.lab.errors import LabError


class TestWire(unittest.TestCase):
    def setUp(self):
        self.here, self.there = wire.pair()
        self.here.settimeout(10)
        self.there.settimeout(10)
        self.addCleanup(self.here.close)
        self.addCleanup(self.there.close)

    def test_messages_keep_their_limits_and_their_order_both_ways(self):
        for number in range(3):
            wire.send(self.here, {"id": number})
        wire.send(self.there, {"ready": True})
        self.assertEqual([wire.receive(self.there) for _ in range(3)], [({"id": number}, []) for number in range(3)])
        self.assertEqual(wire.receive(self.here), ({"ready": True}, []))

    def test_descriptors_go_with_their_own_message(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        wire.send(self.here, {"id": 1})
        wire.send(self.here, {"id": 2}, (writer, reader, writer))
        os.close(writer)
        self.assertEqual(wire.receive(self.there), ({"id": 1}, []))
        message, passed = wire.receive(self.there)
        self.assertEqual((message, len(passed)), ({"id": 2}, 3))
        os.write(passed[2], b"through")
        self.assertEqual(os.read(reader, 9), b"through")
        for descriptor in passed:
            os.close(descriptor)

    def test_names_that_are_no_text(self):
        name = os.fsdecode(b"caf\xe9 \xff")
        wire.send(self.here, {"argv": [name]})
        message, _ = wire.receive(self.there)
        self.assertEqual(os.fsencode(message["argv"][0]), b"caf\xe9 \xff")

    def test_a_whole_environment_fits(self):
        text = "x" * (wire.LARGEST - 20)
        wire.send(self.here, {"env": text})
        self.assertEqual(wire.receive(self.there), ({"env": text}, []))

    def test_what_is_too_long_is_refused_and_the_rest_goes_on(self):
        with self.assertRaisesRegex(LabError, "too many"):
            wire.send(self.here, {"env": "x" * wire.LARGEST})
        wire.send(self.here, {"id": 1})
        self.assertEqual(wire.receive(self.there), ({"id": 1}, []))

    def test_what_was_sent_before_the_end_is_received_then_none_again_and_again(self):
        wire.send(self.here, {"id": 1})
        self.here.close()
        self.assertEqual(wire.receive(self.there), ({"id": 1}, []))
        self.assertEqual([wire.receive(self.there) for _ in range(2)], [None, None])

    def test_a_side_that_ends_with_messages_unread(self):
        wire.send(self.there, {"id": 1})
        self.here.close()  # the kernel says ECONNRESET then
        self.assertIsNone(wire.receive(self.there))
        with self.assertRaises(OSError):
            wire.send(self.there, {"id": 2})

    def test_a_message_is_a_packet(self):
        self.assertEqual(self.here.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE), socket.SOCK_SEQPACKET)


if __name__ == "__main__":
    unittest.main()
