"""Going on where something ended."""

import tempfile
import unittest
from pathlib import Path

from pathspider.targets.resolver.journal import Journal, JournalError


class TestJournal(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.path = self.folder / "jobs.journal"

    def open(self, **settings):
        output = self.enterContext(open(self.folder / "jobs", "r+b" if (self.folder / "jobs").exists() else "wb",
                                        buffering=0))
        return Journal(self.path, {"output": output}, {"types": ("A",), "shuffle": None, **settings}), output

    def test_what_was_written_since_is_cut_off(self):
        journal, output = self.open()
        output.write(b"1\n")
        journal.read, journal.under_way, journal.counts = 5, {2, 4}, {"names": 3}
        journal.save()
        output.write(b"2\n")
        again, output = self.open()
        self.assertTrue(again.load())
        self.assertEqual((again.read, again.under_way, again.counts), (5, {2, 4}, {"names": 3}))
        output.write(b"3\n")
        self.assertEqual((self.folder / "jobs").read_bytes(), b"1\n3\n")
        again.remove()
        self.assertFalse(self.open()[0].load())

    def test_what_is_something_else(self):
        journal, output = self.open()
        output.write(b"1\n")
        journal.save()
        self.assertRaisesRegex(JournalError, "types was", self.open(types=("AAAA",))[0].load)
        output.truncate(0)
        self.assertRaisesRegex(JournalError, "shorter", self.open()[0].load)
        for content in (b"", b"[]", b"{}", b"\xff", *(
                b'{"settings": %s, "read": %s, "under_way": [], "octets": {}, "counts": {}}' % parts
                for parts in ((b"1", b"0"), (b"{}", b'"a"'), (b'{"types": ["A"]}', b"0")))):
            self.path.write_bytes(content)
            self.assertRaisesRegex(JournalError, "no journal", self.open()[0].load)

    def test_an_order_that_was_drawn_is_drawn_again(self):
        self.open(shuffle=7)[0].save()
        again = self.open(shuffle=8)[0]
        self.assertTrue(again.load())
        self.assertEqual(again.settings["shuffle"], 7)
