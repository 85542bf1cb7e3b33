import json
import unittest

import zstandard

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.messages import MOST_MESSAGE, MessageError, pack, read_state, slot_name, state, unpack
from tests.campaign.cases import definition, target

CHUNK = Chunk("01a21b8f-c436-7728-82a7-d6baade16fa8", "ams", 3, 1, [target(1), target(2)])


def packed(**other):
    head = json.loads(zstandard.decompress(pack(CHUNK, definition(options=[["--x", "1"]], rate=5.0))))
    return zstandard.compress(json.dumps({**head, **other}).encode())


class TestUnpack(unittest.TestCase):
    def test_what_was_packed(self):
        task = unpack(packed(), "ams", 10)
        self.assertEqual((task.chunk, task.plugin, task.options, task.rate, task.start),
                         (CHUNK, "nowhere", [["--x", "1"]], 5.0, None))
        self.assertEqual(unpack(packed(slot="any"), "ams", 10).chunk.slot, "any")

    def refused(self, data):
        self.assertRaises(MessageError, unpack, data, "ams", 10)

    def test_values_that_cannot_be(self):
        for other in ({"campaign": "../../etc"}, {"campaign": None}, {"slot": "ber"}, {"slot": "../x"},
                      {"chunk": -1}, {"chunk": True}, {"chunk": "1"}, {"chunk": 1 << 70}, {"epoch": 1.0}, {"jobs": []},
                      {"jobs": [1]}, {"jobs": [target(1)] * 11}, {"jobs": [{"dip": "x" * 70000}]}, {"jobs": {}},
                      {"plugin": 1}, {"options": [1]}, {"options": [[]]}, {"options": [["a", 1]]},
                      {"options": [["a"]] * 60}, {"options": [["a", "b", "c"]]}, {"measure": "x"}, {"rate": "x"},
                      {"rate": -1}, {"start": True}, {"version": None}, {"other_versions": 1}):
            with self.subTest(other):
                self.refused(packed(**other))

    def test_what_is_no_message(self):
        deep = b"[" * 100_000
        for data in (b"", b"x", b"{}", zstandard.compress(b"[]"), zstandard.compress(b"{"), zstandard.compress(deep),
                     zstandard.compress(b'{"chunk": ' + b"9" * 10_000 + b"}"), packed()[:-3]):
            self.refused(data)

    def test_what_would_fill_memory(self):
        bomb = zstandard.compress(b" " * (MOST_MESSAGE + 1))
        self.assertLess(len(bomb), 1 << 14)
        self.refused(bomb)
        streamed = zstandard.ZstdCompressor().compressobj()
        self.refused(streamed.compress(b" " * MOST_MESSAGE) + streamed.flush())  # it does not tell its length


class TestState(unittest.TestCase):
    def test_known_values_alone(self):
        said = state(version="3", errors=2, disk_free=True, refused="x", more=[1])
        self.assertEqual(read_state(said), {"version": "3", "errors": 2, "refused": "x"})
        for data in (b"", b"[]", b"{" * 5000, b'{"x": "' + b"x" * (1 << 15) + b'"}'):
            self.assertRaises(MessageError, read_state, data)

    def test_names(self):
        self.assertTrue(slot_name("ams-1"))
        self.assertFalse(slot_name("a.b"))
