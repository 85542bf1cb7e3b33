"""What ``pspdr campaign`` does: begins campaigns, goes on with them, and ends them."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pathspider.campaign.errors import CampaignError
from pathspider.campaign.fleet import Fleet
from pathspider.campaign.folder import NAME, Campaign, Definition, Mode, remove_drafts
from pathspider.campaign.local import LocalExchange
from pathspider.campaign.measuring import Measuring
from pathspider.campaign.progress import Progress, read_seen
from pathspider.campaign.records import summary
from pathspider.campaign.work import Worker
from pathspider.cmd.campaign import DEFAULT_CHUNK, MOST_NAMED, tell_damaged, unfinished_lines
from pathspider.cmd.input import open_input
from pathspider.cmd.interface import ReadAhead, for_targets, pair
from pathspider.cmd.main import UsageError, build_parser
from pathspider.cmd.measure import run_options
from pathspider.cmd.plugins import make_spider, plugin_mistakes
from pathspider.cmd.progress import every
from pathspider.cmd.signals import Signals
from pathspider.cmd.start import needs_interface, spider_here
from pathspider.cmd.table import Table
from pathspider.cmd.together import check_together
from pathspider.cmd.words import Words, command_line, parse
from pathspider.network.privileges import UserError, run_user
from pathspider.records import Job
from pathspider.targets.problems import TARGET_KEYS
from pathspider.text import amount
from pathspider.writing import json_line

if TYPE_CHECKING:
    from pathspider.campaign.vantage import BrokerExchange

log = logging.getLogger("pathspider")

LOCAL = "local"

STATUS = 1.0
"""Seconds between two writings of the status file."""


def run_campaign(args: argparse.Namespace) -> int:
    """Begin a campaign, or go on with it, until it has ended; the exit status: 1, too, where lines were no jobs,
    targets cannot be measured, or are unfinished."""
    words = args.words
    skipped = 0
    campaign = existing(args.folder)
    if campaign is None:
        campaign, skipped = begin(args, parse(words))
    else:
        refuse_other(args, campaign, words)
    run = run_local if campaign.definition.mode == "local" else run_fleet
    return run(args, campaign) or int(skipped > 0 or campaign.unmeasurable > 0)


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
    check_together(words.args, words.args.parser)
    fleet = None if args.local else the_fleet(args)
    with Targets(args, words) as targets:
        if args.local and args.interface is None and needs_interface(words.args.plugin):
            args.interface = for_targets(targets.ahead(), pair(args.source_ip))
        definition = defined(args, words, targets, fleet)
        if args.local:
            check_here(args, definition)
        campaign = Campaign.create(args.folder, definition, targets)
    if fleet is not None:
        fleet.note_campaign(campaign.definition.id, campaign.folder)
    campaign.journal.record("create", id=campaign.definition.id, targets=campaign.definition.targets,
                            unmeasurable=targets.unmeasurable)
    log.info("campaign %s: %s in %s", args.folder, amount(campaign.definition.targets, "target"),
             amount(summary(campaign)["chunks"], "chunk"))
    return campaign, targets.reader.skipped


def check_here(args: argparse.Namespace, definition: Definition) -> None:
    """:exc:`UsageError` where this machine cannot measure that, as the process that measures would find out."""
    words = ["measure", *local_words(args, definition)]
    measure = build_parser("measure", words).parse_args(words)
    try:
        run_user(measure.user)
    except UserError as error:
        raise UsageError(str(error)) from None
    spider_here(measure, run_options(measure), server_mode=True)


class Targets:
    """The targets of a list, each once and looked at, for a campaign that begins.

    :param words: what is measured of them
    :param exists: they are compared with those of a campaign that there is
    """

    def __init__(self, args: argparse.Namespace, words: Words, *, exists: bool = False) -> None:
        from pathspider.targets.lists import TargetReader  # noqa: PLC0415
        from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415
        from pathspider.targets.selection import Selection, Stage  # noqa: PLC0415

        self._plugin = words.plugin
        self._exists = exists
        self._spider = make_spider(words.args, run_options(words.args))
        with plugin_mistakes(words.plugin):
            self.port, self.keys = self._spider.default_port(), tuple(self._spider.target_keys)
        self._lines = open_input(args.targets)
        self.reader = TargetReader(self._lines, "standard input" if args.targets == "-" else args.targets,
                                   csv_input=args.csv_input, seed=None)
        self.unmeasurable = 0
        """Those that cannot be measured: their records will say why."""
        selected = Selection(self.reader, TargetFilter(self.port, self.keys), most=args.max_targets, keys=self.keys)
        self._jobs = ReadAhead(Stage(selected.source, self._looked_at(selected)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the list."""
        self._lines.close()

    def ahead(self) -> Iterator[Job]:
        """As of :class:`~pathspider.cmd.interface.ReadAhead`."""
        return self._jobs.ahead()

    def _looked_at(self, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            with plugin_mistakes(self._plugin):
                problem = self._spider.job_problem(job.copy())
            if problem is not None:
                self.unmeasurable += 1
                if self.unmeasurable <= MOST_NAMED:
                    log.error("%s, line %d: %s: this target cannot be measured, and its record will say so",
                              self.reader.name, self.reader.line, problem)
            yield job

    def __iter__(self) -> Iterator[Job]:
        yield from self._jobs
        if self.reader.broken_off:
            what = "nobody can say whether these are the campaign's targets" if self._exists \
                else "there is no campaign yet"
            raise CampaignError(f"{self.reader.name}: {self.reader.broken_off}; {what}")
        if self.reader.skipped:
            log.warning("%s of %s left out: no jobs", amount(self.reader.skipped, "line"), self.reader.name)
        if self.unmeasurable:
            log.warning("%s of %s cannot be measured; pspdr filter makes a list without them",
                        amount(self.unmeasurable, "target"), self.reader.name)


def defined(args: argparse.Namespace, words: Words, targets: Targets, fleet: Fleet | None) -> Definition:
    """What the arguments describe."""
    return Definition(
        plugin=words.plugin, measure=words.measure, options=words.options, mode=mode_of(args) or "local",
        vantages=vantages(fleet, args.fanout) if fleet is not None and args.fanout
        else [vantage_name(args.vantage or LOCAL)] if args.local else [],
        chunk=args.chunk or DEFAULT_CHUNK, seed=args.seed or 0, default_port=targets.port,
        several=targets.keys != TARGET_KEYS, label=args.label or "", rate=args.rate, start=args.start,
        other_versions=args.other_versions, here=own_words(args) if args.local else [],
        fleet="" if fleet is None else str(fleet.folder.resolve()))


def mode_of(args: argparse.Namespace) -> Mode | None:
    """Who measures, where the arguments say it."""
    return "local" if args.local else "split" if args.split else "fanout" if args.fanout else None


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


def those_again(names: str, definition: Definition) -> Sequence[str]:
    """The vantage points that ``--fanout`` names of a campaign that there is. In another order they are the same, and
    ``all`` are those that it began with, whoever the fleet has now."""
    now = definition.vantages
    if names != "all":
        return now if {*names.split(",")} == {*now} else vantages(Fleet(definition.fleet), names)
    fleet = Fleet(definition.fleet)
    if others := [name for name in fleet.state.vantages if name not in now]:
        log.warning("--fanout all: this campaign's vantage points stay those that it began with (%s), and nothing of "
                    "it is measured by %s", ", ".join(now), ", ".join(others))
    return now


def vantage_name(text: str) -> str:
    """A name that can be one; :exc:`UsageError` otherwise."""
    if not NAME.fullmatch(text):
        raise UsageError(f"vantage point {text!r}: a name has small letters, digits and hyphens, 32 at most")
    return text


def refuse_other(args: argparse.Namespace, campaign: Campaign, words: Sequence[str]) -> None:
    """:exc:`UsageError` where the arguments describe another campaign than the one that is there.

    :param words: those behind ``--``
    """
    now = campaign.definition
    asked: dict[str, Any] = {name: value for name in ("chunk", "seed", "label", "rate", "start")
                             if (value := getattr(args, name)) is not None}
    if (mode := mode_of(args)) is not None:
        asked["mode"] = mode
    if args.fanout and now.mode == "fanout":
        asked["vantages"] = those_again(args.fanout, now)
    if args.vantage and now.mode == "local":
        asked["vantages"] = [args.vantage]
    if args.fleet is not None:
        asked["fleet"] = str(Path(args.fleet).resolve())
    if args.other_versions:
        asked["other_versions"] = True
    what = parse(words or command_line(now.plugin, now.measure, now.options)) if words or args.targets else None
    if words and what is not None:
        asked |= {"plugin": what.plugin, "measure": what.measure, "options": what.options}
    found = [f"{name}: {_told(getattr(now, name))}, and not {_told(asked[name])}"
             for name in now.same(replace(now, **asked))]
    if args.targets and what is not None:
        digest = sha256()
        with Targets(args, what, exists=True) as targets:
            for job in targets:
                digest.update(json_line(job))
        found += ["other targets"] if digest.hexdigest() != now.sha256 else []
    if found:
        raise UsageError(f"{args.folder}: there is another campaign in this folder ({'; '.join(found)}); begin this "
                         "one in another folder, or go on with that one by naming the folder alone")
    own = [*(["--vantage"] if args.vantage else []), *own_words(args)]
    if now.mode != "local" and own:
        raise UsageError(f"{args.folder}: {own[0].partition('=')[0]} is for campaigns of this machine; vantage points "
                         "have their own")


def _told(value: Any) -> str:
    """A value of a definition as a user knows it."""
    if isinstance(value, list | tuple):
        return " ".join(" ".join(one) if isinstance(one, list | tuple) else str(one) for one in value) or "none"
    return "none" if value is None else str(value)


def run_local(args: argparse.Namespace, campaign: Campaign) -> int:
    """Measure what is left of a campaign on this machine; the exit status."""
    lock = campaign.lock()
    remove_drafts(campaign.folder)
    set_aside(campaign)
    definition = campaign.definition
    vantage, = definition.vantages
    base = local_words(args, definition)
    measuring = Measuring([lock])
    worker = Worker(LocalExchange(campaign), measuring, lambda chunk: base, vantage)
    progress = Progress(campaign, read_seen(campaign.folder),
                        lambda slot: measuring.records if worker.chunk is not None else 0)
    ended = end_by_signals(worker)
    with shown(args, progress):
        worker.run()
    return told(campaign, ended)


@contextmanager
def shown(args: argparse.Namespace, progress: Progress) -> Iterator[None]:
    """Show how far a campaign is while the body runs, on the terminal and in its status file."""
    try:
        with every(STATUS, lambda: progress.write(time.time())), nullcontext() if args.quiet else Table(progress):
            yield
    finally:
        progress.write(time.time(), runs=False)


def set_aside(campaign: Campaign) -> None:
    """Have the chunks whose results are damaged or missing measured again, and say so."""
    for one in campaign.set_aside():
        log.warning("%s; this chunk is measured again%s", one,
                    f", and the file is kept as {one.kept}" if one.kept else "")


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
    if publishes:
        set_aside(campaign)
    else:
        tell_damaged(args.folder, campaign.damaged())
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
    with shown(args, progress):
        coordinator.run()
    return told(campaign, ended)


def local_words(args: argparse.Namespace, definition: Definition) -> Sequence[str]:
    """The words of ``measure`` for the process that measures here."""
    now = own_words(args)
    given = {word.partition("=")[0] for word in now}
    before = [word for word in definition.here if word.partition("=")[0] not in given]
    own = [f"--vantage={definition.vantages[0]}", *before, *now]
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
    unfinished = [*unfinished_lines(campaign)]
    for line in unfinished:
        log.error("%s", line)
    counts = summary(campaign)
    log.info("%d of %s with results%s", counts["done"], amount(counts["chunks"], "chunk"),
             f"; pspdr campaign records {campaign.folder} writes them" if counts["done"] == counts["chunks"] else "")
    if campaign.cancelled and counts["left"]:
        log.warning("the campaign was cancelled; pspdr campaign retry undoes that")
    if ended:
        return 128 + ended[0]
    return int(bool(counts["left"] or counts["given_up"] or unfinished))


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

        log.info("%s taken back from the broker",
                 amount(take_back(Fleet(campaign.definition.fleet), campaign), "chunk"))
    log.info("no more chunks begin; what is under way is measured")
    return 0
