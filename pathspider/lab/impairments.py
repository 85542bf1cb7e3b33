"""What middleboxes do to packets, one small function each.

An impairment is nftables statements for the router's forward hook: some for packets towards the target, some for those
that come back. ``$ip`` stands for ``ip`` or ``ip6``, ``$ttl`` for ``ip ttl`` or
``ip6 hoplimit``, ``$v`` for ``4`` or ``6``, ``$headers`` for the longest IP and TCP header together: one text serves
both versions. The sets that remember connections (:data:`SETS`) exist once per version.

All but :func:`backend_by_port` are deterministic: what a path does to a connection does not depend on chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import cast

from pathspider.lab.answers import AnswerDSCP, AnswerECN, AnswerOption, Remark
from pathspider.lab.errors import LabError
from pathspider.lab.mangler import MANGLERS, Mangler

ECN_SETUP_SYN = "tcp flags & (syn|ack|ecn|cwr) == (syn|ecn|cwr)"
SYN = "tcp flags & (syn|ack) == syn"
SYN_ACK = "tcp flags & (syn|ack) == (syn|ack)"
ECT_OR_CE = "$ip ecn != not-ect"

CONNECTION = "$ip saddr . $ip daddr . th sport"
CONNECTION_BACK = "$ip daddr . $ip saddr . th dport"
PAIR = "$ip saddr . $ip daddr"

PAIR_BACK = "$ip daddr . $ip saddr"

PAIRS = ("met", "barred")
"""Sets of address pairs that rules fill and ask."""
SETS = ("asked", "doomed", "retried", *PAIRS)
"""All sets: these, and those of connections."""
GATEWAY = "rate over 20/second burst 5 packets"
"""What all paths behind the gateway share (:func:`gateway_rate`): above it is what is not let through. See nft(8)."""


@dataclass(frozen=True)
class Impairment:
    """One thing that happens on a path."""

    about: str
    """What it does, for the user, in a few words."""
    towards: tuple[str, ...] = ()
    """nft rules for packets to the target, in order."""
    back: tuple[str, ...] = ()
    """nft rules for packets from the target."""
    mangle: str | Mangler = ""
    """What nft cannot do: a function that sees the packets of both directions, or the name of one of
    :mod:`pathspider.lab.mangler`."""

    def __post_init__(self) -> None:
        """Raises LabError for what is no impairment: it may come from a user's file."""
        for way, rules in (("towards", cast(object, self.towards)), ("back", cast(object, self.back))):
            if not isinstance(rules, list | tuple) or not all(isinstance(rule, str) for rule in rules):
                raise LabError(f"an impairment's {way} is {rules!r}; it is a tuple of rules, (\"drop\",)")
        try:
            self.rules(4)
        except (KeyError, ValueError) as error:
            raise LabError(f"an impairment's rules have a $ too many ({error}); there are $ip, $ttl, $headers and $v, "
                           "and $$ for a $") from None
        if self.mangle and not callable(self.mangle) and self.mangle not in MANGLERS:
            raise LabError(f"an impairment's mangle is {self.mangle!r}; it is a function of a packet and a direction, "
                           f"or one of {', '.join(MANGLERS)}")

    @property
    def mangler(self) -> Mangler | None:
        """The function that ``mangle`` is or names."""
        return MANGLERS[self.mangle] if isinstance(self.mangle, str) and self.mangle else self.mangle or None

    def rules(self, version: int) -> tuple[list[str], list[str]]:
        """The rules of both directions for one IP version."""
        names = {"ip": "ip", "ttl": "ip ttl", "headers": "80"} if version == 4 else \
            {"ip": "ip6", "ttl": "ip6 hoplimit", "headers": "100"}
        names["v"] = str(version)
        towards, back = ([Template(text).substitute(names) for text in rules] for rules in (self.towards, self.back))
        return towards, back


# -- what may happen to any packet -----------------------------------------------------------------------------------

def silent_drop() -> Impairment:
    """Nothing arrives and nobody says so."""
    return Impairment("drops everything", ("drop",))


def icmp_unreachable(code: str) -> Impairment:
    """Every packet is answered by an ICMP error: ``host-unreachable`` or ``admin-prohibited``."""
    return Impairment(f"answers everything with ICMP {code}", (f"reject with icmpx type {code}",))


def drop_resets() -> Impairment:
    """RSTs to the target vanish: it sends again the SYN-ACKs that they refuse."""
    return Impairment("drops RSTs to the target", ("tcp flags & rst == rst drop",))


def set_returned_ttl(ttl: int) -> Impairment:
    """Packets from the target go on with this TTL: it seems to be at another distance."""
    return Impairment(f"gives what comes back TTL {ttl}", back=(f"$ttl set {ttl}",))


def first_connection_fails() -> Impairment:
    """The first connection between two addresses gets nowhere, however often its SYN is resent; later ones work."""
    return Impairment("drops the first connection", (
        f"{CONNECTION} @doomed_$v drop",
        f"{PAIR} @met_$v accept",
        f"{SYN} add @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} drop",
    ))


def first_flow_fails() -> Impairment:
    """The same for datagrams: what the first source port sends to an address gets nowhere."""
    return Impairment("drops the first flow", (
        f"{CONNECTION} @doomed_$v drop",
        f"{PAIR} @met_$v accept",
        f"add @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} drop",
    ))


def first_syn_lost() -> Impairment:
    """Of each connection, the first SYN is lost; the one sent again arrives."""
    return Impairment("loses the first SYN of each connection", (
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} add @retried_$v {{ {CONNECTION} }} drop",
    ))


def reset_large_segments(octets: int) -> Impairment:
    """TCP packets that are larger are answered by RST, as from a server that has enough of a request."""
    return Impairment(f"answers TCP packets over {octets} octets with RST",
                      (f"meta l4proto tcp meta length > {octets} reject with tcp reset",))


def first_datagram_lost() -> Impairment:
    """The same for datagrams: of each source port, the first is lost."""
    return Impairment("loses the first datagram of each source port", (
        f"meta l4proto udp {CONNECTION} @retried_$v accept",
        f"meta l4proto udp add @retried_$v {{ {CONNECTION} }} drop",
    ))


def every_nth_lost(n: int) -> Impairment:
    """Every ``n``-th packet towards the target is lost, so no packet is lost twice running."""
    return Impairment(f"loses every {n}th packet to the target", (f"numgen inc mod {n} == {n - 1} drop",))


def authenticate_syns(*, each: bool) -> Impairment:
    """A device against floods challenges SYNs with a SYN-ACK that acknowledges what was not sent; by the RST a client
    shows that it exists. Challenged is ``each`` connection, or each client once."""
    who = "connection" if each else "client"
    return Impairment(f"answers each {who}'s first SYN with a bogus SYN-ACK", mangle=f"authenticate_{who}s")


def later_answers_missing() -> Impairment:
    """After the first connection between two addresses, handshakes work, and answers do not come."""
    return Impairment("drops the answers of all connections but the first", (
        f"{CONNECTION} @retried_$v accept",
        f"{SYN} {PAIR} @met_$v add @doomed_$v {{ {CONNECTION} }} accept",
        f"{SYN} add @met_$v {{ {PAIR} }} add @retried_$v {{ {CONNECTION} }} accept",
    ), (f"{CONNECTION_BACK} @doomed_$v tcp flags & syn == 0 meta length > $headers drop",))


def first_answer_lost() -> Impairment:
    """The first packet with data that comes back in each connection is lost; it is sent again, and arrives."""
    return Impairment("loses the first packet with data of each connection on the way back", (), (
        f"{CONNECTION_BACK} @retried_$v accept",
        f"tcp flags & syn == 0 meta length > $headers add @retried_$v {{ {CONNECTION_BACK} }} drop",
    ))


def icmp_for_handshake_ack(code: str) -> Impairment:
    """A stray ICMP error, ``host-unreachable`` or ``port-unreachable``: the first packet of each connection after its
    SYN is lost and answered so, and the connection otherwise goes on."""
    return Impairment(f"answers the ACK of each handshake with ICMP {code}", (
        "tcp flags & syn == syn accept",
        f"{CONNECTION} @retried_$v accept",
        f"meta l4proto tcp add @retried_$v {{ {CONNECTION} }} reject with icmpx type {code}",
    ))


# -- what order and time decide ------------------------------------------------------------------------------------
# Whatever is asked for: healthy targets, of which a single pair of connections may say that the second kind is broken.

def ban_after_contact(seconds: int) -> Impairment:
    """The first connection passes; then the client is banned for so long, and each further SYN renews the ban."""
    return Impairment(f"bans the client for {seconds} s after its first connection", (
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} {PAIR} @barred_$v update @barred_$v {{ {PAIR} timeout {seconds}s }} drop",
        f"{SYN} add @barred_$v {{ {PAIR} timeout {seconds}s }} add @retried_$v {{ {CONNECTION} }}",
    ))


def one_connection_in(seconds: int) -> Impairment:
    """A new connection passes if no other one did in the last seconds; SYNs of others vanish."""
    return Impairment(f"lets one new connection in {seconds} s pass", (
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} {PAIR} @barred_$v drop",
        f"{SYN} add @barred_$v {{ {PAIR} timeout {seconds}s }} add @retried_$v {{ {CONNECTION} }}",
    ))


def one_connection_at_once(kept: int = 0) -> Impairment:
    """While a connection is open, SYNs of others vanish; it counts as open for ``kept`` seconds after FIN or RST."""
    end = f"update @barred_$v {{ {PAIR} timeout {kept}s }}" if kept else f"delete @barred_$v {{ {PAIR} }}"
    return Impairment("lets one connection at a time pass" + f", and forgets it {kept} s after its end" * bool(kept), (
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} {PAIR} @barred_$v drop",
        f"{SYN} add @barred_$v {{ {PAIR} }} add @retried_$v {{ {CONNECTION} }}",
        f"tcp flags & (fin|rst) != 0 {end}",
    ))


def gateway_rate() -> Impairment:
    """All paths with it share a gateway that lets 20 SYNs a second pass."""
    return Impairment("shares a gateway that lets 20 SYNs a second pass", (f'{SYN} limit name "gateway" drop',))


def residual_block(seconds: int) -> Impairment:
    """An ECN-setup SYN vanishes, and with it all that the client sends to the target for so long: as censors do."""
    return Impairment(f"drops ECN-setup SYNs, and for {seconds} s whatever follows", (
        f"{ECN_SETUP_SYN} update @barred_$v {{ {PAIR} timeout {seconds}s }} drop",
        f"{PAIR} @barred_$v drop",
    ))


def second_connection_fails(how: str = "drop") -> Impairment:
    """The second connection between two addresses gets nowhere, by this statement of :manpage:`nft(8)`; others work."""
    return Impairment(f"does to the second connection: {how}", (
        f"{SYN} {CONNECTION} @doomed_$v {how}",
        f"{SYN} {PAIR} @barred_$v accept",
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} {PAIR} @met_$v add @barred_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} {how}",
        f"{SYN} add @met_$v {{ {PAIR} }} add @retried_$v {{ {CONNECTION} }}",
    ))


BACKENDS = {"dead": "drop", "drops-ecn": f"{ECN_SETUP_SYN} drop", "no-ecn": "tcp flags set syn"}
"""What the worse one of two backends does to SYNs (a statement of nft): to all, to those that ask for ECN, or it does
not know ECN."""


def other_backend(kind: str) -> Impairment:
    """Two backends behind a load balancer take turns by connection. The second one is ``dead``, ``drops-ecn`` (drops
    ECN-setup SYNs), or ``no-ecn`` (does not know it)."""
    does = BACKENDS[kind]
    return Impairment(f"takes turns between two backends, one of them {kind}", (
        f"{SYN} {CONNECTION} @doomed_$v {does}",
        f"{SYN} {CONNECTION} @retried_$v accept",
        f"{SYN} add @retried_$v {{ {CONNECTION} }}",
        f"{SYN} {PAIR} @met_$v delete @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} {does}",
        f"{SYN} {CONNECTION} @doomed_$v accept",
        f"{SYN} add @met_$v {{ {PAIR} }}",
    ))


def backend_by_port(kind: str) -> Impairment:
    """Addresses and source port choose between two backends, one of which is as :func:`other_backend` has it: chance,
    for each connection."""
    return Impairment(f"chooses by source port between two backends, one of them {kind}",
                      (f"{SYN} jhash {CONNECTION} mod 2 == 1 {BACKENDS[kind]}",))


def flapping(down: float, up: float) -> Impairment:
    """From the first SYN on, the path is down for so many seconds, then up; then that begins with the next SYN."""
    return Impairment(f"is down for {down:g} s, then up for {up:g} s", (
        f"{PAIR} @barred_$v drop",
        f"{PAIR} @met_$v accept",
        f"{SYN} add @met_$v {{ {PAIR} timeout {round(1000 * (down + up))}ms }} "
        f"add @barred_$v {{ {PAIR} timeout {round(1000 * down)}ms }} drop",
    ))


def half_of_ecn_setup_syns() -> Impairment:
    """Every other ECN-setup SYN to a target vanishes, the first among them; the one that is sent again arrives."""
    return Impairment("drops every other ECN-setup SYN", (
        f"{ECN_SETUP_SYN} {PAIR} @met_$v delete @met_$v {{ {PAIR} }} accept",
        f"{ECN_SETUP_SYN} add @met_$v {{ {PAIR} }} drop",
    ))


def lossy_for_ecn() -> Impairment:
    """The first connection that asks for ECN gets nowhere; of each further one the first SYN is lost."""
    return Impairment("loses the first SYN that asks for ECN, and all of the first connection", (
        f"{ECN_SETUP_SYN} {CONNECTION} @doomed_$v drop",
        f"{ECN_SETUP_SYN} {CONNECTION} @retried_$v accept",
        f"{ECN_SETUP_SYN} {PAIR} @met_$v add @retried_$v {{ {CONNECTION} }} drop",
        f"{ECN_SETUP_SYN} add @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} drop",
    ))


def half_of_ecn_connections() -> Impairment:
    """Every other connection that asks for ECN gets nowhere."""
    return Impairment("drops every other connection that asks for ECN", (
        f"{ECN_SETUP_SYN} {CONNECTION} @doomed_$v drop",
        f"{ECN_SETUP_SYN} {CONNECTION} @retried_$v accept",
        f"{ECN_SETUP_SYN} {PAIR} @met_$v delete @met_$v {{ {PAIR} }} add @retried_$v {{ {CONNECTION} }} accept",
        f"{ECN_SETUP_SYN} add @met_$v {{ {PAIR} }} add @doomed_$v {{ {CONNECTION} }} drop",
    ))


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


def cwr_on_syn_ack() -> Impairment:
    """The answer to a SYN that asks for ECN has CWR in the place of ECE: kernels with accurate ECN (RFC 9768) may read
    an agreement in it."""
    return Impairment(
        "answers SYNs that ask for ECN with CWR",
        (f"{ECN_SETUP_SYN} add @asked_$v {{ {CONNECTION} }}",),
        (f"{SYN_ACK} {CONNECTION_BACK} @asked_$v tcp flags set syn|ack|cwr",),
    )


def drop_ecn_syn_ack() -> Impairment:
    """SYN-ACKs with ECE vanish: the request passes, the agreement does not."""
    return Impairment("drops SYN-ACKs with ECE", (), ("tcp flags & (syn|ack|ecn) == (syn|ack|ecn) drop",))


def ece_on_syn_acks() -> Impairment:
    """SYN-ACKs have ECE, whether the SYN asked for ECN or not."""
    return Impairment("sets ECE on every SYN-ACK", (), (f"{SYN_ACK} tcp flags set syn|ack|ecn",))


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


# -- DSCP, RFC 2474 --------------------------------------------------------------------------------------------------

def set_dscp(new: int, *, only: int | None = None, back: bool = False) -> Impairment:
    """The codepoint becomes ``new``, on the way out or back; with ``only``, for packets that carry that one."""
    rule = (("" if only is None else f"$ip dscp {only} ") + f"$ip dscp set {new}",)
    what = f"turns DSCP {'of any value' if only is None else only} into {new}"
    return Impairment(f"{what} on the way back", (), rule) if back else Impairment(what, rule)


def mark_reply_syn_ack(new: int) -> Impairment:
    """SYN-ACKs come back with codepoint ``new``, other packets as they are."""
    return Impairment(f"marks SYN-ACKs with DSCP {new}", (), (f"{SYN_ACK} $ip dscp set {new}",))


def mark_reply_to(asked: int, new: int) -> Impairment:
    """Replies to what was sent with codepoint ``asked`` carry ``new``, all others 0."""
    return Impairment(f"answers DSCP {asked} with {new}",
                      (f"$ip dscp {asked} add @asked_$v {{ {CONNECTION} }}",),
                      (f"{CONNECTION_BACK} @asked_$v $ip dscp set {new}",))


def drop_dscp(codepoint: int) -> Impairment:
    """Packets with this codepoint vanish."""
    return Impairment(f"drops DSCP {codepoint}", (f"$ip dscp {codepoint} drop",))


def icmp_for_dscp(codepoint: int) -> Impairment:
    """Packets with this codepoint are answered by an ICMP error."""
    return Impairment(f"answers DSCP {codepoint} with ICMP admin-prohibited",
                      (f"$ip dscp {codepoint} reject with icmpx type admin-prohibited",))


# -- the evil bit, RFC 3514 (IPv4 only) ------------------------------------------------------------------------------

def drop_evil() -> Impairment:
    """Packets with the evil bit vanish, as the RFC has it."""
    return Impairment("drops the evil bit", ("ip frag-off & 0x8000 != 0 drop",))


def clear_evil() -> Impairment:
    """The evil bit is cleared on the way out; Don't Fragment stays."""
    return Impairment("clears the evil bit", ("ip frag-off & 0x8000 != 0 ip frag-off set 0x4000",))


def evil_replies() -> Impairment:
    """Whatever comes back is evil."""
    return Impairment("sets the evil bit on the way back", (), ("ip frag-off set 0xc000",))


def formerr_for_evil() -> Impairment:
    """DNS queries with the evil bit are answered with FORMERR."""
    return Impairment("answers DNS queries with the evil bit with FORMERR", mangle="formerr_for_evil")


# -- TCP options -----------------------------------------------------------------------------------------------------

def clamp_mss(size: int, *, back: bool = True) -> Impairment:
    """The MSS option is lowered to ``size`` on the way out, and unless told otherwise on the way back."""
    rule = (f"tcp flags & syn == syn tcp option maxseg size set {size}",)
    return Impairment(f"clamps the MSS to {size}" + ("" if back else " on the way out"), rule, rule if back else ())


def strip_mss() -> Impairment:
    """The MSS option is overwritten on SYN-ACKs."""
    return Impairment("strips the MSS option from SYN-ACKs", (), (f"{SYN_ACK} reset tcp option maxseg",))


def empty_mss() -> Impairment:
    """The MSS option of SYN-ACKs says 0, which kernels do not take for a size."""
    return Impairment("sets the MSS to 0 on SYN-ACKs", (), (f"{SYN_ACK} tcp option maxseg size set 0",))


def repeat_mss() -> Impairment:
    """SYN-ACKs carry a second MSS option behind the first one: 536. It is the one that counts."""
    return Impairment("adds a second MSS option of 536 to SYN-ACKs", mangle="repeat_mss")


def spoil_mss() -> Impairment:
    """The MSS option of SYN-ACKs is one octet short."""
    return Impairment("cuts an octet off the MSS option on SYN-ACKs", mangle="spoil_mss")


def raise_mss() -> Impairment:
    """SYN-ACKs carry a larger MSS than the path can take: 4000."""
    return Impairment("raises the MSS to 4000 on SYN-ACKs", mangle="raise_mss")


def strip_fast_open(*kinds: int) -> Impairment:
    """The Fast Open option (kind 34, and 254 of the experiments) is overwritten on the way out."""
    return Impairment(f"strips TCP options {' and '.join(map(str, kinds))}",
                      tuple(f"tcp flags & syn == syn reset tcp option {kind}" for kind in kinds))


def drop_fast_open_syn() -> Impairment:
    """A SYN with the Fast Open option (kind 34, or 254) vanishes, with data or without."""
    return Impairment("drops SYNs with Fast Open", tuple(f"{SYN} tcp option {kind} exists drop" for kind in (34, 254)))


def drop_syn_data() -> Impairment:
    """A SYN that carries data vanishes."""
    return Impairment("drops SYNs with data", (f"{SYN} meta length > $headers drop",))


def cut_syn_data() -> Impairment:
    """The data on a SYN are cut off, its options stay: the server acknowledges the SYN alone."""
    return Impairment("cuts the data off SYNs", mangle="cut_syn_data")


def drop_option(kind: int) -> Impairment:
    """SYNs with an option of this kind vanish."""
    return Impairment(f"drops SYNs with TCP option {kind}", (f"{SYN} tcp option {kind} exists drop",))


def reset_option(kind: int) -> Impairment:
    """SYNs with an option of this kind are answered by RST."""
    return Impairment(f"answers SYNs with TCP option {kind} with RST",
                      (f"{SYN} tcp option {kind} exists reject with tcp reset",))


def strip_option(kind: int) -> Impairment:
    """The option is overwritten on SYNs."""
    return Impairment(f"strips TCP option {kind} from SYNs", (f"{SYN} reset tcp option {kind}",))


def strip_returned_option(kind: int) -> Impairment:
    """The option is overwritten on SYN-ACKs."""
    return Impairment(f"strips TCP option {kind} from SYN-ACKs", (), (f"{SYN_ACK} reset tcp option {kind}",))


def mirror_option(kind: int) -> Impairment:
    """The option of a SYN is copied to the SYN-ACK."""
    return Impairment(f"copies TCP option {kind} to SYN-ACKs", mangle=AnswerOption(kind))


def answer_option(kind: int, value: bytes, *, always: bool = False) -> Impairment:
    """The SYN-ACK has an option with this value, where the SYN had one of its kind, or ``always``."""
    return Impairment(f"puts TCP option {kind} on SYN-ACKs" + ", whatever the SYN has" * always,
                      mangle=AnswerOption(kind, value, always=always))


# -- accurate ECN, RFC 9768 ------------------------------------------------------------------------------------------

ACCECN_SYN = f"{ECN_SETUP_SYN} @th,103,1 1"


def answer_accurate_ecn() -> Impairment:
    """The server knows accurate ECN: its SYN-ACK says with which ECN field the SYN came."""
    return Impairment("server with accurate ECN", mangle=AnswerECN())


def answer_ecn(code: int, *, always: bool = False) -> Impairment:
    """Whoever asks for accurate ECN, or everybody, gets this ``code`` of AE (256), CWR (128) and ECE (64)."""
    return Impairment(f"answers {'everybody' if always else 'accurate ECN'} with code {code >> 6:03b}",
                      mangle=AnswerECN(code, always=always))


def drop_accurate_ecn_syn() -> Impairment:
    """SYNs with AE, CWR and ECE vanish."""
    return Impairment("drops SYNs that ask for accurate ECN", (f"{ACCECN_SYN} drop",))


def reset_accurate_ecn_syn() -> Impairment:
    """SYNs with AE, CWR and ECE are answered by RST."""
    return Impairment("answers SYNs that ask for accurate ECN with RST", (f"{ACCECN_SYN} reject with tcp reset",))


def drop_marked_syn() -> Impairment:
    """SYNs with a mark of ECN in the IP header vanish."""
    return Impairment("drops SYNs with an ECN mark", (f"{SYN} {ECT_OR_CE} drop",))


def remark_dscp(kind: str) -> Impairment:
    """Codepoints change on the way out, by a class of :rfc:`9435`: ``bleach``, ``tos_precedence``, ``some_tos``,
    ``remark_tos``, ``low``, ``some_low``."""
    return Impairment(f"changes codepoints: {kind}", mangle=Remark(kind))


def reflect_dscp() -> Impairment:
    """The server answers a SYN with the codepoint that it came with."""
    return Impairment("answers with the DSCP of the SYN", mangle=AnswerDSCP())


# -- IPv6 extension headers, RFC 8200 --------------------------------------------------------------------------------

EXTENSIONS = {"hbh": "hop-by-hop options", "dst": "destination options", "frag": "a fragment header",
              "rt": "a routing header"}
"""As nft(8) calls them."""


def drop_extension(kind: str, octets: int | None = None) -> Impairment:
    """Packets with such a header (``hbh``, ``dst``, ``frag``, ``rt``), or one of so many ``octets``, vanish."""
    match = f"exthdr {kind} exists" if octets is None else f"{kind} hdrlength {octets // 8 - 1}"
    size = "" if octets is None else f" of {octets} octets"
    return Impairment(f"drops packets with {EXTENSIONS[kind]}{size}", (f"{match} drop",))


def icmp_for_extensions() -> Impairment:
    """Packets with any of these headers are answered by an ICMP error."""
    return Impairment("answers IPv6 extension headers with ICMP admin-prohibited", tuple(
        f"exthdr {kind} exists reject with icmpx type admin-prohibited" for kind in EXTENSIONS))


# -- UDP -------------------------------------------------------------------------------------------------------------

def drop_zero_checksum() -> Impairment:
    """UDP without a checksum vanishes."""
    return Impairment("drops UDP with checksum 0", ("udp checksum 0 drop",))


def icmp_for_zero_checksum() -> Impairment:
    """UDP without a checksum is answered by an ICMP error."""
    return Impairment("answers UDP with checksum 0 with ICMP admin-prohibited",
                      ("udp checksum 0 reject with icmpx type admin-prohibited",))


def drop_udp_options() -> Impairment:
    """Datagrams that are shorter than their IP packet says vanish."""
    return Impairment("drops UDP options", mangle="drop_udp_options")


def strip_udp_options() -> Impairment:
    """What is behind a datagram's user data is cut off."""
    return Impairment("strips UDP options", mangle="strip_udp_options")


def formerr_for_zero_checksum() -> Impairment:
    """DNS queries without a checksum are answered with FORMERR."""
    return Impairment("answers DNS queries with UDP checksum 0 with FORMERR", mangle="formerr_for_zero_checksum")


def formerr_for_udp_options() -> Impairment:
    """DNS queries with UDP options are answered with FORMERR."""
    return Impairment("answers DNS queries with UDP options with FORMERR", mangle="formerr_for_udp_options")


# -- HTTP/2 ----------------------------------------------------------------------------------------------------------

def spoil_upgrade() -> Impairment:
    """The Upgrade header gets another name on its way: the server answers in HTTP/1.1."""
    return Impairment("spoils the Upgrade header", mangle="spoil_upgrade")


def reset_upgrade() -> Impairment:
    """A request with an Upgrade header is answered by RST."""
    return Impairment("answers the Upgrade header with RST", mangle="reset_upgrade")


def drop_alpn_h2() -> Impairment:
    """A TLS handshake that offers h2 vanishes."""
    return Impairment("drops TLS handshakes that offer h2", mangle="drop_alpn_h2")


_WORDS = {"any": "every ECN field", "ect": "ECT", "marked": "every ECN mark", "not-ect": "not-ECT", "ect0": "ECT(0)",
          "ect1": "ECT(1)", "ce": "CE"}
