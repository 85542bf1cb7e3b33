"""The list of targets that a command reads, and the options that say which of them it takes."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from pathspider.cmd.main import Parser, UsageError
from pathspider.targets.digest import open_hashing
from pathspider.targets.formats import FORMATS

if TYPE_CHECKING:
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.lists import TargetReader
    from pathspider.targets.prefixes import Prefixes
    from pathspider.targets.repeats import TargetFilter
    from pathspider.targets.selection import Jobs, Selection

log = logging.getLogger("pathspider")

LOCATE = "--locate"
SHUFFLE = "--shuffle"
SEED_BITS = 31
"""Of a seed that nobody gave: short enough to be typed."""


def add_input_options(parser: Parser, *, repeats: bool = True) -> None:
    """The options of a command that reads targets.

    :param repeats: whether it takes each target once
    """
    parser.words = bare_options
    parser.add_argument("--input", metavar="INPUTFILE", default="-",
                        help="The list of jobs, one a line, also compressed. (Default: standard input)")
    parser.add_argument("--csv-input", action="store_true",
                        help="The input is CSV, no header row: rank,domain or dip,dp,domain or dip,dp,domain,rank.")
    parser.add_argument("--list-format", choices=[*FORMATS], metavar="NAME",
                        help="The list is in this format, whatever it looks like: "
                             + ", ".join(FORMATS) + ".")
    parser.add_argument("--column", action="append", type=column, default=[], metavar="KEY=COLUMN",
                        help="What a job has under KEY stands in this column of CSV, or under this key in JSON; a "
                             "number, from 1 on, where there is no header row. May be given several times.")
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
    if not repeats:
        parser.set_defaults(allow_repeats=True)
    else:
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


def column(text: str) -> str:
    """An option's value as a key and the column that it is in, for argparse."""
    key, _, name = text.partition("=")
    if not key or not name:
        raise argparse.ArgumentTypeError(f"{text}: a key and a column are needed, such as domain=host")
    if name.isdecimal() and int(name) < 1:
        raise argparse.ArgumentTypeError(f"{text}: columns are counted from 1 on")
    return text


def columns(args: argparse.Namespace) -> dict[str, str]:
    """The keys of a job by the columns that the options name; :exc:`UsageError` where that cannot be."""
    found = {name: key for key, _, name in (text.partition("=") for text in args.column)}
    if args.csv_input and (found or args.list_format):
        raise UsageError("--csv-input says what the columns are: leave it out beside --column and --list-format")
    if len({*found.values()}) < len(args.column):
        raise UsageError("--column: each key, and each column, can be given once")
    if found and args.list_format not in (None, "csv", "ndjson"):
        raise UsageError(f"--list-format {args.list_format} says what stands where: leave it out beside --column")
    return found


def port(text: str) -> int:
    """An option's value as a port, for argparse."""
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text}: a port from 1 to 65535 is needed")
    return int(text)


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


def tell_seed(args: argparse.Namespace) -> None:
    """Say from which seed an order is drawn, where the user gave none."""
    if isinstance(args.shuffle, DrawnSeed):
        log.info("the list's order is drawn: %s=%d is the same again", SHUFFLE, args.shuffle)


def target_reader(args: argparse.Namespace, lines: IO[bytes], name: str | None = None, *,
                  shuffle: bool = True) -> TargetReader:
    """What reads the list that :func:`open_input` has opened.

    :param name: its name, unless it is that of ``--input``
    :param shuffle: do so, if it is asked for
    """
    from pathspider.targets.lists import TargetReader  # noqa: PLC0415

    if shuffle:
        tell_seed(args)
    name = args.input if name is None else name
    return TargetReader(lines, "standard input" if name == "-" else name, csv_input=args.csv_input,
                        seed=args.shuffle if shuffle else None, form=args.list_format,
                        columns=columns(args))


def add_prefixes(parser: Parser) -> None:
    """The option that tells where targets are."""
    parser.add_argument("--prefixes", action="append", default=[], metavar="FILE",
                        help="Put prefix, AS and country of each target into its info, from CAIDA's pfx2as, a file of "
                             "pyasn, a RIB dump (MRT, or bgpdump -m) or a database in MaxMind's format. May be given "
                             "several times.")


def read_prefixes(args: argparse.Namespace) -> Prefixes | None:
    """What these files say, None without any; :exc:`UsageError` for one that cannot be read."""
    from pathspider.targets.prefixes import Prefixes, PrefixesError  # noqa: PLC0415

    try:
        return Prefixes.read(args.prefixes) if args.prefixes else None
    except PrefixesError as error:
        raise UsageError(str(error)) from None


def read_networks(name: str | None, what: str) -> Blocklist | None:
    """The networks in a file, None without one; :exc:`UsageError` for one that cannot be read.

    :param what: it is, in messages: "blocklist"
    """
    from pathspider.targets.blocklist import Blocklist, BlocklistError  # noqa: PLC0415

    try:
        return None if name is None else Blocklist.read(name, what)
    except BlocklistError as error:
        raise UsageError(str(error)) from None


def add_lists(parser: Parser) -> None:
    """The arguments of a command that reads several lists."""
    parser.add_argument("lists", nargs="*", metavar="FILE",
                        help="The lists, one after the other, in the place of --input; - is standard input.")


def open_lists(args: argparse.Namespace, others: Sequence[str] = ()) -> list[TargetReader]:
    """What reads each of the lists that the options name. Where they are several, shuffling them is left to the caller.

    :param others: files that are read too
    :raises UsageError: where one cannot be opened, is the output, or standard input is read twice
    """
    from pathspider.cmd.output import refuse_same  # noqa: PLC0415

    if args.lists and args.input != "-":
        raise UsageError("--input names a list, and so do arguments without an option: leave --input out")
    names = args.lists or [args.input]
    if [*names, *others].count("-") > 1:
        raise UsageError("standard input is named twice (it is read where no list is named), and can be read once")
    if len(names) > 1:
        tell_seed(args)
    files = [open_input(name) for name in names]
    for lines in files:
        refuse_same(os.fstat(lines.fileno()), args.output)
    return [target_reader(args, lines, name, shuffle=len(names) == 1) for lines, name in zip(files, names, strict=True)]


def select(args: argparse.Namespace, jobs: Jobs, seen: TargetFilter | None, keys: Sequence[str]) -> Selection:
    """Those of the jobs that the options ask for.

    :param seen: the targets that have records
    :param keys: as of :class:`~pathspider.targets.selection.Selection`
    """
    from pathspider.targets.selection import Selection  # noqa: PLC0415

    return Selection(jobs, None if args.allow_repeats else seen, version=args.ip_version, most=args.max_targets,
                     keys=keys)
