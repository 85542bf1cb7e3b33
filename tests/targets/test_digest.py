"""Which list of targets it was."""

import hashlib
import os
import tempfile
import unittest

from pathspider.targets.digest import Digest, open_hashing

TEXT = b'{"dip": "192.0.2.1"}\n' * 20_000


class TestDigest(unittest.TestCase):
    def test_of_a_file_before_it_is_read(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(TEXT)
            file.flush()
            with open_hashing(file.name) as lines:
                self.assertEqual(Digest(lines).found(complete=False), (hashlib.sha256(TEXT).hexdigest(), len(TEXT)))
                self.assertEqual(lines.read(), TEXT)

    def test_of_the_rest_of_a_file(self):
        with tempfile.TemporaryFile() as file:
            file.write(TEXT)
            file.flush()
            os.lseek(file.fileno(), 21, os.SEEK_SET)
            with open_hashing(file.fileno(), closefd=False) as lines:
                rest = TEXT[21:]
                self.assertEqual(Digest(lines).found(complete=False), (hashlib.sha256(rest).hexdigest(), len(rest)))
                self.assertEqual(lines.readline(), TEXT[:21])
                self.assertEqual(lines.tell(), 42)

    def test_of_a_pipe_when_it_was_read(self):
        reader, writer = os.pipe()
        with open_hashing(reader) as lines:
            os.write(writer, TEXT[:2100])
            os.close(writer)
            digest = Digest(lines)
            self.assertEqual(len([*lines]), 100)
            self.assertEqual(digest.found(complete=False), (None, None))
            self.assertEqual(digest.found(complete=True), (hashlib.sha256(TEXT[:2100]).hexdigest(), 2100))

    def test_of_something_else_nothing_is_known(self):
        with tempfile.TemporaryFile() as file:
            self.assertEqual(Digest(file).found(complete=True), (None, None))


if __name__ == "__main__":
    unittest.main()
