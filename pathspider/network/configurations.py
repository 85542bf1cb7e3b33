"""What one connection carries, without switching anything of the machine: ECN and DSCP by configuration.

::

    plan = [Configuration(ecn=False),
            Configuration(ecn=True)]
    with Configurations(settings, plan) as carried:
        options = carried.sockopts(1)

Each configuration has a mark (``SO_MARK``, socket(7)) of its own, which no other run in this network namespace has, and
what is set up once, for the run, does to sockets with that mark what the configuration says:

* ECN: a program in the kernel (:mod:`pathspider.network.bpf`), or copies of the routes that ask for ECN
  (:mod:`pathspider.network.shadow`). The kernel's own wish (``net.ipv4.tcp_ecn``) is off meanwhile, and so is its
  falling back to a SYN that does not ask (``net.ipv4.tcp_ecn_fallback``); both are shared with other runs.
* DSCP: rules in a table of our own, for each packet of the connection, also those that the kernel sends without its
  socket, and after the rules of the machine.

The mark decides where the socket is routed and how; then, before any rule of the machine sees it, it is taken off.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType

from pathspider.network import journal, rtnetlink
from pathspider.network.bpf import AskForECN, BPFError
from pathspider.network.rtnetlink import Netlink
from pathspider.network.settings import PROC_SYS, Settings, SettingsError
from pathspider.network.shadow import Shadow, ShadowError, check_marks

logger = logging.getLogger(__name__)

TCP_ECN, TCP_ECN_FALLBACK = "net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback"
ACCEPT_ECN = "2"
"""``net.ipv4.tcp_ecn``: do not ask by yourself."""
WAYS = {"bpf": "by a BPF program on our control group", "routes": "by copies of the routes"}
"""How ECN is asked for, as a user is told."""
SWITCH = "using the machine-wide switch"
CONNECTION_SECONDS = 120
"""So long after its SYN a connection's packets are known by addresses and ports."""
CONNECTIONS = 1 << 18
"""How many connections of a configuration are known so at once; some 100 octets of the kernel's memory each."""
MOST_STRANGERS = 8
"""Slots of marks that strangers hold, after which no further one is tried."""
VERIFIED = 100
"""Targets whose ways :meth:`Configurations.verify` compares."""
NFT_MSG_GETTABLE = 10 << 8 | 1  # linux/netfilter/nfnetlink.h, nf_tables.h
NFTA_TABLE_NAME, NFPROTO_INET = 1, 1

BEGINS = ("tcp flags & (syn | ack) == syn", "meta l4proto udp")
"""Packets with which a connection begins, in nft(8)'s words; of UDP nothing tells the first."""

SockOpt = tuple[int, int, int | bytes]


@dataclass(frozen=True)
class Configuration:
    """What one connection of an experiment carries; nothing of the machine is switched for it."""

    ecn: bool | None = None
    """True: the SYN asks for ECN (:rfc:`3168`), each time it is sent. False: it does not, whatever the machine's
    settings. None: as the machine has it."""

    dscp: int | None = None
    """The codepoint on every packet (:rfc:`2474`), 0 a value like others. None: as the machine has it."""

    sockopts: tuple[SockOpt, ...] = ()
    """Further socket options: (level, option, value)."""

    syn_ect: bool = False
    """The SYN, which asks for ECN, has ECT(0) in the IP header."""

    ce: bool = False
    """The first packet that would leave with ECT(0) leaves with CE, as if a router on the way had marked it; when it
    has to be sent again, it is not marked."""

    def __post_init__(self) -> None:
        if (self.syn_ect or self.ce) and not self.ecn:
            raise ValueError("there are marks only where ECN is asked for")

    @property
    def needs_mark(self) -> bool:
        """Whether there is something that a socket option cannot do."""
        return self.ecn is not None or self.dscp is not None


class ConfigurationError(Exception):
    """The kernel refuses what configurations need; the text is for the user."""


class Configurations:
    """Marks, rules and routes that a run's configurations need: borrowed once, never switched.

    :class:`ConfigurationError` if they cannot be had, and then nothing is left;
    :class:`~pathspider.network.settings.SettingsError` if a setting is borrowed by another run, or there is no
    permission at all.

    :param ways: how ECN may be asked for, in this order: ``bpf``, ``routes``
    :param source: our addresses (IPv4, IPv6), which rules may ask for
    """

    def __init__(
        self, settings: Settings, configurations: Sequence[Configuration], ways: Sequence[str] = ("bpf", "routes"),
        source: tuple[str | None, str | None] = (None, None),
    ) -> None:
        if len(configurations) > rtnetlink.MARKS_OF_A_SLOT:
            raise ValueError(f"more than {rtnetlink.MARKS_OF_A_SLOT} configurations")
        self._settings = settings
        self._configurations = tuple(configurations)
        self._source = source
        self._pid = os.getpid()
        self._closing = threading.Lock()
        self._slot: int | None = None
        self._lock: socket.socket | None = None
        self._table = ""
        self._program: AskForECN | None = None
        self._shadow: Shadow | None = None
        self._shared: list[str] = []
        self.way = "none"
        """``bpf`` or ``routes``: how ECN is asked for; ``none`` if no configuration does."""
        self.notes: list[str] = []
        """What a user may want to know about the choice, and what does not hold."""
        try:
            if any(configuration.needs_mark for configuration in configurations):
                self._set_up(ways)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Configurations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def marks_packets(self) -> bool:
        """Whether something is set on each packet of a connection, to its last."""
        return any(configuration.dscp is not None for configuration in self._configurations)

    def sockopts(self, config: int) -> list[SockOpt]:
        """What is to be set on a connection's socket before it connects."""
        configuration = self._configurations[config]
        mark = [(socket.SOL_SOCKET, socket.SO_MARK, self._mark(config))] if configuration.needs_mark else []
        return [*mark, *configuration.sockopts]

    def verify(
        self, targets: Iterable[tuple[str, int]], source: tuple[str | None, str | None] = (None, None)
    ) -> None:
        """Compare the ways to the first 100 targets (address, port), with and without a mark, as the kernel says them.

        ``source``: our addresses (IPv4, IPv6), which rules may ask for. :class:`ConfigurationError` if there is a
        difference other than the wish for ECN. Nothing to do where no routes are copied. What cannot be compared just
        now is not: each flow is judged by what was captured, too.
        """
        shadow = self._shadow
        if shadow is None:
            return
        try:
            shadow.verify(islice(targets, VERIFIED), source)
        except ShadowError as error:
            raise ConfigurationError(str(error)) from error
        except OSError as error:
            logger.debug("ways to targets cannot be compared: %s", error)

    def lost(self) -> str | None:
        """Whether something has removed what we set up, as text; it is put back where possible.

        Takes less than a millisecond while nothing is lost.
        """
        if self._slot is None:
            return None
        lost = []
        try:
            self._settings.check_guard()
        except SettingsError as error:
            lost.append(str(error))
        if self._program is not None and not self._program.attached():
            self._program.close()
            said = "something detached our program from its control group"
            try:
                self._program = AskForECN(self._marks(True))
                lost.append(f"{said}; attached again")
            except OSError as error:  # tried again next time
                lost.append(f"{said}: {error.strerror}")
        if self._shadow is not None and (said := self._shadow.lost()):
            lost.append(said)
        try:
            gone = bool(self._table) and not _exists(self._table)
        except OSError as error:
            gone = False
            lost.append(f"it cannot be seen whether our nftables table is there: {error.strerror}")
        if gone:
            said = f"something removed our nftables table ({self._table}: a firewall that was loaded anew?)"
            try:
                self._settings.nft_table(self._rules(), self._table)
                lost.append(f"{said}; put back")
            except SettingsError as error:
                lost.append(f"{said}: {error}")
        return "; ".join(lost) or None

    def close(self) -> None:
        """Put everything back; may be called again, and by several threads."""
        if os.getpid() != self._pid:
            return
        with self._closing:
            self._close()

    def _close(self) -> None:
        program, self._program = self._program, None
        shadow, self._shadow = self._shadow, None
        table, self._table = self._table, ""
        slot, self._slot = self._slot, None
        if self._lock is not None:
            self._lock.close()
        if shadow is not None:
            shadow.stop()
        if program is not None:
            program.close()
        problems = []
        names = ([f"table {table}"] if table else []) + ([] if slot is None else [f"marks {slot}"])
        for name in (*reversed(self._shared), *names):
            try:
                self._settings.give_back(name)
            except SettingsError as error:
                problems.append(str(error))
        self._shared.clear()
        if problems:
            raise SettingsError("; ".join(problems))

    # -- setting up ----------------------------------------------------------------------------------------------------

    def _set_up(self, ways: Sequence[str]) -> None:
        try:
            self._settings.check_nft()
        except SettingsError as error:  # ECN can be had without
            raise ConfigurationError(f"{error}; {SWITCH}") from error
        with Netlink() as netlink:
            self._slot, self._lock = self._free_slot(netlink)
        if all(configuration.ecn is None for configuration in self._configurations):
            self._answer_for_marks([])
        else:
            self._share(TCP_ECN, ACCEPT_ECN)
            self._share(TCP_ECN_FALLBACK, "0")
            self._ask_for_ecn(self._slot, ways)
        try:
            self._table = self._settings.nft_table(self._rules())
        except SettingsError as error:
            raise ConfigurationError(f"{error}; {SWITCH}") from error

    def _free_slot(self, netlink: Netlink) -> tuple[int, socket.socket]:
        """A slot of marks that no living run has and that no rule of the machine looks at, and its lock."""
        problem, strangers = "", 0
        rules = [rule for family in rtnetlink.FAMILIES for rule in rtnetlink.rules(netlink, family)]
        for slot in range(rtnetlink.SLOTS):
            if refused := check_marks(rules, rtnetlink.slot_marks(slot)[:len(self._configurations)]):
                problem = refused
                continue
            try:
                lock = journal.lock(f"marks/{slot}")
            except journal.Busy:
                continue
            except TimeoutError as error:  # strangers hold it: a few such slots are passed over
                problem = f"marks of ours: {error}"
                if (strangers := strangers + 1) == MOST_STRANGERS:
                    break
                continue
            if journal.read(f"marks/{slot}") is None:
                return slot, lock
            lock.close()  # a run and its guard were killed, and Settings.clean_leftovers() could not put back
        raise ConfigurationError(f"{problem or 'all our marks are in use'}; {SWITCH}")

    def _answer_for_marks(self, removal: Sequence[str]) -> None:
        """From now on the guard has the lock of our slot too."""
        lock, self._lock = self._lock, None
        if lock is not None and self._slot is not None:  # otherwise it has been told, by a way that was refused
            self._settings.marks(lock, self._slot, removal)

    def _ask_for_ecn(self, slot: int, ways: Sequence[str]) -> None:
        refused = []
        for way in ways:
            try:
                if way == "bpf":
                    self._use_program()
                    self._answer_for_marks([])
                else:
                    self._answer_for_marks(rtnetlink.removal(slot))
                    self._shadow = Shadow(slot, {self._mark(config): one.ecn
                                                 for config, one in enumerate(self._configurations)
                                                 if one.ecn is not None})
                    self._shadow.verify(((address, 80) for address in islice(self._shadow.samples(), VERIFIED)),
                                        self._source, local=False)
                self.way = way
                break
            except (BPFError, ShadowError) as error:
                if self._shadow is not None:
                    self._shadow.stop()
                    self._shadow = None
                refused.append(str(error.strerror if isinstance(error, BPFError) else error))
        else:
            raise ConfigurationError(f"ECN per connection: {'; '.join(refused)}; {SWITCH}")
        self.notes += [f"ECN per connection: {reason}; using {self.way}" for reason in refused]
        for note in (*self.notes, f"ECN per connection: {WAYS[self.way]}"):
            logger.debug(note)

    def _use_program(self) -> None:
        with Netlink() as netlink:
            if Shadow.routes_ask(netlink):
                raise BPFError(0, "BPF cannot keep a connection from asking where a route of yours has 'features ecn'")
        self._program = AskForECN(self._marks(True))

    def _share(self, name: str, value: str) -> None:
        """Have a sysctl at a value for the run, together with others; where none can be set, look that it is right."""
        if os.statvfs(PROC_SYS).f_flag & os.ST_RDONLY:
            present = self._settings.read(name)
            if present == value or (name, present) == (TCP_ECN, "0"):
                return
            if name == TCP_ECN:
                raise ConfigurationError(f"/proc/sys is read-only, and {name} is {present}: every SYN asks for ECN")
            self.notes.append("/proc/sys is read-only: a repeated SYN will not ask for ECN")
            return
        self._settings.sysctl(name, value, shared=True)
        self._shared.append(name)

    def _mark(self, config: int) -> int:
        if self._slot is None:
            raise ConfigurationError("what connections carry has been taken down")
        return rtnetlink.slot_marks(self._slot)[config]

    def _marks(self, ecn: bool) -> list[int]:
        return [self._mark(config) for config, one in enumerate(self._configurations) if one.ecn is ecn]

    def _rules(self) -> str:
        """The content of our nftables table."""
        codepoints = {config: one.dscp for config, one in enumerate(self._configurations) if one.dscp is not None}
        marks = ", ".join(f"{self._mark(config):#x}" for config, one in enumerate(self._configurations)
                          if one.needs_mark)
        lines: list[str] = []
        first, last = [], []
        ends = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
        for config, one in enumerate(self._configurations):
            mark = f"meta mark {self._mark(config):#x}"
            if one.syn_ect:
                first += [f"{mark} tcp flags & syn == syn {ip} ecn set ect0" for ip in ends]
            elif one.ecn and self._program is not None:
                # it has ECT(0) put on the SYN, which servers take for an attempt to cheat
                first += [f"{mark} tcp flags & syn == syn {ip} ecn set not-ect" for ip in ends]
            if one.ce:
                lines += [_set_of_connections(f"ce_{ip}_{config}", kind) for ip, kind in ends.items()]
                for ip in ends:
                    known = f"ce_{ip}_{config}"
                    first += [f"{mark} {BEGINS[0]} delete @{known} {{ {_connection(ip)} }}",
                              f"{mark} tcp flags & (syn | fin | rst) == 0 {ip} ecn ect0 {_connection(ip)} != @{known} "
                              f"add @{known} {{ {_connection(ip)} }} {ip} ecn set ce"]
        for config in codepoints:
            lines += [_set_of_connections(f"{ip}_{config}", kind) for ip, kind in ends.items()]
            # whoever begins a connection: the addresses and ports are no longer those of an earlier one of ours
            first += [f"{begins} delete @{ip}_{config} {{ {_connection(ip)} }}" for ip in ends for begins in BEGINS]
        for config, codepoint in codepoints.items():
            mark = f"meta mark {self._mark(config):#x}"
            for ip in ends:
                first += [f"{mark} {begins} update @{ip}_{config} {{ {_connection(ip)} }}" for begins in BEGINS]
                first.append(f"{mark} {ip} dscp set {codepoint}")
                last.append(f"meta l4proto {{ tcp, udp }} {_connection(ip)} @{ip}_{config} {ip} dscp set {codepoint}")
        first.append(f"meta mark {{ {marks} }} meta mark set 0")
        lines += ["chain output {", "type filter hook output priority -310; policy accept;", *first, "}"]
        if last:  # after the machine's own mangling, before it translates addresses
            lines += ["chain late {", "type filter hook postrouting priority 90; policy accept;", *last, "}"]
        return "\n".join(lines)


def _set_of_connections(name: str, kind: str) -> str:
    """A set that remembers connections whose addresses are of this kind for a while."""
    return (f"set {name} {{ type inet_proto . {kind} . inet_service . {kind} . inet_service; "
            f"flags dynamic,timeout; timeout {CONNECTION_SECONDS}s; size {CONNECTIONS}; }}")


def _connection(ip: str) -> str:
    return f"meta l4proto . {ip} saddr . th sport . {ip} daddr . th dport"


def _exists(table: str) -> bool:
    """Whether an nftables table of the family inet is there; "inet NAME"."""
    name = table.split(" ", 1)[1].encode() + b"\0"
    with Netlink(rtnetlink.NETLINK_NETFILTER) as netlink:
        try:
            netlink.get(NFT_MSG_GETTABLE, struct.pack("=BBH", NFPROTO_INET, 0, 0)
                        + rtnetlink.attribute(NFTA_TABLE_NAME, name))
        except FileNotFoundError:
            return False
    return True
