"""Programs for scripts under test, in a folder to be put before ``PATH``: this ``pspdr``, its Python, a ``jq``.

And what runs a program as somebody else.
"""

import os
import shutil
import sys
from importlib.util import find_spec
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


def with_unbound():
    """The environment for a process that is to have Debian's python3-unbound, installed or unpacked."""
    packages = SERVERS / "usr/lib/python3/dist-packages"
    if find_spec("unbound") is None and not (packages / "unbound.py").exists():
        raise FileNotFoundError("python3-unbound is not here: make servers unpacks it")
    libraries = ":".join(map(str, SERVERS.glob("usr/lib/*-linux-*")))
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{packages}", "LD_LIBRARY_PATH": libraries}


def as_nobody(*capabilities):
    """What stands before a command to run it as a normal user, with capabilities such as ``net_raw``.

    One more lets it read the checkout: that may be in a home which only its owner may enter, as Debian makes them.
    """
    ambient = ",".join(f"+{name}" for name in ("dac_read_search", *capabilities))
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps={ambient}",
            f"--ambient-caps={ambient}"]
