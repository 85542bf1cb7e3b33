"""The Differentiated Services field of the IP header. :rfc:`2474`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.kind import NEITHER, SYN, packet_kind
from pathspider.libtrace import IP, IP6

_SYN = "on a TCP SYN packet"
_DATA = "on a non-TCP packet or a TCP packet with a payload"


class DSCPChain(Chain):
    """The first codepoint seen, by kind of packet and direction. A codepoint of 0 is a value, not an absence."""

    fields = {
        "dscp_mark_syn_fwd": Field(int, None, f"Codepoint seen {_SYN} in the forward direction"),
        "dscp_mark_data_fwd": Field(int, None, f"Codepoint seen {_DATA} in the forward direction"),
        "dscp_mark_syn_rev": Field(int, None, f"Codepoint seen {_SYN} in the reverse direction"),
        "dscp_mark_data_rev": Field(int, None, f"Codepoint seen {_DATA} in the reverse direction"),
    }

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Records the codepoint of an IPv4 header."""
        kind = packet_kind(ip)
        if kind != NEITHER:
            if kind == SYN:
                name = "dscp_mark_syn_rev" if rev else "dscp_mark_syn_fwd"
            else:
                name = "dscp_mark_data_rev" if rev else "dscp_mark_data_fwd"
            if rec[name] is None:
                rec[name] = ip.traffic_class >> 2
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Records the codepoint of an IPv6 header."""
        kind = packet_kind(ip)
        if kind != NEITHER:
            if kind == SYN:
                name = "dscp_mark_syn_rev" if rev else "dscp_mark_syn_fwd"
            else:
                name = "dscp_mark_data_rev" if rev else "dscp_mark_data_fwd"
            if rec[name] is None:
                rec[name] = ip.traffic_class >> 2
        return True
