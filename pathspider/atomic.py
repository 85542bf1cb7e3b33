"""Atomic changes of a file: it is there whole at any time, as it was or as it shall be."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def refuse_special(path: Path) -> None:
    """``OSError`` for a device, a pipe or a folder: no file can take its place."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))


@contextmanager
def atomic_write(name: str | Path) -> Iterator[IO[bytes]]:
    """A stream to what shall be the file's content once the body is over; where the body raises, the file stays as is.

    Permissions stay as they are, and so does the owner, where we may give files away. A symbolic link goes on leading
    to the file.

    :raises OSError: if the folder or the file cannot be written, or what is there is a device, a pipe or a folder
    """
    path = Path(name).resolve()
    refuse_special(path)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            _dress(descriptor, path)
            os.fsync(descriptor)  # or, after a power cut, the name could lead to a file without its content
        os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)


def _dress(descriptor: int, path: Path) -> None:
    """Give an open file the owner and the permissions that the file of this name has, or those of an ordinary one."""
    try:
        old = path.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    for owner in ((old.st_uid, -1), (-1, old.st_gid)):
        with suppress(PermissionError):
            os.fchown(descriptor, *owner)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
