"""A run's facts: what is in them, and which differences between two runs count."""

import copy
import io
import json
import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

from pathspider.plugins.mss import MSS
from pathspider.run import metadata
from pathspider.targets.blocklist import Blocklist
from pathspider.writing import JSONFile


def arguments(**measure):
    """The parsed arguments of a command line."""
    given = {"interface": "lo", "workers": 100, "seed": 0, "blocklist": None, "vantage": None, "parser": object(),
             "plugin": MSS, "func": print, "plugin_args": Namespace(connect="tcp", timeout=5, spider=MSS)}
    return Namespace(**{**given, **measure})


def what(args):
    return metadata.what(args, None if args.blocklist is None else Blocklist.read(args.blocklist))


class TestWhat(unittest.TestCase):
    def test_options_of_measure_and_of_the_plugin_and_nothing_else(self):
        found = what(arguments())
        self.assertEqual(found["options"], {
            "measure": {"interface": "lo", "workers": 100, "seed": 0, "blocklist": None, "vantage": None},
            "plugin": {"connect": "tcp", "timeout": 5}})
        self.assertEqual((found["plugin"]["name"], found["connect"]), ("mss", "tcp"))

    def test_libraries(self):
        found = metadata.libraries()
        self.assertRegex(found["python"], r"^3\.")
        for name in ("libcurl", "openssl", "scapy"):
            self.assertRegex(found[name], r"\d\.\d")


class TestDifferences(unittest.TestCase):
    def check(self, expected, before, now):
        # as it comes back from a file
        before, now = json.loads(json.dumps(before)), copy.deepcopy(now)
        self.assertEqual(metadata.differences(before, now), expected)

    def test_what_changes_what_is_found(self):
        before = what(arguments())
        self.check([], before, before)
        self.check(["seed was 0, and is 7"], before, what(arguments(seed=7)))
        self.check(["interface was lo, and is eth0", "connect was tcp, and is http"], before,
                   what(arguments(interface="eth0", plugin_args=Namespace(connect="http", timeout=5))))
        self.check(["plugin was ecn, and is mss"], {**before, "plugin": {"name": "ecn", "version": "1"}}, before)

    def test_what_does_not(self):
        self.check([], what(arguments()), what(arguments(workers=5, rate=3.5, quiet=True)))

    def test_a_blocklist_is_its_content(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a", "192.0.2.0/24\n"), ("b", "192.0.2.0/24\n"), ("c", "198.51.100.0/24\n")):
                Path(folder, name).write_text(text)
            a, b, c = (what(arguments(blocklist=f"{folder}/{name}")) for name in "abc")
        self.check([], a, b)
        self.check(["the blocklist is another one"], a, c)
        self.check(["the blocklist is another one"], what(arguments()), a)

    def test_options_that_one_of_both_does_not_know(self):
        self.check([], what(arguments()), what(arguments(new=7)))

    def test_files_that_others_wrote(self):
        for strange in ({}, {"options": 7, "plugin": None}, {"options": {"measure": [1]}}):
            metadata.differences(strange, what(arguments()))
            metadata.other_versions(strange, what(arguments()))
            self.assertFalse(metadata.other_targets({**strange, "targets": 7}, "0"))

    def test_versions(self):
        now = what(arguments())
        self.assertEqual(metadata.other_versions(now, now), [])
        before = {**now, "pathspider": "2.9", "plugin": {**now["plugin"], "version": "2.8"}}
        self.assertEqual([one.partition(" was ")[0] for one in metadata.other_versions(before, now)],
                         ["PATHspider", "plugin mss"])

    def test_targets_are_others_only_where_both_are_known(self):
        for was, is_, other in (("a", "a", False), ("a", "b", True), (None, "b", False), ("a", None, False)):
            self.assertEqual(metadata.other_targets({"targets": {"sha256": was}}, is_), other)


class TestFile(unittest.TestCase):
    def test_earlier_runs_stay(self):
        with tempfile.NamedTemporaryFile() as file:
            facts = metadata.Metadata(JSONFile(file.fileno()), [{"run": "1", "end": "x"}])
            facts.write({"run": "2", "end": None})
            facts.write({"end": "y"})
            self.assertEqual(metadata.read(file), [{"run": "1", "end": "x"}, {"run": "2", "end": "y"}])

    def test_what_is_none(self):
        for text in (b"", b"{", b"[]", b'{"runs": 7}', b'{"runs": [7]}', b'{"runs": [{}]}', b"[" * 100_000, b"\xff"):
            with self.assertRaises(metadata.MetadataError):
                metadata.read(io.BytesIO(text))


if __name__ == "__main__":
    unittest.main()
