"""``pspdr test``: where the suite is, and its exit status."""

import contextlib
import io
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.cmd import test as command
from pathspider.cmd.main import UsageError, main


class TestTest(unittest.TestCase):
    def run_suite(self, *names):
        return subprocess.run(
            [sys.executable, "-m", "pathspider", "test", *names],
            capture_output=True,
            text=True,
            check=False,
            cwd=tempfile.gettempdir(),
            env={"PYTHONPATH": str(command.PACKAGE.parent)},
        )

    def test_one_module(self):
        done = self.run_suite("tests.plugins.test_mss")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("OK", done.stderr)

    def test_a_failure_shows_in_the_exit_status(self):
        self.assertEqual(self.run_suite("tests.run.test_pace.no_such_test").returncode, 1)

    def test_no_such_tests(self):
        done = self.run_suite("tests.no_such_module")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no tests called tests.no_such_module", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_list(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(main(["test", "--list"]), 0)
        self.assertIn("tests.cmd.test_test", out.getvalue().split())

    def test_no_suite(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(command, "PACKAGE", Path(folder, "pathspider")):
            with self.assertRaises(UsageError):
                command.suite()
            installed = Path(folder, "pathspider", "suite", "tests")
            installed.mkdir(parents=True)
            (installed / "test_base.py").touch()
            self.assertEqual(command.suite(), installed.parent)
