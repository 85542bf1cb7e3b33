"""Connection modes ``http``, ``https`` and ``h3``: one GET request over a connection of its own, by libcurl.

The connection, for HTTP/3 a socket for datagrams, is made by :mod:`pathspider.helpers.sockets`, so that the source port
is known whatever happens, and handed to libcurl. No two requests share anything, since A and B of a measurement must
not influence each other: each has a new handle (which costs 20 microseconds), with no connection, TLS session, cookie,
HSTS or Alt-Svc entry.
Nothing is looked up in the DNS: names go into the Host field and SNI.
"""

from __future__ import annotations

import errno
import re
import select
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from pathspider.helpers import poller
from pathspider.helpers.dns import OWN_ERRORS
from pathspider.helpers.modes import MODES
from pathspider.helpers.optional import MissingError
from pathspider.helpers.poller import Exchange, Transfer, clock
from pathspider.helpers.sockets import (
    ANSWERS,
    WAITING,
    SockOpts,
    Source,
    errno_name,
    failed,
    is_connecting,
    is_ipv6,
    local_error,
    opening,
    over,
    pending_error,
    report_icmp,
    settle,
    syn_data_acked,
)
from pathspider.helpers.tfo import TCP_FASTOPEN_CONNECT
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT, Connection, Job
from pathspider.targets.names import HOST, to_wire
from pathspider.version import __version__

BODY_BYTES = 100_000
"""After so much of a body the rest is not waited for: the response has arrived."""

BODY_SECONDS = 1.0
"""Likewise after so many seconds of body: an endless trickle must not keep a worker until its timeout."""

KEPT_BYTES = 65_536
"""So much of a response's headers, and so much of its body, is kept for a plugin that asks."""

FINAL = 200
"""Statuses below are of interim responses: the response is still to come. :rfc:`9110`, section 15.2"""

HTTP_1_1_REQUIRED = "HTTP_1_1_REQUIRED"
SAID_HTTP_1_1_REQUIRED = re.compile(rb"HTTP_1_1_REQUIRED|GOAWAY, error=13,")
"""How libcurl, in its remarks, tells of this error of HTTP/2, in RST_STREAM and in GOAWAY. :rfc:`9113`, section 7"""

SAID_ERRNO = re.compile(rb"\(errno (\d+)\)")
"""How libcurl tells why it cannot send or receive a datagram."""
OF_THIS_MACHINE = OWN_ERRORS | {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL}
"""Such reasons that no ICMP error gives as final. icmp(7)"""

USER_AGENT = f"PATHspider/{__version__} (+https://pathspider.net/)"
LONG_MS = 2_000_000_000

CurlOpts = Mapping[int, Any]


@over(socket.IPPROTO_TCP)
def connect_http(  # noqa: PLR0917 - the documented order
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None = None,
    curlinfos: Iterable[int] | None = None,
    sockopts: SockOpts | None = None,
    response: bool = False,
) -> Connection:
    """GET ``/`` from port ``job["dp"]`` (default 80) of ``job["dip"]``, all within ``timeout`` seconds.

    The request names ``job["domain"]``, or the address where there is none. Success is an HTTP response of any status
    from 200 on: interim responses (1xx) are passed over, and where nothing follows them there was no response. HTTP/1.1
    unless ``curlopts`` say otherwise.

    ``curlopts`` ({pycurl option: value}) override the defaults here; ``curlinfos`` (pycurl's constants for
    ``getinfo``) come back as ``curl_<name>``, for example ``curl_http_version``, and in ``http_info``, by constant;
    ``sockopts`` ((level, option, value), ...) are set before connecting. With ``response``, the headers of the response
    and the first 64 KiB of its body come back, as ``http_headers``, [(name in lower case, value), ...], and
    ``http_body``. Both are text of one character an octet: ``http_body.encode("latin-1")`` are the octets. (A
    HEADERFUNCTION or WRITEFUNCTION among ``curlopts`` takes them instead.)

    Returns ``spdr_state``, ``sp`` and, if there was a response, ``http_status`` (int) and ``http_version`` (``"1.1"``);
    else ``error`` or ``local_error`` as :func:`~pathspider.helpers.tcp.connect_tcp` does, and ``http2_error`` where the
    server wants HTTP/1.1 in the place of the HTTP/2 that was agreed upon. The connection is closed.
    """
    job = {**job, "dp": job.get("dp") or MODES["http"].port}
    _pycurl()  # not on the connection's time
    exchange = _exchange("http", source, job, timeout, curlopts=curlopts, curlinfos=curlinfos, sockopts=sockopts,
                         response=response)
    return poller.run(exchange, here=False)


@over(socket.IPPROTO_TCP)
def connect_https(  # noqa: PLR0917
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None = None,
    curlinfos: Iterable[int] | None = None,
    sockopts: SockOpts | None = None,
    response: bool = False,
) -> Connection:
    """The same over TLS, default port 443. A certificate that does not hold is no failure; a failing handshake is."""
    job = {**job, "dp": job.get("dp") or MODES["https"].port}
    _pycurl()  # not on the connection's time
    exchange = _exchange("https", source, job, timeout, curlopts=curlopts, curlinfos=curlinfos, sockopts=sockopts,
                         response=response)
    return poller.run(exchange, here=False)


@over(socket.IPPROTO_UDP)
def connect_h3(  # noqa: PLR0917
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None = None,
    curlinfos: Iterable[int] | None = None,
    sockopts: SockOpts | None = None,
    response: bool = False,
) -> Connection:
    """The same over HTTP/3, and nothing else, in UDP port 443 unless the job names one. :rfc:`9114`

    An ICMP error that says that the port is closed, or that it is prohibited, is a failure; of others (a router without
    a way) nothing is heard. :exc:`~pathspider.helpers.optional.MissingError` where libcurl has not got
    HTTP/3, as Debian 12's has not.
    """
    require_http3()  # it loads pycurl, which is not on the connection's time
    job = {**job, "dp": job.get("dp") or MODES["h3"].port}
    exchange = _exchange("https", source, job, timeout, curlopts=curlopts, curlinfos=curlinfos, sockopts=sockopts,
                         response=response, kind=socket.SOCK_DGRAM)
    return poller.run(exchange, here=False)


def require_http3() -> None:
    """Raises :exc:`~pathspider.helpers.optional.MissingError` where libcurl has not got HTTP/3."""
    pycurl = _pycurl()
    _, version, _, _, features = pycurl.version_info()[:5]
    if not features & getattr(pycurl, "VERSION_HTTP3", 0):
        raise MissingError(f"--connect h3 needs a libcurl with HTTP/3, which libcurl {version} is not here, as Debian "
                           "12's is not: pip's pycurl brings one (in a virtual environment: pip install pycurl)")


@cache
def _pycurl() -> ModuleType:
    """pycurl, loaded when first needed: it costs 30 ms.

    It costs 5 s where libcurl was built with OpenLDAP, as Debian's is, and no answer comes to the question for this
    machine's own name that OpenLDAP asks when it is loaded. So that must be over before a connection's time begins.
    """
    return import_module("pycurl")


@cache
def _info_names() -> dict[int, str]:
    """``curl_http_version`` for ``pycurl.INFO_HTTP_VERSION``, ``curl_content_type`` for ``pycurl.CONTENT_TYPE``."""
    names = {}
    for name, value in sorted(vars(_pycurl()).items()):
        if name.isupper() and isinstance(value, int) and 0x100000 <= value < 0x700000:  # CURLINFO_TYPEMASK: 0xf00000
            names[value] = "curl_" + name.removeprefix("INFO_").lower()
    return names


@cache
def _version_names() -> dict[int, str]:
    pycurl = _pycurl()
    names = {"CURL_HTTP_VERSION_1_0": "1.0", "CURL_HTTP_VERSION_1_1": "1.1", "CURL_HTTP_VERSION_2_0": "2"}
    return {getattr(pycurl, name): text for name, text in names.items()} | {30: "3"}


def url_host(job: Job) -> str:
    """The host part of the job's URL; ``ValueError`` if ``job["domain"]`` cannot be one."""
    domain = job.get("domain")
    if domain is None or domain == "":
        address = str(job.get("dip"))
        return f"[{address}]" if ":" in address else address  # whether it is one is seen when connecting
    domain = to_wire(domain)
    if HOST.fullmatch(domain):
        return domain
    if is_ipv6(domain):
        return f"[{domain}]"
    raise ValueError(f"not a host name: {domain!r}")


def _exchange(
    scheme: str,
    source: Source,
    job: Job,
    timeout: float,
    *,
    curlopts: CurlOpts | None,
    curlinfos: Iterable[int] | None,
    sockopts: SockOpts | None,
    response: bool,
    kind: socket.SocketKind = socket.SOCK_STREAM,
) -> Exchange[Connection]:
    deadline = clock() + timeout
    try:
        host = url_host(job)
    except ValueError:
        return local_error("bad_domain")
    sockopts = list(sockopts or ())
    # TCP Fast Open sends nothing until there is data: libcurl 7.88 takes such a socket for one that is not connected
    fast_open = any(option[:2] == (socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT) for option in sockopts)
    connection = yield from opening(source, job, deadline, sockopts, kind=kind, connect=not fast_open)
    if connection["spdr_state"] != CONN_OK:
        return connection
    with connection["client"] as sock:
        url = f"{scheme}://{host}:{job['dp']}/"
        way = _FastOpenTransfer if fast_open else _Transfer if kind == socket.SOCK_STREAM else _DatagramTransfer
        transfer = way(sock, connection["sp"], response)
        try:
            transfer.prepare(url, job, curlopts or {})
            try:
                outcome = yield Transfer(transfer.handle, deadline, lambda: transfer.descriptor, transfer.heed)
            except _pycurl().error as error:  # it cannot begin
                return local_error(f"curl_{error.args[0]}", transfer.sp)
            return transfer.result(outcome or transfer.timed_out(timeout), curlinfos or ())
        finally:
            transfer.handle.close()


class _Transfer:
    """One libcurl transfer over a connected socket: its options, its callbacks, its result."""

    heed: Callable[[int], int] | None = None
    """See :class:`~pathspider.helpers.poller.Transfer`."""

    def __init__(self, sock: socket.socket, sp: int, response: bool) -> None:
        self.sock, self.sp = sock, sp
        self.handle: Any = _pycurl().Curl()
        self.taken = False  # libcurl has the connection
        self.descriptor = -1
        """Libcurl's, of the connection."""
        self.size = 0
        self.body_ends = 0.0
        self.enough = False
        self.http_1_1_required = False
        self.kept = _Response() if response else None

    def prepare(self, url: str, job: Job, curlopts: CurlOpts) -> None:
        """Set all options; ``curlopts`` last."""
        pycurl = _pycurl()
        target = f"[{job['dip']}]" if ":" in job["dip"] else job["dip"]
        options = {
            pycurl.URL: url,
            pycurl.CONNECT_TO: [f"::{target}:{job['dp']}"],  # the address, so that no name is looked up
            pycurl.NOSIGNAL: 1,
            pycurl.PROXY: "",
            pycurl.NOPROXY: "*",
            pycurl.CONNECTTIMEOUT_MS: LONG_MS,  # deadlines are the poller's
            pycurl.DNS_CACHE_TIMEOUT: 0,  # of the multi handle that all transfers share
            pycurl.FRESH_CONNECT: 1,
            pycurl.FORBID_REUSE: 1,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.USERAGENT: USER_AGENT,
            pycurl.OPENSOCKETFUNCTION: self.give_socket,
            pycurl.SOCKOPTFUNCTION: self.take_socket,
            pycurl.WRITEFUNCTION: self.take_body,
        }
        if self.kept is not None:
            options[pycurl.HEADERFUNCTION] = self.kept.take_header
        if url.startswith("https"):
            options |= {pycurl.SSL_VERIFYPEER: 0, pycurl.SSL_VERIFYHOST: 0, pycurl.SSL_SESSIONID_CACHE: 0}
            # libcurl with GnuTLS (Debian's) would read all certificates of /etc/ssl/certs each time: 30 ms
            self.handle.unsetopt(pycurl.CAINFO)
            self.handle.unsetopt(pycurl.CAPATH)
        if curlopts.get(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1) != pycurl.CURL_HTTP_VERSION_1_1:
            options |= {pycurl.VERBOSE: 1, pycurl.DEBUGFUNCTION: self.take_remark}
        if pycurl.RESOLVE in curlopts and pycurl.SHARE not in curlopts:
            # names that are given with their addresses would go into the cache of the multi handle
            self.share = pycurl.CurlShare()
            self.share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
            options[pycurl.SHARE] = self.share
        for option, value in {**options, **curlopts}.items():
            self.handle.setopt(option, value)

    def give_socket(self, _purpose: int, _address: object) -> socket.socket:
        """pycurl takes a copy of the descriptor."""
        return self.sock

    def take_socket(self, descriptor: int, _purpose: int) -> int:
        """libcurl has its copy: ours is closed, so that a worker needs fewer descriptors."""
        self.taken, self.descriptor = True, descriptor
        self.sock.close()
        already: int = _pycurl().SOCKOPT_ALREADY_CONNECTED
        return already

    def take_body(self, chunk: bytes) -> int:
        """Count the body, and end the transfer when enough of it has come."""
        now = clock()
        self.body_ends = self.body_ends or now + BODY_SECONDS
        if self.kept is not None:
            self.kept.take_body(chunk)
        self.size += len(chunk)
        self.enough = self.size >= BODY_BYTES or now >= self.body_ends
        return -1 if self.enough else len(chunk)

    def take_remark(self, kind: int, text: bytes) -> None:
        """What libcurl says of its work: an error of HTTP/2 stands nowhere else.

        After HTTP_1_1_REQUIRED it would begin again over HTTP/1.1, with another connection, which it does not get.
        """
        if kind == _pycurl().INFOTYPE_TEXT and SAID_HTTP_1_1_REQUIRED.search(text):
            self.http_1_1_required = True

    def timed_out(self, timeout: float) -> tuple[int, str]:
        """What libcurl would say."""
        text = f"Operation timed out after {timeout * 1000:.0f} milliseconds with {self.size} bytes received"
        return _pycurl().E_OPERATION_TIMEDOUT, text

    def result(self, outcome: tuple[int, str], curlinfos: Iterable[int]) -> Connection:
        """What came of it; ``outcome`` is libcurl's error number, and its text."""
        pycurl = _pycurl()
        number, text = outcome
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        if status < FINAL:
            return self.no_response(number, text or (f"nothing behind status {status}" if status else ""))
        result: Connection = {"spdr_state": CONN_OK, "sp": self.sp, "http_status": status}
        result["http_version"] = _version_names().get(self.handle.getinfo(pycurl.INFO_HTTP_VERSION))
        if number and not self.enough:
            result["error"] = f"after the response's header: {text}"
        if self.kept is not None:
            result["http_headers"], result["http_body"] = self.kept.headers, self.kept.body.decode("latin-1")
        infos = {info: self.handle.getinfo(info) for info in curlinfos}
        if infos:
            named = {_info_names().get(info, f"curl_{info}"): value for info, value in infos.items()}
            result |= cast(Connection, named)
            result["http_info"] = infos
        return result

    def no_response(self, number: int, text: str) -> Connection:
        """The result of a transfer that ended without a final response."""
        pycurl = _pycurl()
        if not self.taken or number in (pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT):
            # libcurl never got the connection: most likely no descriptor was left
            return local_error(f"curl_{number}", self.sp)
        state = CONN_TIMEOUT if number == pycurl.E_OPERATION_TIMEDOUT else CONN_FAILED
        if self.http_1_1_required:
            text = f"HTTP/2 ended by {HTTP_1_1_REQUIRED}"
        result = failed(state, self.sp, f"{text or 'no HTTP response'} (curl {number})")
        if self.http_1_1_required:
            result["http2_error"] = HTTP_1_1_REQUIRED
        return result


class _Response:
    """What is kept of a response: the headers of its last block (others are of interim responses), and its body."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self._size = 0
        self._open = False
        """Within a block of headers; what comes outside are trailers."""

    def take_header(self, line: bytes) -> None:
        """One line, as libcurl gives it: a status line, a header or the empty one behind them."""
        if line.startswith(b"HTTP/"):
            self.headers, self._size, self._open = [], 0, True
            return
        text = line.decode("latin-1").rstrip("\r\n")
        self._size += len(text)
        if not text:
            self._open = False
        elif self._open and self._size <= KEPT_BYTES:
            name, _, value = text.partition(":")
            if text[0] in " \t" and self.headers:  # folded, RFC 9112, section 5.2
                name, value = self.headers[-1][0], f"{self.headers.pop()[1]} {text.strip()}"
            self.headers.append((name.strip().lower(), value.strip()))

    def take_body(self, chunk: bytes) -> None:
        """The next part of the body."""
        self.body += chunk[:KEPT_BYTES - len(self.body)]


class _DatagramTransfer(_Transfer):
    """A transfer by datagrams.

    Its socket has no error queue, which libcurl would not read: poll(2) would tell of what is in there without end. So
    ICMP errors come as far as the kernel takes them for final.
    """

    errno = 0
    """Of the first call that failed; libcurl names it in its remarks alone."""

    def prepare(self, url: str, job: Job, curlopts: CurlOpts) -> None:
        """As above, over HTTP/3 alone."""
        pycurl = _pycurl()
        report_icmp(self.sock, self.sock.family == socket.AF_INET6, False)
        super().prepare(url, job, {**curlopts, pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_3ONLY})

    def take_remark(self, kind: int, text: bytes) -> None:
        """What libcurl says of its work."""
        if kind == _pycurl().INFOTYPE_TEXT and not self.errno and (found := SAID_ERRNO.search(text)) is not None:
            self.errno = int(found[1])

    def no_response(self, number: int, text: str) -> Connection:
        """As above; an error of the socket is our own machine's, or an ICMP error's."""
        if self.errno in OF_THIS_MACHINE:
            return local_error(errno_name(self.errno), self.sp)
        if self.errno and self.taken:
            return failed(CONN_FAILED, self.sp, errno_name(self.errno))
        return super().no_response(number, text)


class _FastOpenTransfer(_Transfer):
    """A transfer whose connection libcurl makes, when it sends the request, from the socket that we have prepared."""

    settled = False
    """The handshake is complete, and ICMP errors are not reported any more."""
    error = (0, False)
    """The ICMP error that came before: errno, and whether the network caused it."""

    def take_socket(self, descriptor: int, _purpose: int) -> int:
        """Ours stays open: it tells the port, and who sent an ICMP error."""
        self.taken, self.descriptor = True, descriptor
        ok: int = _pycurl().SOCKOPT_OK
        return ok

    def prepare(self, url: str, job: Job, curlopts: CurlOpts) -> None:
        """As above, with a look at the handshake between libcurl's steps: it reads right after it has sent."""
        pycurl = _pycurl()
        super().prepare(url, job, {pycurl.NOPROGRESS: 0, pycurl.XFERINFOFUNCTION: self.look, **curlopts})

    def look(self, *_sizes: int) -> None:
        """libcurl has taken a step: was it the handshake's last?"""
        self.settled = self.settled or settle(self.sock)

    def heed(self, ready: int) -> int:
        """Before libcurl looks: an ICMP error ends the connection until its handshake is complete, and not after.

        libcurl knows nothing of the error queue: it would find nothing, and be told again, without end.
        """
        if self.settled:
            return ready
        self.look()
        if self.settled:
            return ready & ~select.EPOLLERR
        if ready & select.EPOLLERR and is_connecting(self.sock):
            self.error = self.pending_error()
            with suppress(OSError):  # it has come to its end meanwhile
                self.sock.shutdown(socket.SHUT_RDWR)
        return ready

    def pending_error(self) -> tuple[int, bool]:
        """See :func:`~pathspider.helpers.sockets.pending_error`."""
        target: str = self.handle.getinfo(_pycurl().PRIMARY_IP)
        return pending_error(self.sock, self.sock.getsockname()[0], target)

    def result(self, outcome: tuple[int, str], curlinfos: Iterable[int]) -> Connection:
        """As above; the port is known afterwards."""
        result = super().result(outcome, curlinfos)
        result["sp"] = self.sock.getsockname()[1]
        result["syn_data_acked"] = syn_data_acked(self.sock)
        return result

    def no_response(self, number: int, text: str) -> Connection:
        """As above; a connection that could not be made may be our own machine's fault.

        It is made when the request is sent, so that libcurl may have found out only then, or when it waited.
        """
        pycurl = _pycurl()
        unmade = (pycurl.E_COULDNT_CONNECT, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_SSL_CONNECT_ERROR)
        if self.taken and number in unmade and not self.settled and not settle(self.sock):
            reason, network = self.error if self.error[0] else self.pending_error()
            if not reason:
                reason = self.handle.getinfo(pycurl.OS_ERRNO)
                network = reason in ANSWERS or reason in WAITING or reason == errno.ETIMEDOUT
            if reason and not network:
                return local_error(errno_name(reason))
            if self.error[0]:
                text = errno_name(reason)
        return super().no_response(number, text)
