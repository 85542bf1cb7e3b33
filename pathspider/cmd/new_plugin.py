"""``pspdr new-plugin``: write the package of a plugin that works as it is, to be changed into one of one's own.

The package is made of the files in ``pathspider/templates``. In these, ``{{name}}`` and ``{{class}}`` stand for the
plugin's name and the beginning of its classes' names, and lines between ``#if WORD`` and ``#end`` are for one model, or
for a plugin with a chain of its own.
"""

from __future__ import annotations

import argparse
import keyword
import os
import re
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from pathspider.cmd.main import UsageError
from pathspider.conditions import RUN
from pathspider.discovery import module_names
from pathspider.installed import CHAINS, PLUGINS, available_plugins

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"

MODELS = ("synchronized", "desynchronized", "single", "forge", "traversal")

WITHOUT_CHAIN = ("traversal",)
"""Models whose plugins get the packets themselves."""

SUDO_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sudo(8) looks for commands, as Debian configures it."""

EPILOG = """example: pspdr new-plugin mine --model desynchronized --chain

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``new-plugin`` command."""
    parser = subparsers.add_parser(
        "new-plugin", help="Write the package of a new plugin", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write the package of a new plugin: it measures as it is, has tests and paths in the lab, can be\n"
                    "installed, and waits to be changed into an experiment of your own.")
    parser.add_argument("name", metavar="NAME", help="What the plugin is called: lower-case letters, digits and _.")
    parser.add_argument("--model", choices=MODELS, required=True,
                        help="How it connects: synchronized (a setting of the whole machine differs), desynchronized "
                             "(an option of the socket does), single (one connection), forge (packets made by hand), "
                             "traversal (a table of what is set in a packet).")
    parser.add_argument("--chain", action="store_true", help="With a flow analysis chain of its own.")
    parser.add_argument("--directory", metavar="DIR",
                        help="The folder to write, which must not be there yet. (Default: pathspider-NAME)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Write the package and say what to do next."""
    if args.chain and args.model in WITHOUT_CHAIN:
        raise UsageError(f"--chain: a plugin of the model {args.model} looks at whole packets, and needs no chain of "
                         "its own; leave --chain out")
    check_name(args.name, args.chain)
    folder = Path(args.directory or f"pathspider-{args.name}")
    write(folder, package(args.name, args.model, args.chain))
    print(next_steps(args.name, folder))
    return 0


def check_name(name: str, chain: bool) -> None:
    """:exc:`UsageError` where a plugin, or its chain, cannot have this name."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UsageError(f"{name!r} cannot be a plugin's name: it is made of lower-case letters, digits and _, and "
                         "begins with a letter")
    if keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot be a plugin's name: it is a keyword of Python")
    if name == RUN:
        raise UsageError(f"{name!r} cannot be a plugin's name: conditions that begin with it tell why there is no "
                         "verdict")
    if name in module_names(PLUGINS) or name in {plugin.name for plugin in available_plugins()}:
        raise UsageError(f"there is a plugin called {name!r} already: choose another name")
    if chain and name in module_names(CHAINS):
        raise UsageError(f"there is a chain called {name!r} already: choose another name, or leave --chain out")


def package(name: str, model: str, chain: bool = False) -> dict[str, str]:
    """The files of a plugin's package: path -> text."""
    templates = {
        "README.md": "README.md",
        "pyproject.toml": "pyproject.toml",
        "setup.py": "setup.py",
        "MANIFEST.in": "MANIFEST.in",
        ".gitignore": "gitignore",
        "pathspider/__init__.py": "init.py",
        "pathspider/plugins/__init__.py": "init.py",
        f"pathspider/plugins/{name}.py": f"{model}.py",
        f"scenarios/{name}.py": "scenarios.py",
        "tests/__init__.py": "",
        f"tests/test_{name}.py": "test.py",
    }
    if chain:
        templates |= {"pathspider/chains/__init__.py": "init.py", f"pathspider/chains/{name}.py": "chain.py"}
    words = {"name": name, "class": "".join(part.capitalize() for part in name.split("_"))}
    asked = {model, "chain"} if chain else {model}
    return {path: fill(template, words, asked) for path, template in templates.items()}


def fill(template: str, words: Mapping[str, str], asked: Collection[str]) -> str:
    """One template with its words filled in, and of the parts between ``#if`` and ``#end`` those that are asked for."""
    text = (TEMPLATES / f"{template}.in").read_text(encoding="utf-8") if template else ""
    kept: list[bool] = []
    lines = []
    for line in text.splitlines():
        match line.split():
            case ["#if", word]:
                kept.append(word in asked)
            case ["#else"]:
                kept[-1] = not kept[-1]
            case ["#end"]:
                kept.pop()
            case _ if all(kept):
                lines.append(line + "\n")
    return sorted_imports(re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], "".join(lines)))


def sorted_imports(text: str) -> str:
    """Python source with its imports from PATHspider in order, wherever a plugin's name puts its chain."""
    return re.sub(r"(?:^from pathspider\..*\n)+",
                  lambda block: "".join(sorted(block[0].splitlines(keepends=True), key=lambda line: line.split()[1])),
                  text, flags=re.MULTILINE)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Make a new folder with these files. :exc:`UsageError` where that cannot be; then nothing of it stays behind."""
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(f"{folder} is there already, and nothing is overwritten: name another with "
                         "--directory") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from None
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
        raise


def next_steps(name: str, folder: Path) -> str:
    """What to do with a new package; commands as they have to be typed here."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    here = Path(sys.executable)  # of a virtual environment, perhaps
    pspdr = "pspdr" if shutil.which("pspdr", path=SUDO_PATH) else here.with_name("pspdr")
    python = "python3" if shutil.which("python3") == str(here.with_name("python3")) else here
    return (f"{folder} holds the plugin {name}. What to do next:\n\n"
            f"  cd {quote(str(folder))}\n"
            f"  {sudo}PYTHONPATH=. {quote(str(pspdr))} lab check --scenarios scenarios/{name}.py {name}\n"
            f"  {quote(str(python))} -m unittest\n\n"
            f"Then change pathspider/plugins/{name}.py. README.md says more.")
