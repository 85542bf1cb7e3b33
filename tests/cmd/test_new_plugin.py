"""What ``pspdr new-plugin`` writes: a plugin that measures, with tests that pass, and that fail when it is broken."""

import ast
import contextlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from pathspider.cmd.main import UsageError, main
from pathspider.cmd.new_plugin import MODELS, WITHOUT_CHAIN, fill, next_steps, package, sorted_imports, write
from pathspider.version import __version__
from tests import CHECKOUT, in_checkout

OUR_CONFIG = Path(__file__).resolve().parents[2] / "pyproject.toml"
PACKAGES = {f"trial_{model}{'_chain' if chain else ''}": (model, chain)
            for model, chain in itertools.product(MODELS, (False, True)) if not (chain and model in WITHOUT_CHAIN)}


def pspdr(*arguments, cwd, path="."):
    """Run the program; the plugins of the folders in ``path`` are there."""
    environment = {**os.environ, "PYTHONPATH": f"{path}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run([sys.executable, "-P", "-m", "pathspider", *arguments], cwd=cwd, env=environment,
                          capture_output=True, text=True, check=False, timeout=60)


def start(command, cwd):
    """Start a program whose output is one text."""
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


TRIAL = ("trial", "--model", "single")


class Folder(unittest.TestCase):
    """Tests in an empty folder."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class TestPackages(Folder):
    def test_their_own_tests(self):
        for name, (model, chain) in PACKAGES.items():
            write(self.folder / name, package(name, model, chain))
        plugin = Path("pathspider/plugins/broken.py")
        files = package("broken", "forge")
        files[str(plugin)] = files[str(plugin)].replace("succeeded(experiment)", "True")
        write(self.folder / "broken", files)
        runs = {name: start([sys.executable, "-m", "unittest"], self.folder / name) for name in [*PACKAGES, "broken"]}
        for name, run in runs.items():
            with self.subTest(name):
                output, _ = run.communicate(timeout=60)
                self.assertEqual(run.returncode, name == "broken", output)
                self.assertIn("\nFAILED (failures=3)\n" if name == "broken" else "\nOK\n", output)

    def test_the_commands_in_their_readme(self):
        """Those that look at the records, of two models whose commands differ; other tests run the others."""
        this = f"{sys.executable} -P -m pathspider"
        runs = {}
        for name in ("trial_single", "trial_desynchronized_chain"):
            model, chain = PACKAGES[name]
            write(self.folder / name, package(name, model, chain))
            readme = self.folder.joinpath(name, "README.md").read_text(encoding="utf-8")
            commands = re.findall(r"^\$ (?:sudo )?(.* lab (?:targets|run) .*)", readme, re.MULTILINE)
            self.assertEqual(len(commands), 2)
            lines = [command.replace("pspdr", this) for command in commands]
            runs[name] = start(["sh", "-ec", "\n".join(lines)], self.folder / name)
        for name, run in runs.items():
            with self.subTest(name):
                output, _ = run.communicate(timeout=60)
                self.assertEqual(run.returncode, 0, output)
                found = [json.loads(line)["conditions"] for line in output.splitlines() if line.startswith("{")]
                self.assertEqual(len(found), 6 if PACKAGES[name][1] else 4)
                self.assertEqual(len({*map(str, found)}), 3 if PACKAGES[name][1] else 2, found)

    def test_what_to_do_next_can_be_done(self):
        done = pspdr("new-plugin", "trial", "--model", "single", "--directory", "my new trial", cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        commands = [line for line in done.stdout.splitlines() if line.startswith("  ")]
        self.assertEqual(len(commands), 3)
        lab = subprocess.run(["sh", "-e"], input="\n".join(commands[:2]), cwd=self.folder, capture_output=True,
                             text=True, check=False, timeout=60)
        self.assertEqual((lab.returncode, lab.stdout), (0, "4 paths, all as the truth has it\n"), lab.stderr)

    def test_an_experiment_in_twenty_lines(self):
        """Of code, without blank lines and docstrings; that it works is in the tests above."""
        text = package("oddstamps", "traversal")["pathspider/plugins/oddstamps.py"]
        docstrings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
        said = {line for node in docstrings for line in range(node.lineno, node.end_lineno + 1)}
        code = [line for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in said]
        self.assertIn('    name = "oddstamps"', code)
        self.assertLessEqual(len(code), 20)

    @in_checkout
    def test_the_change_that_the_first_hour_makes(self):
        write(self.folder / "option253", package("option253", "forge"))
        change = OUR_CONFIG.parent / "docs" / "first-hour" / "option253.diff"
        subprocess.run(["git", "apply", change], cwd=self.folder / "option253", check=True)
        done = pspdr("lab", "check", "--scenarios", "scenarios/option253.py", "option253",
                     cwd=self.folder / "option253")
        self.assertEqual(done.stdout, "4 paths, all as the truth has it\n", done.stderr)

    @unittest.skipUnless(find_spec("setuptools"), "setuptools is not here")
    def test_installed(self):
        write(self.folder / "package", package("trial", "desynchronized", chain=True))
        subprocess.run([sys.executable, "setup.py", "-q", "install_lib", "-d", self.folder / "lib"],
                       cwd=self.folder / "package", check=True, capture_output=True)
        installed = {str(path.relative_to(self.folder / "lib")) for path in self.folder.joinpath("lib").rglob("*.py")}
        self.assertEqual(installed, {"pathspider/plugins/trial.py", "pathspider/chains/trial.py"})
        self.assertIn("--segment", pspdr("measure", "trial", "--help", cwd="/", path=self.folder / "lib").stdout)
        self.assertRegex(pspdr("observe", "--list-chains", cwd="/", path=self.folder / "lib").stdout, r"(?m)^trial\b")
        subprocess.run([sys.executable, "setup.py", "-q", "egg_info", "-e", self.folder],
                       cwd=self.folder / "package", check=True, capture_output=True)
        requires = self.folder.joinpath("pathspider_trial.egg-info", "requires.txt").read_text(encoding="utf-8")
        self.assertEqual(requires, "pathspider>=3.dev0\n")  # whoever lacks it is not to get 2.0 from PyPI
        self.assertTrue(__version__.startswith("3."))
        for arguments, found in (("--model", "single"), "plugin"), (("--model", "forge", "--chain"), "plugin"):
            again = pspdr("new-plugin", "trial", *arguments, cwd=self.folder, path="lib")
            self.assertEqual(again.returncode, 2)
            self.assertIn(f"there is a {found} called 'trial' already", again.stderr)

    def test_style(self):
        ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if not ruff:
            self.skipTest("ruff is not here")
        for name, (model, chain) in PACKAGES.items():
            write(self.folder / name, package(name, model, chain))
        for config in (["--config", OUR_CONFIG], []) if CHECKOUT else ([],):
            done = subprocess.run([ruff, "check", "-q", "--no-cache", "--output-format=concise", *config, self.folder],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.stdout + done.stderr, "")


class TestRefusals(Folder):
    def refused(self, *arguments):
        """The message of a command line that is refused with exit status 2."""
        output = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(output), \
                self.assertLogs("pathspider", "ERROR") as logs:
            self.assertEqual(main(["new-plugin", *arguments]), 2)
        self.assertEqual(output.getvalue(), "")
        return logs.records[0].getMessage()

    def test_names(self):
        for name, why in {"Probe": "lower-case", "9lives": "begins with a letter", "a-b": "lower-case", "_x": "begins",
                          "": "lower-case", "../x": "lower-case", "ünicode": "lower-case", "x\n": "lower-case",
                          "lambda": "keyword", "pathspider": "there is no verdict",
                          "ecn": "a plugin called 'ecn' already"}.items():
            with self.subTest(name=name):
                self.assertIn(why, self.refused(name, "--model", "single"))
        self.assertIn("a chain called 'basic' already", self.refused("basic", "--model", "single", "--chain"))
        self.assertIn("needs no chain of its own", self.refused("trial", "--model", "traversal", "--chain"))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_plugin_whose_module_is_called_otherwise(self):
        write(self.folder / "other", package("trial", "single"))
        plugins = self.folder / "other" / "pathspider" / "plugins"
        plugins.joinpath("trial.py").rename(plugins / "module.py")
        done = pspdr("new-plugin", "trial", "--model", "single", cwd=self.folder, path="other")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is a plugin called 'trial' already", done.stderr)

    def test_folders(self):
        self.folder.joinpath("file").write_text("mine", encoding="utf-8")
        self.folder.joinpath("empty").mkdir()
        self.folder.joinpath("dangling").symlink_to("nothing")
        for there in ("file", "empty", "dangling"):
            self.assertIn(f"{there} is there already", self.refused(*TRIAL, "--directory", there))
        self.assertIn("No such file or directory", self.refused(*TRIAL, "--directory", "no/where"))
        self.assertEqual(self.folder.joinpath("file").read_text(encoding="utf-8"), "mine")
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"file", "empty", "dangling"})
        self.assertEqual(list(self.folder.joinpath("empty").iterdir()), [])

    def test_a_failure_half_way_leaves_nothing(self):
        write_text = Path.write_text
        for error, raised in (OSError(28, "disk full"), UsageError), (KeyboardInterrupt(), KeyboardInterrupt):
            outcomes = iter([None] * 5 + [error])

            def fail_later(*args, outcomes=outcomes, **options):
                if (outcome := next(outcomes)) is not None:
                    raise outcome
                return write_text(*args, **options)

            with patch.object(Path, "write_text", fail_later), self.assertRaises(raised):
                write(self.folder / "trial", package("trial", "single"))
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_no_model(self):
        for arguments in (["trial"], ["trial", "--model", "quantum"]):
            with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as end:
                main(["new-plugin", *arguments])
            self.assertEqual(end.exception.code, 2)
            self.assertIn("--model", errors.getvalue())


class TestText(unittest.TestCase):
    def test_every_line_of_a_template_is_for_someone(self):
        for name in ("README.md", "scenarios.py", "test.py", *(f"{model}.py" for model in MODELS)):
            for model, chain in PACKAGES.values():
                text = fill(name, {"name": "x", "class": "X"}, {model, "chain"} if chain else {model})
                self.assertNotRegex(text, r"\{\{|#if|#else|#end")

    def test_imports_stay_in_order_whatever_the_name(self):
        for name in ("aaa", "zzz", "tcp_more"):
            text = package(name, "desynchronized", chain=True)[f"pathspider/plugins/{name}.py"]
            lines = [line.split()[1] for line in text.splitlines() if line.startswith("from pathspider.")]
            self.assertEqual(lines, sorted(lines))
        self.assertEqual(sorted_imports("import x\n\nfrom pathspider.b import c\nfrom pathspider.a import d\n\nx\n"),
                         "import x\n\nfrom pathspider.a import d\nfrom pathspider.b import c\n\nx\n")

    def test_next_steps_name_the_program_where_sudo_finds_it(self):
        for found, pspdr, python in ("/usr/bin/", "pspdr", "python3"), (None, "/usr/bin/pspdr", "/usr/bin/python3.11"):
            with patch("shutil.which", lambda name, path=None, found=found: found and found + name), \
                    patch("sys.executable", "/usr/bin/python3.11"), patch("os.geteuid", return_value=1000):
                text = next_steps("trial", Path("there"))
            check = f"sudo PYTHONPATH=. {pspdr} lab check --scenarios scenarios/trial.py trial"
            self.assertIn(f"  cd there\n  {check}\n  {python} -m unittest\n", text)
