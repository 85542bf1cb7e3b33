"""Messages in a file."""

import logging
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.logfile import logging_to
from pathspider.cmd.main import UsageError
from tests.cmd.test_main import pspdr

log = logging.getLogger("pathspider")
LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "


class TestLogFile(unittest.TestCase):
    def setUp(self):
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory()), "log")

    def test_messages_are_appended_with_their_times(self):
        for number in (1, 2):
            with logging_to(str(self.file)):
                log.info("message %d\x1b[2J", number)
        first, second = self.file.read_text().splitlines()
        self.assertRegex(first, LINE + r"INFO pathspider: message 1\\x1b\[2J$")
        self.assertRegex(second, "message 2")

    def test_afterwards_all_is_as_it_was(self):
        before = log.level, [*logging.getLogger().handlers]
        with logging_to(str(self.file)), logging_to(None):
            pass
        self.assertEqual((log.level, logging.getLogger().handlers), before)

    def test_what_makes_the_run_not_begin_is_in_it(self):
        with self.assertRaises(UsageError), logging_to(str(self.file)):
            raise UsageError("not so")
        self.assertIn("ERROR pathspider: not so", self.file.read_text())

    def test_a_file_that_cannot_be(self):
        with self.assertRaisesRegex(UsageError, "^log file .*: Is a directory"), logging_to(str(self.file.parent)):
            self.fail("opened")

    def test_a_file_that_takes_no_more(self):
        with logging_to("/dev/full"), self.assertLogs(log) as logs:
            logging.getLogger("elsewhere").error("one")
            logging.getLogger("elsewhere").error("two")
        self.assertEqual([record.getMessage() for record in logs.records],
                         ["log file /dev/full takes no more; messages go on here alone"])

    def test_no_other_file_of_the_run_is_written_to(self):
        targets, output = self.file.with_name("targets"), self.file.with_name("output")
        link = self.file.with_name("link")
        link.symlink_to(output)
        for options in (("-o", output), ("-o", link), ("--metadata", output), ("--status-file", output),
                        ("-o", self.file.with_name("records"))):
            log_file = f"{options[1]}.meta.json" if options[1].name == "records" else output
            with self.subTest(options=options):
                targets.write_text("192.0.2.1\n")
                outcome = pspdr("measure", "--log-file", str(log_file), "--input", str(targets), *map(str, options),
                                "mss")
                self.assertEqual(outcome.returncode, 2)
                self.assertIn("name another file", outcome.stderr)
                self.assertFalse(output.exists())
        for name, stdin in ((str(targets), None), ("-", targets)):
            with self.subTest(name=name), targets.open("rb") as file:
                outcome = pspdr("measure", "--dry-run", "--log-file", str(targets), "--input", name, "mss",
                                stdin=file if stdin else None)
                self.assertEqual(outcome.returncode, 2)
                self.assertIn("this is the input too", outcome.stderr)
                self.assertEqual(targets.read_text(), "192.0.2.1\n")

    def test_quiet_is_of_standard_error_alone(self):
        outcome = pspdr("measure", "-q", "--log-file", str(self.file), "--dry-run", "ecn",
                        input='{"dip": "192.0.2.1"}\noops\n')
        self.assertNotIn("would connect", outcome.stderr)
        self.assertIn("line 2", outcome.stderr)
        self.assertRegex(self.file.read_text(), LINE + "INFO pathspider: would connect")
        self.assertRegex(self.file.read_text(), LINE + "ERROR .*line 2")


if __name__ == "__main__":
    unittest.main()
