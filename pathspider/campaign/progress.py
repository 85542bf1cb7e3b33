"""How far a campaign is: for each vantage point, in a table and in a file."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pathspider.atomic import atomic_write
from pathspider.campaign.folder import Campaign
from pathspider.run.judge import timestamp
from pathspider.text import printable

log = logging.getLogger("pathspider")

SPAN = 600.0
"""Seconds over which the rate is taken."""

HEADS = ("vantage point", "done", "of", "rate", "left", "last seen", "errors", "")


@dataclass
class Row:
    """One vantage point, or what is split between all of them."""

    name: str
    done: int = 0
    """Targets that have results."""
    total: int | None = 0
    """None for a vantage point of a campaign that is split: nobody knows its part."""
    rate: float = 0.0
    """Targets per second in the last minutes."""
    seconds_left: float | None = None
    last_seen: float | None = None
    """Seconds since the epoch."""
    errors: int = 0
    """Chunks that were given up, or could not be measured."""
    remark: str = ""
    """What is wrong with it."""
    unfinished: int = 0
    """Of the targets that have results, those without a verdict, or part of one, for a reason of the machine."""


@dataclass
class Progress:
    """Counts chunks as they come."""

    campaign: Campaign
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What vantage points have said of themselves last, and when: ``at``, ``errors``, ``remark``."""
    under_way: Callable[[str], int] = lambda slot: 0
    """Targets of a slot's chunk under way that have their records."""

    def __post_init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, int]]] = {slot: deque() for slot in self.campaign.definition.slots}
        self._sampling = threading.Lock()

    def rows(self, now: float) -> list[Row]:
        """How it stands at this moment, in seconds since the epoch. Any thread may ask."""
        with self._sampling:
            return self._rows(now)

    def _rows(self, now: float) -> list[Row]:
        definition = self.campaign.definition
        dead = self.campaign.dead()
        found = []
        for slot in definition.slots:
            done = self._targets(slot) + self.under_way(slot)
            samples = self._samples[slot]
            if not samples or samples[-1][1] != done:
                samples.append((now, done))
            while len(samples) > 2 and samples[0][0] < now - SPAN:
                samples.popleft()
            began, before = samples[0]
            rate = (done - before) / (now - began) if now > began else 0.0
            said = self.seen.get(slot, {})
            left = None if not rate else (definition.targets - done) / rate
            found.append(Row(slot, done, definition.targets, rate, left, said.get("at"),
                             sum(place[0] == slot for place in dead) + int(said.get("errors", 0)),
                             str(said.get("remark", "")),
                             sum(one.reasons.total() for one in self.campaign.unfinished([slot]).values())))
        found += [Row(name, total=None, last_seen=said.get("at"), errors=int(said.get("errors", 0)),
                      remark=str(said.get("remark", "")))
                  for name, said in sorted([*self.seen.items()]) if name not in definition.slots]
        return found

    def _targets(self, slot: str) -> int:
        """Targets of a slot whose chunks are done; the last chunk may be a short one."""
        definition, done = self.campaign.definition, self.campaign.done(slot)
        chunks = self.campaign.order(slot).chunks
        short = chunks * definition.chunk - definition.targets if chunks - 1 in done else 0
        return len(done) * definition.chunk - short

    def state(self, now: float, rows: Iterable[Row], *, runs: bool | None = None) -> dict[str, Any]:
        """What the status file holds.

        :param runs: whether a process runs the campaign; None: whether one has locked its folder
        """
        definition, left = self.campaign.definition, [*self.campaign.left()]
        runs = self.campaign.is_run() if runs is None else runs
        return {"campaign": definition.id, "label": definition.label, "time": timestamp(now),
                "state": "ended" if not left else "cancelled" if self.campaign.cancelled
                else "running" if runs else "interrupted",
                "chunks_left": len(left), "unmeasurable": self.campaign.unmeasurable,
                "unfinished": dict(sum((one.reasons for one in self.campaign.unfinished().values()), Counter())),
                "vantages": [asdict(row) for row in rows],
                "given_up": [{"slot": slot, "chunk": number, "why": why}
                             for (slot, number), why in sorted(self.campaign.dead().items())],
                "damaged": [{"slot": one.slot, "chunk": one.number, "file": str(one.path), "why": one.why}
                            for one in self.campaign.damaged()]}

    def write(self, now: float, *, runs: bool = True) -> list[Row]:
        """Write ``status.json``; the rows of the table.

        :param runs: False where it is written for the last time
        """
        rows = self.rows(now)
        try:
            with atomic_write(self.campaign.folder / "status.json") as stream:
                stream.write(json.dumps(self.state(now, rows, runs=runs), indent=1).encode() + b"\n")
        except OSError as error:
            log.warning("status file: %s", error.strerror)
        return rows


def read_seen(folder: Path) -> dict[str, dict[str, Any]]:
    """What the status file has of each vantage point."""
    try:
        rows = json.loads((folder / "status.json").read_bytes())["vantages"]
        return {row["name"]: {"at": row["last_seen"], "errors": 0, "remark": row["remark"]} for row in rows
                if row["last_seen"] is not None}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def with_rates(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    """The rows with rate and time left as the process that runs the campaign has written them last: of one moment
    alone, nobody knows them."""
    said: dict[str, dict[str, Any]] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = {row["name"]: row for row in json.loads((folder / "status.json").read_bytes())["vantages"]}
    for row in rows:
        known = said.get(row.name, {})
        yield replace(row, rate=known.get("rate", row.rate), seconds_left=known.get("seconds_left", row.seconds_left))


def table(rows: Iterable[Row], now: float) -> str:
    """The rows as text."""
    lines = [HEADS, *(cells(row, now) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) if place in (0, 7) else cell.rjust(width)
                               for place, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                     for line in lines)


def cells(row: Row, now: float) -> tuple[str, ...]:
    """A row as the table shows it."""
    left = "" if row.seconds_left is None or row.done == row.total else duration(row.seconds_left)
    seen = "" if row.last_seen is None else f"{duration(max(0.0, now - row.last_seen))} ago"
    counted = ("", "", "") if row.total is None else (f"{row.done:,}", f"{row.total:,}", f"{row.rate:.1f}/s")
    return (printable(row.name), *counted, left, seen, str(row.errors or ""), printable(row.remark))


def duration(seconds: float) -> str:
    """A time in its two largest units at most: ``2h 05m``."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02d}h"
    if hours:
        return f"{hours}h {minutes % 60:02d}m"
    return f"{minutes}m {int(seconds) % 60:02d}s" if minutes else f"{int(seconds)}s"
