"""What middleboxes do to packets, one small function each.

An impairment is nftables statements for the router's forward hook: some for packets towards the target, some for those
that come back. ``$ip`` stands for ``ip`` or ``ip6``, ``$v`` for ``4`` or ``6``: one text serves both versions. The
sets that remember connections (:data:`SETS`) exist once per version.

All of them are deterministic: what a path does to a connection does not depend on chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

ECN_SETUP_SYN = "tcp flags & (syn|ack|ecn|cwr) == (syn|ecn|cwr)"
SYN = "tcp flags & (syn|ack) == syn"
SYN_ACK = "tcp flags & (syn|ack) == (syn|ack)"
ECT_OR_CE = "$ip ecn != not-ect"

CONNECTION = "$ip saddr . $ip daddr . tcp sport"
CONNECTION_BACK = "$ip daddr . $ip saddr . tcp dport"
PAIR = "$ip saddr . $ip daddr"

SETS = ("asked", "doomed", "retried", "met")
"""Sets of connections (``met``: of address pairs) that rules fill and ask."""


@dataclass(frozen=True)
class Impairment:
    """One thing that happens on a path."""

    about: str
    """What it does, for the user, in a few words."""
    towards: tuple[str, ...] = ()
    """nft rules for packets to the target, in order."""
    back: tuple[str, ...] = ()
    """nft rules for packets from the target."""

    def rules(self, version: int) -> tuple[list[str], list[str]]:
        """The rules of both directions for one IP version."""
        names = {"ip": "ip" if version == 4 else "ip6", "v": str(version)}
        towards, back = ([Template(text).substitute(names) for text in rules] for rules in (self.towards, self.back))
        return towards, back


# -- what may happen to any packet -----------------------------------------------------------------------------------

def silent_drop() -> Impairment:
    """Nothing arrives and nobody says so."""
    return Impairment("drops everything", ("drop",))


def icmp_unreachable(code: str) -> Impairment:
    """Every packet is answered by an ICMP error: ``host-unreachable`` or ``admin-prohibited``."""
    return Impairment(f"answers everything with ICMP {code}", (f"reject with icmpx type {code}",))


def first_connection_fails() -> Impairment:
    """The first connection between two addresses gets nowhere, however often its SYN is resent; later ones work."""
    return Impairment("drops the first connection", (
        f"{CONNECTION} @doomed_$v drop",
        f"{PAIR} @met_$v accept",
        f"{SYN} add @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} drop",
    ))


def first_syn_lost() -> Impairment:
    """Of each connection, the first SYN is lost; the one sent again arrives."""
    return Impairment("loses the first SYN of each connection", (
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} add @retried_$v {{ {CONNECTION} }} drop",
    ))


def every_nth_lost(n: int) -> Impairment:
    """Every ``n``-th packet towards the target is lost, so no packet is lost twice running."""
    return Impairment(f"loses every {n}th packet to the target", (f"numgen inc mod {n} == {n - 1} drop",))


# -- ECN, RFC 3168 ---------------------------------------------------------------------------------------------------

def drop_ecn_setup_syn() -> Impairment:
    """SYNs with ECE and CWR vanish: the firewall that knows these bits as reserved."""
    return Impairment("drops ECN-setup SYNs", (f"{ECN_SETUP_SYN} drop",))


def reset_ecn_setup_syn() -> Impairment:
    """SYNs with ECE and CWR are answered by RST."""
    return Impairment("answers ECN-setup SYNs with RST", (f"{ECN_SETUP_SYN} reject with tcp reset",))


def icmp_for_ecn_setup_syn(code: str) -> Impairment:
    """SYNs with ECE and CWR are answered by an ICMP error: ``host-unreachable`` or ``admin-prohibited``."""
    return Impairment(f"answers ECN-setup SYNs with ICMP {code}", (f"{ECN_SETUP_SYN} reject with icmpx type {code}",))


def strip_ecn_from_syn() -> Impairment:
    """ECE and CWR are cleared on the way out: the server never learns that ECN was asked for."""
    return Impairment("clears ECE and CWR on SYNs", (f"{SYN} tcp flags set syn",))


def strip_ecn_from_syn_ack() -> Impairment:
    """ECE is cleared on the way back: the server believes that ECN was negotiated, the client does not."""
    return Impairment("clears ECE on SYN-ACKs", (), (f"{SYN_ACK} tcp flags set syn|ack",))


def reflect_ecn_flags() -> Impairment:
    """The SYN-ACK repeats ECE and CWR of the SYN: what hosts do that copy reserved bits (RFC 3168, 6.1.1)."""
    return Impairment(
        "repeats ECE and CWR of the SYN on the SYN-ACK",
        (f"{ECN_SETUP_SYN} add @asked_$v {{ {CONNECTION} }}",),
        (f"{SYN_ACK} {CONNECTION_BACK} @asked_$v tcp flags set syn|ack|ecn|cwr",),
    )


def drop_ecn_syn_ack() -> Impairment:
    """SYN-ACKs with ECE vanish: the request passes, the agreement does not."""
    return Impairment("drops SYN-ACKs with ECE", (), ("tcp flags & (syn|ack|ecn) == (syn|ack|ecn) drop",))


def drop_after_ecn_setup() -> Impairment:
    """Once a connection asked for ECN, all that the client sends after its SYN vanishes: connect works, data do not."""
    return Impairment("drops what follows an ECN-setup SYN", (
        f"{ECN_SETUP_SYN} add @asked_$v {{ {CONNECTION} }} accept",
        f"{SYN} accept",
        f"{CONNECTION} @asked_$v drop",
    ))


def drop_ect() -> Impairment:
    """Packets marked as ECN-capable vanish, both ways. TCP sends again without the mark (RFC 3168, 6.1.5)."""
    return Impairment("drops packets with an ECN mark", (f"{ECT_OR_CE} drop",), (f"{ECT_OR_CE} drop",))


def reset_ect() -> Impairment:
    """Packets marked as ECN-capable are answered by RST."""
    return Impairment("answers packets with an ECN mark with RST",
                      (f"{ECT_OR_CE} meta l4proto tcp reject with tcp reset",))


def remark_ect(old: str, new: str, *, towards: bool, back: bool) -> Impairment:
    """The ECN field changes from ``old`` to ``new`` (``not-ect``, ``ect0``, ``ect1``, ``ce``, or ``ect``, ``any``)."""
    match = {"any": "", "ect": "$ip ecn { ect0, ect1 } ", "marked": f"{ECT_OR_CE} "}.get(old, f"$ip ecn {old} ")
    rule = (f"{match}$ip ecn set {new}",)
    way = "" if towards and back else " on the way out" if towards else " on the way back"
    return Impairment(f"turns {_WORDS[old]} into {_WORDS[new]}{way}", rule if towards else (), rule if back else ())


def mark_syn(new: str) -> Impairment:
    """The SYN itself gets an ECN mark, which no sender of RFC 3168 sets: hosts then refuse ECN."""
    return Impairment(f"marks SYNs {_WORDS[new]}", (f"{SYN} $ip ecn set {new}",))


_WORDS = {"any": "every ECN field", "ect": "ECT", "marked": "every ECN mark", "not-ect": "not-ECT", "ect0": "ECT(0)",
          "ect1": "ECT(1)", "ce": "CE"}
