"""What this process may have of the machine: open files, threads."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

RESERVE = 64
"""For all else: input, output, capture, settings, what libraries open."""

OTHER_THREADS = 17
"""Threads beside the workers."""

STACK_BYTES = 4 << 20
"""Of a worker's thread: address space, of which only what is used costs memory. The default is 8 MiB; with 2 MiB a
plugin's endless recursion through ``sorted()`` ends the process, with 4 it is a ``RecursionError``."""


class LimitError(RuntimeError):
    """There cannot be as many workers as were asked for; the text says why and what to do."""


def allow_workers(count: int, descriptors: int) -> None:
    """Raise the limit of open files as far as ``count`` workers need, or raise :exc:`LimitError`.

    A worker without a descriptor gives no verdict, and one without a thread ends the run. See getrlimit(2).

    :param descriptors: how many one worker has open at once, at most
    """
    check_threads(count)
    needed = count * descriptors + RESERVE
    if (hard := _raise_files(needed)) is not None:
        raise LimitError(f"{count} workers need {needed} open files, and this process may have {hard}: "
                         f"{at_most((hard - RESERVE) // descriptors)}raise the limit (ulimit -n {needed})")


def allow_files(count: int) -> None:
    """Raise the limit of open files so that ``count`` of them can be read together, or raise :exc:`LimitError`."""
    needed = count + RESERVE
    if (hard := _raise_files(needed)) is not None:
        raise LimitError(f"{count} files are open at once, and this process may have {hard}: raise the limit "
                         f"(ulimit -n {needed}), or give fewer")


def _raise_files(needed: int) -> int | None:
    """Raise the limit of open files; where it cannot be so high, its highest value."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    if hard != resource.RLIM_INFINITY and hard < needed:
        return hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return None


def check_threads(count: int, proc: Path = Path("/proc")) -> None:
    """Raise :exc:`LimitError` if ``count`` workers are more threads than there may be."""
    rooms = list(thread_limits(proc))
    room, what = min(rooms, default=(count + OTHER_THREADS, ""))
    if room < count + OTHER_THREADS:
        raise LimitError(f"{count} workers are {count} threads, and {what}: {at_most(room - OTHER_THREADS)}raise the "
                         "limit")


def at_most(workers: int) -> str:
    """The advice to have so many workers; none where not even one can be had."""
    return f"use at most -w {workers}, or " if workers > 0 else ""


def thread_limits(proc: Path = Path("/proc")) -> Iterator[tuple[int, str]]:
    """How many more threads there may be, by each limit, and what that limit is. proc(5), cgroups(7), getrlimit(2)"""
    with suppress(OSError, ValueError):
        most = int((proc / "sys/kernel/threads-max").read_text())
        yield most - _threads_of_all(proc), f"kernel.threads-max is {most}"
    with suppress(OSError, ValueError):
        # a thread's stack and the guard page before it are one mapping each
        maps = int((proc / "sys/vm/max_map_count").read_text())
        yield maps // 2 - threading.active_count() - 500, f"vm.max_map_count is {maps}"
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            used = int((proc / "self/statm").read_text().split()[0]) * resource.getpagesize()
            yield (space - used) // STACK_BYTES, f"this process may have {space >> 10} KiB of address space (ulimit -v)"
    if os.geteuid():
        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        if soft != resource.RLIM_INFINITY:
            yield soft - _threads_of(os.getuid(), proc), f"this user may have {soft} (ulimit -u)"
    for folder in pids_groups(proc):
        with suppress(OSError, ValueError):
            most = int((folder / "pids.max").read_text())
            now = int((folder / "pids.current").read_text())
            yield most - now, f"pids.max of {folder} is {most}"


def pids_groups(proc: Path = Path("/proc")) -> Iterator[Path]:
    """The control groups, version 1 or 2, that may limit how many threads we have, from the inmost outwards."""
    mounts: dict[str, tuple[Path, str]] = {}
    try:
        mounted_here, groups = ((proc / "self" / name).read_text(errors="replace").splitlines()
                                for name in ("mountinfo", "cgroup"))
    except OSError:  # a kernel without control groups, or no /proc
        return
    for line in mounted_here:
        fields, _, rest = line.partition(" - ")
        kind, _, options = (*rest.split(" "), "", "")[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "pids" in options.split(",")):
            root, mounted = fields.split(" ")[3:5]
            mounts[kind] = (Path(mounted), root)
    for line in groups:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        kind = "cgroup2" if number == "0" else "cgroup" if "pids" in controllers.split(",") else ""
        if kind in mounts:
            point, root = mounts[kind]
            group = PurePosixPath(path)
            if ".." in group.parts or not group.is_relative_to(root):
                continue  # outside of what is mounted here
            inside = group.relative_to(root)
            yield from (point / folder for folder in (inside, *inside.parents))


def _threads_of_all(proc: Path) -> int:
    """The threads that there are: the second number of the fourth field of loadavg. proc(5)"""
    return int((proc / "loadavg").read_text().split()[3].partition("/")[2])


def _threads_of(user: int, proc: Path) -> int:
    count = 0
    for folder in proc.iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and folder.stat().st_uid == user:
                count += len(os.listdir(folder / "task"))
    return count


@contextmanager
def stack_size() -> Iterator[None]:
    """Threads that the body starts have stacks of :data:`STACK_BYTES`: ten thousand of them fit."""
    before = threading.stack_size(STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)
