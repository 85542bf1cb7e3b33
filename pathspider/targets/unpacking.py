"""What a user's file says, however it is packed and encoded: its content tells, not its name.

Unpacked are gzip (:rfc:`1952`), bzip2, xz, Zstandard (:rfc:`8878`) and zip archives with one file; UTF-16 and UTF-32
become UTF-8. All is read as it comes, from files as from pipes, in bounded memory.
"""

from __future__ import annotations

import bz2
import codecs
import io
import logging
import lzma
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from zstandard import ZstdDecompressionObj

log = logging.getLogger(__name__)

CHUNK = 1 << 16
"""Octets read, and octets unpacked, at once."""

SLICE = 128
"""Octets given to a decompressor at once: where data are damaged, what came out of those before is not lost. So little
also bounds what comes out: zlib makes 1,032 octets of one, Zstandard 128 KiB of three."""

MEMORY = 1 << 27
"""Octets that a decompressor may take; ``xz -9`` needs half of that."""

DEPTH = 3
"""How often a file may be packed: there are archives that hold themselves."""

ENOUGH = 512
"""Octets that tell binary formats apart: a tar archive's name stands at 257."""


class UnreadableError(ValueError):
    """Input that is not what can be read, or breaks off; the text says what it is and what to do."""


class Decompressor(Protocol):
    """As those of :mod:`bz2` and :mod:`lzma`."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed data has come."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond that."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out of what was given."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """What comes out of more data."""


class _Whole:
    """A decompressor that puts out at once all that it can."""

    needs_input = True

    def __init__(self, inner: zlib._Decompress | ZstdDecompressionObj) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(data)


def _gzip() -> Decompressor:
    return _Whole(zlib.decompressobj(zlib.MAX_WBITS | 16))


def _lzma() -> Decompressor:
    return lzma.LZMADecompressor(memlimit=MEMORY)


class _Zstd(_Whole):
    """As that of :mod:`zlib`, its errors too."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        import zstandard  # noqa: PLC0415 - for such files alone

        try:
            return super().decompress(data)
        except zstandard.ZstdError as error:
            raise zlib.error(str(error).removeprefix("zstd decompressor error: ")) from None


def _zstd() -> Decompressor:
    try:
        import zstandard  # noqa: PLC0415 - for such files alone
    except ImportError:
        raise UnreadableError("the Python package zstandard is needed to unpack this file: install it "
                              "(python3-zstandard), or unpack the file (`zstd -d`)") from None
    return _Zstd(zstandard.ZstdDecompressor(max_window_size=MEMORY).decompressobj())


class Packing(NamedTuple):
    """How a file can be compressed."""

    name: str
    program: str
    """What unpacks it with ``-dc``."""
    ending: str
    """Of names of such files."""
    magic: bytes
    """How such files begin."""
    decompressor: Callable[[], Decompressor]


PACKINGS = (
    Packing("gzip", "gzip", ".gz", b"\x1f\x8b\x08", _gzip),
    Packing("bzip2", "bzip2", ".bz2", b"BZh", bz2.BZ2Decompressor),
    Packing("xz", "xz", ".xz", b"\xfd7zXZ\x00", _lzma),
    Packing("Zstandard", "zstd", ".zst", b"\x28\xb5\x2f\xfd", _zstd),
)

ZIP = b"PK\x03\x04"
ZIP_HEADER = struct.Struct("<4s5H3L2H")
STORED, DEFLATED = 0, 8
ENCRYPTED, SIZES_FOLLOW, UTF_8_NAME = 1, 1 << 3, 1 << 11

ENCODINGS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
             (codecs.BOM_UTF16_BE, "utf-16"))
"""By how a file begins; the longer marks first."""

CAPTURE = "a packet capture: `pspdr observe` reads such"
SHEET = "a spreadsheet: export it as CSV"
FOREIGN = {
    b"\xd4\xc3\xb2\xa1": CAPTURE, b"\xa1\xb2\xc3\xd4": CAPTURE, b"\x4d\x3c\xb2\xa1": CAPTURE,
    b"\xa1\xb2\x3c\x4d": CAPTURE, b"\x0a\x0d\x0d\x0a": CAPTURE,
    b"\xd0\xcf\x11\xe0": SHEET,
    b"7z\xbc\xaf": "a 7z archive: unpack it (`7z x`)",
    b"Rar!": "a RAR archive: unpack it",
    b"\x04\x22\x4d\x18": "compressed by lz4: unpack it (`lz4 -dc`)",
    b"LZIP": "compressed by lzip: unpack it (`lzip -dc`)",
    b"\x1f\x9d": "compressed by compress: unpack it (`gzip -dc`)",
    b"%PDF": "a PDF document: the list has to be text",
    b"SQLite format 3\0": "an SQLite database: export the list as CSV",
    b"PAR1": "an Apache Parquet file: export the list as CSV or ndjson",
    b"Obj\x01": "an Apache Avro file: export the list as CSV or ndjson",
    b"\x7fELF": "a program",
}
"""What is something else, by how it begins."""

MAGICS = (*(one.magic for one in PACKINGS), ZIP, *(mark for mark, _ in ENCODINGS), *FOREIGN)

CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
"""Octets that text does not have: 8 % of those of random data."""

MOST_CONTROLS = 0.02
"""The share of them that a file may have, which may be text with a damaged line."""

MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-z]", re.IGNORECASE)


class Feed:
    """Octets as they come in chunks, taken in pieces of any size."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._head = b""
        self.position = 0
        """Octets taken."""

    def peek(self, enough: Callable[[bytes], bool]) -> bytes:
        """What comes next, so much of it that it is enough, or all that there is; it is not taken."""
        while not self._head or not enough(self._head):
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._head += chunk
        return self._head

    def take(self, size: int) -> bytes:
        """At most ``size`` octets; none at the end."""
        head = self._head or next(self._chunks, b"")
        taken, self._head = head[:size], head[size:]
        self.position += len(taken)
        return taken

    def exactly(self, size: int) -> bytes:
        """``size`` octets, fewer where all ends before."""
        parts = b""
        while len(parts) < size and (part := self.take(size - len(parts))):
            parts += part
        return parts

    def give_back(self, octets: bytes) -> None:
        """As if these, the last that were taken, had not been."""
        self._head = octets + self._head
        self.position -= len(octets)


def packing_of(head: bytes) -> Packing | None:
    """How a file that begins so is compressed; None if it is not."""
    return next((one for one in PACKINGS if head.startswith(one.magic)), None)


def encoding_of(head: bytes) -> str | None:
    """In which encoding of two or four octets a file is that begins so; None if it is in none."""
    for mark, encoding in ENCODINGS:
        if head.startswith(mark):
            return encoding
    pairs = head[:ENOUGH]
    for first, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        if len(pairs) >= 4 and not any(pairs[first::2]) and all(pairs[1 - first::2]):
            return encoding
    return None


def foreign(head: bytes) -> str | None:
    """What a file is that begins so, and what to do; None if it may be text."""
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it (`tar -xOf` puts out the files in it)"
    if MARKUP.match(head):
        return "HTML or XML, such as a page of the Web: was it an error message that was downloaded?"
    if len(CONTROLS.findall(head[:ENOUGH])) > MOST_CONTROLS * len(head[:ENOUGH]):
        return "binary: the list has to be text, one target a line"
    return None


def _enough(head: bytes) -> bool:
    if any(len(head) < len(magic) and magic.startswith(head) for magic in MAGICS):
        return False
    return head.startswith(MAGICS) or len(head) >= ENOUGH or not CONTROLS.search(head)


def unpack(feed: Feed, packing: Packing) -> Iterator[bytes]:
    """The chunks of what is compressed, one after another if it is so several times, as by ``cat``."""
    while True:
        try:
            decompressor = packing.decompressor()
            yield from _decompress(feed, decompressor)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # from reading; those of bz2 have no number
                raise
            raise _damaged(feed, packing.name, error) from None
        end = feed.position
        while (head := feed.peek(bool)).startswith(b"\0"):  # padding, as xz and tapes have it
            feed.take(len(head) - len(head.lstrip(b"\0")))
        more = feed.peek(lambda head: len(head) >= len(packing.magic))
        if not more:
            return
        if not more.startswith(packing.magic):
            raise UnreadableError(f"the {packing.name} data end at octet {end}, and something else follows")


def _damaged(feed: Feed, what: str, error: Exception) -> UnreadableError:
    if isinstance(error, EOFError):
        return UnreadableError(f"the {what} data are cut off after {feed.position} octets")
    return UnreadableError(f"the {what} data are damaged before octet {feed.position}: {error}")


def _decompress(feed: Feed, decompressor: Decompressor) -> Iterator[bytes]:
    """What comes out until the compressed data's end; ``EOFError`` where it does not come."""
    while not decompressor.eof:
        piece = b""
        if decompressor.needs_input and not (piece := feed.take(SLICE)):
            raise EOFError
        if chunk := decompressor.decompress(piece, CHUNK):
            yield chunk
    feed.give_back(decompressor.unused_data)


MAC = "__MACOSX/"
"""The folder of attributes in archives that were made on macOS."""


def unzip(feed: Feed) -> Iterator[bytes]:
    """The chunks of the only file in a zip archive (APPNOTE.TXT 6.3.10), from its beginning on, as a pipe is read."""
    header = _zip_file(feed)
    if header is None:
        raise UnreadableError("a zip archive without a file in it")
    name = header.name
    if name in ("[Content_Types].xml", "mimetype") or name.startswith(("_rels/", "docProps/")):
        raise UnreadableError(f"this is {SHEET}")
    advice = f"unpack it (`unzip -p ARCHIVE {name!r}`)"
    if header.flags & ENCRYPTED:
        raise UnreadableError(f"{name!r} in the zip archive is encrypted: {advice}")
    if header.method not in (STORED, DEFLATED) or (header.method == STORED and header.flags & SIZES_FOLLOW):
        raise UnreadableError(f"{name!r} in the zip archive is packed by method {header.method}: {advice}")
    log.info("reading %r in the zip archive", name)
    yield from _zip_content(feed, header)
    others = _zip_file(feed)
    if others is not None:
        raise UnreadableError(f"the zip archive has other files beside {name!r}, such as {others.name!r}: these were "
                              "not read (`unzip -p ARCHIVE NAME` puts one out)")
    while feed.take(CHUNK):
        pass  # the list of what is in the archive


def _zip_file(feed: Feed) -> _ZipHeader | None:
    """The header of the next file, folders and what macOS puts beside each file passed over; None without one."""
    while (header := _zip_header(feed)) is not None:
        if header.name.startswith(MAC) and not header.flags & ENCRYPTED and header.method in (STORED, DEFLATED):
            for _ in _zip_content(feed, header):
                pass
        elif header.name.endswith("/"):
            feed.exactly(header.size)
        else:
            return header
    return None


def _zip_content(feed: Feed, header: _ZipHeader) -> Iterator[bytes]:
    """The chunks of a file behind its header."""
    name = header.name
    begins, check = feed.position, 0
    stored = _stored(feed, header.size)
    try:
        for chunk in stored if header.method == STORED else _decompress(feed, _Whole(zlib.decompressobj(-15))):
            check = zlib.crc32(chunk, check)
            yield chunk
    except (zlib.error, EOFError) as error:
        raise _damaged(feed, "zip", error) from None
    if header.flags & SIZES_FOLLOW:
        wide = 8 if feed.position - begins >= 1 << 32 else 4
        first = feed.exactly(4)
        given = feed.exactly(4) if first == b"PK\x07\x08" else first
        feed.exactly(2 * wide)
    else:
        given = struct.pack("<L", header.check)
    if given != struct.pack("<L", check):
        raise UnreadableError(f"{name!r} in the zip archive is damaged: its check sum is another one")


class _ZipHeader(NamedTuple):
    flags: int
    method: int
    check: int
    size: int
    name: str


def _zip_header(feed: Feed) -> _ZipHeader | None:
    """The next file's header, taken; None where there is none."""
    octets = feed.peek(lambda head: len(head) >= 4)
    if not octets.startswith(ZIP):
        return None
    octets = feed.exactly(ZIP_HEADER.size)
    if len(octets) < ZIP_HEADER.size:
        raise UnreadableError("the zip archive is cut off in its header")
    _, _, flags, method, _, _, check, size, _, named, extra = ZIP_HEADER.unpack(octets)
    name = feed.exactly(named).decode("utf-8" if flags & UTF_8_NAME else "cp437", "replace")
    feed.exactly(extra)
    return _ZipHeader(flags, method, check, size, name)


def _stored(feed: Feed, size: int) -> Iterator[bytes]:
    while size:
        chunk = feed.take(min(size, CHUNK))
        if not chunk:
            raise EOFError
        size -= len(chunk)
        yield chunk


def _not_a_character(error: UnicodeError) -> tuple[str, int]:
    """For a codec: what becomes a line that is not UTF-8."""
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error("pathspider_not_a_character", _not_a_character)


def transcode(feed: Feed, encoding: str) -> Iterator[bytes]:
    """The chunks of text in another encoding, in UTF-8. What is no character spoils no more than its line."""
    decoder = codecs.getincrementaldecoder(encoding)("pathspider_not_a_character")
    while chunk := feed.take(CHUNK):
        if text := decoder.decode(chunk):
            yield text.encode("utf-8", "surrogatepass")
    if text := decoder.decode(b"", final=True):
        yield text.encode("utf-8", "surrogatepass")


class _Chunks(io.RawIOBase):
    """Chunks as a stream. One that breaks off ends, and has an ``error``."""

    def __init__(self, feed: Feed, source: Feed) -> None:
        self._feed = feed
        self._source = source
        self.error: UnreadableError | None = None
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        before = self._source.position
        octets = b""
        try:
            octets = self._feed.take(len(view))
        except UnreadableError as error:
            self.error = error
        except OSError as error:
            self.error = UnreadableError(f"reading fails: {error.strerror}")
        self.position = before if octets else self._source.position
        view[:len(octets)] = octets
        return len(octets)


class Text:
    """The lines of a user's file, unpacked and, if they were in UTF-16 or UTF-32, in UTF-8.

    Only as much is read as is asked for: a pipe's line is there when it has come.

    :param source: the file, opened in binary mode
    :param binary: what is unpacked may be anything, and is left as it is
    """

    def __init__(self, source: IO[bytes], *, binary: bool = False) -> None:
        read: Callable[[int], bytes] = getattr(source, "read1", source.read)
        self._source = Feed(iter(lambda: read(CHUNK), b""))
        feed, depth = self._source, 0
        error: UnreadableError | None = None
        try:
            while inner := self._inside(feed, binary):
                depth += 1
                if depth > DEPTH:
                    raise UnreadableError(f"this is packed more than {DEPTH} times")
                feed = inner
        except UnreadableError as what:
            feed, error = Feed(iter(())), what
        except OSError as what:
            feed, error = Feed(iter(())), UnreadableError(f"reading fails: {what.strerror}")
        self.as_it_is = depth == 0
        """Whether the lines' octets are those of the file."""
        self._raw = _Chunks(feed, self._source)
        self._raw.error = error
        self._lines = io.BufferedReader(self._raw, CHUNK)
        self.readline = self._lines.readline
        """The next line, or its first so many octets; nothing at the end."""
        self.read = self._lines.read
        """So many octets, fewer at the end."""
        self.peek = self._lines.peek
        """What comes next, some of it."""

    @staticmethod
    def _inside(feed: Feed, binary: bool) -> Feed | None:
        """What is packed in a feed; None where it is text."""
        head = feed.peek(_enough)
        if packing := packing_of(head):
            return Feed(unpack(feed, packing))
        if head.startswith(ZIP):
            return Feed(unzip(feed))
        if binary:
            feed.peek(lambda head: len(head) >= ENOUGH)  # what comes first is to be looked at in one piece
            return None
        if encoding := encoding_of(head):
            return Feed(transcode(feed, encoding))
        if what := foreign(head):
            raise UnreadableError(f"this is {what}")
        return None

    def all(self) -> str:
        """All of it at once; :exc:`UnreadableError` if it breaks off."""
        octets = self._lines.read()
        if self.error is not None:
            raise self.error
        return octets.decode("utf-8-sig")

    @property
    def error(self) -> UnreadableError | None:
        """Why there are no further lines, where that is not because the file ends; the last line may be torn then."""
        return self._raw.error

    @property
    def position(self) -> int:
        """Octets of the file that were read for the lines so far, in steps of :data:`CHUNK`; at the end, all."""
        return self._raw.position


def regular_head(descriptor: int) -> bytes:
    """How a file begins, of which nothing is read thereby; nothing where it is no regular one."""
    try:
        return os.pread(descriptor, ENOUGH, 0)
    except OSError:
        return b""
