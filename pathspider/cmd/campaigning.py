"""What ``pspdr campaign`` does: begins campaigns, goes on with them, and ends them."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import NAME, Campaign, Definition, remove_drafts
from pathspider.campaign.local import LocalExchange
from pathspider.campaign.measuring import Measuring
from pathspider.campaign.progress import Progress, read_seen
from pathspider.campaign.records import summary
from pathspider.campaign.work import Worker
from pathspider.cmd.input import open_input
from pathspider.cmd.main import UsageError
from pathspider.cmd.signals import Signals
from pathspider.cmd.table import Table
from pathspider.cmd.words import Words, command_line, parse
from pathspider.records import Job

log = logging.getLogger("pathspider")

LOCAL = "local"


def run_campaign(args: argparse.Namespace) -> int:
    """Begin a campaign, or go on with it, until it has ended; the exit status."""
    words = args.words
    campaign = existing(args.folder)
    if campaign is None:
        campaign = begin(args, parse(words))
    elif words or args.targets:
        refuse_other(args, campaign, parse(words) if words else None)
    if campaign.definition.mode == "local":
        return run_local(args, campaign)
    raise UsageError("a fleet is needed for that")


def existing(folder: str) -> Campaign | None:
    """The campaign in a folder, if there is one."""
    try:
        return Campaign(folder)
    except CampaignError:
        from pathlib import Path  # noqa: PLC0415

        if Path(folder, "campaign.json").exists():
            raise
        return None


def begin(args: argparse.Namespace, words: Words) -> Campaign:
    """Make the campaign that the arguments describe."""
    if not args.targets:
        raise UsageError(f"{args.folder}: there is no campaign in this folder; --targets FILE begins one")
    if not (args.local or args.fanout or args.split):
        raise UsageError("who measures? --local, --fanout NAMES or --split says it")
    definition, jobs = defined(args, words)
    campaign = Campaign.create(args.folder, definition, jobs)
    campaign.journal.note("create", id=campaign.definition.id, targets=campaign.definition.targets)
    log.info("campaign %s: %d targets in %d chunks", args.folder, campaign.definition.targets,
             summary(campaign)["chunks"])
    return campaign


def defined(args: argparse.Namespace, words: Words) -> tuple[Definition, Iterator[Job]]:
    """What the arguments describe, and the jobs of the list, each target once."""
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

    return definition, jobs()


def vantage_name(text: str) -> str:
    """A name that can be one; :exc:`UsageError` otherwise."""
    if not NAME.fullmatch(text):
        raise UsageError(f"vantage point {text!r}: a name has small letters, digits and hyphens, 32 at most")
    return text


def refuse_other(args: argparse.Namespace, campaign: Campaign, words: Words | None) -> None:
    """:exc:`UsageError` where the arguments describe another campaign than the one that is there."""
    now = campaign.definition
    asked = replace(now, chunk=args.chunk if words else now.chunk,
                    **({} if words is None else {"plugin": words.plugin, "measure": words.measure,
                                                 "options": words.options}))
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
    signals = Signals()
    ended: list[int] = []

    def finish(number: int) -> None:
        ended.append(number)
        log.warning("stopping when this chunk is measured (once more to put it back)")
        worker.finish()

    def stop(number: int) -> None:
        worker.stop()

    signals.respond(finish, stop)
    with nullcontext() if args.quiet else Table(progress):
        worker.run()
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
        if getattr(args, name) is not None:
            own.append(f"--{name}={getattr(args, name)}")
    own += [f"--source-ip={address}" for address in args.source_ip]
    return own + [f"--{name.replace('_', '-')}" for name in ("allow_lab_addresses", "vantage_lookup")
                  if getattr(args, name)]


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
    raise UsageError("a fleet is needed for that")


def cancel_campaign(args: argparse.Namespace) -> int:
    """Have no more chunks begin; the exit status."""
    campaign = Campaign(args.folder)
    campaign.cancel()
    log.info("no more chunks begin; what is under way is measured")
    return 0
