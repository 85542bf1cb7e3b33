"""The command line: quick, clear, and with an exit status that tells."""

import logging
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.main import COMMANDS, escape_controls, named_command
from pathspider.version import __version__

COMMAND = [sys.executable, "-m", "pathspider"]


def pspdr(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


class TestMain(unittest.TestCase):
    def test_help_names_every_command(self):
        outcome = pspdr("--help")
        self.assertEqual(outcome.returncode, 0)
        for command in COMMANDS:
            self.assertIn(f"\n    {command}", outcome.stdout)

    def test_help_imports_nothing_heavy(self):
        outcome = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys\nfrom pathspider.cmd.main import main\ntry: main(['--help'])\nfinally: print(*sys.modules)",
            ],
            capture_output=True,
            text=True,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        )
        loaded = set(outcome.stdout.split())
        self.assertIn("pathspider.cmd.main", loaded)
        for heavy in (
            "scapy",
            "pycurl",
            "pyroute2",
            "dnslib",
            "json",
            "queue",
            "pathspider.base",
            "pathspider.libtrace",
        ):
            self.assertNotIn(heavy, loaded)

    def test_version(self):
        self.assertEqual(pspdr("--version").stdout, f"pspdr {__version__}\n")

    def test_no_command_is_a_usage_error(self):
        outcome = pspdr()
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("usage:", outcome.stdout)

    def test_an_unknown_command_is_named(self):
        outcome = pspdr("mesure")
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("mesure", outcome.stderr)

    def test_a_slip_of_the_finger(self):
        for words, meant in (
                ("mesure", "measure"), ("measure enc", "ecn"), ("measure ecn --conect tcp", "--connect"),
                ("measure ecn --conect=tcp", "--connect"), ("measure --iput x ecn", "--input"), ("lab chek", "check"),
                ("lab check enc", "ecn"), ("lab check --severs nginx", "--servers"),
                ("measure --shuffle 7 ecn --connect tcp", "--shuffle=7"), ("measure --locate 5 ecn", "--locate=5"),
                ("report --formt json x", "--format"),
                ("observe bsic", "basic"),
                ("measure ecn --connect htps", "https"), ("--vrsion", "--version")):
            outcome = pspdr(*words.split(), input="")
            self.assertEqual(outcome.returncode, 2, words)
            self.assertTrue(outcome.stderr.endswith(f"; did you mean {meant}?\n"), outcome.stderr)
            self.assertNotIn("targets are read", outcome.stderr)

    def test_loudness_behind_any_command(self):
        for words in ("filter -v", "report -v", "-v filter", "report --quiet", "lab list -q",
                      "measure -q --dry-run ecn"):
            self.assertNotIn("unrecognized", pspdr(*words.split(), input="").stderr, words)
        self.assertIn("0 jobs", pspdr("filter", input="").stderr)
        self.assertNotIn("0 jobs", pspdr("filter", "-q", input="").stderr)
        self.assertRegex(pspdr("filter", "--verbose", input="").stderr, "(?m)^[0-9-]{10} .* INFO pathspider: 0 jobs")

    def test_what_resembles_nothing_is_not_guessed_at(self):
        for words in ("xyzzy", "measure xyzzy", "measure ecn --xyzzy", "measure --timeout 3 ecn"):
            self.assertNotIn("did you mean", pspdr(*words.split(), input="").stderr)

    @unittest.skipUnless(os.geteuid() == 0, "who is not root leaves files of their own")
    def test_behind_sudo_no_bytecode_is_left_in_the_users_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            plugins = Path(folder, "pathspider", "plugins")
            plugins.mkdir(parents=True)
            for package in (plugins, plugins.parent):
                (package / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)")
            (plugins / "mine.py").write_text("")
            for path in (plugins.parent, *plugins.parent.rglob("*")):
                os.chown(path, 1000, 1000)
            for variables, left in (({"SUDO_UID": "1000"}, set()), ({}, {"__init__", "mine"})):
                environment = {key: value for key, value in os.environ.items()
                               if key not in ("SUDO_UID", "PYTHONDONTWRITEBYTECODE")}
                outcome = pspdr("measure", "mine", cwd=folder, env={**environment, "PYTHONPATH": ".", **variables})
                self.assertIn("mine", outcome.stderr)
                self.assertEqual({path.name.partition(".")[0] for path in Path(folder).rglob("*.pyc")}, left)
                self.assertTrue(left or not [*Path(folder).rglob("__pycache__")])

    def test_a_full_disk_is_told_of(self):
        for arguments in (["lab", "list"], ["--help"], ["--version"], ["filter", "--keep-special"],
                          ["measure", "--dry-run", "ecn"]):
            with open("/dev/full", "w") as full:
                outcome = subprocess.run([*COMMAND, *arguments], input='{"dip": "192.0.2.1"}\n', stdout=full, text=True,
                                         stderr=subprocess.PIPE, check=False, timeout=60)
            self.assertEqual(outcome.returncode, 1, arguments)
            self.assertIn("No space left on device", outcome.stderr)
            self.assertNotIn("Traceback", outcome.stderr)
            self.assertNotIn("Exception", outcome.stderr)

    def test_no_standard_output(self):
        outcome = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "--version"], capture_output=True,
                                 check=False, timeout=60)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, b""))

    def test_control_characters_in_a_traceback(self):
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", (), None)
        try:
            raise ValueError("\x1b[2J\a of a stranger")
        except ValueError:
            record.exc_info = sys.exc_info()
        self.assertTrue(escape_controls(record))
        text = logging.Formatter().format(record)
        self.assertIn("of a stranger", text)
        self.assertFalse(set(text) & {"\x1b", "\a"})

    def test_named_command(self):
        self.assertEqual(named_command(["--verbose", "measure", "lab"]), "measure")
        self.assertIsNone(named_command(["--version"]))
        self.assertIsNone(named_command(["nonsense", "measure"]))

    def test_control_characters_are_escaped_in_messages(self):
        record = logging.makeLogRecord({"msg": "server says %s\n\tbye", "args": ("\x1b[2J\x07caf\u00e9",)})
        self.assertTrue(escape_controls(record))
        self.assertEqual(record.getMessage(), "server says \\x1b[2J\\x07caf\u00e9\n\\tbye")
