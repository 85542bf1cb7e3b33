"""Connection modes ``http`` and ``https``: one GET request over a connection of its own, by libcurl.

The TCP connection is made by :mod:`pathspider.helpers.sockets`, so that the source port is known whatever happens, and
handed to libcurl. No two requests share anything: no connection, TLS session, cookie, HSTS or Alt-Svc entry, since A and
B of a measurement must not influence each other. Nothing is looked up in the DNS: names go into the Host field and SNI.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from functools import cache
from time import monotonic
from types import ModuleType
from typing import Any

from pathspider.helpers.sockets import SockOpts, Source, failed, is_ipv6, local_error, open_connection
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT, Connection, Job

BODY_BYTES = 100_000
"""After so much of a body the rest is not waited for: the response has arrived."""

BODY_SECONDS = 1.0
"""Likewise after so many seconds of body: an endless trickle must not keep a worker until its timeout."""

DOMAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
"""What may stand as host in a URL: nothing that could end the host part or the header line."""

CurlOpts = Mapping[int, Any]


def connect_http(
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None = None,
    curlinfos: Iterable[int] | None = None,
    sockopts: SockOpts | None = None,
) -> Connection:
    """GET ``/`` from port ``job["dp"]`` (default 80) of ``job["dip"]``; connecting and exchange within ``timeout`` seconds.

    The request names ``job["domain"]``, or the address where there is none. Success is an HTTP response of any status.
    HTTP/1.1 unless ``curlopts`` say otherwise.

    ``curlopts`` ({pycurl option: value}) override the defaults here; ``curlinfos`` (pycurl ``INFO_*`` constants) come
    back as ``curl_<name>``, for example ``curl_http_version``; ``sockopts`` are set before connecting.

    Returns ``spdr_state``, ``sp`` and, if there was a response, ``http_status`` (int) and ``http_version`` (``"1.1"``);
    else ``error`` or ``local_error`` as :func:`~pathspider.helpers.tcp.connect_tcp` does. The connection is closed.
    """
    return _exchange("http", 80, source, job, timeout, curlopts, curlinfos, sockopts)


def connect_https(
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None = None,
    curlinfos: Iterable[int] | None = None,
    sockopts: SockOpts | None = None,
) -> Connection:
    """The same over TLS, default port 443. A certificate that does not hold is no failure; a failing handshake is."""
    return _exchange("https", 443, source, job, timeout, curlopts, curlinfos, sockopts)


@cache
def _pycurl() -> ModuleType:
    """pycurl, loaded when first needed: it costs 30 ms."""
    import pycurl  # noqa: PLC0415

    return pycurl


@cache
def _user_agent() -> str:
    from pathspider.base import __version__  # noqa: PLC0415 - base is heavier than this module

    return f"PATHspider/{__version__} (+https://pathspider.net/)"


@cache
def _info_names() -> dict[int, str]:
    """``curl_http_version`` for ``pycurl.INFO_HTTP_VERSION``."""
    pycurl = _pycurl()
    names = sorted(name for name in dir(pycurl) if name.startswith("INFO_"))
    return {getattr(pycurl, name): "curl_" + name.removeprefix("INFO_").lower() for name in names}


@cache
def _version_names() -> dict[int, str]:
    pycurl = _pycurl()
    names = {"CURL_HTTP_VERSION_1_0": "1.0", "CURL_HTTP_VERSION_1_1": "1.1", "CURL_HTTP_VERSION_2_0": "2"}
    return {getattr(pycurl, name): text for name, text in names.items()} | {30: "3"}


def url_host(job: Job) -> str:
    """The host part of the job's URL; ``ValueError`` if ``job["domain"]`` cannot be one."""
    domain = job.get("domain")
    if domain is None or domain == "":
        address: str = job["dip"]
        return f"[{address}]" if is_ipv6(address) else address
    if not isinstance(domain, str):
        raise ValueError(f"not a domain name: {domain!r}")
    if not domain.isascii():
        domain = domain.encode("idna").decode("ascii")  # UnicodeError is a ValueError
    if DOMAIN.fullmatch(domain):
        return domain
    return f"[{domain}]" if is_ipv6(domain) else domain


class _Body:
    """Takes the response's body and says when enough of it has come."""

    def __init__(self) -> None:
        self.size = 0
        self.until: float | None = None
        self.enough = False

    def write(self, chunk: bytes) -> int:
        self.size += len(chunk)
        now = monotonic()
        if self.until is None:
            self.until = now + BODY_SECONDS
        self.enough = self.size >= BODY_BYTES or now >= self.until
        return -1 if self.enough else len(chunk)


def _exchange(
    scheme: str,
    default_port: int,
    source: Source,
    job: Job,
    timeout: float,
    curlopts: CurlOpts | None,
    curlinfos: Iterable[int] | None,
    sockopts: SockOpts | None,
) -> Connection:
    deadline = monotonic() + timeout
    job = {**job, "dp": job.get("dp") or default_port}
    connection = open_connection(source, job, deadline, sockopts)
    if connection["spdr_state"] != CONN_OK:
        return connection
    with connection["client"] as sock:
        try:
            host = url_host(job)
        except ValueError:
            return local_error("bad_domain", connection["sp"])
        handle = _pycurl().Curl()
        try:
            return _perform(handle, sock, f"{scheme}://{host}:{job['dp']}/", job, deadline, connection["sp"],
                            curlopts or {}, curlinfos or ())
        finally:
            handle.close()


def _set_options(handle: Any, sock: socket.socket, url: str, job: Job, deadline: float) -> None:
    pycurl = _pycurl()
    target = f"[{job['dip']}]" if ":" in job["dip"] else job["dip"]
    for option, value in (
        (pycurl.URL, url),
        (pycurl.CONNECT_TO, [f"::{target}:{job['dp']}"]),  # the address, so that no name is looked up
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),
        (pycurl.NOPROXY, "*"),
        (pycurl.TIMEOUT_MS, max(1, int((deadline - monotonic()) * 1000))),
        (pycurl.FRESH_CONNECT, 1),
        (pycurl.FORBID_REUSE, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.USERAGENT, _user_agent()),
        (pycurl.OPENSOCKETFUNCTION, lambda _purpose, _address: sock),  # pycurl makes its own copy of the descriptor
    ):
        handle.setopt(option, value)
    if url.startswith("https"):
        handle.setopt(pycurl.SSL_VERIFYPEER, 0)
        handle.setopt(pycurl.SSL_VERIFYHOST, 0)
        handle.setopt(pycurl.SSL_SESSIONID_CACHE, 0)


def _perform(
    handle: Any,
    sock: socket.socket,
    url: str,
    job: Job,
    deadline: float,
    sp: int,
    curlopts: CurlOpts,
    curlinfos: Iterable[int],
) -> Connection:
    pycurl = _pycurl()
    body = _Body()
    taken = False

    def take(_descriptor: int, _purpose: int) -> int:
        nonlocal taken
        taken = True
        sock.close()  # libcurl has its copy
        already: int = pycurl.SOCKOPT_ALREADY_CONNECTED
        return already

    _set_options(handle, sock, url, job, deadline)
    handle.setopt(pycurl.SOCKOPTFUNCTION, take)
    handle.setopt(pycurl.WRITEFUNCTION, body.write)
    for option, value in curlopts.items():
        handle.setopt(option, value)
    number, text = 0, ""
    try:
        handle.perform()
    except pycurl.error as error:
        number, text = error.args[0], error.args[1]
    status = handle.getinfo(pycurl.RESPONSE_CODE)
    if not status:
        return _no_response(number, text, taken, sp)
    result: Connection = {"spdr_state": CONN_OK, "sp": sp, "http_status": status}
    result["http_version"] = _version_names().get(handle.getinfo(pycurl.INFO_HTTP_VERSION))
    if number and not body.enough:
        result["error"] = f"after the response's header: {text}"
    for info in curlinfos:
        result[_info_names().get(info, f"curl_{info}")] = handle.getinfo(info)
    return result


def _no_response(number: int, text: str, taken: bool, sp: int) -> Connection:
    pycurl = _pycurl()
    if not taken or number in (pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT):
        return local_error(f"curl_{number}", sp)  # libcurl never got the connection: most likely no descriptor was left
    state = CONN_TIMEOUT if number == pycurl.E_OPERATION_TIMEDOUT else CONN_FAILED
    return failed(state, sp, f"{text or 'no HTTP response'} (curl {number})")
