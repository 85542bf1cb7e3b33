"""The UDP header. :rfc:`768`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import UDP


class UDPChain(Chain):
    """Whether the checksum was disabled, by direction; ``None`` where no datagram was seen."""

    fields = {
        "udp_zero_checksum_fwd": Field(
            bool, None, "Whether the last datagram that went forward had no checksum"
        ),
        "udp_zero_checksum_rev": Field(
            bool, None, "Whether the last datagram that came back had no checksum"
        ),
    }

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Records whether this datagram's checksum is zero."""
        rec["udp_zero_checksum_rev" if rev else "udp_zero_checksum_fwd"] = udp.checksum == 0
        return True
