"""``pspdr show``: records on the terminal."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pathspider.cmd.input import open_input, positive_seconds
from pathspider.cmd.main import UsageError

EPILOG = """examples: pspdr show results.ndjson
          pspdr show --follow results.ndjson
          pspdr show results.ndjson --target 192.0.2.1 --evidence evidence

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``show`` command."""
    parser = subparsers.add_parser(
        "show", help="Look at records on the terminal", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Tell on the terminal what was found so far: counts, rates, the latest targets of which something "
                    "is odd. Or all that is known of one target.")
    parser.add_argument("records", metavar="RECORDS",
                        help="Output of pspdr measure, also compressed; - for standard input.")
    parser.add_argument("--follow", action="store_true",
                        help="Go on while the file is written, until its run has ended, or Ctrl-C.")
    parser.add_argument("--interval", type=positive_seconds, default=1.0, metavar="SECONDS",
                        help="With --follow: how often to look. (Default: 1)")
    parser.add_argument("--target", metavar="TARGET",
                        help="Tell the story of the target that has this address or name: conditions, packets, rounds, "
                             "hops.")
    parser.add_argument("--evidence", metavar="DIR",
                        help="With --target: where its packets are. (Default: where the metadata say)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show; the exit status is 1 if the target is not there, or something could not be read."""
    from pathspider.show import showing  # noqa: PLC0415
    from pathspider.terminal import Terminal  # noqa: PLC0415

    check(args)
    terminal = Terminal(sys.stdout)
    if args.follow:
        try:
            return 0 if showing.show_growing(Path(args.records), terminal, partial(time.sleep, args.interval)) else 1
        except OSError as error:
            raise UsageError(f"records {args.records}: {error.strerror}") from None
    name = "standard input" if args.records == "-" else args.records
    with open_input(args.records) as lines:
        if args.target is None:
            fine = showing.show_file(lines, name, terminal)
        else:
            folder = Path(args.evidence) if args.evidence is not None else None
            fine = showing.show_target(lines, name, args.target, folder, terminal)
    return 0 if fine else 1


def check(args: argparse.Namespace) -> None:
    """:exc:`UsageError` for what does not fit together."""
    if args.follow and args.target is not None:
        raise UsageError("--follow and --target: only one of them can be")
    if args.evidence is not None and args.target is None:
        raise UsageError("--evidence is for --target")
    if args.evidence is not None and not os.path.isdir(args.evidence):
        raise UsageError(f"evidence {args.evidence}: there is no such folder")
    if args.follow and args.records == "-":
        raise UsageError("standard input is read as it comes anyway: leave out --follow")
    if args.records != "-" and os.path.isdir(args.records):
        raise UsageError(f"records {args.records}: is a folder; name a file in it")
    if args.follow and not os.path.isfile(args.records):
        raise UsageError(f"records {args.records}: "
                         f"{'not an ordinary file' if os.path.exists(args.records) else 'there is no such file'}")
    if args.follow and is_packed(args.records):
        raise UsageError(f"records {args.records}: is compressed, and so is not being written: leave out --follow")


def is_packed(name: str) -> bool:
    """Whether a file is compressed, by how it begins."""
    from pathspider.targets.unpacking import packing_of  # noqa: PLC0415

    try:
        with open(name, "rb") as stream:
            return packing_of(stream.read(16)) is not None
    except OSError as error:
        raise UsageError(f"records {name}: {error.strerror}") from None
