"""TCP Fast Open. :rfc:`7413`, the experimental option kinds: :rfc:`6994`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import (
    SYN_SENT,
    TCP_ACK,
    TCP_SYN,
    TO_EXID_FASTOPEN,
    TO_EXPA,
    TO_EXPB,
    TO_FASTOPEN,
    is_bogus,
    next_option,
)
from pathspider.libtrace import TCP, options_of

EXID = bytes(TO_EXID_FASTOPEN)


def tfo_option(data: bytes) -> tuple[int, bytes] | None:
    """Kind and cookie (empty in a request for one) of the Fast Open option among the options of a TCP header; ``None``
    where there is none. Of several options of an experimental kind, the one with Fast Open's identifier counts."""
    found = None
    at = next_option(data, 0)
    while at >= 0:
        end = at + data[at + 1]
        if data[at] == TO_FASTOPEN:
            return TO_FASTOPEN, data[at + 2 : end]
        if found is None and (data[at] == TO_EXPA or data[at] == TO_EXPB) and data[at + 2 : min(end, at + 4)] == EXID:
            found = data[at], data[at + 4 : end]
        at = next_option(data, end)
    return found


class TFOChain(Chain):
    """Fast Open options and data on the SYN, and whether the data was acknowledged.

    The first SYN in each direction is described: a kernel that falls back resends its SYN without option and data.
    SYN-ACKs that acknowledge another SYN than was sent are none.
    """

    fields = {
        "tfo_synkind": Field(int, 0, "Kind of the Fast Open option on the SYN: 34, 254 or 255; 0 without one"),
        "tfo_ackkind": Field(int, 0, "Kind of the Fast Open option on the SYN-ACK"),
        "tfo_synclen": Field(int, 0, "TFO cookie length in the forward direction"),
        "tfo_ackclen": Field(int, 0, "TFO cookie length in the reverse direction"),
        "tfo_seq": Field(int, 0, "Sequence number of the SYN in the forward direction"),
        "tfo_dlen": Field(int, 0, "Length of the SYN's payload in the forward direction"),
        "tfo_ack": Field(int, 0, "Acknowledgement number of the SYN-ACK in the reverse direction"),
    }

    wants = Wanted.SYN

    scratch = {"_tfo_syn": False, "_tfo_ack": False, **SYN_SENT}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records the SYN going forward and the SYN-ACK coming back."""
        if not tcp.flags & TCP_SYN or is_bogus(rec, tcp, rev):
            return True
        if rev:
            if tcp.flags & TCP_ACK and not rec["_tfo_ack"]:
                rec["_tfo_ack"] = True
                rec["tfo_ack"] = tcp.ack_nbr
                option = tfo_option(options_of(tcp))
                if option is not None:
                    rec["tfo_ackkind"] = option[0]
                    rec["tfo_ackclen"] = len(option[1])
        elif not rec["_tfo_syn"]:
            rec["_tfo_syn"] = True
            rec["tfo_seq"] = tcp.seq_nbr
            rec["tfo_dlen"] = tcp.payload_len
            option = tfo_option(options_of(tcp))
            if option is not None:
                rec["tfo_synkind"] = option[0]
                rec["tfo_synclen"] = len(option[1])
        return True
