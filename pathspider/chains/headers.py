"""The first packet each way, as it was on the wire: what no other chain takes apart can be looked up in it."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.tcp import SYN_SENT, TCP_SA, TCP_SYN, is_bogus
from pathspider.chains.wanted import Wanted
from pathspider.libtrace import IP, IP6, hex_of

MOST_OCTETS = 640
"""Of a packet: headers with 512 octets of extension headers, and all of a SYN."""

FIXED_OCTETS = 40
"""Of an IPv6 header, which its length leaves out."""


class HeadersChain(Chain):
    """The first packet that went forward, and the first that answered it, from their IP headers on.

    Of TCP these are a SYN and a SYN-ACK that acknowledges it; a RST, or an ICMP error, is no answer. Of UDP it is the
    first datagram each way.
    """

    fields = {
        "headers_fwd": Field(str, None, f"The first {MOST_OCTETS} octets of the first packet that went forward, in "
                                        "hexadecimal"),
        "headers_rev": Field(str, None, "The same of the SYN-ACK or datagram that came back first"),
    }

    wants = Wanted.SYN | Wanted.OPENING

    scratch = SYN_SENT

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Keeps an IPv4 packet."""
        keep(rec, ip, rev, ip.pkt_len)
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Keeps an IPv6 packet."""
        keep(rec, ip, rev, FIXED_OCTETS + ip.payload_len)
        return True


def keep(rec: dict[str, Any], ip: IP | IP6, rev: bool, octets: int) -> None:
    """Keep a packet of so many octets in a flow's record, if it is the first of its kind."""
    tcp = ip.tcp
    if tcp is not None:
        flags = tcp.flags
        # to be asked of each SYN, so that it knows the last one that was sent
        if not flags & TCP_SYN or is_bogus(rec, tcp, rev) or flags & TCP_SA != (TCP_SA if rev else TCP_SYN):
            return
    elif ip.udp is None:
        return
    if rec["headers_rev" if rev else "headers_fwd"] is None:
        rec["headers_rev" if rev else "headers_fwd"] = hex_of(ip, min(octets, MOST_OCTETS))
