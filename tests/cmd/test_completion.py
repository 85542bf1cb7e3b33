"""Completion: bash is asked as a user would ask it, zsh at least reads what is written."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.completion import bash, zsh
from pathspider.cmd.describe import program
from pathspider.cmd.main import COMMANDS
from pathspider.lab.scenarios import FAMILIES


class TestCompletion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = program()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.bash = Path(cls.folder.name, "pspdr")
        cls.bash.write_text(bash(cls.top), encoding="utf-8")

    def complete(self, *words):
        code = '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pspdr; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", code, str(self.bash), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("pspdr", ""), list(COMMANDS))
        self.assertEqual(self.complete("pspdr", "--verbose", "mea"), ["measure"])
        self.assertEqual(self.complete("pspdr", "help", "mea"), ["measure"])

    def test_plugins_behind_options_with_values(self):
        self.assertIn("ecn", self.complete("pspdr", "measure", "-i", "ecn0", "-w", "5", ""))
        self.assertEqual(self.complete("pspdr", "measure", "--input", "x", "ev"), ["evilbit"])

    def test_options(self):
        self.assertEqual(self.complete("pspdr", "measure", "--output-"), ["--output-flows"])
        self.assertEqual(self.complete("pspdr", "measure", "dscp", "--co"), ["--connect", "--codepoint"])

    def test_choices(self):
        self.assertEqual(self.complete("pspdr", "measure", "ecn", "--connect", "h"), ["http", "https"])
        self.assertEqual(self.complete("pspdr", "measure", "ecn", "--connect", "=", "d"), ["dnstcp"])
        self.assertEqual(self.complete("pspdr", "lab", "check", "--servers", "b"), ["builtin"])

    def test_plugins_of_the_lab(self):
        for words in (["check"], ["list"], ["targets", "--plugin"]):
            self.assertEqual(set(self.complete("pspdr", "lab", *words, "")), {*FAMILIES}, words)
        self.assertEqual(self.complete("pspdr", "measure", "dns"), ["dnsresolv"])

    def test_chains(self):
        self.assertEqual(self.complete("pspdr", "observe", "basic", "tc"), ["tcp"])

    def test_interfaces_and_files(self):
        self.assertIn("lo", self.complete("pspdr", "observe", "-i", "l"))
        self.assertIn(f"{self.folder.name}/pspdr", self.complete("pspdr", "measure", "--input", f"{self.folder.name}/"))

    def test_another_command_in_the_lab(self):
        self.assertIn("sleep", self.complete("pspdr", "lab", "run", "--", "slee"))
        self.assertIn(str(self.bash), self.complete("pspdr", "lab", "run", "--", "ls", f"{self.folder.name}/p"))

    def test_zsh(self):
        text = zsh(self.top)
        self.assertTrue(text.startswith("#compdef pspdr\n"))
        self.assertEqual(text.count("() {\n"), len(list(self.top.walk())))
        self.assertIn("--connect[Kind of connection\\: http, https, tcp, dnstcp. (Default\\: http)]", text)
        if shutil.which("zsh"):
            subprocess.run(["zsh", "-n"], input=text, text=True, check=True, timeout=100)
