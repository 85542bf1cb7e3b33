"""Facts about the machine's network interfaces and privileges, and the capture filter that follows from them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pathspider.network.privileges import CAPABILITIES, OPTIONAL

# linux/if.h and linux/if_addr.h
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40
IFA_F_SECONDARY = IFA_F_TEMPORARY = 0x01  # one bit, two names: IPv4 and IPv6
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
IFA_F_OPTIMISTIC = 0x04
RT_SCOPE_UNIVERSE, RT_SCOPE_HOST = 0, 254

REASONS = {"CAP_NET_RAW": "capture and send raw packets", "CAP_NET_ADMIN": "change network settings"}

PROTOCOL_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}

IPV6_EXTENSIONS = (socket.IPPROTO_HOPOPTS, socket.IPPROTO_ROUTING, socket.IPPROTO_FRAGMENT, socket.IPPROTO_AH,
                   socket.IPPROTO_DSTOPTS)
"""Hop-by-hop, routing, fragment, authentication, destination options: the transport header comes later. :rfc:`8200`"""


class InterfaceError(RuntimeError):
    """The interface cannot be measured from; the text says why and which ones could be."""


class CapabilityError(RuntimeError):
    """A privilege is missing; the text says which, and how to get it."""


ASKING = {"1", "3", "4"}
"""Values of net.ipv4.tcp_ecn with which each connection asks for ECN, of whatever kind. ip-sysctl"""


def asks_for_ecn() -> bool:
    """Whether this machine's TCP connections ask for ECN by themselves, apart from what runs of ours have switched."""
    from pathspider.network import journal  # noqa: PLC0415 - it needs settings' modules

    try:
        noted = journal.read("sysctl/net/ipv4/tcp_ecn")
        value = noted[1] if noted else Path("/proc/sys/net/ipv4/tcp_ecn").read_text(encoding="ascii")
    except OSError:
        return False
    return value.strip() in ASKING


@contextmanager
def _rtnetlink() -> Iterator[Any]:
    from pyroute2.iproute.linux import IPRoute  # noqa: PLC0415 - its import costs 0.13 s

    with IPRoute() as rtnetlink:
        yield rtnetlink


def _links() -> dict[str, tuple[int, int]]:
    """Every interface by name: (index, flags)."""
    with _rtnetlink() as rtnetlink:
        return {link.get_attr("IFLA_IFNAME"): (link["index"], link["flags"]) for link in rtnetlink.get_links()}


def _is_up(flags: int) -> bool:
    """Switched on (``IFF_UP``) and able to carry packets (``IFF_RUNNING``: there is a carrier, or none is needed)."""
    return flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


def interfaces_up() -> list[str]:
    """The names of the interfaces that can carry packets, in the kernel's order."""
    return [name for name, (_, flags) in _links().items() if _is_up(flags)]


def check_interface(name: str) -> None:
    """Raise :class:`InterfaceError` unless the interface is there and up."""
    links = _links()
    if name in links and _is_up(links[name][1]):
        return
    up = [other for other, (_, flags) in links.items() if _is_up(flags)]
    if name not in links:
        problem = f"there is no interface {name!r}"
    elif links[name][1] & IFF_UP:
        problem = f"interface {name!r} has no carrier (is the cable in, the peer up?)"
    else:
        problem = f"interface {name!r} is down (ip link set {name} up)"
    raise InterfaceError(f"{problem}; interfaces that are up: {', '.join(up) or 'none'}")


def source_addresses(name: str) -> tuple[str | None, str | None]:
    """The addresses that connections through interface ``name`` come from: (IPv4 or ``None``, IPv6 or ``None``).

    Of global scope (on loopback: of host scope first), not tentative, not deprecated; link-local ones reach no target.
    IPv4: the first primary address. IPv6: a stable address before a temporary one (:rfc:`8981`), since that would be
    deprecated in the middle of a long run and records of two days could not be compared; a global one before a unique
    local one (fc00::/7), which does not reach the Internet; then the kernel's order.

    Raises :class:`InterfaceError` if there is no such interface.
    """
    links = _links()
    if name not in links:
        check_interface(name)
    index, flags = links[name]
    with _rtnetlink() as rtnetlink:
        found = [message for message in rtnetlink.get_addr() if message["index"] == index]
    loopback = bool(flags & IFF_LOOPBACK)
    four, six = (_best([message for message in found if message["family"] == family], loopback)
                 for family in (socket.AF_INET, socket.AF_INET6))
    return four, six


def _best(messages: list[Any], loopback: bool) -> str | None:
    """The address to use among the ``RTM_NEWADDR`` messages of one family."""
    candidates = []
    for order, message in enumerate(messages):
        flags = message.get_attr("IFA_FLAGS") or message["flags"]
        scope = message["scope"]
        if scope != RT_SCOPE_UNIVERSE and not (loopback and scope == RT_SCOPE_HOST):
            continue
        unusable = flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED)
        if unusable or (flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC):
            continue
        # IFA_LOCAL is ours on a point-to-point link, where IFA_ADDRESS is the peer's; IPv6 has mostly IFA_ADDRESS only
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        unique_local = ip_address(address) in ip_network("fc00::/7") if ":" in address else False
        other = bool(flags & IFA_F_SECONDARY)
        candidates.append((loopback and scope != RT_SCOPE_HOST, unique_local, other, order, address))
    return min(candidates)[-1] if candidates else None


def effective_capabilities(status: Path = Path("/proc/self/status")) -> int:
    """The bit set of this process's effective capabilities. proc(5)"""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    return int(match.group(1), 16) if match else 0


def check_capabilities(*needed: str) -> None:
    """Raise :class:`CapabilityError` unless each capability (``CAP_NET_RAW``, ``CAP_NET_ADMIN``) is effective.

    Those that a run can do without are not asked for.
    """
    needed = tuple(name for name in needed if name not in OPTIONAL)
    effective = effective_capabilities()
    missing = [name for name in needed if not effective >> CAPABILITIES[name] & 1]
    if not missing:
        return
    what = " and ".join(f"{name} (to {REASONS[name]})" for name in missing)
    ambient = ",".join("+" + name.removeprefix("CAP_").lower() for name in needed)
    raise CapabilityError(
        f"missing {what}: run as root (sudo), or give a normal user what is needed: "
        f"sudo setpriv --reuid=USER --regid=USER --init-groups --inh-caps={ambient} --ambient-caps={ambient} COMMAND"
    )


def capture_filter(source: tuple[str | None, str | None],
                   protocols: Iterable[str] = tuple(PROTOCOL_NUMBERS)) -> str:
    """BPF text (pcap-filter(7)) that keeps what belongs to the vantage point and can matter.

    ``source``: its addresses; ``protocols``: transport protocols by name, by default all that can be connected with
    (``tcp``, ``udp``, ``sctp``). ICMP and ICMPv6 are always kept, and so are later fragments (they name the protocol
    but no port) and IPv6 packets with extension headers, behind which BPF cannot look cheaply. Addresses are numeric;
    ``ValueError`` if there is none.
    """
    try:
        # Not the names: without /etc/protocols, as in a minimal Debian, libpcap's "ip proto \\tcp" matches nothing.
        numbers = sorted({PROTOCOL_NUMBERS[name] for name in protocols})
    except KeyError as error:
        raise ValueError(f"no such transport protocol: {error}") from None
    four, six = source
    parts = []
    if four is not None:
        inside = " or ".join(f"ip proto {number}" for number in [socket.IPPROTO_ICMP, *numbers])
        parts.append(f"(ip host {ip_address(four)} and ({inside}))")
    if six is not None:
        inside = " or ".join([*(f"ip6 proto {number}" for number in [socket.IPPROTO_ICMPV6, *numbers]),
                              *(f"ip6[6] == {number}" for number in IPV6_EXTENSIONS)])
        parts.append(f"(ip6 host {ip_address(six)} and ({inside}))")
    if not parts:
        raise ValueError("no source address: nothing could be captured")
    return " or ".join(parts)
