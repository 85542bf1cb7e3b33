"""``pspdr filter``: make a clean list of jobs out of lists of targets, or the part of them that is wanted."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import (
    add_input_options,
    add_lists,
    add_prefixes,
    open_input,
    open_lists,
    port,
    positive_int,
    read_networks,
    read_prefixes,
    select,
)
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, open_output, write_jobs

if TYPE_CHECKING:
    from pathspider.records import Job
    from pathspider.targets.difference import Difference
    from pathspider.targets.reading import JobReader
    from pathspider.targets.repeats import TargetFilter
    from pathspider.targets.sampling import Sample
    from pathspider.targets.selection import Jobs, Selection
    from pathspider.targets.union import Union

log = logging.getLogger("pathspider")

EPILOG = """example: pspdr filter --csv-input --dp 443 <targets.csv >targets.ndjson

Spider safely!"""

ONCE = {"target": "targets", "address": "addresses", "name": "names", "prefix": "prefixes"}
"""What can be taken once, and what repeats of it are called."""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``filter`` command."""
    parser = subparsers.add_parser(
        "filter", help="Pre-process a target list", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn target lists into jobs: each target once. What is no job is left out, and named.")
    add_lists(parser)
    add_input_options(parser)
    parser.add_argument("--dp", type=port, metavar="PORT", help="Set the destination port of every job.")
    parser.add_argument("--unique", choices=[*ONCE],
                        help="What is taken once: a target (address, port and name together), an address, a name or a "
                             "prefix. (Default: target)")
    parser.add_argument("--without", action="append", default=[], metavar="FILE",
                        help="Leave out the targets of this list. An entry stands for all that have its address, port "
                             "and name, as far as it has them. May be given several times.")
    parser.add_argument("--blocklist", metavar="FILE",
                        help="Leave out targets in these networks: a CIDR prefix a line, comments after #.")
    parser.add_argument("--allowlist", metavar="FILE", help="Take only targets in these networks, and names.")
    parser.add_argument("--keep-special", action="store_true",
                        help="Take also special-purpose addresses (IANA), such as private ones.")
    add_prefixes(parser)
    parser.add_argument("--shard", type=shard, metavar="K/N",
                        help="Take part K of N, such as 2/7. A target is in the same part whatever else is in the "
                             "list.")
    samples = parser.add_mutually_exclusive_group()
    samples.add_argument("--sample", type=sample, metavar="N|SHARE%",
                         help="Take so many targets, drawn from all, or a share of them, such as 0.5%%.")
    for option, what in (("--per-prefix", "prefix"), ("--per-as", "AS")):
        samples.add_argument(option, type=positive_int, metavar="N",
                             help=f"Take at most N targets of each {what}, drawn. Those of which none is known are one "
                                  "group.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="What samples are drawn from. (Default: 0)")
    add_output(parser, "the jobs")
    parser.set_defaults(func=run)


def shard(text: str) -> tuple[int, int]:
    """An option's value as a part and how many there are, for argparse."""
    match = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text}: a part and how many there are is needed, from 1/N to N/N")
    return int(match[1]), int(match[2])


def sample(text: str) -> int | float:
    """An option's value as a number of targets or, below 1, a share of them, for argparse."""
    share = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)%", text, re.ASCII)
    if share is not None and 0 < float(share[1]) < 100:
        return float(share[1]) / 100
    if share is not None or not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: a number of targets, or a share between 0% and 100%, is needed")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Filter the lists; the exit status is 1 if something in them was no job."""
    from pathspider.targets.selection import Stage  # noqa: PLC0415
    from pathspider.targets.union import Rules, Union, shuffled  # noqa: PLC0415

    if args.unique is not None and args.allow_repeats:
        raise UsageError("--unique and --allow-repeats: only one of them can be")
    readers = open_lists(args, args.without)
    reader = readers[0] if len(readers) == 1 else Union(readers)
    prefixes = read_prefixes(args)
    unwanted, all_read = read_unwanted(args)
    sieve = Sieve(reader, args.dp)
    jobs: Jobs = sieve
    if len(readers) > 1 and args.shuffle is not None:
        jobs = Stage(sieve, shuffled(sieve, args.shuffle))
    if prefixes is not None:
        jobs = Stage(jobs, map(prefixes.annotate, jobs))
    rules = Rules(jobs, [*rules_of(args), *([("targets of --without", lambda job: job not in unwanted)]
                                            if args.without else [])])
    seen = once(args)
    selection = select(args, Stage(sieve, rules), seen, keys=())
    drawn = sample_of(args, selection)
    with open_output(args.output, force=args.force) as stream:
        write_jobs(stream, selection if drawn is None else drawn, reader)
    warn_of_unknown(args, seen, drawn)
    others = "".join(f"; {count} left out: {what}" for what, count in rules.left_out.items() if count)
    if drawn is not None:
        others += f"; {selection.kept - drawn.kept} left out: not drawn"
    log.info("%d jobs; left out: %d repeated %s, %d invalid, %d lines that are no jobs%s%s",
             selection.kept if drawn is None else drawn.kept, selection.repeated, ONCE[args.unique or "target"],
             sieve.invalid, reader.skipped, selection.left_out("; "), others)
    is_good = reader.all_were_jobs and not sieve.invalid and all_read and (prefixes is None or not prefixes.bad)
    return 0 if is_good else 1


def warn_of_unknown(args: argparse.Namespace, seen: TargetFilter, drawn: Sample | None) -> None:
    """Say of how many targets it is not known where they are, if that was asked for."""
    from pathspider.targets.repeats import KeyFilter  # noqa: PLC0415

    if args.unique == "prefix" and isinstance(seen, KeyFilter) and seen.without:
        log.warning("of %d targets no prefix is known: all of them were taken; --prefixes FILE tells it", seen.without)
    if drawn is not None and drawn.ungrouped and (args.per_prefix or args.per_as):
        log.warning("of %d targets no %s is known: they are one group; --prefixes FILE tells it", drawn.ungrouped,
                    "AS" if args.per_as else "prefix")


def read_unwanted(args: argparse.Namespace) -> tuple[Difference, bool]:
    """The targets of ``--without``, and whether all of these lists could be read."""
    from pathspider.targets.difference import Difference  # noqa: PLC0415
    from pathspider.targets.lists import TargetReader  # noqa: PLC0415

    difference, all_read = Difference(), True
    for name in args.without:
        with open_input(name) as lines:
            reader = TargetReader(lines, name)
            for job in reader:
                difference.add(job)
        all_read &= reader.all_were_jobs
    return difference, all_read


def rules_of(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[Job], bool]]]:
    """What is left out for its address, or since another part was asked for. Names have no address yet, and stay."""
    from pathspider.targets.sampling import in_shard, in_share  # noqa: PLC0415
    from pathspider.targets.special import special_purpose  # noqa: PLC0415

    allowed = read_networks(args.allowlist, "allowlist")
    blocked = read_networks(args.blocklist, "blocklist")
    if not args.keep_special:
        yield ("special-purpose addresses (--keep-special keeps them)",
               lambda job: "dip" not in job or not special_purpose(job["dip"]))
    if allowed is not None:
        yield "in no network of the allowlist", lambda job: "dip" not in job or job["dip"] in allowed
    if blocked is not None:
        yield "in a network of the blocklist", lambda job: "dip" not in job or job["dip"] not in blocked
    if args.shard is not None:
        yield "in another shard", in_shard(*args.shard)
    if args.sample is not None and args.sample < 1:
        yield "not drawn", in_share(args.sample, args.seed)


def once(args: argparse.Namespace) -> TargetFilter:
    """What tells which targets repeat others."""
    from pathspider.targets.repeats import KeyFilter, TargetFilter  # noqa: PLC0415
    from pathspider.targets.sampling import prefix_of  # noqa: PLC0415

    if args.unique == "prefix":
        return KeyFilter(prefix_of)
    if args.unique in ("address", "name"):
        return KeyFilter(key_of("dip" if args.unique == "address" else "domain"))
    return TargetFilter()


def key_of(key: str) -> Callable[[Job], str | None]:
    """What reads a value of a job, however it is written."""
    from pathspider.targets.problems import identity  # noqa: PLC0415

    return lambda job: identity(job, (key,))[0]


def sample_of(args: argparse.Namespace, jobs: Selection) -> Sample | None:
    """The jobs that are drawn, where so many are asked for."""
    from pathspider.targets.problems import target_asn  # noqa: PLC0415
    from pathspider.targets.sampling import Sample, prefix_of  # noqa: PLC0415

    if args.per_prefix is not None:
        return Sample(jobs, args.per_prefix, args.seed, prefix_of)
    if args.per_as is not None:
        return Sample(jobs, args.per_as, args.seed, target_asn)
    if args.sample is not None and args.sample >= 1:
        return Sample(jobs, args.sample, args.seed)
    return None


class Sieve:
    """Iterates over the jobs of a reader that have a target, and names those that have none.

    A target has a good ``dip``, or no ``dip`` yet and a ``domain``: that is one for the dnsresolv plugin.

    :param dp: the port to set, or None
    """

    def __init__(self, reader: JobReader | Union, dp: int | None = None) -> None:
        self.reader = reader
        self.name = reader.name
        self.dp = dp
        self.invalid = 0

    @property
    def jobs(self) -> int:
        """Jobs read so far."""
        return self.reader.jobs

    def __iter__(self) -> Iterator[Job]:
        from pathspider.targets.problems import TARGET_KEYS  # noqa: PLC0415
        from pathspider.targets.reading import MOST_NAMED  # noqa: PLC0415
        from pathspider.targets.selection import Advice  # noqa: PLC0415

        advice = Advice()
        for job in self.reader:
            if self.dp is not None:
                job["dp"] = self.dp
            problem = problem_of(job)
            advice.give(self, job, TARGET_KEYS if problem or "dip" in job else ("dp",))
            if problem:
                self.invalid += 1
                if self.invalid <= MOST_NAMED:
                    log.error("%s, line %d: %s: %.200s", self.name, self.reader.line, problem, job)
                if self.invalid == MOST_NAMED:
                    log.error("%s: these were %d invalid jobs; further ones are counted, and not named", self.name,
                              MOST_NAMED)
            else:
                yield job


def problem_of(job: Job) -> str | None:
    """Why this is no target, in a word; None if it is one."""
    from pathspider.targets.problems import target_problem  # noqa: PLC0415

    if "dip" in job or not job.get("domain"):
        return target_problem(job)
    return target_problem({**job, "dip": "192.0.2.1"})  # its address is still to be found
