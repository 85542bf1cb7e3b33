"""Raw sockets for forged packets: send them, receive what comes back, and keep the kernel out of it.

The kernel knows nothing of a forged connection, so it would answer the target's replies itself: with a RST to a
SYN-ACK, with an ICMP error to a datagram. Therefore each forged flow (:class:`Flow`) holds a real socket on its source
port.

* TCP: a listening socket with a filter that rejects every packet. The kernel finds it for whatever comes to the port
  and drops the packet there, silently: no RST, and no rule of the machine is changed. A raw socket gets its copy before
  that.
* UDP: a socket that is connected to the target. It receives the replies, and the ICMP errors that belong to them.

Either way the port cannot be given to, or be in use by, a real connection, and when this process ends, however it ends,
nothing of it is left. The raw sockets are made once for each worker and IP version (:class:`Link`).

Needs ``CAP_NET_RAW``; for TCP also ``CAP_NET_ADMIN``: kernel 6.18 refuses the filter without it.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from pathspider.helpers import poller, ports
from pathspider.helpers.sockets import (
    IP_RECVERR,
    IPV6_RECVERR,
    MSG_ERRQUEUE,
    SO_EE_ORIGIN_ICMP,
    SO_EE_ORIGIN_ICMP6,
    errno_name,
    is_ipv6,
    offender,
)

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3  # linux/in.h, linux/in6.h
REJECT_ALL = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0), 8)
"""One instruction of classic BPF: return 0, keep nothing. linux/bpf_common.h"""
REJECTS = struct.pack("@HP", 1, ctypes.addressof(REJECT_ALL))
"""The filter of this one instruction, as ``SO_ATTACH_FILTER`` takes it. linux/filter.h"""

LARGEST = 65535
MOST_ERRORS = 16
"""Errors between which it is looked for what has come; one that does not go away is no reason to go on."""


class NetworkError(Exception):
    """An ICMP error of the path came back for the flow; the text is its errno name."""


class LocalError(Exception):
    """Our own machine failed; the text is an errno name."""


class Link:
    """One worker's raw sockets for one IP version.

    :param own: the vantage point's address
    """

    def __init__(self, own: str) -> None:
        self.own = own
        self.six = is_ipv6(own)
        self._receivers: dict[int, socket.socket] = {}
        self._sender = self._raw(socket.IPPROTO_RAW)
        leave_as_they_are(self._sender, self.six)

    def _raw(self, protocol: int) -> socket.socket:
        family = socket.AF_INET6 if self.six else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        except PermissionError as error:
            raise PermissionError(error.errno, "forging packets needs CAP_NET_RAW: run as root (sudo)") from error
        sock.bind((self.own, 0))
        return sock

    def send(self, packet: bytes, target: str) -> None:
        """Send a packet that begins with its IP header. :exc:`LocalError` if the kernel does not take it."""
        try:
            self._sender.sendto(packet, (target.encode(), 0))  # a str might be a name: that takes longer
        except OSError as error:
            raise LocalError(errno_name(error.errno or 0)) from error

    def receiver(self, protocol: int) -> socket.socket:
        """The raw socket that gets a copy of what comes here over a transport protocol."""
        if protocol not in self._receivers:
            self._receivers[protocol] = self._raw(protocol)
            report_errors(self._receivers[protocol], self.six)
        return self._receivers[protocol]

    def close(self) -> None:
        """Give the sockets back."""
        for sock in (self._sender, *self._receivers.values()):
            sock.close()


class Flow:
    """One forged flow: holds its source port, reads what comes back. Close it when nothing is expected any more.

    :param link: the worker's raw sockets
    :param protocol: ``socket.IPPROTO_TCP``, ``IPPROTO_UDP`` or another transport protocol, which then has no ports
    :param source_port: 0 lets the kernel choose a free one
    :param target: the other end: address and port
    :raises OSError: ``EADDRINUSE`` if the port belongs to somebody
    """

    def __init__(self, link: Link, protocol: int, source_port: int, target: tuple[str, int]) -> None:
        self.link = link
        self.protocol = protocol
        self.target = target
        self.too_big: list[tuple[int, bytes]] = []
        """What routers said of packets that were too big for the next link: the size that it takes, as they say, and
        what they quoted of the packet behind its IP header. :rfc:`1191`, :rfc:`4443`"""
        self._holder: socket.socket | None = None
        receiver = link.receiver(protocol) if protocol != socket.IPPROTO_UDP else None
        if protocol == socket.IPPROTO_TCP:
            self._holder = hold_tcp_port(link.own, source_port, target[0])
        elif protocol == socket.IPPROTO_UDP:
            self._holder = hold_udp_port(link.own, source_port, target)
        self.source_port: int = self._holder.getsockname()[1] if self._holder else source_port
        self._receiver = receiver or self._holder
        if receiver:
            self._aim()

    def _aim(self) -> None:
        """Make the raw socket receive from this target alone, and forget what came before."""
        assert self._receiver is not None
        try:
            self._receiver.connect((self.target[0], 0))
        except OSError as error:
            self.close()
            raise LocalError(errno_name(error.errno or 0)) from error
        while True:
            try:
                self._receiver.recv(1)
            except BlockingIOError:
                break
            except OSError:
                continue  # an earlier target's ICMP error
        for _ in self._errors():
            pass

    def send(self, packet: bytes) -> None:
        """Send a packet of this flow, from its IP header on."""
        self.link.send(packet, self.target[0])

    def arrival(self, until: float) -> poller.Wait:
        """What an exchange waits for: that something has come, or that it is ``until``, a moment on
        :func:`pathspider.helpers.poller.clock`: monotonic seconds, without our own lag."""
        assert self._receiver is not None
        return poller.Wait(self._receiver, select.POLLIN, until)

    def wait(self, until: float) -> bool:
        """Block until something has come; False if ``until`` came first."""
        return bool(poller.wait(*self.arrival(until)))

    def read(self) -> Iterator[bytes]:
        """What has come: segments from the TCP header on, payloads of datagrams; does not wait.

        :raises NetworkError: an ICMP error came back for this flow
        :raises LocalError: our own machine says that the target cannot be reached
        """
        assert self._receiver is not None
        errors = 0
        while errors < MOST_ERRORS:
            try:
                data = self._receiver.recv(LARGEST)
            except BlockingIOError:
                break
            except OSError:
                errors += 1
                continue  # the error queue says more; what came beside it counts first
            if self.protocol != socket.IPPROTO_UDP:
                if not self.link.six:
                    data = data[(data[0] & 0xF) * 4:]  # raw(7): IPv4 comes with its header, IPv6 without
                if self.protocol == socket.IPPROTO_TCP and data[:4] != self._ports(back=True):
                    continue
            yield data
        for number, from_network in self._errors():
            if number != errno.EMSGSIZE:  # too big for the path: not an answer
                raise (NetworkError if from_network else LocalError)(errno_name(number))

    def answers(self) -> Iterator[bytes]:
        """What has come, as :meth:`read` has it; errors of the path are left out, as those behind a handshake are."""
        with suppress(NetworkError):
            yield from self.read()

    def _ports(self, back: bool) -> bytes:
        ports = (self.source_port, self.target[1])
        return struct.pack("!HH", *(reversed(ports) if back else ports))

    def _errors(self) -> Iterator[tuple[int, bool]]:
        """The errors reported for this flow: (errno, whether another machine said so)."""
        assert self._receiver is not None
        while True:
            try:
                quoted, ancillary, _, _ = self._receiver.recvmsg(512, 512, MSG_ERRQUEUE)
            except OSError:
                break
            if self.protocol == socket.IPPROTO_TCP and quoted[:4] != self._ports(back=False):
                continue  # of another connection to this target
            for _, _, content in ancillary:
                if len(content) >= 16:
                    number, origin, info = struct.unpack_from("=IB3xI", content)
                    foreign = self.target[0] == self.link.own or offender(content[16:]) != self.link.own
                    from_network = foreign and origin in (SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6)
                    if number == errno.EMSGSIZE and from_network:
                        self.too_big.append((info, quoted))
                    yield number, from_network
        self._receiver.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def fileno(self) -> int:
        """The descriptor that holds the port; -1 when closed."""
        return self._holder.fileno() if self._holder else -1

    def close(self) -> None:
        """Let the port go."""
        if self._holder is not None:
            self._holder.close()


def hold_tcp_port(own: str, port: int, target: str | None = None) -> socket.socket:
    """A socket on a TCP port that swallows whatever comes to it.

    Port 0: a free one, which was not used to the address ``target`` lately; see :mod:`pathspider.helpers.ports`.
    """
    if port == 0 and target is not None:
        return ports.unused(ports.FORGED_TCP, target, lambda: hold_tcp_port(own, 0))
    sock = socket.socket(socket.AF_INET6 if is_ipv6(own) else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, REJECTS)
        sock.bind((own, port))
        sock.listen(1)
    except BaseException:
        sock.close()
        raise
    return sock


def hold_udp_port(own: str, port: int, target: tuple[str, int]) -> socket.socket:
    """A socket on a UDP port that receives what the target sends to it. Port 0: as above."""
    six = is_ipv6(own)

    def hold() -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            report_errors(sock, six)
            sock.bind((own, port))
            sock.connect(target)
        except BaseException:
            sock.close()
            raise
        return sock

    return hold() if port else ports.unused(ports.UDP, target[0], hold)


def leave_as_they_are(sock: socket.socket, six: bool) -> None:
    """Have packets leave whole, however small those that the path took lately: the kernel keeps what routers said for
    ten minutes, and would refuse larger ones. ip(7), ``IP_MTU_DISCOVER``"""
    level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if six else (socket.SOL_IP, IP_MTU_DISCOVER)
    sock.setsockopt(level, option, PMTUDISC_PROBE)


def report_errors(sock: socket.socket, six: bool) -> None:
    """Have ICMP errors queued with their sender. ip(7), ``IP_RECVERR``"""
    level, option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if six else (socket.SOL_IP, IP_RECVERR)
    sock.setsockopt(level, option, 1)
