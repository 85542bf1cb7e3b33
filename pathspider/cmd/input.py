"""The list of targets that a command reads, and the options that say which of them it takes."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from pathspider.cmd.main import Parser, UsageError
from pathspider.targets.digest import open_hashing

if TYPE_CHECKING:
    from pathspider.targets.lists import TargetReader
    from pathspider.targets.repeats import TargetFilter
    from pathspider.targets.selection import Jobs, Selection

log = logging.getLogger("pathspider")

LOCATE = "--locate"
SHUFFLE = "--shuffle"
SEED_BITS = 31
"""Of a seed that nobody gave: short enough to be typed."""


def add_input_options(parser: Parser) -> None:
    """The options of a command that reads targets."""
    parser.words = bare_options
    parser.add_argument("--input", metavar="INPUTFILE", default="-",
                        help="The list of jobs, one a line, also compressed. (Default: standard input)")
    parser.add_argument("--csv-input", action="store_true",
                        help="The input is CSV, no header row: rank,domain or dip,dp,domain or dip,dp,domain,rank.")
    versions = parser.add_mutually_exclusive_group()
    for version in (4, 6):
        versions.add_argument(f"-{version}", dest="ip_version", action="store_const", const=version,
                              help=f"Take only targets with an IPv{version} address, and names.")
    parser._has_negative_number_optionals.clear()  # -4 is an option, and -5 can still be an option's value
    parser.add_argument("--max-targets", type=positive_int, metavar="N",
                        help="Take N targets of the list, and leave the rest unread.")
    parser.add_argument(SHUFFLE, type=seed, nargs="?", metavar="SEED",
                        help="Take the list in an order that is drawn, the same for the same SEED. A SEED follows an "
                             "equals sign; if there is none, one is drawn and told.")
    parser.add_argument("--allow-repeats", action="store_true",
                        help="Take a target as often as the list has it, and remember none (9 octets for each).")


def bare_options(words: Sequence[str], ends: Container[str] = ()) -> list[str]:
    """The words of a command line in which ``--shuffle`` and ``--locate`` take only what follows an equals sign:
    argparse would have them take the next word, such as a plugin's name.

    :param ends: words behind which there are other commands' options
    """
    found: list[str] = []
    for place, word in enumerate(words):
        if word in ends:
            return [*found, *words[place:]]
        found.append(f"{word}=" if word in (SHUFFLE, LOCATE) else word)
    return found


def positive_int(text: str) -> int:
    """An option's value as a number over 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number over 0 is needed")
    return int(text)


def positive_seconds(text: str) -> float:
    """An option's value as a time over 0, of 31 years at most, for argparse."""
    with suppress(ValueError):
        if 0 < (value := float(text)) <= 1e9:
            return value
    raise argparse.ArgumentTypeError(f"{text}: a number of seconds over 0 is needed, 1e9 at most")


class DrawnSeed(int):
    """A seed that the user did not give."""


def seed(text: str) -> int:
    """An option's value as a seed, for argparse; one that is drawn, if it is empty."""
    if not text:
        return DrawnSeed(secrets.randbits(SEED_BITS))
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a whole number is needed") from None


def open_input(name: str) -> IO[bytes]:
    """The input file, or standard input for ``-``; :class:`~pathspider.targets.digest.Digest` can tell of it.

    It is left open: the feeder may still wait for input when all else has ended, and closing would wait for the feeder.
    """
    if name == "-" and sys.stdin is None:  # Python has found it closed; by now something else has its number
        raise UsageError("standard input is closed; name a file, or lead it somewhere")
    try:
        return open_hashing(0, closefd=False) if name == "-" else open_hashing(name)
    except OSError as error:
        raise UsageError(f"input {name}: {error.strerror}") from None


def target_reader(args: argparse.Namespace, lines: IO[bytes]) -> TargetReader:
    """What reads the list that :func:`open_input` has opened."""
    from pathspider.targets.lists import TargetReader  # noqa: PLC0415

    if isinstance(args.shuffle, DrawnSeed):
        log.info("the list's order is drawn: %s=%d is the same again", SHUFFLE, args.shuffle)
    name = "standard input" if args.input == "-" else args.input
    return TargetReader(lines, name, csv_input=args.csv_input, seed=args.shuffle)


def select(args: argparse.Namespace, jobs: Jobs, seen: TargetFilter | None, keys: Sequence[str]) -> Selection:
    """Those of the jobs that the options ask for.

    :param seen: the targets that have records
    :param keys: as of :class:`~pathspider.targets.selection.Selection`
    """
    from pathspider.targets.selection import Selection  # noqa: PLC0415

    return Selection(jobs, None if args.allow_repeats else seen, version=args.ip_version, most=args.max_targets,
                     keys=keys)
