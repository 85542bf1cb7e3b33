"""``pspdr filter``: make a clean list of jobs out of a list of targets."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import add_input_options, open_input, select, target_reader
from pathspider.cmd.output import add_output, open_output, refuse_same, write_jobs

if TYPE_CHECKING:
    from pathspider.records import Job
    from pathspider.targets.reading import JobReader

log = logging.getLogger("pathspider")

EPILOG = """example: pspdr filter --csv-input --dp 443 <targets.csv >targets.ndjson

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``filter`` command."""
    parser = subparsers.add_parser(
        "filter", help="Pre-process a target list", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn a target list into jobs: each target once. What is no job is left out, and named.")
    add_input_options(parser)
    parser.add_argument("--dp", type=port, metavar="PORT", help="Set the destination port of every job.")
    add_output(parser, "the jobs")
    parser.set_defaults(func=run)


def port(text: str) -> int:
    """An option's value as a port, for argparse."""
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text}: a port from 1 to 65535 is needed")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Filter the list; the exit status is 1 if something in it was no job."""
    from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415

    with open_input(args.input) as lines:
        refuse_same(os.fstat(lines.fileno()), args.output)
        reader = target_reader(args, lines)
        sieve = Sieve(reader, args.dp)
        selection = select(args, sieve, TargetFilter(), keys=())
        with open_output(args.output, force=args.force) as stream:
            write_jobs(stream, selection, reader)
    log.info("%d jobs; left out: %d repeated targets, %d invalid, %d lines that are no jobs%s", selection.kept,
             selection.repeated, sieve.invalid, reader.skipped, selection.left_out("; "))
    return 0 if reader.all_were_jobs and not sieve.invalid else 1


class Sieve:
    """Iterates over the jobs of a reader that have a target, and names those that have none.

    A target has a good ``dip``, or no ``dip`` yet and a ``domain``: that is one for the dnsresolv plugin.

    :param dp: the port to set, or None
    """

    def __init__(self, reader: JobReader, dp: int | None = None) -> None:
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
