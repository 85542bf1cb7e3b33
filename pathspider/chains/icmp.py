"""ICMP messages about a flow. :rfc:`792`, :rfc:`4443`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import IP, IP6

ICMP4_TTLEXCEEDED = 11
ICMP4_UNREACHABLE = 3
ICMP6_TTLEXCEEDED = 3
ICMP6_UNREACHABLE = 1


class ICMPChain(Chain):
    """Whether the flow was answered by an ICMP unreachable message."""

    fields = {
        "icmp_unreachable": Field(bool, False, "A router or the target said that a packet could not be delivered"),
    }

    def icmp4(self, rec: dict[str, Any], ip: IP, q: IP | None, rev: bool) -> bool:
        """Records ICMP details.

        :returns: ``False`` with an unreachable message: the flow is complete
        """
        if rev and ip.icmp.type == ICMP4_UNREACHABLE:
            rec["icmp_unreachable"] = True
            return False
        return True

    def icmp6(self, rec: dict[str, Any], ip6: IP6, q: IP6 | None, rev: bool) -> bool:
        """Records ICMPv6 details; as :meth:`icmp4`."""
        if rev and ip6.icmp6.type == ICMP6_UNREACHABLE:
            rec["icmp_unreachable"] = True
            return False
        return True
