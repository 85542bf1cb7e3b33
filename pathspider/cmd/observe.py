"""``pspdr observe``: flow records of what passes an interface, or of what a capture file holds."""

from __future__ import annotations

import argparse
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from glob import glob, has_magic
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import positive_int, positive_seconds
from pathspider.cmd.interface import to_observe
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, open_output, refuse_same, start_afresh
from pathspider.cmd.signals import Signals
from pathspider.installed import available_chains, find_plugin, passive_plugins
from pathspider.text import did_you_mean
from pathspider.writing import CSVWriter, RecordWriter, ThreadedWriter

if TYPE_CHECKING:
    from pathspider.chains.base import Chain
    from pathspider.observer import Observer
    from pathspider.records import Flow
    from pathspider.run.passive import PassiveJudge

log = logging.getLogger("pathspider")

EPILOG = """examples:
  pspdr observe -i eth0 basic tcp ecn >flows.ndjson
  pspdr observe -i 'ring*.pcap' --format csv -o flows.csv
  pspdr observe -i monday.pcap --conditions >found.ndjson

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``observe`` command."""
    parser = subparsers.add_parser("observe", help="Passively observe network traffic",
                                   description="Passively observe network traffic: one record a flow, as flows end.",
                                   epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list-chains", action="store_true", help="Print the available chains and exit.")
    parser.add_argument("-i", "--interface", action="append",
                        help="The interface to capture on; or a capture file (pcap or pcapng, also compressed), - for "
                             "a pcap on standard input, or any libtrace URI. Several files, by -i for each or by a "
                             "pattern such as 'ring*.pcap', are read in the order of their packets, as if they were "
                             "one. (Default: where the default route leads, or the only interface that is up)")
    add_output(parser, "the records")
    parser.add_argument("--format", choices=["ndjson", "csv"], default="ndjson",
                        help="What a record is: a line of JSON, or of CSV, with a header line. (Default: ndjson)")
    parser.add_argument("--filter", metavar="BPF", help="Observe only packets that match; see pcap-filter(7).")
    parser.add_argument("--snaplen", type=int, default=65535, metavar="BYTES",
                        help="Bytes kept of each packet. (Default: 65535)")
    parser.add_argument("-c", "--count", type=positive_int, metavar="N",
                        help="End after N packets; only those that match --filter count.")
    parser.add_argument("--duration", type=positive_seconds, metavar="SECONDS",
                        help="End after so many seconds: of a file, of its packets' time, from the first one on.")
    parser.add_argument("--idle-timeout", type=positive_seconds, default=30.0, metavar="SECONDS",
                        help="Seconds without a packet after which a flow ends. (Default: 30)")
    parser.add_argument("--active-timeout", type=positive_seconds, metavar="SECONDS",
                        help="Seconds after which a flow that goes on ends, and a new record begins. (Default: never)")
    parser.add_argument("--decapsulate", action="store_true",
                        help="Look into tunnels (GRE, ERSPAN, VXLAN, Geneve, GTP-U, Teredo, IP in IP, ESP without "
                             "encryption, ...): the flow is that of the packet inside; its record names the tunnels.")
    parser.add_argument("--outer", action="store_true",
                        help="Records have the VLAN ids and MPLS labels of the flow's first packet; with --decapsulate "
                             "also the addresses of its tunnels' ends.")
    parser.add_argument("--reassemble", action="store_true",
                        help="Put fragments of IPv4 and IPv6 packets together, so that flows have all of them.")
    parser.add_argument("--stats", type=positive_seconds, metavar="SECONDS",
                        help="Every so many seconds, tell how many packets and flows there were, and how many packets "
                             "were lost.")
    parser.add_argument("--conditions", action="store_true",
                        help="Have plugins say what a flow tells by itself, such as what a server answered to a SYN "
                             "that asked for ECN: path, conditions and time stand in each record. The chains that this "
                             "needs are added, and their fields left out.")
    parser.add_argument("--plugin", action="append", default=[], dest="plugins", metavar="NAME",
                        help="Conditions of this plugin alone; may be given several times. Implies --conditions. "
                             "(Default: of each that can tell something)")
    parser.add_argument("chains", nargs="*", metavar="chains", help="Observer chains to use. (Default: basic)")
    parser.set_defaults(func=run)


def summary(chain: type[Chain]) -> str:
    """What a chain notes: the first paragraph of its docstring in one line, without marks of reStructuredText."""
    text = " ".join((chain.__doc__ or "").strip().split("\n\n")[0].split())
    text = re.sub(r":rfc:`(\d+)`", r"RFC \1", text)
    return re.sub(r"(?::\w+:)?`+~?([^`]+)`+", r"\1", text)


def run(args: argparse.Namespace) -> int:
    """The whole of a passive observation; the exit status."""
    chains = available_chains()
    if args.list_chains:
        for name, chain in sorted(chains.items()):
            print(f"{name:12} {summary(chain)}".rstrip())
        return 0
    names = args.chains or ["basic"]
    if unknown := [name for name in names if name not in chains]:
        raise UsageError(f"no such chain: {', '.join(unknown)}; there are {', '.join(sorted(chains))}"
                         + did_you_mean(unknown[0], chains))
    if not 1 <= args.snaplen < 1 << 31:
        raise UsageError(f"--snaplen {args.snaplen}: 1 byte or more, below 2 GiB")
    chosen = [chains[name] for name in dict.fromkeys(names)]
    return observe(args, chosen, judge_of(args.plugins, chosen) if args.conditions or args.plugins else None)


def judge_of(names: Sequence[str], chains: list[type[Chain]]) -> PassiveJudge:
    """Who says what flows tell: the plugins of these names, or all that can.

    :raises UsageError: for a name that none of these has
    """
    from pathspider.run.passive import PassiveJudge  # noqa: PLC0415

    try:
        return PassiveJudge(passive_plugins(names), chains)
    except KeyError as error:
        others = [plugin.name for plugin in passive_plugins()]
        what = "says nothing of flows that others made" if find_plugin(error.args[0]) else "there is no such plugin"
        raise UsageError(f"--plugin {error.args[0]}: {what}; these do: {', '.join(others)}"
                         + did_you_mean(error.args[0], others)) from None


def observe(args: argparse.Namespace, chains: list[type[Chain]], judge: PassiveJudge | None = None) -> int:
    """Write the flows of one packet source; the exit status."""
    from pathspider.libtrace.sources import parse  # noqa: PLC0415 - native, too
    from pathspider.network.privileges import keep_only, run_user  # noqa: PLC0415
    from pathspider.observer import CaptureError, Observer  # noqa: PLC0415 - native
    from pathspider.run.limits import LimitError, allow_files  # noqa: PLC0415

    names = sources(args.interface or [to_observe()])
    for kind, name in map(parse, names):
        if kind == "stdin":
            refuse_same(os.fstat(0), args.output)
        elif os.path.exists(path := name.rpartition(":")[2] if kind == "libtrace" else name):
            refuse_same(os.stat(path), args.output)
    files = len(names) > 1 or is_ordinary(names[0])
    if len(names) > 1:
        try:
            allow_files(len(names))
        except LimitError as error:
            raise UsageError(str(error)) from None
    status = 0
    with open_output(args.output, force=args.force) as stream:
        signals = Signals()
        try:
            observer = Observer(names if files else names[0], judge.chains if judge else chains, args.idle_timeout,
                                bpf=args.filter, snaplen=args.snaplen, active_timeout=args.active_timeout or 0,
                                packets=args.count, duration=args.duration, decapsulate=args.decapsulate,
                                outer=args.outer, reassemble=args.reassemble)
        except CaptureError as error:
            raise UsageError(str(error)) from None
        start_afresh(stream)
        keep_only((), run_user())  # what strangers sent is read from here on
        signals.respond(lambda _: observer.stop(), lambda number: os._exit(128 + number))
        fields = columns(chains, judge, decapsulate=args.decapsulate, outer=args.outer)
        writer = CSVWriter(stream, fields) if args.format == "csv" else RecordWriter(stream)
        lines = args.format == "ndjson"
        if observer.live:  # whoever has started this beside traffic may send it now
            log.info("capturing on %s has begun; Ctrl-C ends it", names[0])
        try:
            with ThreadedWriter(writer) as writing:
                try:
                    with telling(args, observer, files=files):
                        observer.run(sink(writing, judge, lines=lines), compact=lines,
                                     prepare=judge.prepare if judge and lines else None)
                except CaptureError as error:
                    log.error("%s", error)
                    status = 1
            writer.end()
        except OSError as error:
            log.error("output %s: %s", args.output, error.strerror)
            status = 1
    if judge and judge.failures:
        log.error("plugins that had no conditions of some flows%s", listed(judge.failures))
        status = 1
    summarise(observer, writer, names)
    if args.reassemble:
        tell_fragments(observer)
    return status


def summarise(observer: Observer, writer: RecordWriter, names: Sequence[str]) -> None:
    """Tell what there was beside records: comments of files, losses, packets that are none."""
    number, comments = observer.comments()
    for comment in comments:
        log.info("%s: comment at byte %d: %s", comment.file or names[0], comment.offset, comment.text)
    if number > len(comments):
        log.info("%s: %d further comments", ", ".join(names), number - len(comments))
    if isinstance(writer, CSVWriter) and writer.left_out:
        log.warning("fields that have no column, since no chain declares them and the first record has them not%s: "
                    "--format ndjson has them", listed(writer.left_out))
    stats = observer.stats
    lost = stats.dropped_kernel or stats.dropped_ring
    log.log(logging.WARNING if lost else logging.INFO,
            "%d packets, %d flows; %d packets dropped by the kernel, %d by the ring, %d not IP%s, %d truncated, "
            "%d malformed%s%s",
            stats.packets, stats.flows, stats.dropped_kernel, stats.dropped_ring,
            stats.not_ip, listed(observer.unknown_links, "of link type "), stats.truncated,
            stats.malformed, listed(observer.malformed),
            f"; {stats.evicted} flows ended early, too many were open" if stats.evicted else "")
    if observer.turned_back:
        log.warning("times at which the packets' time went back by more than a second: %d. Packets before that had a "
                    "wrong time, by which flows may have ended early, or a clock was set", observer.turned_back)


def sink(writing: ThreadedWriter, judge: PassiveJudge | None, *, lines: bool) -> Callable[[list[Flow]], None]:
    """Where the observer puts flows: to the writer, or before that to who makes records of them, or rows."""
    if judge is None:
        return writing.write_all
    if lines:
        return lambda flows: writing.write_all(judge.records(flows))
    return lambda flows: writing.write_all([judge.row(flow) for flow in flows])


def tell_fragments(observer: Observer) -> None:
    """What became of fragments that were to be put together."""
    why_not = ", ".join(f"{count} {why}" for why, count in observer.unassembled.items())
    log.info("%d fragments put together into %d packets%s", observer.stats.fragments, observer.stats.reassembled,
             f"; packets not put together: {why_not}" if why_not else "")


def sources(given: Sequence[str]) -> list[str]:
    """The names of the sources, patterns replaced by the files that they match.

    :raises UsageError: for a pattern that matches nothing, and where there are several sources that are not all files
    """
    from pathspider.libtrace.sources import parse  # noqa: PLC0415 - native

    names: list[str] = []
    for name in given:
        if parse(name).kind in ("file", "live") and has_magic(name) and not os.path.exists(name):
            if not (found := sorted(glob(name))):
                raise UsageError(f"-i {name}: no file matches this pattern")
            names += found
        else:
            names.append(name)
    if len(names) > 1:
        for name in names:
            if parse(name).kind != "file":
                raise UsageError(f"-i {name}: not a capture file: only files can be read one after another; observe "
                                 "this alone")
    return names


def is_ordinary(name: str) -> bool:
    """Whether a source is a capture in an ordinary file, which tells how long it is."""
    from pathspider.libtrace.sources import parse  # noqa: PLC0415 - native

    kind, path = parse(name)
    return kind == "file" and os.path.isfile(path)


def columns(chains: Sequence[type[Chain]], judge: PassiveJudge | None = None, *, decapsulate: bool = False,
            outer: bool = False) -> list[str]:
    """The fields of a record of these chains, in its order."""
    from pathspider.libtrace._core import around_fields  # noqa: PLC0415 - native

    if judge:
        chains = judge.shown
    fields = dict.fromkeys(name for chain in chains for name in chain.fields if not name.startswith("_"))
    return [*fields, *around_fields(decapsulate, outer), "pkt_first", "pkt_last", *(["conditions"] if judge else [])]


@contextmanager
def telling(args: argparse.Namespace, observer: Observer, *, files: bool) -> Iterator[None]:
    """While the body runs: how much was read of files, where it is not drawn between records; and ``--stats``."""
    from pathspider.cmd.progress import Reading, every, interval_line  # noqa: PLC0415

    before, then = observer.stats, time.monotonic()

    def tell() -> None:
        nonlocal before, then
        stats, now = observer.stats, time.monotonic()
        log.info("%s", interval_line(before, stats, now - then))
        before, then = stats, now

    with ExitStack() as stack:
        if files and not args.quiet:
            stack.enter_context(Reading(observer, draws=args.output != "-" or not os.isatty(1)))
        if args.stats is not None:
            stack.enter_context(every(args.stats, tell))
        yield


def listed(counts: Mapping[str, int], before: str = "") -> str:
    """What was counted, in parentheses; nothing if nothing was."""
    return f" ({', '.join(f'{count} {before}{what}' for what, count in counts.items())})" if counts else ""
