"""Routers that said of a packet of the flow that its TTL ran out. :rfc:`792`, :rfc:`4443`, :rfc:`4884`"""

from __future__ import annotations

from typing import Any

from pathspider import quotation
from pathspider.chains.base import Chain, Field
from pathspider.libtrace import ICMP, ICMP6, IP, IP6

TTL_EXCEEDED4 = 11
TTL_EXCEEDED6 = 3
IN_TRANSIT = 0
"""The code of both: TTL or hop limit; 1 is the time that fragments are waited for."""

MOST = 64
"""Messages that are listed of one flow."""


def note_hop(rec: dict[str, Any], icmp: ICMP | ICMP6, ip: IP | IP6, version: int) -> None:
    """A packet that went forward expired."""
    rec["hops_count"] += 1
    if rec["hops_expired"] is None:
        rec["hops_expired"] = []
    if len(rec["hops_expired"]) >= MOST:
        return
    read = quotation.read(icmp.data, version)
    if read is not None:
        rec["hops_expired"].append({
            "addr": str(ip.src_prefix), "ttl": ip.hop_limit, "at": ip.seconds, "octets": read.octets,
            "quoted": read.facts(),
        })


class HopsChain(Chain):
    """Which routers said that a packet of the flow expired there, and what they quote of it."""

    fields = {
        "hops_count": Field(int, 0, "Time exceeded messages about packets that went forward"),
        "hops_expired": Field(
            list, None, f"The first {MOST} of them: addr, ttl (of the message as it came), at, octets, quoted"
        ),
    }

    def icmp4(self, rec: dict[str, Any], ip: IP, q: IP | None, rev: bool) -> bool:
        """Notes time exceeded messages."""
        icmp = ip.icmp
        if rev and q is not None and icmp.type == TTL_EXCEEDED4 and icmp.code == IN_TRANSIT:
            note_hop(rec, icmp, ip, 4)
        return True

    def icmp6(self, rec: dict[str, Any], ip6: IP6, q: IP6 | None, rev: bool) -> bool:
        """The same of ICMPv6."""
        icmp = ip6.icmp6
        if rev and q is not None and icmp.type == TTL_EXCEEDED6 and icmp.code == IN_TRANSIT:
            note_hop(rec, icmp, ip6, 6)
        return True
