"""The file that a command writes to: what is in it is not lost by a slip of the finger."""

from __future__ import annotations

import argparse
import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from pathspider.cmd.main import UsageError

if TYPE_CHECKING:
    from pathspider.records import Job
    from pathspider.targets.reading import JobReader
    from pathspider.targets.union import Union


def add_output(parser: argparse.ArgumentParser, what: str, *, more: str = "") -> None:
    """The options ``--output`` and ``--force``.

    :param what: goes to the output: "the records"
    :param more: what else ``--force`` does
    """
    parser.add_argument("-o", "--output", metavar="OUTPUTFILE", default="-",
                        help=f"Where to put {what}. A file that has content is not overwritten. "
                             "(Default: standard output)")
    parser.add_argument("-f", "--force", action="store_true", help=f"Overwrite the output file.{more}")


@contextmanager
def open_output(name: str, *, append: bool = False, force: bool = False, instead: str = "",
                what: str = "output") -> Iterator[IO[bytes]]:
    """The output file, or standard output for ``-`` or where that name leads there too, unbuffered. What is in the file
    already stays, for now; see :func:`start_afresh`.

    :param append: what is written comes behind it
    :param force: it may be overwritten
    :param instead: what else the user may do, before ``--force`` is named
    :param what: it is, in messages
    :raises UsageError: where the file cannot be opened, or has content, and neither ``append`` nor ``force`` is given
    """
    if name == "-" and sys.stdout is None:  # what is opened next would get its number
        raise UsageError("standard output is closed; name a file with --output, or lead it somewhere")
    is_standard = name == "-" or (not append and _is(1, name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if append else 0)
    try:
        descriptor = 1 if is_standard else os.open(name, flags, 0o666)
    except OSError as error:
        raise UsageError(f"{what} {name}: {error.strerror}") from None
    with (open(1, "wb", buffering=0, closefd=False) if is_standard else
          open(name, "wb", buffering=0, opener=lambda *_: descriptor)) as stream:  # errors tell the stream's name
        if not is_standard:
            lock(descriptor, f"{what} {name}")
            if not (append or force):
                refuse_content(os.fstat(descriptor), name, instead, what)
        yield stream


def lock(descriptor: int, what: str) -> None:
    """Keep an ordinary file to ourselves until it is closed; nothing for what is none. flock(2)

    :param what: it is, in messages
    :raises UsageError: if another process has done so
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{what}: another run is writing to this file") from None
    except OSError:
        pass  # this file system has no locks


def open_rewritten(name: str, what: str, accept: Callable[[IO[bytes]], object]) -> int:
    """A descriptor of an ordinary file that is kept up to date; what is in it already stays, for now.

    :param what: it is, in messages
    :param accept: raises ``ValueError`` for content that may not be overwritten; an empty file is not asked for
    :raises UsageError: for content that is not accepted, for a pipe or a device, and where it cannot be opened
    """
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise UsageError(f"{what} {name}: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{what} {name}: not an ordinary file; name another one")
        if status.st_size:
            with open(descriptor, "rb", closefd=False) as stream:
                accept(stream)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, ValueError):
            raise UsageError(f"{what} {name}: {error}") from None
        raise
    return descriptor


def refuse_one_file(files: Mapping[str, int]) -> None:
    """:exc:`UsageError` if two of these descriptors, named by what they are, lead to one ordinary file or pipe."""
    seen: dict[tuple[int, int], str] = {}
    for what, descriptor in files.items():
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
            other = seen.setdefault((status.st_dev, status.st_ino), what)
            if other is not what:
                raise UsageError(f"{other} and {what} are one file; name another one")


def start_afresh(stream: IO[bytes]) -> None:
    """Empty the output file: call it when it is sure that there will be something better in it."""
    if stream.fileno() != 1 and stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.truncate(0)


def write_jobs(stream: IO[bytes], jobs: Iterable[Job], reader: JobReader | Union) -> None:
    """Write each job as it comes. What is in the output file already goes when the first one has come, or all was
    read.

    :param reader: the jobs come from
    """
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    writer = RecordWriter(stream)
    for job in jobs:
        if not writer.written:
            start_afresh(stream)
        writer.write(job)
    if not writer.written and not reader.broken_off:
        start_afresh(stream)


def refuse_content(status: os.stat_result, name: str, instead: str = "", what: str = "output") -> None:
    """:exc:`UsageError` if this is an ordinary file that has content."""
    if stat.S_ISREG(status.st_mode) and status.st_size:
        raise UsageError(f"{what} {name}: there is something in this file already; name another one"
                         f"{instead}, or overwrite it with --force (-f)")


def refuse_same(source: os.stat_result, name: str) -> None:
    """:exc:`UsageError` if what is written to the output would come to stand in the file that is read."""
    if is_same(source, 1 if name == "-" else name):
        raise UsageError(f"output {name}: this is the file that is read; name another file")


def refuse_shared(name: str, what: str, others: Mapping[str, int | str | None]) -> None:
    """:exc:`UsageError` if one of the others is, or will be, the ordinary file of this name.

    :param what: it is, in messages
    :param others: descriptors and names, by what they are
    """
    for other, place in others.items():
        same = isinstance(place, str) and os.path.realpath(place) == os.path.realpath(name)
        if place is not None and (same or _is(place, name)) and (os.path.isfile(name) or not os.path.exists(name)):
            raise UsageError(f"{what} {name}: this is {other} too; name another file")


def is_file(descriptor: int, name: str) -> bool:
    """Whether an open descriptor leads to the ordinary file of this name."""
    try:
        return is_same(os.fstat(descriptor), name)
    except OSError:
        return False


def is_same(one: os.stat_result, other: int | str) -> bool:
    """Whether a descriptor or a name leads to this ordinary file."""
    return stat.S_ISREG(one.st_mode) and _is(other, one)


def _is(one: int | str, other: os.stat_result | int | str) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.stat(one), other if isinstance(other, os.stat_result) else os.stat(other))
    return False
