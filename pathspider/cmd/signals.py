"""SIGINT, SIGTERM and SIGHUP, taken by a thread that waits for nothing else.

A handler of Python's runs in the main thread, and only when that notices: a signal that comes just before the main
thread blocks on a queue is not seen until something else wakes it. So the handler in C writes each signal's number into
a socket (:func:`signal.set_wakeup_fd`), and the thread reads them there: none is lost, however fast they follow each
other. Nothing is blocked, since children would inherit that: whatever a plugin starts can be ended as ever.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ENDS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

ECHO = 0.2
"""Seconds in which the same signal again is not another: timeout(1) sends it to the process and to its group."""


class Signals:
    """Keeps the signals that end us from now on; to be made in the main thread, before it waits for anything long.

    SIGHUP stays ignored where nohup(1) has it so. SIGINT does not, though a shell without job control has it so for
    what it starts in the background: a script can say ``kill -INT``.
    """

    def __init__(self) -> None:
        self._numbers, told = socket.socketpair()
        told.setblocking(False)
        self._told = told  # open as long as this object: the interpreter has its number alone
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        self._before = {number: handler for number in ENDS if (handler := signal.getsignal(number)) != signal.SIG_IGN}
        self._before.setdefault(signal.SIGINT, signal.default_int_handler)
        self._keep()

    def _keep(self) -> None:
        for number in self._before:
            signal.signal(number, lambda *_: None)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """While the body runs, and waits for others, signals end us as they did before; one that has come, too."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        try:
            with suppress(BlockingIOError):
                while True:
                    come = self._numbers.recv(1, socket.MSG_DONTWAIT)[0]
                    if come in ENDS:
                        signal.raise_signal(come)
            yield
        finally:
            self._keep()

    def respond(self, *responses: Callable[[int], None]) -> None:
        """Call the first response with the first signal's number, the second with the second's, and so on. Those that
        have come by now count."""
        threading.Thread(target=self._wait, args=responses, name="signals", daemon=True).start()

    def _wait(self, *responses: Callable[[int], None]) -> None:
        last, over = 0, 0.0
        for response in responses:
            number = self._next()
            while number == last and time.monotonic() < over:
                number = self._next()
            response(number)
            last, over = number, time.monotonic() + ECHO

    def _next(self) -> int:
        while (number := self._numbers.recv(1)[0]) not in ENDS:  # a handler of a plugin's
            pass
        return number
