"""Links, addresses, routes and kernel settings of the lab's namespaces.

::

    client ── lab0 ────── router ──┬── servers         (net.ipv4.tcp_ecn = 1)
    10.0.0.2               │       └── servers, no ECN (net.ipv4.tcp_ecn = 0)
                    one nft ruleset

The server namespaces are local for whole prefixes (AnyIP), so every address of those answers. Neighbours are written
down, not asked for: a capture shows the traffic of the measurement and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pathspider.lab import namespaces
from pathspider.lab.addresses import (
    CASES_4,
    CASES_6,
    CLEAN_4,
    CLEAN_6,
    CLIENT_LINK,
    NO_ECN_LINK,
    SERVER_LINK,
)

IPV4, IPV6 = int(socket.AF_INET), int(socket.AF_INET6)  # as netlink wants them
PERMANENT = 0x80  # NUD_PERMANENT, <linux/neighbour.h>

SETTINGS_OF_ALL = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/autoconf": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",  # no link-local addresses: nothing is sent that nobody asked for
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "1000000",
    "net/ipv4/icmp_msgs_burst": "1000000",
    "net/core/somaxconn": "65535",
    "net/ipv4/tcp_max_syn_backlog": "65535",
    "net/ipv4/tcp_max_tw_buckets": "262144",
    "net/ipv4/tcp_congestion_control": "cubic",
}
"""Written in every namespace before its links are made (new namespaces copy part of this from the machine)."""

SETTINGS_OF_ROUTER = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}

SETTINGS_OF_SERVERS = {
    "net/ipv6/ip_nonlocal_bind": "1",
    "net/ipv6/conf/all/seg6_enabled": "1",  # segment routing headers are dropped without
    "net/ipv6/conf/default/seg6_enabled": "1",
    "net/ipv4/ip_nonlocal_bind": "1",
    "net/ipv4/tcp_syncookies": "0",  # a cookie forgets the options of the SYN
    "net/ipv4/tcp_fastopen": "1027",  # 0x403: client and server, for every listening socket
}


def write_settings(settings: dict[str, str]) -> None:
    """Write sysctls of the current network namespace.

    What this kernel has not got, or keeps for the machine as a whole, is left as it is.
    """
    for name, value in settings.items():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            try:
                Path("/proc/sys", name).write_text(value, encoding="ascii")
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL):
                    raise


TUN = "mangle"
"""The router's device to the process that changes packets in user space."""
TUN_TABLE = 100


@dataclass
class Rooms:
    """The lab's network namespaces, as descriptors. The process that makes them is at home in ``client``."""

    client: int
    router: int
    server: int
    no_ecn: int


def make_rooms() -> Rooms:
    """Make the four namespaces with their kernel settings; the calling thread ends up in the client's."""
    client = namespaces.new_network()
    write_settings(SETTINGS_OF_ALL)
    router = namespaces.new_network()
    write_settings(SETTINGS_OF_ALL | SETTINGS_OF_ROUTER)
    server = namespaces.new_network()
    write_settings(SETTINGS_OF_ALL | SETTINGS_OF_SERVERS | {"net/ipv4/tcp_ecn": "1"})
    no_ecn = namespaces.new_network()
    write_settings(SETTINGS_OF_ALL | SETTINGS_OF_SERVERS
                   | {"net/ipv4/tcp_ecn": "0", "net/ipv4/tcp_fastopen": "0"})
    namespaces.enter_network(client)
    return Rooms(client, router, server, no_ecn)


def connect_rooms(rooms: Rooms, no_ecn_addresses: Iterable[str], mangled_addresses: Iterable[str]) -> None:
    """Lay the links and routes.

    ``no_ecn_addresses`` lead to the servers that know no ECN, all others to the rest; packets to and from
    ``mangled_addresses`` make a detour through the TUN device.
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - a fifth of a second, spent while the servers start

    ends = [(rooms.client, CLIENT_LINK), (rooms.server, SERVER_LINK), (rooms.no_ecn, NO_ECN_LINK)]
    for room, link in ends:
        with namespaces.inside(room, rooms.client), IPRoute() as route:
            route.link("set", index=_index(route, "lo"), state="up")
            route.link(
                "add", ifname=link.name, kind="veth", address=link.hardware(2),
                peer={"ifname": f"to-{link.name}", "address": link.hardware(1), "net_ns_fd": rooms.router},
            )
            _bring_up(route, link.name, link.far, link.near, link.hardware(1))
            index = _index(route, link.name)
            for family, gateway in ((IPV4, link.near[0]), (IPV6, link.near[1])):
                route.route("add", dst="default", family=family, gateway=gateway, oif=index)
            if link is not CLIENT_LINK:
                for prefix in (CASES_4, CLEAN_4, CASES_6, CLEAN_6):
                    route.route("add", dst=prefix, family=_family(prefix), type="local", table=255, scope=254,
                                oif=_index(route, "lo"))

    with namespaces.inside(rooms.router, rooms.client), IPRoute() as route:
        route.link("set", index=_index(route, "lo"), state="up")
        for _, link in ends:
            _bring_up(route, f"to-{link.name}", link.near, link.far, link.hardware(2))
        towards = [(prefix, SERVER_LINK) for prefix in (CASES_4, CLEAN_4, CASES_6, CLEAN_6)]
        towards += [(address, NO_ECN_LINK) for address in no_ecn_addresses]
        for destination, link in towards:
            family = _family(destination)
            route.route("add", dst=destination, family=family, gateway=link.far[family == IPV6],
                        oif=_index(route, f"to-{link.name}"))
        tun = _index(route, TUN)
        route.link("set", index=tun, state="up")
        for family in (IPV4, IPV6):
            route.route("add", dst="default", family=family, oif=tun, table=TUN_TABLE)
        for address in mangled_addresses:
            length = 128 if ":" in address else 32
            route.rule("add", family=_family(address), table=TUN_TABLE, priority=100, dst=address, dst_len=length,
                       iifname=f"to-{CLIENT_LINK.name}")
            route.rule("add", family=_family(address), table=TUN_TABLE, priority=100, src=address, src_len=length,
                       iifname=f"to-{SERVER_LINK.name}")


def _bring_up(route: object, name: str, own: tuple[str, str], other: tuple[str, str], hardware: str) -> None:
    """One end of a link: no offloads, up, its own addresses, and where the other end is."""
    namespaces.no_offloads(name)
    index = _index(route, name)
    route.link("set", index=index, state="up")  # type: ignore[attr-defined]
    for family, address, prefix, neighbour in ((IPV4, own[0], 24, other[0]), (IPV6, own[1], 64, other[1])):
        route.addr("add", index=index, family=family, address=address, prefixlen=prefix)  # type: ignore[attr-defined]
        route.neigh("add", dst=neighbour, lladdr=hardware, ifindex=index, family=family,  # type: ignore[attr-defined]
                    state=PERMANENT)


def _index(route: object, name: str) -> int:
    """The number of an interface of the namespace that ``route`` speaks to."""
    return int(route.link_lookup(ifname=name)[0])  # type: ignore[attr-defined]


def _family(destination: str) -> int:
    return IPV6 if ":" in destination else IPV4


def show_own_interfaces() -> None:
    """Make /sys speak of the network namespace this process is in (its mount namespace must be its own)."""
    with contextlib.suppress(OSError):  # a container may keep /sys; only /sys/class/net would be wrong then
        namespaces.mount("sysfs", "/sys")
