"""The vantage point as the Internet sees it: its public address, and the autonomous system that announces it.

Both are asked of the DNS, and only where the user wants it (``--vantage-lookup``): a measurement starts offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from pathspider.targets.resolve import lookup, system_resolvers

WHO_ASKS = "o-o.myaddr.l.google.com"
WHO_ASKS_SERVERS = {4: "216.239.32.10", 6: "2001:4860:4802:32::a"}
"""ns1.google.com, which answers with the address that the question came from."""

ORIGINS = {4: "origin.asn.cymru.com", 6: "origin6.asn.cymru.com"}
"""Which AS announces an address, by its reversed name; https://www.team-cymru.com/ip-asn-mapping"""

TIMEOUT = 5.0


class VantageError(RuntimeError):
    """The public address or its AS could not be found out; the text says what was asked and what came."""


class UnreachedError(VantageError):
    """Nobody out there answered: for this IP version there may be no Internet here."""


class Vantage(NamedTuple):
    """Where the Internet sees us."""

    address: str
    """Behind an address translator that of its outside."""
    asn: str
    """The AS that announces it, such as ``AS64496``."""


def look_up(source: str, resolvers: Sequence[str] | None = None, timeout: float = TIMEOUT) -> Vantage:
    """The public address and the AS of one of our addresses; :exc:`VantageError` if they cannot be found out,
    :exc:`UnreachedError` if the servers that tell the address cannot be asked.

    :param source: the address of ours that asks, and that the measurement connects from
    :param resolvers: whom to ask for the AS; those of resolv.conf(5) unless given
    """
    version = ip_address(source).version
    server = WHO_ASKS_SERVERS[version]
    answer = _text(WHO_ASKS, [server], timeout, source, unanswered=UnreachedError)
    try:
        address = ip_address(answer)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise VantageError(f"public address of {source}: {server} answered {answer!r}, which is no "
                           f"IPv{version} address")
    name = f"{_reversed(str(address))}.{ORIGINS[version]}"
    answer = _text(name, resolvers or system_resolvers(), timeout)
    # "64496 | 192.0.2.0/24 | CH | ripencc | 2001-02-03"; an address that several announce has several numbers
    number = answer.split("|", maxsplit=1)[0].split()
    if not number or not number[0].isdigit():
        raise VantageError(f"AS of {address}: the answer for {name} is {answer!r}, which begins with no number")
    return Vantage(str(address), f"AS{number[0]}")


def _text(name: str, resolvers: Sequence[str], timeout: float, source: str | None = None,
          unanswered: type[VantageError] = VantageError) -> str:
    """The first text record of a name."""
    own = (None, None) if source is None else (None, source) if ":" in source else (source, None)
    found = lookup(resolvers, name, "TXT", timeout, own)
    if not found.answers:
        kind = unanswered if found.problem in ("timeout", "unreachable") else VantageError
        raise kind(f"{name} (asked of {', '.join(resolvers)}): {found.problem}")
    return found.answers[0].strip('"')


def _reversed(address: str) -> str:
    """An address as the names of reverse zones have it, without the zone."""
    return ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
