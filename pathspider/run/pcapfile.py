"""All packets of a run in a file, or in several of a size: pcapng, which Wireshark reads.

The capture's own thread makes the blocks (``libtrace/tap.c``), another one writes them. Neither waits for the disk's
sake: what finds no room is lost, and counted in the file and at the run's end.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pathspider import pcapng
from pathspider.run.folder import Folder, has_room, write_all

if TYPE_CHECKING:
    from pathspider.libtrace._core import Tap
    from pathspider.observer import DummyObserver, Observer

log = logging.getLogger("pathspider")

WAITING = 32 << 20
"""Octets of packets that may wait to be written."""
AT_ONCE = 1 << 20
"""Octets that are written at once."""
LATEST_MS = 1000
"""A packet waits no longer for others that are written with it."""


def next_name(name: str, number: int) -> str:
    """The name of a further file: ``run_00002.pcapng`` behind ``run.pcapng``."""
    stem, ending = os.path.splitext(name)
    return f"{stem}_{number:05d}{ending}"


class PcapFile:
    """Writes what is captured.

    :param descriptor: of the file; what is in it goes when packets come, and it is closed at the end
    :param name: the file's
    :param comment: on all of it
    :param size: octets, after which the next file begins; None: all goes to one
    :param folder: that of the file, where further ones are made
    """

    def __init__(self, descriptor: int, name: str, comment: str, size: int | None = None,
                 folder: Folder | None = None) -> None:
        self.name = name
        self.size = size
        self.folder = folder
        self.failure: OSError | None = None
        """Why no more packets are written."""
        self.files = 0
        """Files that were begun."""
        self.packets = 0
        """Packets that are in files."""
        self._comment = comment
        self._descriptor = descriptor
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._number = 1
        """The last that a file's name has."""
        self._written = 0
        """Octets of the file that is being written."""
        self._packets_before = 0
        """Packets that are in earlier files."""
        self._thread: threading.Thread | None = None
        self._tap: Tap | None = None
        self._observer: Observer | None = None
        self._interface: pcapng.Interface | None = None

    @property
    def lost(self) -> int:
        """When all is over: packets that were captured and are in no file."""
        return self._tap.counts()[0] - self.packets if self._tap else 0

    def begin(self, observer: Observer | DummyObserver) -> None:
        """Write what this observer captures from now on."""
        self._interface = observer.interface()
        if self._interface is not None and isinstance(observer, observing()):
            self._observer = observer
            self._tap = observer.tap(WAITING)
            self._thread = threading.Thread(target=self._write, args=(self._tap,), name="pcap", daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until all is written of a capture that is over."""
        if self._thread is not None:
            self._thread.join()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _write(self, tap: Tap) -> None:
        try:
            if self._is_file:
                os.ftruncate(self._descriptor, 0)
            self._begin_file()
            while (taken := tap.take(min(self._room(), AT_ONCE), LATEST_MS)) is not None:
                blocks, packets = taken
                if packets:
                    if len(blocks) > self._room() and self.packets > self._packets_before:
                        self._next_file()
                    self._put(blocks)
                    self.packets += packets
            self._put(self._statistics())
        except OSError as error:
            self.failure = error
            log.error("pcap: %s: %s; no more packets are written, the run goes on", self.name, error.strerror)
            tap.end()
        finally:
            os.close(self._descriptor)

    def _room(self) -> int:
        """Octets that the file may still have, before its last block."""
        return AT_ONCE if self.size is None else max(0, self.size - self._written - len(self._statistics()))

    def _begin_file(self) -> None:
        assert self._interface is not None
        self.files += 1
        self._written = 0
        self._packets_before = self.packets
        self._put(pcapng.section_header([self._comment]) + pcapng.interface_description(self._interface))

    def _next_file(self) -> None:
        assert self.folder is not None
        self._put(self._statistics())
        while True:
            self._number += 1
            name = next_name(self.name, self._number)
            with suppress(FileExistsError):
                descriptor = self.folder.create(os.path.basename(name))
                break
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._begin_file()

    def _put(self, blocks: bytes) -> None:
        """Write all of it or, to a file, nothing."""
        if self._is_file and not has_room(self._descriptor):
            raise OSError(errno.ENOSPC, "the disk is full but for what is kept for the records")
        try:
            write_all(self._descriptor, blocks)
        except OSError:
            if self._is_file:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._written)
            raise
        self._written += len(blocks)

    def _statistics(self) -> bytes:
        """How many packets were captured by now, and how many of them are in this file."""
        assert self._interface is not None
        assert self._observer is not None
        assert self._tap is not None
        offered, lost = self._tap.counts()
        dropped = self._observer.stats.dropped_kernel
        return pcapng.interface_statistics(self._interface, time.time_ns(), received=offered + dropped,
                                           lost=lost + dropped, lost_by_system=dropped,
                                           delivered=self.packets - self._packets_before)


def observing() -> type[Observer]:
    """What captures packets: native, and not loaded before it is needed."""
    from pathspider.observer import Observer  # noqa: PLC0415

    return Observer
