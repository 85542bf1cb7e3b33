"""How far a connection came, and who said that it goes no further. :rfc:`9293`, :rfc:`792`, :rfc:`4443`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from pathspider.libtrace import ICMP, ICMP6, IP, IP6, TCP, UDP, captured_at

NO_HANDSHAKE = "no_handshake"
REFUSED = "refused"
BY_ICMP = "icmp"
NO_ANSWER = "no_answer"
BAD_ANSWER = "bad_answer"
"""Of these values of ``evidence_failure``, only the run can say the last: see :mod:`pathspider.run.judge`."""

UNREACHABLE4 = 3
FRAGMENTATION_NEEDED = 4
EXPIRED4 = 11
PARAMETER4 = 12
UNREACHABLE6 = 1
EXPIRED6 = 3
PARAMETER6 = 4

LEAST_BEFORE_EXTENSIONS = 128
"""Octets of the quotation at least, where extensions follow it. :rfc:`4884` section 4"""


def ttl_of(tcp: TCP) -> int | None:
    """TTL or hop limit of the packet around a segment."""
    if tcp.ip is not None:
        return tcp.ip.ttl  # type: ignore[no-any-return]
    return tcp.ip6.hop_limit if tcp.ip6 is not None else None


def acknowledges(rec: dict[str, Any], tcp: TCP) -> bool:
    """Whether a segment acknowledges the SYN that waits for its answer, with none, some or all of its data."""
    if not tcp.flags & TCP_ACK:
        return False
    sequence, data = rec["_evidence_seq"], rec["_evidence_octets"]
    return bool((tcp.ack_nbr - sequence - 1) & 0xFFFFFFFF <= data)


def header_facts(q: IP | IP6, before_extensions: int) -> dict[str, Any]:
    """What an ICMP error quotes of a packet; of what was cut off, and of what its protocol has not, ``None``.

    :param before_extensions: octets of the quotation, as the message says; 0 where it does not say
    """
    tcp, ip = q.tcp, q.ip
    ports = tcp or q.udp or q.sctp
    octets = q.size
    if LEAST_BEFORE_EXTENSIONS <= before_extensions < octets:
        octets = before_extensions
    return {
        "sip": str(q.src_prefix),
        "dip": str(q.dst_prefix),
        "proto": q.proto,
        "sp": None if ports is None else ports.src_port,
        "dp": None if ports is None else ports.dst_port,
        "ttl": q.hop_limit,
        "traffic_class": q.traffic_class,
        "ident": None if ip is None else ip.ident,
        "length": q.pkt_len + (40 if ip is None else 0),
        "tcp_seq": None if tcp is None else tcp.seq_nbr,
        "tcp_flags": None if tcp is None else tcp.flags,
        "octets": octets,
    }


def note_syn(rec: dict[str, Any], tcp: TCP) -> None:
    """A SYN went forward."""
    rec["evidence_syns_fwd"] += 1
    if rec["evidence_synack_ttl"] is not None or rec["evidence_answered_at"] is not None:
        return
    now, data = captured_at(tcp), tcp.payload_len
    if rec["_evidence_waits"] and rec["_evidence_seq"] == tcp.seq_nbr:
        data = max(data, rec["_evidence_octets"])  # a kernel that falls back sends it without
    rec["_evidence_waits"] = True
    rec["_evidence_seq"] = tcp.seq_nbr
    rec["_evidence_octets"] = data
    rec["_evidence_sent"] = now
    if rec["evidence_failure"] is None or rec["evidence_failure"] == NO_HANDSHAKE:
        rec["evidence_failure"] = NO_HANDSHAKE
        rec["evidence_failed_at"] = now


def note_rst(rec: dict[str, Any], tcp: TCP) -> None:
    """A RST came back."""
    if rec["evidence_rst_ttl"] is None and (not rec["_evidence_waits"] or acknowledges(rec, tcp)):
        rec["evidence_rst_ttl"] = ttl_of(tcp)
        if rec["evidence_failure"] == NO_HANDSHAKE:
            rec["evidence_failure"] = REFUSED
            rec["evidence_failed_at"] = captured_at(tcp)
        elif rec["evidence_failure"] == NO_ANSWER:
            rec["evidence_failed_at"] = captured_at(tcp)


def note_synack(rec: dict[str, Any], tcp: TCP) -> None:
    """A SYN-ACK came back."""
    if not rec["_evidence_waits"]:
        return
    if not acknowledges(rec, tcp):
        if rec["evidence_bogus_synack_ttl"] is None:
            rec["evidence_bogus_synack_ttl"] = ttl_of(tcp)
        return
    now = captured_at(tcp)
    rec["_evidence_waits"] = False
    rec["evidence_synack_ttl"] = ttl_of(tcp)
    sent = rec["_evidence_sent"]
    microseconds = int((now - sent) * 1000000 + 0.5)
    if microseconds >= 0:  # the clock may have been set back
        rec["evidence_rtt"] = microseconds / 1000000
    rec["evidence_failure"] = NO_ANSWER
    rec["evidence_failed_at"] = now
    if tcp.payload_len:
        note_answer(rec, now)


def note_question(rec: dict[str, Any], now: float) -> None:
    """Data went forward, and none came back so far."""
    if rec["evidence_asked_at"] is None:
        rec["evidence_asked_at"] = now
    if rec["evidence_failure"] == NO_ANSWER:
        rec["evidence_failed_at"] = now


def note_answer(rec: dict[str, Any], now: float) -> None:
    """The first data came back."""
    rec["evidence_answered_at"] = now
    rec["evidence_failure"] = rec["evidence_failed_at"] = None


def note_error(rec: dict[str, Any], icmp: ICMP | ICMP6, ip: IP | IP6, quoted: dict[str, Any]) -> None:
    """The first ICMP error came about a packet that went forward."""
    if rec["_evidence_waits"] and quoted["tcp_seq"] is not None and quoted["tcp_seq"] != rec["_evidence_seq"]:
        return  # a stray one: the kernel believes it no more than we do
    rec["evidence_icmp_type"] = icmp.type
    rec["evidence_icmp_code"] = icmp.code
    rec["evidence_icmp_from"] = str(ip.src_prefix)
    rec["evidence_icmp_ttl"] = ip.hop_limit
    rec["evidence_icmp_quoted"] = quoted
    if rec["evidence_answered_at"] is None and rec["evidence_failure"] != REFUSED:
        rec["evidence_failure"] = BY_ICMP
        rec["evidence_failed_at"] = captured_at(ip)


class EvidenceChain(Chain):
    """How far a connection came, what its first SYN-ACK, RST and ICMP error say, how often SYN or datagram were sent.

    The first of each kind wins. Of a connection whose SYN was seen, only what acknowledges the SYN is believed, and an
    ICMP error only if the sequence number that it quotes is the SYN's, until the handshake is done: so do kernels.
    """

    fields = {
        "evidence_failure": Field(
            str, None, "How far the connection came: no_handshake, refused, icmp, no_answer, bad_answer; null: further"
        ),
        "evidence_failed_at": Field(
            float, None, "When that showed: time of the RST or ICMP error, else of what stayed unanswered last"
        ),
        "evidence_asked_at": Field(float, None, "When the first data behind a handshake went forward"),
        "evidence_answered_at": Field(float, None, "When the first data, or the first datagram, came back"),
        "evidence_after_fin": Field(bool, False, "The first data came back behind the FIN that ends them: sent again, "
                                                 "or overtaken"),
        "evidence_syns_fwd": Field(int, 0, "SYNs that went forward, those that were sent again included"),
        "evidence_datagrams_fwd": Field(int, 0, "UDP datagrams that went forward before the first answer"),
        "evidence_rtt": Field(float, None, "Seconds from the last SYN before the SYN-ACK to the SYN-ACK"),
        "evidence_synack_ttl": Field(int, None, "TTL, or hop limit, of the first SYN-ACK that acknowledges the SYN"),
        "evidence_bogus_synack_ttl": Field(
            int, None, "TTL of the first SYN-ACK that does not acknowledge it, and is not believed"
        ),
        "evidence_rst_ttl": Field(int, None, "TTL of the first RST that came back"),
        "evidence_icmp_type": Field(int, None, "Type of the first ICMP error about a packet that went forward"),
        "evidence_icmp_code": Field(int, None, "Its code"),
        "evidence_icmp_from": Field(str, None, "Address that it came from"),
        "evidence_icmp_ttl": Field(int, None, "Its TTL when it arrived"),
        "evidence_icmp_quoted": Field(dict, None, "What it quotes of the packet that it is about"),
    }

    wants = Wanted.SYN | Wanted.END | Wanted.DATA

    scratch = {"_evidence_fin": False, "_evidence_waits": False, "_evidence_seq": 0, "_evidence_octets": 0,
               "_evidence_sent": 0.0}
    """Whether a FIN came back; whether a SYN waits for its answer, its sequence number, most octets of data on it, and
    time of the last one."""

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Notes SYNs, what answers them, and the first data that came back."""
        flags = tcp.flags
        if flags & TCP_RST:
            if rev:
                note_rst(rec, tcp)
        elif flags & TCP_SYN:
            if rev:
                if flags & TCP_ACK:
                    note_synack(rec, tcp)
            elif not flags & TCP_ACK:
                note_syn(rec, tcp)
        elif tcp.payload_len:
            if rec["evidence_answered_at"] is not None:
                self.enough = True
            elif not rev:
                note_question(rec, captured_at(tcp))
            elif not rec["_evidence_waits"]:
                note_answer(rec, captured_at(tcp))
                rec["evidence_after_fin"] = rec["_evidence_fin"]
                self.enough = True
        elif rev and flags & TCP_FIN:
            rec["_evidence_fin"] = True
        return True

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Counts datagrams up to the first that came back."""
        if rec["evidence_answered_at"] is None:
            if rev:
                note_answer(rec, captured_at(udp))
            else:
                rec["evidence_datagrams_fwd"] += 1
                if rec["evidence_failure"] != BY_ICMP:
                    rec["evidence_failure"] = NO_ANSWER
                    rec["evidence_failed_at"] = captured_at(udp)
        return True

    def icmp4(self, rec: dict[str, Any], ip: IP, q: IP | None, rev: bool) -> bool:
        """Notes destination unreachable, time exceeded and parameter problem; fragmentation needed is no failure."""
        if rev and q is not None and rec["evidence_icmp_type"] is None:
            icmp = ip.icmp
            kind = icmp.type
            if kind in (EXPIRED4, PARAMETER4) or (kind == UNREACHABLE4 and icmp.code != FRAGMENTATION_NEEDED):
                note_error(rec, icmp, ip, header_facts(q, icmp.data[5] * 4))
        return True

    def icmp6(self, rec: dict[str, Any], ip6: IP6, q: IP6 | None, rev: bool) -> bool:
        """The same of ICMPv6; packet too big is no failure."""
        if rev and q is not None and rec["evidence_icmp_type"] is None:
            icmp = ip6.icmp6
            kind = icmp.type
            if kind in (UNREACHABLE6, EXPIRED6):
                note_error(rec, icmp, ip6, header_facts(q, icmp.data[4] * 8))
            elif kind == PARAMETER6:  # where others have a length, it has a pointer
                note_error(rec, icmp, ip6, header_facts(q, 0))
        return True
