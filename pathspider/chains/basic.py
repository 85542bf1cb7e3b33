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
        "sip": Field(str, None, "Layer 3 (IPv4/IPv6) source address"),
        "dip": Field(str, None, "Layer 3 (IPv4/IPv6) destination address"),
        "proto": Field(int, None, "Layer 4 protocol number"),
        "sp": Field(int, None, "Layer 4 (TCP/UDP/SCTP) source port"),
        "dp": Field(int, None, "Layer 4 (TCP/UDP/SCTP) destination port"),
        "pkt_fwd": Field(int, 0, "A count of the number of packets seen in the forward direction"),
        "pkt_rev": Field(int, 0, "A count of the number of packets seen in the reverse direction"),
        "oct_fwd": Field(int, 0, "A count of the number of octets seen in the forward direction"),
        "oct_rev": Field(int, 0, "A count of the number of octets seen in the reverse direction"),
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
