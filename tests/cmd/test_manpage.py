"""Man pages: one a command, each argument in them, nothing that troff would misread."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from pathspider.cmd.describe import program
from pathspider.cmd.main import COMMANDS
from pathspider.cmd.manpage import escape, pages, prose
from pathspider.cmd.signals import ECHO
from tests.cmd.test_main import pspdr
from tests.lab.processes import descendants
from tests.libtrace.frames import pcap, udp4

MACROS = {".TH", ".nh", ".ad", ".SH", ".SS", ".PP", ".TP", ".BR", ".RS", ".RE", ".nf", ".fi"}


class TestManPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = program()
        cls.pages = pages(cls.top)

    def test_one_a_command(self):
        self.assertEqual(set(self.pages), {"pspdr.1", *(f"pspdr-{name}.1" for name in COMMANDS)})

    def test_every_argument_is_there(self):
        for command in self.top.walk():
            text = self.pages["-".join(command.words[:2]) + ".1"]
            for argument in command.arguments:
                for flag in argument.flags or (argument.metavar,):
                    with self.subTest(command=command.words, flag=flag):
                        self.assertIn(escape(flag), text)

    def test_every_plugin_is_there(self):
        for plugin in ("ecn", "dscp", "tfo", "dnsresolv"):
            self.assertIn(f".SS {plugin} \\- ", self.pages["pspdr-measure.1"])

    def test_nothing_is_misread(self):
        for name, text in self.pages.items():
            for line in text.splitlines():
                with self.subTest(page=name, line=line):
                    self.assertTrue(line, "an empty line is vertical space")
                    if line[0] in ".'":
                        self.assertIn(line.split(" ")[0], MACROS)
                    self.assertNotRegex(line, r"\\(?![-&e f])")

    def test_prose(self):
        self.assertEqual(
            prose("One\ntwo, :rfc:`3168` ``x-y``.\n\nExample: pspdr test\n"),
            [
                ".PP",
                "One",
                "two, RFC 3168 \\fBx\\-y\\fR.",
                ".PP",
                "Example:",
                ".PP",
                ".RS 4",
                ".nf",
                "pspdr test",
                ".fi",
                ".RE",
            ],
        )

    def test_helps_are_sentences(self):
        for command in self.top.walk():
            for argument in command.arguments:
                if command.words != ("pspdr",) and "--help" not in argument.flags:
                    with self.subTest(command=command.words, argument=argument.flags or argument.metavar):
                        self.assertRegex(argument.help, r"(?s)^[A-Z-].*[.)]$")

    def statuses(self, page):
        text = self.pages[page].partition(".SH EXIT STATUS")[2].partition(".SH")[0]
        return dict(re.findall(r"\.TP\n\\fB(.+?)\\fR\n(.*)", text))

    def test_exit_statuses_of_the_lab(self):
        told = self.statuses("pspdr-lab.1")
        self.assertEqual(list(told), ["0", "1", "2", "125", "126", "127", "128+n", "130"])
        for status, words in ((125, []), (126, ["--", "/etc/passwd"]), (127, ["--", "no-such-command"]),
                              (128 + signal.SIGKILL, ["--", "sh", "-c", "kill -9 $$"])):
            with self.subTest(status=status):
                self.assertEqual(pspdr("lab", "run", *words).returncode, status)
                self.assertTrue(str(status) in told or status - signal.SIGKILL == 128)

    def test_interrupted_lab_check(self):
        # Whoever starts the tests in the background may have SIGINT ignored.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "pathspider", "lab", "check", "udpopts"]
        # A signal to another thread wakes the main one as little as one that comes just before that waits.
        for aside in (False, True):
            with self.subTest(aside=aside), subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                                             process_group=0) as process:
                while not descendants(process.pid):  # until a lab is being made
                    self.assertIsNone(process.poll())
                thread = max(map(int, os.listdir(f"/proc/{process.pid}/task"))) if aside else process.pid
                self.assertEqual(ctypes.CDLL(None).tgkill(process.pid, thread, signal.SIGINT), 0)
                output, errors = process.communicate(timeout=60)
                self.assertEqual(output, b"")
                self.assertNotRegex(errors, rb"paths +[0-9.]+ s")  # it did not go on measuring
                self.assertIn(str(process.returncode), self.statuses("pspdr-lab.1"))
                self.assertEqual(process.returncode, 130)

    def test_exit_statuses_of_observe(self):
        """That the first signal gives 0 is in test_observe."""
        told = self.statuses("pspdr-observe.1")
        self.assertIn("SIGINT (Ctrl\\-C) or SIGTERM", told["0"])
        self.assertIn("second time", told["130"])
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number):
                self.assertIn(str(self.observe_interrupted_twice(number)), told)

    def observe_interrupted_twice(self, number):
        """The exit status of an observation whose flows nobody reads, so that the first signal does not end it."""
        with tempfile.TemporaryDirectory() as folder:
            capture = Path(folder, "capture.pcap")
            capture.write_bytes(pcap([udp4(sport=port) for port in range(1, 5000)]))
            with subprocess.Popen([sys.executable, "-m", "pathspider", "observe", "-i", str(capture)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                process.stdout.read(1)
                process.send_signal(number)
                while self.pending(process.pid, number):
                    self.assertIsNone(process.poll())
                time.sleep(1.5 * ECHO)
                process.send_signal(number)
                return process.wait(100)

    @staticmethod
    def pending(pid, number):
        """Whether a signal to a process has not been taken yet."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) & 1 << number - 1

    def test_escape(self):
        self.assertEqual(escape(".x-\\n"), "\\&.x\\-\\en")

    def test_date_can_be_reproduced(self):
        self.assertTrue(re.match(r'\.TH PSPDR 1 "\d{4}-\d\d-\d\d" ', self.pages["pspdr.1"]))
