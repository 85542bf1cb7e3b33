"""Servers that others wrote: found where they were unpacked, started from their binaries, never as a service."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pathspider.lab.errors import LabError


def roots() -> list[Path]:
    """Where unpacked Debian packages may be: ``$PATHSPIDER_SERVERS``, and ``.servers`` of a checkout."""
    named = os.environ.get("PATHSPIDER_SERVERS")
    return [*([Path(named).resolve()] if named else []), Path(__file__).parents[2] / ".servers"]


def find_program(program: str, package: str) -> Path:
    """The binary of a program: unpacked, or the system's. Raises LabError with what to do."""
    for root in roots():
        for folder in ("usr/sbin", "usr/bin"):
            if (binary := root / folder / program).exists():
                return binary
    if found := shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return Path(found).parent.resolve() / program  # /sbin is /usr/sbin
    raise LabError(f"no {program} found; unpack one without installing it: apt-get download {package} && "
                   f"dpkg-deb -x {package}_*.deb .servers, and name the folder in PATHSPIDER_SERVERS")


def environment(binary: Path, **more: str) -> dict[str, str]:
    """Environment variables for a program: one that was unpacked looks for its libraries beside itself first."""
    own = dict(os.environ, **more)
    root = binary.parents[2]
    if root in roots():
        beside = [*map(str, sorted(root.glob("usr/lib/*-linux-*"))), *map(str, sorted(root.glob("lib/*-linux-*")))]
        own["LD_LIBRARY_PATH"] = ":".join([*beside, *filter(None, [own.get("LD_LIBRARY_PATH")])])
    return own


def modules(binary: Path, folder: str) -> Path:
    """A folder of a program's plug-ins, below the same root as the binary."""
    return binary.parents[2] / folder
