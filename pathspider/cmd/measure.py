"""``pspdr measure``: read targets, run a plugin's spider over them, write one record a target."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from pathspider.cmd.files import Files
from pathspider.cmd.input import (
    DrawnSeed,
    add_input_options,
    add_prefixes,
    bare_options,
    open_input,
    positive_int,
    read_networks,
    read_prefixes,
    select,
    target_reader,
)
from pathspider.cmd.interface import ReadAhead, for_targets, lab_networks, pair, source_ip
from pathspider.cmd.main import UsageError, add_loudness
from pathspider.cmd.output import (
    add_output,
    is_file,
    open_output,
    refuse_same,
    refuse_shared,
    start_afresh,
    write_jobs,
)
from pathspider.cmd.packets import add_packet_options
from pathspider.cmd.plugins import PluginParsers, advice, make_spider, named_plugin, plugin_mistakes
from pathspider.cmd.resuming import earlier_runs, targets_done
from pathspider.cmd.signals import Signals
from pathspider.cmd.start import needs_interface, spider_here, start_spider
from pathspider.installed import available_plugins
from pathspider.records import to_measure

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.records import Job
    from pathspider.run.measurement import Measurement
    from pathspider.run.options import RunOptions
    from pathspider.targets.digest import Digest
    from pathspider.targets.reading import JobReader
    from pathspider.targets.selection import Jobs, Selection

log = logging.getLogger("pathspider")

MOST_LOCATED = 1000
"""Targets that ``--locate`` looks for, unless it says how many."""
MOST_ROUNDS = 100
"""Rounds that a suspect may have."""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``measure`` command, with a sub-command for each plugin."""
    parser = subparsers.add_parser("measure", help="Perform a PATHspider measurement",
                                   description="Perform a PATHspider measurement.", epilog="Spider safely!")
    add_loudness(parser)
    parser.add_argument("-i", "--interface",
                        help="The interface that leads to the targets; its packets are captured. (Default: where the "
                             "route to the first target leads)")
    parser.add_argument("--source-ip", action="append", type=source_ip, default=[], metavar="ADDRESS",
                        help="Have all packets leave from this address of this machine; may be given twice, for IPv4 "
                             "and for IPv6. (Default: the kernel's choice for each target)")
    parser.add_argument("--allow-lab-addresses", action="store_true",
                        help="Measure also addresses that are those of pspdr lab, in a network that is not the lab.")
    parser.add_argument("-w", "--workers", type=positive_int, default=100,
                        help="Number of workers to use. (Default: 100)")
    add_input_options(parser)
    add_output(parser, "the records", more=" With --resume: go on also where options or targets are others.")
    parser.add_argument("--output-flows", action="store_true", help="Include flow results in output.")
    parser.add_argument("--resume", metavar="RECORDS",
                        help="Continue an interrupted run: RECORDS is its output, and gets what is missing. Leave out "
                             ">RECORDS, with which the shell would empty it.")
    add_packet_options(parser)
    parser.add_argument("--metadata", metavar="FILE",
                        help="Where the run's facts go. (Default: beside the output, RECORDS.meta.json; none where "
                             "that is no file)")
    parser.add_argument("--vantage", metavar="NAME", help="What this vantage point is called, for the metadata.")
    parser.add_argument("--log-file", metavar="FILE",
                        help="Append all messages to this file, with their times, also those that -q keeps back.")
    parser.add_argument("--status-file", metavar="FILE",
                        help="Keep this file up to date with how far the run is: JSON, once a second.")
    parser.add_argument("-r", "--rate", type=float, metavar="N",
                        help="Make at most N new connections per second; those to one target follow each other at "
                             "once.")
    parser.add_argument("--per-address", type=positive_int, default=2, metavar="N",
                        help="Measure at most N jobs to one address at once, whatever their ports and domains. "
                             "(Default: 2)")
    parser.add_argument("--order", choices=("fixed", "random"), default="fixed",
                        help="The order of the connections to a target: baseline first, or drawn for each target; "
                             "records tell it. (Default: fixed)")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="What random orders, and whatever else a plugin draws, are drawn from. (Default: 0)")
    parser.add_argument("--confirm", type=rounds, default=4, metavar="N",
                        help="Measure targets that are broken or transient N more times, in other orders, and say what "
                             "is stable; 0: do not. (Default: 4)")
    parser.add_argument("--confirm-gap", type=seconds, default=15.0, metavar="SECONDS",
                        help="Time from the end of such a target's last connection to the next. (Default: 15)")
    parser.add_argument("--locate", type=most_targets, nargs="?", default=0, metavar="N",
                        help="Find out between which hops of the path it happens, for at most N targets whose finding "
                             "is confirmed, or whose packets were changed on the way; N behind an equals sign. "
                             "(Default: not; without N: 1000)")
    parser.add_argument("--locate-rate", type=positive_rate, default=50.0, metavar="N",
                        help="Send at most N packets per second for that, over all targets. (Default: 50)")
    parser.add_argument("--lockstep", action="store_true",
                        help="Switch the whole machine from one configuration to the next, all workers in step, also "
                             "where each connection could carry its own (ecn, dscp).")
    parser.add_argument("--blocklist", metavar="FILE",
                        help="Measure no target in these networks: a CIDR prefix a line, comments after #.")
    add_prefixes(parser)
    parser.add_argument("--vantage-lookup", action="store_true",
                        help="Ask the DNS (servers of Google and Team Cymru) for our public addresses and their AS: "
                             "paths begin with them.")
    parser.add_argument("--user", metavar="NAME",
                        help="Where root begins the run, go on as this user. (Default: who called sudo, else nobody)")
    parser.add_argument("--dry-run", action="store_true",
                        help="Connect to nothing: output the jobs that would be measured.")
    parser.set_defaults(func=run)
    named = named_plugin(parser, argv)
    parser.advice = partial(advice, parser._option_string_actions, argv)
    plugins = parser.add_subparsers(title="Plugins", description="The following plugins are available for use:",
                                    metavar="PLUGIN", dest="plugin_name", required=True, action=PluginParsers)
    for plugin in available_plugins(named):
        plugins.register_plugin(plugin)
    parser.words = partial(bare_options, ends=plugins.choices)


def rounds(text: str) -> int:
    """An option's value as a number of rounds, for argparse."""
    if not text.isdecimal() or int(text) > MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 0 to {MOST_ROUNDS} is needed")
    return int(text)


def most_targets(text: str) -> int:
    """The value of ``--locate``, for argparse; empty where it has none."""
    return positive_int(text) if text else MOST_LOCATED


def positive_rate(text: str) -> float:
    """An option's value as a rate, for argparse."""
    with suppress(argparse.ArgumentTypeError):
        if (value := seconds(text)) > 0:
            return value
    raise argparse.ArgumentTypeError(f"{text}: a number over 0 is needed, of packets per second")


def seconds(text: str) -> float:
    """An option's value as a time, for argparse."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text}: a number of seconds is needed")


def run(args: argparse.Namespace) -> int:
    """The whole of a measurement; the exit status."""
    from pathspider.cmd.logfile import logging_to  # noqa: PLC0415
    from pathspider.run.metadata import ENDING  # noqa: PLC0415

    output = args.resume or args.output
    others = {"the input": 0 if args.input == "-" else args.input, "the output": 1 if output == "-" else output,
              "the metadata": args.metadata or output + ENDING, "the status file": args.status_file}
    if args.pcap is not None:
        refuse_shared(args.pcap, "pcap", others)
    if args.log_file is not None:
        refuse_shared(args.log_file, "log file", {**others, "the packets": args.pcap})
    with logging_to(args.log_file):
        return measure(args)


def measure(args: argparse.Namespace) -> int:
    """As :func:`run`, with messages going where they shall."""
    from pathspider.run.measurement import Measurement  # noqa: PLC0415
    from pathspider.targets.digest import Digest  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    options = run_options(args)
    lines = open_input(args.input)
    refuse_same(os.fstat(lines.fileno()), args.resume or args.output)
    digest = Digest(lines)
    reader = target_reader(args, lines)
    if args.dry_run:
        return dry_run(args, options, reader, digest)
    with ExitStack() as open_files:
        # Now, as the input may have to be waited for; but --resume puts another file in the place of its own.
        files = None if args.resume else Files(args, lines, open_files)
        jobs = ReadAhead(located(reader, options))
        if args.interface is None and needs_interface(args.plugin):
            args.interface = for_targets(jobs.ahead(), options.source, options.ip_version)
        spider = spider_here(args, options)
        earlier = earlier_runs(args, options.blocklist, digest) if args.resume else []
        targets = select(args, jobs, targets_done(args, spider), spider.target_keys)
        files = files or Files(args, lines, open_files, earlier)
        signals = Signals()
        files.packets.lead(spider)
        start_spider(args, spider, signals, files.packets.refuse_unwritable)
        if not args.resume:
            start_afresh(files.output)
        measurement = Measurement(spider, reader, targets, RecordWriter(files.output), resumes=bool(args.resume))
        return follow(args, measurement, digest=digest, files=files, signals=signals)


def follow(args: argparse.Namespace, measurement: Measurement, *, digest: Digest, files: Files,
           signals: Signals) -> int:
    """Measure with a spider that has been started, and keep the files up to date; the exit status."""
    from pathspider.cmd.progress import Progress  # noqa: PLC0415
    from pathspider.cmd.status import StatusFile  # noqa: PLC0415
    from pathspider.run import metadata  # noqa: PLC0415

    def end() -> None:
        if files.earlier and metadata.other_targets(files.earlier[-1], digest.found(complete=measurement.all_read)[0]):
            log.warning("the list of targets is not the one of the run that was continued")
        files.note({**metadata.at_end(measurement), "targets": metadata.of_targets(measurement, digest)})
        if status_file is not None:
            status_file.write()

    spider = measurement.spider
    measurement.at_end = end
    if files.metadata is not None:
        asked = metadata.what(args, spider.options.blocklist)
        files.note({**metadata.at_begin(args, sys.argv, spider, asked),
                    "targets": metadata.of_targets(measurement, digest)})
    progress = Progress(spider.pipeline, measurement.reader, stopping=lambda: measurement.signals,
                        targets=measurement.targets)
    status_file = None if files.status is None else StatusFile(files.status, measurement, progress)
    signals.respond(measurement.stop_in_order, measurement.end_at_once)
    with status_file or nullcontext(), nullcontext() if args.quiet else progress:
        status = measurement.run()
    prefixes = spider.options.prefixes
    return status or int(files.failed or (prefixes is not None and prefixes.bad > 0))


def run_options(args: argparse.Namespace) -> RunOptions:
    """The options of the run; :exc:`UsageError` for what cannot be."""
    from pathspider.run.options import RunOptions  # noqa: PLC0415

    if args.resume and args.output != "-":
        raise UsageError("--resume names the output already: leave --output out")
    if args.resume and is_file(1, args.resume):
        raise UsageError(f"--resume {args.resume}: standard output leads there too, and after > the shell has emptied "
                         "the file by now; --resume writes to it by itself: leave the redirection out")
    if args.resume and args.allow_repeats:
        raise UsageError("--resume leaves out targets that have a record, and --allow-repeats none: only one of them "
                         "can be")
    if args.resume and isinstance(args.shuffle, DrawnSeed):
        raise UsageError("--resume with --shuffle: name the seed that the run told, as --shuffle=SEED")
    if args.order == "random" and args.plugin.fixed_order:
        raise UsageError(f"--order random: connections of {args.plugin.name} build on each other, so that their order "
                         "cannot be drawn; leave the option off")
    if args.locate and not getattr(args.plugin, "located", None):
        raise UsageError(f"--locate: hops see nothing of what {args.plugin_name} measures; leave the option off")
    if args.rate is not None and not args.rate > 0:
        raise UsageError(f"--rate: a rate of {args.rate} per second: it must be over 0")
    return RunOptions(output_flows=args.output_flows, rate=args.rate, per_address=args.per_address,
                      blocklist=read_networks(args.blocklist, "blocklist"), prefixes=read_prefixes(args),
                      order=args.order, seed=args.seed, confirm=args.confirm, confirm_gap=args.confirm_gap,
                      lockstep=args.lockstep, locate=args.locate, locate_rate=args.locate_rate,
                      source=pair(args.source_ip),
                      lab_networks=None if args.allow_lab_addresses else lab_networks(), ip_version=args.ip_version)


def dry_run(args: argparse.Namespace, options: RunOptions, reader: JobReader, digest: Digest) -> int:
    """Write the jobs that would be measured, and say what would not be; the exit status."""
    if args.resume:
        earlier_runs(args, options.blocklist, digest)
    spider = make_spider(args, options)
    targets = select(args, located(reader, options), targets_done(args, spider), spider.target_keys)
    with open_output(args.output, force=args.force) as stream:
        return write_measured(args.plugin_name, spider, reader, targets, stream)


def write_measured(name: str, spider: Spider, reader: JobReader, targets: Selection, stream: IO[bytes]) -> int:
    """The jobs that would be measured by the plugin of this name; the exit status."""
    options = spider.options
    counts = {"measured": 0, "blocklisted": 0, "of the lab": 0, "invalid": 0}

    def measured() -> Iterator[Job]:
        for job in targets:
            with plugin_mistakes(name):
                problem = spider.job_problem(job)
            if problem:
                counts["invalid"] += 1
            elif options.blocklist is not None and "dip" in job and job["dip"] in options.blocklist:
                counts["blocklisted"] += 1
            elif options.lab_networks is not None and "dip" in job and job["dip"] in options.lab_networks:
                counts["of the lab"] += 1
            else:
                counts["measured"] += 1
                yield to_measure(job)

    write_jobs(stream, measured(), reader)
    with plugin_mistakes(name):
        connections = len(spider.plan())
    log.info("would connect %d times to each of %d targets; %d are repeated, %d in the blocklist, %d addresses of "
             "the lab (--allow-lab-addresses measures them here), %d invalid; %d lines are no jobs%s",
             connections, counts["measured"], targets.repeated, counts["blocklisted"], counts["of the lab"],
             counts["invalid"], reader.skipped, targets.left_out("; "))
    prefixes = options.prefixes
    is_good = reader.all_were_jobs and not counts["invalid"] and not counts["of the lab"]
    return 0 if is_good and (prefixes is None or not prefixes.bad) else 1


def located(jobs: Jobs, options: RunOptions) -> Jobs:
    """The jobs with where they are, as far as the options ask for that."""
    from pathspider.targets.selection import Stage  # noqa: PLC0415

    return jobs if options.prefixes is None else Stage(jobs, map(options.prefixes.annotate, jobs))


