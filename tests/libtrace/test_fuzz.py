"""A little of `make fuzz` in every run: mutated packets and files never crash, hang or grow."""

import random
import unittest

from tests.libtrace import fuzz


class TestFuzz(unittest.TestCase):
    def test_the_corpus_has_every_link_layer_and_whole_flows(self):
        seeds = fuzz.corpus()
        self.assertEqual({linktype for linktype, _ in seeds}, {linktype for linktype, _ in fuzz.make_corpus()})
        self.assertEqual(len(seeds), len(fuzz.make_corpus()))

    def test_mutated_packets(self):
        table = fuzz.fuzz_packets(random.Random(1), 30_000)
        self.assertEqual(len(table), 0)
        self.assertGreater(table.flows, 1000)
        self.assertGreater(table.malformed + table.truncated, 100)

    def test_mutated_files(self):
        errors = fuzz.fuzz_files(random.Random(1), 100)
        self.assertGreater(errors, 0)
        self.assertLess(errors, 100)
