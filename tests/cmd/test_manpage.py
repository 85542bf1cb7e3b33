"""Man pages: one a command, each argument in them, nothing that troff would misread."""

import re
import unittest

from pathspider.cmd.describe import program
from pathspider.cmd.main import COMMANDS
from pathspider.cmd.manpage import escape, pages, prose

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

    def test_escape(self):
        self.assertEqual(escape(".x-\\n"), "\\&.x\\-\\en")

    def test_date_can_be_reproduced(self):
        self.assertTrue(re.match(r'\.TH PSPDR 1 "\d{4}-\d\d-\d\d" ', self.pages["pspdr.1"]))
