"""The file that a command writes records to."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from pathspider.cmd.main import UsageError


@contextmanager
def open_output(name: str, append: bool = False) -> Iterator[IO[bytes]]:
    """The output file, or standard output for ``-``, unbuffered. What is in the file already stays, for now."""
    if name == "-" and sys.stdout is None:  # what is opened next would get its number
        raise UsageError("standard output is closed; name a file with --output, or lead it somewhere")
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if append else 0)
    try:
        descriptor = 1 if name == "-" else os.open(name, flags, 0o666)
    except OSError as error:
        raise UsageError(f"output {name}: {error.strerror}") from None
    with open(descriptor, "wb", buffering=0, closefd=name != "-") as stream:
        yield stream


def start_afresh(name: str, stream: IO[bytes]) -> None:
    """Empty the output file: call it when it is sure that there will be something better in it."""
    if name != "-" and stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.truncate(0)


def refuse_same(source: os.stat_result, name: str) -> None:
    """:exc:`UsageError` if what is written to the output would come to stand in the file that is read."""
    if _is(source, 1 if name == "-" else name):
        raise UsageError(f"output {name}: this is the file that is read; name another file")


def is_file(descriptor: int, name: str) -> bool:
    """Whether an open descriptor leads to the file of this name."""
    try:
        return _is(os.fstat(descriptor), name)
    except OSError:
        return False


def _is(one: os.stat_result, other: int | str) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(one.st_mode) and os.path.samestat(one, os.stat(other))
    return False
