"""What ``pspdr show`` does: reads records, and tells of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from pathspider.export.publishing import metadata_of
from pathspider.records import Record
from pathspider.run.metadata import MetadataError, read
from pathspider.show.following import follow, run_has_ended
from pathspider.show.overview import Overview
from pathspider.show.target import Wanted, story
from pathspider.targets.reading import JobReader, LineError, parse_record
from pathspider.terminal import Terminal

log = logging.getLogger(__name__)

MOST_STORIES = 20


def show_file(lines: IO[bytes], name: str, terminal: Terminal) -> bool:
    """Say what a file holds; whether all of it could be read."""
    reader = JobReader(lines, name, parse_record)
    overview = Overview(name)
    for line in reader:
        overview.add(cast("Record", line))
    overview.bad_lines = reader.skipped
    terminal.write(overview.lines(terminal.size[0]))
    return reader.all_were_jobs and bool(overview.records)


def show_growing(path: Path, terminal: Terminal, wait: Callable[[], None]) -> bool:
    """Say what a file holds, again and again, until its run has ended; a pipe gets a line for each odd target, and the
    rest at the end. Whether all lines were records."""
    overview = Overview(str(path))
    metadata = metadata_of(path)
    try:
        for lines in follow(path, lambda: run_has_ended(metadata or metadata_of(path)), wait):
            for record in _records(lines, overview):
                odd = overview.add(record)
                if odd is not None and not terminal.is_terminal:
                    terminal.write([odd.line(1 << 30)])
            if not lines and terminal.is_terminal:
                width, height = terminal.size
                terminal.redraw(overview.lines(width, height - 1))
    except KeyboardInterrupt:
        log.debug("interrupted")
    if terminal.is_terminal:
        width, height = terminal.size
        terminal.redraw(overview.lines(width, height - 1))
    else:
        terminal.write(["", *overview.lines(terminal.size[0])])
    return not overview.bad_lines


def _records(lines: list[str], overview: Overview) -> Iterator[Record]:
    for line in lines:
        if line.strip():
            try:
                yield parse_record(line.strip())
            except LineError:
                overview.bad_lines += 1


def show_target(lines: IO[bytes], name: str, wanted: str, evidence: Path | None, terminal: Terminal) -> bool:
    """Tell the story of a target; whether there was one, and all of the file could be read."""
    reader = JobReader(lines, name, parse_record)
    is_wanted = Wanted(wanted)
    folder = evidence or evidence_of(name)
    told = 0
    for line in reader:
        if is_wanted(line):
            told += 1
            if told <= MOST_STORIES:
                terminal.write(["", "=" * 8, ""] if told > 1 else [])
                terminal.write(story(cast("Record", line), terminal.size[0], folder, terminal.unicode))
    if not told:
        log.error("%s: there is no record of %s", name, wanted)
    elif told > MOST_STORIES:
        log.warning("%s: %d records are of %s, the first %d were told of", name, told, wanted, MOST_STORIES)
    return bool(told) and reader.all_were_jobs


def evidence_of(name: str) -> Path | None:
    """The folder of packets of a file of records: as its metadata tell, as it was named there or from beside it."""
    metadata = metadata_of(Path(name))
    if metadata is None:
        return None
    with suppress(OSError, MetadataError, KeyError, TypeError), metadata.open("rb") as stream:
        for run in reversed(read(stream)):
            folder = run["options"]["measure"]["evidence"]
            if isinstance(folder, str):
                places = [Path(folder), metadata.parent / folder, metadata.parent / Path(folder).name]
                return next((place for place in places if place.is_dir()), None)
    return None
