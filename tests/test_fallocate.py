"""Room for what a file will hold."""

import os
import tempfile
import unittest

from pathspider.fallocate import reserve


class TestReserve(unittest.TestCase):
    def test_room_is_there_and_the_size_as_it_was(self):
        with tempfile.TemporaryFile(dir="/var/tmp") as file:
            file.write(b"x")
            file.flush()
            try:
                reserve(file.fileno(), 1, 1 << 20)
            except OSError as error:
                self.skipTest(f"this file system does not reserve: {error}")
            found = os.fstat(file.fileno())
            self.assertEqual(found.st_size, 1)
            self.assertGreaterEqual(found.st_blocks * 512, 1 << 20)

    def test_what_cannot_be(self):
        with tempfile.TemporaryFile(dir="/var/tmp") as file, self.assertRaises(OSError):
            reserve(file.fileno(), 0, 1 << 60)
        with self.assertRaisesRegex(OSError, "Bad file descriptor"):
            reserve(-1, 0, 1)


if __name__ == "__main__":
    unittest.main()
