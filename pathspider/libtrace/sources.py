"""Which packet source a URI means, who serves it, and what to say when it fails.

Capture files are read by our own reader, live interfaces by libpcap; every other URI is served by libtrace.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from pathspider.libtrace import _core
from pathspider.libtrace.errors import CaptureError

log = logging.getLogger("pathspider")

FILE_RING = 2 << 20
"""Bytes between reader and consumer where the reader can wait: keeps both at work and fits caches."""

REORDERING = 10_000_000
"""ns by which the last packets of a file may be later than the first of the next: several queues capture at once."""

COMMENTS = 16
"""That are kept of all files together."""

LIVE_SCHEMES = {"int", "bpf", "ring", "rt", "dag", "dpdk", "linuxring", "ndag", "etsilive"}
"""libtrace formats whose packet clock is the wall clock."""

DEVICES_OF_PCAP = ("any", "nflog", "nfqueue", "usbmon", "bluetooth", "dbus-")
"""How names begin under which libpcap captures elsewhere than on an interface of the kernel's list."""

ENDINGS = (".pcap", ".pcapng", ".cap", ".gz", ".bz2", ".xz", ".zst", ".lz4")
"""Of names that are those of files, though there is none; what a file is tells its content."""


class Target(NamedTuple):
    """A packet source by name: ``kind`` is ``live``, ``file``, ``stdin`` or ``libtrace``."""

    kind: str
    name: str


def parse(uri: str) -> Target:  # noqa: PLR0911 - a table of cases
    """What a URI or a plain name means: ``int:IF`` or the name of an interface; ``pcapfile:F``, ``pcap:F`` or the name
    of a file; ``-`` for a capture on standard input; ``libtrace:URI`` and all other URIs are for libtrace."""
    scheme, colon, rest = uri.partition(":")
    if uri == "-":
        return Target("stdin", uri)
    if colon and scheme == "int":
        return Target("live", rest)
    if colon and scheme in ("pcapfile", "pcap"):
        return Target("stdin" if rest == "-" else "file", rest)
    if colon and scheme == "libtrace":
        return Target("libtrace", rest)
    if uri in (name for _, name in socket.if_nameindex()):
        return Target("live", uri)
    if os.path.exists(uri):
        return Target("file", uri)
    if colon and scheme.isalnum():
        return Target("libtrace", uri)
    looks_like_file = "/" in uri or uri.endswith(ENDINGS)
    return Target("file" if looks_like_file else "live", uri)


class Comment(NamedTuple):
    """What who made a capture file noted in it."""

    offset: int
    """Byte at which the block begins that it is about: a section, an interface, a packet; of the unpacked stream."""
    text: str
    """In one line; a long one is cut."""
    file: str = ""
    """Of several files, the one that it is in."""


def printable(text: str) -> str:
    """A text in one line, without characters that a terminal acts upon."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


class Capture:
    """An open packet source; packets are being captured when the constructor returns. Of a FIFO or another stream it
    returns at once, and what is wrong with it shows when it is read.

    :param bpf: filter expression in the syntax of pcap-filter(7)
    :param snaplen: bytes kept of each packet
    :param buffer_size: bytes of the kernel's buffer of a live capture, and of our ring behind it
    :param fragments: puts fragments together; None: they are delivered as they are
    :param decapsulate: flows are those inside of tunnels; for a table that is told so too
    """

    def __init__(self, uri: str, bpf: str | None = None, snaplen: int = 65535, buffer_size: int = 64 << 20,
                 promisc: bool = True, *,
                 fragments: _core.Reassembly | None = None, decapsulate: bool = False) -> None:
        self.target, self._fragments = parse(uri), fragments
        self._decapsulate = decapsulate
        try:
            self.reader = self._open(bpf, snaplen, buffer_size, promisc)
        except _core.SourceError as error:
            raise self._explain(error, bpf) from None

    def _open(self, bpf: str | None, snaplen: int, buffer_size: int, promisc: bool) -> _core.Reader:
        kind, name = self.target
        if kind == "live":
            return _core.live(name, bpf, snaplen, buffer_size, buffer_size, promisc, self._fragments,
                              self._decapsulate)
        if kind == "libtrace":
            return _core.libtrace_uri(name, bpf, snaplen, buffer_size if self.live else FILE_RING, self.live,
                                      self._fragments, self._decapsulate)
        if kind == "stdin":
            return _core.descriptor(os.dup(0), False, bpf, snaplen, FILE_RING, self._fragments, self._decapsulate)
        return _core.descriptor(*self._open_file(name), bpf, snaplen, FILE_RING, self._fragments, self._decapsulate)

    def _open_file(self, name: str) -> tuple[int, bool]:
        """A descriptor of the capture, and whether its header is there for the asking."""
        try:
            # O_NONBLOCK: a FIFO's writer may never come. The reader waits for it, and can be stopped.
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise CaptureError(f"cannot open the capture file: {error.strerror}", name,
                               "give a capture file or the name of an interface") from None
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            os.close(descriptor)
            raise CaptureError("is a directory, not a capture file", name)
        os.set_blocking(descriptor, True)
        return descriptor, stat.S_ISREG(mode)

    def feed(self, table: _core.FlowTable) -> list[dict[str, object]] | None:
        """Waits for packets; the records of flows that ended, or None at the end. Raises :class:`CaptureError` where
        the source broke off, after all packets before that were eaten."""
        flows = self.reader.feed(table)
        if flows is None and (flows := self.reader.let_go(table)) is None:
            self._check_end()
        return flows

    def read(self) -> tuple[bytes, int, int, int] | None:
        """The next packet, ``(data, wire_len, linktype, ns)``; None at the end."""
        packet = self.reader.read()
        if packet is None:
            self._check_end()
        return packet

    def _check_end(self) -> None:
        error = None if self.reader.reached else self.reader.error()
        if error is not None:
            raise self._explain(error, None)

    def limit(self, packets: int | None, seconds: float | None) -> None:
        """Before :meth:`feed` is called: it takes so many packets at most, and those of so many seconds. A limit
        of seconds is for files: their packets' time counts, from the first one on."""
        self.reader.limit(packets, seconds)

    @property
    def live(self) -> bool:
        """Whether the packets' clock is the wall clock."""
        kind, name = self.target
        return kind == "live" or (kind == "libtrace" and name.partition(":")[0] in LIVE_SCHEMES)

    def position(self) -> tuple[int, int] | None:
        """Thread-safe: how many octets were read, and of how many; None where that is not known."""
        return None

    def link(self) -> int | None:
        """The link type of a live capture's packets, as pcapng has it; None of others, and when it is closed."""
        return self.reader.link() if self.target.kind == "live" else None

    def tap(self, room: int) -> _core.Tap:
        """From now on, packets of this source also go to this tap, in which so many octets may wait."""
        return self.reader.tap(room)

    def stop(self) -> None:
        """Thread-safe: packets captured by now are still delivered, then the source ends."""
        self.reader.stop()

    def flush(self) -> int:
        """Thread-safe: a :meth:`feed` soon ends all flows, after the packets captured by now. Returns the call's
        number."""
        return self.reader.flush()

    @property
    def flushed(self) -> int:
        """The number of the last :meth:`flush` that has been done."""
        return self.reader.flushed

    def end_flow(self, table: _core.FlowTable, target: str, protocol: int, dp: int, sp: int,  # noqa: PLR0917 - hot
                 after: float) -> None:
        """Thread-safe: the flow ends ``after`` seconds from now, on the clock of this source's packets."""
        self.reader.end_flow(table, target, protocol, dp, sp, after)

    def backlog(self) -> float:
        """Thread-safe: the age in seconds of the oldest packet that was captured live and not dealt with; else 0.0."""
        return self.reader.backlog()

    def counts(self) -> dict[str, int]:
        """``read``, ``dropped_kernel``, ``dropped_ring`` packets; ``bytes_waiting`` and ``peak`` of the ring. What
        was lost when a file was made, as pcapng tells, is in ``dropped_kernel``."""
        return self.reader.counts()

    def comments(self) -> tuple[int, list[Comment]]:
        """How many comments a pcapng file has, as far as it was read, and the first of them."""
        return _comments(self.reader)

    def close(self) -> None:
        """Thread-safe, and for signal handlers: frees the source. The counts stay; who waits for packets gets None."""
        self.reader.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _explain(self, error: _core.SourceError, bpf: str | None) -> CaptureError:
        name = "standard input" if self.target.kind == "stdin" else self.target.name
        said = f" ({error.text.strip()})" if error.text else ""
        up = f"interfaces that are up: {_core.interfaces_up()}"
        where = f"byte {error.offset}" + (" of the unpacked stream" if error.unpacker else "")
        unpacking = f"{error.unpacker} ended with status {error.status}" if error.status >= 0 \
            else f"{error.unpacker} was ended by signal {-error.status}"
        offset: int | None = None
        if error.why in (_core.PS_E_LENGTH, _core.PS_E_CUT, _core.PS_E_BLOCK, _core.PS_E_UNPACK) \
                or (error.why == _core.PS_E_LINK and error.offset):
            offset = error.offset
        words = {
            _core.PS_E_NO_DEVICE: ("no such interface", up),
            _core.PS_E_DOWN: ("the interface is down", f"`ip link set {name} up`, or use another; {up}"),
            _core.PS_E_PERMISSION: ("no permission to capture packets here",
                                    "run as root, or with the capability CAP_NET_RAW"),
            _core.PS_E_FILTER: (f"bad filter {bpf!r}{said}", "see pcap-filter(7) for the syntax"),
            _core.PS_E_NOT_CAPTURE: (f"not a capture file{said}", "give a pcap or pcapng file"),
            _core.PS_E_EMPTY: ("the capture file is empty: it has not even a header", "capture again"),
            _core.PS_E_LINK: (f"unknown link type {error.number}{said}" + (f" at {where}" if offset else ""),
                                "capture on Ethernet, Linux cooked or raw IP"),
            _core.PS_E_LENGTH: (f"bad record at {where}: its length cannot be {error.number}",
                                "the file is damaged from there on; what stands before was read"),
            _core.PS_E_BLOCK: (f"bad block at {where}: {error.text}", "what stands before was read"),
            _core.PS_E_CUT: (f"the file is truncated: the record at {where} is incomplete"
                             + (f" ({unpacking})" if error.status else ""), "what stands before was read"),
            _core.PS_E_UNPACK: (f"is damaged: {unpacking} at {where}", "what could be unpacked was read"),
            _core.PS_E_NO_UNPACKER: (f"{error.text} is needed to unpack this file",
                                     f"install {error.text}, or unpack it"),
            _core.PS_E_GONE: ("the interface went down or was removed while capturing", up),
            _core.PS_E_NO_LIBTRACE: ("this build has no libtrace, which serves such URIs",
                                     "install libtrace3-dev and build again, or give a pcap file or an interface"),
            _core.PS_E_MEMORY: ("not enough memory for the capture's buffers", "use a smaller buffer"),
        }
        why = error.why
        if why == _core.PS_E_PERMISSION and self.target.kind == "live" and not name.startswith(DEVICES_OF_PCAP) \
                and name not in (interface for _, interface in socket.if_nameindex()):
            why = _core.PS_E_NO_DEVICE  # no permission would help
        what, advice = words.get(why, (f"cannot capture{said}", ""))
        return CaptureError(what, name, advice, offset)


class _Part(NamedTuple):
    """A capture file, open, from which nothing was taken yet."""

    name: str
    descriptor: int
    size: int
    first: int | None
    """Time of its first packet, ns since 1970; None where it has none, or where there is but this file."""

    def position(self) -> int:
        """How many of its octets were read."""
        return min(os.lseek(self.descriptor, 0, os.SEEK_CUR), self.size)


class Captures(Capture):
    """Ordinary capture files that are read one after another, as if they were one: those of a rotating capture. The
    times of their first packets decide the order; a file without packets is the last. What breaks off is told, and the
    next file is read nevertheless.

    All of them are opened by the constructor, which looks at each: privileges are not needed any more behind it.

    :raises CaptureError: one cannot be opened, is no capture file, or is given twice
    """

    def __init__(self, names: Sequence[str], bpf: str | None = None, snaplen: int = 65535, *,
                 fragments: _core.Reassembly | None = None, decapsulate: bool = False) -> None:
        if not names:
            raise ValueError("no capture files to read")
        self._bpf, self._snaplen = bpf, snaplen
        self._fragments, self._decapsulate = fragments, decapsulate
        self._limits: tuple[int | None, float | None] = (None, None)
        self._switching = threading.RLock()
        """Held while one file follows another, and by whoever wants something of the one that is read."""
        self._waiting: list[_Part] = []
        self._read: list[tuple[_Part, _core.Reader]] = []
        """What was read, and is read now."""
        self._part: _Part | None = None
        """What is read now."""
        self._broken: list[str] = []
        self._alone = len(names) == 1
        self._stopped = self._over = False
        self._ended_at = 0
        """The octets of the last file that were read, when it was closed."""
        self._asked = self._flushed_before = 0
        try:
            seen: set[tuple[int, int]] = set()
            for name in names:
                if (part := self._look_at(name, seen)) is not None:
                    self._waiting.append(part)
            if not self._waiting:
                raise CaptureError("these capture files are empty: they have not even a header", ", ".join(names),
                                   "capture again")
            self._waiting.sort(key=lambda part: (part.first is None, part.first or 0))
            self._total = sum(part.size for part in self._waiting)
            self._open_next()
        except BaseException:
            self._close_descriptors()
            raise

    def _look_at(self, name: str, seen: set[tuple[int, int]]) -> _Part | None:
        """Open a file; None for an empty one among others, as that to which a rotating capture is yet to write."""
        self.target = Target("file", parse(name).name)
        descriptor, regular = self._open_file(self.target.name)
        try:
            if not regular:
                raise CaptureError("is no ordinary file", self.target.name, "give it alone, or put it into a file")
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in seen:
                raise CaptureError("this file is given twice", self.target.name, "give each file once")
            seen.add((status.st_dev, status.st_ino))
            if not (status.st_size or self._alone):
                self._note(CaptureError("the capture file is empty: it has not even a header", self.target.name,
                                        "it may be that nothing was written to it yet"))
                os.close(descriptor)
                return None
            first = None if self._alone else self._first_packet(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return _Part(self.target.name, descriptor, status.st_size, first)

    def _first_packet(self, descriptor: int) -> int | None:
        reader = self._open_at_begin(descriptor, None, None)
        try:
            packet = reader.read()
        finally:
            reader.close()
        return None if packet is None else packet[3]

    def _open_at_begin(self, descriptor: int, bpf: str | None, fragments: _core.Reassembly | None) -> _core.Reader:
        os.lseek(descriptor, 0, os.SEEK_SET)  # the position is that of all readers of this descriptor
        try:
            return _core.descriptor(os.dup(descriptor), True, bpf, self._snaplen, FILE_RING, fragments,
                                    self._decapsulate)
        except OSError as error:
            raise CaptureError(f"cannot open the capture file: {error.strerror}", self.target.name) from None
        except _core.SourceError as error:
            raise self._explain(error, bpf) from None

    def _open_next(self) -> None:
        part = self._waiting[0]
        self.target = Target("file", part.name)
        self.reader = self._open_at_begin(part.descriptor, self._bpf, self._fragments)
        self._part = self._waiting.pop(0)
        self._read.append((part, self.reader))

    def feed(self, table: _core.FlowTable) -> list[dict[str, object]] | None:
        while (flows := self.reader.feed(table)) is None:
            if not self._waiting and (flows := self.reader.let_go(table)) is not None:
                return flows
            with self._switching:
                if self._over:
                    return None
                due = self._asked != self.flushed
                self._end_part()
                if not self._begin_next(table.packets):
                    if (flows := self.reader.let_go(table)) is not None:
                        return flows
                    self._over = True
                    self._tell_broken()
                    return None
                self._flushed_before = self._asked
            if due:
                return table.flush()
        return flows

    def _end_part(self) -> None:
        try:
            self._check_end()
        except CaptureError as error:
            self._note(error)
        self.reader.close()
        self._close_part()

    def _close_part(self) -> None:
        if self._part is not None:
            self._ended_at = self._part.position()
            os.close(self._part.descriptor)
            self._part = None

    def _begin_next(self, packets: int) -> bool:
        """Open the file that is read next; one that cannot be read any more is told. False: there is none.

        :param packets: that were taken by now
        """
        last = self.reader
        while self._waiting and not (self._stopped or last.reached):
            try:
                self._open_next()
            except CaptureError as error:
                os.close(self._waiting.pop(0).descriptor)
                self._note(error)
                continue
            self._tell_overlap()
            most, seconds = self._limits
            begin = next((reader.first for _, reader in self._read if reader.first >= 0), None)
            self.reader.limit(None if most is None else max(most - packets, 0), seconds, begin)
            return True
        return False

    def _tell_overlap(self) -> None:
        part, _ = self._read[-1]
        latest = max(reader.latest for _, reader in self._read)
        if part.first is not None and part.first < latest - REORDERING:
            log.warning("%s begins %.3f s before the end of what was read before it: the files overlap, and are read "
                        "one after the other; merge them (mergecap) to have their packets in order",
                        part.name, (latest - part.first) / 1e9)

    def _note(self, error: CaptureError) -> None:
        if self._alone:
            raise error
        self._broken.append(self.target.name)
        log.error("%s", error)

    def _tell_broken(self) -> None:
        if self._broken:
            raise CaptureError("could not be read to the end", ", ".join(self._broken),
                               "what stands before was read, and the other files")

    def limit(self, packets: int | None, seconds: float | None) -> None:
        self._limits = packets, seconds
        self.reader.limit(packets, seconds)

    def stop(self) -> None:
        with self._switching:
            self._stopped = True
            self.reader.stop()

    def flush(self) -> int:
        with self._switching:
            self._asked = self._flushed_before + self.reader.flush()
            return self._asked

    @property
    def flushed(self) -> int:
        with self._switching:
            return self._flushed_before + self.reader.flushed

    def position(self) -> tuple[int, int]:
        with self._switching:
            before = sum(part.size for part, _ in self._read[:-1])
            return before + (self._ended_at if self._part is None else self._part.position()), self._total

    def counts(self) -> dict[str, int]:
        with self._switching:
            found = [reader.counts() for _, reader in self._read]
        return {name: max(one[name] for one in found) if name == "peak" else sum(one[name] for one in found)
                for name in found[0]}

    def comments(self) -> tuple[int, list[Comment]]:
        with self._switching:
            if len(self._read) == 1:
                return super().comments()
            count, found = 0, []
            for part, reader in self._read:
                number, comments = _comments(reader, part.name)
                count += number
                found += comments
        return count, found[:COMMENTS]

    def close(self) -> None:
        with self._switching:
            self._stopped = True
            self.reader.close()
            self._close_descriptors()

    def _close_descriptors(self) -> None:
        """Of what is read, and of what was to be."""
        self._close_part()
        self._over = True
        while self._waiting:
            os.close(self._waiting.pop().descriptor)


def _comments(reader: _core.Reader, file: str = "") -> tuple[int, list[Comment]]:
    count, found = reader.comments()
    return count, [Comment(offset, printable(text) + ("…" if cut else ""), file) for offset, text, cut in found]
