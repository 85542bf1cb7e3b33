"""Writing records, jobs and flows as ndjson, whole lines at once."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, Self

from pathspider.fallocate import reserve
from pathspider.records import Flow, Job
from pathspider.text import harmless

if TYPE_CHECKING:
    from pathspider.libtrace import Handover


class RecordWriter:
    """Writes records, jobs or flows as ndjson, one whole line at a time, at once, so that a reader never waits for
    what is done.

    :param stream: unbuffered
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.written = 0
        self.octets = 0
        """Of all lines that were written."""

    def write(self, record: Job | Flow) -> None:
        """Write one record; ``OSError`` when the file cannot take it, which then ends with the record before it."""
        self._write(json_line(record))
        self.written += 1

    def write_all(self, records: Iterable[Job | Flow]) -> None:
        """Write records at once; where the file cannot take them, none of them is left in it."""
        from pathspider.libtrace import json_lines  # noqa: PLC0415 - native; whoever has many records has loaded it

        records = list(records)
        self._write(json_lines(records, _plain))
        self.written += len(records)

    def write_from(self, lists: Handover) -> None:
        """Write what another thread hands over, until that ends; where the file cannot take it, it ends with a whole
        line."""
        from pathspider.libtrace import JSONLines  # noqa: PLC0415 - native

        if type(self) is not RecordWriter or not isinstance(self.stream, io.FileIO):
            while (records := lists.take()) is not None:
                self.write_all(records)
            return
        lines = JSONLines(self.stream.fileno(), _plain)
        try:
            lines.write_from(lists)
        except OSError as error:
            raise self._named(error) from None
        finally:
            self.octets += lines.octets
            self.written += lines.lines

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """Write records that are lines already."""
        for line in lines:
            self._write(line)
            self.written += 1

    def end(self) -> None:
        """What is to be written when all records were."""

    def _write(self, line: bytes) -> None:
        done = 0
        try:
            while done < len(line):
                done += self.stream.write(line[done:])
            self.octets += done
        except OSError as error:
            self._named(error)
            if done:  # or the position may be 0 in a file that is appended to
                with suppress(OSError):  # a pipe cannot be cut
                    self.stream.truncate(self.stream.seek(-done, os.SEEK_CUR))
            raise

    def _named(self, error: OSError) -> OSError:
        """An error, with the file's name."""
        name = getattr(self.stream, "name", None)
        if error.filename is None and isinstance(name, str):
            error.filename = name
        return error


class CSVWriter(RecordWriter):
    """Writes flows as CSV, :rfc:`4180`: a header line, and a line for each. Null is empty, and what CSV has no form for
    is JSON: ``true``, lists, objects. A text that a spreadsheet would take for a formula has an apostrophe before it.

    :param stream: unbuffered
    :param columns: the fields, in their order. What the first record has besides comes behind them: a chain need not
        declare its fields
    """

    def __init__(self, stream: IO[bytes], columns: Iterable[str]) -> None:
        super().__init__(stream)
        self.columns = list(columns)
        self.left_out: Counter[str] = Counter()
        """Fields of later records that have no column, and how many records had them."""
        self._begun = False

    def write(self, record: Job | Flow) -> None:
        """Write one record."""
        self.write_all([record])

    def write_all(self, records: Iterable[Job | Flow]) -> None:
        """Write records at once, before the first of them the header."""
        records = list(records)
        text = io.StringIO()
        rows = csv.writer(text)
        if not self._begun:
            self.columns += [key for record in records[:1] for key in record if key not in self.columns]
            rows.writerow(map(harmless, self.columns))
        known = frozenset(self.columns)
        for record in records:
            if not record.keys() <= known:
                self.left_out.update(record.keys() - known)
            rows.writerow([value if type(value := record.get(name)) is int else _cell(value) for name in self.columns])
        self._write(text.getvalue().encode(errors="backslashreplace"))
        self._begun = True
        self.written += len(records)

    def end(self) -> None:
        """Where there was no record, write the header."""
        if not self._begun:
            self.write_all([])


class ThreadedWriter:
    """Has a writer write lists of records in a thread of its own, in their order, while the next ones are made.

    At its end, as a context manager, all is written, or ``OSError`` is raised.

    :param writer: nobody else uses it meanwhile
    """

    def __init__(self, writer: RecordWriter) -> None:
        from pathspider.libtrace import Handover  # noqa: PLC0415 - native

        self.writer = writer
        self._lists = Handover()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._lists.end()
        self._thread.join()
        if kind is None:
            self._tell()

    def write_all(self, records: list[Any]) -> None:
        """Write records soon. They, and the list, belong to the writer from here on. Waits where many lists wait.

        :raises OSError: earlier ones could not be written
        """
        self._tell()
        self._lists.put(records)

    def _tell(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        with suppress(OSError):  # each list wakes us up: not in the place of who has put it in. sched(7)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        try:
            self.writer.write_from(self._lists)
        except BaseException as error:  # whoever gives records gets it
            self._error = error
            while self._lists.take() is not None:  # they are thrown away: who gives them must not wait for ever
                pass


class JSONFile:
    """A file that holds one JSON value at a time, rewritten in place: also by a process that cannot open it any more.

    It is rewritten with one call, and never becomes shorter (spaces fill it up): whoever reads it meanwhile finds no
    rest of an earlier value.

    :param descriptor: of an ordinary file, opened for writing; :meth:`close` closes it
    """

    AHEAD = 1 << 14
    """Octets for which room is kept, so that a later value is written also on a disk that has become full."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._length = 0

    def write(self, value: Any) -> None:
        """Write a value in place of what is there.

        :raises OSError: if there is no room for it; what is there stays
        """
        text = json.dumps(_finite_only(value), default=_plain, indent=1)
        data = text.ljust(self._length - 1).encode("ascii") + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            self._put(b" " * (len(data) - size), size)  # JSON all the time, also where there is no room for them
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise
        self._put(data, 0)
        if not self._length:
            os.ftruncate(self._descriptor, len(data))
            with suppress(OSError):  # there is no room, or the file system does not do it
                reserve(self._descriptor, len(data), self.AHEAD)
        self._length = len(data)

    def _put(self, data: bytes, place: int) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], place + done)

    def close(self) -> None:
        """Give back the room that was not needed, and close the file."""
        with suppress(OSError):
            if self._length:
                os.ftruncate(self._descriptor, self._length)
        os.close(self._descriptor)


def json_line(value: Any) -> bytes:
    """A value as one line of ASCII JSON, its newline included. JSON has no NaN and no infinity: they become null."""
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite_only(value))
    return text.encode("ascii") + b"\n"


def _cell(value: Any) -> str | float | None:
    """A value as CSV has it; what the module csv writes as it should be stays."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return harmless(value)
    if value is None or type(value) is int or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    text = json_line(value)[:-1].decode("ascii")
    return None if text == "null" else text


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
