"""The TCP Maximum Segment Size option. :rfc:`9293` section 3.7.1"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.tcp import TCP_SYN, TO_MSS, tcp_options
from pathspider.libtrace import TCP


class MSSChain(Chain):
    """Length and value of the MSS option on SYN packets, by direction."""

    fields = {
        "mss_len_fwd": Field(int, None, "Bytes of the whole MSS option on a SYN that went forward"),
        "mss_len_rev": Field(int, None, "The same on a SYN that came back"),
        "mss_value_fwd": Field(int, None, "The segment size that it names"),
        "mss_value_rev": Field(int, None, "The segment size that this one names"),
    }

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records the option of SYN packets; an option of another length than 4 has no value. The first one wins."""
        if tcp.flags & TCP_SYN and rec["mss_len_rev" if rev else "mss_len_fwd"] is None:
            value = tcp_options(tcp).get(TO_MSS)
            if value is not None:
                rec["mss_len_rev" if rev else "mss_len_fwd"] = len(value) + 2
                if len(value) == 2:
                    rec["mss_value_rev" if rev else "mss_value_fwd"] = int.from_bytes(value, "big")
        return True
