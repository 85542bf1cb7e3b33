"""``pspdr measure``: read targets, run a plugin's spider over them, write one record a target."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from pathspider.cmd.interface import for_targets, lab_networks, pair, source_ip
from pathspider.cmd.main import UsageError, add_loudness, meant_option
from pathspider.cmd.output import is_file, open_output, refuse_same, start_afresh
from pathspider.cmd.signals import Signals
from pathspider.installed import PLUGINS, available_plugins
from pathspider.records import to_measure

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.records import Job, Record
    from pathspider.run.options import Beginnings, RunOptions
    from pathspider.targets.reading import JobReader
    from pathspider.targets.repeats import TargetFilter
    from pathspider.writing import RecordWriter

log = logging.getLogger("pathspider")

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
    parser.add_argument("--input", metavar="INPUTFILE", default="-",
                        help="The list of jobs, one a line. (Default: standard input)")
    parser.add_argument("--csv-input", action="store_true",
                        help="The input is CSV, no header row: rank,domain or dip,dp,domain or dip,dp,domain,rank.")
    parser.add_argument("-o", "--output", metavar="OUTPUTFILE", default="-",
                        help="Where the records go. (Default: standard output)")
    parser.add_argument("--output-flows", action="store_true", help="Include flow results in output.")
    parser.add_argument("--resume", metavar="RECORDS",
                        help="Continue an interrupted run: RECORDS is its output, and gets what is missing. Leave out "
                             ">RECORDS, with which the shell would empty it.")
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
                        help="What random orders are drawn from. (Default: 0)")
    parser.add_argument("--lockstep", action="store_true",
                        help="Switch the whole machine from one configuration to the next, all workers in step, also "
                             "where each connection could carry its own (ecn, dscp).")
    parser.add_argument("--blocklist", metavar="FILE",
                        help="Measure no target in these networks: a CIDR prefix a line, comments after #.")
    parser.add_argument("--vantage-lookup", action="store_true",
                        help="Ask the DNS (servers of Google and Team Cymru) for our public addresses and their AS: "
                             "paths begin with them.")
    parser.add_argument("--dry-run", action="store_true",
                        help="Connect to nothing: output the jobs that would be measured.")
    parser.set_defaults(func=run)
    named = named_plugin(parser, argv)
    parser.advice = partial(advice, parser._option_string_actions, argv)
    plugins = parser.add_subparsers(title="Plugins", description="The following plugins are available for use:",
                                    metavar="PLUGIN", dest="plugin_name", required=True, action=PluginParsers)
    for plugin in available_plugins(named):
        plugins.register_plugin(plugin)


def named_plugin(parser: argparse.ArgumentParser, argv: Sequence[str]) -> str | None:
    """The word of a command line that stands where the plugin's name does, behind the options of ``measure``.

    :param parser: with these options and nothing else
    """
    class Refused(Exception):  # noqa: N818 - never seen
        pass

    class Reader(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise Refused

    reader = Reader(add_help=False)
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            reader._add_action(action)
    reader.add_argument("rest", nargs=argparse.REMAINDER)
    try:
        rest = reader.parse_known_args(list(argv)[list(argv).index("measure") + 1:])[0].rest
    except (Refused, ValueError):  # the parser itself will say it
        return None
    return rest[0] if rest else None


class PluginParsers(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The plugins' sub-commands. The one that is named has its arguments to itself, as ``plugin_args``: an option of a
    plugin may be called as one of ``measure`` or ``pspdr``, and both have their own. ``plugin`` is its class."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.plugins: dict[str, Any] = {}

    def register_plugin(self, plugin: Any) -> None:
        """Have a plugin add its sub-command. One that cannot is named and left out, and the others work."""
        before = set(self._name_parser_map)
        try:
            plugin.register_args(self)
        except (Exception, SystemExit) as error:
            from pathspider.discovery import is_skipped  # noqa: PLC0415

            is_skipped(plugin.__module__, "set up", error)
            self._choices_actions = [one for one in self._choices_actions if one.dest in before]
            for name in set(self._name_parser_map) - before:
                del self._name_parser_map[name]
            return
        self.plugins |= dict.fromkeys(set(self._name_parser_map) - before, plugin)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Parse the plugin's arguments, which are all that follow its name."""
        own = argparse.Namespace()
        super().__call__(parser, own, values, option_string)
        unknown = vars(own).pop(argparse._UNRECOGNIZED_ARGS_ATTR, [])
        if unknown:
            vars(namespace).setdefault(argparse._UNRECOGNIZED_ARGS_ATTR, []).extend(unknown)
        namespace.plugin_args = own
        namespace.plugin_name = values[0]
        namespace.plugin = self.plugins[values[0]]


def make_spider(args: argparse.Namespace, options: RunOptions, *, workers: int = 1, uri: str = "") -> Spider:
    """The plugin's spider. It sees the arguments of ``measure``, but where it has an option of that name, its own."""
    seen = argparse.Namespace(**{**vars(args), **vars(args.plugin_args), "run_options": options})
    spider: Spider = args.plugin(workers, uri, seen)
    spider.options = options
    return spider


def advice(own: Collection[str], argv: Sequence[str], message: str) -> str:
    """What to add to an error of the command line: where options stand, and where plugins are looked for.

    :param own: the options of ``measure``
    """
    kind, _, words = message.partition(": ")
    if kind == "argument PLUGIN":
        options = [word for word in argv if word.startswith("--") and word.partition("=")[0] not in own]
        if options:
            return f"; {options[0]} is no option of measure: those of a plugin stand after its name" \
                   + meant_option(options, own)
        from pathspider.discovery import whereabouts  # noqa: PLC0415

        name = re.match(r"argument PLUGIN: invalid choice: '([^']*)'", message)
        return f"; {whereabouts(PLUGINS, name[1] if name else '')}"
    if kind == "unrecognized arguments":
        first = words.split(" ")[0]  # what follows may be its value
        if first.partition("=")[0] in own:
            return f"; options of measure, such as {first}, stand before the plugin's name"
        if not first.startswith("-"):
            return "; targets are read from standard input, or with --input FILE before the plugin's name"
    return ""


def positive_int(text: str) -> int:
    """An option's value as a number over 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number over 0 is needed")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """The whole of a measurement; the exit status."""
    from pathspider.cmd.progress import Progress  # noqa: PLC0415
    from pathspider.run.measurement import Measurement  # noqa: PLC0415
    from pathspider.targets.reading import JobReader, parse_csv, parse_job  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    options = run_options(args)
    lines = open_input(args.input)
    refuse_same(os.fstat(lines.fileno()), args.resume or args.output)
    reader = JobReader(lines, "standard input" if args.input == "-" else args.input,
                       parse_csv if args.csv_input else parse_job)
    seen = targets_done(args, options)
    if args.dry_run:
        with open_output(args.output) as stream:
            start_afresh(args.output, stream)
            return dry_run(args, options, reader, seen, RecordWriter(stream))
    with open_output(args.resume or args.output, append=bool(args.resume)) as stream:
        jobs: Iterable[Job] = reader
        if args.interface is None and needs_interface(args.plugin):  # it waits for a target: signals end it as they do
            following = iter(reader)
            args.interface, ahead = for_targets(following, options.source)
            jobs = chain(ahead, following)
        signals = Signals()
        spider = start_spider(args, options)
        if not args.resume:
            start_afresh(args.output, stream)
        measurement = Measurement(spider, reader, RecordWriter(stream), seen, resumes=bool(args.resume), jobs=jobs)
        signals.respond(measurement.stop_in_order, measurement.end_at_once)
        progress = Progress(spider.pipeline, reader, stopping=lambda: measurement.signals)
        with nullcontext() if args.quiet else progress:
            return measurement.run()


def run_options(args: argparse.Namespace) -> RunOptions:
    """The options of the run; :exc:`UsageError` for what cannot be."""
    from pathspider.run.options import RunOptions  # noqa: PLC0415
    from pathspider.targets.blocklist import Blocklist, BlocklistError  # noqa: PLC0415

    if args.resume and args.output != "-":
        raise UsageError("--resume names the output already: leave --output out")
    if args.resume and is_file(1, args.resume):
        raise UsageError(f"--resume {args.resume}: standard output leads there too, and after > the shell has emptied "
                         "the file by now; --resume writes to it by itself: leave the redirection out")
    if args.order == "random" and args.plugin.fixed_order:
        raise UsageError(f"--order random: connections of {args.plugin.name} build on each other, so that their order "
                         "cannot be drawn; leave the option off")
    if args.rate is not None and not args.rate > 0:
        raise UsageError(f"--rate: a rate of {args.rate} per second: it must be over 0")
    try:
        blocklist = None if args.blocklist is None else Blocklist.read(args.blocklist)
    except BlocklistError as error:
        raise UsageError(str(error)) from None
    return RunOptions(output_flows=args.output_flows, rate=args.rate, per_address=args.per_address, blocklist=blocklist,
                      order=args.order, seed=args.seed, lockstep=args.lockstep, source=pair(args.source_ip),
                      lab_networks=None if args.allow_lab_addresses else lab_networks())


def targets_done(args: argparse.Namespace, options: RunOptions) -> TargetFilter:
    """The targets that need no measuring: none, or, for ``--resume``, those that have a record."""
    from pathspider.conditions import is_unfinished  # noqa: PLC0415
    from pathspider.run.resume import resume  # noqa: PLC0415
    from pathspider.targets.problems import TARGET_KEYS  # noqa: PLC0415
    from pathspider.targets.reading import LineError  # noqa: PLC0415
    from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415

    spider = make_spider(args, options)
    seen = TargetFilter(spider.default_port(), spider.target_keys)
    if args.resume:
        several = spider.target_keys != TARGET_KEYS
        try:
            done = resume(args.resume, seen, is_unfinished, record_of(spider.name, several=several),
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
    from pathspider.targets.reading import LineError, check_record, parse_ndjson  # noqa: PLC0415

    others = {*module_names(PLUGINS)} - {plugin}

    def parse(line: str) -> Record:
        job = parse_ndjson(line)
        if several and "conditions" not in job:
            return cast("Record", job)
        record = check_record(job)
        for condition in record["conditions"]:
            if (feature := condition.partition(".")[0]) in others:
                raise LineError(f"a record of the {feature} plugin")
        return record

    return parse


def dry_run(args: argparse.Namespace, options: RunOptions, reader: JobReader, seen: TargetFilter,
            writer: RecordWriter) -> int:
    """Write the jobs that would be measured, and say what would not be; the exit status."""
    spider = make_spider(args, options, workers=args.workers)
    counts = {"measured": 0, "repeated": 0, "blocklisted": 0, "of the lab": 0, "invalid": 0}
    for job in reader:
        if seen.repeats(job):
            counts["repeated"] += 1
        elif spider.job_problem(job):
            counts["invalid"] += 1
        elif options.blocklist is not None and "dip" in job and job["dip"] in options.blocklist:
            counts["blocklisted"] += 1
        elif options.lab_networks is not None and "dip" in job and job["dip"] in options.lab_networks:
            counts["of the lab"] += 1
        else:
            counts["measured"] += 1
            writer.write(to_measure(job))
    log.info("would connect %d times to each of %d targets; %d are repeated, %d in the blocklist, %d addresses of "
             "the lab (--allow-lab-addresses measures them here), %d invalid; "
             "%d lines are no jobs", len(spider.plan()), *counts.values(), reader.skipped)
    return 1 if counts["invalid"] or counts["of the lab"] or reader.skipped else 0


def open_input(name: str) -> IO[bytes]:
    """The input file, or standard input for ``-``.

    It is left open: the feeder may still wait for input when all else has ended, and closing would wait for the feeder.
    """
    try:
        return open(0, "rb", closefd=False) if name == "-" else Path(name).open("rb")
    except OSError as error:
        raise UsageError(f"input {name}: {error.strerror}") from None


def needs_interface(plugin: type[Spider]) -> bool:
    """Whether a plugin observes, or connects to targets; dnsresolv does neither."""
    return bool(plugin.chains) or "dip" in plugin.target_keys


def start_spider(args: argparse.Namespace, options: RunOptions) -> Spider:
    """Make the plugin's spider for this vantage point and start it; :exc:`UsageError` if that cannot be."""
    from pathspider.libtrace import CaptureError  # noqa: PLC0415 - native
    from pathspider.network.interfaces import (  # noqa: PLC0415
        CapabilityError,
        InterfaceError,
        check_capabilities,
        check_interface,
        interface_name,
    )
    from pathspider.network.privileges import keep_only  # noqa: PLC0415
    from pathspider.network.routes import Sources  # noqa: PLC0415
    from pathspider.network.settings import SettingsError  # noqa: PLC0415
    from pathspider.run.limits import LimitError, allow_workers  # noqa: PLC0415

    try:
        if args.interface is None:
            uri, usual = "", options.source
        else:
            check_interface(args.interface)
            args.interface = interface_name(args.interface)
            uri, usual = f"int:{args.interface}", Sources(args.interface).default
        check_capabilities(*args.plugin.capabilities)
    except (InterfaceError, CapabilityError) as error:
        raise UsageError(str(error)) from None
    source = options.source[0] or usual[0], options.source[1] or usual[1]
    if uri and not any(source):
        raise UsageError(f"interface {args.interface} has no address to measure from: give it one, or name another")
    beginnings = looked_up(source) if args.vantage_lookup else None
    if "CAP_BPF" in args.plugin.capabilities:
        from pathspider.network.bpf import hold_cgroup  # noqa: PLC0415 - for such plugins alone

        hold_cgroup()
    keep_only(args.plugin.capabilities)
    options = replace(options, beginnings=beginnings)
    spider = make_spider(args, options, workers=args.workers, uri=uri)
    try:
        allow_workers(args.workers, spider.descriptors())
        spider.start()
    except BlockingIOError as error:  # from starting the guard of what is borrowed
        raise UsageError(f"no more processes can be started: {error.strerror} (ulimit -u, pids.max)") from None
    except (CaptureError, LimitError, SettingsError) as error:
        raise UsageError(str(error)) from None
    except Exception as error:  # a plugin's mistake
        log.error("plugin %s: %s: %s; the run does not begin", spider.name, type(error).__name__, error, exc_info=error)
        sys.exit(1)
    return spider


def looked_up(source: tuple[str | None, str | None]) -> Beginnings:
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
    four, six = beginnings
    return four, six
