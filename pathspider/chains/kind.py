"""Which packets carry a mark that tells of the flow: shared by the chains for ECN, DSCP and the evil bit."""

from __future__ import annotations

import socket
from typing import Any

from pathspider.chains.tcp import TCP_SYN, is_bogus
from pathspider.libtrace import IP, IP6

IPPROTO_TCP: int = socket.IPPROTO_TCP

NEITHER = 0
SYN = 1
DATA = 2


def packet_kind(ip: IP | IP6) -> int:
    """``SYN`` for TCP with the SYN flag, ``DATA`` for other TCP with user data and all that is not TCP, or ``NEITHER``.

    Neither are TCP packets of which too little was captured, and ICMP errors: the mark of an error message is that of
    the router which sent it, not of the flow that it quotes.
    """
    tcp = ip.tcp
    if tcp is not None:
        if tcp.flags & TCP_SYN:
            return SYN
        return DATA if tcp.payload_len else NEITHER
    return NEITHER if ip.proto == IPPROTO_TCP or ip.quotes else DATA


def believed_kind(rec: dict[str, Any], ip: IP | IP6, rev: bool) -> int:
    """The same, but that a bogus SYN-ACK is ``NEITHER``. To be asked about each packet, see
    :func:`~pathspider.chains.tcp.is_bogus`."""
    kind = packet_kind(ip)
    if kind == SYN and ip.tcp is not None and is_bogus(rec, ip.tcp, rev):
        return NEITHER
    return kind
