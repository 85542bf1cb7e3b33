"""How often a SYN had to be sent, and what the last one asked for: shows a kernel that falls back to a plain SYN."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import SYN_SENT, TCP_ACK, TCP_SYN, is_bogus
from pathspider.libtrace import TCP


class FallbackChain(Chain):
    """Forward SYNs up to the first SYN-ACK in reverse; with TCPChain's ``tcp_synflags_fwd``, the flags of the first
    SYN, it tells whether a connection came up as it was asked for or only after a fallback."""

    fields = {
        "syn_count_fwd": Field(int, 0, "SYNs seen in the forward direction before the first SYN-ACK in reverse"),
        "synflags_last_fwd": Field(int, None, "Flags of the last of these SYNs"),
    }

    wants = Wanted.SYN

    scratch = {"_syn_answered": False, **SYN_SENT}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Counts SYNs."""
        flags = tcp.flags
        if flags & TCP_SYN and not is_bogus(rec, tcp, rev):
            if rev:
                if flags & TCP_ACK:
                    rec["_syn_answered"] = True
            elif not (flags & TCP_ACK or rec["_syn_answered"]):  # a SYN-ACK forward: both sides opened at once
                rec["syn_count_fwd"] += 1
                rec["synflags_last_fwd"] = flags
        return True
