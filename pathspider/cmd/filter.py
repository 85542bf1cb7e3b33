"""``pspdr filter``: make a clean list of jobs out of a list of targets."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pathspider.cmd.measure import open_input
from pathspider.cmd.output import add_output, open_output, refuse_same, start_afresh

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
    parser.add_argument("--input", metavar="INPUTFILE", default="-",
                        help="The list of targets, one a line. (Default: standard input)")
    parser.add_argument("--csv-input", action="store_true",
                        help="The input is CSV, no header row: rank,domain or dip,dp,domain or dip,dp,domain,rank.")
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
    from pathspider.targets.reading import JobReader, parse_csv, parse_job  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    with open_input(args.input) as lines:
        refuse_same(os.fstat(lines.fileno()), args.output)
        reader = JobReader(lines, "standard input" if args.input == "-" else args.input,
                           parse_csv if args.csv_input else parse_job)
        sieve = Sieve(args.dp)
        with open_output(args.output, force=args.force) as stream:
            start_afresh(stream)
            RecordWriter(stream).write_all(sieve.jobs(reader))
    log.info("%d jobs; left out: %d repeated targets, %d invalid, %d lines that are no jobs", sieve.kept,
             sieve.repeated, sieve.invalid, reader.skipped)
    return 1 if sieve.invalid or reader.skipped else 0


class Sieve:
    """Lets each target through once, and nothing that is none.

    A target has a good ``dip``, or no ``dip`` yet and a ``domain``: that is one for the dnsresolv plugin.

    :param dp: the port to set, or None
    """

    def __init__(self, dp: int | None = None) -> None:
        self.dp = dp
        self.kept = 0
        self.repeated = 0
        self.invalid = 0

    def jobs(self, reader: JobReader) -> Iterator[Job]:
        """The jobs of a reader that are let through."""
        from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415

        seen = TargetFilter()
        for job in reader:
            if self.dp is not None:
                job["dp"] = self.dp
            if problem := problem_of(job):
                self.invalid += 1
                log.error("%s, job %d: %s: %.200s", reader.name, reader.jobs, problem, job)
            elif seen.repeats(job):
                self.repeated += 1
            else:
                self.kept += 1
                yield job


def problem_of(job: Job) -> str | None:
    """Why this is no target, in a word; None if it is one."""
    from pathspider.targets.problems import target_problem  # noqa: PLC0415

    if "dip" in job or not job.get("domain"):
        return target_problem(job)
    return target_problem({**job, "dip": "192.0.2.1"})  # its address is still to be found
