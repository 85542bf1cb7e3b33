"""Reading targets and records, one a line (ndjson, CSV). A bad line costs nothing but itself."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator
from math import isfinite
from typing import IO, Any, cast

from pathspider.records import Job, Record

log = logging.getLogger(__name__)

CSV_COLUMNS = {
    2: ("rank", "domain"),
    3: ("dip", "dp", "domain"),
    4: ("dip", "dp", "domain", "rank"),
}
"""What the columns of a CSV line mean, by how many there are."""

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
