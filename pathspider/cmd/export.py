"""``pspdr export``: records as Parquet, CSV, SQLite, or as observations of the Path Transparency Observatory."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathspider.cmd.campaign_files import files_of
from pathspider.cmd.input import open_input
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, is_same, refuse_content, refuse_same

if TYPE_CHECKING:
    from pathspider.export.anonymise import Anonymiser

log = logging.getLogger("pathspider")

FORMATS = ("parquet", "csv", "sqlite", "pto")

EPILOG = """examples: pspdr export results.ndjson --format parquet --output results.parquet
          pspdr export monday.ndjson tuesday.ndjson.gz --format sqlite --output week.sqlite
          pspdr export results.ndjson --format csv --anonymise key >public.csv

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``export`` command."""
    parser = subparsers.add_parser(
        "export", help="Write records as a table, or as observations", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write records in a form that other programs read: a row for each record, or, for the Path "
                    "Transparency Observatory, an observation for each condition.")
    parser.add_argument("records", nargs="+", metavar="RECORDS",
                        help="Output of pspdr measure, also compressed; - for standard input. A campaign's folder "
                             "stands for the records of each of its vantage points.")
    parser.add_argument("--format", choices=FORMATS, required=True,
                        help="Parquet (needs pyarrow), CSV, a database of SQLite, or an observation set file.")
    add_output(parser, "the result")
    parser.add_argument("--anonymise", metavar="KEYFILE",
                        help="Replace addresses, common prefixes kept (Crypto-PAn), and names by others that this key "
                             "makes (32 octets, or 64 hexadecimal digits), and leave out what may tell the target.")
    parser.add_argument("--keep-as", action="store_true",
                        help="With --anonymise: leave numbers of autonomous systems, which tell prefixes to those who "
                             "know what the systems announce.")
    parser.add_argument("--pto-source", action="append", default=[], metavar="URL",
                        help="With --format pto: where, in the observatory, the raw data are; may be given several "
                             "times.")
    parser.add_argument("--pto-analyzer", metavar="URL",
                        help="With --format pto: what tells how the observations were made. "
                             "(Default: PATHspider's own page)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Export; the exit status is 1 if something in the files could not be read."""
    from pathspider.export.cryptopan import MissingCryptographyError  # noqa: PLC0415
    from pathspider.export.tables import MissingPackageError  # noqa: PLC0415
    from pathspider.export.writing import Options, export  # noqa: PLC0415

    args.records, all_read, short = files_of(args.records, "records")
    check(args)
    try:
        done = export(((name, open_input(name)) for name in args.records),
                      Options(args.format, None if args.output == "-" else Path(args.output), anonymiser(args),
                              args.pto_source, args.pto_analyzer))
    except (MissingPackageError, MissingCryptographyError) as error:
        raise UsageError(str(error)) from None
    except sqlite3.Error as error:
        raise UsageError(f"output {args.output}: {error}") from None
    for sentence in short:
        log.warning("%s", sentence)
    return 0 if done and all_read else 1


def check(args: argparse.Namespace) -> None:
    """:exc:`UsageError` for what does not fit together."""
    if args.format == "sqlite" and args.output == "-":
        raise UsageError("--format sqlite needs a file: name it with --output")
    if args.format == "parquet" and args.output == "-" and os.isatty(1):
        raise UsageError("--format parquet is binary: name a file with --output, or lead standard output into one")
    if args.records.count("-") > 1:
        raise UsageError("standard input can be read once: name - once")
    for name in args.records:
        if os.path.isdir(name):
            raise UsageError(f"records {name}: is a folder; name the files in it")
        if name != "-" and not os.access(name, os.R_OK):
            raise UsageError(f"records {name}: {'no permission' if os.path.exists(name) else 'there is no such file'}")
        refuse_same(os.fstat(0) if name == "-" else os.stat(name), args.output)
    if args.output != "-" and os.path.exists(args.output) and not args.force:
        status = os.stat(args.output)
        if not is_same(status, 1):
            refuse_content(status, args.output)


def anonymiser(args: argparse.Namespace) -> Anonymiser | None:
    """What ``--anonymise`` asks for."""
    from pathspider.export.anonymise import Anonymiser  # noqa: PLC0415
    from pathspider.export.cryptopan import read_key  # noqa: PLC0415

    if args.anonymise is None:
        return None
    try:
        with open(args.anonymise, "rb") as stream:
            return Anonymiser(read_key(stream.read(1000)), keep_as=args.keep_as)
    except OSError as error:
        raise UsageError(f"key {args.anonymise}: {error.strerror}; `openssl rand -hex 32` makes one") from None
    except ValueError as error:
        raise UsageError(f"key {args.anonymise}: {error}") from None
