"""Records as flat rows: which columns there are, and what is in them.

A record is taken apart once, into a :class:`Batch`; what columns there are is known when the last one was. In between
batches wait in a temporary file, so that memory grows neither with the records nor with what they say.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from itertools import chain, count
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, NamedTuple, Self

from pathspider.conditions import RUN, RUN_CONDITIONS
from pathspider.installed import find_plugin
from pathspider.records import Record
from pathspider.report.questions import parse
from pathspider.targets.problems import target_asn
from pathspider.targets.reading import parse_record

BATCH = 20_000
"""Records that are in memory at once, at most, and"""
BATCH_OCTETS = 1 << 24
"""characters in their lines."""
MOST_FAMILIES = 1000
"""Columns of conditions: of further ones, ``conditions`` alone tells."""
MOST_KEYS = 200
"""Columns of further keys of the jobs; of more than these, ``more`` has them."""
MORE = "more"
JOB = "job."
"""Begins the name of a further key's column where another column has that name."""

INT_64 = 1 << 63


class Kind(Enum):
    """The type of a column. Every value can be missing."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    """UTC, to the microsecond."""
    LIST = "list of texts"
    INTEGERS = "list of integers"
    JSON = "JSON"
    """What has no flat form, as text."""


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: Kind
    meaning: str
    key: str = ""
    """Of the job or the family of conditions, where the column is called otherwise."""


FIXED = (
    Column("dip", Kind.TEXT, "the target's address"),
    Column("ip_version", Kind.INTEGER, "4 or 6, by dip"),
    Column("dp", Kind.INTEGER, "the target's port"),
    Column("domain", Kind.TEXT, "the name that was asked for"),
    Column("domain_ascii", Kind.TEXT, "domain as it went on the wire, where that is another spelling"),
    Column("asn", Kind.INTEGER, "the number of the target's autonomous system, where the job tells it"),
    Column("source", Kind.TEXT, "the vantage point's address: the first of path"),
    Column("time_from", Kind.TIME, "the first packet"),
    Column("time_to", Kind.TIME, "the end of the last connection"),
    Column("run", Kind.TEXT, "the id of the run"),
    Column("path", Kind.LIST, "from the vantage point to the target"),
    Column("order", Kind.INTEGERS, "the configurations as they were made"),
    Column("rounds", Kind.JSON, "what was seen when the target was measured again"),
    Column("missed_flows", Kind.INTEGER, "flows that were expected and not observed"),
    Column("evidence", Kind.TEXT, "the file of its packets"),
    Column("error", Kind.TEXT, "what went wrong in a plugin"),
    Column("conditions", Kind.LIST, "all that was found"),
)
"""The columns that every table has, before those of the conditions and of further keys."""

TAKEN = frozenset({"dip", "dp", "domain", "domain_ascii", "time", "run", "path", "order", "rounds", "missed_flows",
                   "evidence", "error", "conditions"})
"""Keys of records that have columns of their own."""

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:[0-5]\d\.\d{6}", re.ASCII)


def family(condition: str) -> tuple[str, str]:
    """A condition as column and value: ``ecn.connectivity`` and ``works``, ``mss.option.local.value`` and ``1460``."""
    answer = parse(condition)
    return answer.question, answer.answer


def declared_families(plugins: Iterable[str]) -> dict[str, str]:
    """The columns of what these plugins declare, in their order, with the meanings of the values; then of what the run
    itself says. So files of one plugin have the same columns, whatever was found."""
    found: dict[str, list[str]] = {}
    declared = [getattr(find_plugin(name), "conditions", {}) for name in plugins]
    for conditions in (*declared, RUN_CONDITIONS):
        for condition, meaning in conditions.items():
            question, answer = family(condition)
            if "<" not in question:
                found.setdefault(question, []).append(f"{answer}: {meaning}")
    return {name: "; ".join(meanings) for name, meanings in found.items()}


class Batch:
    """Some records, taken apart: values by column. Equal sets of conditions are there once."""

    def __init__(self) -> None:
        self.length = 0
        self.fixed: dict[str, list[Any]] = {}
        self.more: dict[str, list[Any]] = {}
        """Of further keys."""
        self.found: list[list[str]] = []
        """The sets of conditions."""
        self.numbers: list[int] = []
        """Of each record, the number of its set."""
        self.keys: dict[str, None] = {}
        """Those of the records, in their order."""
        self._answered: list[dict[str, list[str]]] = []

    @classmethod
    def of(cls, records: list[Record]) -> Batch:
        """Records, taken apart. What has another type than its column goes into a further one."""
        batch = cls()
        batch.length = len(records)
        batch.keys = dict.fromkeys(chain.from_iterable(records))
        batch._take_fixed(records)
        numbers: dict[tuple[str, ...], int] = {}
        batch.numbers = [numbers.setdefault(tuple(record["conditions"]), len(numbers)) for record in records]
        batch.found = [[*map(sound, found)] for found in numbers]
        return batch

    def _take_fixed(self, records: list[Record]) -> None:
        fixed = self.fixed

        def values(key: str) -> list[Any]:
            return [record.get(key) for record in records] if key in self.keys else [None] * len(records)

        for key in ("dip", "domain", "domain_ascii", "run", "evidence", "error"):
            fixed[key] = self._of_type(values(key), key, str)
        for key in ("dp", "missed_flows"):
            fixed[key] = self._of_type(values(key), key, int)
        for key, kind in (("path", str), ("order", int)):
            fixed[key] = self._lists(values(key), key, kind)
        fixed["rounds"] = values("rounds")
        fixed["ip_version"] = [None if dip is None else 6 if ":" in dip else 4 for dip in fixed["dip"]]
        fixed["source"] = [path[0] if path else None for path in fixed["path"]]
        fixed["asn"] = [asn if type(asn) is int and 0 <= asn < INT_64 else _asn(record)
                        for asn, record in zip(values("dip_asn"), records, strict=True)]
        times = values("time")
        for key in ("from", "to"):
            fixed[f"time_{key}"] = _moments([time.get(key) if isinstance(time, dict) else None for time in times])
        if None in fixed["time_from"] or None in fixed["time_to"]:
            for place, time in enumerate(times):
                if time is not None and None in (fixed["time_from"][place], fixed["time_to"][place]):
                    self._put_aside("time", place, time)

    def _of_type(self, values: list[Any], key: str, kind: type) -> list[Any]:
        """The values, without those that the column cannot have."""
        if _fit(values, kind):
            return values
        for place, value in enumerate(values):
            if isinstance(value, str) and kind is str:
                values[place] = sound(value)
            elif value is not None and not _fit([value], kind):
                self._put_aside(key, place, value)
                values[place] = None
        return values

    def _lists(self, values: list[Any], key: str, kind: type) -> list[Any]:
        """The same, of lists."""
        if {*map(type, values)} <= {list, type(None)} and _fit([*chain.from_iterable(filter(None, values))], kind):
            return values
        for place, value in enumerate(values):
            if value is None:
                continue
            kinds = {*map(type, value)} if isinstance(value, list) else {dict}
            if kind is str and kinds <= {str, type(None)}:
                values[place] = [one and sound(one) for one in value]
            elif not (isinstance(value, list) and _fit(value, kind)):
                self._put_aside(key, place, value)
                values[place] = None
        return values

    def _put_aside(self, key: str, place: int, value: Any) -> None:
        self.more.setdefault(key, [None] * self.length)[place] = value

    def dump(self) -> bytes:
        """All of it, to be read by :meth:`load` of this program."""
        whole = (self.length, self.fixed, self.more, self.found, self.numbers)
        return marshal.dumps(whole, 2)  # later versions look for what is there twice, which takes long

    @classmethod
    def load(cls, data: bytes) -> Batch:
        """What :meth:`dump` has made."""
        batch = cls()
        batch.length, batch.fixed, batch.more, batch.found, batch.numbers = marshal.loads(data)
        return batch

    def answers(self) -> list[dict[str, list[str]]]:
        """For each set of conditions the values by column."""
        if not self._answered:
            for found in self.found:
                given: dict[str, list[str]] = {}
                for name, value in map(family, found):
                    given.setdefault(name, []).append(value)
                self._answered.append(given)
        return self._answered

    def values(self, column: Column, families: frozenset[str]) -> list[Any]:
        """A column: lists are lists, times are text, JSON is text.

        :param families: the columns that are of conditions
        """
        name = column.key or column.name
        if name == "conditions":
            return [self.found[number] for number in self.numbers]
        if name in self.fixed:
            values = self.fixed[name]
        elif name in families:
            single = column.kind is Kind.TEXT
            by_set = [(one[name][0] if single else one[name]) if name in one else None for one in self.answers()]
            return [by_set[number] for number in self.numbers]
        else:
            values = self.more.get(name.removeprefix(JOB)) or [None] * self.length
            if column.kind is Kind.NUMBER:
                return [None if value is None else float(value) for value in values]
        return [None if value is None else _as_json(value) for value in values] if column.kind is Kind.JSON else values


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Rows:
    """All records of an export, taken apart, in a temporary file in the folder that ``TMPDIR`` names."""

    def __init__(self) -> None:
        self._file = TemporaryFile(prefix="pspdr-export-")  # noqa: SIM115 - the with statement is around this object
        self._lengths: list[int] = []
        self._records: list[Record] = []
        self._octets = 0
        self._kinds: dict[str, Kind] = {}
        """Of further keys."""
        self._families: dict[str, bool] = {}
        """Those that were seen, and whether a record has several conditions of one."""
        self.records = 0
        self.left_out = 0
        """Sets of conditions in which there are some that have no column of their own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()

    def parse(self, line: str) -> Record:
        """A line as a record, as :func:`~pathspider.targets.reading.parse_record`; how long it is counts for when
        those before it are put into the file."""
        self._octets += len(line)
        return parse_record(line)

    def add(self, record: Record) -> None:
        """Take a record."""
        self._records.append(record)
        if len(self._records) >= BATCH or self._octets > BATCH_OCTETS:
            self._put()

    def _put(self) -> None:
        batch = Batch.of(self._records)
        self._take_further(batch)
        self._note_families(batch)
        data = batch.dump()
        self._file.write(data)
        self._lengths.append(len(data))
        self.records += batch.length
        self._records, self._octets = [], 0

    def _take_further(self, batch: Batch) -> None:
        """The keys that have no columns of their own, for as many as there may be."""
        for key in [key for key in batch.keys if key not in TAKEN]:
            if key in self._kinds or (len(self._kinds) + len(batch.more) < MOST_KEYS and key != MORE):
                batch.more[key] = [record.get(key) for record in self._records]
            else:
                values = batch.more.setdefault(MORE, [None] * batch.length)
                for place, record in enumerate(self._records):
                    if record.get(key) is not None:
                        values[place] = {**(values[place] or {}), key: record.get(key)}
        for key, values in batch.more.items():
            kinds = {_kind(value) for value in values if value is not None} | {*filter(None, [self._kinds.get(key)])}
            if Kind.TEXT in kinds:
                batch.more[key] = [sound(value) if isinstance(value, str) else value for value in values]
            if kinds:
                numbers = kinds == {Kind.INTEGER, Kind.NUMBER}
                self._kinds[key] = kinds.pop() if len(kinds) == 1 else Kind.NUMBER if numbers else Kind.JSON

    def _note_families(self, batch: Batch) -> None:
        for answers in batch.answers():
            for name, values in answers.items():
                if name in self._families or len(self._families) < MOST_FAMILIES:
                    self._families[name] = self._families.get(name, False) or len(values) > 1
                else:
                    self.left_out += 1

    def columns(self) -> tuple[list[Column], frozenset[str]]:
        """The columns, in their order, and which families of conditions have one. All records have come."""
        if self._records:
            self._put()
        plugins = sorted({name.partition(".")[0] for name in self._families} - {RUN})
        meanings = declared_families(plugins)
        names = [*meanings, *sorted(name for name in self._families if name not in meanings)]
        columns = list(FIXED)
        taken = {column.name for column in columns}
        for name in names:
            several = self._families.get(name) or name.partition(".")[0] == RUN
            kind = Kind.LIST if several else Kind.TEXT
            columns.append(Column(_free(name, taken), kind, meanings.get(name, ""), name))
        for name, kind in self._kinds.items():
            columns.append(Column(_free(name, taken), kind, "of the job", f"{JOB}{name}"))
        return columns, frozenset(names)

    def batches(self) -> Iterator[Batch]:
        """All that was added, in its order."""
        self._file.seek(0)
        for length in self._lengths:
            yield Batch.load(self._file.read(length))


def _free(name: str, taken: set[str]) -> str:
    """A name for a column that no other one has: databases do not tell small letters from large ones."""
    tried = chain([name, f"{JOB}{name}"], (f"{JOB}{name}_{number}" for number in count(2)))
    found = next(one for one in tried if one.casefold() not in taken)
    taken.add(found.casefold())
    return found


def sound(text: str) -> str:
    """A text as UTF-8 can have it: halves of characters, which JSON has room for, are escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _fit(values: list[Any], kind: type) -> bool:
    """Whether all of these, but for null, are integers of 64 bits, or ASCII."""
    kinds = {*map(type, values)}
    if not kinds <= {kind, type(None)}:
        return False
    some = [value for value in values if value is not None] if type(None) in kinds else values
    if kind is str:
        return all(map(str.isascii, some))
    return not some or (min(some) >= -INT_64 and max(some) < INT_64)


def _asn(record: Record) -> int | None:
    number = target_asn(record)
    return int(number) if number is not None and len(number) < 19 else None


def _kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int):
        return Kind.INTEGER if -INT_64 <= value < INT_64 else Kind.JSON
    if isinstance(value, float):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(value, str) else Kind.JSON


def _moments(values: list[Any]) -> list[Any]:
    """Those that are times, None in the place of others."""
    if {*map(type, values)} == {str} and all(map(TIME.fullmatch, values)):
        minutes = {value[:16] for value in values}  # few, so that they are looked at once
        if all(is_time(f"{minute}:00.000000") for minute in minutes):
            return values
    return [value if is_time(value) else None for value in values]


def is_time(text: object) -> bool:
    """Whether this is a time as records have it."""
    if not (isinstance(text, str) and TIME.fullmatch(text)):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def conditions_of(row: Mapping[str, Any], families: Iterable[str], declared: Iterable[str]) -> set[str]:
    """The conditions that the columns of a row say: the inverse of :func:`family`.

    :param declared: conditions as they are declared, which tell a value behind a colon from a word behind a dot
    """
    colons = {name for one in declared if ":" in one and (name := family(one)[0]) == one.partition(":")[0]}
    found = set()
    for name in families:
        value = row[name]
        for one in [] if value is None else value if isinstance(value, list) else [value]:
            found.add(f"{name}{':' if name in colons else '.'}{one}")
    return found
