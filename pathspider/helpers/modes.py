"""The connection modes that ``--connect`` offers, by name. A mode's libraries are loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from pathspider.records import Connection, Job

MODES = {
    "tcp": ("pathspider.helpers.tcp", "connect_tcp"),
    "http": ("pathspider.helpers.http", "connect_http"),
    "https": ("pathspider.helpers.http", "connect_https"),
    "dnsudp": ("pathspider.helpers.dns", "connect_dns_udp"),
    "dnstcp": ("pathspider.helpers.dns", "connect_dns_tcp"),
}
"""Where each mode's connection function lives."""


@cache
def connector(mode: str) -> Callable[..., Connection]:
    """The connection function of a mode; ``ValueError`` for a mode that is not known."""
    if mode not in MODES:
        raise ValueError(f"unknown connection mode {mode!r}: there are {', '.join(MODES)}")
    module, name = MODES[mode]
    function: Callable[..., Connection] = getattr(import_module(module), name)
    return function


def connect(mode: str, source: tuple[str | None, str | None], job: Job, timeout: float, **options: Any) -> Connection:
    """Make a connection of kind ``mode``; ``options`` are the connection function's own."""
    return connector(mode)(source, job, timeout, **options)
