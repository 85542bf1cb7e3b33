"""One packet of each kind of a connection, as it left: what its probes are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

from pathspider.chains.base import Chain
from pathspider.libtrace import IP, IP6

SPECIMEN = "specimen"
"""Of a flow's record, on its way to be judged: its :class:`Specimen`."""

MOST_OCTETS = 1500


class Specimen(NamedTuple):
    """Packets of a flow, from their IP header on; empty where there was none."""

    first: bytes
    """A SYN, or a datagram."""
    data: bytes = b""
    """The first packet of a TCP connection that carries data behind the handshake."""
    ttl: int | None = None
    """TTL of what came back first."""


class SpecimenChain(Chain):
    """Keeps the first packet, the first with data, and the TTL of the first reply. No field of it reaches a record."""

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """A flow begins."""
        rec[SPECIMEN] = Specimen(bytes(ip.data[:MOST_OCTETS]))
        return True

    def ip4(self, rec: dict[str, Any], ip: IP | IP6, rev: bool) -> bool:
        """Looks at a packet, as long as something is missing."""
        kept: Specimen = rec[SPECIMEN]
        if rev:
            if kept.ttl is None:
                rec[SPECIMEN] = kept._replace(ttl=ip.hop_limit)
        elif not kept.data and ip.tcp is not None and ip.tcp.payload_len and not ip.tcp.flags & 0x2:
            rec[SPECIMEN] = kept._replace(data=bytes(ip.data[:MOST_OCTETS]))
        return True

    ip6 = ip4
