"""What this process may have of the machine: open files."""

from __future__ import annotations

import resource

PER_WORKER = 4
"""Descriptors that one worker has open at most: libcurl has three for a connection, and a fourth for a moment."""

RESERVE = 64
"""For all else: input, output, capture, settings, what libraries open."""


class LimitError(RuntimeError):
    """There cannot be as many workers as were asked for; the text says why and what to do."""


def allow_workers(count: int) -> None:
    """Raise the limit of open files as far as ``count`` workers need, or raise :exc:`LimitError`.

    A worker without a descriptor would look like a path that is broken. See getrlimit(2).
    """
    needed = count * PER_WORKER + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        most = max((hard - RESERVE) // PER_WORKER, 0)
        raise LimitError(f"{count} workers need {needed} open files, and this process may have {hard}: "
                         f"use at most -w {most}, or raise the limit (ulimit -n {needed})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
