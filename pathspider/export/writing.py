"""From files of records to a file in another form: what ``pspdr export`` does."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from pathspider.atomic import atomic_write
from pathspider.export import pto, tables
from pathspider.export.anonymise import Anonymiser
from pathspider.export.columns import Rows
from pathspider.records import Job, Record
from pathspider.targets.reading import JobReader, parse_record

log = logging.getLogger(__name__)


class Options(NamedTuple):
    """What is to be made."""

    format: str
    """``parquet``, ``csv``, ``sqlite`` or ``pto``."""
    output: Path | None
    """None: standard output."""
    anonymiser: Anonymiser | None = None
    pto_sources: Sequence[str] = ()
    pto_analyzer: str | None = None


def export(files: Iterable[tuple[str, IO[bytes]]], options: Options) -> bool:
    """Write the records of these files, which are closed, to one; whether all of them could be read.

    The output is there whole, or as it was; a pipe or a device gets it as it is made.

    :param files: with their names, ``-`` for standard input
    :raises MissingPackageError: where the format needs one
    """
    if options.format == "parquet":
        tables.arrow()  # before anything is read
    with ExitStack() as stack, paused_gc():
        if options.format == "pto":
            observations = stack.enter_context(pto.ObservationSet())
            whole = _read(files, options.anonymiser, parse_record, observations.add)
            _write(options.output, observations.pieces(observations.metadata(
                options.pto_sources, options.pto_analyzer or pto.ANALYZER,
                {"anonymised": True} if options.anonymiser else {})))
            _tell_observations(observations)
        else:
            rows = stack.enter_context(Rows())
            whole = _read(files, options.anonymiser, rows.parse, rows.add)
            _write_table(options, rows)
            if rows.left_out:
                log.warning("there are too many kinds of conditions: of %d sets of them not all have columns of their "
                            "own; the column conditions has all", rows.left_out)
    if options.anonymiser and options.anonymiser.left_out:
        log.info("left out, since it may tell the targets: %s",
                 ", ".join(f"{key} (of {count})" for key, count in options.anonymiser.left_out.most_common(20)))
    return whole


@contextmanager
def paused_gc() -> Iterator[None]:
    """No search for cycles of objects, of which there are none: it would look at thousands of records again and again,
    and take a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(files: Iterable[tuple[str, IO[bytes]]], anonymiser: Anonymiser | None, parse: Callable[[str], Job],
          add: Callable[[Record], None]) -> bool:
    whole, records = True, 0
    for name, lines in files:
        with lines:
            reader = JobReader(lines, "standard input" if name == "-" else name, parse)
            for line in reader:
                record = cast("Record", line)  # parse_record() has seen to it
                add(anonymiser.record(record) if anonymiser else record)
        records += reader.jobs
        whole = whole and reader.all_were_jobs and bool(reader.jobs)
    log.info("%d %s", records, "record" if records == 1 else "records")
    return whole


def _write_table(options: Options, rows: Rows) -> None:
    if options.format == "csv":
        _write(options.output, tables.as_csv(rows))
    elif options.format == "parquet":
        with _opened(options.output) as stream:
            tables.as_parquet(rows, stream)
    else:
        assert options.output is not None
        with atomic_write(options.output) as stream:
            tables.as_sqlite(rows, Path(f"/proc/self/fd/{stream.fileno()}"))


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """The output: a file is there whole, or as it was."""
    if output is not None and (not output.exists() or output.resolve().is_file()):
        with atomic_write(output) as stream:
            yield stream
    else:
        with open(1 if output is None else output, "wb", closefd=output is not None) as stream:
            yield stream


def _write(output: Path | None, pieces: Iterable[bytes]) -> None:
    with _opened(output) as stream:
        stream.writelines(pieces)


def _tell_observations(made: pto.ObservationSet) -> None:
    log.info("%d observations of %d conditions", made.observations, made.kinds)
    if made.without_verdict:
        log.info("%d records say nothing of a path, and are left out", made.without_verdict)
    if made.without_path:
        log.warning("%d records have no path or time that an observation can have, and are left out", made.without_path)
