"""How a client's first data left, segment by segment, and how the answer to them begins. :rfc:`9293`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import TCP_SYN
from pathspider.libtrace import TCP, payload_of

MOST_SEGMENTS = 16
"""Whose lengths are noted."""

MOST_OCTETS = 8
"""Of the answer: the header of a TLS record and what it begins with."""


class SegmentsChain(Chain):
    """The lengths of the first segments with data that went forward, and the first octets of data that came back.

    Segments count in their order; those that repeat what was sent before are left out.
    """

    fields = {
        "segments_fwd": Field(str, None, f"Octets of data of the first {MOST_SEGMENTS} segments that went forward, as "
                                         "in 1300,505"),
        "segments_rev": Field(str, None, f"The first {MOST_OCTETS} octets of data that came back, in hexadecimal, as "
                                         "far as they came in one segment"),
    }

    wants = Wanted.DATA | Wanted.SYN

    scratch = {"_segments_next": None, "_segments_count": 0}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Notes segments with data."""
        octets = tcp.payload_len
        if tcp.flags & TCP_SYN:
            if not rev:
                rec["_segments_next"] = (tcp.seq_nbr + 1 + octets) & 0xFFFFFFFF
            return True
        if not octets:
            return True
        if rev:
            if rec["segments_rev"] is None:
                payload = payload_of(tcp, MOST_OCTETS)
                rec["segments_rev"] = "" if payload is None else payload.hex()
            self.enough = True
            return True
        if rec["_segments_count"] >= MOST_SEGMENTS:
            self.enough = True
            return True
        following = rec["_segments_next"]
        if following is not None and (following - tcp.seq_nbr - 1) & 0xFFFFFFFF < 0x80000000:
            return True  # sent again
        rec["_segments_next"] = (tcp.seq_nbr + octets) & 0xFFFFFFFF
        rec["_segments_count"] += 1
        if rec["_segments_count"] == 1:
            rec["segments_fwd"] = str(octets)
        elif rec["_segments_count"] <= MOST_SEGMENTS:
            rec["segments_fwd"] += "," + str(octets)
        return True
