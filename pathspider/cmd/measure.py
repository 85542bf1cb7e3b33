"""``pspdr measure``: read targets, run a plugin's spider over them, write one record a target."""

from __future__ import annotations

import argparse
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from pathspider.cmd.input import (
    DrawnSeed,
    add_input_options,
    bare_shuffle,
    open_input,
    positive_int,
    select,
    target_reader,
)
from pathspider.cmd.interface import for_targets, lab_networks, pair, source_ip
from pathspider.cmd.main import UsageError, add_loudness, meant_option
from pathspider.cmd.output import (
    add_output,
    is_file,
    lock,
    open_output,
    open_rewritten,
    refuse_one_file,
    refuse_same,
    refuse_shared,
    start_afresh,
    write_jobs,
)
from pathspider.cmd.signals import Signals
from pathspider.installed import PLUGINS, available_plugins
from pathspider.records import to_measure

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.records import Job, Record
    from pathspider.run.measurement import Measurement
    from pathspider.run.metadata import Facts
    from pathspider.run.options import Beginnings, RunOptions
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.digest import Digest
    from pathspider.targets.reading import JobReader
    from pathspider.targets.repeats import TargetFilter
    from pathspider.targets.selection import Selection

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
    add_input_options(parser)
    add_output(parser, "the records", more=" With --resume: go on also where options or targets are others.")
    parser.add_argument("--output-flows", action="store_true", help="Include flow results in output.")
    parser.add_argument("--resume", metavar="RECORDS",
                        help="Continue an interrupted run: RECORDS is its output, and gets what is missing. Leave out "
                             ">RECORDS, with which the shell would empty it.")
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
                        help="What random orders are drawn from. (Default: 0)")
    parser.add_argument("--lockstep", action="store_true",
                        help="Switch the whole machine from one configuration to the next, all workers in step, also "
                             "where each connection could carry its own (ecn, dscp).")
    parser.add_argument("--blocklist", metavar="FILE",
                        help="Measure no target in these networks: a CIDR prefix a line, comments after #.")
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
    parser.words = partial(bare_shuffle, ends=plugins.choices)


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
    reader._has_negative_number_optionals.clear()
    reader.add_argument("rest", nargs=argparse.REMAINDER)
    try:
        rest = reader.parse_known_args(bare_shuffle(list(argv)[list(argv).index("measure") + 1:]))[0].rest
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


def run(args: argparse.Namespace) -> int:
    """The whole of a measurement; the exit status."""
    from pathspider.cmd.logfile import logging_to  # noqa: PLC0415
    from pathspider.run.metadata import ENDING  # noqa: PLC0415

    if args.log_file is not None:
        output = args.resume or args.output
        refuse_shared(args.log_file, "log file", {
            "the input": 0 if args.input == "-" else args.input, "the output": 1 if output == "-" else output,
            "the metadata": args.metadata or output + ENDING, "the status file": args.status_file})
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
    earlier = earlier_runs(args, options.blocklist, digest) if args.resume else []
    seen, keys = targets_done(args, options)
    targets = select(args, reader, seen, keys)
    if args.dry_run:
        with open_output(args.output, force=args.force) as stream:
            return dry_run(args, options, reader, targets, stream)
    with open_output(args.resume or args.output, append=bool(args.resume), force=args.force,
                     instead=f", continue that run with --resume {args.output}") as stream, ExitStack() as open_files:
        # now: later it may be that nothing can be opened
        files = Files(args, options, stream, lines, stack=open_files, earlier=earlier)
        jobs: Iterable[Job] = targets
        if args.interface is None and needs_interface(args.plugin):  # it waits for a target: signals end it as they do
            following = iter(targets)
            args.interface, ahead = for_targets(following, options.source)
            jobs = chain(ahead, following)
        signals = Signals()
        spider = start_spider(args, options, signals)
        if not args.resume:
            start_afresh(stream)
        measurement = Measurement(spider, reader, targets, RecordWriter(stream), resumes=bool(args.resume), jobs=jobs)
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
        files.note({**metadata.at_begin(args, sys.argv, spider, files.asked),
                    "targets": metadata.of_targets(measurement, digest)})
    progress = Progress(spider.pipeline, measurement.reader, stopping=lambda: measurement.signals,
                        targets=measurement.targets)
    status_file = None if files.status is None else StatusFile(files.status, measurement, progress)
    signals.respond(measurement.stop_in_order, measurement.end_at_once)
    with status_file or nullcontext(), nullcontext() if args.quiet else progress:
        status = measurement.run()
    return status or int(files.failed)


class Files:
    """What is written beside the records.

    :param stack: closes the files
    :param earlier: the runs that this one continues
    """

    def __init__(self, args: argparse.Namespace, options: RunOptions, output: IO[bytes], lines: IO[bytes], *,
                 stack: ExitStack, earlier: Sequence[Facts]) -> None:
        from pathspider.run.metadata import ENDING, Metadata, read, what  # noqa: PLC0415
        from pathspider.writing import JSONFile  # noqa: PLC0415

        self.earlier = earlier
        self.asked = what(args, options.blocklist)
        self.failed = False
        self.metadata: Metadata | None = None
        self.status: JSONFile | None = None
        opened = {"the input": lines.fileno(), "the output": output.fileno()}
        name = args.metadata
        if name is None and output.fileno() != 1 and stat.S_ISREG(os.fstat(output.fileno()).st_mode):
            name = (args.resume or args.output) + ENDING
        for kind, path, accept in (("metadata", name, read if args.resume else partial(refused, args)),
                                   ("status file", args.status_file, partial(refused, args))):
            if path is not None:
                opened[f"the {kind}"] = open_rewritten(path, kind, accept)
                kept = JSONFile(opened[f"the {kind}"])
                stack.callback(kept.close)
                if kind == "metadata":
                    self.metadata = Metadata(kept, earlier)
                else:
                    self.status = kept
        refuse_one_file(opened)

    def note(self, facts: Facts) -> None:
        """Add these facts to the metadata, where there are some."""
        if self.metadata is not None:
            try:
                self.metadata.write(facts)
            except OSError as error:
                log.error("metadata: %s", error.strerror)
                self.failed = True


def refused(args: argparse.Namespace, stream: IO[bytes]) -> None:
    """``ValueError`` for a file that has content, unless that may be overwritten."""
    from pathspider.cmd.status import is_status  # noqa: PLC0415

    if not (args.force or is_status(stream)):
        raise ValueError("there is something in this file already; name another one, or overwrite it with --force (-f)")


def earlier_runs(args: argparse.Namespace, blocklist: Blocklist | None, digest: Digest) -> list[Facts]:
    """The runs whose records are resumed; :exc:`UsageError` where options or targets are not as they were."""
    from pathspider.run import metadata  # noqa: PLC0415

    name = args.metadata or args.resume + metadata.ENDING
    try:
        with open(name, "rb") as stream:
            runs = metadata.read(stream) if os.fstat(stream.fileno()).st_size else []
    except FileNotFoundError:
        runs = []
    except OSError as error:
        raise UsageError(f"metadata {name}: {error.strerror}") from None
    except metadata.MetadataError as error:
        raise UsageError(f"metadata {name}: {error}") from None
    if not runs:
        log.warning("there is no metadata of the run that is resumed (%s): whether options and targets are the same is "
                    "not known", name)
        return runs
    now = metadata.what(args, blocklist)
    found = metadata.differences(runs[-1], now)
    if metadata.other_targets(runs[-1], digest.found(complete=False)[0]):
        found.append("the list of targets is another one, or has changed")
    if found and not args.force:
        raise UsageError(f"--resume {args.resume}: {'; '.join(found)}. Give the options and targets of the run that is "
                         "resumed, or go on all the same with --force (-f)")
    for difference in (*found, *metadata.other_versions(runs[-1], now)):
        log.warning("--resume %s: %s", args.resume, difference)
    return runs


def run_options(args: argparse.Namespace) -> RunOptions:
    """The options of the run; :exc:`UsageError` for what cannot be."""
    from pathspider.run.options import RunOptions  # noqa: PLC0415
    from pathspider.targets.blocklist import Blocklist, BlocklistError  # noqa: PLC0415

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
    if args.rate is not None and not args.rate > 0:
        raise UsageError(f"--rate: a rate of {args.rate} per second: it must be over 0")
    try:
        blocklist = None if args.blocklist is None else Blocklist.read(args.blocklist)
    except BlocklistError as error:
        raise UsageError(str(error)) from None
    return RunOptions(output_flows=args.output_flows, rate=args.rate, per_address=args.per_address, blocklist=blocklist,
                      order=args.order, seed=args.seed, lockstep=args.lockstep, source=pair(args.source_ip),
                      lab_networks=None if args.allow_lab_addresses else lab_networks(), ip_version=args.ip_version)


def targets_done(args: argparse.Namespace, options: RunOptions) -> tuple[TargetFilter, Sequence[str]]:
    """The targets that need no measuring: none, or, for ``--resume``, those that have a record. And the keys of a job
    that tell its target."""
    from pathspider.run.resume import resume  # noqa: PLC0415
    from pathspider.targets.problems import TARGET_KEYS  # noqa: PLC0415
    from pathspider.targets.reading import LineError  # noqa: PLC0415
    from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415

    spider = make_spider(args, options)
    seen = TargetFilter(spider.default_port(), spider.target_keys)
    if args.resume:
        several = spider.target_keys != TARGET_KEYS
        try:
            if not args.dry_run:
                with open(args.resume, "rb") as old:
                    lock(old.fileno(), f"--resume {args.resume}")
            done = resume(args.resume, seen, spider.is_unfinished, record_of(spider.name, several=several),
                          several=several, look_only=args.dry_run)
        except OSError as error:
            raise UsageError(f"--resume {args.resume}: {error.strerror}") from None
        except LineError as error:
            raise UsageError(f"--resume {error}") from None
        log.info("resuming: %d records are there", done)
    return seen, spider.target_keys


def record_of(plugin: str, *, several: bool) -> Callable[[str], Record]:
    """What parses the records of this plugin; ``LineError`` for those of another one, and for what is no record.

    :param several: the plugin puts out several lines for a job, which are jobs again and may have no conditions
    """
    from pathspider.discovery import module_names  # noqa: PLC0415
    from pathspider.targets.reading import RECORD_DEPTH, LineError, check_record, parse_ndjson  # noqa: PLC0415

    others = {*module_names(PLUGINS)} - {plugin}

    def parse(line: str) -> Record:
        job = parse_ndjson(line, RECORD_DEPTH)
        if several and "conditions" not in job:
            return cast("Record", job)
        record = check_record(job)
        for condition in record["conditions"]:
            if (feature := condition.partition(".")[0]) in others:
                raise LineError(f"a record of the {feature} plugin")
        return record

    return parse


def dry_run(args: argparse.Namespace, options: RunOptions, reader: JobReader, targets: Selection,
            stream: IO[bytes]) -> int:
    """Write the jobs that would be measured, and say what would not be; the exit status."""
    spider = make_spider(args, options, workers=args.workers)
    counts = {"measured": 0, "blocklisted": 0, "of the lab": 0, "invalid": 0}

    def measured() -> Iterator[Job]:
        for job in targets:
            if spider.job_problem(job):
                counts["invalid"] += 1
            elif options.blocklist is not None and "dip" in job and job["dip"] in options.blocklist:
                counts["blocklisted"] += 1
            elif options.lab_networks is not None and "dip" in job and job["dip"] in options.lab_networks:
                counts["of the lab"] += 1
            else:
                counts["measured"] += 1
                yield to_measure(job)

    write_jobs(stream, measured(), reader)
    log.info("would connect %d times to each of %d targets; %d are repeated, %d in the blocklist, %d addresses of "
             "the lab (--allow-lab-addresses measures them here), %d invalid; %d lines are no jobs%s",
             len(spider.plan()), counts["measured"], targets.repeated, counts["blocklisted"], counts["of the lab"],
             counts["invalid"], reader.skipped, targets.left_out("; "))
    return 0 if reader.all_were_jobs and not counts["invalid"] and not counts["of the lab"] else 1


def needs_interface(plugin: type[Spider]) -> bool:
    """Whether a plugin observes, or connects to targets; dnsresolv does neither."""
    return bool(plugin.chains) or "dip" in plugin.target_keys


def start_spider(args: argparse.Namespace, options: RunOptions, signals: Signals) -> Spider:
    """Make the plugin's spider for this vantage point and start it; :exc:`UsageError` if that cannot be."""
    from pathspider.libtrace import CaptureError  # noqa: PLC0415 - native
    from pathspider.network.interfaces import (  # noqa: PLC0415
        CapabilityError,
        InterfaceError,
        check_capabilities,
        check_interface,
        interface_name,
    )
    from pathspider.network.routes import Sources  # noqa: PLC0415
    from pathspider.network.settings import SettingsError  # noqa: PLC0415
    from pathspider.run.limits import LimitError, allow_workers  # noqa: PLC0415

    try:
        if args.interface is None or not needs_interface(args.plugin):
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
    give_up_privileges(args)
    beginnings = None
    if args.vantage_lookup and uri:
        with signals.allowed():  # nothing is borrowed yet
            beginnings = looked_up(source)
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


def give_up_privileges(args: argparse.Namespace) -> None:
    """Open what can be opened now alone, and give up what this run does not need. Before any thread is started."""
    from pathspider.network.privileges import UserError, keep_only, of_plugin, run_user  # noqa: PLC0415

    try:
        user = run_user(args.user)
    except UserError as error:
        raise UsageError(str(error)) from None
    kept = of_plugin(args.plugin)
    if "CAP_BPF" in kept:
        from pathspider.network.bpf import hold_cgroup  # noqa: PLC0415 - for such plugins alone

        hold_cgroup()
    if "CAP_NET_ADMIN" in kept:
        from pathspider.network import journal  # noqa: PLC0415 - it needs settings' modules
        from pathspider.network.settings import Settings  # noqa: PLC0415 - heavy

        Settings.clean_leftovers()
        journal.open_early()
    keep_only(kept, None if args.plugin.keeps_root else user)


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
