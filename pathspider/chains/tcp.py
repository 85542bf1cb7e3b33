"""Basic TCP behaviour, TCP's constants, and a parser of TCP options. :rfc:`9293`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import TCP

TCP_FIN = 0x01
TCP_SYN = 0x02
TCP_RST = 0x04
TCP_PSH = 0x08
TCP_ACK = 0x10
TCP_URG = 0x20
TCP_ECE = 0x40
TCP_CWR = 0x80

TCP_SA = TCP_SYN | TCP_ACK
TCP_SEC = TCP_SYN | TCP_ECE | TCP_CWR
TCP_SAE = TCP_SYN | TCP_ACK | TCP_ECE
TCP_SAEC = TCP_SYN | TCP_ACK | TCP_ECE | TCP_CWR
TCP_SAE_C = TCP_SAEC
"""As the 2.0 documentation spells it."""

TO_EOL = 0
TO_NOP = 1
TO_MSS = 2
TO_WS = 3
TO_SACKOK = 4
TO_SACK = 5
TO_TS = 8
TO_MPTCP = 30
TO_FASTOPEN = 34
TO_EXPA = 254
TO_EXPB = 255
TO_EXID_FASTOPEN = (0xF9, 0x89)


def next_option(data: bytes, at: int) -> int:
    """Where the next option begins in the options area of a TCP header, at or behind ``at``; -1 where there is none.

    Its kind stands there, and its length, which can be, behind it. The end-of-list option ends the search, and so does
    an option whose length cannot be. Padding is passed over.
    """
    while at < len(data) and data[at] == TO_NOP:
        at += 1
    if at + 1 >= len(data) or data[at] == TO_EOL or data[at + 1] < 2 or at + data[at + 1] > len(data):
        return -1
    return at


def parse_options(data: bytes) -> dict[int, bytes]:
    """The options area of a TCP header as :func:`tcp_options` tells it."""
    options: dict[int, bytes] = {}
    at = next_option(data, 0)
    while at >= 0:
        length = data[at + 1]
        options.setdefault(data[at], data[at + 2 : at + length])
        at = next_option(data, at + length)
    return options


def tcp_options(tcp: TCP) -> dict[int, bytes]:
    """A mapping of option kinds to values (bytes; empty for options without one).

    The first option of a kind wins. Parsing ends at the end-of-list option and before an option whose length cannot
    be, so that malformed options yield what stands before them. Padding is not listed.
    """
    return parse_options(tcp.options_data)


def has_syn_ack(flow: dict[str, Any]) -> bool:
    """True if :class:`TCPChain` saw a SYN-ACK of the target; a RST is none."""
    flags = flow["tcp_synflags_rev"]
    return flags is not None and flags & TCP_SA == TCP_SA


class TCPChain(Chain):
    """SYN flags, FIN and RST by direction, whether the 3WHS completed, and when the flow is complete."""

    fields = {
        "tcp_synflags_fwd": Field(int, None, "All flags of the first SYN that went forward, as a number"),
        "tcp_synflags_rev": Field(int, None, "The same of the first SYN that came back"),
        "tcp_fin_fwd": Field(bool, False, "A FIN went forward"),
        "tcp_fin_rev": Field(bool, False, "A FIN came back"),
        "tcp_rst_fwd": Field(bool, False, "A RST went forward"),
        "tcp_rst_rev": Field(bool, False, "A RST came back"),
        "tcp_connected": Field(bool, False, "The handshake was completed: SYN, SYN-ACK, ACK; or SYN-ACKs each way"),
    }

    scratch = {"_tcp_syn_acks": 0}
    """Who sent SYN-ACKs: 1, the one who opened; 2, the other; of a simultaneous open both do."""

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records TCP behaviour. The first SYN in each direction wins.

        :returns: ``False`` once FINs were seen in both directions, or a RST in either
        """
        flags = tcp.flags
        if flags & TCP_SYN:
            if rev:
                if rec["tcp_synflags_rev"] is None:
                    rec["tcp_synflags_rev"] = flags
            elif rec["tcp_synflags_fwd"] is None:
                rec["tcp_synflags_fwd"] = flags
            if flags & TCP_ACK:
                rec["_tcp_syn_acks"] |= 2 if rev else 1
                if rec["_tcp_syn_acks"] == 3 and not rec["tcp_synflags_fwd"] & TCP_ACK:  # simultaneous: RFC 9293, 3.5
                    rec["tcp_connected"] = True
        elif (not rev and flags & (TCP_ACK | TCP_RST) == TCP_ACK and not rec["tcp_connected"]
              and rec["tcp_synflags_fwd"] is not None and rec["_tcp_syn_acks"] & 2):
            rec["tcp_connected"] = True
        if flags & (TCP_FIN | TCP_RST):
            if flags & TCP_FIN:
                rec["tcp_fin_rev" if rev else "tcp_fin_fwd"] = True
            if flags & TCP_RST:
                rec["tcp_rst_rev" if rev else "tcp_rst_fwd"] = True
            return not ((rec["tcp_fin_fwd"] and rec["tcp_fin_rev"]) or rec["tcp_rst_fwd"] or rec["tcp_rst_rev"])
        return True
