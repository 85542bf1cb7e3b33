"""What TCP receivers say of the ECN field of data that they got. :rfc:`3168`, section 6.1.3, :rfc:`9768`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import SEQUENCE_NUMBERS, TCP_ECE, TCP_RST, TCP_SYN, parse_options
from pathspider.libtrace import IP, IP6, options_of

TO_ACCECN0 = 172
TO_ACCECN1 = 174
"""Kinds of the option with counters of octets by codepoint: ECT(0), CE, ECT(1); and the other way round."""


class FeedbackChain(Chain):
    """With which ECN field the first data of a TCP connection left, and what is said where they are acknowledged."""

    fields = {
        "feedback_ecn_fwd": Field(int, None, "The ECN field, from 0 to 3, of the first data that went forward behind "
                                             "the handshake"),
        "feedback_octets_fwd": Field(int, 0, "How many octets these data are"),
        "feedback_again_fwd": Field(bool, False, "They were sent again"),
        "feedback_flags_rev": Field(int, None, "All flags of the first segment that acknowledges them, not a RST"),
        "feedback_option_rev": Field(str, None, "The option of accurate ECN on that segment, in hexadecimal: its kind, "
                                                "and its counters"),
        "feedback_ece_rev": Field(bool, False, "ECE was on that segment, or on a later one"),
    }

    wants = Wanted.FIRST | Wanted.ANSWER | Wanted.ECE

    scratch = {"_feedback_seq": 0}

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Looks at an IPv4 packet."""
        note_feedback(rec, ip, rev)
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Looks at an IPv6 packet."""
        note_feedback(rec, ip, rev)
        return True


def note_feedback(rec: dict[str, Any], ip: IP | IP6, rev: bool) -> None:
    """Note what a packet says in a flow's record."""
    tcp = ip.tcp
    if tcp is None or tcp.flags & (TCP_SYN | TCP_RST):
        return
    octets = rec["feedback_octets_fwd"]
    if rev:
        if octets and (tcp.ack_nbr - rec["_feedback_seq"] - octets) % SEQUENCE_NUMBERS < SEQUENCE_NUMBERS // 2:
            if rec["feedback_flags_rev"] is None:
                rec["feedback_flags_rev"] = tcp.flags
                options = parse_options(options_of(tcp))
                for kind in (TO_ACCECN0, TO_ACCECN1):
                    if kind in options:
                        rec["feedback_option_rev"] = (bytes([kind]) + options[kind]).hex()
            if tcp.flags & TCP_ECE:
                rec["feedback_ece_rev"] = True
    elif tcp.payload_len:
        if not octets:
            rec["feedback_ecn_fwd"] = ip.traffic_class & 3
            rec["feedback_octets_fwd"] = tcp.payload_len
            rec["_feedback_seq"] = tcp.seq_nbr
        elif tcp.seq_nbr == rec["_feedback_seq"]:
            rec["feedback_again_fwd"] = True
