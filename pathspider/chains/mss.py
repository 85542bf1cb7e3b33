"""The TCP Maximum Segment Size option. :rfc:`9293` section 3.7.1"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.tcp import TCP_SYN, TO_MSS, tcp_options
from pathspider.libtrace import TCP


class MSSChain(Chain):
    """Length and value of the MSS option on SYN packets, by direction."""

    fields = {
        "mss_len_fwd": Field(int, None, "Length of the MSS option including kind and length, in the forward direction"),
        "mss_len_rev": Field(int, None, "Length of the MSS option including kind and length, in the reverse direction"),
        "mss_value_fwd": Field(int, None, "Value of the MSS option in the forward direction"),
        "mss_value_rev": Field(int, None, "Value of the MSS option in the reverse direction"),
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
