"""What a report needs of some records, taken out where they are parsed: in another process, if there is one."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from pathspider.records import Record
from pathspider.report.hops import Interval, intervals
from pathspider.report.places import COUNTRY_PLACES, country_of
from pathspider.targets.names import canonical_domain
from pathspider.targets.problems import canonical_address, identity, target_asn
from pathspider.targets.reading import LineError, decoded, parse_record

MAX_LENGTH = 200
"""Characters that are kept of a text of which it is counted how often it is there."""
TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d):[0-5]\d\.\d{6}"
TIME_LENGTH = len("2026-11-27 21:06:00.000000")
TIMES = re.compile(f"{TIME} {TIME}", re.ASCII)
SYSTEMS = 1 << 32


@dataclass(slots=True)
class Digest:
    """Some records of a file, one after the other: counts, and a row of each target. Few octets cross processes."""

    records: int = 0
    passive: int = 0
    """Records of pspdr observe: of flows that others made."""
    verdicts: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Each list of conditions, in the order in which they came, and its number here."""
    versions: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Records by the number of their conditions and the target's IP version. As all counters here, this keeps the
    order in which the keys first came."""
    countries: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Records by country and number."""
    systems: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Of records without a target, those by AS and number."""
    first: str = ""
    last: str = ""
    """The first begin and the last end, as records have them."""
    times: Counter[str] = field(default_factory=Counter)
    """Records by the minute in which they begin."""
    runs: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    hops: Counter[Interval] = field(default_factory=Counter)
    targets: list[str] = field(default_factory=list)
    """Targets as JSON; in the same order, there is of each:"""
    numbers: list[int] = field(default_factory=list)
    """the number of its conditions,"""
    ases: list[int | None] = field(default_factory=list)
    """its AS,"""
    places: list[str] = field(default_factory=list)
    """and its country."""
    bad: list[tuple[int, str]] = field(default_factory=list)
    """Lines that are no records: which of the lines, counted from 0, and what is wrong."""

    def add(self, record: Record) -> None:
        """Take out of a record what is needed."""
        self.records += 1
        number = self.verdicts.setdefault(tuple(record["conditions"]), len(self.verdicts))
        dip = record.get("dip")
        version = ("IPv6" if ":" in dip else "IPv4") if isinstance(dip, str) else "no address"
        self.versions[number, version] += 1
        self._note_time(record.get("time"))
        run = record.get("run")
        if run is None:
            self.passive += "pkt_first" in record
        elif isinstance(run, str):
            self.runs[run] += 1
        if "hops" in record:
            self.hops.update(intervals(record))
        path = record.get("path")
        if isinstance(path, list) and path and isinstance(path[0], str):
            has_as = len(path) > 3 and isinstance(path[1], str) and path[1].startswith("AS")
            self.sources[f"{path[0]} {path[1]}" if has_as else path[0]] += 1
        country = "" if COUNTRY_PLACES.isdisjoint(record) else country_of(record)
        if country:
            self.countries[country, number] += 1
        system = _system(record)
        if dip is not None:
            self.targets.append(_target(record))
            self.numbers.append(number)
            self.ases.append(system)
            self.places.append(country)
        elif system is not None:
            self.systems[system, number] += 1

    def _note_time(self, time: object) -> None:
        if not isinstance(time, dict):
            return
        begun, ended = time.get("from"), time.get("to")
        if not (isinstance(begun, str) and isinstance(ended, str) and len(begun) == TIME_LENGTH):
            return
        found = TIMES.fullmatch(f"{begun} {ended}")
        if found is None or not all(minute in self.times or _is_minute(minute) for minute in found.groups()):
            return
        self.times[found[1]] += 1
        if begun < self.first or not self.first:
            self.first = begun
        self.last = max(self.last, ended)


def digest(block: bytes) -> Digest:
    """The records in some lines of ndjson."""
    found = Digest()
    for place, line in enumerate(block.split(b"\n")):
        try:
            if text := decoded(line).strip():
                found.add(parse_record(text))
        except LineError as error:
            found.bad.append((place, str(error)))
    return found


@lru_cache(maxsize=4096)
def _is_minute(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _system(record: Record) -> int | None:
    """The number of the target's AS, where there is one, and it can be one."""
    asn: Any = record.get("dip_asn")
    if type(asn) is not int or asn < 0:
        digits = target_asn(record)
        if not digits or len(digits) > len(str(SYSTEMS)):
            return None
        asn = int(digits)
    return asn if asn < SYSTEMS else None


def _target(record: Record) -> str:
    """A target's identity as JSON: what is told apart by it is the same target in whatever way it is written."""
    dip, port, domain = record.get("dip"), record.get("dp"), record.get("domain")
    if type(dip) is str and type(port) is int and type(domain) is str and domain:
        return f"[{quoted(canonical_address(dip))}, {port}, {quoted(canonical_domain(domain))}]"
    return json.dumps(identity(record))
