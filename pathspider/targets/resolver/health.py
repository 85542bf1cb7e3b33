"""Which of several resolvers are asked: one that fails where others answer is set aside, and tried again now and then.

Silence alone says nothing of a resolver: the names may be dead. What counts against it are questions that another one
has answered. Values in, values out, as :mod:`~pathspider.targets.resolver.core`.
"""

from __future__ import annotations

from typing import NamedTuple

IN_A_ROW = 20
"""So many questions, none of its own answered in between, and a resolver is set aside."""
PAUSE, LONGEST_PAUSE = 5.0, 320.0
"""Seconds until it is tried again; twice as many each time."""


class Change(NamedTuple):
    """A resolver is set aside, or asked again."""

    server: int
    problem: str
    """Why it is set aside, in a word; empty if it answers again."""


class Health:
    """What is known of some resolvers. The methods take the time."""

    def __init__(self, servers: int) -> None:
        self.in_use: list[int] = [*range(servers)]
        """Those that are asked; one at least."""
        self.aside: dict[int, float] = {}
        """When each of the others is tried again."""
        self.changes: list[Change] = []
        """Those since somebody has looked."""
        self._in_a_row = [0] * servers
        self._pauses = [PAUSE] * servers
        self._since = [0.0] * servers
        self._times = [0] * servers
        self._seconds = [0.0] * servers

    def failed(self, server: int, problem: str, now: float) -> bool:
        """Another one has answered what this one did not; whether it is set aside for that."""
        self._in_a_row[server] += 1
        if self._in_a_row[server] < IN_A_ROW or server in self.aside or len(self.in_use) == 1:
            return False
        self.in_use.remove(server)
        self._since[server] = now
        self._times[server] += 1
        self.aside[server] = now + PAUSE
        self._pauses[server] = 2 * PAUSE
        self.changes.append(Change(server, problem))
        return True

    def answered(self, server: int, now: float) -> bool:
        """It has answered; whether it is asked again for that."""
        self._in_a_row[server] = 0
        if self.aside.pop(server, None) is None:
            return False
        self.in_use = sorted([*self.in_use, server])
        self._seconds[server] += now - self._since[server]
        self.changes.append(Change(server, ""))
        return True

    def trial(self, now: float) -> int | None:
        """One that is to be tried again now."""
        return next((server for server, at in self.aside.items() if at <= now), None)

    def tried(self, server: int, now: float) -> None:
        """It is asked one question: not again before the next pause is over."""
        self.aside[server] = now + self._pauses[server]
        self._pauses[server] = min(2 * self._pauses[server], LONGEST_PAUSE)

    def troubles(self, now: float) -> list[tuple[int, int, float, bool]]:
        """The resolvers that were set aside: number, how often, seconds in all, and whether they are so now."""
        return [(server, times, self._seconds[server] + (now - self._since[server] if server in self.aside else 0.0),
                 server in self.aside) for server, times in enumerate(self._times) if times]
