"""Programs for scripts under test, in a folder to be put before ``PATH``: this ``pspdr``, its Python, a ``jq``."""

import shutil
import sys
from pathlib import Path

from tests.packaging.files import ROOT

SERVERS = ROOT / ".servers"


def write_program(folder, name, line):
    """A shell script of one line."""
    path = Path(folder, name)
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def write_programs(folder):
    write_program(folder, "pspdr", f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{ROOT}" exec {sys.executable} -P '
                                   '-m pathspider "$@"')
    write_program(folder, "python3", f'exec {sys.executable} "$@"')
    unpacked = SERVERS / "usr" / "bin" / "jq"
    jq = unpacked if unpacked.exists() else shutil.which("jq")
    if not jq:
        raise FileNotFoundError("jq is not here: make servers unpacks it")
    beside = ":".join(map(str, SERVERS.glob("usr/lib/*-linux-*")))
    write_program(folder, "jq", f'LD_LIBRARY_PATH={beside} exec {jq} "$@"' if jq is unpacked else f'exec {jq} "$@"')
