"""Sockets that send what is to die on the way, and hear who gave it up.

Three kinds of flow, each with a port of its own:

* :class:`ForgedFlow`: SYNs or datagrams, forged. The port is held so that the kernel answers nothing itself
  (:mod:`pathspider.helpers.forged`).
* :class:`ForgedConnection`: data behind a forged handshake, from a held port.
* :class:`LiveFlow`: a TCP connection of the kernel's. One octet of a request leaves with a small TTL, and dies; the
  kernel sends it again with the usual TTL, so that the connection loses nothing.

Needs ``CAP_NET_RAW`` and, to hold TCP ports, ``CAP_NET_ADMIN``.
"""

from __future__ import annotations

import errno
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pathspider.chains.tcp import TCP_ACK, TCP_RST, TCP_SYN
from pathspider.helpers.forged import MOST_ERRORS, hold_tcp_port, hold_udp_port, leave_as_they_are
from pathspider.helpers.probes import USUAL_TTL, is_quic, probe, protocol_of
from pathspider.helpers.segments import (
    HEADER,
    Stream,
    flags_of,
    following,
    is_bogus_syn_ack,
    payload_of,
    refusing,
    resumed,
    segment,
    syn_verdict,
    transport_offset,
)
from pathspider.helpers.sockets import (
    IP_RECVERR,
    IPV6_RECVERR,
    SockOpts,
    errno_name,
    is_connecting,
    is_established,
    is_ipv6,
)
from pathspider.quotation import Quotation, read

SOL_RAW, ICMP_FILTER = 255, 1  # linux/icmp.h: the types that are not wanted
ICMPV6_FILTER = 1  # linux/icmpv6.h
ERRORS = {4: (3, 11, 12), 6: (1, 3)}
"""Types of ICMP messages that may quote a probe: unreachable, time exceeded, parameter problem."""
IP_RECVTTL, IPV6_RECVHOPLIMIT = 12, 51  # linux/in.h, in6.h
SO_TIMESTAMPNS = 35
DEFAULT = -1
"""As a TTL: the machine's usual one. ip(7), ipv6(7)"""
RECEIVE_BUFFER = 4 << 20
LARGEST = 65535
UNACKED, TOTAL_RETRANS = 24, 100
"""Offsets in ``struct tcp_info``, linux/tcp.h: segments without an acknowledgement, and how many were sent again."""


class Heard(NamedTuple):
    """An ICMP error that quotes a packet."""

    addr: str
    """Who sent it."""
    quotation: Quotation
    moment: float
    """When it came, seconds since the epoch."""


class Reply(NamedTuple):
    """What a target sent to a forged packet, or what came in its name."""

    accepted: bool
    ttl: int | None
    moment: float
    repeated: bool = False
    """A SYN-ACK with the sequence number of an earlier one, or a second answer to QUIC: of the same half-open
    connection."""


class Listener:
    """Hears the ICMP errors that come to this machine, of one IP version."""

    def __init__(self, version: int) -> None:
        self.version = version
        family, protocol = ((socket.AF_INET, socket.IPPROTO_ICMP) if version == 4
                            else (socket.AF_INET6, socket.IPPROTO_ICMPV6))
        self._sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        refused = (1 << 256) - 1 if version == 6 else (1 << 32) - 1
        for kind in ERRORS[version]:
            refused &= ~(1 << kind)
        if version == 4:
            self._sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", refused))
        else:
            words = [refused >> 32 * word & 0xFFFFFFFF for word in range(8)]
            self._sock.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, struct.pack("=8I", *words))
        self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def read(self) -> Iterator[Heard]:
        """What has come; does not wait."""
        for data, ancillary, source in received(self._sock):
            message = data[(data[0] & 15) * 4:] if self.version == 4 and data else data
            quotation = read(message, self.version)
            if quotation is not None:
                yield Heard(str(source[0]).partition("%")[0], quotation, stamp(ancillary))

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()


Received = tuple[bytes, list[tuple[int, int, bytes]], Any]
"""A packet, what the kernel says of it, and the address that it came from."""


def received(sock: socket.socket) -> Iterator[Received]:
    """What has come; does not wait. An error that waits at the socket (an ICMP error, which the listener hears) is
    passed over, and one that does not go away, as of a socket that was closed meanwhile, ends it."""
    errors = 0
    while errors < MOST_ERRORS:
        try:
            data, ancillary, _, source = sock.recvmsg(LARGEST, 256)
        except BlockingIOError:
            return
        except OSError:
            errors += 1
            continue
        yield data, ancillary, source


def stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When a packet came, by the kernel; now, where it does not say so."""
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(content) >= 16:
            seconds, nanoseconds = struct.unpack_from("=qq", content)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def ttl_in(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The TTL of a packet."""
    for level, kind, content in ancillary:
        if (level, kind) in ((socket.SOL_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            return int(struct.unpack_from("=i", content)[0])
    return None


class Sender:
    """Sends packets from their IP header on, from one address of ours."""

    def __init__(self, own: str) -> None:
        self.own = own
        self._sock = socket.socket(socket.AF_INET6 if is_ipv6(own) else socket.AF_INET, socket.SOCK_RAW,
                                   socket.IPPROTO_RAW)
        self._sock.setblocking(False)
        self.trouble = ""
        """Why the kernel did not take the last packet that it did not take, by its errno's name."""
        try:
            leave_as_they_are(self._sock, is_ipv6(own))
            self._sock.bind((own, 0))
        except OSError:
            self._sock.close()
            raise

    def send(self, packet: bytes, target: str) -> bool:
        """Whether the kernel takes it."""
        try:
            self._sock.sendto(packet, (target, 0))
        except OSError as error:
            self.trouble = errno_name(error.errno or 0)
            return False
        return True

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()


class ForgedFlow:
    """Forged packets from one held port.

    :param packet: what each of them is like: a SYN or a datagram, from its IP header on
    :raises OSError: there is no socket, or no port
    """

    live = False

    def __init__(self, sender: Sender, packet: bytes, target: tuple[str, int]) -> None:
        self.packet = packet
        self.target = target
        self._sender = sender
        self.protocol = protocol_of(packet)
        self.seq = secrets.randbits(32) if self.protocol == socket.IPPROTO_TCP else None
        self._theirs: set[bytes] = set()
        """Sequence numbers of SYN-ACKs."""
        self._sends_again = is_quic(packet)
        """Whether what answers once goes on by itself: a server of QUIC waits for more, and sends its answer again."""
        self._answered = False
        six = is_ipv6(sender.own)
        if self.protocol == socket.IPPROTO_TCP:
            self._holder = hold_tcp_port(sender.own, 0, target[0])
            self._receiver = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                                           socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
        else:
            self._holder = self._receiver = hold_udp_port(sender.own, 0, target)
        try:
            self.port: int = self._holder.getsockname()[1]
            level, errors, ttls = ((socket.IPPROTO_IPV6, IPV6_RECVERR, IPV6_RECVHOPLIMIT) if six
                                   else (socket.SOL_IP, IP_RECVERR, IP_RECVTTL))
            self._receiver.setsockopt(level, errors, 0)  # the listener hears them
            self._receiver.setsockopt(level, ttls, 1)
            self._receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if self.protocol == socket.IPPROTO_TCP:
                self._receiver.bind((sender.own, 0))
                self._receiver.connect((target[0], 0))
        except BaseException:
            self._let_go()
            raise
        self._six = six

    def send(self, ttl: int, number: int, packet: bytes | None = None) -> bool:
        """Send a probe; False if the kernel does not take it.

        :param packet: another one than the flow's, in this flow
        """
        return self._sender.send(probe(packet or self.packet, port=self.port, ttl=ttl, number=number, seq=self.seq),
                                 self.target[0])

    def fileno(self) -> int:
        """The descriptor at which the target's replies come."""
        return self._receiver.fileno()

    def read(self) -> Iterator[Reply]:
        """What the target sent; does not wait. What accepts a SYN is answered by a RST."""
        for data, ttl, moment in self._came():
            if self.protocol != socket.IPPROTO_TCP:
                yield Reply(True, ttl, moment, self._sends_again and self._answered)
                self._answered = True
                continue
            assert self.seq is not None
            accepted = syn_verdict(self.seq, len(self.packet), data)
            if accepted is None:
                continue
            if accepted and not flags_of(data) & TCP_RST:
                self._sender.send(refusing(probe(self.packet, port=self.port, seq=self.seq), data), self.target[0])
            theirs = data[4:8]
            yield Reply(accepted, ttl, moment, accepted and theirs in self._theirs)
            if accepted:
                self._theirs.add(theirs)

    def _came(self) -> Iterator[tuple[bytes, int | None, float]]:
        """What came to this port: a segment from its TCP header on, or a datagram's payload; its TTL; when."""
        for packet, ancillary, _ in received(self._receiver):
            ttl, moment, data = ttl_in(ancillary), stamp(ancillary), packet
            if self.protocol == socket.IPPROTO_TCP:
                if not self._six:
                    ttl, data = packet[8], packet[(packet[0] & 15) * 4:]
                if len(data) < HEADER.size or data[:4] != struct.pack("!HH", self.target[1], self.port):
                    continue
            yield data, ttl, moment

    def close(self) -> None:
        """Let the port go."""
        self._let_go()

    def _let_go(self) -> None:
        self._receiver.close()
        self._holder.close()


Judge = Callable[[bytes], "bool | None"]
"""Whether octets that came are what was asked for; None where more have to come."""


class ForgedConnection(ForgedFlow):
    """A forged TCP connection in which data leave that die on the way: all of them at one sequence number.

    :meth:`step` brings it up, packet by packet. A probe that is answered ends it.

    :param syn: what its SYN is like, from the IP header on; one without data
    :param data: what its probes are like, from the IP header on
    :param before: segments, from their IP headers on, that are delivered before
    :param judge: what makes of octets that come an answer to a probe; without it, an acknowledgement is one
    :raises OSError: there is no socket, or no port
    """

    def __init__(self, sender: Sender, syn: bytes, target: tuple[str, int], data: bytes, *,
                 before: Sequence[bytes] = (), judge: Judge | None = None) -> None:
        super().__init__(sender, syn, target)
        self.data = data
        self.before = before
        self._judge = judge
        self._syn = probe(syn, port=self.port, number=secrets.randbits(16) if syn[0] >> 4 == 4 else 0, seq=self.seq)
        """As it leaves: over IPv6 with its own window."""
        self._opens_at = self.seq or 0
        self._behind = [0]
        """Octets of data before each segment, and before the probes."""
        for one in before:
            self._behind.append(self._behind[-1] + len(payload_of(one)))
        self.seq = (self._opens_at + 1 + self._behind[-1]) % (1 << 32)
        """Of the probes."""
        self._accepts = b""
        """The SYN-ACK."""
        self._stream = Stream(0)
        self._probe_octets = 0
        """Of the last probe's data."""
        self._next_seq = (self._opens_at + 1) % (1 << 32)
        """What the target has acknowledged."""
        self.delivered = 0
        """How many segments have been acknowledged, of those that are delivered before."""
        self.tries = 0
        """How often the packet has left that is to bring it further."""
        self.is_whole = False
        """Whether all that follows a segment that is not acknowledged has left, too."""
        self.until = 0.0
        """When it may leave again; whoever calls :meth:`step` sets that."""
        self.is_over = False
        """Nothing more can be sent in it."""
        self.was_refused = False
        """The target, or what answers in its name, has ended it."""
        self.acknowledged = False
        """Whether the last probe was, or a part of it."""

    @property
    def is_connected(self) -> bool:
        """Whether the SYN was accepted."""
        return bool(self._accepts)

    @property
    def is_ready(self) -> bool:
        """Whether probes may be sent."""
        return self.is_connected and self.delivered == len(self.before) and not self.is_over

    @property
    def is_answered(self) -> bool:
        """Whether octets came back since the handshake."""
        return bool(self._stream.octets)

    def step(self) -> bool:
        """Send the SYN, or the next segment that is to be delivered; False if the kernel does not take it."""
        self.tries += 1
        if not self.is_connected:
            return self._sender.send(self._syn, self.target[0])
        return self._sender.send(self._resumed(self.before[self.delivered], self.delivered), self.target[0])

    def send_rest(self) -> bool:
        """Send what follows a segment that is not acknowledged: a device may wait for it before it lets that pass."""
        self.is_whole = True
        rest = [*enumerate(self.before)][self.delivered + 1:]
        return all(self._sender.send(self._resumed(packet, place), self.target[0])
                   for place, packet in [*rest, (-1, self.data)])

    def send(self, ttl: int, number: int, packet: bytes | None = None) -> bool:
        """Send a probe; False if the kernel does not take it.

        :param packet: what it is like, if not like the connection's data
        """
        packet = packet or self.data
        self.acknowledged, self._probe_octets = False, len(payload_of(packet))
        return self._sender.send(self._resumed(packet, -1, ttl, number), self.target[0])

    def _resumed(self, packet: bytes, place: int, ttl: int = USUAL_TTL, number: int = 0) -> bytes:
        """A segment like a packet, in this connection; ``place`` among those that are delivered before, or -1."""
        return probe(resumed(packet, self._syn, self._accepts, self._behind[place]), port=self.port, ttl=ttl,
                     number=number)

    def read(self) -> Iterator[Reply]:
        """What the target said to a probe; does not wait. A SYN-ACK is answered by an ACK."""
        for data, ttl, moment in self._came():
            if (accepted := self._take(data)) is not None:
                self.is_over = True
                yield Reply(accepted, ttl, moment)

    def _take(self, data: bytes) -> bool | None:
        """Whether a segment accepts a probe; None where it says nothing to it."""
        flags = flags_of(data)
        if not self.is_connected:
            self._take_first(data)
            return None
        if flags & TCP_RST:
            self.is_over = self.was_refused = True
            return False if self._probe_octets else None
        if flags & TCP_SYN:
            self._sender.send(following(self._syn, TCP_ACK, self._accepts), self.target[0])
            return None
        self._stream.take(data)
        _, _, _, acknowledged, *_ = HEADER.unpack_from(data)
        if 0 < (acknowledged - self._next_seq) % (1 << 32) < 1 << 31:
            self._next_seq = acknowledged
        new = (acknowledged - self.seq) % (1 << 32)
        covers = 1 <= new <= self._probe_octets
        if self.delivered < len(self.before):
            self._take_delivery()
            return None
        self.acknowledged = self.acknowledged or covers
        self.is_over = self.is_over or self._stream.is_over
        if not self.acknowledged or self._judge is None:
            return covers or None
        judged = self._judge(self._stream.octets) if self._stream.octets else None
        return False if judged is None and self._stream.is_over else judged

    def _take_first(self, data: bytes) -> None:
        """What a segment says to the SYN."""
        verdict = syn_verdict(self._opens_at, 0, data)
        if verdict:
            self._accepts, self.tries, self.until = data, 0, 0.0
            self._stream = Stream(HEADER.unpack_from(data)[2] + 1)
            self._sender.send(following(self._syn, TCP_ACK, data), self.target[0])
        elif verdict is False:
            self.is_over = self.was_refused = True
        elif is_bogus_syn_ack(self._opens_at, 0, data):
            self._sender.send(refusing(self._syn, data), self.target[0])
            self.until = 0.0

    def _take_delivery(self) -> None:
        """Whether a segment that was to be delivered was, by what has come: an answer to it says more than that."""
        come = (self._next_seq - self._opens_at - 1) % (1 << 32)
        goes_on = come > self._behind[self.delivered]
        if self._stream.is_over or (goes_on and (self._stream.octets or self.is_whole)):
            self.is_over = self.was_refused = True
        elif come >= self._behind[self.delivered + 1]:
            self.delivered, self.tries, self.until = self.delivered + 1, 0, 0.0

    def close(self) -> None:
        """End the connection with a RST, and let the port go."""
        if self.is_connected:
            self._sender.send(segment(self._syn, self._next_seq, 0, TCP_RST), self.target[0])
        elif self.tries:
            self._sender.send(following(self._syn, TCP_RST), self.target[0])
        super().close()


class LiveFlow:
    """A TCP connection whose request leaves octet by octet.

    :param request: what is asked for; its last octet goes when the flow is finished
    :raises OSError: there is no socket, or the kernel refuses an option
    """

    live = True
    seq = None

    def __init__(self, own: str, target: tuple[str, int], request: bytes, sockopts: SockOpts) -> None:
        self.target = target
        self.protocol = socket.IPPROTO_TCP
        self._left = request
        six = is_ipv6(own)
        self._ttl = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if six else (socket.SOL_IP, socket.IP_TTL)
        family = socket.AF_INET6 if six else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            for level, option, value in sockopts:
                self._sock.setsockopt(level, option, value)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.bind((own, 0))
            number = self._sock.connect_ex(target)
            if number not in (0, errno.EINPROGRESS):
                raise OSError(number, "connect")
        except BaseException:
            self._sock.close()
            raise
        self.port: int = self._sock.getsockname()[1]
        self._resent = 0
        self._octets = 0
        """How many have left as probes."""
        self._origin: int | None = None
        """The sequence number of the first of them, when one has been quoted."""

    @property
    def is_over(self) -> bool:
        """Whether the connection did not come up, or is no more, or its request is used up."""
        return len(self._left) <= 1 or not (is_connecting(self._sock) or is_established(self._sock))

    @property
    def is_ready(self) -> bool:
        """Whether the next octet may go: everything before it has arrived."""
        return is_established(self._sock) and not self._counts()[0]

    def _counts(self) -> tuple[int, int]:
        """Segments under way, and how many have been sent again by now."""
        info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS + 4)
        return struct.unpack_from("=I", info, UNACKED)[0], struct.unpack_from("=I", info, TOTAL_RETRANS)[0]

    def send(self, ttl: int, number: int, packet: bytes | None = None) -> bool:
        """Send one octet that dies at a hop; False if the connection is over."""
        self._resent = self._counts()[1]
        try:
            self._sock.setsockopt(*self._ttl, ttl)
            try:
                self._sock.send(self._left[:1])
            finally:
                self._sock.setsockopt(*self._ttl, DEFAULT)
        except OSError:
            return False
        self._left = self._left[1:]
        self._octets += 1
        return True

    def is_current(self, seq: int | None) -> bool:
        """Whether a quoted sequence number is that of the last octet, and not of an earlier one."""
        if seq is None:
            return True
        if self._origin is None:
            self._origin = (seq - self._octets + 1) % (1 << 32)
        return (seq - self._origin) % (1 << 32) == self._octets - 1

    @property
    def arrived(self) -> bool:
        """Whether the last octet came to the target with the TTL that it was given."""
        return is_established(self._sock) and self._counts() == (0, self._resent)

    def fileno(self) -> int:
        """The descriptor; -1 when closed."""
        return self._sock.fileno()

    def read(self) -> Iterator[Reply]:
        """Forgets what the target sends: an answer to its request is not waited for."""
        with suppress(OSError):
            while self._sock.recv(LARGEST):
                pass
        return iter(())

    def finish(self) -> None:
        """Send what is left of the request."""
        with suppress(OSError):
            if is_established(self._sock):
                self._sock.send(self._left)
        self._left = b""

    @property
    def is_answered(self) -> bool:
        """After :meth:`finish`: whether the target has ended the connection, or there is none any more."""
        try:
            while self._sock.recv(LARGEST):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


def ports_of(packet: bytes) -> tuple[int, int]:
    """Source and target port of a packet."""
    one, other = struct.unpack_from("!HH", packet, transport_offset(packet))
    return one, other
