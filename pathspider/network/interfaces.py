"""Facts about the machine's network interfaces and privileges, and the capture filter that follows from them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from pathspider.network.privileges import OPTIONAL, bits

# linux/if.h and linux/if_addr.h
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40
IFA_F_SECONDARY = IFA_F_TEMPORARY = 0x01  # one bit, two names: IPv4 and IPv6
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
IFA_F_OPTIMISTIC = 0x04
RT_SCOPE_UNIVERSE, RT_SCOPE_HOST = 0, 254

REASONS = {"CAP_NET_RAW": "capture and send raw packets", "CAP_NET_ADMIN": "change network settings",
           "CAP_DAC_READ_SEARCH": "read all files"}

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


class Link(NamedTuple):
    """An interface."""

    ifindex: int
    flags: int
    alternatives: tuple[str, ...] = ()
    """Its other names (``ip link property add dev eth0 altname uplink``)."""

    @property
    def is_up(self) -> bool:
        """Switched on (``IFF_UP``) and able to carry packets (``IFF_RUNNING``: there is a carrier, or none is needed).
        """
        return self.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


def _links() -> dict[str, Link]:
    """Every interface by its name."""
    found = {}
    with _rtnetlink() as rtnetlink:
        for link in rtnetlink.get_links():
            properties = link.get_attr("IFLA_PROP_LIST")
            alternatives = tuple(properties.get_attrs("IFLA_ALT_IFNAME")) if properties else ()
            found[link.get_attr("IFLA_IFNAME")] = Link(link["index"], link["flags"], alternatives)
    return found


def interface_name(name: str) -> str:
    """The name by which captures know an interface, be ``name`` an alternative one of it; ``name`` if there is none."""
    if any(name == known for _, known in socket.if_nameindex()):
        return name
    return next((known for known, link in _links().items() if name in link.alternatives), name)


def interfaces_up() -> list[str]:
    """The names of the interfaces that can carry packets, in the kernel's order."""
    return [name for name, link in _links().items() if link.is_up]


def check_interface(name: str) -> None:
    """Raise :class:`InterfaceError` unless the interface is there, by any of its names, and up."""
    links = _links()
    found = next((link for known, link in links.items() if name == known or name in link.alternatives), None)
    if found is not None and found.is_up:
        return
    up = [other for other, link in links.items() if link.is_up]
    if found is None:
        problem = f"there is no interface {name!r}"
    elif found.flags & IFF_UP:
        problem = f"interface {name!r} has no carrier (is the cable in, the peer up?)"
    else:
        problem = f"interface {name!r} is down (ip link set {name} up)"
    raise InterfaceError(f"{problem}; interfaces that are up: {', '.join(up) or 'none'}")


class Address(NamedTuple):
    """An address of this machine."""

    text: str
    ifindex: int
    """Of its interface."""
    network: str
    flags: int
    scope: int

    @property
    def usable(self) -> bool:
        """Neither tentative nor deprecated: connections can come from it."""
        unusable = self.flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED)
        return not unusable and (not self.flags & IFA_F_TENTATIVE or bool(self.flags & IFA_F_OPTIMISTIC))


def addresses() -> list[Address]:
    """The addresses of this machine, in the kernel's order, without link-local ones of IPv6: they reach no target."""
    found = []
    with _rtnetlink() as rtnetlink:
        for message in rtnetlink.get_addr():
            # IFA_LOCAL is ours on a point-to-point link, where IFA_ADDRESS is the peer's; IPv6 has mostly IFA_ADDRESS
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if ":" not in text or message["scope"] in (RT_SCOPE_UNIVERSE, RT_SCOPE_HOST):
                network = str(ip_network(f"{text}/{message['prefixlen']}", strict=False))
                flags = message.get_attr("IFA_FLAGS") or message["flags"]
                found.append(Address(text, message["index"], network, flags, message["scope"]))
    return found


def source_addresses(name: str) -> tuple[str | None, str | None]:
    """The addresses of an interface's own that connections may come from: (IPv4 or ``None``, IPv6 or ``None``).

    Of global scope (on loopback: of host scope first), not tentative, not deprecated; link-local ones reach no target.
    IPv4: the first primary address. IPv6: a stable address before a temporary one (:rfc:`8981`), since that would be
    deprecated in the middle of a long run and records of two days could not be compared; a global one before a unique
    local one (fc00::/7), which does not reach the Internet; then the kernel's order. What the kernel chooses for a
    target is for :class:`pathspider.network.routes.Sources` to say.

    Raises :class:`InterfaceError` if there is no such interface.
    """
    links = _links()
    name = interface_name(name)
    if name not in links:
        check_interface(name)
    loopback = bool(links[name].flags & IFF_LOOPBACK)
    own = [address for address in addresses() if address.ifindex == links[name].ifindex]
    return (_best([address for address in own if ":" not in address.text], loopback),
            _best([address for address in own if ":" in address.text], loopback))


def _best(own: list[Address], loopback: bool) -> str | None:
    """The address to use among those of one IP version."""
    candidates = []
    for order, address in enumerate(own):
        on_host = loopback and address.scope == RT_SCOPE_HOST
        if address.usable and (on_host or address.scope == RT_SCOPE_UNIVERSE):
            unique_local = ":" in address.text and ip_address(address.text) in ip_network("fc00::/7")
            other = bool(address.flags & IFA_F_SECONDARY)
            candidates.append((loopback and not on_host, unique_local, other, order, address.text))
    return min(candidates)[-1] if candidates else None


def effective_capabilities(status: Path = Path("/proc/self/status")) -> int:
    """The bit set of this process's effective capabilities. proc(5)"""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    return int(match.group(1), 16) if match else 0


def check_capabilities(*needed: str) -> None:
    """Raise :class:`CapabilityError` unless each capability (``CAP_NET_RAW``, ``CAP_NET_ADMIN``) is effective;
    ``ValueError`` for what is none that a measurement can use.

    Those that a run can do without are not asked for.
    """
    needed = tuple(name for name in needed if name not in OPTIONAL)
    effective = effective_capabilities()
    missing = [name for name in needed if bits([name]) & ~effective]
    if not missing:
        return
    what = " and ".join(f"{name} (to {REASONS[name]})" for name in missing)
    ambient = ",".join("+" + name.removeprefix("CAP_").lower() for name in needed)
    raise CapabilityError(
        f"missing {what}: run as root (sudo), or give a normal user what is needed: "
        f"sudo setpriv --reuid=USER --regid=USER --init-groups --inh-caps={ambient} --ambient-caps={ambient} COMMAND"
    )


MOST_HOSTS = 64
"""Addresses of one IP version that a capture filter names; classic BPF has room for some thousand comparisons."""


def capture_filter(ours: Iterable[str | None], protocols: Iterable[str] = tuple(PROTOCOL_NUMBERS)) -> str:
    """BPF text (pcap-filter(7)) that keeps what belongs to the vantage point and can matter.

    ``ours``: its addresses (``None`` is passed over); where there are more of an IP version than :data:`MOST_HOSTS`,
    all packets of that version are kept. ``protocols``: transport protocols by name, by default all that can be
    connected with (``tcp``, ``udp``, ``sctp``). ICMP and ICMPv6 are always kept, and so are later fragments (they name
    the protocol but no port) and IPv6 packets with extension headers, behind which BPF cannot look cheaply. Addresses
    are numeric; ``ValueError`` if there is none.
    """
    try:
        # Not the names: without /etc/protocols, as in a minimal Debian, libpcap's "ip proto \\tcp" matches nothing.
        numbers = sorted({PROTOCOL_NUMBERS[name] for name in protocols})
    except KeyError as error:
        raise ValueError(f"no such transport protocol: {error}") from None
    parsed = [ip_address(address) for address in ours if address is not None]
    inside = {
        4: [f"ip proto {number}" for number in [socket.IPPROTO_ICMP, *numbers]],
        6: [*(f"ip6 proto {number}" for number in [socket.IPPROTO_ICMPV6, *numbers]),
            *(f"ip6[6] == {number}" for number in IPV6_EXTENSIONS)],
    }
    parts = []
    for version, word in ((4, "ip"), (6, "ip6")):
        hosts = list(dict.fromkeys(f"{word} host {address}" for address in parsed if address.version == version))
        if len(hosts) > MOST_HOSTS:
            hosts = [word]
        if hosts:
            named = hosts[0] if len(hosts) == 1 else f"({' or '.join(hosts)})"
            parts.append(f"({named} and ({' or '.join(inside[version])}))")
    if not parts:
        raise ValueError("no source address: nothing could be captured")
    return " or ".join(parts)
