"""Where an address is: its routed prefix, the AS that originates that, and its country, from published files.

Read are CAIDA's pfx2as, the files of pyasn, RIB dumps (:mod:`~pathspider.targets.mrt`, or what ``bgpdump -m`` makes of
them), and databases in MaxMind's format, compressed or not: the content tells.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, cast

from pathspider.records import Job
from pathspider.targets.digest import open_hashing
from pathspider.targets.mrt import MRTError, Origin, as_set, looks_like_mrt, routes
from pathspider.targets.prefixtable import BITS, PrefixTable, packed, prefix_text
from pathspider.targets.reading import MAX_LINE, MOST_NAMED, NEWLINE
from pathspider.targets.unpacking import Text, foreign

if TYPE_CHECKING:
    from maxminddb.reader import Reader

log = logging.getLogger(__name__)

METADATA = b"\xab\xcd\xefMaxMind.com"
"""Stands before the metadata of a MaxMind database, in its last 128 KiB."""
METADATA_WITHIN = 1 << 17

NUMBER = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE | re.ASCII)
COUNTRY = re.compile(r"[A-Z]{2}")
AS_NUMBERS = 1 << 32


class PrefixesError(ValueError):
    """A file of prefixes that cannot be read; the text says which and why."""


class Location(TypedDict, total=False):
    """What is known of where an address is; goes to ``info`` of a job."""

    prefix: str
    """The longest prefix that it is in and that has an AS."""
    ASN: Any
    """The AS that originates it: a number. Several are a list, the most seen first; an AS set is a list in that."""
    country: str
    """Two letters, ISO 3166-1."""


class Prefixes:
    """What some files say of where addresses are. :meth:`locate` looks one up, :meth:`annotate` does so for a job.

    Default routes (of length 0) are left out: they tell of nobody.
    """

    def __init__(self) -> None:
        self.table: PrefixTable[Any] = PrefixTable()
        """Prefixes with what stands under ``ASN``."""
        self.bad = 0
        """Lines that could not be read, files that break off, and lookups that failed in a database."""
        self._databases: list[tuple[str, Reader]] = []
        self._damaged: set[str] = set()
        self._origins: dict[tuple[Origin, ...], Any] = {}
        self._columns: dict[bytes, Any] = {}

    @classmethod
    def read(cls, names: Sequence[str]) -> Prefixes:
        """What these files have together; :exc:`PrefixesError` for one of which nothing can be read."""
        prefixes = cls()
        for name in names:
            prefixes.add(name)
        return prefixes

    def add(self, name: str) -> None:
        """Read one more file. Where two have a prefix with other AS, both count.

        :raises PrefixesError: where it cannot be opened, or is something else; a bad line is logged and counted
        """
        before = len(self.table)
        try:
            if is_mmdb(name):
                self._databases.append((name, _open_mmdb(name)))
                return
            with open_hashing(name) as file:
                self._read(name, Text(file, binary=True))
        except OSError as error:
            raise PrefixesError(f"prefixes {name}: {error.strerror or error}") from None
        finally:
            self._columns.clear()
        log.info("prefixes %s: %d read", name, len(self.table) - before)

    def _read(self, name: str, text: Text) -> None:
        head = text.peek(1)
        if looks_like_mrt(head):
            found = False
            try:
                for route in routes(text.read):
                    found = True
                    if route.length and route.origins:
                        values = self.table.of_length(route.family, route.length)
                        values[route.number] = self._with(values.get(route.number), route.origins)
            except MRTError as error:
                self._broken_off(name, str(text.error or error))
                return
            if not found:
                raise PrefixesError(f"prefixes {name}: this dump has no unicast prefix")
            return
        if what := foreign(head):
            if what.startswith("binary"):
                what = "neither text nor a RIB dump; a database in MaxMind's format has to be unpacked"
            raise PrefixesError(f"prefixes {name}: this is {what}")
        found = self._read_lines(name, text)
        if text.error is not None:
            self._broken_off(name, str(text.error))
        elif not found:
            raise PrefixesError(f"prefixes {name}: not one prefix with its AS is in it, as in files of pfx2as, "
                                "of pyasn or of bgpdump -m")

    def _broken_off(self, name: str, why: str) -> None:
        if not len(self.table):
            raise PrefixesError(f"prefixes {name}: {why}")
        self.bad += 1
        log.error("prefixes %s breaks off: %s; what stands before was read", name, why)

    def _read_lines(self, name: str, text: Text) -> bool:
        """Lines of pfx2as and pyasn, a loop of their own: a million of them come. Whether one was good."""
        inet_pton, from_bytes, columns = socket.inet_pton, int.from_bytes, self._columns
        cells: dict[tuple[bool, bytes], tuple[socket.AddressFamily, int, dict[int, Any]]] = {}
        bad = 0
        if text.peek(1).startswith(codecs.BOM_UTF8):
            text.read(len(codecs.BOM_UTF8))
        for number, line in enumerate(iter(partial(text.readline, MAX_LINE), b""), 1):
            if line[-1] != NEWLINE and text.error is not None:  # torn: its number may be cut
                break
            parts = line.split()
            try:
                if len(parts) == 2:
                    address, _, size = parts[0].partition(b"/")
                    systems = parts[1]
                else:
                    address, size, systems = parts
                kind = b":" in address, size
                if kind not in cells:
                    cells[kind] = self._place(*kind)
                family, shift, values = cells[kind]
                first = from_bytes(inet_pton(family, address.decode("ascii")), "big") >> shift
                found = columns.get(systems)
                if found is None:
                    found = columns[systems] = self._with(None, parse_systems(systems.decode("ascii")))
                values[first] = found if first not in values else self._with(values[first], _as_list(found))
            except (ValueError, OSError) as error:
                if line.startswith(b"TABLE_DUMP"):
                    self.bad += bad
                    return self._read_bgpdump(name, text, number, line) or bool(columns)
                if parts and line[:1] not in (b";", b"#"):
                    bad += 1
                    self._tell(name, number, line, error, bad)
        self.bad += bad
        return bool(columns)

    def _place(self, six: bool, size: bytes) -> tuple[socket.AddressFamily, int, dict[int, Any]]:
        """For prefixes of a length: the family, how far an address is shifted, and where they go."""
        family = socket.AF_INET6 if six else socket.AF_INET
        if not size.isdigit():
            raise ValueError(f"{size.decode('ascii', 'replace')!r:.100} is no prefix length")
        values = self.table.of_length(family, int(size)) if int(size) else {}
        return family, BITS[family] - int(size), values

    def _read_bgpdump(self, name: str, text: Text, number: int, line: bytes) -> bool:
        """From a line of ``bgpdump -m`` on: type, time, B, peer, its AS, prefix, AS path, … Whether one was good."""
        bad = 0
        seen: dict[Origin, int] = {}
        last = ""

        def enough() -> None:
            if seen and not last.endswith("/0"):
                self._insert(last, sorted(seen, key=lambda origin: -seen[origin]))
            seen.clear()

        while line:
            try:
                _, _, kind, _, _, prefix, path, *_ = line.decode("ascii", "replace").split("|")
                if kind != "B":
                    raise ValueError(f"{kind!r:.100} where B, an entry of a RIB, is needed")
                systems = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", path).split()  # confederations
                if prefix != last:
                    address, _, size = prefix.partition("/")
                    packed(address)
                    self._place(":" in address, size.encode())
                    enough()
                    last = prefix
                if systems:
                    [origin] = parse_systems(systems[-1].strip("{}"))
                    seen[origin] = seen.get(origin, 0) + 1
            except (ValueError, OSError) as error:
                bad += 1
                self._tell(name, number, line, error, bad)
            line = text.readline(MAX_LINE)
            number += 1
            if text.error is not None and not line.endswith(b"\n"):
                break
        enough()
        self.bad += bad
        return bool(last)

    def _insert(self, prefix: str, origins: Sequence[Origin]) -> None:
        address, _, size = prefix.partition("/")
        _, shift, values = self._place(":" in address, size.encode())
        first = packed(address)[0] >> shift
        values[first] = self._with(values.get(first), origins)

    def _with(self, before: Any, origins: Sequence[Origin]) -> Any:
        """What stands under ``ASN`` for these origins, behind those that there are; the same object each time."""
        together = tuple(dict.fromkeys([*_as_list(before), *origins]))
        found = self._origins.get(together)
        if found is None:
            [*several] = [list(one) if isinstance(one, tuple) else one for one in together]
            single = len(several) == 1 and isinstance(several[0], int)
            found = self._origins[together] = several[0] if single else several
        return found

    def _tell(self, name: str, number: int, line: bytes, error: Exception, bad: int) -> None:
        if bad <= MOST_NAMED:
            is_told = isinstance(error, ValueError) and "unpack" not in str(error)
            why = str(error) if is_told else "no prefix with its AS"
            log.error("prefixes %s, line %d: %s: %.100r; the line is skipped", name, number, why,
                      line.decode("utf-8", "replace").strip())
        if bad == MOST_NAMED:
            log.error("prefixes %s: these were %d such lines; further ones are skipped and counted, and not named",
                      name, MOST_NAMED)

    def __len__(self) -> int:
        """Prefixes in the table; those of databases are not counted."""
        return len(self.table)

    def locate(self, address: str) -> Location:
        """What is known of an address; nothing where that is none."""
        location = Location()
        try:
            found = self.table.find(address)
        except (OSError, ValueError):
            return location
        if found is not None:
            location["prefix"], location["ASN"] = found
        for name, database in self._databases:
            try:
                _look_up(database, address, location)
            except RuntimeError as error:  # maxminddb.InvalidDatabaseError
                self.bad += 1
                if name not in self._damaged:
                    self._damaged.add(name)
                    log.error("prefixes %s is damaged: %s; what cannot be read of it is left out", name,
                              error)
        return location

    def annotate(self, job: Job) -> Job:
        """A job with what is known of its address in ``info``, beside what else is there; the job itself where
        nothing is known, or its ``info`` is something else than an object."""
        dip, info = job.get("dip"), job.get("info")
        location = self.locate(dip) if isinstance(dip, str) else None
        if not location or not isinstance(info, dict | None):
            return job
        return cast(Job, {**job, "info": {**(info or {}), **location}})


def _as_list(value: Any) -> list[Origin]:
    """The origins of what stands under ``ASN``."""
    if value is None:
        return []
    return [tuple(one) if isinstance(one, list) else one for one in (value if isinstance(value, list) else [value])]


def parse_systems(text: str) -> list[Origin]:
    """AS numbers as CAIDA writes them: ``_`` between several origins, ``,`` between those of an AS set; ``ValueError``
    for what is none."""
    return [as_set(tuple(map(_number, one.split(",")))) for one in text.split("_")]


def _number(text: str) -> int:
    digits = NUMBER.fullmatch(text)
    if digits is None or int(digits[1]) >= AS_NUMBERS:
        raise ValueError(f"{text!r:.100} is no AS number")
    return int(digits[1])


def is_mmdb(name: str) -> bool:
    """Whether this is an uncompressed database in MaxMind's format; ``OSError`` if it cannot be opened."""
    if not stat.S_ISREG(os.stat(name).st_mode):
        return False  # of a pipe nothing may be read
    with open(name, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - METADATA_WITHIN))
        return METADATA in file.read(METADATA_WITHIN)


def _open_mmdb(name: str) -> Reader:
    try:
        import maxminddb  # noqa: PLC0415 - optional
    except ImportError:
        raise PrefixesError(f"prefixes {name}: the Python package maxminddb is needed to read this file: install it "
                            "(python3-maxminddb)") from None
    try:
        return maxminddb.open_database(name)
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise PrefixesError(f"prefixes {name}: {error}") from None


def _look_up(database: Reader, address: str, location: Location) -> None:
    """Add what a database knows and is not known yet."""
    try:
        record, length = database.get_with_prefix_len(address)
    except ValueError:  # one of IPv4 alone is asked for IPv6
        return
    if not isinstance(record, dict):
        return
    if "ASN" not in location and (asn := _first(record, ("autonomous_system_number", "asn"), _asn)) is not None:
        number, family = packed(address)
        location["prefix"], location["ASN"] = prefix_text(number >> (BITS[family] - length), length, family), asn
    if "country" not in location and (code := _first(record, ("country", "country_code"), _country)) is not None:
        location["country"] = code


def _first(record: dict[str, Any], keys: Sequence[str], read: Callable[[Any], Any]) -> Any:
    return next((value for key in keys if (value := read(record.get(key))) is not None), None)


def _asn(value: Any) -> int | None:
    digits = NUMBER.fullmatch(str(value))
    return int(digits[1]) if digits else None


def _country(value: Any) -> str | None:
    code = value.get("iso_code") if isinstance(value, dict) else value
    return code if isinstance(code, str) and COUNTRY.fullmatch(code) else None
