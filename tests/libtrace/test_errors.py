"""What a user is told about a source that cannot be had."""

import unittest

from pathspider.libtrace import CaptureError


class TestCaptureError(unittest.TestCase):
    def test_what_where_and_what_to_do(self):
        error = CaptureError("the interface is down", "lab0", "ip link set lab0 up")
        self.assertEqual(str(error), "lab0: the interface is down; ip link set lab0 up")
        self.assertEqual((error.what, error.where, error.advice, error.offset),
                         ("the interface is down", "lab0", "ip link set lab0 up", None))

    def test_without_advice_and_with_a_place(self):
        error = CaptureError("truncated", "a.pcap", offset=24)
        self.assertEqual((str(error), error.offset), ("a.pcap: truncated", 24))


if __name__ == "__main__":
    unittest.main()
