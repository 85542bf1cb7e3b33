"""Result files, read in blocks of lines that are taken apart side by side, and counted in their order."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import IO, cast

from pathspider.records import Job
from pathspider.report.counting import Tally
from pathspider.report.digest import Digest, digest
from pathspider.report.targets import Targets
from pathspider.targets.reading import MAX_LINE, JobReader, LineError
from pathspider.targets.unpacking import UnreadableError

log = logging.getLogger(__name__)

BLOCK = 2_000
"""Lines of a block, and"""
BLOCK_OCTETS = 1 << 20
"""octets, beyond which it has no further line."""
ALONE = 5
"""Blocks that are taken apart in this process before others are started: a small file needs none."""
AHEAD = 2
"""Blocks for each process that are under way at once: one in its hands, one before it."""
MOST_PROCESSES = 4
"""One process reads, keeps and counts what these take apart; more than that many it could not feed."""
MOST_BAD = 20
"""Lines that are no records of which the report tells the number, in each file."""


class WorkerEndedError(Exception):
    """A process that took blocks apart was killed: there is no report of what it had in its hands."""


class Workers:
    """Processes that take blocks apart; none where there is one processor."""

    def __init__(self, processes: int | None = None) -> None:
        available = len(os.sched_getaffinity(0)) if processes is None else processes
        self.processes = min(available, MOST_PROCESSES) if available > 1 else 0
        self._pool: ProcessPoolExecutor | None = None
        self._blocks = 0

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def digests(self, blocks: Iterator[bytes]) -> Iterator[Digest]:
        """What is in each block, in their order."""
        if not self.processes:
            yield from map(digest, blocks)
            return
        alone = max(0, ALONE - self._blocks)
        for block in islice(blocks, alone):
            self._blocks += 1
            yield digest(block)
        under_way: deque[Future[Digest]] = deque()
        try:
            for block in blocks:
                self._blocks += 1
                under_way.append(self._started().submit(digest, block))
                if len(under_way) > AHEAD * self.processes:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise WorkerEndedError("a process that took a file apart was killed: was there memory enough?") from None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.processes, get_context("fork"), initializer=_begin,
                                             initargs=(os.getpid(),))
        return self._pool


def _begin(parent: int) -> None:
    """In a process of the pool: who ends a report speaks to the one that makes it, and all end with that."""
    from pathspider.lab.namespaces import die_with_parent  # noqa: PLC0415 - the lab takes time to load

    gc.disable()  # nothing that is made of a block refers to itself; looking for that takes a tenth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    if os.getppid() != parent:  # it has ended before we could ask
        os._exit(1)


class ResultReader(JobReader):
    """Reads the lines of a result file in blocks, and knows whose turn it is when it is known what is in them."""

    def __init__(self, lines: IO[bytes], name: str) -> None:
        super().__init__(lines, name)
        self.bad: list[tuple[int, str]] = []
        """The first lines that are no records: their numbers, and what is wrong with them."""
        self._numbers: deque[list[int]] = deque()
        """Of each block that was given and is not yet counted, the numbers of its lines."""
        self._odd: dict[int, str] = {}
        """Lines that are none at all, which a block has as empty ones: by their numbers, what is wrong."""
        self._ended: UnreadableError | None = None

    def _job(self, number: int, line: bytes) -> Job | None:
        """A line with its end: what is in it is found out elsewhere."""
        if not self._begun or number == 1 or len(line) >= MAX_LINE:
            try:
                text = self._decoded(number, line)
            except LineError as error:
                self._odd[number], text = str(error), ""
            else:
                if not text or (not self._begun and self._begins_with(text)):
                    return None
            line = f"{text}\n".encode()
        return cast(Job, line)

    def _break_off(self, error: UnreadableError) -> None:
        self._ended = error

    def blocks(self) -> Iterator[bytes]:
        """All lines."""
        rows = cast("Iterator[bytes]", iter(self))
        while block := self._block(rows):
            yield block

    def _block(self, rows: Iterator[bytes]) -> bytes:
        lines: list[bytes] = []
        numbers: list[int] = []
        octets = 0
        for line in islice(rows, BLOCK):
            lines.append(line)
            numbers.append(self.line)
            octets += len(line)
            if octets > BLOCK_OCTETS:
                break
        self._numbers.append(numbers)
        return b"".join(lines)

    def counted(self, found: Digest) -> None:
        """The next block's lines are counted: name those that are no records."""
        numbers = self._numbers.popleft()
        bad = {numbers[place]: what for place, what in found.bad}
        bad |= {number: self._odd.pop(number) for number in [*self._odd] if number <= numbers[-1]}
        for number in sorted(bad):
            self._skip(number, LineError(bad[number]))
            if len(self.bad) < MOST_BAD:
                self.bad.append((number, bad[number]))

    def end(self) -> None:
        """All is counted."""
        if self._ended is not None:
            super()._break_off(self._ended)


def read(tally: Tally, number: int, targets: Targets, lines: IO[bytes], workers: Workers) -> bool:
    """Count a file; whether all of it could be read.

    :param number: of the file
    :param lines: the file, opened in binary mode, compressed or not
    """
    reader = ResultReader(lines, "standard input" if tally.name == "-" else tally.name)
    for found in workers.digests(reader.blocks()):
        targets.take(number, found, tally.take(found))
        reader.counted(found)
    reader.end()
    tally.bad, tally.bad_lines, tally.broken_off = reader.bad, reader.skipped, reader.broken_off
    if not tally.records:
        log.error("%s holds no records", reader.name)
    return bool(tally.records) and reader.all_were_jobs
