"""The UDP header. :rfc:`768`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import UDP


class UDPChain(Chain):
    """Whether the checksum was disabled, by direction; ``None`` where no datagram was seen."""

    fields = {
        "udp_zero_checksum_fwd": Field(
            bool, None, "True if the last packet in the forward direction had the UDP checksum disabled (set to zero)"
        ),
        "udp_zero_checksum_rev": Field(
            bool, None, "True if the last packet in the reverse direction had the UDP checksum disabled (set to zero)"
        ),
    }

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Records whether this datagram's checksum is zero."""
        rec["udp_zero_checksum_rev" if rev else "udp_zero_checksum_fwd"] = udp.checksum == 0
        return True
