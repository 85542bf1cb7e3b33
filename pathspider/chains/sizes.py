"""The largest packet of a flow in each direction. :rfc:`1191`, :rfc:`8201`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import IP, IP6


class SizesChain(Chain):
    """How large the largest packet was, IP header and all. What was put together of fragments is none, nor is ICMP."""

    fields = {
        "size_fwd": Field(int, 0, "Octets of the largest packet that went forward"),
        "size_rev": Field(int, 0, "Octets of the largest packet that came back"),
    }

    largest = ("size_fwd", "size_rev")

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Notes a packet's size."""
        if ip.packets == 1 and not ip.quotes:
            name = "size_rev" if rev else "size_fwd"
            rec[name] = max(rec[name], ip.octets)
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Notes a packet's size."""
        if ip.packets == 1 and not ip.quotes:
            name = "size_rev" if rev else "size_fwd"
            rec[name] = max(rec[name], ip.octets)
        return True
