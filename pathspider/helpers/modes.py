"""The registry of connection modes, which ``--connect`` offers: all that is known of each, in one place.

Command line, capture filter, lab and documentation read it. A mode's libraries are loaded when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from pathspider.records import Connection, Job

DNS_PORT = 53
"""Of servers and resolvers. :rfc:`1035`"""


@dataclass(frozen=True)
class Mode:
    """One kind of connection."""

    name: str
    port: int
    """Where a connection goes when the job names no port."""
    protocol: str
    """Its transport protocol, as the capture filter names it."""
    module: str
    function: str
    """Where its connection function lives."""
    about: str
    """What is done, in a few words."""
    requires: str = ""
    """A function of that module that raises :exc:`~pathspider.helpers.optional.MissingError` where the mode cannot be
    had; none where it always can."""


MODES = {mode.name: mode for mode in (
    Mode("tcp", 80, "tcp", "pathspider.helpers.tcp", "connect_tcp", "a handshake"),
    Mode("http", 80, "tcp", "pathspider.helpers.http", "connect_http", "a GET request"),
    Mode("https", 443, "tcp", "pathspider.helpers.http", "connect_https", "a GET request over TLS"),
    Mode("h3", 443, "udp", "pathspider.helpers.http", "connect_h3", "a GET request over HTTP/3", "require_http3"),
    Mode("dnstcp", DNS_PORT, "tcp", "pathspider.helpers.dns", "connect_dns_tcp", "a DNS query over TCP"),
    Mode("dnsudp", DNS_PORT, "udp", "pathspider.helpers.dns", "connect_dns_udp", "a DNS query over UDP"),
)}
"""Each mode by its name, in the order in which they are listed.

:meta hide-value:
"""


@cache
def connector(mode: str) -> Callable[..., Connection]:
    """The connection function of a mode; ``ValueError`` for a mode that is not known."""
    if mode not in MODES:
        raise ValueError(f"unknown connection mode {mode!r}: there are {', '.join(MODES)}")
    function: Callable[..., Connection] = getattr(import_module(MODES[mode].module), MODES[mode].function)
    return function


def require(mode: str | None) -> None:
    """Raises :exc:`~pathspider.helpers.optional.MissingError` where a mode cannot be had on this machine."""
    if mode in MODES and MODES[mode].requires:
        getattr(import_module(MODES[mode].module), MODES[mode].requires)()


def connect(mode: str, source: tuple[str | None, str | None], job: Job, timeout: float, **options: Any) -> Connection:
    """Make a connection of kind ``mode``; ``options`` are the connection function's own."""
    return connector(mode)(source, job, timeout, **options)


def default_port(mode: str | None) -> int:
    """Where a connection goes when the job names no port; without a mode, or with a plugin's own, as for ``tcp``."""
    return MODES.get(mode or "tcp", MODES["tcp"]).port
