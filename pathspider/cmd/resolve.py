"""``pspdr resolve``: names in, jobs out."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pathspider.cmd.input import (
    add_input_options,
    add_lists,
    add_prefixes,
    open_lists,
    positive_int,
    positive_seconds,
    read_prefixes,
    select,
)
from pathspider.cmd.main import UsageError
from pathspider.cmd.output import add_output, open_output, refuse_one_file, start_afresh

if TYPE_CHECKING:
    from pathspider.targets.prefixes import Prefixes
    from pathspider.targets.reading import JobReader
    from pathspider.targets.resolver.engine import Server
    from pathspider.targets.resolver.journal import Journal
    from pathspider.targets.resolver.naming import Plan
    from pathspider.targets.resolver.run import Asks, Run
    from pathspider.targets.union import Union

log = logging.getLogger("pathspider")

EPILOG = """example: pspdr resolve --list-format tranco --output targets.ndjson top-1m.csv.zip

Spider safely!"""

TYPES = ("A", "AAAA", "HTTPS", "SVCB", "NS", "MX")
RATE = 1000
"""Queries a second for each resolver, unless the user says: what a resolver of one's own network bears."""
WINDOW = 2000


def register(subparsers: Any, argv: Sequence[str]) -> None:
    """Add the ``resolve`` command."""
    parser = subparsers.add_parser(
        "resolve", help="Resolve names of target lists into jobs", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn names into jobs with addresses, many at once. What has an address already stays as it is.")
    add_lists(parser)
    add_input_options(parser, repeats=False)
    parser.add_argument("--resolver", action="append", type=server, metavar="ADDRESS[:PORT]",
                        help="Ask this resolver; may be given several times: they take turns. (Default: those of "
                             "/etc/resolv.conf)")
    parser.add_argument("--rate", type=positive_int, default=RATE, metavar="N",
                        help=f"Queries a second for each resolver. (Default: {RATE})")
    parser.add_argument("--iterative", action="store_true",
                        help="Ask no resolver, but the name servers themselves, from those of the root on. Needs the "
                             "package python3-unbound.")
    parser.add_argument("--root-hints", metavar="FILE", help="Where --iterative begins. (Default: libunbound's own)")
    parser.add_argument("--mixed-case", action="store_true",
                        help="Ask with names in a case that is drawn, and take answers in the same case alone (0x20): "
                             "whoever cannot see the queries cannot forge an answer.")
    parser.add_argument("--timeout", type=positive_seconds, default=5.0, metavar="SECONDS",
                        help="For each question, all its attempts together. (Default: 5)")
    parser.add_argument("--window", type=positive_int, default=WINDOW, metavar="N",
                        help=f"Names that are under way at once. (Default: {WINDOW})")
    parser.add_argument("--type", dest="types", type=types, default=("A", "AAAA"), metavar="TYPE,...",
                        help=f"Ask for these: {', '.join(TYPES)}. What is no address is put under dns. (Default: "
                             "A,AAAA)")
    parser.add_argument("--of", choices=["host", "ns", "mx", "www"], default="host",
                        help="Whose addresses: of the name itself, of its name servers, its mail exchangers, or of "
                             "www. before it. (Default: host)")
    parser.add_argument("--ecs", action="append", type=subnet, default=[], metavar="PREFIX",
                        help="Ask as if from this network (EDNS Client Subnet); may be given several times: one query "
                             "each.")
    chosen = parser.add_mutually_exclusive_group()
    for name, what in (("all", "all addresses of a name (default)"), ("one", "one address of a name, drawn"),
                       ("one-per-prefix", "one address of each prefix, drawn; needs --prefixes")):
        chosen.add_argument(f"--{name}", dest="choose", action="store_const", const=name, help=f"Take {what}.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="What is drawn from. (Default: 0)")
    parser.add_argument("--output-form", choices=["individual", "array", "oneeach"], default="individual",
                        help="A job for each address, one for a name with all its addresses under addresses, or one "
                             "each for IPv4 and IPv6. (Default: individual)")
    add_prefixes(parser)
    add_output(parser, "the jobs")
    parser.add_argument("--output-unresolved", metavar="FILE",
                        help="Where to put names without addresses, as records that say why.")
    parser.add_argument("--resume", action="store_true",
                        help="Go on where an earlier run with the same options ended, however it did; needs --output.")
    parser.set_defaults(func=run, choose="all")


def server(text: str) -> Server:
    """An option's value as a resolver, for argparse."""
    from pathspider.targets.resolver.engine import Server  # noqa: PLC0415

    try:
        return Server(str(ip_address(text)))
    except ValueError:
        host, _, port = text.rpartition(":")
    if host.startswith("[") == host.endswith("]") == (":" in host) and port.isascii() and port.isdecimal() \
            and 0 < int(port) < 1 << 16:
        try:
            return Server(str(ip_address(host.strip("[]"))), int(port))
        except ValueError:
            pass
    raise argparse.ArgumentTypeError(f"{text}: a numeric address is needed, with or without a port: 192.0.2.1, "
                                     "192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353")


def types(text: str) -> tuple[str, ...]:
    """An option's value as types of records, for argparse."""
    found = tuple(dict.fromkeys(word.strip().upper() for word in text.split(",")))
    if not found or not set(found) <= set(TYPES):
        raise argparse.ArgumentTypeError(f"{text}: some of {', '.join(TYPES)} are needed, with commas between them")
    return found


def subnet(text: str) -> str:
    """An option's value as a network, for argparse."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: a network such as 192.0.2.0/24 is needed: {error}") from None


def plan_of(args: argparse.Namespace) -> Plan:
    """What is asked for each name."""
    from pathspider.targets.resolver.message import TYPES as NUMBERS  # noqa: PLC0415
    from pathspider.targets.resolver.message import client_subnet  # noqa: PLC0415
    from pathspider.targets.resolver.naming import Plan  # noqa: PLC0415

    left_out = {4: "AAAA", 6: "A"}.get(args.ip_version)
    wanted = [name for name in args.types if name != left_out]
    addresses = tuple(NUMBERS[name] for name in wanted if name in ("A", "AAAA"))
    if not wanted:
        raise UsageError(f"-{args.ip_version} leaves nothing of --type {','.join(args.types)}")
    if args.of in ("ns", "mx") and not addresses:
        raise UsageError(f"--of {args.of} looks for addresses: --type has to have A or AAAA")
    if args.ecs and args.iterative:
        raise UsageError("--ecs needs a resolver that knows it: leave --iterative out")
    return Plan(addresses, tuple(NUMBERS[name] for name in wanted if name not in ("A", "AAAA")), args.of,
                tuple((text, client_subnet(ip_network(text))) for text in dict.fromkeys(args.ecs)))


def check(args: argparse.Namespace) -> None:
    """:exc:`UsageError` for options that do not go together."""
    if args.iterative and args.resolver:
        raise UsageError("--iterative and --resolver: only one of them can be")
    if args.choose == "one-per-prefix" and not args.prefixes:
        raise UsageError("--one-per-prefix needs --prefixes, which tells the prefixes")
    if args.resume and (args.output == "-" or args.force):
        raise UsageError("--resume goes on with a file: name it with --output, and leave --force out")


def run(args: argparse.Namespace) -> int:
    """Resolve the lists; the exit status is 1 if something in them was no job, or names got no answer."""
    from pathspider.targets.resolver.naming import Shape  # noqa: PLC0415
    from pathspider.targets.resolver.run import Ahead, Direct, Run, places  # noqa: PLC0415
    from pathspider.targets.union import Union, shuffled  # noqa: PLC0415
    from pathspider.writing import RecordWriter  # noqa: PLC0415

    check(args)
    plan = plan_of(args)
    prefixes = read_prefixes(args)
    shape = Shape(args.choose, args.output_form, args.seed, prefixes.annotate if prefixes else None)
    with ExitStack() as stack:
        output, unresolved, journal = open_outputs(args, stack)
        readers = open_lists(args, [args.output_unresolved] if args.output_unresolved == "-" else [])
        reader = readers[0] if len(readers) == 1 else Union(readers)
        source = select(args, reader, None, keys=())
        listed = shuffled(source, args.shuffle) if len(readers) > 1 and args.shuffle is not None else source
        engine = stack.enter_context(open_engine(args))
        resolving = Run(engine, plan, shape, RecordWriter(output), None if unresolved is None else
                        RecordWriter(unresolved), window=args.window, journal=journal)
        todo = places(listed, journal)
        is_file = all(one.length is not None for one in readers)
        with stopping(resolving):
            resolving.resolve(Direct(todo) if is_file else Ahead(todo, engine.wake))
        for trouble in engine.troubles():
            log.warning("%s", trouble)
        return tell(args, resolving, reader, prefixes, journal)


def open_outputs(args: argparse.Namespace, stack: ExitStack) -> tuple[IO[bytes], IO[bytes] | None, Journal | None]:
    """The output, the one for what was not resolved, and the journal, where the output is an ordinary file. What an
    earlier run has left in them is taken up with ``--resume``, and goes without it."""
    from pathspider.targets.resolver.journal import SUFFIX, Journal, JournalError  # noqa: PLC0415

    resumes = bool(args.resume)
    output = stack.enter_context(open_output(args.output, append=False, force=args.force or resumes,
                                             instead=", go on with it by --resume"))
    outputs = {"output": output}
    unresolved = None
    if args.output_unresolved:
        unresolved = outputs["output-unresolved"] = stack.enter_context(
            open_output(args.output_unresolved, force=args.force or resumes, what="--output-unresolved"))
        refuse_one_file({name: stream.fileno() for name, stream in outputs.items()})
    journal = None
    if args.output != "-" and all(stat.S_ISREG(os.fstat(one.fileno()).st_mode) for one in outputs.values()):
        path = Path(args.output + SUFFIX)
        journal = Journal(path, outputs, settings(args))
        try:
            found = resumes and journal.load()
        except JournalError as error:
            raise UsageError(f"--resume {path}: {error}") from None
        if resumes and not found and os.fstat(output.fileno()).st_size:
            raise UsageError(f"--resume: {args.output} has content, and there is no {path}: all was resolved, or it is "
                             "another file")
        if found:
            args.shuffle = journal.settings["shuffle"]
            log.info("resuming: %d names are done", journal.read - len(journal.under_way))
            return output, unresolved, journal
    elif resumes:
        raise UsageError("--resume: the outputs have to be ordinary files")
    for stream in outputs.values():
        start_afresh(stream)
    return output, unresolved, journal


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What has to be the same when a run is resumed: what decides which names there are, in what order, and what is
    made of them."""
    names = args.lists or [args.input]
    keys = ("csv_input", "list_format", "column", "ip_version", "max_targets", "types", "of", "ecs", "choose", "seed",
            "output_form", "prefixes")
    sizes = [os.stat(name).st_size if name != "-" and os.path.isfile(name) else None for name in names]
    return {"lists": names, "octets of the lists": sizes, "output_unresolved": args.output_unresolved,
            "shuffle": args.shuffle, **{key: getattr(args, key) for key in keys}}


@contextmanager
def open_engine(args: argparse.Namespace) -> Iterator[Asks]:
    """What resolves."""
    from pathspider.targets.resolve import system_resolvers  # noqa: PLC0415
    from pathspider.targets.resolver.engine import Engine, Server  # noqa: PLC0415

    if args.iterative:
        from pathspider.targets.resolver.iterative import Iterative, MissingError  # noqa: PLC0415

        try:
            iterative = Iterative(args.timeout, args.root_hints,
                                  {"use-caps-for-id:": "yes"} if args.mixed_case else None)
        except MissingError as error:
            raise UsageError(f"--iterative: {error}") from None
        with iterative:
            yield iterative
        return
    servers = args.resolver or [Server(address) for address in system_resolvers()]
    with Engine(servers, args.timeout, rate=args.rate, rotate=True, mixed_case=args.mixed_case) as engine:
        yield engine


@contextmanager
def stopping(resolving: Run) -> Iterator[None]:
    """While the body runs, the first signal that would end us ends reading."""
    before: dict[int, Any] = {}

    def stop(number: int, frame: object) -> None:
        for one, handler in before.items():
            signal.signal(one, handler)
        log.info("no more names are read; those under way are finished (once more: leave them)")
        resolving.stop(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def tell(args: argparse.Namespace, resolving: Run, reader: JobReader | Union, prefixes: Prefixes | None,
         journal: Journal | None) -> int:
    """Say what has become of the names; the exit status."""
    from pathspider.targets.resolver.run import INVALID_JOBS, SERVFAIL_IN_PART  # noqa: PLC0415

    counts, failures = resolving.counts, resolving.failures()
    reasons = ", ".join(f"{count} {reason}" for reason, count in failures.most_common())
    log.info("%d of %d names resolved, to %d jobs%s", counts["resolved"], counts["names"], counts["jobs"],
             f"; not resolved: {reasons}" if reasons else "")
    if counts["partial"]:
        log.warning("%d names were answered in part: some questions got no answer", counts["partial"])
    if counts[SERVFAIL_IN_PART]:
        log.info("%d names were answered in part, and with SERVFAIL in part: their own servers do not answer for each "
                 "type", counts[SERVFAIL_IN_PART])
    if resolving.stopped:
        if journal is not None:
            log.info("the same command with --resume goes on")
        return 128 + resolving.stopped
    if journal is not None:
        journal.remove()
    unanswered = resolving.unanswered()
    if unanswered:
        again = f"; pspdr resolve {args.output_unresolved} asks for them again" if args.output_unresolved else ""
        log.warning("%d names got no answer from the resolvers%s", unanswered, again)
    if counts[INVALID_JOBS]:
        named = f"; {args.output_unresolved} has them" if args.output_unresolved else ""
        log.warning("%d jobs have neither an address nor a name that can be one%s", counts[INVALID_JOBS], named)
    is_good = (reader.all_were_jobs and not unanswered and not counts["partial"] and not counts[INVALID_JOBS]
               and (prefixes is None or not prefixes.bad))
    return 0 if is_good else 1
