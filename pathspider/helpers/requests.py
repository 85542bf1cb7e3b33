"""The octets that a connection of each kind begins with, for one that is to say something and needs no answer."""

from __future__ import annotations

import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspider.records import Job


def request_of(mode: str | None, job: Job) -> bytes:
    """What a client sends first in a connection mode; nothing where the mode is a handshake alone, or another's."""
    if mode == "http":
        return http_request(job)
    if mode == "https":
        return client_hello(job)
    if mode == "dnstcp":
        return dns_query(job)
    return b""


def http_request(job: Job, method: str = "GET") -> bytes:
    """A request after which the server closes the connection. :exc:`ValueError` for a domain that cannot be named.
    :rfc:`9112`"""
    from pathspider.helpers.http import USER_AGENT, url_host  # noqa: PLC0415

    return (f"{method} / HTTP/1.1\r\nHost: {url_host(job)}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n").encode("ascii")


def client_hello(job: Job) -> bytes:
    """The first flight of a TLS handshake. :rfc:`8446`"""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    from pathspider.targets.names import to_wire  # noqa: PLC0415

    domain = job.get("domain")
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=to_wire(domain) if domain else None)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def dns_query(job: Job) -> bytes:
    """A query behind its length. :rfc:`1035`, section 4.2.2"""
    from pathspider.helpers.dns import query  # noqa: PLC0415

    message = bytes(query(job).pack())
    return struct.pack("!H", len(message)) + message
