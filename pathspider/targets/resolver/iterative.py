"""Resolving without a resolver: from the name servers of the root on, with a cache, by libunbound. :rfc:`1034`, 5.3.3

libunbound tells SERVFAIL for whatever has failed on the way: silence, refusals and broken answers are one here.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.message import Answer, decode_name, read_answer

OPTIONS = {"outgoing-range:": "1024", "num-queries-per-thread:": "512", "target-fetch-policy:": "0 0 0 0 0",
           "edns-buffer-size:": "1232", "module-config:": "iterator"}
"""unbound.conf(5). Without the validator: what is signed wrongly has its addresses as well."""


SPECIAL = ("test.",)
"""Zones of which libunbound knows that the Internet has none: the lab does. :rfc:`6761`"""


class MissingError(RuntimeError):
    """libunbound is not there, or cannot be used as asked; the text says what to do."""


def _load() -> Any:
    try:
        return import_module("unbound")
    except ImportError as error:
        raise MissingError(f"the Python module unbound cannot be loaded ({error}): install Debian's package "
                           "python3-unbound; a virtual environment needs --system-site-packages to see it") from None


class Iterative:
    """As :class:`~pathspider.targets.resolver.engine.Engine`, for names that are asked of their own servers.

    :param timeout: seconds until a question is given up
    :param root_hints: a zone file with the name servers of the root; None for those that libunbound knows
    :param options: further ones of unbound.conf(5), such as ``do-not-query-localhost:``
    """

    def __init__(self, timeout: float, root_hints: str | None = None, options: dict[str, str] | None = None) -> None:
        self._module = _load()
        self._context = self._module.ub_ctx()
        if root_hints is not None and not Path(root_hints).is_file():
            raise MissingError(f"root hints {root_hints}: there is no such file")
        hints = {} if root_hints is None else {"root-hints:": root_hints}
        for name, value in {**OPTIONS, **hints, **(options or {})}.items():
            if self._context.set_option(name, value):
                raise MissingError(f"libunbound does not take {name} {value}")
        for zone in SPECIAL:
            self._context.zone_remove(zone)
        self._context.set_async(True)
        self.pending = 0
        self._timeout = timeout
        self._ends: deque[tuple[float, Question, int]] = deque()
        """When each question is given up, and its number at libunbound."""
        self._finished: list[Question] = []
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        for descriptor in (self._bell, self._context.get_fd()):
            self._epoll.register(descriptor, select.EPOLLIN)

    def __enter__(self) -> Iterative:
        return self

    def __exit__(self, *error: object) -> None:
        for _, question, number in self._ends:
            if not question.done:
                self._context.cancel(number)
        self._context = None  # ends its thread
        self._epoll.close()
        os.close(self._bell)

    def wake(self) -> None:
        """Have :meth:`step` return."""
        os.eventfd_write(self._bell, 1)

    def free_in(self) -> float:
        """Seconds until another question would be begun at once."""
        return 0.0 if self.pending < int(OPTIONS["num-queries-per-thread:"]) else 1.0

    def troubles(self) -> list[str]:
        """What is to be told of resolvers at the end: there are none."""
        return []

    def ask(self, question: Question) -> None:
        """Begin with a question."""
        self.pending += 1
        status, number = self._context.resolve_async(decode_name(question.asked[:-4]), None, self._callback(question),
                                                question.asked[-3], 1)
        if status:
            self._over(question, Answer("invalid"))
        else:
            self._ends.append((monotonic() + self._timeout, question, number))

    def _callback(self, question: Question) -> Callable[[Any, int, Any], None]:
        def answered(_: Any, status: int, result: Any) -> None:
            if question.done:
                return
            packet = result.packet if not status and result is not None else None
            self._over(question, read_answer(question.asked, packet) if packet else Answer("servfail"))

        return answered

    def _over(self, question: Question, answer: Answer) -> None:
        question.answer = Answer("nodata", (), answer.chain) if answer.problem == "no_recursion" else answer
        question.done = True
        self.pending -= 1
        self._finished.append(question)

    def step(self, longest: float) -> list[Question]:
        """Go on, for so many seconds at most while nothing comes; the questions that are over."""
        while self._ends and self._ends[0][1].done:
            self._ends.popleft()
        left = self._ends[0][0] - monotonic() if self._ends else longest
        for descriptor, _ in self._epoll.poll(0 if self._finished else max(0.0, min(longest, left))):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            else:
                self._context.process()
        now = monotonic()
        while self._ends and self._ends[0][0] <= now:
            _, question, number = self._ends.popleft()
            if not question.done:
                self._context.cancel(number)
                self._over(question, Answer("timeout"))
        finished, self._finished = self._finished, []
        return finished
