"""Basic TCP behaviour, TCP's constants, and a parser of TCP options. :rfc:`9293`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.libtrace import TCP

TCP_FIN = 0x01
TCP_SYN = 0x02
TCP_RST = 0x04
TCP_PSH = 0x08
TCP_ACK = 0x10
TCP_URG = 0x20
TCP_ECE = 0x40
TCP_CWR = 0x80
TCP_AE = 0x100
"""Accurate ECN, :rfc:`9768`; the bit that was NS."""

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

SEQUENCE_NUMBERS = 0x1_0000_0000
"""How many there are: they are counted modulo this."""


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


SYN_SENT: dict[str, Any] = {"_syn_seq": None, "_syn_bytes": 0}
"""What :func:`is_bogus` notes: the scratch of a chain that asks it. Chains beside each other note the same."""


def is_bogus(rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
    """Whether a segment with the SYN flag is a SYN-ACK that acknowledges another SYN than was sent.

    A SYN-ACK acknowledges its SYN, and data that came with it as far as they were taken. Any other is no answer: some
    devices send such on purpose, to see whether the client resets (SYN authentication), and the kernel does so and goes
    on waiting. :rfc:`9293`, section 3.10.7.3. To be asked about each SYN of a flow: those that go forward are noted.
    Where none was seen, as in a capture that began later, each SYN-ACK is believed.

    :param rec: the flow's record, with the keys of :data:`SYN_SENT`
    """
    if tcp.bogus >= 0:  # another chain has asked about this segment
        return bool(tcp.bogus)
    bogus = _is_bogus(rec, tcp, rev)
    if tcp.bogus == -1:
        tcp.bogus = bogus
    return bogus


def _is_bogus(rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
    acknowledges = tcp.flags & TCP_ACK
    if rev:
        sent = rec["_syn_seq"]
        if sent is None or not acknowledges:
            return False
        return not 1 <= (tcp.ack_nbr - sent) % SEQUENCE_NUMBERS <= 1 + rec["_syn_bytes"]
    if not acknowledges:
        if rec["_syn_seq"] != tcp.seq_nbr:
            rec["_syn_seq"] = tcp.seq_nbr
            rec["_syn_bytes"] = tcp.payload_len
        elif rec["_syn_bytes"] < tcp.payload_len:  # one that is sent again may have less
            rec["_syn_bytes"] = tcp.payload_len
    return False


def has_syn_ack(flow: dict[str, Any]) -> bool:
    """True if :class:`TCPChain` saw a SYN-ACK that answers the SYN; a RST is none."""
    flags = flow["tcp_synflags_rev"]
    return flags is not None and flags & TCP_SA == TCP_SA


class TCPChain(Chain):
    """SYN flags, FIN and RST by direction, whether the 3WHS completed, and when the flow is complete."""

    fields = {
        "tcp_synflags_fwd": Field(int, None, "All flags of the first SYN that went forward, as a number"),
        "tcp_synflags_rev": Field(int, None, "The same of the first SYN that came back, bogus SYN-ACKs left out"),
        "tcp_bogus_synack_rev": Field(int, 0, "SYN-ACKs that came back and acknowledged another SYN than was sent"),
        "tcp_bogus_ack_rev": Field(int, None, "Acknowledgement number of the first of these"),
        "tcp_fin_fwd": Field(bool, False, "A FIN went forward"),
        "tcp_fin_rev": Field(bool, False, "A FIN came back"),
        "tcp_rst_fwd": Field(bool, False, "A RST went forward"),
        "tcp_rst_rev": Field(bool, False, "A RST came back"),
        "tcp_connected": Field(bool, False, "The handshake was completed: SYN, SYN-ACK, ACK; or SYN-ACKs each way"),
    }

    wants = Wanted.SYN | Wanted.END | Wanted.NOVEL

    scratch = {"_tcp_syn_acks": 0, **SYN_SENT}
    """``_tcp_syn_acks``, who sent SYN-ACKs: 1, the one who opened; 2, the other; of a simultaneous open both do."""

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Records TCP behaviour. The first SYN in each direction wins; of a bogus SYN-ACK nothing else is believed.

        :returns: ``False`` once FINs were seen in both directions, or a RST in either that is not our answer to a bogus
            SYN-ACK
        """
        flags = tcp.flags
        if flags & TCP_SYN:
            if is_bogus(rec, tcp, rev):
                if not rec["tcp_bogus_synack_rev"]:
                    rec["tcp_bogus_ack_rev"] = tcp.ack_nbr
                rec["tcp_bogus_synack_rev"] += 1
                return True
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
                return bool(not rev and rec["tcp_synflags_rev"] is None and rec["tcp_bogus_synack_rev"])
            return not ((rec["tcp_fin_fwd"] and rec["tcp_fin_rev"]) or rec["tcp_rst_fwd"] or rec["tcp_rst_rev"])
        return True
