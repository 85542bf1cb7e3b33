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
    if state == NOTHING_YET and not is_cut(tcp):
        rec["_handshake_flags"] = tcp.flags
        rec["_handshake_seq"] = tcp.seq_nbr
        rec["_handshake_octets"] = tcp.payload_len
        rec["_handshake_options"] = options_of(tcp)
    elif not ASKED <= state <= ANSWERED or not is_first(rec, tcp, state):
        return CONTRADICTED
    elif state == ANSWERED:  # the SYN-ACK was lost behind us
        return state
    rec["_handshake_sent"] = captured_at(tcp)
    return ASKED


def is_first(rec: dict[str, Any], tcp: TCP, state: int) -> bool:
    """Whether a SYN is the first one, sent again: once it was answered, its options may have another time."""
    if rec["_handshake_flags"] != tcp.flags or rec["_handshake_seq"] != tcp.seq_nbr:
        return False
    return state == ANSWERED or bool(rec["_handshake_octets"] == tcp.payload_len
                                     and rec["_handshake_options"] == options_of(tcp))


def after_syn_ack(rec: dict[str, Any], tcp: TCP, state: int) -> int:
    """The state after a SYN-ACK that came back, and is not bogus."""
    if state == ASKED and not is_cut(tcp) and 0 <= captured_at(tcp) - rec["_handshake_sent"] < SOONEST_RESEND:
        rec["_handshake_back_flags"] = tcp.flags
        rec["_handshake_back_seq"] = tcp.seq_nbr
        rec["_handshake_back_ack"] = tcp.ack_nbr
        return ANSWERED
    again = (state == ANSWERED and rec["_handshake_back_flags"] == tcp.flags
             and rec["_handshake_back_seq"] == tcp.seq_nbr and rec["_handshake_back_ack"] == tcp.ack_nbr)
    return ANSWERED if again else CONTRADICTED


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

    wants = Wanted.SYN | Wanted.OPENING

    scratch = {"_handshake_state": NOTHING_YET, "_handshake_flags": 0, "_handshake_seq": 0, "_handshake_octets": 0,
               "_handshake_options": None, "_handshake_back_flags": 0, "_handshake_back_seq": 0,
               "_handshake_back_ack": 0, "_handshake_sent": 0.0, **SYN_SENT}

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
