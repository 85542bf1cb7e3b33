"""Orders that are drawn, and lines that are read by number."""

import gzip
import io
import tempfile
import unittest
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pathspider.targets.lists import TargetReader
from pathspider.targets.shuffling import BATCH, LineIndex, Permutation


class TestPermutation(unittest.TestCase):
    @given(st.integers(0, 700), st.integers())
    def test_each_number_once(self, size, seed):
        found = list(Permutation(size, seed))
        self.assertEqual(sorted(found), list(range(size)))

    def test_the_same_seed_gives_the_same_order_always(self):
        self.assertEqual(list(Permutation(10, 7)), [6, 2, 3, 9, 1, 0, 4, 7, 5, 8])
        self.assertNotEqual(list(Permutation(50, 7)), list(Permutation(50, 8)))

    def test_places_do_not_keep_near(self):
        found = list(Permutation(1000, 1))
        self.assertLess(sum(abs(one - other) < 10 for one, other in pairwise(found)), 60)

    def test_what_is_beyond(self):
        for place in (-1, 3):
            with self.assertRaises(IndexError):
                Permutation(3, 1)[place]


class TestLineIndex(unittest.TestCase):
    def test_lines_by_number(self):
        lines = [b"%d\n" % (number ** 3) for number in range(2 * BATCH + 5)]
        with tempfile.TemporaryFile() as file:
            file.write(b"what was read before" + b"".join(lines))
            file.flush()
            for index in (LineIndex(), LineIndex(file.fileno(), 20)):
                with index:
                    for line in lines:
                        index.add(line, len(line))
                    index.whole()
                    self.assertEqual(len(index), len(lines))
                    for number in (0, 1, BATCH - 1, BATCH, BATCH + 1, len(lines) - 1):
                        self.assertEqual(index.read(number, 99), (lines[number], len(lines[number])))
                    self.assertEqual(index.read(9999, 3), (lines[9999][:3], len(lines[9999])))


class TestReader(unittest.TestCase):
    def test_files_and_what_has_to_be_kept(self):
        text = b"# a list\n\n" + b"".join(b"198.51.100.%d\n" % number for number in range(250)) + b"oops\n192.0.2.7"
        orders = []
        for data in (text, gzip.compress(text)):
            with tempfile.TemporaryFile() as file:
                file.write(b"x\n" + data)
                file.seek(2)
                for source in (file, io.BytesIO(data)):
                    with self.assertLogs("pathspider", "INFO") as logs:
                        reader = TargetReader(source, "targets", seed=5)
                        orders.append([job["dip"] for job in reader])
                    kept = [line for line in logs.output if "kept in a temporary file" in line]
                    self.assertEqual(len(kept), 0 if source is file and data is text else 1)
                    self.assertIn("targets, line 253: 'oops' is not a target", "\n".join(logs.output))
                    self.assertEqual((reader.position, reader.length), (len(text), len(text)))
        self.assertEqual(len(set(map(tuple, orders))), 1)
        self.assertEqual(len(set(orders[0])), 251)
        self.assertNotEqual(orders[0], sorted(orders[0]))
