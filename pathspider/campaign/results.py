"""What was measured of a chunk, as it is sent and as it lies on the disk: two frames of Zstandard (:rfc:`8878`), the
first with a line of JSON that says what it is, the second with the records. ``zstdcat`` shows both.

Who has sent it may have been taken over: it is read within bounds, and every line is looked at before one is kept.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard

from pathspider.campaign.chunks import Chunk
from pathspider.records import Job
from pathspider.targets.problems import TARGET_KEYS, identity
from pathspider.targets.reading import RECORD_DEPTH, LineError, parse_ndjson

Head = dict[str, Any]
"""The first line: ``campaign``, ``slot``, ``chunk``, ``epoch``, ``vantage`` and ``facts``, of the run."""

MOST_HEAD = 1 << 20
"""Octets of the first line at most."""

MOST_LINE = 1 << 24
"""Octets of a record at most: with flows and rounds they are long."""

MOST_OCTETS = 1 << 33
"""Octets of a chunk's records at most: of 10,000 octets for each target there is hardly ever so much."""

MOST_KEPT = 1 << 26
"""Octets of a chunk's records that are kept while they are read."""

LEVEL = 3
PIECE = 1 << 16

FRAMES = 2
LONGEST_HEADER = 18
"""Octets of a frame's header at most."""
SAME_OCTET = 1
"""The kind of a block that holds one octet, many times."""


class Unfinished(NamedTuple):
    """Targets of a chunk that a second try could give a verdict."""

    vantage: str
    """Who has measured them."""
    reasons: Counter[str]
    """How many, by the reason."""


class ResultError(ValueError):
    """These are not the results of that chunk; the text says why."""


class Packer:
    """Packs records as they come."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._packed: list[bytes] = []
        self.records = 0

    def add(self, line: bytes) -> None:
        """Add a record, as a line with its newline."""
        self._packed.append(self._compressor.compress(line))
        self.records += 1

    def whole(self, head: Mapping[str, Any]) -> bytes:
        """All of it, with its first line."""
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        first = compressor.compress(json.dumps(head).encode() + b"\n")
        return b"".join([first, *self._packed, self._compressor.flush()])


def head_of(chunk: Chunk, vantage: str, facts: Mapping[str, Any]) -> Head:
    """The first line of a chunk's results."""
    return {"campaign": chunk.campaign, "slot": chunk.slot, "chunk": chunk.number, "epoch": chunk.epoch,
            "vantage": vantage, "facts": facts}


class Unpacked:
    """Results that are read: :attr:`head`, then, once, :meth:`lines`.

    :raises ResultError: for what they cannot be
    """

    def __init__(self, stream: IO[bytes]) -> None:
        # The window is bounded: a frame may ask for gigabytes.
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(stream, read_across_frames=True)
        self._lines = io.BufferedReader(reader, PIECE)
        try:
            self.head = _head(self._lines.readline(MOST_HEAD))
        except zstandard.ZstdError as error:
            raise ResultError(f"not compressed by Zstandard, or torn: {error}") from None

    def lines(self) -> Iterator[bytes]:
        """The records, each with its newline."""
        octets = count = 0
        try:
            while line := self._lines.readline(MOST_LINE):
                octets += len(line)
                if not line.endswith(b"\n") or octets > MOST_OCTETS:
                    what = "a line without an end" if octets <= MOST_OCTETS else "more than can be"
                    raise ResultError(f"line {count + 2}: {what}")
                count += 1
                yield line
        except zstandard.ZstdError as error:
            raise ResultError(f"torn behind line {count + 1}: {error}") from None
        if count != self.head["facts"].get("records", count):
            raise ResultError(f"torn behind line {count + 1}: {count} records, where there are to be "
                              f"{self.head['facts']['records']}")


def unfinished(head: Head) -> Unfinished | None:
    """What is unfinished of these results, by their first line; None where nothing is. That of an earlier version has
    only the reasons of its own machine."""
    told = head["facts"].get("unfinished", head["facts"].get("local_errors"))
    reasons = Counter({str(reason): count for reason, count in told.items() if type(count) is int and count > 0}
                      if isinstance(told, dict) else {})
    return Unfinished(head["vantage"], reasons) if reasons else None


class Whole:
    """Results of which all was read, and is whole: their :attr:`head` and :meth:`lines`. The records are kept from that
    reading; those of more than :data:`MOST_KEPT` octets are read once more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: io.BytesIO | None = io.BytesIO()
        self.head: Head = {}

    def keep(self, line: bytes) -> None:
        """Take a record that was read."""
        if self._kept is not None:
            self._kept.write(line)
            if self._kept.tell() > MOST_KEPT:
                self._kept = None

    def lines(self) -> Iterator[bytes]:
        """The records, each with its newline."""
        if self._kept is not None:
            self._kept.seek(0)
            yield from self._kept
        else:
            with self._path.open("rb") as stream:
                yield from Unpacked(stream).lines()


def _head(line: bytes) -> Head:
    try:
        head = json.loads(line)
    except (ValueError, RecursionError):
        raise ResultError("line 1: torn, or not JSON" if line else "empty, or torn before line 1") from None
    if not (isinstance(head, dict) and isinstance(head.get("facts"), dict)
            and all(isinstance(head.get(name), str) for name in ("campaign", "slot", "vantage"))
            and all(type(head.get(name)) is int for name in ("chunk", "epoch"))):
        raise ResultError("line 1 does not say what it is of")
    return head


def is_complete(stream: IO[bytes]) -> bool:
    """Whether the frames of results are there to their ends, and nothing behind them, by the sizes that their blocks
    tell: nothing is unpacked. :rfc:`8878`, section 3.1.1"""
    size, place, frames = stream.seek(0, io.SEEK_END), 0, 0
    while place < size:
        stream.seek(place)
        begin = stream.read(LONGEST_HEADER)
        try:
            place += zstandard.frame_header_size(begin)
            has_checksum = zstandard.get_frame_parameters(begin).has_checksum
        except (zstandard.ZstdError, ValueError):
            return False
        last = 0
        while not last:
            stream.seek(place)
            header = stream.read(3)
            if len(header) < 3:
                return False
            block = int.from_bytes(header, "little")
            last, kind, octets = block & 1, block >> 1 & 3, block >> 3
            place += len(header) + (1 if kind == SAME_OCTET else octets)
        place += 4 if has_checksum else 0
        frames += 1
    return place == size and frames == FRAMES


def look(stream: IO[bytes], campaign: str, slot: str, number: int, *, thoroughly: bool,
         keep: Callable[[bytes], None] | None = None) -> Head:
    """The first line of the whole results of a chunk.

    :param stream: a file; where it is read from then is not said
    :param thoroughly: read all of it, not its beginning and the sizes of its parts alone
    :param keep: gets each record, where all of it is read
    :raises ResultError: where they are not whole, or another's
    """
    complete = is_complete(stream)
    stream.seek(0)
    unpacked = Unpacked(stream)
    if (found := tuple(unpacked.head[name] for name in ("campaign", "slot", "chunk"))) != (campaign, slot, number):
        other = "" if found[0] == campaign else f" in campaign {found[0]:.40}"
        raise ResultError(f"line 1: these are results of chunk {found[2]} of {found[1]:.40}{other}")
    if thoroughly or not complete:
        for line in unpacked.lines():
            if keep is not None:
                keep(line)
    if not complete:
        raise ResultError("torn: what was compressed breaks off, or goes on behind its end")
    return unpacked.head


def check(data: bytes, chunk: Chunk, vantage: str | None, default_port: int | None, *, several: bool) -> Head:
    """The first line of results that are those of this chunk: each of its targets once, and nothing else.

    :param vantage: who has sent it; None for whoever says so
    :param default_port: of targets that name none
    :param several: the plugin puts out any number of lines for a target
    :raises ResultError: for anything else
    """
    unpacked = Unpacked(io.BytesIO(data))
    if not is_complete(io.BytesIO(data)):
        raise ResultError("torn")
    head = unpacked.head
    expected = head_of(chunk, head["vantage"] if vantage is None else vantage, head["facts"])
    if {name: head[name] for name in expected} != expected:
        raise ResultError("the first line names another chunk or vantage point")
    wanted = {target_of(job, default_port) for job in chunk.jobs}
    for line in unpacked.lines():
        try:
            record = parse_ndjson(line.decode("utf-8"), RECORD_DEPTH)
        except (LineError, UnicodeDecodeError) as error:
            raise ResultError(f"not a record: {error}") from None
        if several:
            continue
        target = target_of(record, default_port)
        if target not in wanted:
            raise ResultError(f"a record of {record.get('dip')!r:.100}, which is not asked for, or again")
        wanted.discard(target)
    discarded = head["facts"].get("discarded", 0)
    if not several and len(wanted) != discarded:
        raise ResultError(f"{len(wanted)} targets have no record")
    return head


def target_of(job: Job, default_port: int | None) -> str:
    """What tells one target from another, whatever its values are."""
    named = {"dp": default_port} | {name: value for name, value in job.items() if value is not None}
    return repr(identity(named, TARGET_KEYS))
