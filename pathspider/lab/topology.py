"""Links, addresses, routes and kernel settings of the lab's namespaces.

::

    client ── lab0 ────── router ──┬── servers         (net.ipv4.tcp_ecn = 1)
    10.0.0.2               │       └── servers, no ECN (net.ipv4.tcp_ecn = 0)
                    one nft ruleset

In the place of the router there are eight, where a scenario asks for them (:mod:`pathspider.lab.hops`).

The server namespaces are local for whole prefixes (AnyIP), so every address of those answers. Neighbours are written
down, not asked for: a capture shows the traffic of the measurement and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathspider.lab import namespaces
from pathspider.lab.addresses import (
    BRANCH_LINKS,
    CASES_4,
    CASES_6,
    CLEAN_4,
    CLEAN_6,
    CLIENT_LINK,
    HOP_LINKS,
    NO_ECN_LINK,
    PROXY_LINK,
    SERVER_LINK,
    Link,
)
from pathspider.lab.hops import BRANCH_MARK, HOPS, PROXY_MARK, ROUTER, SPLIT

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

EVERYWHERE = (CASES_4, CLEAN_4, CASES_6, CLEAN_6)


@dataclass
class Rooms:
    """The lab's network namespaces, as descriptors. The process that makes them is at home in ``client``."""

    client: int
    router: int
    server: int
    no_ecn: int
    hops: tuple[int, ...] = ()
    """All routers, from the client on; without further hops just the one."""
    branch: int = -1
    """Hop 4b, where there are hops."""
    proxy: int = -1

    def __post_init__(self) -> None:
        self.hops = self.hops or (self.router,)

    @property
    def routers(self) -> dict[int, int]:
        """Number of the hop -> router. The one without further hops is hop 4, too: as scenarios have it."""
        if len(self.hops) == 1:
            return {ROUTER: self.router}
        return dict(enumerate((*self.hops, self.branch), start=1))

    def by_name(self, name: str) -> int:
        """The room that a command names: ``client``, ``router``, ``server``, ``no_ecn``, or ``hop-1`` and so on."""
        return self.routers[int(name[4:])] if name.startswith("hop-") else int(getattr(self, name))


@dataclass
class Joint:
    """One end of a link."""

    room: int
    name: str
    """Of the interface."""
    link: Link
    end: int
    """1: what the link calls near, 2: far."""

    @property
    def own(self) -> tuple[str, str]:
        """Its addresses."""
        return self.link.near if self.end == 1 else self.link.far

    @property
    def other(self) -> tuple[str, str]:
        """Addresses of the other end."""
        return self.link.far if self.end == 1 else self.link.near


def make_rooms(*, hops: bool = False) -> Rooms:
    """Make the namespaces with their kernel settings; the calling thread ends up in the client's.

    :param hops: with eight routers in place of one
    """
    def make(settings: dict[str, str]) -> int:
        room = namespaces.new_network()
        write_settings(SETTINGS_OF_ALL | settings)
        return room

    client = make({})
    routers = [make(SETTINGS_OF_ROUTER) for _ in range(HOPS if hops else 1)]
    server = make(SETTINGS_OF_SERVERS | {"net/ipv4/tcp_ecn": "1"})
    plain = SETTINGS_OF_SERVERS | {"net/ipv4/tcp_ecn": "0", "net/ipv4/tcp_fastopen": "0"}
    no_ecn = make(plain)
    rooms = Rooms(client, routers[ROUTER - 1 if hops else 0], server, no_ecn, tuple(routers))
    if hops:
        rooms.branch, rooms.proxy = make(SETTINGS_OF_ROUTER), make(plain)
    namespaces.enter_network(client)
    return rooms


def joints(rooms: Rooms) -> list[tuple[Joint, Joint]]:
    """All links: the end that they call near, and the far one."""
    hops = rooms.hops
    found = [(hops[0], f"to-{CLIENT_LINK.name}", rooms.client, CLIENT_LINK),
             (hops[-1], f"to-{SERVER_LINK.name}", rooms.server, SERVER_LINK),
             (hops[-1], f"to-{NO_ECN_LINK.name}", rooms.no_ecn, NO_ECN_LINK)]
    found += [(near, f"to-hop{number}", far, link)
              for number, (near, far, link) in enumerate(zip(hops, hops[1:], HOP_LINKS, strict=False), start=2)]
    if len(hops) > 1:
        found += [(hops[SPLIT - 1], "to-branch", rooms.branch, BRANCH_LINKS[0]),
                  (rooms.branch, "to-hop5", hops[SPLIT + 1], BRANCH_LINKS[1]),
                  (rooms.router, "to-proxy", rooms.proxy, PROXY_LINK)]
    return [(Joint(near, name, link, 1), Joint(far, link.name, link, 2)) for near, name, far, link in found]


def connect_rooms(rooms: Rooms, no_ecn_addresses: Iterable[str], mangled_addresses: Mapping[int, Iterable[str]]
                  ) -> None:
    """Lay the links and routes.

    :param no_ecn_addresses: they lead to the servers that know no ECN, all others to the rest
    :param mangled_addresses: at this hop, packets to and from them make a detour through its TUN device
    """
    from pyroute2 import IPRoute  # noqa: PLC0415 - a fifth of a second, spent while the servers start

    links = joints(rooms)
    for near, far in links:
        with namespaces.inside(far.room, rooms.client), IPRoute() as route:
            _lay(route, near, far)
    for number, router in rooms.routers.items():
        near_ends = {near.link: near for near, _ in links if near.room == router}
        onwards = next(link for link in (SERVER_LINK, *HOP_LINKS, BRANCH_LINKS[1]) if link in near_ends)
        with namespaces.inside(router, rooms.client), IPRoute() as route:
            route.link("set", index=_index(route, "lo"), state="up")
            for joint in near_ends.values():
                _bring_up(route, joint)
            for prefix in EVERYWHERE:
                _route(route, prefix, near_ends[onwards])
            for address in no_ecn_addresses if NO_ECN_LINK in near_ends else ():
                _route(route, address, near_ends[NO_ECN_LINK])
            for link, mark in ((BRANCH_LINKS[0], BRANCH_MARK), (PROXY_LINK, PROXY_MARK)):
                if link in near_ends:
                    _route(route, "default", near_ends[link], table=mark)
                    for family in (IPV4, IPV6):
                        route.rule("add", family=family, table=mark, priority=90, fwmark=mark)
            if addresses := list(mangled_addresses.get(number, ())):
                arriving = next(one.name for ends in links for one in ends if one.room == router
                                and one.link in (CLIENT_LINK, *HOP_LINKS) and one.name != near_ends[onwards].name)
                _detour(route, addresses, arriving, near_ends[onwards].name)


def _lay(route: object, near: Joint, far: Joint) -> None:
    """One link, in the namespace of its far end: that end is up, and where it is a server it is all targets."""
    route.link("set", index=_index(route, "lo"), state="up")  # type: ignore[attr-defined]
    route.link(  # type: ignore[attr-defined]
        "add", ifname=far.name, kind="veth", address=far.link.hardware(2),
        peer={"ifname": near.name, "address": near.link.hardware(1), "net_ns_fd": near.room},
    )
    _bring_up(route, far)
    if far.link is not BRANCH_LINKS[1]:
        _route(route, "default", far)
    if far.link in (SERVER_LINK, NO_ECN_LINK, PROXY_LINK):
        for prefix in EVERYWHERE:
            route.route("add", dst=prefix, family=_family(prefix), type="local", table=255,  # type: ignore[attr-defined]
                        scope=254, oif=_index(route, "lo"))


def _detour(route: object, addresses: list[str], arriving: str, returning: str) -> None:
    """Lead packets to addresses, and back from there, through a router's TUN device.

    :param arriving: the interface by which packets come from the client
    :param returning: the one by which they come back
    """
    tun = _index(route, TUN)
    route.link("set", index=tun, state="up")  # type: ignore[attr-defined]
    for family in (IPV4, IPV6):
        route.route("add", dst="default", family=family, oif=tun, table=TUN_TABLE)  # type: ignore[attr-defined]
    for address in addresses:
        length = 128 if ":" in address else 32
        for way in ({"dst": address, "dst_len": length, "iifname": arriving},
                    {"src": address, "src_len": length, "iifname": returning}):
            route.rule("add", family=_family(address), table=TUN_TABLE, priority=100, **way)  # type: ignore[attr-defined]


def _route(route: object, destination: str, through: Joint, **others: int) -> None:
    """Lead packets to a prefix, ``default`` (of both IP versions) or an address to the other end of a link."""
    families = (IPV4, IPV6) if destination == "default" else (_family(destination),)
    for family in families:
        route.route(  # type: ignore[attr-defined]
            "add", dst=destination, family=family, gateway=through.other[family == IPV6],
            oif=_index(route, through.name), **others)


def _bring_up(route: object, joint: Joint) -> None:
    """One end of a link: no offloads, up, its own addresses, and where the other end is."""
    namespaces.no_offloads(joint.name)
    index, hardware = _index(route, joint.name), joint.link.hardware(3 - joint.end)
    route.link("set", index=index, state="up")  # type: ignore[attr-defined]
    own, other = joint.own, joint.other
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
