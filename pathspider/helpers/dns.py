"""Connection modes ``dnstcp`` and ``dnsudp``: one DNS query and its response. :rfc:`1035`, :rfc:`7766`

The query asks for ``job["domain"]``, type A or ``job["qtype"]``. Without a domain it asks for the name servers of the
root (``. NS``): every server can answer that, be it with a referral or a refusal, and it points at nobody. Over UDP an
unanswered query is sent again: any path may lose a packet.

A well-formed response that belongs to the query (its id and question) is success whatever its response code, also with
the truncation bit. A message with another id or question is not the answer, and the answer is still waited for;
anything else that arrives is a failure.
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import struct
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from time import monotonic, time
from types import ModuleType
from typing import Any, cast

from pathspider.chains.dns import is_response
from pathspider.helpers import poller
from pathspider.helpers.modes import DNS_PORT
from pathspider.helpers.poller import Exchange, Wait, arrived, clock
from pathspider.helpers.sockets import (
    ANSWERS,
    RESEND_AFTER,
    WAITING,
    Opened,
    SockOpts,
    Source,
    errno_name,
    failed,
    local_error,
    opening,
    over,
    pending_error,
)
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT, Connection, Job
from pathspider.targets.names import ROOT, to_wire

OWN_ERRORS = {errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN, errno.EPERM}
"""What sending and receiving on a connection that is being made, or was, tells of our own machine."""

SO_TIMESTAMPNS = 35  # asm-generic/socket.h
TIMESPEC = struct.Struct("@ll")

HEADER_SIZE = 12
RESPONSE = 0x80
"""The bit QR, in the header's third octet."""
RCODE = 0x0F
"""The response code, in its fourth."""
LONGEST_NAME, LONGEST_LABEL = 255, 63

WITHOUT_QUESTION = {1, 4, 5, 9}
"""FORMERR, NOTIMP, REFUSED, NOTAUTH: some servers leave the question out of these."""


class _Failure(Exception):  # noqa: N818 - carries a result, is no error of ours
    """The exchange ended; ``result`` says how."""

    def __init__(self, result: Connection) -> None:
        self.result = result


@cache
def _dnslib() -> ModuleType:
    """dnslib, loaded when first needed: it costs 25 ms."""
    return import_module("dnslib")


@over(socket.IPPROTO_TCP)
def connect_dns_tcp(source: Source, job: Job, timeout: float, sockopts: SockOpts | None = None) -> Connection:
    """Ask the DNS server at ``job["dip"]``, port ``job["dp"]`` (default 53), over TCP, all within ``timeout`` seconds.

    Returns ``spdr_state``, ``sp`` and, if there was a valid response, ``dns_rcode`` (int); else ``error`` or
    ``local_error`` as :func:`~pathspider.helpers.tcp.connect_tcp` does. The connection is closed.
    """
    return _ask(socket.SOCK_STREAM, source, job, timeout, sockopts)


@over(socket.IPPROTO_UDP)
def connect_dns_udp(source: Source, job: Job, timeout: float, sockopts: SockOpts | None = None) -> Connection:
    """The same over UDP, one datagram each way. A query without an answer is sent again after 1, 3 and 7 seconds, as
    far as ``timeout`` allows. An ICMP error from the path is a failure."""
    return _ask(socket.SOCK_DGRAM, source, job, timeout, sockopts)


def query(job: Job) -> Any:
    """The job's query, with a random id, as a ``dnslib.DNSRecord``; ``ValueError`` for what cannot be asked."""
    dnslib = _dnslib()
    domain, qtype = job.get("domain"), job.get("qtype")
    if not domain:
        domain, qtype = ROOT, qtype or "NS"
    name = to_wire(domain)
    try:
        number = getattr(dnslib.QTYPE, str(qtype or "A").upper())
    except dnslib.DNSError:
        number = None
    if not isinstance(number, int):
        raise ValueError(f"not a DNS record type: {qtype!r}")
    header = dnslib.DNSHeader(id=secrets.randbelow(65536), rd=1)
    return dnslib.DNSRecord(header, q=dnslib.DNSQuestion(b"" if name == ROOT else name.encode("ascii"), number))


def _ask(
    kind: socket.SocketKind, source: Source, job: Job, timeout: float, sockopts: SockOpts | None
) -> Connection:
    _dnslib()  # not on the connection's time
    deadline = clock() + timeout
    try:
        message: bytes = query(job).pack()
    except ValueError:
        return local_error("bad_domain")
    job = {**job, "dp": job.get("dp") or DNS_PORT}
    connection, answer = poller.run(_exchange(kind, source, job, message, deadline, sockopts))
    # here, in the worker's thread: in the poller's all other connections wait meanwhile
    if connection["spdr_state"] != CONN_OK:
        return connection
    result = judge(message, answer, connection["sp"])
    if "syn_data_acked" in connection:
        result["syn_data_acked"] = connection["syn_data_acked"]
    return result


def _exchange(  # noqa: PLR0917 - what :func:`_ask` was given
    kind: socket.SocketKind, source: Source, job: Job, message: bytes, deadline: float, sockopts: SockOpts | None
) -> Exchange[tuple[Connection, bytes]]:
    """What became of it, and where that is ``CONN_OK``, what came back, as it came."""
    stream = struct.pack("!H", len(message)) + message if kind == socket.SOCK_STREAM else b""
    connection = yield from opening(source, job, deadline, sockopts, kind=kind, first=stream)
    if connection["spdr_state"] != CONN_OK:
        return connection, b""
    with connection["client"] as sock:
        channel = _Channel(sock, job["dip"], connection["sp"], deadline)
        try:
            if stream:
                yield from channel.send(stream[cast(Opened, connection)["sent"]:])
                return connection, (yield from channel.receive_answer(message))
            return connection, (yield from channel.ask(message))
        except _Failure as end:
            return end.result, b""


class _Channel:
    """A connected socket with a deadline; what goes wrong comes as :class:`_Failure`. All that waits is an exchange."""

    def __init__(self, sock: socket.socket, target: str, sp: int, deadline: float) -> None:
        self.sock, self.target, self.sp, self.deadline = sock, target, sp, deadline
        self.own = sock.getsockname()[0]

    def send(self, message: bytes) -> Exchange[None]:
        while message:
            try:
                message = message[self.sock.send(message):]
            except OSError as error:
                if error.errno not in WAITING:
                    raise self.ended(error) from error
                yield from self.wait(select.POLLOUT)

    def ask(self, message: bytes) -> Exchange[bytes]:
        """Send a datagram, again while it is unanswered, and return the first that comes back and belongs to it."""
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        began, strangers = clock(), 0
        for pause in (*RESEND_AFTER, float("inf")):
            yield from self.send(message)
            until = min(began + pause, self.deadline)
            while (yield from self.ready(select.POLLIN, until)):
                datagram, late = self.read_datagram()
                if datagram is None:
                    continue
                if not belongs(message, datagram):
                    strangers += 1
                    if late:  # they may come without end
                        raise self.unanswered(strangers)
                elif late:
                    raise _Failure(failed(CONN_TIMEOUT, self.sp, "the response came too late"))
                else:
                    return datagram
            if until >= self.deadline:
                break
        raise self.unanswered(strangers)

    def unanswered(self, strangers: int) -> _Failure:
        """The end without an answer, while so many datagrams came that were none."""
        others = f", but {strangers} of another query" if strangers else ""
        return _Failure(failed(CONN_TIMEOUT, self.sp, f"no response{others}"))

    def read_datagram(self) -> tuple[bytes | None, bool]:
        """A datagram, if there is one, and whether it came after the deadline: it may be that we look late."""
        try:
            datagram, ancillary, _, _ = self.sock.recvmsg(65535, 64)
        except OSError as error:
            if error.errno not in WAITING:
                raise self.ended(error) from error
            return None, False
        moment = came(ancillary)
        return datagram, moment is not None and arrived(moment) > self.deadline

    def receive(self, size: int) -> Exchange[bytes]:
        """At most ``size`` bytes; ``b""`` at the end of a stream."""
        while True:
            yield from self.wait(select.POLLIN)
            try:
                return self.sock.recv(size)
            except OSError as error:
                if error.errno not in WAITING:
                    raise self.ended(error) from error

    def receive_exactly(self, size: int) -> Exchange[bytes]:
        """``size`` bytes of a stream."""
        parts = b""
        while len(parts) < size:
            part = yield from self.receive(size - len(parts))
            if not part:
                raise _Failure(failed(CONN_FAILED, self.sp, "closed without a whole response"))
            parts += part
        return parts

    def receive_answer(self, message: bytes) -> Exchange[bytes]:
        """The first message of a stream that belongs to the query ``message``. :rfc:`7766`, section 7"""
        while True:
            (length,) = struct.unpack("!H", (yield from self.receive_exactly(2)))
            answer = yield from self.receive_exactly(length)
            if belongs(message, answer):
                return answer

    def wait(self, events: int) -> Exchange[None]:
        if not (yield from self.ready(events, self.deadline)):
            raise _Failure(failed(CONN_TIMEOUT, self.sp, "no response"))

    def ready(self, events: int, until: float) -> Exchange[bool]:
        """Wait for the socket, or an error; False if ``until`` came first."""
        try:
            ready = yield Wait(self.sock, events, until)
        except OSError as error:  # nobody can wait for it
            raise _Failure(local_error(errno_name(error.errno or 0), self.sp)) from error
        if ready & select.POLLERR and self.sock.type == socket.SOCK_DGRAM:
            if ready & events & select.POLLIN:  # an answer is an answer, whatever else came back
                self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return True
            number, network = pending_error(self.sock, self.own, self.target)
            if number:
                raise self.ended(OSError(number, ""), network)
        return bool(ready)

    def ended(self, error: OSError, network: bool | None = None) -> _Failure:
        """The end by an error: the path's, or our own machine's."""
        number = error.errno or 0
        if network is None and self.sock.type == socket.SOCK_STREAM:
            network = number not in OWN_ERRORS
        elif network is None:
            network = number in ANSWERS
        if not network:
            return _Failure(local_error(errno_name(number), self.sp))
        state = CONN_TIMEOUT if number == errno.ETIMEDOUT else CONN_FAILED
        return _Failure(failed(state, self.sp, errno_name(number)))


def came(ancillary: Iterable[tuple[int, int, bytes]]) -> float | None:
    """The monotonic moment at which a datagram came, by the kernel's stamp; None where there is none. socket(7)"""
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(content) >= TIMESPEC.size:
            seconds, nanoseconds = TIMESPEC.unpack_from(content)
            return float(monotonic() - (time() - seconds - nanoseconds / 1e9))
    return None


def belongs(message: bytes, datagram: bytes) -> bool:
    """Whether a message is meant as the answer to the query ``message``: it has its id, and no other question.

    It looks at header and question alone, which takes microseconds whatever a stranger has sent: all other connections
    wait meanwhile.
    """
    if datagram[:2] != message[:2]:
        return False
    return len(datagram) < HEADER_SIZE or not datagram[2] & RESPONSE or names_question(message, datagram) is not False


def names_question(message: bytes, response: bytes) -> bool | None:
    """Whether a response names the question of the query ``message``, None where its own is malformed; some that
    refuse the query name none."""
    (count,) = struct.unpack_from("!H", response, 4)
    if not count:
        return response[3] & RCODE in WITHOUT_QUESTION
    end = _question_end(message) or len(message)  # behind it there may be more, as options of UDP
    asked, named = message[HEADER_SIZE:end], response[HEADER_SIZE:end]
    name = len(asked) - 4  # type and class follow
    if count == 1 and named[:name].lower() == asked[:name].lower() and named[name:] == asked[name:]:
        return True
    return False if _question_end(response) else None


def _question_end(message: bytes) -> int | None:
    """Where the question behind the header ends; None if there is none. It stands first, so that its name can point at
    nothing."""
    at = HEADER_SIZE
    while at < min(len(message), HEADER_SIZE + LONGEST_NAME):
        length = message[at]
        if not length:
            return at + 5 if at + 5 <= len(message) else None
        if length > LONGEST_LABEL:
            return None
        at += 1 + length
    return None


def judge(message: bytes, answer: bytes, sp: int) -> Connection:
    """Whether the answer is a well-formed response to the query ``message``. What that costs grows with its length
    alone."""
    if len(answer) < HEADER_SIZE:
        return failed(CONN_FAILED, sp, "not a DNS message: too short")
    if not answer[2] & RESPONSE or answer[:2] != message[:2]:
        return failed(CONN_FAILED, sp, "not a response to the query")
    named = names_question(message, answer)
    if named is False:
        return failed(CONN_FAILED, sp, "a response to another question")
    is_refusal = len(answer) == HEADER_SIZE and not any(answer[4:])  # without its question: no more than a header
    if not named or not (is_refusal or is_response(answer)):
        return failed(CONN_FAILED, sp, "not a DNS message: malformed")
    return {"spdr_state": CONN_OK, "sp": sp, "dns_rcode": answer[3] & RCODE}
