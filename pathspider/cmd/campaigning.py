"""What ``pspdr campaign`` does: begins campaigns, goes on with them, and ends them."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.fleet import Fleet
from pathspider.campaign.folder import NAME, Campaign, Definition, remove_drafts
from pathspider.campaign.local import LocalExchange
from pathspider.campaign.measuring import Measuring
from pathspider.campaign.progress import Progress, read_seen
from pathspider.campaign.records import summary
from pathspider.campaign.work import Worker
from pathspider.cmd.input import open_input
from pathspider.cmd.main import UsageError
from pathspider.cmd.progress import every
from pathspider.cmd.signals import Signals
from pathspider.cmd.table import Table
from pathspider.cmd.words import Words, command_line, parse
from pathspider.records import Job

if TYPE_CHECKING:
    from pathspider.campaign.vantage import BrokerExchange
    from pathspider.targets.lists import TargetReader

log = logging.getLogger("pathspider")

LOCAL = "local"

STATUS = 1.0
"""Seconds between two writings of the status file."""


def run_campaign(args: argparse.Namespace) -> int:
    """Begin a campaign, or go on with it, until it has ended; the exit status: 1, too, where lines were no jobs."""
    words = args.words
    skipped = 0
    campaign = existing(args.folder)
    if campaign is None:
        campaign, skipped = begin(args, parse(words))
    elif words or args.targets:
        refuse_other(args, campaign, parse(words) if words else None)
    run = run_local if campaign.definition.mode == "local" else run_fleet
    return run(args, campaign) or int(skipped > 0)


def existing(folder: str) -> Campaign | None:
    """The campaign in a folder, if there is one."""
    try:
        return Campaign(folder)
    except CampaignError:
        if Path(folder, "campaign.json").exists():
            raise
        return None


def begin(args: argparse.Namespace, words: Words) -> tuple[Campaign, int]:
    """Make the campaign that the arguments describe; and how many lines of its list were left out."""
    if not args.targets:
        raise UsageError(f"{args.folder}: there is no campaign in this folder; --targets FILE begins one")
    if not (args.local or args.fanout or args.split):
        raise UsageError("who measures? --local, --fanout NAMES or --split says it")
    definition, jobs, reader = defined(args, words)
    fleet = None if args.local else the_fleet(args)
    if fleet is not None:
        definition = replace(definition, fleet=str(fleet.folder.resolve()),
                             vantages=vantages(fleet, args.fanout) if args.fanout else [])
    campaign = Campaign.create(args.folder, definition, jobs)
    if fleet is not None:
        fleet.note_campaign(campaign.definition.id, campaign.folder)
    campaign.journal.record("create", id=campaign.definition.id, targets=campaign.definition.targets)
    log.info("campaign %s: %d targets in %d chunks", args.folder, campaign.definition.targets,
             summary(campaign)["chunks"])
    return campaign, reader.skipped


def defined(args: argparse.Namespace, words: Words) -> tuple[Definition, Iterator[Job], TargetReader]:
    """What the arguments describe, the jobs of the list, each target once, and who reads it."""
    from pathspider.cmd.measure import run_options  # noqa: PLC0415
    from pathspider.cmd.plugins import make_spider, plugin_mistakes  # noqa: PLC0415
    from pathspider.targets.lists import TargetReader  # noqa: PLC0415
    from pathspider.targets.problems import TARGET_KEYS  # noqa: PLC0415
    from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415
    from pathspider.targets.selection import Selection  # noqa: PLC0415

    spider = make_spider(words.args, run_options(words.args))
    with plugin_mistakes(words.plugin):
        port, keys = spider.default_port(), spider.target_keys
    lines = open_input(args.targets)
    reader = TargetReader(lines, "standard input" if args.targets == "-" else args.targets, csv_input=args.csv_input,
                          seed=None)
    targets = Selection(reader, TargetFilter(port, keys), most=args.max_targets, keys=keys)
    definition = Definition(
        plugin=words.plugin, measure=words.measure, options=words.options,
        mode="local" if args.local else "split" if args.split else "fanout",
        vantages=[vantage_name(args.vantage or LOCAL)] if args.local else [], chunk=args.chunk, seed=args.seed,
        default_port=port, several=tuple(keys) != TARGET_KEYS, label=args.label, rate=args.rate, start=args.start,
        other_versions=args.other_versions, here=own_words(args) if args.local else [])

    def jobs() -> Iterator[Job]:
        with lines:
            yield from targets
        if reader.broken_off:
            raise CampaignError(f"{reader.name}: {reader.broken_off}; there is no campaign yet")
        if reader.skipped:
            log.warning("%d lines of %s are no jobs and were left out", reader.skipped, reader.name)

    return definition, jobs(), reader


def the_fleet(args: argparse.Namespace) -> Fleet:
    """The fleet that is named, or that the campaign's folder is in."""
    if args.fleet is not None:
        return Fleet(args.fleet)
    for folder in Path(args.folder).resolve().parents:
        if (folder / "fleet.json").exists():
            return Fleet(folder)
    raise UsageError(f"--fleet DIR names the fleet: {args.folder} is not in the folder of one")


def vantages(fleet: Fleet, names: str) -> list[str]:
    """The vantage points that ``--fanout`` names."""
    known = fleet.state.vantages
    found = known if names == "all" else [*dict.fromkeys(names.split(","))]
    if unknown := [name for name in found if name not in known]:
        raise UsageError(f"--fanout: there is no vantage point {', '.join(unknown)} in {fleet.folder}; there are "
                         f"{', '.join(known) or 'none'}")
    if not found:
        raise UsageError(f"{fleet.folder} has no vantage points; pspdr fleet add makes some")
    return found


def vantage_name(text: str) -> str:
    """A name that can be one; :exc:`UsageError` otherwise."""
    if not NAME.fullmatch(text):
        raise UsageError(f"vantage point {text!r}: a name has small letters, digits and hyphens, 32 at most")
    return text


def refuse_other(args: argparse.Namespace, campaign: Campaign, words: Words | None) -> None:
    """:exc:`UsageError` where the arguments describe another campaign than the one that is there."""
    now = campaign.definition
    asked = now
    if words is not None:
        asked = replace(now, chunk=args.chunk, plugin=words.plugin, measure=words.measure, options=words.options)
    found = now.same(asked)
    if args.targets and words:
        from hashlib import sha256  # noqa: PLC0415

        from pathspider.writing import json_line  # noqa: PLC0415

        digest = sha256()
        for job in defined(args, words)[1]:
            digest.update(json_line(job))
        found += ["targets"] if digest.hexdigest() != now.sha256 else []
    if found:
        raise UsageError(f"{args.folder}: there is another campaign in this folder (other {', '.join(found)}); name "
                         "another folder, or go on with it by naming the folder alone")


def run_local(args: argparse.Namespace, campaign: Campaign) -> int:
    """Measure what is left of a campaign on this machine; the exit status."""
    lock = campaign.lock()
    remove_drafts(campaign.folder)
    definition = campaign.definition
    vantage, = definition.vantages
    base = local_words(args, definition)
    measuring = Measuring([lock])
    worker = Worker(LocalExchange(campaign), measuring, lambda chunk: base, vantage)
    progress = Progress(campaign, read_seen(campaign.folder),
                        lambda slot: measuring.records if worker.chunk is not None else 0)
    ended = end_by_signals(worker)
    with every(STATUS, lambda: progress.write(time.time())), nullcontext() if args.quiet else Table(progress):
        worker.run()
    progress.write(time.time())
    return told(campaign, ended)


def end_by_signals(worker: Worker, wake: Callable[[], None] = lambda: None) -> list[int]:
    """Have the first signal finish the chunk, and the second put it back; the numbers of those that come.

    :param wake: have the worker notice where it waits for a chunk
    """
    ended: list[int] = []

    def finish(number: int) -> None:
        ended.append(number)
        log.warning("stopping when this chunk is measured (once more to put it back)")
        worker.finish()
        wake()

    def stop(number: int) -> None:
        worker.stop()

    Signals().respond(finish, stop)
    return ended


def work_until_signals(exchange: BrokerExchange, own: Sequence[str], vantage: str) -> int:
    """Measure what the broker has for a vantage point, until a signal comes; the exit status.

    :param own: words of ``measure`` that are this machine's
    """
    measuring = Measuring()
    measuring.more = exchange.facts
    worker = Worker(exchange, measuring, lambda chunk: [*own, *exchange.words(chunk)], vantage,
                    survives=True)
    ended = end_by_signals(worker, exchange.wake)
    exchange.link.start()
    try:
        worker.run()
    finally:
        exchange.close()
    return 128 + ended[0] if ended else 1


def run_fleet(args: argparse.Namespace, campaign: Campaign, *, publishes: bool = True) -> int:
    """Publish what is left of a campaign, and collect what comes, until it has ended; the exit status."""
    from pathspider.campaign.coordinator import Coordinator  # noqa: PLC0415

    campaign.lock()
    remove_drafts(campaign.folder)
    coordinator = Coordinator(Fleet(campaign.definition.fleet), campaign, publishes=publishes)
    progress = Progress(campaign, coordinator.seen)
    coordinator.seen.update(read_seen(campaign.folder))
    ended: list[int] = []

    def finish(number: int) -> None:
        ended.append(number)
        log.warning("collecting no more; the vantage points go on, and their results wait at the broker: pspdr "
                    "campaign collect %s", campaign.folder)
        coordinator.finish()

    Signals().respond(finish)
    with every(STATUS, lambda: progress.write(time.time())), nullcontext() if args.quiet else Table(progress):
        coordinator.run()
    progress.write(time.time())
    return told(campaign, ended)


def local_words(args: argparse.Namespace, definition: Definition) -> Sequence[str]:
    """The words of ``measure`` for the process that measures here."""
    own = [f"--vantage={definition.vantages[0]}", *(own_words(args) or definition.here)]
    if definition.rate is not None:
        own.append(f"--rate={definition.rate}")
    if args.quiet:
        own.append("--quiet")
    return [*own, *command_line(definition.plugin, definition.measure, definition.options)]


def own_words(args: argparse.Namespace) -> list[str]:
    """Those that are this machine's."""
    own: list[str] = []
    for name in ("interface", "blocklist", "user"):
        if getattr(args, name, None) is not None:
            own.append(f"--{name}={getattr(args, name)}")
    own += [f"--source-ip={address}" for address in args.source_ip]
    return own + [f"--{name.replace('_', '-')}" for name in ("allow_lab_addresses", "vantage_lookup")
                  if getattr(args, name, False)]


def told(campaign: Campaign, ended: Sequence[int] = ()) -> int:
    """Say how a campaign stands; the exit status."""
    for (slot, number), why in sorted(campaign.dead().items()):
        log.error("%s, chunk %d was given up: %s", slot, number, why)
    counts = summary(campaign)
    log.info("%d of %d chunks have their results%s", counts["done"], counts["chunks"],
             "; pspdr campaign records writes them" if counts["done"] == counts["chunks"] else "")
    if campaign.cancelled and counts["left"]:
        log.warning("the campaign was cancelled; pspdr campaign retry undoes that")
    if ended:
        return 128 + ended[0]
    return int(bool(counts["left"] or counts["given_up"]))


def collect_results(args: argparse.Namespace) -> int:
    """Collect results until all have come; the exit status."""
    campaign = Campaign(args.folder)
    if campaign.definition.mode == "local":
        raise UsageError(f"{args.folder} is measured on this machine: its results are there when they are measured")
    return run_fleet(args, campaign, publishes=False)


def cancel_campaign(args: argparse.Namespace) -> int:
    """Have no more chunks begin; the exit status."""
    campaign = Campaign(args.folder)
    campaign.cancel()
    if campaign.definition.mode != "local":
        from pathspider.campaign.coordinator import take_back  # noqa: PLC0415

        log.info("%d chunks taken back from the broker", take_back(Fleet(campaign.definition.fleet), campaign))
    log.info("no more chunks begin; what is under way is measured")
    return 0
