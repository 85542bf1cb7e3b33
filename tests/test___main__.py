"""``python -m pathspider`` is ``pspdr``: the same words, and its exit status."""

import subprocess
import sys
import unittest

from pathspider.version import __version__


class TestModule(unittest.TestCase):
    def run_module(self, *words):
        return subprocess.run([sys.executable, "-m", "pathspider", *words], capture_output=True, text=True, timeout=60,
                              check=False)

    def test_it_is_the_command(self):
        done = self.run_module("--version")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"pspdr {__version__}\n", ""))

    def test_its_exit_status(self):
        done = self.run_module("no-such-command")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertTrue(done.stderr)


if __name__ == "__main__":
    unittest.main()
