"""Who talked to whom, and how much."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import IP, IP6


class BasicChain(Chain):
    """The 5-tuple, and packets and octets in each direction.

    Octets are those of IP packets, by the length in the IP header.
    """

    fields = {
        "sip": Field(str, None, "Address that the first packet came from"),
        "dip": Field(str, None, "Address that it went to"),
        "proto": Field(int, None, "Number of the transport protocol: 6 TCP, 17 UDP, 132 SCTP"),
        "sp": Field(int, None, "Port that it came from; null where the protocol has none"),
        "dp": Field(int, None, "Port that it went to"),
        "pkt_fwd": Field(int, 0, "Packets that went forward"),
        "pkt_rev": Field(int, 0, "Packets that came back"),
        "oct_fwd": Field(int, 0, "Octets of these, IP header included"),
        "oct_rev": Field(int, 0, "Octets of those that came back"),
    }

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """Notes the 5-tuple. A flow that begins with an ICMP error is the one that the error quotes."""
        rec.update(self.initial)
        if ip.quotes:
            ip = ip.transport.payload or ip
        header = ip.tcp or ip.udp or ip.sctp
        rec["sip"] = str(ip.src_prefix)
        rec["dip"] = str(ip.dst_prefix)
        rec["proto"] = ip.proto
        rec["sp"] = header.src_port if header is not None else None
        rec["dp"] = header.dst_port if header is not None else None
        return True

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Counts; where the header says 0 (segmentation offload), the octets are those that were captured."""
        octets = ip.pkt_len or ip.size
        if rev:
            rec["pkt_rev"] += 1
            rec["oct_rev"] += octets
        else:
            rec["pkt_fwd"] += 1
            rec["oct_fwd"] += octets
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Counts; the header's own 40 octets are included."""
        octets = ip.payload_len + 40 if ip.payload_len else ip.size
        if rev:
            rec["pkt_rev"] += 1
            rec["oct_rev"] += octets
        else:
            rec["pkt_fwd"] += 1
            rec["oct_fwd"] += octets
        return True
