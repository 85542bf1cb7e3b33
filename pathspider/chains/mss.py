"""The TCP Maximum Segment Size option. :rfc:`9293` section 3.7.1"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import SYN_SENT, TCP_SYN, TO_EOL, TO_MSS, TO_NOP, is_bogus
from pathspider.libtrace import TCP, options_of

MSS_LENGTH = 4
"""Of the whole option: kind, length, and two octets of value."""


def mss_option(data: bytes) -> tuple[int, int | None] | None:
    """Length and value of the MSS option in the options area of a SYN, None without one, as kernels read it.

    Of several, the last that is as it ought to be counts: four octets long, the value not 0. Where none is, it is the
    last of those that are there: with the length that it says, and a value where two octets of it follow.
    """
    found = None
    usable = False
    at = 0
    while at + 1 < len(data) and data[at] != TO_EOL:
        if data[at] == TO_NOP:
            at += 1
            continue
        length = data[at + 1]
        there = min(length, len(data) - at)
        if data[at] == TO_MSS:
            value = data[at + 2] << 8 | data[at + 3] if there >= MSS_LENGTH else 0
            good = length == MSS_LENGTH and value != 0
            if good or not usable:
                found, usable = (length, value if there >= MSS_LENGTH else None), good
        if length < 2 or there < length:
            break
        at += length
    return found


class MSSChain(Chain):
    """Length and value of the MSS option on SYN packets, by direction."""

    fields = {
        "mss_len_fwd": Field(int, None, "Bytes of the whole MSS option on a SYN that went forward"),
        "mss_len_rev": Field(int, None, "The same on a SYN that came back"),
        "mss_value_fwd": Field(int, None, "The segment size that it names"),
        "mss_value_rev": Field(int, None, "The segment size that this one names"),
    }

    wants = Wanted.SYN

    scratch = SYN_SENT

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records the option of SYN packets, as :func:`mss_option` reads it. The first SYN that has it wins."""
        if not tcp.flags & TCP_SYN or is_bogus(rec, tcp, rev):
            return True
        if rec["mss_len_rev" if rev else "mss_len_fwd"] is None:
            option = mss_option(options_of(tcp))
            if option is not None:
                rec["mss_len_rev" if rev else "mss_len_fwd"] = option[0]
                rec["mss_value_rev" if rev else "mss_value_fwd"] = option[1]
        return True
