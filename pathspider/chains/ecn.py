"""Explicit Congestion Notification in the IP header. :rfc:`3168`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.kind import NEITHER, SYN, believed_kind
from pathspider.chains.tcp import SYN_SENT
from pathspider.libtrace import IP, IP6

MARKS = {0b10: "ect0", 0b01: "ect1", 0b11: "ce"}
KINDS = {"syn": "a SYN", "data": "a packet with data, or of another protocol than TCP,"}
WAYS = {"fwd": "went forward", "rev": "came back"}

NAMES = tuple(
    f"ecn_{MARKS[mark]}_{kind}_{way}" if mark else "" for mark in range(4) for kind in KINDS for way in WAYS
)
"""Names of the fields, by mark * 4 + (0 SYN, 2 data) + (0 forward, 1 reverse)."""


class ECNChain(Chain):
    """Which ECN codepoints the IP header carried, by kind of packet and direction."""

    fields = {
        f"ecn_{mark}_{kind}_{way}": Field(bool, False, f"{mark.upper()} was on {what} that {direction}")
        for way, direction in WAYS.items()
        for kind, what in KINDS.items()
        for mark in MARKS.values()
    }

    wants = Wanted.SYN | Wanted.NOVEL_DATA

    scratch = SYN_SENT

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Records the mark of an IPv4 header."""
        mark = ip.traffic_class & 3
        kind = believed_kind(rec, ip, rev)
        if mark and kind != NEITHER:
            rec[NAMES[mark * 4 + (0 if kind == SYN else 2) + rev]] = True
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Records the mark of an IPv6 header."""
        mark = ip.traffic_class & 3
        kind = believed_kind(rec, ip, rev)
        if mark and kind != NEITHER:
            rec[NAMES[mark * 4 + (0 if kind == SYN else 2) + rev]] = True
        return True
