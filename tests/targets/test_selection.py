"""Which targets of a list are taken, and what is said of the others."""

import io
import unittest

from pathspider.targets.lists import TargetReader
from pathspider.targets.repeats import TargetFilter
from pathspider.targets.selection import Selection, Stage

LIST = b"192.0.2.1\n2001:db8::1\n192.0.2.1\n192.0.2.2\nexample.org\n{\"dip\": 7}\n192.0.2.3\n"


class TestSelection(unittest.TestCase):
    def select(self, data, *known, keys=(), **options):
        seen = TargetFilter(80)
        for dip in known:
            seen.repeats({"dip": dip})
        self.selection = Selection(TargetReader(io.BytesIO(data), "targets"), seen, keys=keys, **options)
        return [job.get("dip", job.get("domain")) for job in self.selection]

    def test_versions(self):
        self.assertEqual(self.select(LIST, version=4), ["192.0.2.1", "192.0.2.2", "example.org", 7, "192.0.2.3"])
        self.assertEqual((self.selection.left_out(), self.selection.repeated), ("1 left out: IPv6", 1))
        self.assertEqual(self.select(LIST, version=6), ["2001:db8::1", "example.org", 7])
        self.assertEqual(self.selection.left_out("; "), "; 4 left out: IPv4")
        self.select(LIST)
        self.assertEqual(self.selection.left_out(), "")

    def test_so_many(self):
        with self.assertLogs("pathspider", "INFO") as logs:
            self.assertEqual(self.select(LIST, most=3), ["192.0.2.1", "2001:db8::1", "192.0.2.2"])
            self.assertEqual(self.select(LIST, "192.0.2.1", "2001:db8::1", most=3), ["192.0.2.2"])
            self.assertEqual(self.select(LIST, "192.0.2.1", most=1), [])
        self.assertIn("these were 3 targets", logs.output[0])
        self.assertEqual(self.selection.source.position, 0)
        self.assertEqual(len(self.select(LIST, most=99)), 6)

    def test_no_line_is_waited_for_that_is_not_taken(self):
        class Pipe(io.RawIOBase):
            chunks = [b"192.0.2.1\n"]

            def readable(self):
                return True

            def readinto(self, buffer):
                chunk = self.chunks.pop()  # raises where it would have to wait
                buffer[:len(chunk)] = chunk
                return len(chunk)

        self.assertEqual(list(Selection(TargetReader(Pipe(), "pipe"), most=1)), [{"dip": "192.0.2.1"}])

    def test_advice_once_for_each_kind(self):
        data = (b'{"address": "192.0.2.1", "port": 1}\n{"dip": "example.org"}\nexample.org\n'
                b'{"host": "example.net"}\n') * 3
        for keys, says in ((("dip", "dp", "domain"), ['"dip", not from "address"', '"dp", not from "port"',
                                                      "a name stands where the address", "a name alone"]),
                           (("dp", "domain"), ['"dp", not from "port"', '"domain", not from "host"'])):
            with self.assertLogs("pathspider", "WARNING") as logs:
                self.select(data, keys=keys)
            self.assertEqual(len(logs.output), len(says), logs.output)
            for line, text in zip(logs.output, says, strict=True):
                self.assertIn(text, line)


class TestStage(unittest.TestCase):
    def test_it_tells_of_its_list(self):
        reader = TargetReader(io.BytesIO(b"192.0.2.1\n192.0.2.2\n"), "targets")
        stage = Stage(reader, ({**job, "dp": 80} for job in reader))
        self.assertEqual(next(iter(stage)), {"dip": "192.0.2.1", "dp": 80})
        self.assertEqual((stage.name, stage.jobs), ("targets", 1))
