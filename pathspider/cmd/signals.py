"""SIGINT, SIGTERM and SIGHUP, taken by a thread that waits for nothing else.

A handler of Python's would run in the main thread, and only when that notices: a signal that comes just before the
main thread blocks on a queue is not seen until something else wakes it. Waiting for a blocked signal loses none,
however fast they follow each other.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def _ends() -> set[signal.Signals]:
    """Those that end us: not SIGHUP where nohup(1) has it ignored, since a blocked signal comes even then."""
    return {one for one in ENDS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN}


def block_signals() -> None:
    """Keep the signals pending; to be called before any thread is started, since threads inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ends())


@contextmanager
def signals_allowed() -> Iterator[None]:
    """While the body runs, and may wait for others, signals end us as if they had not been blocked."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ends())
    try:
        yield
    finally:
        block_signals()


ECHO = 0.2
"""Seconds in which the same signal again is not another: timeout(1) sends it to the process and to its group."""


def on_signals(*responses: Callable[[int], None]) -> None:
    """From now on, call the first response with the first signal's number, the second with the second's, and so on."""

    ends = _ends()

    def wait() -> None:
        for response in responses:
            number = signal.sigwait(ends)
            response(number)
            over = time.monotonic() + ECHO
            while signal.sigtimedwait({number}, max(over - time.monotonic(), 0)):
                pass

    threading.Thread(target=wait, name="signals", daemon=True).start()
