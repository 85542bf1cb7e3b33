"""``pspdr campaign``: one measurement in chunks, from this machine or from many vantage points."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import positive_int
from pathspider.cmd.interface import source_ip
from pathspider.cmd.main import Parser, UsageError
from pathspider.cmd.nested import nested_commands, of_campaigns
from pathspider.text import amount, printable

if TYPE_CHECKING:
    from pathspider.campaign.folder import Campaign, Damaged

log = logging.getLogger("pathspider")

EPILOG = """examples:
  pspdr campaign run ecn-local --local -i eth0 --targets targets.ndjson -- ecn --connect https
  pspdr campaign run ecn-2026 --fleet fleet --targets targets.ndjson --fanout all -- --confirm 2 ecn
  pspdr campaign status ecn-2026
  pspdr campaign records ecn-2026 --output ecn-2026.ndjson

Spider safely!"""

RUN_EPILOG = """Run again what was interrupted: pspdr campaign run DIR

Spider safely!"""

DEFAULT_CHUNK = 1000

LEFT = {"running": "it is running", "interrupted": "no process runs it now; pspdr campaign run {} goes on",
        "cancelled": "cancelled; pspdr campaign retry {} undoes that"}
"""What becomes of the chunks that are left, by the campaign's state."""

MOST_NAMED = 10
"""Damaged files, or targets that cannot be measured, that are named."""


def register(subparsers: Any, argv: Sequence[str] = ()) -> None:
    """Add ``campaign`` and its own sub-commands."""
    parser = subparsers.add_parser(
        "campaign", help="One measurement from many vantage points, or in chunks", epilog=EPILOG,
        description="Measure in chunks that outlive whoever measures them: here, or at the vantage points of a fleet.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = nested_commands(parser)

    def command(name: str, function: Callable[[argparse.Namespace], int], text: str, **more: Any) -> Any:
        sub = commands.add_parser(name, help=text, description=text,
                                  formatter_class=argparse.RawDescriptionHelpFormatter, **more)
        sub.set_defaults(func=of_campaigns(function), parser=sub)
        sub.add_argument("folder", metavar="DIR", help="The campaign's folder.")
        return sub

    _add_run(command("run", run, "Measure, or go on with what was interrupted", epilog=RUN_EPILOG))
    sub = command("status", status, "Show how far a campaign is")
    sub.add_argument("--json", action="store_true", help="Write it as a JSON object.")
    command("collect", collect, "Collect the results of vantage points until all have come; publish nothing")
    sub = command("records", records, "Write all records that there are, with the facts of their runs beside them")
    sub.add_argument("--vantage", action="append", default=[], metavar="NAME",
                     help="Only those of this vantage point. May be given several times. (Default: all)")
    sub.add_argument("-o", "--output", metavar="OUTPUTFILE", default="-",
                     help="Where to put the records. A file that has content is not overwritten. "
                          "(Default: standard output)")
    sub.add_argument("-f", "--force", action="store_true", help="Overwrite the output file.")
    sub = command("compare", compare, "Tell to which targets a feature works from some vantage points alone")
    sub.add_argument("--targets", action="store_true", help="Write these targets, as JSON, a line each.")
    command("cancel", cancel, "Have no more chunks begin; what was measured stays")
    sub = command("retry", retry,
                  "Have chunks that were given up, cancelled or unfinished measured by the next campaign run DIR")
    sub.add_argument("--unfinished", action="store_true",
                     help="Also chunks that have targets without a verdict for a reason of the machine that measured "
                          "them. All targets of these chunks are measured again.")
    sub.add_argument("--lost", action="store_true",
                     help="The broker has lost what it had: publish all that is left once more.")


def _add_run(sub: Parser) -> None:
    sub.add_argument("--targets", metavar="FILE", help="The list of targets; needed to begin a campaign.")
    sub.add_argument("--csv-input", action="store_true", help="As of pspdr measure.")
    sub.add_argument("--max-targets", type=positive_int, metavar="N", help="Take N targets of the list.")
    # Those that are fixed when a campaign begins have no default here: what is given again has to be the same.
    sub.add_argument("--chunk", type=positive_int, metavar="N",
                     help="Targets in a chunk: what is lost at most, and measured again, where somebody is killed. "
                          f"(Default: {DEFAULT_CHUNK})")
    sub.add_argument("--seed", type=int, metavar="N",
                     help="What the order of targets is drawn from, for each vantage point another. (Default: 0)")
    sub.add_argument("--label", metavar="L", help="What the campaign is called.")
    where = sub.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="Measure on this machine, without a broker.")
    where.add_argument("--fanout", metavar="NAMES", help="Each of these vantage points measures all targets: names "
                                                         "with commas between, or all.")
    where.add_argument("--split", action="store_true", help="Each target is measured by one vantage point, whichever.")
    here = sub.add_argument_group("with --local")
    here.add_argument("-i", "--interface", help="As of pspdr measure. (Default: where the route to the first target "
                                                "leads)")
    here.add_argument("--source-ip", action="append", type=source_ip, default=[], metavar="ADDRESS",
                      help="As of pspdr measure.")
    here.add_argument("--vantage", metavar="NAME", help="What this vantage point is called. (Default: local)")
    here.add_argument("--blocklist", metavar="FILE", help="As of pspdr measure.")
    here.add_argument("--allow-lab-addresses", action="store_true", help="As of pspdr measure.")
    here.add_argument("--vantage-lookup", action="store_true", help="As of pspdr measure.")
    here.add_argument("--user", metavar="NAME", help="As of pspdr measure.")
    there = sub.add_argument_group("with a fleet")
    there.add_argument("--fleet", metavar="DIR", help="The fleet's folder. (Default: the one that DIR is in)")
    there.add_argument("--rate", type=float, metavar="N", help="New connections per second at each vantage point; its "
                                                               "own limit holds too.")
    there.add_argument("--start", type=moment, metavar="TIME",
                       help="Have no chunk begin before this moment, UTC: 2026-11-27T18:00.")
    there.add_argument("--other-versions", action="store_true",
                       help="Let vantage points of other versions measure; which they were stands with the results.")
    words = sub.add_argument("words", nargs="*", default=[], metavar="-- PLUGIN ...",
                             help="What is measured: options of pspdr measure such as --confirm 2, a plugin, and its "
                                  "options.")
    sub.words = partial(_before_dashes, words)
    sub.advice = lambda message: "; what is measured stands behind --" if "unrecognized" in message else ""


def _before_dashes(action: argparse.Action, words: Sequence[str]) -> list[str]:
    """The words before ``--``; those behind it become the value of an argument. argparse would take all that follows
    the folder."""
    if "--" not in words:
        return [*words]
    place = [*words].index("--")
    action.default = [*words[place + 1:]]
    return [*words[:place]]


def moment(text: str) -> float:
    """An option's value as a moment, for argparse: seconds since the epoch."""
    from datetime import UTC, datetime  # noqa: PLC0415

    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a moment such as 2026-11-27T18:00 is needed") from None


def run(args: argparse.Namespace) -> int:
    """Begin a campaign, or go on with it; the exit status."""
    from pathspider.cmd.campaigning import run_campaign  # noqa: PLC0415

    return run_campaign(args)


def collect(args: argparse.Namespace) -> int:
    """Collect results; the exit status."""
    from pathspider.cmd.campaigning import collect_results  # noqa: PLC0415

    return collect_results(args)


def status(args: argparse.Namespace) -> int:
    """Show how far a campaign is; the exit status is 1 while something is missing, or unfinished."""
    from pathspider.campaign.folder import Campaign  # noqa: PLC0415
    from pathspider.campaign.progress import Progress, read_seen, table, with_rates  # noqa: PLC0415

    campaign = Campaign(args.folder)
    progress = Progress(campaign, read_seen(campaign.folder))
    now = time.time()
    rows = progress.rows(now)
    if campaign.is_run():
        rows = [*with_rates(rows, campaign.folder)]
    state = progress.state(now, rows)
    if args.json:
        print(json.dumps(state))
    else:
        print(table(rows, now))
        for one in state["given_up"]:
            print(f"given up: {one['slot']}, chunk {one['chunk']}: {one['why']}")
        for damaged in campaign.damaged():
            print(f"damaged: {damaged}; {damaged.remedy}")
        if campaign.unmeasurable:
            print(f"{amount(campaign.unmeasurable, 'target')} of the list cannot be measured: the records say why "
                  "(pathspider.invalid_job)")
        for line in unfinished_lines(campaign):
            print(f"unfinished: {line}")
        if state["state"] != "ended":
            print(f"{amount(state['chunks_left'], 'chunk')} left: {LEFT[state['state']].format(args.folder)}")
    return int(bool(state["chunks_left"] or state["given_up"] or state["unfinished"]))


def records(args: argparse.Namespace) -> int:
    """Write the records; the exit status is 1 while some are missing, or unfinished."""
    from pathspider.campaign.folder import Campaign, Damaged  # noqa: PLC0415
    from pathspider.campaign.records import RunFacts, write_metadata  # noqa: PLC0415
    from pathspider.campaign.records import records as all_records  # noqa: PLC0415
    from pathspider.cmd.output import open_output, start_afresh  # noqa: PLC0415
    from pathspider.run.metadata import ENDING  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    campaign = Campaign(args.folder)
    slots = campaign.definition.slots
    if unknown := [name for name in args.vantage if name not in slots]:
        raise UsageError(f"--vantage: {', '.join(unknown)} has no results of its own in {args.folder}, but "
                         f"{', '.join(slots)}")
    facts, damaged = RunFacts(campaign, args.vantage or None), list[Damaged]()
    with open_output(args.output, force=args.force) as stream:
        start_afresh(stream)
        writer = RecordWriter(stream)
        writer.write_lines(all_records(campaign, facts, args.vantage or None, damaged))
    if args.output != "-":
        write_metadata(args.output + ENDING, facts)
    tell_damaged(args.folder, damaged)
    unfinished = [*unfinished_lines(campaign, args.vantage or None)]
    for line in unfinished:
        log.warning("%s", line)
    left = sum(1 for _ in campaign.left()) + len(campaign.dead())
    log.log(logging.WARNING if left else logging.INFO, "%s%s", amount(writer.written, "record"),
            f"; {amount(left, 'chunk')} without results" if left else "")
    return int(bool(left or damaged or unfinished))


def unfinished_lines(campaign: Campaign, slots: Sequence[str] | None = None) -> Iterator[str]:
    """How many targets have no verdict, or only part of one, for a reason of the machine that measured them, a line for
    each vantage point, and what to do; nothing where there are none.

    :param slots: only theirs
    """
    from pathspider.run.counts import shortened  # noqa: PLC0415

    found: dict[str, list[Counter[str]]] = {}
    for one in campaign.unfinished(slots).values():
        found.setdefault(one.vantage, []).append(one.reasons)
    for vantage, chunks in sorted(found.items()):
        reasons = sum(chunks, Counter[str]())
        yield (f"{printable(vantage)}: {amount(reasons.total(), 'target')} in {amount(len(chunks), 'chunk')} got no "
               "verdict, or only part of one, for a reason of the machine that measured: "
               f"{printable(', '.join(shortened(reasons)))}")
    if found:
        yield (f"pspdr campaign retry {campaign.folder} --unfinished, and then campaign run, measures these chunks "
               "again, with all of their targets")


def tell_damaged(folder: str, damaged: Sequence[Damaged]) -> None:
    """Name the files of results that are not whole, and say what to do."""
    for one in damaged[:MOST_NAMED]:
        log.error("%s; what is in it was left out: %s", one, one.remedy)
    if len(damaged) > MOST_NAMED:
        log.error("%d more files of results are damaged; pspdr campaign status %s names them",
                  len(damaged) - MOST_NAMED, folder)


def compare(args: argparse.Namespace) -> int:
    """Compare vantage points; the exit status is 1 where results had to be left out."""
    from pathspider.campaign.coverage import Coverage, not_finished  # noqa: PLC0415
    from pathspider.campaign.folder import Campaign, Damaged  # noqa: PLC0415
    from pathspider.campaign.multipoint import Comparison  # noqa: PLC0415
    from pathspider.campaign.multipoint import table as as_table  # noqa: PLC0415
    from pathspider.targets.reading import parse_record  # noqa: PLC0415

    comparison, damaged = Comparison(), list[Damaged]()
    campaign = Campaign(args.folder)
    coverage = Coverage(campaign.definition)
    for whole in campaign.results(campaign.there(), damaged):
        coverage.add(whole.head["slot"], whole.head["chunk"])
        comparison.add(whole.head["vantage"], (parse_record(line.decode()) for line in whole.lines()))
    if args.targets:
        for target in comparison.path_dependent():
            print(json.dumps(target))
    else:
        print(as_table(comparison.features()))
    tell_damaged(args.folder, damaged)
    if short := not_finished(args.folder, coverage.rows()):
        log.warning("%s", short)
    return int(bool(damaged))


def cancel(args: argparse.Namespace) -> int:
    """Have no more chunks begin; the exit status."""
    from pathspider.cmd.campaigning import cancel_campaign  # noqa: PLC0415

    return cancel_campaign(args)


def retry(args: argparse.Namespace) -> int:
    """Ask anew for chunks that were given up, or are unfinished; the exit status."""
    from pathspider.campaign.folder import Campaign  # noqa: PLC0415

    campaign = Campaign(args.folder)
    for slot, number, kept in campaign.set_aside_unfinished() if args.unfinished else ():
        log.info("once more: %s, chunk %d, which has unfinished targets; what was measured is kept as %s", slot, number,
                 kept)
    for slot, number in campaign.retry(lost=args.lost):
        log.info("once more: %s, chunk %d", slot, number)
    for line in unfinished_lines(campaign):
        log.warning("%s", line)
    log.info("pspdr campaign run %s goes on", args.folder)
    return 0
