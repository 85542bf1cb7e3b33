"""A folder that a run makes files in: opened once, and what others put there is neither followed nor overwritten."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

SPARE = 16 << 20
"""Octets of a disk that packets leave to the records."""


class FolderError(Exception):
    """A folder cannot be used; the text is for the user."""


class Folder:
    """An open folder.

    :param name: where it is
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    @classmethod
    def open(cls, name: str) -> Folder:
        """One that is there."""
        try:
            return cls(name, os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise FolderError(f"{name}: {error.strerror}") from None

    @classmethod
    def make(cls, name: str, owner: tuple[int, int] | None) -> Folder:
        """One that is there, or a new one.

        :param owner: user and group that a new one is given to; None: it stays ours
        """
        try:
            Path(name).mkdir(mode=0o777)
        except FileExistsError:
            return cls.open(name)
        except OSError as error:
            raise FolderError(f"{name}: {error.strerror}") from None
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise FolderError(f"{name}: {error.strerror}") from None
        folder = cls(name, descriptor)
        # The one that we made, if nobody has put another in its place meanwhile.
        if owner is not None and os.fstat(descriptor).st_uid == os.geteuid() and folder.is_empty():
            with suppress(OSError):  # a user namespace that has no such user: we stay who we are, too
                os.fchown(descriptor, *owner)
        return folder

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not os.listdir(self.descriptor)

    def refuse_unwritable(self) -> None:
        """:exc:`FolderError` if we cannot make files in it."""
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=self.descriptor, effective_ids=True):
            raise FolderError(f"{self.name}: user {os.geteuid()}, as whom the run goes on, cannot make files in this "
                              "folder: give it to that user, name another folder, or another user with --user")

    def create(self, name: str) -> int:
        """A descriptor of a new file in it, or in a folder of it that is made where it is not there.

        :raises OSError: if it cannot be made, or (``FileExistsError``) there is something of this name
        """
        return self._within(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def append(self, name: str) -> int:
        """A descriptor to add to a file, and read it."""
        descriptor = self._within(name, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not an ordinary file", name)
        return descriptor

    def replace(self, name: str, other: str) -> None:
        """Have the file of the other name, in the same folder, in the place of this one."""
        os.rename(other, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self.descriptor)

    def _within(self, name: str, flags: int) -> int:
        below, slash, last = name.rpartition("/")
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        if not slash:
            return os.open(last, flags, 0o666, dir_fd=self.descriptor)
        if flags & os.O_CREAT:
            with suppress(FileExistsError):
                os.mkdir(below, dir_fd=self.descriptor)
        folder = os.open(below, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            return os.open(last, flags, 0o666, dir_fd=folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """It is not needed any more."""
        os.close(self.descriptor)


def has_room(descriptor: int) -> bool:
    """Whether the records have room enough, on the disk of this file or folder, if something else is written there."""
    room = os.fstatvfs(descriptor)
    return room.f_bavail * room.f_frsize >= SPARE


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; ``OSError`` if only some of it could be."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest):]
