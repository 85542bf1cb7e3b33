"""``pspdr observe``: flow records of what passes an interface, or of what a capture file holds."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pathspider.cmd.interface import to_observe
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, open_output, refuse_same, start_afresh
from pathspider.cmd.signals import Signals
from pathspider.installed import available_chains
from pathspider.text import did_you_mean

if TYPE_CHECKING:
    from pathspider.chains.base import Chain
log = logging.getLogger("pathspider")

EPILOG = """example: pspdr observe -i eth0 basic tcp ecn >flows.ndjson

Spider safely!"""


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``observe`` command."""
    parser = subparsers.add_parser("observe", help="Passively observe network traffic",
                                   description="Passively observe network traffic: one record a flow, as flows end.",
                                   epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list-chains", action="store_true", help="Print the available chains and exit.")
    parser.add_argument("-i", "--interface",
                        help="The interface to capture on; or a capture file (pcap or pcapng, also compressed), - for "
                             "a pcap on standard input, or any libtrace URI. (Default: where the default route leads, "
                             "or the only interface that is up)")
    add_output(parser, "the records")
    parser.add_argument("--filter", metavar="BPF", help="Observe only packets that match; see pcap-filter(7).")
    parser.add_argument("--snaplen", type=int, default=65535, metavar="BYTES",
                        help="Bytes kept of each packet. (Default: 65535)")
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
    return observe(args, [chains[name] for name in dict.fromkeys(names)])


def observe(args: argparse.Namespace, chains: list[type[Chain]]) -> int:
    """Write the flows of one packet source; the exit status."""
    from pathspider.libtrace.sources import parse  # noqa: PLC0415 - native, too
    from pathspider.network.privileges import keep_only, run_user  # noqa: PLC0415
    from pathspider.observer import CaptureError, Observer  # noqa: PLC0415 - native
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    interface = args.interface or to_observe()
    kind, name = parse(interface)
    if kind == "stdin":
        refuse_same(os.fstat(0), args.output)
    elif os.path.exists(path := name.rpartition(":")[2] if kind == "libtrace" else name):
        refuse_same(os.stat(path), args.output)
    status = 0
    with open_output(args.output, force=args.force) as stream:
        signals = Signals()
        try:
            observer = Observer(interface, chains=chains, bpf=args.filter, snaplen=args.snaplen)
        except CaptureError as error:
            raise UsageError(str(error)) from None
        start_afresh(stream)
        keep_only((), run_user())  # what strangers sent is read from here on
        signals.respond(lambda _: observer.stop(), lambda number: os._exit(128 + number))
        writer = RecordWriter(stream)
        try:
            observer.run(writer.write_all)
        except CaptureError as error:
            log.error("%s", error)
            status = 1
        except OSError as error:
            log.error("output %s: %s", args.output, error.strerror)
            status = 1
    number, comments = observer.comments()
    for comment in comments:
        log.info("%s: comment at byte %d: %s", interface, comment.offset, comment.text)
    if number > len(comments):
        log.info("%s: %d further comments", interface, number - len(comments))
    stats = observer.stats
    lost = stats.dropped_kernel or stats.dropped_ring
    log.log(logging.WARNING if lost else logging.INFO,
            "%d packets, %d flows; %d packets dropped by the kernel, %d by the ring, %d not IP%s, %d truncated, "
            "%d malformed%s%s",
            stats.packets, stats.flows, stats.dropped_kernel, stats.dropped_ring,
            stats.not_ip, listed(observer.unknown_links, "of link type "), stats.truncated,
            stats.malformed, listed(observer.malformed),
            f"; {stats.evicted} flows ended early, too many were open" if stats.evicted else "")
    return status


def listed(counts: dict[str, int], before: str = "") -> str:
    """What was counted, in parentheses; nothing if nothing was."""
    return f" ({', '.join(f'{count} {before}{what}' for what, count in counts.items())})" if counts else ""
