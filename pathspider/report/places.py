"""Where targets changed: by autonomous system, by country, by prefix. Kept on disk, for there may be very many."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathspider.report.targets import Move

KINDS = {"as": "AS", "country": "country", "prefix": "prefix", "ip": "IP version"}
"""Kinds of groups, and what people call one."""
COUNTRY_KEYS = ("country", "Country", "CountryCode", "cc")
"""Under which of these keys a job, its ``info`` or its ``canid_info`` may tell the target's country."""
COUNTRY_PLACES = frozenset((*COUNTRY_KEYS, "info", "canid_info"))
"""A record without any of these keys tells no country."""
BATCH = 50_000
MOST_MOVES = 10_000


def country_of(job: Mapping[str, Any]) -> str:
    """The target's country, as two capital letters (ISO 3166), where the job tells it."""
    for place in (job, job.get("info"), job.get("canid_info")):
        if isinstance(place, dict):
            for key in COUNTRY_KEYS:
                if key in place:
                    value = place[key]
                    if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
                        return value.upper()
    return ""


def prefix_of(dip: str) -> str:
    """The network that an address is in: of IPv4 24 bits, of IPv6 48; the address is in its canonical form."""
    if ":" not in dip:
        return f"{dip.rpartition('.')[0]}.0/24"
    head, shortened, _ = dip.partition("::")
    groups = [part or "0" for part in head.split(":")][:3]
    groups += ["0"] * (3 - len(groups)) if shortened else []
    while groups and groups[-1] == "0":
        groups.pop()
    return f"{':'.join(groups)}::/48"


class Places:
    """How many targets of each place changed from which answer to which."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table
        self._table.execute("create table noted (kind text, name text, move integer, targets integer)")
        self._counted: Counter[tuple[str, str, int]] = Counter()
        self._moves: dict[Move, int] = {}

    def note(self, target: str, system: int, country: str, moves: list[Move]) -> None:
        """A target that changed so.

        :param target: as JSON, its address first
        """
        if not moves:
            return
        dip = json.loads(target)[0]
        names = [("as", f"AS{system}" if system else ""), ("country", country)]
        if isinstance(dip, str):
            names += [("prefix", prefix_of(dip)), ("ip", "IPv6" if ":" in dip else "IPv4")]
        for move in moves:
            number = self._moves.get(move)
            if number is None:
                if len(self._moves) >= MOST_MOVES:
                    continue
                number = self._moves[move] = len(self._moves)
            for kind, name in names:
                if name:
                    self._counted[kind, name, number] += 1
        if len(self._counted) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        self._table.executemany("insert into noted values (?, ?, ?, ?)",
                                ((*key, targets) for key, targets in self._counted.items()))
        self._counted.clear()

    def settle(self) -> None:
        """All is noted."""
        self._flush()
        self._table.execute("create table place as select kind, move, name, sum(targets) as targets from noted "
                            "group by kind, move, name order by kind, move, name")
        self._table.execute("drop table noted")
        self._table.execute("create index of_kind on place (kind, move)")

    def of(self, kind: str, ways: Mapping[Move, int]) -> Iterator[tuple[str, int, int]]:
        """Each place in which targets changed so: how many gained the answer, and how many lost it; most first.

        :param ways: what is a gain (1), and what is a loss (-1)
        """
        numbers = {self._moves[move]: way for move, way in ways.items() if move in self._moves}
        marks = {way: ",".join(str(number) for number, one in numbers.items() if one == way) or "-1" for way in (1, -1)}
        yield from self._table.execute(
            f"select name, sum(targets * (move in ({marks[1]}))) as gained, "
            f"sum(targets * (move in ({marks[-1]}))) as lost from place where kind = ? "
            f"and move in ({marks[1]},{marks[-1]}) group by name order by max(gained, lost) desc, gained desc, name",
            (kind,))
