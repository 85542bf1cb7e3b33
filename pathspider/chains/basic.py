"""Who talked to whom, and how much."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import IP, IP6, endpoints


class BasicChain(Chain):
    """The 5-tuple, and packets and octets in each direction.

    Octets are those of IP packets, by the length in the IP header; by the frame's length where the header says 0. A
    packet that was put together of fragments counts as all of these.
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

    counts = ("pkt_fwd", "pkt_rev", "oct_fwd", "oct_rev")

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """Notes the 5-tuple. A flow that begins with an ICMP error is the one that the error quotes."""
        if "sip" not in rec:  # no flow table has made it
            rec.update(self.initial)
        if ip.quotes and ip.transport is not None:  # a duplicate of a fragment has none
            ip = ip.transport.payload or ip
        rec["sip"], rec["dip"], rec["proto"], rec["sp"], rec["dp"] = endpoints(ip)
        return True

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Counts the packet and its octets."""
        if rev:
            rec["pkt_rev"] += ip.packets
            rec["oct_rev"] += ip.octets
        else:
            rec["pkt_fwd"] += ip.packets
            rec["oct_fwd"] += ip.octets
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Counts; the header's own 40 octets are included."""
        if rev:
            rec["pkt_rev"] += ip.packets
            rec["oct_rev"] += ip.octets
        else:
            rec["pkt_fwd"] += ip.packets
            rec["oct_fwd"] += ip.octets
        return True
