"""Messages between a lab and its init: whole, with their descriptors, and the end."""

import os
import socket
import unittest

from pathspider.lab import messages
from pathspider.lab.errors import LabError


class TestWire(unittest.TestCase):
    def setUp(self):
        self.here, self.there = messages.pair()
        self.here.settimeout(100)
        self.there.settimeout(100)
        self.addCleanup(self.here.close)
        self.addCleanup(self.there.close)

    def test_messages_keep_their_limits_and_their_order_both_ways(self):
        for number in range(3):
            messages.send(self.here, {"id": number})
        messages.send(self.there, {"ready": True})
        self.assertEqual([messages.receive(self.there) for _ in range(3)],
                         [({"id": number}, []) for number in range(3)])
        self.assertEqual(messages.receive(self.here), ({"ready": True}, []))

    def test_descriptors_go_with_their_own_message(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        messages.send(self.here, {"id": 1})
        messages.send(self.here, {"id": 2}, (writer, reader, writer))
        os.close(writer)
        self.assertEqual(messages.receive(self.there), ({"id": 1}, []))
        message, passed = messages.receive(self.there)
        self.assertEqual((message, len(passed)), ({"id": 2}, 3))
        os.write(passed[2], b"through")
        self.assertEqual(os.read(reader, 9), b"through")
        for descriptor in passed:
            os.close(descriptor)

    def test_names_that_are_no_text(self):
        name = os.fsdecode(b"caf\xe9 \xff")
        messages.send(self.here, {"argv": [name]})
        message, _ = messages.receive(self.there)
        self.assertEqual(os.fsencode(message["argv"][0]), b"caf\xe9 \xff")

    def test_a_whole_environment_fits(self):
        text = "x" * (messages.LARGEST - 20)
        messages.send(self.here, {"env": text})
        self.assertEqual(messages.receive(self.there), ({"env": text}, []))

    def test_what_is_too_long_is_refused_and_the_rest_goes_on(self):
        with self.assertRaisesRegex(LabError, "too many"):
            messages.send(self.here, {"env": "x" * messages.LARGEST})
        messages.send(self.here, {"id": 1})
        self.assertEqual(messages.receive(self.there), ({"id": 1}, []))

    def test_what_was_sent_before_the_end_is_received_then_none_again_and_again(self):
        messages.send(self.here, {"id": 1})
        self.here.close()
        self.assertEqual(messages.receive(self.there), ({"id": 1}, []))
        self.assertEqual([messages.receive(self.there) for _ in range(2)], [None, None])

    def test_a_side_that_ends_with_messages_unread(self):
        messages.send(self.there, {"id": 1})
        self.here.close()  # the kernel says ECONNRESET then
        self.assertIsNone(messages.receive(self.there))
        with self.assertRaises(OSError):
            messages.send(self.there, {"id": 2})

    def test_a_message_is_a_packet(self):
        self.assertEqual(self.here.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE), socket.SOCK_SEQPACKET)


if __name__ == "__main__":
    unittest.main()
