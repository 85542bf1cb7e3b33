"""Packets of targets whose word is not ``works``: one pcapng file a target, which Wireshark reads with its comments.

A suspect's packets go to its file as each of its rounds has been judged, so that they do not wait in memory. Names in,
files out; one thread at a time. :doc:`decisions/0012-evidence`
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pathspider import pcapng
from pathspider.records import RECORD_KEYS, Conn, Connection, Record, Result
from pathspider.run.confirm import Round
from pathspider.run.folder import Folder, has_room, write_all
from pathspider.targets.problems import TARGET_KEYS

if TYPE_CHECKING:
    from pathspider.libtrace._core import Packets
    from pathspider.observer import DummyObserver, Observer

log = logging.getLogger("pathspider")

MEMORY = 48 << 20
"""Octets of packets that are held until it is known whether they are evidence."""

WORD = re.compile(r".+\.connectivity\.([^.]+)")
"""The word of a record on its target."""
FINE = frozenset({"works", "online"})
"""Words that need no evidence."""


def words(found: Iterable[str]) -> list[str]:
    """Those of a record's conditions that say whether its target was reached."""
    return [condition for condition in found if WORD.fullmatch(condition)]


def is_fine(condition: str, found: Iterable[str]) -> bool:
    """Whether a condition's word says that all was well or, where it was confirmed, the stable word in its place."""
    like, _, word = condition.rpartition(".")
    name, _, what = like.rpartition(".")
    stable = f"{name}.stable.{what}."
    return next((one.removeprefix(stable) for one in found if one.startswith(stable)), word) in FINE


def file_name(target: str, port: int, number: int = 0) -> str:
    """Where a target's packets go, in the folder: ``192.0/192.0.2.1_80.pcapng``, ``2001-db8/2001-db8--1_80.pcapng``.

    :param number: tells this file from others of the same target
    :raises ValueError: for what is no address
    """
    address = ip_address(target.partition("%")[0])
    groups = address.compressed.split(".") if address.version == 4 else address.exploded.split(":")
    below = ".".join(groups[:2]) if address.version == 4 else "-".join(f"{int(group, 16):x}" for group in groups[:2])
    more = f"_{number}" if number else ""
    return f"{below}/{address.compressed.replace(':', '-')}_{port}{more}.pcapng"


def target_of(job: Mapping[str, Any], connection: Connection) -> tuple[str, int]:
    """Address and port that a connection went to."""
    return str(connection.get("dip") or job.get("dip")), int(connection.get("dp") or job.get("dp") or 0)


def told(record: Record) -> str:
    """A record as a comment: without its flows and, if it is too long then, without what the job brought along."""
    short = {key: value for key, value in record.items() if key not in {"flow_results", "missed_flows", "evidence"}}
    if "rounds" in record:
        short["rounds"] = [{key: value for key, value in one.items() if key != "flow_results"}
                           for one in record["rounds"]]
    line = json.dumps(short, default=str)
    if len(line) > pcapng.LONGEST_TEXT:
        keys = {*RECORD_KEYS, *TARGET_KEYS}
        line = json.dumps({key: value for key, value in short.items() if key in keys}, default=str)
    return line


class Evidence:
    """A folder of packets.

    :param folder: they go to
    :param run: the run's id
    :param what: is measured: the plugin's name and version
    :param memory: octets for packets that are not written yet
    :param suspicious: those of a record's conditions that are to be confirmed, which need evidence too
    """

    def __init__(self, folder: Folder, run: str, what: str, suspicious: Callable[[Sequence[str]], Sequence[str]],
                 memory: int = MEMORY) -> None:
        self.folder = folder
        self.memory = memory
        self.files = 0
        """Files that were made."""
        self.failed = 0
        """Targets whose packets could not be written, or not all of them."""
        self.why = ""
        """The first of the reasons."""
        self._run = run
        self._what = what
        self._suspicious = suspicious
        self._observer: Observer | DummyObserver | None = None
        self._interface: pcapng.Interface | None = None
        self._number = 0
        """The last that was needed to tell files of a target from each other."""

    def begin(self, observer: Observer | DummyObserver) -> None:
        """Packets come from this observer."""
        self._observer = observer
        self._interface = observer.interface()

    @property
    def shortened(self) -> int:
        """Flows of which only the first packets were held, since there was no room for more."""
        return self._observer.stats.shortened if self._observer else 0

    @property
    def lost(self) -> int:
        """Flows of which no packets were held, since there was no room."""
        return self._observer.stats.unheld if self._observer else 0

    # -- a job's packets ---------------------------------------------------------------------------------------------

    def take(self, records: list[Record], result: Result, packets: Sequence[Packets | None]) -> None:
        """A job has been judged: write its packets, if they are evidence, and have its records name the file.

        :param records: what was found of it, and of a round of a suspect
        :param packets: of each connection
        """
        suspect = result.job.suspect if isinstance(result.job, Round) else None
        record = suspect.record if suspect else next((one for one in records if self._is_evidence(one)), None)
        if record is None or not any(packets) or self._interface is None:
            return
        found = [condition for one in records for condition in one.get("conditions", [])]
        blocks = b"".join(self._packets(result, packets, found, len(suspect.rounds) + 1 if suspect else 0))
        with self._counting(record):
            if name := record.get("evidence"):
                self._add(name, blocks)
                return
            connection = next(one for one, held in zip(result.connections, packets, strict=True) if held)
            name = self._create(*target_of(result.job, connection), self._head(record) + blocks + self._statistics())
            for one in [record] if suspect else records:
                one["evidence"] = name

    def complete(self, record: Record) -> None:
        """A record is complete: if it is a suspect's, its file now begins with what was found in all rounds. If these
        say that all is well, there is none any more."""
        if (name := record.get("evidence")) and "rounds" in record and self._interface is not None:
            with self._counting(record):
                if self._is_evidence(record):
                    self._begin_anew(name, self._head(record))
                else:
                    del record["evidence"]
                    self.files -= 1
                    self.folder.remove(name)

    def _is_evidence(self, record: Record) -> bool:
        found = record.get("conditions", [])
        return any(not is_fine(word, found) for word in (*words(found), *self._suspicious(found)))

    # -- what is in a file -------------------------------------------------------------------------------------------

    def _head(self, record: Record) -> bytes:
        """The blocks before the first packet: run, job and what was found of it."""
        assert self._interface is not None
        comments = [f"{self._what}, run {self._run}: {', '.join(record['conditions'])}",
                    told(record)]
        return pcapng.section_header(comments) + pcapng.interface_description(self._interface)

    def _packets(self, result: Result, packets: Sequence[Packets | None], found: Sequence[str],
                 round_: int) -> list[bytes]:
        """A block for each packet, in the order of their times. The first one of each flow tells what flow it is.

        :param round_: its number; 0: the first connections
        """
        assert self._interface is not None
        said = [condition for condition in found if condition in {*words(found), *self._suspicious(found)}]
        blocks: list[tuple[int, bytes]] = []
        for place, (connection, held) in enumerate(zip(result.connections, packets, strict=True)):
            if held is None:
                continue
            config = connection.get("config", place)
            comment = (f"configuration {config} ({'experiment' if config else 'baseline'}), "
                       f"{f'round {round_}' if round_ else 'first connections'}: "
                       f"{Conn(connection['spdr_state']).name.lower()}; {', '.join(said or found)}")
            if len(held) < held.seen:
                comment += f"; {len(held)} of {held.seen} packets were kept"
            for when, wire_length, data in held.read():
                blocks.append((when, pcapng.enhanced_packet(self._interface, when, wire_length, data, comment)))
                comment = ""
        return [block for _, block in sorted(blocks, key=lambda one: one[0])]

    def _statistics(self) -> bytes:
        """How many packets were captured and lost by now."""
        assert self._interface is not None
        assert self._observer is not None
        stats = self._observer.stats
        lost = stats.dropped_kernel + stats.dropped_ring
        return pcapng.interface_statistics(self._interface, time.time_ns(), received=stats.packets + lost, lost=lost,
                                           lost_by_system=stats.dropped_kernel, delivered=stats.packets)

    # -- files -------------------------------------------------------------------------------------------------------

    def _create(self, target: str, port: int, content: bytes) -> str:
        """A new file; its name."""
        self._refuse_full()
        name = file_name(target, port)
        while True:
            try:
                descriptor = self.folder.create(name)
            except FileExistsError:
                self._number += 1
                name = file_name(target, port, self._number)
            else:
                break
        self.files += 1
        try:
            try:
                write_all(descriptor, content)
            finally:
                os.close(descriptor)
        except OSError:
            self.folder.remove(name)
            self.files -= 1
            raise
        return name

    def _add(self, name: str, blocks: bytes) -> None:
        """Add to a file: all of it, or nothing."""
        self._refuse_full()
        descriptor = self.folder.append(name)
        try:
            length = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, blocks)
            except OSError:
                os.ftruncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)

    def _begin_anew(self, name: str, head: bytes) -> None:
        """Put another head in the place of a file's; what was captured is told as of now."""
        self._refuse_full()
        descriptor = self.folder.append(name)
        with open(descriptor, "rb") as file:
            content = file.read()
        for _ in range(2):  # the section's header and its interface
            content = content[int.from_bytes(content[4:8], sys.byteorder):]
        draft = f"{name}.new"
        self.folder.remove(draft)
        descriptor = self.folder.create(draft)
        try:
            try:
                write_all(descriptor, head + content + self._statistics())
            finally:
                os.close(descriptor)
            self.folder.replace(name, draft)
        except OSError:
            self.folder.remove(draft)
            raise

    def _refuse_full(self) -> None:
        if not has_room(self.folder.descriptor):
            raise OSError(errno.ENOSPC, "the disk is full but for what is kept for the records")

    @contextmanager
    def _counting(self, record: Record) -> Iterator[None]:
        """What the body cannot write is counted, and the first time said; the run goes on."""
        try:
            yield
        except (OSError, ValueError) as error:
            self.failed += 1
            why = getattr(error, "strerror", None) or str(error)
            if not self.why:
                self.why = why
                log.error("evidence: packets of %s could not be written to %s: %s; the run goes on, and further ones "
                          "are counted", record.get("dip"), self.folder.name, why)
