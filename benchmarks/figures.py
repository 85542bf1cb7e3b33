"""What the benchmarks share: a command's time, and its memory with all processes that it starts; figures as JSON.

``docs/figures.rst`` is made of these JSON files, which ``make bench`` writes to ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pathspider.version import __version__

PSPDR = [sys.executable, "-P", "-m", "pathspider"]
LOAD = os.getloadavg()[0]
"""What else went on when the benchmark began: processes that ran or waited, on average over a minute."""
EVERY = 0.1
"""Seconds between two looks at the memory of a command."""
_found: dict[str, dict[str, object]] = {}


def _family(root: int) -> Iterator[int]:
    """A process and all that it started, as they are now."""
    children: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children[int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])].append(int(name))
            except (OSError, IndexError):
                continue  # it has ended
    family = [root]
    for one in family:
        family += children[one]
    yield from family


def proportional(root: int) -> float:
    """MiB of a process and all that it started: what several share counts once (PSS, proc(5))."""
    total = 0
    for process in _family(root):
        try:
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return total / 1024


def timed(command: Sequence[str | Path]) -> dict[str, float]:
    """Seconds of a command (``wall``, ``cpu``), and the most MiB that it and all its processes had at once
    (``memory``: the sum of their PSS, looked at ten times a second)."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended, peak = threading.Event(), [0.0]

    def watch() -> None:
        while not ended.wait(EVERY):
            peak.append(max(peak.pop(), proportional(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    ended.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {process.returncode}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": peak[0]}


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json FILE``."""
    parser.add_argument("--json", metavar="FILE", help="write the figures there too, with the machine and the time")


def note(name: str, **figures: object) -> None:
    """What was measured of something; lists, tables and what is no number stay out of it."""
    _found[name] = {key: value for key, value in figures.items()
                    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))}


def write_figures(path: str | None) -> None:
    """All that was noted, with what it was measured on; nothing without a path."""
    if path is None:
        return
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    words = iter(sys.argv)
    made = {
        "command": shlex.join(["benchmarks/" + Path(next(words)).name,
                             *(word for word in words if word != "--json" or not next(words, ""))]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "load": LOAD,
        "processor": cpu[1] if cpu else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory": round(int(memory[1]) / 2**20) if memory else None,
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', '')}, Linux {platform.release()}",
        "versions": f"PATHspider {__version__}, Python {platform.python_version()}",
    }
    Path(path).write_text(json.dumps({"made": made, "rows": _found}, indent=1) + "\n", encoding="utf-8")
