"""Reading jobs and records, one a line of ndjson. A bad line costs nothing but itself.

What the file is packed in, :mod:`~pathspider.targets.unpacking` tells; what else a line of a target list may be,
:mod:`~pathspider.targets.lists`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import chain
from json.scanner import make_scanner
from math import isfinite
from typing import IO, Any, cast

from pathspider.records import Job, Record
from pathspider.targets.unpacking import Text, UnreadableError

log = logging.getLogger(__name__)

MAX_LINE = 1 << 20
"""Octets in a line of input at most: one that is longer is no job."""

MAX_DEPTH = 100
"""Objects and arrays in each other in a job at most: what could hardly be read could not be written again."""

RECORD_DEPTH = 2 * MAX_DEPTH
"""The same in a record, whose flows have in them what the job had."""

NEWLINE = ord("\n")

TEXT = {str}

MOST_NAMED = 10
"""Lines that are no jobs, of which each is named; a file that is something else has very many."""

JSON_ARRAY = re.compile(r"\[\s*(?:\{|$)")
"""How a file begins that is one array of objects."""


class LineError(ValueError):
    """A line of input that is not a job; the text says why."""


def parse_ndjson(line: str, depth: int = MAX_DEPTH) -> Job:
    """One line of ndjson as a job; :exc:`LineError` if it is not a JSON object, or nested more than ``depth`` deep."""
    try:
        job = _parse(line)
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON: {error}") from None
    if not isinstance(job, dict):
        raise LineError(f"a JSON {type(job).__name__}, where an object such as {{\"dip\": \"192.0.2.1\"}} is needed")
    if line.count("[") + line.count("{") > depth and _is_deeper(job, depth):
        raise LineError(f"nested more than {depth} deep")
    return cast(Job, job)


def _is_deeper(job: dict[str, Any], depth: int) -> bool:
    level: list[Any] = [job]
    for _ in range(depth):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
                 if isinstance(inner, dict | list)]
    return bool(level)


def parse_record(line: str) -> Record:
    """One line of ndjson as a record; :exc:`LineError` if it is none."""
    return check_record(parse_ndjson(line, RECORD_DEPTH))


def check_record(job: Job) -> Record:
    """A job as the record that it is; :exc:`LineError` if it has no conditions."""
    conditions = job.get("conditions")
    if not isinstance(conditions, list) or not {*map(type, conditions)} <= TEXT:
        hint = "; pspdr observe --conditions gives flows one" if conditions is None and "pkt_first" in job else ""
        raise LineError(f"not a record: it has no list of conditions{hint}")
    return cast(Record, job)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is greater than numbers can be")
    return value


_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(cast(Any, _decoder))


def _parse(line: str) -> Any:
    """A line as the value that it is: without a second look at what stands around it, unless there is something."""
    try:
        value, end = _scan(line, 0)
    except StopIteration:
        end = -1
    return value if end == len(line) else _decoder.decode(line)


def decoded(line: bytes, encoding: str = "utf-8") -> str:
    """A line as text; :exc:`LineError` if it is not UTF-8."""
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8: {error.reason} at byte {error.start}") from None


class JobReader:
    """Iterates over the jobs of a file, line by line, never reading ahead; what is not a job is logged and counted.

    :param lines: the file, opened in binary mode, compressed or not
    :param name: the file's name in messages
    :param parse: a line, without white space around it, as a job, or None for a line that is to be passed over;
        :exc:`LineError` for what is none
    :param seed: read the lines in an order that is drawn from this, not in their own
    """

    what = "records"
    """What the lines are, in messages."""

    def __init__(self, lines: IO[bytes], name: str, parse: Callable[[str], Job | None] = parse_ndjson,
                 seed: int | None = None) -> None:
        self._lines = lines
        self.name = name
        self.parse = parse
        self.seed = seed
        self.strip: Callable[[str], str] = str.strip
        """Takes from a line the white space that says nothing."""
        self.line = 0
        """The number of the line that the last job stands in."""
        self.jobs = 0
        self.skipped = 0
        """Lines that were not jobs."""
        self.broken_off = ""
        """Why not all of the file could be read: it breaks off, or is something else."""
        begins = _begins(lines)
        self._begins = begins or 0
        self.length = None if begins is None else os.fstat(lines.fileno()).st_size - begins
        """Octets that there are to read, where that is known."""
        self._text: Text | None = None
        self._read = self._lines_read = 0
        self._given = 0
        """Of the octets read, those of lines whose turn has come."""
        self._begun = False

    @property
    def position(self) -> int:
        """Octets of the file read so far; of a compressed one, of what it is compressed to."""
        if self.seed is not None:
            return self._given
        return self._read if self._text is None or self._text.as_it_is else self._text.position

    @property
    def all_were_jobs(self) -> bool:
        """Whether all was read so far, and all lines were jobs."""
        return not self.skipped and not self.broken_off

    def is_terminal(self) -> bool:
        """Whether somebody is typing the lines."""
        return self._lines.isatty()

    def __iter__(self) -> Iterator[Job]:
        if self.is_terminal():
            log.info("%s is a terminal: waiting for targets, one a line; Ctrl-D ends them", self.name)
        self._text = text = Text(self._lines)
        error: UnreadableError | None = None
        try:
            for number, line in enumerate(self._bounded(text), 1) if self.seed is None else self._shuffled(text):
                try:
                    job = self._job(number, line)
                except LineError as what:
                    self._skip(number, what)
                    continue
                if job is not None:
                    self.jobs += 1
                    self.line = number
                    yield job
        except UnreadableError as what:  # of its first line
            error, self._lines_read = what, 0
        if (error := error or text.error) is not None:
            self._break_off(error)
        elif not self.jobs and not self.skipped:
            log.warning("%s: there were no %s in it", self.name, self.what)

    def _skip(self, number: int, error: LineError) -> None:
        self.skipped += 1
        if self.skipped <= MOST_NAMED:
            log.error("%s, line %d: %s; the line is skipped", self.name, number, error)
        if self.skipped == MOST_NAMED:
            log.error("%s: these were %d such lines; further ones are skipped and counted, and not named", self.name,
                      MOST_NAMED)

    def _break_off(self, error: UnreadableError) -> None:
        self.broken_off = str(error)
        if self._lines_read:
            log.error("%s breaks off after %d lines: %s; what stands before was read", self.name, self._lines_read,
                      error)
        else:
            log.error("%s: %s", self.name, error)

    def _bounded(self, text: Text) -> Iterator[bytes]:
        """The lines; of one that is too long, its beginning. One that is torn where the file breaks off is none."""
        readline = text.readline
        while line := readline(MAX_LINE):
            if line[-1] != NEWLINE:
                whole = line
                while len(whole) == MAX_LINE and not whole.endswith(b"\n"):
                    whole = readline(MAX_LINE)
                    self._read += len(whole)
                if text.error is not None:
                    return
            self._read += len(line)
            self._lines_read += 1
            yield line

    def _shuffled(self, text: Text) -> Iterator[tuple[int, bytes]]:
        """The lines, each with its number; those before the first that can be a job (comments, a header) are first."""
        import tempfile  # noqa: PLC0415 - for shuffled lists alone

        from pathspider.targets.shuffling import LineIndex, Permutation  # noqa: PLC0415

        assert self.seed is not None
        in_place = self.length is not None and text.as_it_is
        if not in_place:
            log.info("%s is read to its end first, and kept in a temporary file in %s, since it is to be shuffled",
                     self.name, tempfile.gettempdir())
        with LineIndex(self._lines.fileno(), self._begins) if in_place else LineIndex() as lines:
            before = 0
            for line in self._bounded(text):
                lines.add(line, self._read - before)
                before = self._read
            lines.whole()
            self.length = self._read
            first = 0
            while first < len(lines) and not self._is_job(first + 1, lines.read(first, MAX_LINE)[0]):
                first += 1
            for place in chain(range(first), (first + place for place in Permutation(len(lines) - first, self.seed))):
                line, octets = lines.read(place, MAX_LINE)
                self._given += octets
                if place >= first:
                    yield place + 1, line

    def _is_job(self, number: int, line: bytes) -> bool:
        try:
            text = self._decoded(number, line)
        except LineError:
            return True  # its error is told when its turn has come
        return bool(text) and not self._begins_with(text)

    def _job(self, number: int, line: bytes) -> Job | None:
        if self._begun and number != 1 and len(line) < MAX_LINE:
            text = self.strip(decoded(line))
            return self.parse(text) if text else None
        text = self._decoded(number, line)
        return None if not text or (not self._begun and self._begins_with(text)) else self.parse(text)

    def _decoded(self, number: int, line: bytes) -> str:
        if len(line) >= MAX_LINE:
            raise LineError(f"longer than {MAX_LINE} bytes")
        return self.strip(decoded(line, "utf-8" if number != 1 else "utf-8-sig"))

    def _begins_with(self, text: str) -> bool:
        """Take note of the first line with something in it. True if that is no job, such as a header.

        :exc:`~pathspider.targets.unpacking.UnreadableError` if the file is of a kind of which no line is a job.
        """
        self._begun = True
        if text == "{":
            raise UnreadableError("these are JSON objects over several lines, where each needs a line of its own: "
                                  "`jq -c .` makes that of them")
        if JSON_ARRAY.match(text):
            raise UnreadableError("this is a JSON array, where each object needs a line of its own: `jq -c '.[]'` "
                                  "makes that of it")
        return False


def _begins(lines: IO[bytes]) -> int | None:
    """Where in a regular file reading begins; None for what is none."""
    try:
        return lines.tell() if stat.S_ISREG(os.fstat(lines.fileno()).st_mode) else None
    except (OSError, ValueError):
        return None
