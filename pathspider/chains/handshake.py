"""Whether a handshake was seen so that its words can be believed, also in a capture of what others sent. :rfc:`9293`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.chains.tcp import SYN_SENT, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, is_bogus
from pathspider.chains.wanted import Wanted
from pathspider.libtrace import TCP, captured_at, options_of

SOONEST_RESEND = 1.0
"""Seconds after which an unanswered SYN is sent again, at the earliest. :rfc:`6298`, section 2"""

FIXED_BYTES = 20
"""Of a TCP header without options."""

NOTHING_YET = 0
ASKED = 1
ANSWERED = 2
CONTRADICTED = 3
"""What was seen of the handshake; the last for good."""


def is_cut(tcp: TCP) -> bool:
    """Whether options of a segment are missing, as with a small snaplen."""
    return bool(FIXED_BYTES + len(options_of(tcp)) != tcp.doff * 4)


def after_syn(rec: dict[str, Any], tcp: TCP, state: int) -> int:
    """The state after a SYN that went forward."""
    syn = (tcp.flags, tcp.seq_nbr, tcp.payload_len, options_of(tcp))
    if state == NOTHING_YET and not is_cut(tcp):
        rec["_handshake_syn"] = syn
    elif state == ANSWERED:  # the SYN-ACK was lost behind us; options may have another time
        return state if rec["_handshake_syn"][:2] == syn[:2] else CONTRADICTED
    elif state != ASKED or rec["_handshake_syn"] != syn:
        return CONTRADICTED
    rec["_handshake_sent"] = captured_at(tcp)
    return ASKED


def after_syn_ack(rec: dict[str, Any], tcp: TCP, state: int) -> int:
    """The state after a SYN-ACK that came back, and is not bogus."""
    synack = (tcp.flags, tcp.seq_nbr, tcp.ack_nbr)
    if state == ASKED and not is_cut(tcp) and 0 <= captured_at(tcp) - rec["_handshake_sent"] < SOONEST_RESEND:
        rec["_handshake_synack"] = synack
        return ANSWERED
    return ANSWERED if state == ANSWERED and rec["_handshake_synack"] == synack else CONTRADICTED


class HandshakeChain(Chain):
    """Whether a TCP flow began with a SYN and with its SYN-ACK soon after, both seen whole and never contradicted.

    The first segment seen is the SYN. The SYN-ACK follows within a second of the last SYN that was seen: no other one,
    that the capture has lost, can have come between them. SYNs that are sent again are the same, options included, and
    so are flags and numbers of SYN-ACKs. Nothing is said of more than one connection with the same ports, of both ends
    opening at once, and where a SYN-ACK is bogus.
    """

    fields = {
        "handshake_whole": Field(
            bool, False, "The flow began with a SYN, and the SYN-ACK came within a second; nothing contradicts them"
        ),
    }

    wants = Wanted.SYN | Wanted.NOVEL

    scratch = {"_handshake_state": NOTHING_YET, "_handshake_syn": None, "_handshake_synack": None,
               "_handshake_sent": 0.0, **SYN_SENT}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Looks at SYNs, and at what comes first."""
        state = rec["_handshake_state"]
        if not tcp.flags & TCP_SYN:
            if state == NOTHING_YET:
                rec["_handshake_state"] = CONTRADICTED  # it began before
            return True
        bogus = is_bogus(rec, tcp, rev)
        others = tcp.flags & (TCP_ACK | TCP_RST | TCP_FIN)
        if not rev and not others:
            state = after_syn(rec, tcp, state)
        elif rev and not bogus and others == TCP_ACK:
            state = after_syn_ack(rec, tcp, state)
        else:
            state = CONTRADICTED
        rec["_handshake_state"] = state
        rec["handshake_whole"] = state == ANSWERED
        return True
