"""IPv6 extension headers: do packets that have one arrive? :rfc:`8200`, :rfc:`7872`"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence

from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrSegmentRouting,
    PadN,
)
from scapy.packet import Packet

from pathspider.base import PluggableSpider, __version__
from pathspider.helpers.sockets import is_ipv6
from pathspider.records import Job
from pathspider.traversal import TraversalSpider, Variant, fixed

SKIPPED = 0x1E
"""An option for experiments, which whoever does not know it passes over. :rfc:`4727`, section 3.3"""

MOST_OPTION_OCTETS = 255
"""A larger one says its length in another octet than there is: two are needed, or more."""

SIZES = (8, 64, 512)
"""Octets of a header with options. Hosts and routers have limits of their own. :rfc:`8504`, section 5.3"""

LISTED = ("hopbyhop", "destination", "fragment", "routing")
DEFAULT = "hopbyhop,destination,fragment"


def filled(octets: int) -> list[Packet]:
    """Options that ask for nothing and fill a header of so many octets. Padding of more than seven octets is a reason
    for Linux to drop a packet, so it is no padding where there is much."""
    room = octets - 2
    if room == SIZES[0] - 2:
        return [PadN(optdata=bytes(room - 2))]
    found: list[Packet] = []
    while room:
        octets = min(room, MOST_OPTION_OCTETS)
        found.append(HBHOptUnknown(otype=SKIPPED, optdata=bytes(octets - 2)))
        room -= octets
    return found


def behind(make: Callable[[Packet], Packet]) -> Callable[[Packet], Packet]:
    """Puts a header, made for the packet, behind its IPv6 header."""
    @fixed
    def change(packet: Packet) -> Packet:
        payload = packet.payload
        packet.remove_payload()
        return packet / make(packet) / payload

    return change


def hop_by_hop(octets: int) -> Callable[[Packet], Packet]:
    """Sets hop-by-hop options."""
    return behind(lambda packet: IPv6ExtHdrHopByHop(options=filled(octets), autopad=0))


def destination(octets: int) -> Callable[[Packet], Packet]:
    """Sets destination options."""
    return behind(lambda packet: IPv6ExtHdrDestOpt(options=filled(octets), autopad=0))


def fragment(packet: Packet) -> Packet:
    """A fragment header on a packet that is whole: an atomic fragment. :rfc:`6946`"""
    return IPv6ExtHdrFragment(offset=0, m=0, id=random.getrandbits(32))


def routing(packet: Packet) -> Packet:
    """A segment routing header whose only segment is the destination, with none left. :rfc:`8754`"""
    return IPv6ExtHdrSegmentRouting(addresses=[packet.dst], segleft=0, lastentry=0)


ROWS = {
    "hopbyhop": [Variant(f"hopbyhop.{octets}", hop_by_hop(octets)) for octets in SIZES],
    "destination": [Variant(f"destination.{octets}", destination(octets)) for octets in SIZES],
    "fragment": [Variant("fragment.8", behind(fragment))],
    "routing": [Variant("routing.24", behind(routing))],
}
"""By the kind of header, its rows: the number in a name is the header's octets."""


class IPv6EH(TraversalSpider, PluggableSpider):
    """Do SYNs with an IPv6 extension header get through?

    Each target gets a SYN as Linux sends it, and one more for each kind of header, some in several sizes: hop-by-hop
    options, destination options, a fragment header on a packet that is whole. Segment routing is tried if it is asked
    for: Linux hosts drop it unless they are told otherwise. A target with an IPv4 address is skipped.

    Example: pspdr measure -i eth0 ipv6eh --headers hopbyhop,routing <targets.ndjson >results.ndjson
    """

    name = "ipv6eh"
    description = "IPv6 Extension Headers"
    feature = "An IPv6 extension header"
    features = {
        "hopbyhop.<octets>": "An IPv6 hop-by-hop header of <octets> octets",
        "destination.<octets>": "An IPv6 destination options header of <octets> octets",
        "fragment.<octets>": "An IPv6 fragment header",
        "routing.<octets>": "An IPv6 segment routing header",
    }
    version = __version__
    variants = [row for rows in ROWS.values() for row in rows]
    conditions = {
        **{condition: meaning for row in variants for condition, meaning in row.conditions("ipv6eh").items()},
        "pathspider.skipped:ipv4_has_no_extension_headers": "the target's address is IPv4",
    }

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        TraversalSpider.extra_args(parser)
        parser.add_argument("--headers", type=kinds, default=kinds(DEFAULT), metavar="KIND[,…]",
                            help=f"Kinds of headers to try: {', '.join(LISTED)}. (Default: {DEFAULT})")

    def table(self) -> Sequence[Variant]:
        return [row for kind in self.args.headers for row in ROWS[kind]]

    def not_applicable(self, job: Job) -> str | None:
        return None if is_ipv6(job["dip"]) else "ipv4_has_no_extension_headers"


def kinds(text: str) -> list[str]:
    """An option's value as kinds of extension headers, for argparse."""
    found = list(dict.fromkeys(text.split(",")))
    for one in found:
        if one not in LISTED:
            raise argparse.ArgumentTypeError(f"{one!r} is no kind of header; there are {', '.join(LISTED)}")
    return found
