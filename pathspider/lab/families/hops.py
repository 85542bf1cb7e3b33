"""Paths of eight hops: the impairments of the other families at each of them, and hops that answer badly or not at all.

The lab has such paths where this file, or one of a user with a ``route``, is among its files of scenarios.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pathspider.lab import impairments as path
from pathspider.lab.families import (
    accecn,
    dscp,
    dscpclass,
    ecn,
    ecnmarks,
    evilbit,
    ipv6eh,
    l4s,
    mptcp,
    mss,
    pmtud,
    quic,
    tcpopt,
    tfo,
    tls,
    udpopts,
    udpzero,
)
from pathspider.lab.hops import BRANCH, HOPS, Place, Quote, Route
from pathspider.lab.scenario import Scenario

FAMILIES = (accecn, dscp, dscpclass, ecn, ecnmarks, evilbit, ipv6eh, l4s, mptcp, mss, pmtud, quic, tcpopt, tfo, tls,
            udpopts, udpzero)
BASES = {one.name: one for family in FAMILIES for one in family.SCENARIOS}
EVERY_HOP = range(1, HOPS + 1)

HALF_OPEN = [path.drop_resets(), path.set_returned_ttl(58)]


def hops(base: str, how: str, route: Route, place: str, *instead: str, **others: Any) -> Scenario:
    """The scenario of another family on a path of eight hops: ``<base>-<how>``, and where what it does is found."""
    made: Scenario = replace(BASES[base], name=f"{base}-{how}", route=route,
                             place=Place(place, instead) if place else None, **others)
    return made


def at_each(base: str, what: str, last: str = "reverse_or_target") -> list[Scenario]:
    """What happens at each hop in turn.

    :param last: the truth about the last one: nobody quotes what comes to the target, so that it cannot be told
    """
    return [hops(base, f"at-{hop}", Route(hop), f"{what}:{hop}-{hop + 1}" if hop < HOPS else last)
            for hop in EVERY_HOP]


def all_quote(octets: int | None = None, **how: Any) -> Route:
    """All hops quote so."""
    return Route(quotes={hop: Quote(octets, **how) for hop in EVERY_HOP})


SCENARIOS = [
    *at_each("ecn-syn-stripped-tcp", "changed"),
    *at_each("ecn-syn-dropped-tcp", "dropped"),
    *at_each("ecn-bleached", "changed"),
    *at_each("dscp-rewritten", "changed", ""),  # who sees the quotations alone can know
    *at_each("dscp-46-dropped-tcp", "dropped"),
    *at_each("dscp-46-dropped-dnsudp", "dropped"),
    *at_each("mss-clamped-tcp", "changed"),
    *at_each("tfo-stripped-http", "changed"),
    *at_each("tfo-syn-dropped-http", "dropped"),
    *at_each("evilbit-cleared-tcp", "changed", ""),
    *at_each("evilbit-dropped-tcp", "dropped"),
    *at_each("udpzero-dropped", "dropped"),
    *at_each("udpopts-stripped", "changed", ""),
    *at_each("udpopts-dropped", "dropped"),
    *at_each("tcpopt-stripped", "changed", ""),
    *at_each("dscpclass-precedence", "changed"),
    *at_each("ipv6eh-destination-dropped", "dropped"),
    *at_each("tls-ech-dropped", "dropped"),
    *at_each("quic-dropped", "dropped"),
    *at_each("quic-ecn-bleached", "changed"),
    *at_each("quic-ecn-dropped", "dropped"),

    # Nothing happens
    hops("ecn-clean-tcp", "hops", Route(), ""),
    hops("ecn-clean-http", "hops", Route(), ""),
    hops("mss-clean-tcp", "hops", Route(), ""),
    hops("tfo-clean-http", "hops", Route(), ""),
    hops("udpopts-clean", "hops", Route(), ""),
    hops("tcpopt-clean", "hops", Route(), ""),
    hops("mptcp-server", "hops", Route(), ""),
    hops("accecn-accurate", "hops", Route(), ""),
    hops("ipv6eh-clean", "hops", Route(), ""),
    hops("tls-clean", "hops", Route(), ""),
    hops("dscpclass-reflected", "hops", Route(), ""),
    hops("quic-clean", "hops", Route(), ""),
    # but that replies are not marked as requests are: so do hosts
    hops("dscp-clean-tcp", "hops", Route(), ""),
    hops("dscp-clean-dnsudp", "hops", Route(), ""),
    hops("dscpclass-clean", "hops", Route(), ""),
    hops("evilbit-clean-tcp", "hops", Route(), ""),
    # what plays the server changes flags where it stands: behind the last hop
    hops("l4s-accurate", "hops", Route(HOPS), ""),
    hops("l4s-server", "hops", Route(HOPS), ""),

    # What else the other families know, at one hop
    hops("ecn-syn-dropped-http", "at-3", Route(3), "dropped:3-4"),
    hops("ecn-syn-dropped-https", "at-5", Route(5), "dropped:5-6"),
    hops("ecn-syn-dropped-dnstcp", "at-6", Route(6), "dropped:6-7"),
    hops("ecn-syn-stripped-http", "at-5", Route(5), "changed:5-6"),
    hops("ecn-bleached-https", "at-5", Route(5), "changed:5-6"),
    hops("ecn-syn-marked-ce", "at-4", Route(4), "changed:4-5"),
    # SYNs pass: it is data that are searched with. All that follows in the flow of one SYN is dropped, the control, too
    hops("ecn-data-dropped-http", "at-4", Route(4), "not_located:no_answer"),
    hops("ecn-ect-reset", "at-4", Route(4), "dropped:4-5"),
    hops("ecn-ect-reset", "at-6", Route(6), "dropped:6-7"),
    hops("dscp-bleached", "at-5", Route(5), "changed:5-6"),
    hops("dscp-46-dropped-http", "at-3", Route(3), "dropped:3-4"),
    hops("dscp-46-dropped-dnstcp", "at-3", Route(3), "dropped:3-4"),
    hops("dscp-46-prohibited", "at-3", Route(3), "dropped:3-4"),
    hops("tfo-stripped-dnstcp", "at-5", Route(5), "changed:5-6"),
    hops("tfo-syn-dropped-dnstcp", "at-5", Route(5), "dropped:5-6"),
    hops("tfo-syndata-dropped-http", "at-4", Route(4), "dropped:4-5"),
    hops("tfo-syndata-cut-http", "at-4", Route(4), "changed:4-5"),
    hops("mss-clamped-http", "at-6", Route(6), "changed:6-7"),
    hops("mss-clamped-https", "at-6", Route(6), "changed:6-7"),
    hops("mss-clamped-dnstcp", "at-6", Route(6), "changed:6-7"),
    hops("evilbit-cleared-dnsudp", "at-2", Route(2), "changed:2-3"),
    hops("evilbit-dropped-dnsudp", "at-7", Route(7), "dropped:7-8"),
    hops("udpzero-prohibited", "at-2", Route(2), "dropped:2-3"),
    hops("tcpopt-dropped", "at-4", Route(4), "dropped:4-5"),
    hops("tcpopt-reset", "at-6", Route(6), "dropped:6-7"),  # the second of two variants
    hops("mptcp-dropped", "at-3", Route(3), "dropped:3-4"),
    hops("mptcp-nonsense-dropped", "at-5", Route(5), "dropped:5-6"),
    hops("mptcp-stripped", "at-6", Route(6), "changed:6-7"),
    hops("accecn-bleached", "at-3", Route(3), "changed:3-4"),  # the second of three variants
    hops("accecn-marked-dropped", "at-2", Route(2), "dropped:2-3"),
    hops("ecnmarks-syn-ect-dropped", "at-5", Route(5), "dropped:5-6"),
    hops("ecnmarks-syn-ect-dropped-tcp", "at-2", Route(2), "dropped:2-3"),
    hops("accecn-stripped", "at-6", Route(6), "changed:6-7"),
    hops("l4s-bleached", "at-3", Route(3), "changed:3-4"),  # the second of three variants
    hops("l4s-syn-bleached", "at-5", Route(5), "changed:5-6"),
    hops("l4s-bleached-silently", "at-4", Route(4), "changed:4-5"),
    hops("l4s-syn-dropped", "at-2", Route(2), "dropped:2-3"),
    hops("l4s-asking-dropped", "at-6", Route(6), "dropped:6-7"),
    hops("l4s-data-dropped", "at-4", Route(4), "dropped:4-5"),
    hops("l4s-data-dropped", "at-7", Route(7), "dropped:7-8"),
    hops("l4s-data-dropped", "at-8", Route(8), "reverse_or_target"),
    hops("l4s-data-reset", "at-3", Route(3), "dropped:3-4"),
    hops("l4s-data-bleached", "at-2", Route(2), "changed:2-3"),
    hops("l4s-data-bleached", "at-6", Route(6), "changed:6-7"),
    hops("l4s-data-bleached", "at-8", Route(8), "reverse_or_target"),
    hops("l4s-data-ce", "at-5", Route(5), "changed:5-6"),
    hops("l4s-data-ce", "nat", Route(4, nat=True), "changed:4-5"),
    hops("tls-ech-reset", "at-2", Route(2), "dropped:2-3"),
    hops("tls-ech-reset", "at-7", Route(7), "dropped:7-8"),
    hops("tls-ech-reset", "at-8", Route(8), "reverse_or_target"),
    hops("tls-ech-alert", "at-5", Route(5), "dropped:5-6"),
    hops("tls-ech-alert", "at-8", Route(8), "reverse_or_target"),
    hops("tls-ech-half", "at-3", Route(3), "dropped:3-4"),
    hops("tls-ech-http", "at-6", Route(6), "dropped:6-7"),
    hops("tls-ech-closed", "at-4", Route(4), "dropped:4-5"),
    # nothing passes between these addresses any more: nothing can be asked
    hops("tls-ech-blocked", "at-4", Route(4), "not_located:no_answer"),
    hops("tls-large-dropped", "at-2", Route(2), "dropped:2-3"),
    hops("tls-large-dropped", "at-6", Route(6), "dropped:6-7"),
    hops("tls-large-reset", "at-5", Route(5), "dropped:5-6"),
    hops("tls-rest-dropped", "at-3", Route(3), "dropped:3-4"),
    hops("tls-rest-dropped", "at-7", Route(7), "dropped:7-8"),
    hops("tls-rest-dropped", "at-8", Route(8), "reverse_or_target"),
    hops("tls-rest-reset", "at-4", Route(4), "dropped:4-5"),
    hops("tls-records-dropped", "at-5", Route(5), "dropped:5-6"),
    hops("tls-records-reset", "at-3", Route(3), "dropped:3-4"),
    hops("tls-records-alert", "at-6", Route(6), "dropped:6-7"),
    hops("tls-cut-dropped", "at-4", Route(4), "dropped:4-5"),
    hops("tls-cut-reset", "at-7", Route(7), "dropped:7-8"),
    hops("tls-ech-dropped", "quoted-8", all_quote(8), "dropped:4-5"),
    hops("tls-rest-reset", "quoted-8", all_quote(8), "dropped:4-5"),
    hops("tls-large-dropped", "quoted-28", all_quote(28), "dropped:4-5"),
    hops("tls-ech-dropped", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("tls-rest-dropped", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("tls-ech-dropped", "silent-5", Route(4, silent=(5,)), "dropped:4-6"),
    hops("tls-ech-alert", "silent-4", Route(4, silent=(4,)), "dropped:3-5"),
    hops("tls-ech-dropped", "all-silent", Route(4, silent=tuple(EVERY_HOP)), "not_located:no_answer"),
    hops("tls-ech-dropped", "limited-4-5", Route(4, limited=(4, 5)), "dropped:4-5", "not_located:rate_limited"),
    hops("tls-ech-reset", "limited-4-5", Route(4, limited=(4, 5)), "dropped:4-5", "not_located:rate_limited"),
    hops("pmtud-silent-1400-http", "at-2", Route(2), "dropped:2-3"),
    hops("pmtud-silent-1400-http", "at-6", Route(6), "dropped:6-7"),
    hops("pmtud-silent-1400-http", "at-8", Route(8), "reverse_or_target"),
    hops("pmtud-silent-1280-http", "silent-5", Route(4, silent=(5,)), "dropped:4-6"),
    hops("pmtud-silent-1492-http", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("pmtud-told-then-silent-http", "at-5", Route(5), "dropped:5-6"),
    hops("pmtud-told-1492-http", "hops", Route(4), ""),
    hops("pmtud-silent-1400-dnsudp", "at-3", Route(3), "dropped:3-4"),
    hops("pmtud-told-then-silent-dnsudp", "at-7", Route(7), "dropped:7-8"),
    hops("pmtud-silent-1492-dnsudp", "at-8", Route(8), "reverse_or_target"),
    hops("dscpclass-bleached", "at-2", Route(2), "changed:2-3"),
    hops("dscpclass-remarked", "at-5", Route(5), "changed:5-6"),  # of all codepoints, one
    hops("dscpclass-dropped", "at-7", Route(7), "dropped:7-8"),
    hops("ipv6eh-hopbyhop-dropped", "at-3", Route(3), "dropped:3-4"),
    # a NAT, of which there is one at hop 2, puts fragments together before anything sees them: also a whole one
    hops("ipv6eh-fragment-dropped", "at-1", Route(1), "dropped:1-2"),
    hops("ipv6eh-all-prohibited", "at-1", Route(1), "dropped:1-2"),
    hops("ipv6eh-middle-dropped", "at-6", Route(6), "dropped:6-7"),
    hops("ipv6eh-routing-dropped", "at-2", Route(2), "dropped:2-3"),
    # the same size and ports, but no QUIC, is dropped as well, or not; or QUIC alone is, or refused by a hop
    hops("quic-large-dropped", "at-3", Route(3), "dropped:3-4"),
    hops("quic-initial-dropped", "at-5", Route(5), "dropped:5-6"),
    hops("quic-closed", "at-4", Route(4), "dropped:4-5"),
    hops("quic-closed", "at-8", Route(8), "reverse_or_target"),
    hops("quic-prohibited", "at-6", Route(6), "dropped:6-7"),
    hops("quic-udp-prohibited", "at-4", Route(4), "dropped:4-5"),
    hops("quic-ecn-to-ect1", "at-3", Route(3), "changed:3-4"),
    hops("quic-ecn-all-ce", "at-6", Route(6), "changed:6-7"),
    # no datagram comes further: the hops behind may be others than those of TCP
    hops("quic-udp-dropped", "at-4", Route(4), "not_located:no_answer"),
    hops("quic-ecn-half-bleached", "at-4", Route(4), "changed:4-5", "not_located:unstable"),

    # Before the TTL is looked at: the hop quotes what it changed, and not what it drops
    hops("ecn-syn-stripped-tcp", "before-1", Route(1, before=True), "first"),
    hops("ecn-syn-stripped-tcp", "before-5", Route(5, before=True), "changed:4-5"),
    hops("ecn-syn-stripped-tcp", "before-8", Route(8, before=True), "changed:7-8"),
    hops("ecn-syn-dropped-tcp", "before-1", Route(1, before=True), "first"),
    hops("ecn-syn-dropped-tcp", "before-5", Route(5, before=True), "dropped:4-5"),
    hops("dscp-46-dropped-tcp", "before-8", Route(8, before=True), "dropped:7-8"),
    hops("quic-dropped", "before-1", Route(1, before=True), "first"),
    hops("quic-dropped", "before-5", Route(5, before=True), "dropped:4-5"),
    hops("quic-ecn-bleached", "before-5", Route(5, before=True), "changed:4-5"),

    # Refused by a hop
    hops("ecn-syn-reset-tcp", "at-4", Route(4), "dropped:4-5"),
    hops("ecn-syn-prohibited", "at-6", Route(6), "dropped:6-7"),

    # Silent hops
    hops("ecn-syn-stripped-tcp", "silent-4", Route(4, silent=(4,)), "changed:3-5"),
    hops("ecn-syn-stripped-tcp", "silent-5", Route(4, silent=(5,)), "changed:4-6"),
    hops("ecn-syn-dropped-tcp", "silent-5", Route(4, silent=(5,)), "dropped:4-6"),
    hops("quic-dropped", "silent-5", Route(4, silent=(5,)), "dropped:4-6"),
    hops("quic-ecn-bleached", "silent-5", Route(4, silent=(5,)), "changed:4-6"),
    hops("quic-dropped", "silent-from-5", Route(4, silent=(5, 6, 7, 8)), "not_located:no_answer"),
    hops("quic-ecn-bleached", "silent-from-5", Route(4, silent=(5, 6, 7, 8)), "not_located:no_answer"),
    hops("mss-clamped-tcp", "silent-3-to-6", Route(4, silent=(3, 4, 5, 6)), "changed:2-7"),
    hops("ecn-syn-stripped-tcp", "silent-up-to-7", Route(4, silent=(1, 2, 3, 4, 5, 6, 7)), "changed:0-8"),
    hops("ecn-syn-stripped-tcp", "silent-from-5", Route(4, silent=(5, 6, 7, 8)), "not_located:no_answer"),
    hops("ecn-syn-stripped-tcp", "all-silent", Route(4, silent=tuple(EVERY_HOP)), "not_located:no_answer"),
    hops("ecn-syn-dropped-tcp", "all-silent", Route(4, silent=tuple(EVERY_HOP)), "not_located:no_answer"),

    # Half-open connections: SYN-ACKs that are sent again, while hops are asked that say nothing, are no word of theirs.
    # The target seems to be twelve hops away, so that the search begins beyond it, and asks hop 5 when one comes
    hops("ecn-syn-dropped-tcp", "resets-lost", Route(6, silent=(5, 6, 7, 8)), "not_located:no_answer",
         path=[path.drop_ecn_setup_syn(), *HALF_OPEN]),
    hops("ecn-syn-stripped-tcp", "resets-lost", Route(6, silent=(5, 6, 7, 8)), "not_located:no_answer",
         path=[path.strip_ecn_from_syn(), *HALF_OPEN]),
    hops("ecn-syn-dropped-tcp", "resets-lost-seen", Route(4, silent=(7, 8)), "dropped:4-5",
         path=[path.drop_ecn_setup_syn(), *HALF_OPEN]),

    # Hops that say it once a second
    hops("ecn-syn-stripped-tcp", "limited-4-5", Route(4, limited=(4, 5)), "changed:4-5", "not_located:rate_limited"),
    hops("ecn-syn-dropped-tcp", "limited-4-5", Route(4, limited=(4, 5)), "dropped:4-5", "not_located:rate_limited"),
    hops("quic-dropped", "limited-4-5", Route(4, limited=(4, 5)), "dropped:4-5", "not_located:rate_limited",
         "not_located:no_answer"),  # not even twice to datagrams of other flows
    hops("dscp-46-dropped-tcp", "all-limited", Route(4, limited=tuple(EVERY_HOP)), "dropped:4-5",
         "not_located:rate_limited"),

    # Two branches, of which one does it; addresses and ports choose, so that either may be found
    hops("ecn-syn-stripped-tcp", "branch", Route(BRANCH, branches=True), "changed:4-5", "not_located:path_differs",
         "not_located:unstable", instead=[ecn.FINE_WITHOUT_DATA]),
    hops("mss-clamped-tcp", "branch", Route(BRANCH, branches=True), "changed:4-5", "not_located:path_differs",
         "not_located:unstable", expect=mss.online("deflated", 536),
         instead=[mss.online("unchanged")[4], mss.online("unchanged")[6]]),
    # UDP may go by another branch than TCP, whose hop says nothing: then no interval ends at the one of the other
    hops("quic-dropped", "branch", Route(BRANCH, branches=True), "dropped:4-5", "not_located:path_differs",
         "not_located:unstable", instead=[quic.CLEAN]),
    hops("quic-dropped", "branch-silent", Route(BRANCH, branches=True, silent=(BRANCH,)), "dropped:4-5",
         "not_located:path_differs", "not_located:unstable", "not_located:no_answer", "not_located:rate_limited",
         instead=[quic.CLEAN]),
    hops("quic-ecn-bleached", "branch", Route(BRANCH, branches=True), "changed:4-5", "not_located:path_differs",
         "not_located:unstable", instead=[quic.CLEAN]),

    # A NAT
    hops("ecn-syn-stripped-tcp", "nat", Route(4, nat=True), "changed:4-5"),
    hops("ecn-syn-dropped-tcp", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("udpopts-dropped", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("quic-dropped", "nat", Route(4, nat=True), "dropped:4-5"),
    hops("quic-ecn-bleached", "nat", Route(4, nat=True), "changed:4-5"),

    # How much is quoted: ports and sequence number, TCP's header and eight octets of options, all; RFC 4884, RFC 4950
    hops("ecn-syn-stripped-tcp", "quoted-8-at-5", Route(4, quotes={5: Quote(8)}), "changed:4-6"),
    hops("ecn-syn-stripped-tcp", "quoted-8", all_quote(8), "not_located:short_quote"),
    hops("ecn-syn-stripped-tcp", "quoted-28", all_quote(28), "changed:4-5"),
    hops("ecn-syn-stripped-tcp", "quoted-all", all_quote(), "changed:4-5"),
    hops("ecn-syn-stripped-tcp", "quoted-padded", all_quote(8, padded=True), "not_located:short_quote"),
    hops("ecn-syn-stripped-tcp", "quoted-mpls", all_quote(labels=(24001, 16)), "changed:4-5"),
    hops("ecn-syn-dropped-tcp", "quoted-8", all_quote(8), "dropped:4-5"),
    hops("dscp-46-dropped-tcp", "quoted-8", all_quote(8), "dropped:4-5"),
    hops("quic-dropped", "quoted-8", all_quote(8), "dropped:4-5"),
    hops("quic-ecn-bleached", "quoted-8", all_quote(8), "changed:4-5"),
    hops("dscp-46-dropped-tcp", "quoted-mpls", all_quote(8, labels=(24001,)), "dropped:4-5"),
    hops("mss-clamped-tcp", "quoted-8", all_quote(8), "not_located:short_quote"),
    hops("mss-clamped-tcp", "quoted-28", all_quote(28), "changed:4-5"),
    hops("mss-clamped-tcp", "quoted-28-padded", all_quote(28, padded=True), "changed:4-5"),
    hops("tfo-stripped-http", "quoted-mpls", all_quote(labels=(24001,)), "changed:4-5"),

    # MPLS without TTL propagation: hops that do not count
    hops("ecn-syn-stripped-tcp", "hidden-5-6", Route(4, hidden=(5, 6)), "changed:4-5"),
    hops("ecn-syn-stripped-tcp", "at-hidden", Route(5, hidden=(5, 6)), "changed:4-5"),
    hops("ecn-syn-dropped-tcp", "at-hidden", Route(5, hidden=(4, 5, 6)), "dropped:3-4"),

    # Who answers is not the target
    hops("ecn-no-server-tcp", "proxy", Route(proxy=True), "not_located:proxy", server="", needs="proxy"),

    # The target, or the way back
    hops("ecn-no-server-tcp", "hops", Route(), "reverse_or_target"),
    hops("ecn-synack-stripped-tcp", "hops", Route(5), "reverse_or_target"),
    hops("ecn-synack-dropped", "hops", Route(5), "reverse_or_target"),
    hops("ecn-reflected-tcp", "hops", Route(5), "reverse_or_target"),
    hops("ecn-ect0-to-ce", "hops", Route(5), "reverse_or_target"),
    hops("mss-raised-tcp", "hops", Route(6), "reverse_or_target"),
    hops("dscp-reply-marked-tcp", "hops", Route(5), "reverse_or_target"),
    hops("quic-back-dropped", "hops", Route(5), "reverse_or_target"),
    hops("quic-other-protocol", "hops", Route(), ""),
    hops("quic-draft", "hops", Route(), ""),
    hops("quic-no-counts", "hops", Route(), "reverse_or_target"),
    hops("quic-says-all-ce", "hops", Route(), "reverse_or_target"),
]
