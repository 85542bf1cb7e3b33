"""What the connection helpers share: sockets that belong to one job, one deadline, and whose fault a failure is.

A network failure is data: ``spdr_state`` says ``CONN_TIMEOUT`` or ``CONN_FAILED``, and ``error`` how, for people. A
failure of our own machine says nothing about the path: the connection is ``CONN_SKIPPED`` and ``local_error`` names the
reason (an errno name, or one of ``no_ipv4_source``, ``no_ipv6_source``, ``bad_dip``, ``bad_dp``, ``bad_domain``).

How the two are told apart:

* An error that ``connect()`` or ``send()`` itself returns was found before a packet left: no route (``ENETUNREACH``),
  a local firewall (``EPERM``), no port or no source address (``EADDRNOTAVAIL``), no memory. It is ours. The exception
  is an answer that arrives while the call still runs (``ECONNREFUSED``, ``ECONNRESET``).
* ``EHOSTUNREACH`` and its like arrive later for two reasons: an ICMP error from the path, or a neighbour that does not
  answer ARP, for which the kernel sends itself an ICMP error. The socket's error queue (``IP_RECVERR``, ip(7); for TCP
  since Linux 5.16) names the sender of the ICMP message: if that is our own address, or there was no such message, no
  packet has left, and the error is ours. It also reports an ICMP error that arrives while the call still runs, which
  the kernel otherwise ignores until it has sent a second SYN one second later.
* Once the handshake is complete an ICMP error ends no connection, as TCP wants it (:func:`settle`): in every mode, with
  and without TCP Fast Open, since a measurement compares them.
* A local firewall that drops silently in its output hook cannot be told from a silent path here: it is a timeout, and
  so is a neighbour whose ARP fails after the deadline. The observer can tell, since it sees no packet leaving. A local
  firewall that answers with a TCP reset cannot be told from a server that does.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec

from pathspider.helpers import poller, ports
from pathspider.helpers.poller import Exchange, Wait
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, Conn, Connection, Job

Parameters = ParamSpec("Parameters")

Source = tuple[str | None, str | None]
"""The vantage point's addresses: (IPv4 or ``None``, IPv6 or ``None``)."""

SockOpts = Iterable[tuple[int, int, int | bytes]]
"""Socket options as ``setsockopt`` takes them: (level, option, value)."""

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; in the socket module since Python 3.12
IP_RECVERR = 11
IPV6_RECVERR = 25
SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 = 2, 3  # linux/errqueue.h
MSG_ERRQUEUE = 0x2000

ANSWERS = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}
"""Errors that only an answer of the other side can cause."""

RESEND_AFTER = (1.0, 3.0, 7.0)
"""Seconds after which an unanswered datagram or forged packet is sent again, as Linux does for a SYN: a lost packet is
no verdict."""
ESTABLISHED, SYN_SENT, CLOSE_WAIT = 1, 2, 8  # net/tcp_states.h
TCPI_OPT_SYN_DATA = 32  # linux/tcp.h
WAITING = {errno.EINPROGRESS, errno.EAGAIN, errno.EALREADY}
NO_PACKET_LEFT = 0


class Opened(Connection, total=False):
    """A connection that came up, of which :func:`opening` was told what goes first."""

    sent: int
    """How many octets of that have left with the SYN."""


def errno_name(number: int) -> str:
    """``ENETUNREACH`` for 101."""
    return errno.errorcode.get(number, f"errno {number}")


def local_error(name: str, sp: int = NO_PACKET_LEFT) -> Connection:
    """The result of a connection that our own machine could not make."""
    return {"spdr_state": CONN_SKIPPED, "sp": sp, "local_error": name}


def failed(state: Conn, sp: int, error: str) -> Connection:
    """The result of a connection that the network did not let through; ``error`` is for people."""
    return {"spdr_state": state, "sp": sp, "error": error}


def over(protocol: int) -> Callable[[Callable[Parameters, Connection]], Callable[Parameters, Connection]]:
    """For a connection function: what it returns tells the transport protocol, by its number, as ``proto``.

    A flow of another protocol with the same ports is then never taken for the connection's.
    """
    def decorate(function: Callable[Parameters, Connection]) -> Callable[Parameters, Connection]:
        @wraps(function)
        def connect(*args: Parameters.args, **options: Parameters.kwargs) -> Connection:
            connection = function(*args, **options)
            connection["proto"] = protocol
            return connection

        return connect

    return decorate


def is_ipv6(address: str) -> bool:
    """Whether a numeric address is IPv6. ``ValueError`` if it is none: names are never looked up, zones are refused."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
    except (OSError, UnicodeError, ValueError) as error:
        raise ValueError(f"not an IP address: {address!r}") from error
    return family == socket.AF_INET6


def wait(sock: socket.socket, events: int, deadline: float) -> int:
    """Block until ``sock`` is ready for ``events`` or has failed: what it is, as poll(2) says it.

    0 if ``deadline``, a moment on :func:`pathspider.helpers.poller.clock`, came first.
    """
    return poller.wait(sock, events, deadline)


def pending_error(sock: socket.socket, own: str, target: str) -> tuple[int, bool]:
    """The error that waits on a socket: (errno or 0, whether the network caused it).

    Reads the error queue first: taking ``SO_ERROR`` alone would lose who sent an ICMP message.
    """
    number, network = 0, False
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, MSG_ERRQUEUE)
    except OSError:
        ancillary = []
    for _, _, content in ancillary:
        if len(content) < 16:
            continue
        number, origin = struct.unpack_from("=IB", content)
        foreign = target == own or offender(content[16:]) != own
        network = foreign and origin in (SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6)
    waiting = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not number:
        number, network = waiting, waiting in ANSWERS or waiting == errno.ETIMEDOUT
    return number, network


def offender(address: bytes) -> str | None:
    """The sender of an ICMP message, from the ``sockaddr`` behind a ``sock_extended_err``."""
    if len(address) < 2:
        return None
    (family,) = struct.unpack_from("=H", address)
    if family == socket.AF_INET and len(address) >= 8:
        return socket.inet_ntop(socket.AF_INET, address[4:8])
    if family == socket.AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(socket.AF_INET6, address[8:24])
    return None


def failure(sock: socket.socket, number: int, network: bool, sp: int) -> Connection:
    """Close a socket that failed with errno ``number``; the result says whose fault it was."""
    sock.close()
    if not network:
        return local_error(errno_name(number), sp)
    return failed(CONN_TIMEOUT if number == errno.ETIMEDOUT else CONN_FAILED, sp, errno_name(number))


def open_connection(
    source: Source,
    job: Job,
    deadline: float,
    sockopts: SockOpts | None = None,
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    connect: bool = True,
    first: bytes = b"",
) -> Connection:
    """Connect a socket from ``source`` to ``job["dip"]``, port ``job["dp"]``, until ``deadline``.

    ``deadline`` is a moment on :func:`pathspider.helpers.poller.clock`: monotonic seconds, without our own lag.

    Returns ``spdr_state``, ``sp`` and, where it is ``CONN_OK``, the non-blocking socket as ``client``: closing it is
    the caller's. For ``SOCK_DGRAM`` connecting sends nothing. The source port is bound when connecting, not before
    (``IP_BIND_ADDRESS_NO_PORT``), so that two targets can share one and 28,000 ports are no limit for a run; it is
    read right after, so that it is known for a failed connection too.

    With ``connect=False`` the socket is ready for somebody else to connect it, and ``sp`` is 0 until then. Until
    :func:`settle` has seen the handshake's end, the path's ICMP errors end the connection.

    ``first`` is what the caller is about to send: where TCP Fast Open has a cookie, the SYN carries it, or as much as
    there is room for. ``sent`` says how many bytes of it have left.

    ``sockopts`` are set before connecting; the ``OSError`` of an option that the kernel refuses is raised: it is a
    mistake of the plugin, or a missing privilege, and true for all jobs.
    """
    return poller.run(opening(source, job, deadline, sockopts, kind=kind, connect=connect, first=first))


def opening(
    source: Source,
    job: Job,
    deadline: float,
    sockopts: SockOpts | None = None,
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    connect: bool = True,
    first: bytes = b"",
) -> Exchange[Connection]:
    """:func:`open_connection` as an exchange, of which others are made."""
    try:
        own, address, port = _ends(source, job)
    except ValueError as error:
        return local_error(str(error))
    six = ":" in address
    if kind == socket.SOCK_DGRAM and connect:
        return _datagrams(own, (address, port), six, sockopts)
    try:
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    except OSError as error:
        return local_error(errno_name(error.errno or 0))
    try:
        _prepare(sock, six, sockopts)
        try:
            sock.bind((own, 0))
        except OSError as error:
            return failure(sock, error.errno or 0, False, NO_PACKET_LEFT)
        if not connect:
            return {"spdr_state": CONN_OK, "sp": NO_PACKET_LEFT, "client": sock}
        return (yield from _connect(sock, six, (address, port), deadline, first))
    except BaseException:
        sock.close()
        raise


def _ends(source: Source, job: Job) -> tuple[str, str, int]:
    """Our address, the target's, and its port; ``ValueError`` says which of them is missing or bad."""
    address, port = job.get("dip"), job.get("dp")
    try:
        six = is_ipv6(address if isinstance(address, str) else "")
    except ValueError:
        raise ValueError("bad_dip") from None
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError("bad_dp")
    own = source[six]
    if own is None:
        raise ValueError("no_ipv6_source" if six else "no_ipv4_source")
    return own, str(address), port


def report_icmp(sock: socket.socket, six: bool, on: bool) -> None:
    """Have the error queue of a socket (of IPv6: ``six``) tell of ICMP errors, and all of them, or not any more."""
    level, option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if six else (socket.SOL_IP, IP_RECVERR)
    sock.setsockopt(level, option, on)


def _prepare(sock: socket.socket, six: bool, sockopts: SockOpts | None) -> None:
    sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    report_icmp(sock, six, True)
    for level, option, value in sockopts or ():
        try:
            sock.setsockopt(level, option, value)
        except OSError as error:
            text = f"the kernel refuses socket option {option} of level {level} = {value!r}: {error.strerror}"
            raise OSError(error.errno, text) from error


def _connect(
    sock: socket.socket, six: bool, target: tuple[str, int], deadline: float, first: bytes
) -> Exchange[Connection]:
    number, sent = sock.connect_ex(target), 0
    name, sp = sock.getsockname()[:2]  # the name as the kernel spells it
    if not number and not is_established(sock):  # TCP Fast Open, and there is a cookie: the SYN waits for data
        number, sent = _send_syn(sock, first)
    if number and number not in WAITING:
        return failure(sock, number, number in ANSWERS, sp)
    try:
        ready = yield Wait(sock, select.POLLOUT, deadline)
    except OSError as error:  # nobody can wait for it: no descriptor, no memory
        return failure(sock, error.errno or 0, False, sp)
    if not ready:
        sock.close()
        return failed(CONN_TIMEOUT, sp, "no answer to the SYN")
    if not settle(sock):
        number, network = pending_error(sock, name, target[0])
        if number:
            return failure(sock, number, network, sp)
        report_icmp(sock, six, False)
    opened: Opened = {"spdr_state": CONN_OK, "sp": sp, "client": sock}
    if first:
        opened["sent"] = sent
    if sent:
        opened["syn_data_acked"] = syn_data_acked(sock)
    return opened


def _send_syn(sock: socket.socket, first: bytes) -> tuple[int, int]:
    """Have a SYN leave that waits for data, be there none; what connect(2) says, and how much of the data has left."""
    try:
        return errno.EINPROGRESS, sock.send(first)
    except OSError as error:
        return error.errno or 0, 0


def is_established(sock: socket.socket) -> bool:
    """Whether the handshake of our TCP connection is complete, and the connection still stands. tcp(7), ``TCP_INFO``"""
    return _state(sock) in (ESTABLISHED, CLOSE_WAIT)


def is_connecting(sock: socket.socket) -> bool:
    """Whether a SYN is under way, or waits for data, and nothing has ended it."""
    return _state(sock) == SYN_SENT


def syn_data_acked(sock: socket.socket) -> bool:
    """Whether our SYN carried data, and the SYN-ACK acknowledged them all. tcp(7), ``TCP_INFO``"""
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 6)[5] & TCPI_OPT_SYN_DATA)


def _state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def settle(sock: socket.socket) -> bool:
    """Whether the handshake is complete. From then on the connection survives ICMP errors, as TCP wants it, also those
    that came before we looked. :rfc:`5927`"""
    if not is_established(sock):
        return False
    report_icmp(sock, sock.family == socket.AF_INET6, False)  # the error queue is emptied, too
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return True


class _Unmade(Exception):  # noqa: N818 - carries a result, is no error of ours
    """There is no socket; ``result`` says why."""

    def __init__(self, result: Connection) -> None:
        self.result = result


def _datagrams(own: str, target: tuple[str, int], six: bool, sockopts: SockOpts | None) -> Connection:
    """A datagram socket that is connected to the target, from a port that was not used to it lately."""
    options = list(sockopts or ())

    def make() -> socket.socket:
        try:
            sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise _Unmade(local_error(errno_name(error.errno or 0))) from error
        try:
            _prepare(sock, six, options)
            try:
                sock.bind((own, 0))
                number = sock.connect_ex(target)
            except OSError as error:
                number = error.errno or 0
            if number:
                if number == errno.EAGAIN:  # what connect() says of a datagram socket when no port is free
                    number = errno.EADDRNOTAVAIL
                raise _Unmade(failure(sock, number, number in ANSWERS, NO_PACKET_LEFT))
        except BaseException:
            sock.close()
            raise
        return sock

    try:
        sock = ports.unused(ports.UDP, target[0], make)
    except _Unmade as end:
        return end.result
    except ports.AllUsed as error:
        return local_error(errno_name(error.errno or 0))
    return {"spdr_state": CONN_OK, "sp": sock.getsockname()[1], "client": sock}
