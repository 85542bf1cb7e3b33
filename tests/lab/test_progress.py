"""What ``pspdr lab check`` says while it measures."""

import io
import os
import pty
import subprocess
import sys
import unittest

from pathspider.lab import check
from pathspider.lab.check import Run
from pathspider.lab.progress import Progress
from pathspider.lab.scenarios import all_cases

COMMAND = [sys.executable, "-P", "-m", "pathspider", "lab", "check", "udpopts"]
CASES = all_cases("udpopts")


class TestLine(unittest.TestCase):
    def test_paths_done_and_under_way(self):
        first, second = Run(["udpopts", "--connect", "dnsudp"], CASES[:4]), Run(["udpopts"], CASES[4:7])
        stream = io.StringIO()
        with Progress([first, second], stream) as progress:
            self.assertEqual(progress.line(), "0 of 7 paths done")
            progress.began(first)
            progress.began(second)
            for run in (first, second, first):
                progress.heard(run)
            self.assertEqual(progress.line(), "3 of 7 paths done; udpopts --connect dnsudp 2/4, udpopts 1/3")
            for _ in range(9):  # more records than paths are shown, and are no more paths
                progress.heard(second)
            self.assertEqual(progress.line(), "5 of 7 paths done; udpopts --connect dnsudp 2/4, udpopts 10/3")
            progress.ended(first, "over")
            progress.heard(first)
            progress.ended(second, "over too")
            self.assertEqual(progress.line(), "7 of 7 paths done")
        self.assertEqual(stream.getvalue(), "measuring 7 paths: udpopts\nover\nover too\n")

    def test_nobody_listens(self):
        with Progress([], None) as progress:
            progress.say("x")


class TestCheck(unittest.TestCase):
    def test_says_at_once_what_it_does(self):
        with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stderr.readline(), f"measuring {len(CASES)} paths: udpopts\n")
            self.assertIsNone(process.poll())  # and measures then
            out, rest = process.communicate(timeout=100)
        self.assertEqual((process.returncode, out), (0, f"{len(CASES)} paths, all as the truth has it\n"))
        self.assertRegex(rest, rf"(?m)^udpopts --connect dnsudp +{len(CASES)} paths +[0-9.]+ s  as expected\n\Z")

    def test_draws_on_a_terminal(self):
        ours, theirs = pty.openpty()
        with subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            said = b""
            while b"as expected" not in said:
                said += os.read(ours, 4096)
            process.wait(timeout=100)
        os.close(ours)
        self.assertTrue(said.startswith(f"\rmeasuring {len(CASES)} paths: udpopts\x1b[K\r\n".encode()), said)
        self.assertIn(f"\r0 of {len(CASES)} paths done; udpopts --connect dnsudp 0/{len(CASES)}\x1b[K".encode(), said)

    def test_records_are_counted_as_they_come(self):
        lines = []
        run = Run(["udpopts", "--connect", "dnsudp"], [case for case in CASES if case.scenario.clean])

        class Heard(Progress):
            def heard(self, run):
                super().heard(run)
                lines.append(self.line())

        check.perform(run, progress=Heard([run], None))
        self.assertEqual(lines, [f"{n} of 2 paths done; udpopts --connect dnsudp {n}/2" for n in (1, 2)])


if __name__ == "__main__":
    unittest.main()
