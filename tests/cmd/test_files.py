"""The files that a measurement writes: the records, and what is told beside them."""

import hashlib
import os
import subprocess
import unittest

from tests.cmd.test_measure import COMMAND, FactsCase, clean_jobs, ndjson


class TestFiles(FactsCase):
    def test_nowhere_unless_asked_for_where_the_output_is_no_file(self):
        self.mss()
        self.mss("-o", "/dev/null")
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"jobs"})
        self.mss("--metadata", str(self.folder / "facts"), "-o", "/dev/stdout")
        self.assertEqual(self.runs("facts")[0]["records"], 4)

    def test_files_that_have_content_or_are_none_or_are_one(self):
        precious = self.folder / "precious"
        precious.write_text("precious")
        for options, says in ((("-o", precious), "there is something in this file"),
                              (("--metadata", precious), "there is something in this file"),
                              (("--status-file", precious), "there is something in this file"),
                              (("--metadata", self.jobs), "there is something in this file"),
                              (("--metadata", "/dev/null"), "not an ordinary file"),
                              (("-f", "--status-file", self.jobs), "the input and the status file are one file"),
                              (("-o", self.folder / "new", "--metadata", self.folder / "new"), "are one file")):
            self.assertIn(says, self.mss(*map(str, options), status=2), options)
        self.assertEqual((precious.read_text(), self.jobs.read_bytes()), ("precious", ndjson(clean_jobs(4))))
        self.mss("-f", "-o", str(precious))
        self.assertEqual(precious.read_text().count("\n"), 4)

    def test_beside_the_records(self):
        self.mss("-o", str(self.records), "--vantage", "my lab")
        (run,) = self.runs()
        self.assertEqual(self.ids(), [run["run"]] * 4)
        self.assertEqual((run["plugin"]["name"], run["connect"], run["ended"], run["status"], run["records"]),
                         ("mss", "tcp", {"why": "input", "what": ""}, 0, 4))
        self.assertEqual((run["vantage"]["name"], run["vantage"]["interface"]), ("my lab", "lab0"))
        self.assertLess(run["begin"], run["end"])
        targets = self.jobs.read_bytes()
        self.assertEqual((run["targets"]["sha256"], run["targets"]["bytes"], run["targets"]["jobs"]),
                         (hashlib.sha256(targets).hexdigest(), len(targets), 4))

    def test_a_run_that_is_refused_leaves_no_files(self):
        old = self.folder / "old"
        old.touch()
        for options in (("-i", "nowhere0"), ("--user", "no-one-here"), ("--metadata", "/dev/null")):
            self.mss(*options, "-o", str(self.records), "--status-file", str(old), status=2)
            self.assertEqual({path.name for path in self.folder.iterdir()}, {"jobs", "old"}, options)

    def test_they_are_refused_before_the_input_is_waited_for(self):
        """Without -i the first target has to come; standard input of this test never ends."""
        self.records.write_text("precious")
        theirs, ours = os.pipe()
        self.addCleanup(os.close, ours)
        with open(theirs, "rb") as never:
            done = subprocess.run([*COMMAND, "-o", str(self.records), "mss"], stdin=never, capture_output=True,
                                  check=False, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"there is something in this file already", done.stderr)


if __name__ == "__main__":
    unittest.main()
