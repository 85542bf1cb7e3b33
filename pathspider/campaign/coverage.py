"""How many of a campaign's targets records are of, slot by slot, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from pathspider.campaign.chunks import ANY
from pathspider.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from pathspider.campaign.folder import Definition

MOST_NAMED = 3
"""Vantage points that are named, if there is more than one beside."""


class Measured(TypedDict):
    """So many of a slot's targets are measured."""

    slot: str
    measured: int
    targets: int


class Coverage:
    """Counts the targets of chunks, each chunk once.

    :param slots: only theirs
    """

    def __init__(self, definition: Definition, slots: Sequence[str] | None = None) -> None:
        self._targets = definition.targets
        self._size = definition.chunk
        self._chunks: dict[str, set[int]] = {slot: set() for slot in (definition.slots if slots is None else slots)}

    def add(self, slot: str, number: int) -> None:
        """Count a chunk."""
        self._chunks[slot].add(number)

    def rows(self) -> list[Measured]:
        """How many targets of each slot the chunks have; the last chunk may be a short one."""
        return [Measured(slot=slot, targets=self._targets,
                         measured=sum(min(self._size, self._targets - number * self._size) for number in chunks))
                for slot, chunks in self._chunks.items()]


def merged(tables: Iterable[Iterable[Measured]]) -> list[Measured]:
    """Of each slot the one of which the fewest targets are measured."""
    least: dict[str, Measured] = {}
    for table in tables:
        for row in table:
            if row["slot"] not in least or row["measured"] < least[row["slot"]]["measured"]:
                least[row["slot"]] = row
    return [*least.values()]


def not_all(rows: Iterable[Measured]) -> str:
    """Of which slots there are not the results of all targets, and of how many; nothing where all are there."""
    short = [row for row in rows if row["measured"] < row["targets"]]
    named = MOST_NAMED if len(short) > MOST_NAMED + 1 else len(short)
    told = [f"{whose(row['slot'])} results of {row['measured']:,} of {row['targets']:,} targets"
            for row in short[:named]]
    if len(short) > named:
        told.append(f"{len(short) - named:,} more vantage points have not all either")
    return ", ".join(told)


def whose(slot: str) -> str:
    """How it is told who has results."""
    return "there are" if slot == ANY else f"{printable(slot)} has"


def not_finished(folder: str | Path, rows: Iterable[Measured]) -> str:
    """The same of the campaign in a folder, as a sentence; nothing where all are measured."""
    who = not_all(rows)
    return who and f"the campaign in {folder} is not finished: {who}"


def rows_of(facts: Mapping[str, object]) -> list[Measured]:
    """What a run's metadata have of it, as far as that is readable."""
    campaign = facts.get("campaign")
    told = campaign.get("measured") if isinstance(campaign, dict) else None
    return [Measured(slot=str(row["slot"]), measured=row["measured"], targets=row["targets"])
            for row in (told if isinstance(told, list) else ())
            if isinstance(row, dict) and "slot" in row
            and all(type(row.get(name)) is int for name in ("measured", "targets"))]
