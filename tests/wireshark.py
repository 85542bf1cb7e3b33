"""What Wireshark's own programs read of a capture file. `make servers` unpacks them."""

import os
import shutil
import subprocess

from tests.programs import SERVERS


def program(name, *arguments):
    """What tshark or capinfos says."""
    unpacked = SERVERS / "usr" / "bin" / name
    found = unpacked if unpacked.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} is not here: make servers unpacks it")
    beside = ":".join(map(str, SERVERS.glob("usr/lib/*-linux-*"))) if found is unpacked else ""
    done = subprocess.run([str(found), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100,
                          env={**os.environ, "LD_LIBRARY_PATH": beside, "LC_ALL": "C.UTF-8"})
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout


def fields(path, *names, where=""):
    """These fields of each packet, a list of texts."""
    chosen = [word for name in names for word in ("-e", name)]
    said = program("tshark", "-n", "-r", path, *(("-Y", where) if where else ()), "-T", "fields", *chosen)
    return [line.split("\t") for line in said.splitlines()]


def facts(path):
    """What capinfos says of a file: lists of values by what they are."""
    found = {}
    for line in program("capinfos", path).splitlines():
        name, _, value = line.partition(" = " if " = " in line and not line.startswith("Capture") else ":")
        found.setdefault(name.strip(), []).append(value.strip())
    return found
