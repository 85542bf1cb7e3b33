"""``pspdr bundle``: results in one archive, to be published, and whether such an archive is whole."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathspider.cmd.main import UsageError
from pathspider.cmd.output import is_same, refuse_content

log = logging.getLogger("pathspider")

MOST_NAMED = 50

EPILOG = """examples: pspdr bundle results.ndjson --output study.tar.gz
          pspdr bundle monday.ndjson tuesday.ndjson --evidence evidence --licence "CC BY 4.0" --output study.zip
          pspdr bundle --verify study.tar.gz

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``bundle`` command."""
    parser = subparsers.add_parser(
        "bundle", help="Put results into one archive, to be published", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Put results, with the metadata beside them, into one archive, with schemas, checksums, and a "
                    "README that says what is known of them and what has still to be said. The same files make the "
                    "same archive. Or look whether such an archive is whole.")
    parser.add_argument("results", nargs="*", metavar="RESULTS", help="Output of pspdr measure, also compressed.")
    parser.add_argument("-o", "--output", metavar="ARCHIVE", help="The archive: its name ends with .tar.gz or .zip.")
    parser.add_argument("-f", "--force", action="store_true", help="Overwrite the archive.")
    parser.add_argument("--evidence", metavar="DIR",
                        help="Put in, of this folder of packets, the files that the records name.")
    parser.add_argument("--title", default="", help="The study's title.")
    parser.add_argument("--licence", default="", metavar="TEXT", help="Under which the results may be used.")
    parser.add_argument("--creators", default="", metavar="TEXT", help="Who is to be cited.")
    parser.add_argument("--readme", metavar="FILE",
                        help="The README.md, written; in the place of the one that is made and asks for what is "
                             "missing.")
    parser.add_argument("--verify", metavar="ARCHIVE",
                        help="Look at an archive, without unpacking it: checksums, schemas, names that lead out of it.")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make an archive, or look at one; the exit status is 1 if something is wrong with it."""
    from pathspider.export.publishing import BundleError, Options, publish  # noqa: PLC0415

    if args.verify is not None:
        return verify(args)
    check(args)
    try:
        whole = publish([Path(name) for name in args.results],
                        Options(Path(args.output), Path(args.evidence) if args.evidence is not None else None,
                                args.title, args.licence, args.creators,
                                Path(args.readme) if args.readme is not None else None))
    except BundleError as error:
        raise UsageError(str(error)) from None
    return 0 if whole else 1


def check(args: argparse.Namespace) -> None:
    """:exc:`UsageError` for what does not fit together."""
    if not args.results:
        raise UsageError("name the results that are to be in the archive, or an archive with --verify")
    if args.output is None or args.output == "-":
        raise UsageError("name the archive with --output: study.tar.gz or study.zip")
    for name in args.results:
        if not os.path.isfile(name):
            raise UsageError(f"results {name}: "
                             f"{'not an ordinary file' if os.path.exists(name) else 'there is no such file'}")
        if not os.access(name, os.R_OK):
            raise UsageError(f"results {name}: no permission")
        if is_same(os.stat(name), args.output):
            raise UsageError(f"output {args.output}: this is the file that is read; name another file")
    if os.path.exists(args.output) and not args.force:
        refuse_content(os.stat(args.output), args.output)


def verify(args: argparse.Namespace) -> int:
    """Say what is wrong with an archive."""
    from pathspider.export.verifying import NoSchemasError, verify  # noqa: PLC0415

    if args.results or args.output is not None:
        raise UsageError("--verify looks at one archive, and makes none: leave out other files and --output")
    if not os.path.isfile(args.verify):
        raise UsageError(f"archive {args.verify}: there is no such file")
    found = 0
    try:
        for problem in verify(Path(args.verify)):
            found += 1
            if found <= MOST_NAMED:
                log.error("%s: %s", args.verify, problem)
    except NoSchemasError as error:
        raise UsageError(str(error)) from None
    except PermissionError as error:
        raise UsageError(f"archive {args.verify}: {error.strerror}") from None
    if found:
        log.error("%s: %d %s wrong with it", args.verify, found, "thing is" if found == 1 else "things are")
        return 1
    log.info("%s: all checksums are right, and all is as the schemas say", args.verify)
    return 0
