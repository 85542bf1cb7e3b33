"""A request over HTTP/3 by aioquic, over a socket of our own, and then packets with ECT(0). :rfc:`9000`, :rfc:`9114`

aioquic does no input or output: all of a connection is an exchange of the poller's (:mod:`pathspider.helpers.poller`),
which computes (keys, signatures) in its thread, one connection at a time: threads of their own would only wait for the
interpreter. For as long as a connection waits for its turn its clock stands still: that is no time of the network.

As :rfc:`9000`, sections 13.4.2 and A.4 have it, some packets are marked, and what the server says of them is kept; but
handshake and request leave without a mark, so that what befalls a mark is told from what befalls QUIC. What is then
sent are PING frames, each after the one before it was acknowledged: so each of them, and what acknowledges it, have a
value of the spin bit (section 17.4).
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from pathspider.helpers import poller
from pathspider.helpers.dns import SO_TIMESTAMPNS, came
from pathspider.helpers.hello import server_name
from pathspider.helpers.http import FINAL, USER_AGENT, url_host
from pathspider.helpers.modes import MODES
from pathspider.helpers.optional import require_aioquic
from pathspider.helpers.poller import Wait, clock
from pathspider.helpers.sockets import (
    ANSWERS,
    WAITING,
    Source,
    errno_name,
    failed,
    local_error,
    opening,
    over,
    pending_error,
)
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT, Connection, Job

if TYPE_CHECKING:
    from pathspider.helpers.quic_connection import Client, Counts

NOT_ECT, ECT0 = 0, 2
"""In the ECN field. :rfc:`3168`"""

PACKETS = 10
"""That are sent with a mark, at least: as many as :rfc:`9000`, section A.4, has."""
LEAST_PATIENCE = 1.0
"""Seconds that an acknowledgement is waited for at least."""

LONG_HEADER, SPIN = 0x80, 0x20
"""Bits of a packet's first octet. :rfc:`9000`, section 17"""
REQUEST_CANCELLED = 0x10C
"""Of HTTP/3. :rfc:`9114`, section 8.1"""

STATUS_DIGITS = 3
MOST_AT_ONCE = 16
"""Datagrams that are taken before others have their turn."""


@over(socket.IPPROTO_UDP)
def connect_quic(source: Source, job: Job, timeout: float) -> Connection:
    """GET ``/`` over HTTP/3 from UDP port ``job["dp"]`` (default 443) of ``job["dip"]``, then marked packets.

    All within ``timeout`` seconds. Success is a response of any status from 200 on. Returns the keys
    of :class:`~pathspider.records.Connection` that begin with ``quic_``, and what
    :func:`~pathspider.helpers.http.connect_h3` does.
    :exc:`~pathspider.helpers.optional.MissingError` where aioquic is not installed.
    """
    require_aioquic("the plugin quic")
    import pathspider.helpers.quic_connection  # noqa: F401, PLC0415 - optional; not on the connection's time

    job = {**job, "dp": job.get("dp") or MODES["h3"].port}
    try:
        host, name = url_host(job), server_name(job)
    except ValueError:
        return local_error("bad_domain")
    return poller.run(_exchange(source, job, clock(), timeout, host, name), here=False)


def _exchange(  # noqa: PLR0917
    source: Source, job: Job, began: float, timeout: float, host: str, name: str | None,
) -> poller.Exchange[Connection]:
    from pathspider.helpers.quic_connection import Client  # noqa: PLC0415 - optional

    waited = clock() - began
    opened = yield from opening(source, job, began + timeout, kind=socket.SOCK_DGRAM)
    if opened["spdr_state"] != CONN_OK:
        return opened
    with opened["client"] as sock:
        exchange = Exchange(sock, Client(name), began + timeout, waited)
        try:
            yield from exchange.request(host)
            if exchange.status:
                yield from exchange.ask_of_marks()
        except _Failure as end:
            exchange.failure = end.result
        exchange.close()
    result = exchange.result()
    exchange.client.forget()
    return result


class _Failure(Exception):  # noqa: N818 - carries a result, is no error of ours
    """The socket is of no more use; ``result`` says why."""

    def __init__(self, result: Connection) -> None:
        self.result = result


class Exchange:
    """One connection, what is under way on it, and what has come of it."""

    def __init__(self, sock: socket.socket, client: Client, deadline: float, lag: float) -> None:
        self.sock, self.client, self.deadline = sock, client, deadline
        self.lag = lag
        """For how long this connection has waited for its turn."""
        self.moment = 0.0
        self.left = (0.0, 0.0)
        """When the network was last waited for, by the clock of all, and in monotonic seconds."""
        self.waits = False
        """And nothing that came of that has been looked at."""
        self.own, self.sp = sock.getsockname()[:2]
        self.peer = sock.getpeername()
        self.status = 0
        """Of the response."""
        self.failure: Connection | None = None
        self.http: Any = None
        self.stream: int | None = None
        self.host = ""
        self.marked: int | None = None
        """Number of the first packet with a mark."""
        self.datagrams = 0
        """That left with one."""
        self.counts: Counts | None = None
        self.acked = 0
        self.unmarked_acked: bool | None = None
        self.spins: list[str] = []
        self.mark = NOT_ECT
        self.sent_spins: set[bool] = set()
        """Of the packets with a short header that left since the last PING, which is among them."""
        self.came_spin = False
        """Of the last one that came."""
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    # -- what is asked ---------------------------------------------------------------------------------------------

    def request(self, host: str) -> poller.Exchange[None]:
        """Ask for the response to a request, and for the handshake's confirmation."""
        self.host = host
        self.client.connect(self.peer, self.now())
        yield from self.go_on(lambda: bool(self.status), self.deadline)
        if self.status:
            yield from self.go_on(lambda: self.client.confirmed, self.deadline)

    def ask_of_marks(self) -> poller.Exchange[None]:
        """Send packets with ECT(0); where none is acknowledged, such without."""
        if not self.client.confirmed:
            return
        before = self.client.counts or (0, 0, 0)
        first = self.marked = self.client.next_number
        self.set_mark(ECT0)
        yield from self.ping(LEAST_PATIENCE, (self.now() + self.deadline) / 2)
        self.set_mark(NOT_ECT)
        behind = self.client.next_number
        if not self.has_acknowledged(first) and not self.client.over:
            self.spins.clear()
            yield from self.ping(self.deadline, self.deadline)
            self.unmarked_acked = self.has_acknowledged(behind)
        # now, since an acknowledgement that was waited for in vain may have come with a later one
        self.acked = sum(first <= number < behind for number in self.client.acknowledged)
        if (counts := self.client.counts) is not None:
            self.counts = counts[0] - before[0], counts[1] - before[1], counts[2] - before[2]

    def ping(self, patience: float, latest: float) -> poller.Exchange[None]:
        """Send PINGs, one after the other, until there are :data:`PACKETS` pairs of spin bits; not more than twice as
        many, and none behind a first one that is not acknowledged.

        :param patience: seconds that each is waited for, at least
        :param latest: the moment up to which the first one is waited for; so there is time for what comes behind
        """
        answered, silent = False, 0
        for _ in range(2 * PACKETS):
            number = self.client.next_number
            self.client.send_ping(number)
            self.sent_spins.clear()
            until = min(self.deadline if answered else latest, self.now() + max(patience, self.client.patience))
            if (yield from self.go_on(lambda number=number: self.has_acknowledged(number), until)):  # type: ignore[misc]
                answered = True
                if len(self.sent_spins) == 1:  # else it may be that of another packet which came back
                    self.spins.append(f"{self.sent_spins == {True}:d}{self.came_spin:d}")
            else:
                silent += 1
            if self.client.over or silent > answered or len(self.spins) >= PACKETS:
                return

    def has_acknowledged(self, number: int) -> bool:
        """Whether the packet of this number, or a later one, was."""
        return self.client.latest >= number

    def set_mark(self, mark: int) -> None:
        """Give the packets that follow an ECN field."""
        level, option = ((socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if self.sock.family == socket.AF_INET6
                         else (socket.IPPROTO_IP, socket.IP_TOS))
        self.sock.setsockopt(level, option, mark)
        self.mark = mark

    # -- how it goes on --------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The moment on this connection's clock, which never goes back: that is more than aioquic could bear."""
        self.moment = max(self.moment, clock() - self.lag)
        return self.moment

    def go_on(self, done: Callable[[], bool], until: float) -> poller.Exchange[bool]:
        """Let it go on until something is done, or a moment on its clock has come; whether it is done."""
        self.send()
        while not done():
            if self.client.over:
                return False
            timer = self.client.get_timer()
            moment = until if timer is None else min(until, timer)
            if (yield from self.wait(moment)):
                self.receive(done)
                if done():
                    break  # what this calls for leaves with what is sent next
            elif moment == until:
                return False
            if timer is not None and self.now() >= timer:
                self.client.handle_timer(self.now())
            self.send()
        return True

    def wait(self, until: float) -> poller.Exchange[bool]:
        """Wait for datagrams. An ICMP error ends a connection whose handshake is not complete."""
        self.left, self.waits = (clock(), monotonic()), True
        due = until + self.lag
        try:
            ready = yield Wait(self.sock, select.POLLIN, due)
        except OSError as error:  # nobody can wait for it
            raise _Failure(local_error(errno_name(error.errno or 0), self.sp)) from error
        if not ready:
            self.waited_since(due)
        if ready & select.POLLERR:
            number, network = pending_error(self.sock, self.own, self.peer[0])
            if number and not self.client.complete:
                raise self.ended(number, network)
        return bool(ready)

    def waited_since(self, moment: float) -> None:
        """It could have gone on at a moment of the clock of all: from then on it waited for its turn, which others
        had. The clock of all does not count what nobody could attend to, and so that is not taken off it twice."""
        if self.waits:
            self.lag += max(0.0, clock() - max(moment, self.left[0]))
            self.waits = False

    def ended(self, number: int, network: bool) -> _Failure:
        """The end by an error, the path's or our own machine's."""
        if not network:
            return _Failure(local_error(errno_name(number), self.sp))
        return _Failure(failed(CONN_FAILED, self.sp, errno_name(number)))

    def send(self) -> None:
        """Send what there is to send."""
        for data, _ in self.client.datagrams_to_send(self.now()):
            try:
                self.sock.send(data)
            except OSError as error:
                number = error.errno or 0
                if number not in WAITING and (number not in ANSWERS or not self.client.complete):
                    raise self.ended(*(pending_error(self.sock, self.own, self.peer[0]) if number in ANSWERS
                                       or number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES)
                                       else (number, False))) from error
            self.datagrams += self.mark != NOT_ECT
            if not data[0] & LONG_HEADER:
                self.sent_spins.add(bool(data[0] & SPIN))

    def receive(self, done: Callable[[], bool]) -> None:
        """Take what has come in time, until it is done; not much at once, since others wait."""
        lag = self.lag  # when it came
        for _ in range(MOST_AT_ONCE):
            if done():
                return
            try:
                data, ancillary, _, _ = self.sock.recvmsg(65535, 64)
            except OSError:
                return
            if (moment := came(ancillary)) is not None:
                began, at = self.left  # the network had its time from then on, whether we could look or not
                arrived = began + max(0.0, moment - at)
                if arrived - lag > self.deadline:
                    return
                self.waited_since(arrived)
            if data and not data[0] & LONG_HEADER:
                self.came_spin = bool(data[0] & SPIN)
            self.client.receive_datagram(data, self.peer, self.now())
            self.look()

    def look(self) -> None:
        """At what has happened: send the request when it may go, and note the response."""
        from aioquic.h3.events import HeadersReceived  # noqa: PLC0415 - optional
        from aioquic.quic.events import HandshakeCompleted  # noqa: PLC0415

        while (event := self.client.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.ask()
            if self.status:
                continue
            for one in self.http.handle_event(event) if self.http is not None else ():
                if isinstance(one, HeadersReceived) and one.stream_id == self.stream:
                    self.note(dict(one.headers).get(b":status", b""), one.stream_ended)

    def ask(self) -> None:
        """The request."""
        from pathspider.helpers.quic_connection import http_over  # noqa: PLC0415 - optional

        self.http = http_over(self.client)
        self.stream = self.client.get_next_available_stream_id()
        self.http.send_headers(self.stream, [
            (b":method", b"GET"), (b":scheme", b"https"), (b":authority", self.host.encode("ascii")), (b":path", b"/"),
            (b"user-agent", USER_AGENT.encode("ascii")), (b"accept", b"*/*")], end_stream=True)

    def note(self, status: bytes, ended: bool) -> None:
        """A response's header; the body is not wanted."""
        if self.status or len(status) != STATUS_DIGITS or not status.isdigit() or int(status) < FINAL:
            return
        self.status = int(status)
        if not ended:
            assert self.stream is not None
            self.client.stop_stream(self.stream, REQUEST_CANCELLED)

    def close(self) -> None:
        """Say goodbye."""
        if self.client.over or (self.failure is not None and "local_error" in self.failure):
            return
        self.set_mark(NOT_ECT)
        self.client.close()
        try:
            for data, _ in self.client.datagrams_to_send(self.now()):
                self.sock.send(data)
        except OSError:
            pass  # nobody needs it

    # -- what came of it -------------------------------------------------------------------------------------------

    def answer(self) -> str:
        """What came, in a word."""
        if self.status:
            return "response"
        if self.failure is not None:
            return "icmp"
        return self.client.ended or ("handshake" if self.client.complete else "none")

    def result(self) -> Connection:
        """All that is told."""
        if self.failure is not None and "local_error" in self.failure:
            return self.failure
        answer = self.answer()
        result: Connection
        if self.status:
            result = {"spdr_state": CONN_OK, "sp": self.sp, "http_status": self.status, "http_version": "3"}
        else:
            state = CONN_TIMEOUT if answer in ("handshake", "none") else CONN_FAILED
            result = self.failure or failed(state, self.sp, answer)
        result["quic_answer"] = answer
        if self.client.version is not None:
            result["quic_version"] = self.client.version
        if self.client.offered:
            result["quic_offered"] = [*self.client.offered]
        if self.marked is not None:
            result["quic_marked"], result["quic_marked_acked"] = self.datagrams, self.acked
            result["quic_counts"] = None if self.counts is None else [*self.counts]
            result["quic_spins"] = ",".join(self.spins)
        if self.unmarked_acked is not None:
            result["quic_unmarked_acked"] = self.unmarked_acked
        return result
