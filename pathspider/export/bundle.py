"""One archive of results to be published: records, metadata, schemas, what it is, and checksums of all of it.

The same files make the same octets, so a checksum of the archive says which results were meant.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import IO, NamedTuple, Protocol

SUMS = "SHA256SUMS"
README = "README.md"
ENDINGS = (".tar.gz", ".tgz", ".zip")
CHUNK = 1 << 20
EPOCH = 315532800
"""1980-01-01, the first moment that a zip archive can tell: the time of files where nothing else is known."""
SCHEMAS = ("record.schema.json", "job.schema.json", "flow.schema.json", "metadata.schema.json")


class Member(NamedTuple):
    """A file of the archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]

    @classmethod
    def of_path(cls, name: str, path: Path) -> Member:
        """A file of the disk; ``OSError`` where it cannot be read, or is none."""
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(22, "not an ordinary file", str(path))
        return cls(name, status.st_size, lambda: path.open("rb"))

    @classmethod
    def of_text(cls, name: str, text: str) -> Member:
        """A file that is made for the archive."""
        data = text.encode("utf-8", "backslashreplace")
        return cls(name, len(data), lambda: io.BytesIO(data))


class Archive(Protocol):
    """What members are put into."""

    def put(self, member: Member, stream: IO[bytes]) -> None:
        """Add one, with what the stream has."""


class _Tar:
    def __init__(self, stream: IO[bytes], moment: int) -> None:
        self._gzip = gzip.GzipFile("", "wb", 6, stream, mtime=moment)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._moment = moment

    def put(self, member: Member, stream: IO[bytes]) -> None:
        info = tarfile.TarInfo(member.name)
        info.size, info.mtime, info.mode = member.size, self._moment, 0o644
        self._tar.addfile(info, stream)

    def close(self) -> None:
        self._tar.close()
        self._gzip.close()


class _Zip:
    def __init__(self, stream: IO[bytes], moment: int) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        when = datetime.fromtimestamp(max(moment, EPOCH), UTC)
        self._moment = (when.year, when.month, when.day, when.hour, when.minute, when.second)

    def put(self, member: Member, stream: IO[bytes]) -> None:
        info = zipfile.ZipInfo(member.name, self._moment)
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
        info.file_size = member.size
        with self._zip.open(info, "w") as inner:
            while chunk := stream.read(CHUNK):
                inner.write(chunk)

    def close(self) -> None:
        self._zip.close()


class _Hashing(io.RawIOBase):
    """A stream that is hashed as it is read; what is beyond the expected size is not."""

    def __init__(self, inner: IO[bytes], size: int) -> None:
        self._inner, self._left = inner, size
        self.hash = sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._inner.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.hash.update(data)
        return data

    @property
    def is_whole(self) -> bool:
        """Whether all came that was expected, and nothing else is there."""
        return not self._left and not self._inner.read(1)


def write(stream: IO[bytes], name: str, members: Iterable[Member], moment: int) -> None:
    """An archive, in the order of the names: ``SHA256SUMS`` is the last one.

    :param name: of the archive, which tells by its ending what is made; the folder in it is called so
    :param moment: seconds since 1970, which all files in it have
    :raises OSError: where a file cannot be read, or has changed meanwhile
    """
    folder = folder_of(name)
    archive = _Zip(stream, moment) if name.endswith(".zip") else _Tar(stream, moment)
    sums = []
    for member in sorted(members):
        with member.open() as inner:
            hashing = _Hashing(inner, member.size)
            try:
                archive.put(member._replace(name=f"{folder}/{member.name}"), hashing)  # type: ignore[arg-type]
            except OSError as error:
                if error.errno is None:  # of tarfile: the stream ended too early
                    raise OSError(5, "it has become shorter while it was read", member.name) from None
                raise
            if not hashing.is_whole:
                raise OSError(5, "it has changed while it was read: wait until the run is over", member.name)
        sums.append(f"{hashing.hash.hexdigest()}  {member.name}\n")
    listed = Member.of_text(f"{folder}/{SUMS}", "".join(sums))
    with listed.open() as inner:
        archive.put(listed, inner)
    archive.close()


def folder_of(name: str) -> str:
    """The folder in an archive: its name without the ending; ``ValueError`` for another ending."""
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return Path(name).name.removesuffix(ending)
    raise ValueError(f"its name has to end with one of {', '.join(ENDINGS)}")


def schemas() -> list[Member]:
    """The schemas of this version, in a folder of their own."""
    room = files("pathspider") / "schemas"
    return [Member.of_text(f"schemas/{name}", (room / name).read_text(encoding="utf-8")) for name in SCHEMAS]


def evidence(folder: Path, names: Iterable[str]) -> Iterator[Member]:
    """Files of packets.

    :param names: that records tell; what leads out of the folder is refused
    :raises OSError: where one is not there
    """
    root = folder.resolve()
    for name in sorted(set(names)):
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise OSError(22, "leads out of the folder of evidence", name)
        yield Member.of_path(f"evidence/{name}", path)


@contextmanager
def opened(path: Path) -> Iterator[Iterator[tuple[str, int, IO[bytes] | None]]]:
    """What is in an archive, member by member: name, size, and a stream, or None for what is no ordinary file.

    Nothing is unpacked onto the disk. Damage raises what ``tarfile``, ``zipfile`` and their decompressors raise.
    """
    with path.open("rb") as stream:
        if stream.read(4) == b"PK\3\4":
            with zipfile.ZipFile(path) as archive:
                yield _of_zip(archive)
        else:
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:gz") as packed:
                yield _of_tar(packed)


def _of_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    for info in archive.infolist():
        if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            yield info.filename, 0, None
        else:
            with archive.open(info) as inner:
                yield info.filename, info.file_size, inner


def _of_tar(archive: tarfile.TarFile) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    for info in archive:
        yield info.name, info.size, archive.extractfile(info) if info.isreg() else None


def moment_of(ends: Iterable[str], environment: Mapping[str, str] = os.environ) -> int:
    """The time of all files of an archive: ``SOURCE_DATE_EPOCH``, or when the last run ended.

    :param ends: of the runs, as metadata has them
    """
    if (text := environment.get("SOURCE_DATE_EPOCH", "")).isdecimal():
        return int(text)
    last = max(ends, default="")
    return int(datetime.fromisoformat(f"{last}+00:00").timestamp()) if last else EPOCH
