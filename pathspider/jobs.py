"""Reading targets (ndjson, CSV) and writing records. One line is one target; a bad line costs nothing but itself."""

from __future__ import annotations

import csv
import json
import logging
import os
import socket
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import IO, Any, cast

from pathspider.atomic import atomic_write, refuse_special
from pathspider.records import Flow, Job, Record

log = logging.getLogger(__name__)

CSV_COLUMNS = {
    2: ("rank", "domain"),
    3: ("dip", "dp", "domain"),
    4: ("dip", "dp", "domain", "rank"),
}
"""What the columns of a CSV line mean, by how many there are."""

TARGET_KEYS = ("dip", "dp", "domain")
"""The keys of a job that say what is measured."""

MAX_LINE = 1 << 20
"""Characters in a line of input at most: one that is longer is no job."""

MOST_NAMED = 1000
"""Lines that are no jobs, of which each is named; a file that is something else has very many."""


class LineError(ValueError):
    """A line of input that is not a job; the text says why."""


def parse_ndjson(line: str) -> Job:
    """One line of ndjson as a job; :exc:`LineError` if it is not a JSON object."""
    try:
        job = _decode(line)
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from None
    if not isinstance(job, dict):
        raise LineError(f"a JSON {type(job).__name__}, where an object such as {{\"dip\": \"192.0.2.1\"}} is needed")
    return cast(Job, job)


def parse_job(line: str) -> Job:
    """As :func:`parse_ndjson`; the error for a line of CSV says what CSV needs."""
    try:
        return parse_ndjson(line)
    except LineError as error:
        try:
            parse_csv(line)
        except LineError:
            raise error from None
        raise LineError(f"{error}; for CSV there is --csv-input") from None


def parse_record(line: str) -> Record:
    """One line of ndjson as a record; :exc:`LineError` if it is none."""
    return check_record(parse_ndjson(line))


def check_record(job: Job) -> Record:
    """A job as the record that it is; :exc:`LineError` if it has no conditions."""
    conditions = job.get("conditions")
    if not isinstance(conditions, list) or not all(isinstance(one, str) for one in conditions):
        raise LineError("not a record: it has no list of conditions")
    return cast(Record, job)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is greater than numbers can be")
    return value


_decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode


def parse_csv(line: str) -> Job:
    """One line of CSV as a job, its columns as in :data:`CSV_COLUMNS`; :exc:`LineError` if it is something else."""
    try:
        row = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration) as error:
        raise LineError(f"not CSV: {error}") from None
    columns = CSV_COLUMNS.get(len(row))
    if columns is None:
        known = "2 (rank,domain), 3 (dip,dp,domain) or 4 (dip,dp,domain,rank)"
        raise LineError(f"{len(row)} columns, where {known} are known")
    job: dict[str, Any] = dict(zip(columns, (cell.strip() for cell in row), strict=True))
    if len(row) == 2 and not job["rank"].isdecimal():
        raise LineError(f"rank {job['rank']!r} is not a number (CSV input has no header row)")
    if "dp" in job:
        try:
            job["dp"] = int(job["dp"])
        except ValueError:
            raise LineError(f"port {job['dp']!r} is not a number (CSV input has no header row)") from None
    return cast(Job, job)


class JobReader:
    """Iterates over the jobs of a file, line by line, never reading ahead; what is not a job is logged and counted.

    :param lines: the lines as bytes, as from a file opened in binary mode
    :param name: the file's name in messages
    :param parse: :func:`parse_ndjson` or :func:`parse_csv`
    """

    def __init__(self, lines: IO[bytes], name: str, parse: Callable[[str], Job] = parse_ndjson) -> None:
        self._lines = lines
        self.name = name
        self.parse = parse
        self.jobs = 0
        self.skipped = 0
        """Lines that were not jobs."""
        self.position = 0
        """Bytes read so far."""

    def __iter__(self) -> Iterator[Job]:
        if self._lines.isatty():
            log.info("%s is a terminal: waiting for targets, one a line; Ctrl-D ends them", self.name)
        for number, line in enumerate(self._bounded(), 1):
            try:
                job = self._job(number, line)
            except LineError as error:
                self.skipped += 1
                if self.skipped <= MOST_NAMED:
                    log.error("%s, line %d: %s; the line is skipped", self.name, number, error)
                if self.skipped == MOST_NAMED:
                    log.error("%s: these were %d such lines; further ones are skipped and counted, and not named",
                              self.name, MOST_NAMED)
                continue
            if job is not None:
                self.jobs += 1
                yield job
        if not self.jobs and not self.skipped:
            log.warning("%s: there were no targets in it", self.name)

    def _bounded(self) -> Iterator[bytes]:
        while line := self._lines.readline(MAX_LINE):
            self.position += len(line)
            whole = line
            while len(whole) == MAX_LINE and not whole.endswith(b"\n"):
                whole = self._lines.readline(MAX_LINE)
                self.position += len(whole)
            yield line

    def _job(self, number: int, line: bytes) -> Job | None:
        if len(line) >= MAX_LINE:
            raise LineError(f"longer than {MAX_LINE} bytes")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise LineError(f"not UTF-8: {error.reason} at byte {error.start}") from None
        return self.parse(text) if text else None


IPV4_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that stands for one of IPv4, :rfc:`4291` section 2.5.5.2."""


def target_problem(job: Job) -> str | None:
    """Why no connection can be made to this job's target, as a word for a condition; None if one can."""
    if "dip" not in job:
        return "dip_missing"
    return _address_problem(job["dip"]) or _port_problem(job.get("dp")) or _domain_problem(job.get("domain"))


def _address_problem(dip: Any) -> str | None:
    address, zone, _ = dip.partition("%") if isinstance(dip, str) else ("", "", "")
    six = ":" in address
    try:
        octets = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    except (OSError, ValueError):
        return "dip_not_an_address"
    if zone:
        return "dip_has_a_zone" if six else "dip_not_an_address"
    if octets.startswith(IPV4_MAPPED):
        return "dip_is_ipv4_mapped"
    multicast = octets[0] == 0xFF if six else octets[0] >> 4 == 0xE
    return "dip_not_unicast" if multicast or not any(octets) else None


def _port_problem(port: Any) -> str | None:
    valid = port is None or (isinstance(port, int) and not isinstance(port, bool) and 0 < port < 1 << 16)
    return None if valid else "dp_not_a_port"


def _domain_problem(domain: Any) -> str | None:
    return None if isinstance(domain, str | None) else "domain_not_a_string"


def canonical_address(value: Any) -> Any:
    """An IPv6 address in the one form that all ways of writing it have in common, :rfc:`5952`; else as it is."""
    if isinstance(value, str) and ":" in value:
        with suppress(OSError, ValueError):
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, value))
    return value


def target_asn(job: Job) -> str | None:
    """The number of the target's AS, digits only, or None."""
    info, canid = job.get("info"), job.get("canid_info")
    candidates = [job.get("dip_asn")]
    candidates += [place.get("ASN") for place in (info, canid) if isinstance(place, dict)]
    for candidate in candidates:
        if candidate is None:
            continue
        digits = str(candidate).upper().removeprefix("AS")
        if isinstance(candidate, float):
            digits = digits.removesuffix(".0")  # tables with gaps in them have whole numbers so
        if digits.isascii() and digits.isdigit():
            return digits
    return None


class CompactSet:
    """A set of 64-bit numbers in some 9 octets each: sorted arrays, one for each value of the low bits.

    A Python set of as many numbers takes 80 octets each. Adding takes 1.5 microseconds (3 million), a set 0.6.
    """

    BUCKETS = 1 << 12

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(self.BUCKETS)]

    def _find(self, number: int) -> tuple[array[int], int, bool]:
        """The bucket of a number, its place there, and whether it is there."""
        bucket = self._buckets[number % self.BUCKETS]
        place = bisect_left(bucket, number)
        return bucket, place, place < len(bucket) and bucket[place] == number

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        bucket, place, there = self._find(number)
        if not there:
            bucket.insert(place, number)
        return not there

    def discard(self, number: int) -> None:
        """Take a number out, if it is there."""
        bucket, place, there = self._find(number)
        if there:
            del bucket[place]


class TargetFilter:
    """Remembers which targets have come by; a hash of each.

    :param default_port: the port of a job that names none
    :param keys: the keys of a job that tell its target from others
    """

    def __init__(self, default_port: int | None = None, keys: Sequence[str] = TARGET_KEYS) -> None:
        self._seen = CompactSet()
        self._default_port = default_port
        self._keys = keys

    def target(self, job: Job) -> int:
        """A number for the job's target, in this process alone."""
        named = {"dp": self._default_port} | {key: value for key, value in job.items() if value is not None}
        return hash(tuple(str(canonical_address(named.get(key))) for key in self._keys)) % (1 << 64)

    def repeats(self, job: Job) -> bool:
        """True if this target has come before; from now on it has."""
        return not self._seen.add(self.target(job))

    def forget(self, target: int) -> None:
        """As if this target had not come by."""
        self._seen.discard(target)


def resume(name: str, seen: TargetFilter, unfinished: Callable[[Record], bool],
           parse: Callable[[str], Record] = parse_record, *, several: bool = False, look_only: bool = False) -> int:
    """Make the output of an interrupted run ready to be continued; the number of records that it has.

    Their targets are noted in ``seen``. Taken out of the file: a torn last line; records that are ``unfinished``,
    so that their targets are measured now; and, where a target can have ``several`` lines, those of the
    last one, of which more may have been to come. :exc:`LineError` for what is not a record of this run; the file is
    then left as it was.

    :param parse: one line as a record of this run; :exc:`LineError` if it is none
    :param look_only: leave the file as it is
    """
    kept = target = begins = kept_before = 0
    refuse_special(Path(name))
    with (open(os.devnull, "wb") if look_only else atomic_write(name)) as new, open(name, "rb") as old:
        for number, line in enumerate(old, 1):
            if not line.endswith(b"\n"):
                break  # torn
            try:
                record = parse(line.decode("utf-8"))
            except ValueError as error:
                raise LineError(f"{name}, line {number}: {error}; name the output of a run of the same plugin") \
                    from None
            if unfinished(record):
                continue
            if several and seen.target(record) != target:
                target, begins, kept_before = seen.target(record), new.tell(), kept
            seen.repeats(record)
            new.write(line)
            kept += 1
        if several:
            seen.forget(target)
            if not look_only:
                new.truncate(begins)
            kept = kept_before
    return kept


class RecordWriter:
    """Writes records, jobs or flows as ndjson, one whole line at a time, at once, so that a reader never waits for
    what is done.

    :param stream: unbuffered
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.written = 0

    def write(self, record: Job | Flow) -> None:
        """Write one record; ``OSError`` when the file cannot take it, which then ends with the record before it."""
        self._write(json_line(record))
        self.written += 1

    def write_all(self, records: Iterable[Job | Flow]) -> None:
        """Write records at once; where the file cannot take them, none of them is left in it."""
        from pathspider.libtrace import json_lines  # noqa: PLC0415 - native; whoever has many records has loaded it

        lines = json_lines(records, _plain)
        self._write(lines)
        self.written += lines.count(b"\n")

    def _write(self, line: bytes) -> None:
        done = 0
        try:
            while done < len(line):
                done += self._stream.write(line[done:])
        except OSError:
            with suppress(OSError):  # a pipe cannot be cut
                self._stream.truncate(self._stream.seek(-done, os.SEEK_CUR))
            raise


def json_line(value: Any) -> bytes:
    """A value as one line of ASCII JSON, its newline included. JSON has no NaN and no infinity: they become null."""
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite_only(value))
    return text.encode("ascii") + b"\n"


def _finite_only(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_only(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_only(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _plain(value: Any) -> Any:
    """What JSON has no type for: bytes as hexadecimal, sets sorted, anything else by its text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


_encode = json.JSONEncoder(default=_plain, allow_nan=False).encode  # made once: json.dumps() makes one for each call
