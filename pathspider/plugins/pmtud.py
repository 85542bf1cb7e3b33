"""Path MTU discovery: which packets pass, and is a host told of others? :rfc:`1191`, :rfc:`8201`, :rfc:`2923`"""

from __future__ import annotations

import argparse
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import cycle

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.packet import Packet, Raw

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dns import DNSChain
from pathspider.chains.sizes import SizesChain
from pathspider.chains.tcp import TCP_ACK, TCP_PSH, TCP_RST, TCP_SYN, TO_MSS, TO_WS, TCPChain, parse_options
from pathspider.conditions import NOT_OBSERVED, all_observed, connectivity, connectivity_conditions, succeeded
from pathspider.forge import ForgeSpider, accepted
from pathspider.helpers.dns import belongs, query
from pathspider.helpers.forged import Flow as ForgedFlow
from pathspider.helpers.forged import LocalError
from pathspider.helpers.pathmtu import (
    DEFAULT_MSS,
    LARGEST,
    LEAST,
    SIZES,
    Found,
    Outcome,
    heed,
    interface_mtu,
    search,
)
from pathspider.helpers.poller import clock
from pathspider.helpers.requests import http_request
from pathspider.helpers.segments import HEADER, flags_of, following, transport_offset
from pathspider.helpers.sockets import failed, is_ipv6
from pathspider.records import CONN_TIMEOUT, Conn, Connection, Flow, Job
from pathspider.run.specimen import Specimen
from pathspider.traversal import positive

TRIES, PAUSE = 3, 1.0
"""How often a packet is sent, and seconds that an answer may take each time: as many losses one after the other are no
chance, and no path is so slow."""
LONGEST = 60.0
"""Seconds for one search."""
SMALL = 400
"""Octets of the payload of packets that pass everywhere."""
USUAL = 1500
"""What is tried first, unless the interface, or the target's MSS, takes less."""
ONCE_MORE = 2
"""How often it is sent again behind what showed that the path works: it may have been down for a while."""
LINE = b"X-Padding: " + b"-" * 987 + b"\r\n"
"""Of a request's header, as often as there is room: it never ends, so that only acknowledgements come back. Servers
take a hundred lines or so, each of some thousand octets."""
MOST_SCALE = 14
"""Of a window. :rfc:`7323`, section 2.3"""
UDP_HEADER = struct.Struct("!HHHH")
"""Ports, length, checksum. :rfc:`768`"""
PADDING = 12
"""Option of EDNS. :rfc:`7830`"""
OPT_OCTETS = 15
"""Of a record OPT with such an option, without what it holds. :rfc:`6891`, section 6.1"""

WORDS = {
    "mtu:<octets>": "the largest packet that was acknowledged or answered had this size, IP header and all",
    "blackhole:<octets>": "packets of this size vanished, nobody said what to send instead, and the same in smaller "
                          "packets arrived",
    "told:<octets>": "a router said that it takes packets of this size; 0: that one was too large, and no size",
    "told_invalid:<octets>": "a router said so of a size that is not below what was sent, or that each link takes",
    "unclear:<octets>": "nothing follows about packets of this size: the same in smaller ones was not answered, or the "
                        "target's window had no room",
}


class PMTUD(ForgeSpider, PluggableSpider):
    """Which packets does the path take, and does path MTU discovery work?

    Each target gets small packets and, over another connection, larger ones that no router may fragment: one as large
    as the interface takes, and smaller ones until one passes. All are forged: segments of a request over TCP, padded
    queries over UDP.

    Example: pspdr measure -i eth0 pmtud <targets.ndjson >results.ndjson
    """

    name = "pmtud"
    description = "Path MTU Discovery"
    feature = "Sending packets as large as the interface takes"
    questions = {"mtu": "Which packets does the path take?"}
    version = __version__
    chains = [BasicChain, TCPChain, DNSChain, SizesChain]
    connect_supported = ["http", "dnsudp"]
    packets = 2
    located = {r"pmtud\.connectivity\.broken": ()}
    conditions = {**connectivity_conditions("pmtud"), **{f"pmtud.{word}": meaning for word, meaning in WORDS.items()}}

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--largest", type=packet_size, metavar="OCTETS",
                            help="Size of the largest packet that is tried, where the interface takes it. "
                                 f"(Default: {USUAL})")

    def longest_connection(self) -> float:
        return super().longest_connection() + LONGEST

    def sizes(self, six: bool) -> Sequence[int]:
        """Octets of packets that are tried."""
        kind, _, interface = self.libtrace_uri.partition(":")
        takes = (interface_mtu(interface) if kind == "int" else None) or LARGEST
        largest = max(min(self.args.largest or USUAL, takes), LEAST[6] * six)
        return [one for one in SIZES if LEAST[6] * six <= one < largest] + [largest]

    # -- packets -------------------------------------------------------------------------------------------------

    def check(self, job: Job) -> None:
        if self.args.connect != "dnsudp":
            request(job)

    def forge(self, job: Job, seq: int) -> Packet:
        if self.args.connect == "dnsudp":
            return self.ip_header(job) / self.dns_query(job)
        return self.ip_header(job) / self.tcp_syn(job)

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        if self.args.connect == "dnsudp":
            return self.dns_answer(packet, reply)
        return super().judge(job, packet, reply)

    def connect(self, job: Job, seq: int) -> Connection:
        self._own.searches, self._own.sent = bool(seq), 0
        return super().connect(job, seq)

    def go_on(  # noqa: PLR0917 - as there
        self, job: Job, packet: Packet, raw: bytes, reply: bytes, flow: ForgedFlow, deadline: float
    ) -> Connection:
        """The small packet was answered; a SYN is followed by data."""
        path = Queries(job, packet, flow) if UDP in packet else Segments(request(job), raw, reply, flow)
        try:
            if not self._own.searches:
                return (accepted(packet, reply) if path.small() is Outcome.PASSED
                        else failed(CONN_TIMEOUT, flow.source_port, "no answer to data"))
            found = path.search(self.sizes(is_ipv6(job["dip"])))
        finally:
            self._own.sent = path.taken
        said = accepted(packet, reply) if found.silent is None else failed(
            CONN_TIMEOUT, flow.source_port, f"no answer to {found.silent} octets")
        said |= {"mtu_passed": found.passed, "mtu_told": found.told, "mtu_invalid": found.invalid,
                 "mtu_silent": found.silent, "mtu_unclear": found.unclear}
        return said

    def take_leave(self, job: Job, raw: bytes, flow: ForgedFlow, reply: bytes | None) -> None:
        """A RST behind what was sent, where anything was."""
        if not flags_of(reply or b"") & TCP_SYN:
            super().take_leave(job, raw, flow, reply)
            return
        with suppress(LocalError):  # no verdict depends on it
            flow.send(following(raw, TCP_RST, behind=self._own.sent))

    def probed(self, connection: Flow, packets: Specimen) -> Specimen:
        """Of the larger ones the smallest that vanished: what larger ones meet before that is something else."""
        silent = connection.get("mtu_silent")
        if silent is None:
            return packets
        if packets.data:
            return packets._replace(data=packets.data[:silent].ljust(silent, b"-"), more=())
        at = transport_offset(packets.first)
        message = padded(packets.first[at + UDP_HEADER.size:], silent - at - UDP_HEADER.size)
        source_port, target_port, _, checksum = UDP_HEADER.unpack_from(packets.first, at)
        header = UDP_HEADER.pack(source_port, target_port, UDP_HEADER.size + len(message), checksum)
        return packets._replace(first=packets.first[:at] + header + message)

    # -- verdicts ------------------------------------------------------------------------------------------------

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        baseline, experiment = flows
        if experiment["size_fwd"] < largest_sent(experiment):
            return [NOT_OBSERVED]
        found = []
        if experiment.get("mtu_unclear") is None or experiment.get("mtu_silent") is not None:
            found.append(connectivity("pmtud", succeeded(baseline), succeeded(experiment)))
        for word, name in (("mtu", "passed"), ("blackhole", "silent"), ("told", "told"), ("told_invalid", "invalid"),
                           ("unclear", "unclear")):
            if (octets := experiment.get(f"mtu_{name}")) is not None:
                found.append(f"pmtud.{word}:{octets}")
        return found


def largest_sent(flow: Flow) -> int:
    """The size of the largest packet that tells something: one of an unclear size may not have been sent."""
    return max(flow.get(f"mtu_{name}") or 0 for name in ("passed", "silent"))


def request(job: Job) -> bytes:
    """A request whose header never ends. :exc:`LocalError` for a domain that cannot be named."""
    try:
        return http_request(job).removesuffix(b"\r\n")
    except ValueError as error:
        raise LocalError("bad_domain") from error


class Path:
    """What is tried on a flow, and what comes back.

    :param six: IPv6
    """

    def __init__(self, flow: ForgedFlow, *, six: bool) -> None:
        self.flow = flow
        self.sent = self.taken = 0
        """Octets of data that were dealt with so far, and that were acknowledged, where they are counted."""
        self._version = 6 if six else 4
        self._invalid: int | None = None
        self._heeded: set[int] = set()
        """Sizes that routers said: what says one again is late, or there twice."""
        self._no_size = False
        """Whether a router said that a packet was too large, and no size."""

    def takes(self) -> int:
        """Octets of the largest packet that an ordinary sender would send."""
        return LARGEST

    def large(self, size: int) -> list[bytes]:
        """A packet of this size, as one of whatever stands for the same later; none, or one of another size, where that
        cannot be."""
        raise NotImplementedError

    def same(self) -> list[bytes]:
        """The same as the last large one in small packets."""
        raise NotImplementedError

    def answers(self, reply: bytes) -> Outcome | None:
        """What comes back to the last large one, or to the same in small packets: whether it arrived."""
        raise NotImplementedError

    def is_ours(self, quoted: bytes) -> bool:
        """Whether what a router quotes was sent by us."""
        raise NotImplementedError

    def settle(self) -> None:
        """What was sent last has arrived."""

    def small(self) -> Outcome | int:
        """What becomes of a small one."""
        return self._send(self.large(SMALL), 0)

    def search(self, sizes: Sequence[int]) -> Found:
        """What is found."""
        largest = min(sizes[-1], self.takes())
        steps = search([one for one in sizes if one < largest] + [largest])
        size, ends = next(steps), clock() + LONGEST
        try:
            while True:
                size = steps.send(self._try(size) if clock() < ends else Outcome.UNCLEAR)
        except StopIteration as end:
            found: Found = end.value
            found.invalid = self._invalid
            found.told = 0 if found.told is None and self._no_size else found.told
            return found

    def _try(self, size: int) -> Outcome | int:
        outcome = self._send(self.large(size), size)
        if outcome is Outcome.VANISHED:
            if self._send(self.same(), 0) is not Outcome.PASSED:
                return Outcome.UNCLEAR
            self.settle()
            outcome = self._send(self.large(size), size, ONCE_MORE)
        if outcome is Outcome.PASSED:
            self.settle()
        elif outcome is Outcome.TOO_BIG:  # what says so of this packet, too, is not to be taken for a word on the next
            self._send([], 0, 1)
        return outcome

    def _send(self, packets: list[bytes], size: int, tries: int = TRIES) -> Outcome | int:
        """Send some, again and again, until they are answered, or a router says that this size is too big."""
        if size and [len(one) for one in packets] != [size]:
            return Outcome.UNCLEAR
        for _ in range(tries):
            for one in packets:
                self.flow.send(one)
            until = clock() + PAUSE
            while self.flow.wait(until):
                for reply in self.flow.answers():
                    if (answer := self.answers(reply)) is not None:
                        return answer
                if (told := self._told(size)) is not None:
                    return told
        return Outcome.VANISHED

    def _told(self, size: int) -> Outcome | int | None:
        """What a router has said of a packet of this size; it is forgotten."""
        said, self.flow.too_big[:] = [told for told, quoted in self.flow.too_big
                                      if self.is_ours(quoted) and told not in self._heeded], []
        heeded: Outcome | int | None = None
        for told in said if size else ():
            one = heed(told, size, self._version)
            if one is Outcome.TOO_BIG and not told:
                self._no_size = True
            elif isinstance(one, int):
                self._heeded.add(told)
            else:
                self._invalid = told
            heeded = one or heeded
        return heeded


class Segments(Path):
    """Data of a TCP connection: each try sends what comes next in one segment, and then in small ones.

    :param begins: what the data begin with
    :param syn: from its IP header on
    :param reply: the SYN-ACK, from its TCP header on
    """

    def __init__(self, begins: bytes, syn: bytes, reply: bytes, flow: ForgedFlow) -> None:
        super().__init__(flow, six=syn[0] >> 4 == 6)
        self._syn, self._reply = syn, reply
        self._data = begins
        self._lines = cycle([LINE])
        (self._first,) = struct.unpack_from("!I", syn, transport_offset(syn) + 4)
        self._length = 0
        acknowledgement = following(syn, TCP_ACK, reply)
        flow.send(acknowledgement)
        self._overhead = len(acknowledgement)
        options = parse_options(reply[HEADER.size:(reply[12] >> 4) * 4])
        self._mss = int.from_bytes(options.get(TO_MSS, b""), "big") or DEFAULT_MSS[self._version]
        self._scale = min(options.get(TO_WS, b"\0")[-1], MOST_SCALE)
        self._window = HEADER.unpack_from(reply)[6]
        """Octets behind what was acknowledged for which the target has room."""

    def takes(self) -> int:
        return transport_offset(self._syn) + HEADER.size + self._mss

    def _segment(self, start: int, octets: int) -> bytes:
        while len(self._data) < start + octets:
            self._data += next(self._lines)
        return following(self._syn, TCP_ACK | TCP_PSH, self._reply, self._data[start:start + octets], behind=start)

    def large(self, size: int) -> list[bytes]:
        self._length = size - self._overhead
        room = self.taken + self._window - self.sent
        return [self._segment(self.sent, self._length)] if 0 < self._length <= room else []

    def same(self) -> list[bytes]:
        end = self.sent + self._length
        return [self._segment(at, min(SMALL, end - at)) for at in range(self.sent, end, SMALL)]

    def answers(self, reply: bytes) -> Outcome | None:
        flags = flags_of(reply)
        if flags & TCP_RST:  # of the server, which has enough of that request: it says nothing of the path
            return Outcome.UNCLEAR
        acknowledged = (HEADER.unpack_from(reply)[3] - self._first - 1) % (1 << 32) if flags & TCP_ACK else 0
        if flags & TCP_SYN or not self.taken <= acknowledged <= len(self._data):
            return None
        self.taken, self._window = acknowledged, HEADER.unpack_from(reply)[6] << self._scale
        return Outcome.PASSED if self.sent + self._length <= acknowledged else None

    def is_ours(self, quoted: bytes) -> bool:
        return len(quoted) >= 8 and (int.from_bytes(quoted[4:8], "big") - self._first) % (1 << 32) <= len(self._data)

    def settle(self) -> None:
        self.sent += self._length


class Queries(Path):
    """DNS queries: each try sends one that is padded to the size, and then the same in fragments.

    :param packet: an ordinary one
    """

    def __init__(self, job: Job, packet: Packet, flow: ForgedFlow) -> None:
        super().__init__(flow, six=isinstance(packet, IPv6))
        self._job, self._packet = job, packet
        self._message = b""

    def _datagram(self) -> Packet:
        whole = self._packet.copy()
        if whole.version == 4:
            whole.id = random.randrange(1, 1 << 16)
        whole[UDP].remove_payload()
        del whole[UDP].len
        return whole / Raw(self._message)

    def large(self, size: int) -> list[bytes]:
        headers = (40 if self._version == 6 else 20) + 8
        self._message = padded(query(self._job).pack(), size - headers)
        return [bytes(self._datagram())]

    def same(self) -> list[bytes]:
        return list(fragments(self._datagram()))

    def small(self) -> Outcome | int:
        return Outcome.PASSED  # the query that was answered is one

    def answers(self, reply: bytes) -> Outcome | None:
        return Outcome.PASSED if belongs(self._message, reply) else None

    def is_ours(self, quoted: bytes) -> bool:
        return True  # the kernel has found the socket by addresses and ports


def padded(message: bytes, octets: int) -> bytes:
    """A query whose message has so many octets, or as many as it needs. :rfc:`7830`"""
    rest = max(0, octets - len(message) - OPT_OCTETS)
    option = struct.pack("!HH", PADDING, rest) + bytes(rest)
    opt = b"\0" + struct.pack("!HHIH", 41, 512, 0, len(option)) + option
    return bytes(message[:10] + b"\0\1" + message[12:] + opt)


def packet_size(text: str) -> int:
    """An option's value as the size of a packet, for argparse."""
    size = positive(text)
    if not SIZES[0] <= size <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text}: a size from {SIZES[0]} to {LARGEST} is needed")
    return size


def fragments(packet: Packet) -> Iterator[bytes]:
    """A datagram in small packets."""
    if isinstance(packet, IP):
        packet.flags = 0
        yield from map(bytes, fragment(packet, SMALL))  # type: ignore[no-untyped-call]
        return
    header, datagram = packet.copy(), packet.payload
    header.remove_payload()
    whole = header / IPv6ExtHdrFragment(id=random.getrandbits(32)) / datagram
    yield from map(bytes, fragment6(whole, 40 + 8 + SMALL))  # type: ignore[no-untyped-call]
