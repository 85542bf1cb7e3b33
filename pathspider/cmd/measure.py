"""``pspdr measure``: read targets, run a plugin's spider over them, write one record a target."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pathspider.cmd.main import UsageError
from pathspider.cmd.output import is_file, open_output, refuse_same, start_afresh
from pathspider.cmd.signals import block_signals, on_signals
from pathspider.installed import PLUGINS, available_plugins
from pathspider.records import to_measure

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.jobs import JobReader, RecordWriter, TargetFilter
    from pathspider.records import Record

log = logging.getLogger("pathspider")

AT_ONCE = 2.0
"""Seconds that giving the settings back may take after the second signal; the guard process does it otherwise."""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``measure`` command, with a sub-command for each plugin."""
    parser = subparsers.add_parser("measure", help="Perform a PATHspider measurement",
                                   description="Perform a PATHspider measurement.", epilog="Spider safely!")
    parser.add_argument("-i", "--interface", default="eth0",
                        help="The interface that leads to the targets; its packets are captured. (Default: eth0)")
    parser.add_argument("-w", "--workers", type=positive_int, default=100,
                        help="Number of workers to use. (Default: 100)")
    parser.add_argument("--input", metavar="INPUTFILE", default="-",
                        help="The list of jobs, one a line. (Default: standard input)")
    parser.add_argument("--csv-input", action="store_true",
                        help="The input is CSV, no header row: rank,domain or dip,dp,domain or dip,dp,domain,rank.")
    parser.add_argument("--output", metavar="OUTPUTFILE", default="-",
                        help="Where the records go. (Default: standard output)")
    parser.add_argument("--output-flows", action="store_true", help="Include flow results in output.")
    parser.add_argument("--resume", metavar="RECORDS",
                        help="Continue an interrupted run: RECORDS is its output, and gets what is missing. Leave out "
                             ">RECORDS, with which the shell would empty it.")
    parser.add_argument("--rate", type=float, metavar="N", help="Make at most N new connections per second.")
    parser.add_argument("--blocklist", metavar="FILE",
                        help="Measure no target in these networks: a CIDR prefix a line, comments after #.")
    parser.add_argument("--vantage-lookup", action="store_true",
                        help="Ask the DNS (servers of Google and Team Cymru) for our public addresses and their AS: "
                             "paths begin with them.")
    parser.add_argument("--dry-run", action="store_true",
                        help="Connect to nothing: output the jobs that would be measured.")
    parser.set_defaults(func=run)
    parser.advice = partial(advice, parser._option_string_actions, argv)
    plugins = parser.add_subparsers(title="Plugins", description="The following plugins are available for use:",
                                    metavar="PLUGIN", dest="plugin_name", required=True)
    for plugin in available_plugins(argv):
        plugin.register_args(plugins)


def advice(own: Collection[str], argv: Sequence[str], message: str) -> str:
    """What to add to an error of the command line: where options stand, and where plugins are looked for.

    :param own: the options of ``measure``
    """
    kind, _, words = message.partition(": ")
    if kind == "argument PLUGIN":
        options = [word for word in argv if word.startswith("--") and word.partition("=")[0] not in {*own, "--verbose"}]
        if options:
            return f"; {options[0]} is no option of measure: those of a plugin stand after its name"
        from pathspider.discovery import whereabouts  # noqa: PLC0415

        name = re.match(r"argument PLUGIN: invalid choice: '([^']*)'", message)
        return f"; {whereabouts(PLUGINS, name[1] if name else '')}"
    if kind == "unrecognized arguments":
        for word in words.split():
            if word.partition("=")[0] in own:
                return f"; options of measure, such as {word}, stand before the plugin's name"
            if not word.startswith("-"):
                return "; targets are read from standard input, or with --input FILE before the plugin's name"
    return ""


def positive_int(text: str) -> int:
    """An option's value as a number over 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number over 0 is needed")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """The whole of a measurement; the exit status."""
    from pathspider.jobs import JobReader, RecordWriter, parse_csv, parse_job  # noqa: PLC0415

    prepare(args)
    lines = open_input(args.input)
    refuse_same(os.fstat(lines.fileno()), args.resume or args.output)
    reader = JobReader(lines, "standard input" if args.input == "-" else args.input,
                       parse_csv if args.csv_input else parse_job)
    seen = targets_done(args)
    if args.dry_run:
        with open_output(args.output) as stream:
            start_afresh(args.output, stream)
            return dry_run(args, reader, seen, RecordWriter(stream))
    with open_output(args.resume or args.output, append=bool(args.resume)) as stream:
        block_signals()
        spider = start_spider(args)
        if not args.resume:
            start_afresh(args.output, stream)
        return Measurement(spider, reader, RecordWriter(stream), seen, resumes=bool(args.resume)).run()


def prepare(args: argparse.Namespace) -> None:
    """Turn the options that limit a run into what the spider needs; :exc:`UsageError` for what cannot be."""
    from pathspider.blocklist import Blocklist, BlocklistError  # noqa: PLC0415
    from pathspider.pace import Pace  # noqa: PLC0415

    if args.resume and args.output != "-":
        raise UsageError("--resume names the output already: leave --output out")
    if args.resume and is_file(1, args.resume):
        raise UsageError(f"--resume {args.resume}: standard output leads there too, and after > the shell has emptied "
                         "the file by now; --resume writes to it by itself: leave the redirection out")
    try:
        args.pace = None if args.rate is None else Pace(args.rate)
        args.blocklist = None if args.blocklist is None else Blocklist.read(args.blocklist)
    except BlocklistError as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"--rate: {error}") from None


def targets_done(args: argparse.Namespace) -> TargetFilter:
    """The targets that need no measuring: none, or, for ``--resume``, those that have a record."""
    from pathspider.conditions import NOT_MEASURED  # noqa: PLC0415
    from pathspider.jobs import TARGET_KEYS, LineError, TargetFilter, resume  # noqa: PLC0415

    spider = args.plugin(1, "", args)
    seen = TargetFilter(spider.default_port(), spider.target_keys)
    if args.resume:
        several = spider.target_keys != TARGET_KEYS
        try:
            done = resume(args.resume, seen, NOT_MEASURED, record_of(spider.name, several=several),
                          several=several, look_only=args.dry_run)
        except OSError as error:
            raise UsageError(f"--resume {args.resume}: {error.strerror}") from None
        except LineError as error:
            raise UsageError(f"--resume {error}") from None
        log.info("resuming: %d records are there", done)
    return seen


def record_of(plugin: str, *, several: bool) -> Callable[[str], Record]:
    """What parses the records of this plugin; ``LineError`` for those of another one, and for what is no record.

    :param several: the plugin puts out several lines for a job, which are jobs again and may have no conditions
    """
    from pathspider.discovery import module_names  # noqa: PLC0415
    from pathspider.jobs import LineError, check_record, parse_ndjson  # noqa: PLC0415

    others = {*module_names(PLUGINS)} - {plugin}

    def parse(line: str) -> Record:
        record = parse_ndjson(line)
        if several and "conditions" not in record:
            return record
        for condition in check_record(record)["conditions"]:
            if (feature := condition.partition(".")[0]) in others:
                raise LineError(f"a record of the {feature} plugin")
        return record

    return parse


def dry_run(args: argparse.Namespace, reader: JobReader, seen: TargetFilter, writer: RecordWriter) -> int:
    """Write the jobs that would be measured, and say what would not be; the exit status."""
    spider = args.plugin(args.workers, "", args)
    counts = {"measured": 0, "repeated": 0, "blocklisted": 0, "invalid": 0}
    for job in reader:
        if seen.repeats(job):
            counts["repeated"] += 1
        elif spider.job_problem(job):
            counts["invalid"] += 1
        elif args.blocklist is not None and "dip" in job and job["dip"] in args.blocklist:
            counts["blocklisted"] += 1
        else:
            counts["measured"] += 1
            writer.write(to_measure(job))
    log.info("would connect %d times to each of %d targets; %d are repeated, %d in the blocklist, %d invalid; "
             "%d lines are no jobs", len(spider.plan()), *counts.values(), reader.skipped)
    return 1 if counts["invalid"] or reader.skipped else 0


def open_input(name: str) -> IO[bytes]:
    """The input file, or standard input for ``-``.

    It is left open: the feeder may still wait for input when all else has ended, and closing would wait for the feeder.
    """
    try:
        return open(0, "rb", closefd=False) if name == "-" else Path(name).open("rb")
    except OSError as error:
        raise UsageError(f"input {name}: {error.strerror}") from None


def start_spider(args: argparse.Namespace) -> Spider:
    """Make the plugin's spider for this vantage point and start it; :exc:`UsageError` if that cannot be."""
    from pathspider.libtrace import CaptureError  # noqa: PLC0415 - native
    from pathspider.limits import LimitError, allow_workers  # noqa: PLC0415
    from pathspider.network.interfaces import (  # noqa: PLC0415
        CapabilityError,
        InterfaceError,
        check_capabilities,
        check_interface,
        source_addresses,
    )
    from pathspider.network.privileges import keep_only  # noqa: PLC0415
    from pathspider.network.settings import SettingsError  # noqa: PLC0415

    try:
        allow_workers(args.workers)
        check_interface(args.interface)
        args.source = source_addresses(args.interface)
        check_capabilities(*args.plugin.capabilities)
    except (LimitError, InterfaceError, CapabilityError) as error:
        raise UsageError(str(error)) from None
    if not any(args.source):
        raise UsageError(f"interface {args.interface} has no address to measure from: give it one, or name another")
    if args.vantage_lookup:
        args.beginnings = looked_up(args.source)
    keep_only(args.plugin.capabilities)
    spider: Spider = args.plugin(args.workers, f"int:{args.interface}", args)
    try:
        spider.start()
    except (CaptureError, SettingsError) as error:
        raise UsageError(str(error)) from None
    except Exception as error:  # a plugin's mistake
        log.error("plugin %s: %s: %s; the run does not begin", spider.name, type(error).__name__, error, exc_info=error)
        sys.exit(1)
    return spider


def looked_up(source: tuple[str | None, str | None]) -> tuple[list[str | None], ...]:
    """How the records' paths begin: our public address and its AS, for each IP version that has Internet here."""
    from pathspider.network.vantage import UnreachedError, VantageError, look_up  # noqa: PLC0415 - for this alone

    beginnings: list[list[str | None]] = []
    unreached: list[UnreachedError] = []
    try:
        for own in source:
            try:
                beginnings.append([None] if own is None else [*look_up(own)])
            except UnreachedError as error:
                beginnings.append([own])
                unreached.append(error)
        if unreached and not any(len(beginning) > 1 for beginning in beginnings):
            raise unreached[0]
    except VantageError as error:
        raise UsageError(f"--vantage-lookup: {error}; leave the option off to have paths begin with the interface's "
                         "own address") from None
    for reason in unreached:
        log.warning("--vantage-lookup: %s; paths of this IP version begin with the interface's own address", reason)
    return tuple(beginnings)


class Measurement:
    """A started spider, fed from a reader, its records written as they come.

    SIGINT and SIGTERM, once: no new jobs, what is under way is finished and written; twice: at once.
    """

    def __init__(self, spider: Spider, reader: JobReader, writer: RecordWriter, seen: TargetFilter, *,
                 resumes: bool = False) -> None:
        self.spider = spider
        self.reader = reader
        self.writer = writer
        self.seen = seen
        self.resumes = resumes
        self.invalid = 0
        self.unmeasured = 0
        self.repeats = 0
        self.signals: list[int] = []
        self.failure: BaseException | None = None

    def run(self) -> int:
        """Measure all jobs; the exit status."""
        from pathspider.cmd.progress import Progress  # noqa: PLC0415

        on_signals(self._stop_in_order, self._end_at_once)
        with Progress(self.spider, self.reader):
            threading.Thread(target=self._feed, name="feeder", daemon=True).start()
            self._write()
        return self._report()

    def _feed(self) -> None:
        try:
            for job in self.reader:
                if self.seen.repeats(job):
                    self.repeats += 1
                elif not self.spider.add_job(job):
                    break
        except BaseException as error:
            self.spider.fail(error)
        self.spider.shutdown()

    def _write(self) -> None:
        """Write what comes until the records' end; when the output breaks, the run stops in order."""
        from pathspider.base import SHUTDOWN_SENTINEL  # noqa: PLC0415

        while (record := self.spider.outqueue.get()) is not SHUTDOWN_SENTINEL:
            conditions = record.get("conditions", [])  # a resolver puts out jobs
            self.invalid += conditions[:1] != [] and conditions[0].startswith("pathspider.invalid_job")
            self.unmeasured += conditions[:1] == ["pathspider.not_measured"]
            if self.failure is None:
                try:
                    self.writer.write(record)
                except OSError as error:
                    self.failure = error
                    threading.Thread(target=self._stop, name="stop", daemon=True).start()

    def _stop_in_order(self, number: int) -> None:
        self.signals.append(number)
        log.warning("stopping: no new jobs; what is under way is finished (once more to stop at once)")
        # Not in this thread, which waits for the second signal.
        threading.Thread(target=self._stop, name="stop", daemon=True).start()

    def _stop(self) -> None:
        self.spider.interrupt()
        self.spider.shutdown()

    def _end_at_once(self, _number: int) -> None:
        """Give the settings back and be gone: nothing else is waited for, not even a reader who does not read."""
        threading.Thread(target=self.spider.terminate, name="terminate", daemon=True).start()
        self.spider.terminated.wait(AT_ONCE)
        log.error("ended at once, after %d records", self.writer.written)
        os._exit(128 + self.signals[0])

    def _report(self) -> int:
        """Say what was not done; the exit status."""
        status = 0
        if self.repeats:
            log.info("%d targets were left out: %s", self.repeats, "they have a record already, or are repeated"
                     if self.resumes else "they are repeated (same dip, dp and domain)")
        for count, what in ((self.reader.skipped, "lines of input were not jobs and were skipped"),
                            (self.invalid, "jobs were invalid; their records say why"),
                            (self.unmeasured, "jobs were read but not measured; their records say so")):
            if count:
                log.error("%d %s", count, what)
                status = 1
        if self.spider.observer is not None and self.spider.chains:
            stats = self.spider.observer.stats
            lost = stats.dropped_kernel + stats.dropped_ring
            log.log(logging.WARNING if lost or self.spider.flows_missed else logging.INFO,
                    "%d records; observed %d packets, %d lost by the capture, %d flows missed",
                    self.writer.written, stats.packets, lost, self.spider.flows_missed)
            if self.spider.flows_missed and not self.spider.flows_found:
                log.error("nothing at all was observed of these connections: does the interface lead to the targets? "
                          "`ip route get ADDRESS` names the one that does")
                status = 1
        if isinstance(self.failure, BrokenPipeError):
            log.error("the reader of the output has gone; the run was stopped")
            status = 1
        elif self.failure is not None:
            log.error("output: %s; the run was stopped", self.failure.strerror  # type: ignore[attr-defined]
                      or self.failure)
            status = 1
        if self.spider.exception is not None:
            status = 1
        if self.signals:
            status = 128 + self.signals[0]
        return status

