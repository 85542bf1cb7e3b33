"""Between which two hops of a path it happens, grouped by the two addresses: an interval, and never a culprit."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pathspider.report.questions import HOP

CONDITION = re.compile(r"(?P<name>.+)\.hop\.(?P<word>[a-z_]+)(?::(?P<value>.+))?")
INTERVAL = re.compile(r"(?P<low>\d{1,3})-(?P<high>\d{1,3})", re.ASCII)
MOST_INTERVALS = 10_000
"""Different intervals of a file that are told apart."""
MOST_LENGTH = 60
UNKNOWN = "not known"


class End(NamedTuple):
    """An end of an interval: the address that answered, and its AS where the path tells that."""

    address: str
    system: str

    def __str__(self) -> str:
        return f"{self.address} ({self.system})" if self.system else self.address


class Interval(NamedTuple):
    """What happens between two hops; without ends where it was not located between two."""

    name: str
    """Of the feature: ``ecn``."""
    word: str
    """``changed``, ``dropped``, ``first``, ``not_located:no_answer``, …"""
    low: End | None
    """The last that saw the packet as it was sent."""
    high: End | None
    """The first that did not."""


OTHERS = Interval("…", "…", None, None)
"""Stands for intervals that are too many to be told apart."""


def intervals(record: Mapping[str, Any]) -> Iterator[Interval]:
    """What a record says of where on the path something happens."""
    for condition in record["conditions"]:
        if f"{HOP}." in condition and (found := CONDITION.fullmatch(condition)):
            ends = INTERVAL.fullmatch(found["value"] or "")
            name, word = found["name"][:MOST_LENGTH], found["word"]
            if ends:
                yield Interval(name, word, _end(record, int(ends["low"])), _end(record, int(ends["high"])))
            else:
                yield Interval(name, f"{word}:{found['value']}"[:MOST_LENGTH] if found["value"] else word, None, None)


def _end(record: Mapping[str, Any], ttl: int) -> End:
    """The router that answered at this hop, the experiment's packet or else the baseline's; hop 0 is ourselves."""
    path = record.get("path")
    nodes = [one for one in path if isinstance(one, str)] if isinstance(path, list) else []
    if ttl == 0:
        system = nodes[1] if len(nodes) > 1 and re.fullmatch(r"AS\d{1,10}", nodes[1], re.ASCII) else ""
        return End(nodes[0][:MOST_LENGTH] if nodes else UNKNOWN, system)
    hops = record.get("hops")
    for side in ("B", "A"):
        seen = hops.get(side) if isinstance(hops, dict) else None
        for hop in seen if isinstance(seen, list) else ():
            if isinstance(hop, dict) and hop.get("ttl") == ttl and isinstance(hop.get("addr"), str):
                return End(hop["addr"][:MOST_LENGTH], f"AS{hop['ASN']}" if isinstance(hop.get("ASN"), int) else "")
    return End(f"hop {ttl}", "")


def note(counter: Counter[Interval], found: Interval, count: int) -> None:
    """Count an interval that so many records tell of."""
    counter[found if found in counter or len(counter) < MOST_INTERVALS else OTHERS] += count


Group = tuple[tuple[str, str, str, str], int, list[tuple[Interval, int]]]
"""Feature, word and the ASes of both ends; how many targets; its intervals, each with its number of targets."""


def by_systems(counter: Mapping[Interval, int]) -> list[Group]:
    """Intervals grouped by feature, word and the ASes of both ends, most targets first."""
    groups: dict[tuple[str, str, str, str], Counter[Interval]] = defaultdict(Counter)
    for one, count in counter.items():
        systems = [end.system or UNKNOWN if end else "" for end in (one.low, one.high)]
        groups[one.name, one.word, systems[0], systems[1]][one] += count
    return sorted(((key, found.total(), sorted(found.items(), key=lambda item: (-item[1], str(item[0]))))
                   for key, found in groups.items()), key=lambda group: (not group[0][2], -group[1], group[0]))
