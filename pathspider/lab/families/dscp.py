"""Differentiated services codepoints. Linux answers with codepoint 0, whatever it was asked with. RFC 2474."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

HTTP = ["dscp", "--connect", "http"]
TCP = ["dscp", "--connect", "tcp"]
DNSUDP = ["dscp", "--connect", "dnsudp"]
DNSTCP = ["dscp", "--connect", "dnstcp"]
H3 = ["dscp", "--connect", "h3"]
TCP_10 = ["dscp", "--codepoint", "10", "--connect", "tcp"]


def truth(connectivity: str, zero: tuple[int, ...] = (), experiment: tuple[int, ...] = (), point: int = 46) -> set[str]:
    """The conditions, with the codepoints of replies to codepoint 0 and to that of the experiment."""
    return ({f"dscp.{point}.connectivity.{connectivity}"} | {f"dscp.0.replymark:{mark}" for mark in zero}
            | {f"dscp.{point}.replymark:{mark}" for mark in experiment})


FINE = truth("works", (0,), (0,))
BROKEN = truth("broken", (0,))

SCENARIOS = [
    Scenario("dscp-clean-http", [], HTTP, FINE),
    Scenario("dscp-clean-tcp", [], TCP, FINE),
    Scenario("dscp-clean-dnsudp", [], DNSUDP, FINE),
    Scenario("dscp-clean-dnstcp", [], DNSTCP, FINE),
    Scenario("dscp-clean-10", [], TCP_10, truth("works", (0,), (0,), 10)),
    Scenario("dscp-bleached", [path.set_dscp(0)], HTTP, FINE),
    Scenario("dscp-rewritten", [path.set_dscp(10, only=46)], HTTP, FINE),
    Scenario("dscp-46-dropped-http", [path.drop_dscp(46)], HTTP, BROKEN),
    Scenario("dscp-46-dropped-tcp", [path.drop_dscp(46)], TCP, BROKEN),
    Scenario("dscp-46-dropped-dnsudp", [path.drop_dscp(46)], DNSUDP, BROKEN),
    Scenario("dscp-46-dropped-dnstcp", [path.drop_dscp(46)], DNSTCP, BROKEN),
    Scenario("dscp-46-dropped-10", [path.drop_dscp(46)], TCP_10, truth("works", (0,), (0,), 10)),
    Scenario("dscp-46-prohibited", [path.icmp_for_dscp(46)], TCP, BROKEN),
    Scenario("dscp-reply-marked-http", [path.set_dscp(34, back=True)], HTTP, truth("works", (34,), (34,))),
    Scenario("dscp-reply-marked-tcp", [path.set_dscp(34, back=True)], TCP, truth("works", (34,), (34,))),
    Scenario("dscp-reply-marked-dnsudp", [path.set_dscp(34, back=True)], DNSUDP, truth("works", (34,), (34,))),
    Scenario("dscp-reply-differs-tcp", [path.mark_reply_to(46, 10)], TCP, truth("works", (0,), (10,))),
    Scenario("dscp-reply-differs-dnsudp", [path.mark_reply_to(46, 10)], DNSUDP, truth("works", (0,), (10,))),
    Scenario("dscp-reply-mixed", [path.mark_reply_syn_ack(34)], HTTP, truth("works", (34, 0), (34, 0))),
    Scenario("dscp-servfail", [], DNSUDP, FINE, server="servfail", needs="odd-dns"),
    Scenario("dscp-dns-silent", [], DNSUDP, truth("offline"), server="dns-silent", needs="odd-dns"),
    Scenario("dscp-dns-tcp-only", [], DNSUDP, FINE, server="dns-tcp-only", needs="odd-dns"),
    Scenario("dscp-offline", [path.silent_drop()], HTTP, truth("offline")),
    Scenario("dscp-transient", [path.first_connection_fails()], TCP, truth("transient", (), (0,))),
    Scenario("dscp-lossy-tcp", [path.first_syn_lost()], TCP, FINE),
    Scenario("dscp-lossy-dnsudp", [path.first_datagram_lost()], DNSUDP, FINE),

    # HTTP/3
    Scenario("dscp-clean-h3", [], H3, FINE, needs="h3"),
    Scenario("dscp-46-dropped-h3", [path.drop_dscp(46)], H3, BROKEN, needs="h3"),
    Scenario("dscp-reply-marked-h3", [path.set_dscp(34, back=True)], H3, truth("works", (34,), (34,)), needs="h3"),
    Scenario("dscp-lossy-h3", [path.first_datagram_lost()], H3, FINE, needs="h3"),
    Scenario("dscp-offline-h3", [path.icmp_unreachable("admin-prohibited")], H3, truth("offline"), needs="h3"),
    Scenario("dscp-offline-closed-h3", [], H3, truth("offline"), port=9, needs="h3"),

    # What is answered
    Scenario("dscp-forbidden-http", [], HTTP, {*FINE, "dscp.46.response.differs:200:403"}, server="forbids",
             needs="odd-web"),
    Scenario("dscp-refused-dnstcp", [], DNSTCP,
             {*FINE, "dscp.46.response.differs:noerror:refused"} - {"dscp.46.connectivity.works"}, server="forbids",
             needs="odd-dns"),
    Scenario("dscp-strays-dnsudp", [], DNSUDP, FINE, server="dns-strays", needs="odd-dns"),
    Scenario("dscp-strays-dnstcp", [], DNSTCP, FINE, server="dns-strays", needs="odd-dns"),
    Scenario("dscp-interim-only", [], HTTP, truth("offline", (0,), (0,)), server="interim-only", needs="odd-web"),
    Scenario("dscp-answer-missing-http", [path.later_answers_missing()], HTTP,
             truth("broken", (0,), (0,)) | {"dscp.46.handshake.works"}, stable=("unstable",)),
    Scenario("dscp-answer-missing-dnstcp", [path.later_answers_missing()], DNSTCP,
             truth("broken", (0,), (0,)) | {"dscp.46.handshake.works"}, stable=("unstable",)),
    Scenario("dscp-syn-authenticated-tcp", [path.authenticate_syns(each=True)], TCP, FINE),
    Scenario("dscp-syn-authenticated-http", [path.authenticate_syns(each=True)], HTTP, FINE),
    Scenario("dscp-stray-icmp", [path.icmp_for_handshake_ack("port-unreachable")], HTTP, FINE),
]
