"""``pspdr trace``: the hops to a few targets, and what each saw of the baseline and of the experiment."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import read_prefixes
from pathspider.cmd.interface import for_targets, lab_networks, pair, source_ip
from pathspider.cmd.main import UsageError, add_loudness
from pathspider.cmd.measure import positive_rate
from pathspider.cmd.output import open_output, refuse_same, start_afresh
from pathspider.cmd.plugins import PluginParsers, named_plugin
from pathspider.cmd.resuming import other_than
from pathspider.cmd.signals import Signals
from pathspider.cmd.start import spider_here, start_spider
from pathspider.installed import available_plugins
from pathspider.records import SHUTDOWN_SENTINEL, Job, to_measure
from pathspider.text import amount

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.writing import RecordWriter

log = logging.getLogger("pathspider")

PROTOCOL = "proto"
"""Of ``located``: that the experiment is of another protocol, which is none of what hops see change."""

MOST_AT_ONCE = 16
"""Targets that are measured at once."""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``trace`` command, with a sub-command for each plugin that hops can say something of."""
    parser = subparsers.add_parser(
        "trace", help="Show which hops of a path see a feature, and where it is changed or dropped",
        description="Measure targets with a plugin, and ask each hop what it sees of the baseline's packet and of the "
                    "experiment's. At most one packet a second goes to a target.")
    add_loudness(parser)
    parser.add_argument("-i", "--interface",
                        help="The interface that leads to the targets. (Default: where the route to the first leads)")
    parser.add_argument("--source-ip", action="append", type=source_ip, default=[], metavar="ADDRESS",
                        help="Have all packets leave from this address of this machine; may be given twice, for IPv4 "
                             "and for IPv6. (Default: the kernel's choice for each target)")
    versions = parser.add_mutually_exclusive_group()
    for version in (4, 6):
        versions.add_argument(f"-{version}", dest="ip_version", action="store_const", const=version,
                              help=f"Take the IPv{version} address of a name.")
    parser._has_negative_number_optionals.clear()  # -4 is an option, and -5 can still be an option's value
    parser.add_argument("--allow-lab-addresses", action="store_true",
                        help="Trace also to addresses that are those of pspdr lab, in a network that is not the lab.")
    parser.add_argument("--from", dest="records", metavar="RECORDS",
                        help="Trace to those targets of an earlier run of the plugin of which something was found that "
                             "hops may say more of.")
    parser.add_argument("--rate", type=positive_rate, default=50.0, metavar="N",
                        help="Send at most N packets per second, over all targets. (Default: 50)")
    parser.add_argument("-o", "--output", metavar="OUTPUTFILE",
                        help="Put the records here, too; - is standard output, in the place of the tables. A file that "
                             "has content is not overwritten.")
    parser.add_argument("-f", "--force", action="store_true", help="Overwrite the output file.")
    parser.add_argument("--prefixes", action="append", default=[], metavar="FILE",
                        help="Tell the AS of each hop, from files as pspdr measure takes. May be given several "
                             "times.")
    parser.add_argument("--user", metavar="NAME",
                        help="Where root begins this, go on as this user. (Default: who called sudo, else nobody)")
    parser.set_defaults(func=run, vantage_lookup=False)
    named = named_plugin(parser, argv)
    plugins = parser.add_subparsers(title="Plugins", description="The following plugins are available for use:",
                                    metavar="PLUGIN", dest="plugin_name", required=True, action=PluginParsers)
    for plugin in available_plugins(named):
        if getattr(plugin, "located", None):
            plugins.register_plugin(plugin)
        elif plugin.name == named:
            parser.error(f"hops can say nothing of what {named} measures; without them: pspdr measure … {named}")
    for name in plugins.plugins:
        plugins.choices[name].add_argument("targets", nargs="*", metavar="TARGET",
                                           help="An address or a name, :PORT behind it where it is another than the "
                                                "plugin's; [2001:db8::1]:443 of IPv6.")


def run(args: argparse.Namespace) -> int:
    """Trace to all targets; the exit status."""
    from pathspider.run.options import RunOptions  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    if args.records is not None and args.output is not None and os.path.exists(args.records):
        refuse_same(os.stat(args.records), args.output)
    jobs = [parse_target(text, args.ip_version) for text in args.plugin_args.targets]
    if args.records is not None:
        jobs += earlier_targets(args.records, args.plugin)
    if not jobs:
        raise UsageError("no target: name one behind the plugin, or an earlier run with --from" if args.records is None
                         else f"--from {args.records}: nothing in it that hops may say more of")
    args.workers, args.locate, args.locate_rate = min(MOST_AT_ONCE, len(jobs)), len(jobs), args.rate
    options = RunOptions(per_address=1, locate=args.locate, locate_rate=args.rate, locate_all=True,
                         source=pair(args.source_ip), ip_version=args.ip_version, prefixes=read_prefixes(args),
                         lab_networks=None if args.allow_lab_addresses else lab_networks())
    if args.interface is None:
        args.interface = for_targets(iter(jobs), options.source, options.ip_version)
    with nullcontext() if args.output is None else open_output(args.output, force=args.force) as stream:
        spider = spider_here(args, options)
        signals = Signals()
        start_spider(args, spider, signals)
        if stream is not None:
            start_afresh(stream)
        return follow(spider, jobs, signals, None if stream is None else RecordWriter(stream),
                      tables=args.output != "-")


def follow(spider: Spider, jobs: Sequence[Job], signals: Signals, writer: RecordWriter | None, *, tables: bool) -> int:
    """Trace with a spider that has been started; the exit status."""
    from pathspider.conditions import INVALID_JOB, UNLOCATED, is_unfinished, local_reasons  # noqa: PLC0415
    from pathspider.report.hop_table import hop_table  # noqa: PLC0415
    from pathspider.run.measurement import HINTS  # noqa: PLC0415

    stopped: list[int] = []

    def feed() -> None:
        for job in jobs:
            if not spider.add_job(job):
                break
        spider.shutdown()

    def stop(number: int) -> None:
        stopped.append(number)
        spider.interrupt()

    def end(number: int) -> None:
        spider.terminate()
        os._exit(128 + number)

    signals.respond(stop, end)
    threading.Thread(target=feed, name="feeder", daemon=True).start()
    fields = list(dict.fromkeys(name for names in spider.located.values() for name in names if name != PROTOCOL))
    told: set[str] = set()
    unfinished = 0
    for record in iter(spider.outqueue.get, SHUTDOWN_SENTINEL):
        unfinished += is_unfinished(record) or any(one.startswith((UNLOCATED, INVALID_JOB))
                                                   for one in record["conditions"])
        for reason in local_reasons(record["conditions"]):
            if reason not in told:
                told.add(reason)
                log.warning("%s got no verdict for a reason of this machine: %s%s", record.get("dip"), reason,
                            HINTS.get(reason, ""))
        if writer is not None:
            writer.write(record)
        if tables:
            sys.stdout.write(hop_table(record, fields) + "\n")
            sys.stdout.flush()
    spider.shutdown()
    if stopped:
        return 128 + stopped[0]
    return int(bool(unfinished or spider.exception is not None))


def parse_target(text: str, version: int | None = None) -> Job:
    """A target of the command line as a job; :exc:`UsageError` for what is none. Names are looked up.

    :param version: take an address of this IP version alone
    """
    host, port = text, None
    if text.startswith("["):
        host, closes, behind = text[1:].partition("]")
        if not closes:
            raise UsageError(f"target {text}: ']' is missing")
        port = behind.removeprefix(":") or None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"target {text}: {port!r} is no port: a number from 1 to 65535 is needed")
    job: Job = {}
    try:
        address = ip_address(host)
        if version not in (None, address.version):
            raise UsageError(f"target {text}: an IPv{address.version} address, and -{version} asks for IPv{version}")
        job["dip"] = str(address)
    except ValueError:
        family = {4: socket.AF_INET, 6: socket.AF_INET6, None: socket.AF_UNSPEC}[version]
        try:
            found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"target {text}: no address and no name that has one: "
                             f"{getattr(error, 'strerror', None) or error}") from None
        job |= {"dip": str(found[0][4][0]), "domain": host}
    if port is not None:
        job["dp"] = int(port)
    return job


def earlier_targets(name: str, plugin: Any) -> Iterator[Job]:
    """The jobs of an earlier run whose findings hops may say more of. :exc:`UsageError` where it cannot be read, or is
    of another plugin alone."""
    from pathspider.run.locate import findings  # noqa: PLC0415
    from pathspider.targets.reading import JobReader, parse_record  # noqa: PLC0415

    try:
        stream = open(name, "rb")  # noqa: SIM115 - just below
    except OSError as error:
        raise UsageError(f"--from {name}: {error.strerror}") from None
    with stream:
        reader, other_plugin = JobReader(stream, name, parse_record), other_than(plugin.name)
        others: Counter[str] = Counter()
        for record in reader:
            if (other := other_plugin(record)) is not None:  # type: ignore[arg-type]
                others[other] += 1
            elif any(one.suspected for one in findings(
                    plugin.located, record["conditions"], confirmed="rounds" in record)):  # type: ignore[typeddict-item]
                yield to_measure(record)
        if reader.broken_off:
            raise UsageError(f"--from {name}: {reader.broken_off}")
        if others:
            told = f"--from {name}: {amount(others.total(), 'record')} of other plugins ({', '.join(sorted(others))})"
            if others.total() == reader.jobs:
                raise UsageError(f"{told}, and none of {plugin.name}: name a run of {plugin.name}, or trace "
                                 f"{min(others)}")
            log.warning("%s: they are left out", told)
