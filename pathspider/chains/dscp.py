"""The Differentiated Services field of the IP header. :rfc:`2474`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.kind import NEITHER, SYN, believed_kind
from pathspider.chains.tcp import SYN_SENT
from pathspider.libtrace import IP, IP6

_SYN = "on the first SYN"
_DATA = "on the first packet with data, or of another protocol than TCP,"


class DSCPChain(Chain):
    """The first codepoint seen, by kind of packet and direction. A codepoint of 0 is a value, not an absence."""

    fields = {
        "dscp_mark_syn_fwd": Field(int, None, f"Codepoint {_SYN} that went forward"),
        "dscp_mark_data_fwd": Field(int, None, f"Codepoint {_DATA} that went forward"),
        "dscp_mark_syn_rev": Field(int, None, f"Codepoint {_SYN} that came back"),
        "dscp_mark_data_rev": Field(int, None, f"Codepoint {_DATA} that came back"),
    }

    wants = Wanted.SYN | Wanted.NOVEL_DATA

    scratch = SYN_SENT

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Records the codepoint of an IPv4 header."""
        note_codepoint(rec, believed_kind(rec, ip, rev), ip.traffic_class >> 2, rev)
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Records the codepoint of an IPv6 header."""
        note_codepoint(rec, believed_kind(rec, ip, rev), ip.traffic_class >> 2, rev)
        return True


def note_codepoint(rec: dict[str, Any], kind: int, codepoint: int, rev: bool) -> None:
    """Note a packet's codepoint, if it is the first of its kind."""
    if kind == SYN:
        if rec["dscp_mark_syn_rev" if rev else "dscp_mark_syn_fwd"] is None:
            rec["dscp_mark_syn_rev" if rev else "dscp_mark_syn_fwd"] = codepoint
    elif kind != NEITHER and rec["dscp_mark_data_rev" if rev else "dscp_mark_data_fwd"] is None:
        rec["dscp_mark_data_rev" if rev else "dscp_mark_data_fwd"] = codepoint
