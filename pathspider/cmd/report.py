"""``pspdr report``: one page, or tables, from result files."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pathspider.atomic import atomic_write
from pathspider.cmd.campaign_files import files_of
from pathspider.cmd.input import open_input
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, is_same, refuse_content, refuse_same

if TYPE_CHECKING:
    from pathspider.report.counting import Tally
    from pathspider.report.reading import Workers
    from pathspider.report.targets import Targets

log = logging.getLogger("pathspider")


PACKED = (".gz", ".xz", ".bz2", ".zst", ".zip")
"""How names of compressed results end."""

FORMATS = ("html", "json", "csv", "md")

EPILOG = """examples: pspdr report results.ndjson --output report.html
          pspdr report --label Monday --label Tuesday monday.ndjson tuesday.ndjson.gz --output week.html
          pspdr report --format csv --targets monday.ndjson tuesday.ndjson.gz >changed.csv

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``report`` command."""
    parser = subparsers.add_parser(
        "report", help="Tell what result files hold", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Count the conditions of result files, with confidence intervals, and compare the files.")
    parser.add_argument("results", nargs="+", metavar="RESULTS",
                        help="Output of pspdr measure, or of pspdr observe --conditions, also compressed; - for "
                             "standard input. A campaign's folder stands for the records of each of its vantage "
                             "points.")
    parser.add_argument("--format", choices=FORMATS, default="html",
                        help="A page that holds all it needs, or the same as data. (Default: html)")
    add_output(parser, "the report")
    parser.add_argument("--label", action="append", default=[], metavar="NAME",
                        help="What to call a result file, in their order; may be given several times. "
                             "(Default: the file's name)")
    parser.add_argument("--title", default="Path transparency", help="The report's title. (Default: Path transparency)")
    parser.add_argument("--targets", action="store_true",
                        help="With --format csv: the targets that changed, instead of the counts.")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the report; the exit status is 1 if something in the files could not be read."""
    from pathspider.report.counting import Tally, Verdicts  # noqa: PLC0415
    from pathspider.report.page import as_html  # noqa: PLC0415
    from pathspider.report.plain import FORMATS as PLAIN  # noqa: PLC0415
    from pathspider.report.plain import targets_as_csv  # noqa: PLC0415
    from pathspider.report.reading import WorkerEndedError, Workers  # noqa: PLC0415
    from pathspider.report.remarks import measured_again, measured_differently, not_finished, seen_in_passing  # noqa: PLC0415
    from pathspider.report.runs import read_runs  # noqa: PLC0415
    from pathspider.report.summary import Report  # noqa: PLC0415
    from pathspider.report.targets import Targets  # noqa: PLC0415

    args.results, all_read, _ = files_of(args.results, "results")
    check(args)
    signal.signal(signal.SIGTERM, end)
    verdicts = Verdicts()
    tallies = [Tally(label, name, verdicts) for label, name in zip(labels(args), args.results, strict=True)]
    write = targets_as_csv if args.targets else {"html": as_html, **PLAIN}[args.format]
    try:
        with Targets(verdicts) as targets:
            with Workers() as workers:
                whole = [counted(tally, number, targets, workers) for number, tally in enumerate(tallies)]
            for tally in tallies:
                read_runs(tally)
            if not any(tally.records for tally in tallies):
                raise UsageError("there are no records to report of")
            report = Report(args.title, tallies, targets)
            put(args.output, write(report))
    except WorkerEndedError as error:
        raise UsageError(str(error)) from None
    except sqlite3.Error as error:
        raise UsageError(f"the temporary file: {error}; TMPDIR can name a folder with more room") from None
    for remark in (*not_finished(report), *seen_in_passing(report), *measured_differently(report),
                   *measured_again(report)):
        log.warning("%s%s", remark.what, remark.meaning)
    records = sum(tally.records for tally in tallies)
    log.info("%d %s of %s", records, "record" if records == 1 else "records",
             "one file" if len(tallies) == 1 else f"{len(tallies)} files")
    return 0 if all(whole) and all_read else 1


def counted(tally: Tally, number: int, targets: Targets, workers: Workers) -> bool:
    """Count a file; whether all of it could be read."""
    from pathspider.report.reading import read  # noqa: PLC0415

    with open_input(tally.name) as lines:
        return read(tally, number, targets, lines, workers)


def end(number: int, frame: object) -> NoReturn:
    """Leave, by way of whatever has to be cleaned up."""
    raise SystemExit(128 + number)


def check(args: argparse.Namespace) -> None:
    """:exc:`UsageError` for what does not fit together."""
    if len(args.label) > len(args.results):
        raise UsageError(f"there are {len(args.label)} labels for {len(args.results)} files")
    if not all(args.label):
        raise UsageError("--label '' is no name; leave it out to have the file's")
    if args.results.count("-") > 1:
        raise UsageError("standard input can be read once: name - once")
    seen: dict[tuple[int, int], str] = {}
    for name in args.results:
        if name != "-" and not os.access(name, os.R_OK):
            raise UsageError(f"results {name}: {'no permission' if os.path.exists(name) else 'there is no such file'}")
        if os.path.isdir(name):
            raise UsageError(f"results {name}: is a folder; name the files in it")
        status = os.fstat(0) if name == "-" else os.stat(name)
        refuse_same(status, args.output)
        other = seen.setdefault((status.st_dev, status.st_ino), name)
        if other is not name:
            log.warning("results %s and %s are one file", other, name)
    if args.output != "-" and os.path.exists(args.output) and not args.force:
        status = os.stat(args.output)
        if not is_same(status, 1):
            refuse_content(status, args.output)


def labels(args: argparse.Namespace) -> list[str]:
    """What to call each file: as the user says, or its name, with its folder or a number where that is not enough."""
    names = ["standard input" if name == "-" else name for name in args.results]
    short = [short_name(Path(name).name) or name for name in names]
    unlike = [one if short.count(one) == 1 else name for one, name in zip(short, names, strict=True)]
    found = [*args.label, *unlike[len(args.label):]]
    for place, one in enumerate(found):
        others = {*found[:place], *found[place + 1:]}
        if one in found[:place]:
            found[place] = next(name for number in count(place + 1) if (name := f"{one} ({number})") not in others)
    return found


def short_name(name: str) -> str:
    """A file's name without what tells its format and how it is packed."""
    for endings in (PACKED, (".ndjson", ".jsonl", ".json")):
        name = next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)
    return name


def put(name: str, pieces: Iterator[str]) -> None:
    """Write the report; a file is there whole, or as it was. A pipe or a device gets it as it is made."""
    path = Path(name).resolve()
    if name == "-" or (path.exists() and not path.is_file()):
        try:
            with open(1 if name == "-" else path, "wb", closefd=name != "-") as stream:
                stream.writelines(piece.encode() for piece in pieces)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UsageError(f"output {name}: {error.strerror}") from None
        return
    try:
        with atomic_write(path) as stream:
            stream.writelines(piece.encode() for piece in pieces)
    except OSError as error:
        raise UsageError(f"output {name}: {error.strerror}") from None
