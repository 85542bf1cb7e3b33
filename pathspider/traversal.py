"""The traversal model: an experiment as a table. Set this in a packet, and compare what comes back.

A plugin lists :class:`Variant` rows. Each target gets a baseline, an ordinary SYN or DNS query, and that packet once
more for each variant, with what the variant sets. All are forged (:mod:`pathspider.forge`), so a packet that is sent
again is the same as the first: no kernel leaves anything out when a SYN has to be resent. What left is compared with
what was forged, octet by octet, and where they differ there is no verdict.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from scapy.layers.inet import TCP, TCPOptions
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from pathspider.chains.basic import BasicChain
from pathspider.chains.headers import MOST_OCTETS, HeadersChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import NOT_OBSERVED, all_observed, connectivity, connectivity_conditions, succeeded
from pathspider.forge import ForgeSpider
from pathspider.helpers.sockets import is_ipv6
from pathspider.libtrace import IP, IP6
from pathspider.records import Conn, Connection, Flow, Job

NOT_AS_FORGED = "pathspider.local_error:not_as_forged"

CHECKSUM = slice(20, 24)
"""Of the IPv4 header, in hexadecimal digits; the kernel fills it in."""

MOST_OPTIONS_OCTETS = 40
"""Of all options in a TCP header. :rfc:`9293`, section 3.1"""

MOST_KEPT = 10
"""Packets that a worker keeps, for each IP version, to make the next ones of them: to build one takes longer."""

MAKERS = ("baseline", "chosen", "forge", "ip_header", "made", "renumber", "tcp_syn")
"""Methods by which packets are made; a plugin may have its own."""

AROUND = ("connect", "exchange", "perform", "post_connect")
"""Methods that are called for each connection. Where a plugin has none of its own, nothing blocks: all connections to a
target are one exchange of the poller's."""

OPTION_OCTETS = {"MSS": 4, "WScale": 3, "Timestamp": 10, "NOP": 1, "EOL": 1}
"""By the names that Scapy has for them. Others have their octets as their value."""


class Exchange(NamedTuple):
    """What was sent, and what came back first, as chains see packets."""

    sent: IP | IP6
    reply: IP | IP6
    """A SYN-ACK, or a datagram."""


Look = Callable[[Exchange, Exchange | None], Iterable[str]]
"""The outcomes of a variant's exchange, beside that of the baseline (None where that was not answered)."""


def nothing(experiment: Exchange, baseline: Exchange | None) -> Iterable[str]:
    """Whether there was an answer is all that is asked."""
    return ()


@dataclass(frozen=True)
class Variant:
    """One row of an experiment."""

    name: str
    """Stands in its conditions, behind the plugin's name; "" for the one that has no other name than that."""
    set: Callable[[Packet], Packet]
    """Makes the baseline's packet (Scapy, its own copy) into the experiment's."""
    look: Look = nothing
    """What an answer says, as keys of ``outcomes``; not asked where there is none."""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """Every outcome with its meaning; ``<…>`` stands for a value."""

    def __post_init__(self) -> None:
        for what in ("set", "look"):
            if not callable(value := getattr(self, what)):
                raise TypeError(f"Variant({self.name!r}) has {what}={value!r}, where a function is needed")

    def prefix(self, plugin: str) -> str:
        """What its conditions begin with."""
        return f"{plugin}.{self.name}" if self.name else plugin

    def conditions(self, plugin: str) -> dict[str, str]:
        """All conditions, with their meaning."""
        prefix = self.prefix(plugin)
        return {**connectivity_conditions(prefix),
                **{f"{prefix}.{word}": meaning for word, meaning in self.outcomes.items()}}


BROKEN, WORKS = r".+\.connectivity\.broken", r".+\.connectivity\.works"
"""Conditions of any variant, for ``located``."""
AS_SET: tuple[str, ...] = ()
"""The header fields of ``located`` that a variant sets: those in which its packet differs from the baseline's."""


class TraversalSpider(ForgeSpider):
    """A spider whose experiment is the table ``variants``; its ``conditions`` follow from that.

    With ``--locate`` the first variant that is broken, and whose SYN was not accepted, is looked for on the path, else
    what may have been changed of the first that works (:attr:`located`).

    One whose table depends on its options overrides :meth:`table` and declares its conditions itself. One with options
    of its own calls ``TraversalSpider.extra_args(parser)`` in its ``extra_args``.
    """

    variants: ClassVar[Sequence[Variant]] = ()
    conditions: ClassVar[Mapping[str, str]] = {}
    chains = [BasicChain, TCPChain, HeadersChain]
    connect_supported: ClassVar[Sequence[str]] = ("tcp",)
    located = {BROKEN: AS_SET, WORKS: AS_SET}  # what is changed on the way shows on the path alone

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.variants and "conditions" not in vars(cls):
            cls.conditions = {condition: meaning for variant in cls.variants
                              for condition, meaning in variant.conditions(cls.name).items()}
        cls.conditions = {**cls.conditions, NOT_AS_FORGED: "what left was not, octet by octet, what had been forged"}

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--variants", type=positive, metavar="N",
                            help="Try so many variants at each target, drawn for each by --seed. (Default: all)")
        parser.add_argument("--baseline", choices=("once", "each"), default="once",
                            help="One baseline for each target, or one for each variant. (Default: once)")

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self._table = self.table()
        """The rows of this run."""
        ours = self._has_ours(MAKERS)
        self.in_poller = ours and not self._may_block and self._has_ours(AROUND)
        self._reuses = ours and len(self._table) < MOST_KEPT and args.connect != "dnsudp"
        """Whether a worker's packets of a row differ in numbers alone, so that one can be made of the one before."""

    def _has_ours(self, names: Iterable[str]) -> bool:
        """Whether the plugin has no methods of its own of these names."""
        return all(getattr(type(self), name) is getattr(TraversalSpider, name) for name in names)

    def table(self) -> Sequence[Variant]:
        """The rows of this run: all that the class lists."""
        return self.variants

    def chosen(self, job: Job) -> Sequence[Variant]:
        """The rows that are tried at a target, in the table's order: the same in each round of ``--confirm``."""
        count = self.configuration_count() - 1
        if count == len(self._table):
            return self._table
        draw = random.Random(f"{self.options.seed} variants {job.get('dip')} {job.get('dp')} {job.get('domain')}")
        return [self._table[place] for place in sorted(draw.sample(range(len(self._table)), count))]

    def configuration_count(self) -> int:
        return 1 + min(getattr(self.args, "variants", None) or len(self._table), len(self._table))

    def plan(self) -> list[int]:
        experiments = range(1, self.configuration_count())
        if getattr(self.args, "baseline", "once") == "once":
            return [0, *experiments]
        return [config for experiment in experiments for config in (0, experiment)]

    # -- packets -------------------------------------------------------------------------------------------------

    def baseline(self, job: Job) -> Packet:
        """An ordinary packet of the connection mode."""
        packet = self.ip_header(job)
        packet.add_payload(self.dns_query(job) if self.args.connect == "dnsudp" else self.tcp_syn(job))  # "/" copies
        return packet

    def forge(self, job: Job, seq: int) -> Packet:
        row = self.chosen(job)[seq - 1] if seq else None
        kept = self._worker().packets
        key = row and row.name, is_ipv6(job["dip"])
        if key in kept:
            return self.renumber(kept[key][0], job)
        packet = self.made(job, row)
        is_fixed = self._reuses and (row is None or getattr(row.set, "is_fixed", False))
        if is_fixed and (template := self._templates.template(packet)) is not None:
            kept[key] = kept[id(packet)] = packet, template
        return packet

    def made(self, job: Job, row: Variant | None) -> Packet:
        """A packet of a row, or of the baseline."""
        return self.baseline(job) if row is None else row.set(self.baseline(job))

    def _maker(self, packet: Packet) -> Callable[[Packet], bytes]:
        kept = self._worker().packets.get(id(packet))
        return super()._maker(packet) if kept is None else kept[1].octets

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        if self.args.connect == "dnsudp":
            return self.dns_answer(packet, reply)
        return super().judge(job, packet, reply)

    def _note(self, connection: Connection, job: Job, seq: int, raw: bytes | None) -> None:
        if raw is not None:
            connection["forged"] = raw[:MOST_OCTETS].hex()
        if seq:
            connection["variant"] = self.chosen(job)[seq - 1].name

    # -- verdicts ------------------------------------------------------------------------------------------------

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if not all(left_as_forged(flow) for flow in flows):
            return [NOT_AS_FORGED]
        if any(succeeded(flow) and not flow["headers_rev"] for flow in flows):
            return [NOT_OBSERVED]  # there was an answer, but the capture lost it
        rows = {variant.name: variant for variant in self._table}
        found: list[str] = []
        baseline = flows[0]
        for flow in flows:
            if "variant" not in flow:
                baseline = flow
                continue
            variant = rows[flow["variant"]]
            prefix = variant.prefix(self.name)
            found.append(connectivity(prefix, succeeded(baseline), succeeded(flow)))
            if variant.look is not nothing and (experiment := exchange(flow)) is not None:
                found += [f"{prefix}.{word}" for word in variant.look(experiment, exchange(baseline))]
        return found


def exchange(flow: Flow) -> Exchange | None:
    """The packets of a connection that came up; None for others."""
    return taken_apart(flow["headers_fwd"], flow["headers_rev"]) if succeeded(flow) else None


@lru_cache(maxsize=64)
def taken_apart(sent: str, reply: str) -> Exchange:
    """Packets that are given in hexadecimal. A baseline is asked for again for each row."""
    view = IP if sent[0] == "4" else IP6
    return Exchange(view(bytes.fromhex(sent)), view(bytes.fromhex(reply)))


def left_as_forged(flow: Flow) -> bool:
    """Whether the first packet that was captured is the one that was forged, but for the IPv4 header's checksum."""
    forged, seen = (flow[name] or "" for name in ("forged", "headers_fwd"))
    if forged.startswith("4"):
        forged, seen = (packet[:CHECKSUM.start] + packet[CHECKSUM.stop:] for packet in (forged, seen))
    return bool(forged) and forged == seen


# -- what a variant sets -----------------------------------------------------------------------------------------------

Change = Callable[[Packet], Packet]


def fixed(change: Change) -> Change:
    """Says that a change does the same to each SYN."""
    change.is_fixed = True  # type: ignore[attr-defined]
    return change


def tcp_option(kind: int, value: bytes) -> Change:
    """Sets an option of the SYN, in the place of one of the same kind, or behind the others.

    :exc:`ValueError` where a header has no room for it.
    """
    name = TCPOptions[0][kind][0] if kind in TCPOptions[0] else kind

    @fixed
    def change(packet: Packet) -> Packet:
        kept = [option for option in packet[TCP].options if option[0] not in (name, kind)]
        packet[TCP].options = [*kept, (kind, value)]
        if sum(map(option_octets, packet[TCP].options)) > MOST_OPTIONS_OCTETS:
            raise ValueError(f"TCP option {kind} of {len(value)} octets: a header has no room for it")
        return packet

    return change


def option_octets(option: tuple[Any, Any]) -> int:
    """How long an option, of Scapy's list, is in a header."""
    kind, value = option
    return OPTION_OCTETS[kind] if kind in OPTION_OCTETS else 2 + len(value)


def tcp_flags(flags: int) -> Change:
    """Sets the flags of the segment, AE (256) among them."""
    @fixed
    def change(packet: Packet) -> Packet:
        packet[TCP].flags = flags
        return packet

    return change


def traffic_class(value: int) -> Change:
    """Sets the octet of DSCP and ECN, of whichever IP version."""
    @fixed
    def change(packet: Packet) -> Packet:
        setattr(packet, "tc" if isinstance(packet, IPv6) else "tos", value)
        return packet

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""
    def change(packet: Packet) -> Packet:
        for one in changes:
            packet = one(packet)
        return packet

    return fixed(change) if all(getattr(one, "is_fixed", False) for one in changes) else change


def positive(text: str) -> int:
    """An option's value as a number over 0, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: a number over 0 is needed")
    return int(text)
