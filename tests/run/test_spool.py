"""A queue whose tail is in a file: the order stays, whatever is put in and whenever it is taken."""

import threading
import tracemalloc
import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pathspider.run import spool
from pathspider.run.spool import Spool


class TestSpool(unittest.TestCase):
    @given(st.lists(st.one_of(st.integers(), st.none()), max_size=60))
    def test_first_in_first_out(self, steps):
        queue, expected = Spool(in_memory=3), []
        for step in steps:
            if step is not None:
                queue.put({"number": step})
                expected.append({"number": step})
            elif expected:
                self.assertEqual(queue.peek(), expected[0])
                self.assertEqual(queue.get(), expected.pop(0))
            self.assertEqual(len(queue), len(expected))
        self.assertEqual([queue.get() for _ in range(len(queue))], expected)

    def test_an_empty_one(self):
        with self.assertRaises(IndexError):
            Spool().get()

    def test_what_no_file_can_hold_keeps_its_place(self):
        queue, lock = Spool(in_memory=2), threading.Lock()
        items = [1, 2, 3, lock, 5, 6]
        for item in items:
            queue.put(item)
        self.assertEqual([queue.get() for _ in items], items)

    def test_a_full_disk(self):
        class Full:
            def __init__(self, file):
                self.file, self.room = file, 40

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, octets):
                written = self.file.write(octets[:self.room])
                self.room -= written
                if not written:
                    raise OSError(28, "No space left on device")
                return written

        make = spool.tempfile.TemporaryFile
        with mock.patch.object(spool.tempfile, "TemporaryFile", lambda **options: Full(make(**options))):
            queue = Spool(in_memory=2)
            for number in range(50):
                queue.put({"number": number})
            self.assertEqual([queue.get()["number"] for _ in range(50)], [*range(50)])

    def test_many_cost_little_memory(self):
        def fill(count):
            tracemalloc.start()
            queue = Spool()
            for number in range(count):
                queue.put({"dip": f"192.0.2.{number}", "text": "x" * 500 + str(number)})
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.assertEqual(len(queue), count)
            return used

        self.assertLess(fill(20_000), 1.2 * fill(spool.IN_MEMORY + 1))
