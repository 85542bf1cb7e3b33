import io
import json
import unittest

import zstandard

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.results import Packer, ResultError, Unpacked, check, head_of
from tests.campaign.cases import results_of, target

CHUNK = Chunk("c", "a", 3, 0, [target(number) for number in range(3)])


class TestCheck(unittest.TestCase):
    def check(self, data, chunk=CHUNK, vantage="a", **more):
        return check(data, chunk, vantage, 80, **{"several": False, **more})

    def refused(self, data, *words, **more):
        with self.assertRaises(ResultError) as caught:
            self.check(data, **more)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_all_is_there(self):
        self.assertEqual(self.check(results_of(CHUNK, "a"))["chunk"], 3)

    def test_of_another_chunk_or_by_another(self):
        for other in (CHUNK._replace(number=4), CHUNK._replace(campaign="d"), CHUNK._replace(epoch=1),
                      CHUNK._replace(slot="b")):
            self.refused(results_of(other, "a"), "names another chunk")
        self.refused(results_of(CHUNK, "b"), "vantage point")
        self.assertEqual(self.check(results_of(CHUNK, "b"), vantage=None)["vantage"], "b")

    def test_targets_that_are_missing_more_or_again(self):
        self.refused(results_of(CHUNK, "a", CHUNK.jobs[:2]), "1 targets have no record")
        self.refused(results_of(CHUNK, "a", [*CHUNK.jobs, target(9)]), "10.0.0.9", "not asked for")
        self.refused(results_of(CHUNK, "a", [*CHUNK.jobs, target(1)]), "again")

    def test_a_target_that_the_plugin_wants_no_record_of(self):
        self.assertTrue(self.check(results_of(CHUNK, "a", CHUNK.jobs[:2], discarded=1)))

    def test_the_default_port_and_other_spellings(self):
        chunk = CHUNK._replace(jobs=[{"dip": "2001:DB8::1"}])
        self.assertTrue(self.check(results_of(chunk, "a", [{"dip": "2001:db8:0::1", "dp": 80}]), chunk))

    def test_any_number_of_lines(self):
        self.assertTrue(self.check(results_of(CHUNK, "a", [target(9)] * 5), several=True))

    def test_torn_or_something_else(self):
        data = results_of(CHUNK, "a")
        for cut in range(len(data)):
            with self.subTest(cut=cut):
                self.refused(data[:cut])
        for other in (b"", b"nothing of it", zstandard.compress(b"[]\n"), zstandard.compress(b"{}\n"),
                      zstandard.compress(b'{"campaign": "c"\n')):
            self.refused(other)

    def test_lines_that_are_no_records(self):
        for line in (b"x\n", b"[]\n", b"\xff\n", b'{"dip": "10.0.0.1"}', b"{" * 3000 + b"\n"):
            packer = Packer()
            packer.add(line)
            self.refused(packer.whole(head_of(CHUNK, "a", {})))

    def test_what_would_fill_memory(self):
        """A line without an end, as of a sender who wants the reader to run out of memory."""
        bomb = zstandard.compress(json.dumps(head_of(CHUNK, "a", {})).encode() + b"\n") \
            + zstandard.compress(b"0" * (1 << 26))
        self.assertLess(len(bomb), 1 << 14)
        self.refused(bomb, "a line without an end")


class TestUnpacked(unittest.TestCase):
    def test_head_and_lines(self):
        unpacked = Unpacked(io.BytesIO(results_of(CHUNK, "a")))
        self.assertEqual(unpacked.head["slot"], "a")
        self.assertEqual([json.loads(line)["number"] for line in unpacked.lines()], [0, 1, 2])
