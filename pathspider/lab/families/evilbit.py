"""The evil bit, over TCP and DNS. IPv6 has none. RFC 3514."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

TCP = ["evilbit", "--connect", "tcp"]
DNSUDP = ["evilbit", "--connect", "dnsudp"]
V4, V6 = (4,), (6,)

WORKS = {"evilbit.connectivity.works", "evilbit.mark.not_seen"}
SEEN = {"evilbit.connectivity.works", "evilbit.mark.seen"}
BROKEN = {"evilbit.connectivity.broken"}
OFFLINE = {"evilbit.connectivity.offline"}
TRANSIENT = {"evilbit.connectivity.transient", "evilbit.mark.not_seen"}
NONE_THERE = {"pathspider.skipped:ipv6_has_no_evil_bit"}

SCENARIOS = [
    Scenario("evilbit-clean-tcp", [], TCP, WORKS, versions=V4),
    Scenario("evilbit-clean-dnsudp", [], DNSUDP, WORKS, versions=V4),
    Scenario("evilbit-ipv6-tcp", [], TCP, NONE_THERE, versions=V6),
    Scenario("evilbit-ipv6-dnsudp", [], DNSUDP, NONE_THERE, versions=V6),
    Scenario("evilbit-dropped-tcp", [path.drop_evil()], TCP, BROKEN, versions=V4),
    Scenario("evilbit-dropped-dnsudp", [path.drop_evil()], DNSUDP, BROKEN, versions=V4),
    Scenario("evilbit-cleared-tcp", [path.clear_evil()], TCP, WORKS, versions=V4),
    Scenario("evilbit-cleared-dnsudp", [path.clear_evil()], DNSUDP, WORKS, versions=V4),
    Scenario("evilbit-reply-tcp", [path.evil_replies()], TCP, SEEN, versions=V4),
    Scenario("evilbit-reply-dnsudp", [path.evil_replies()], DNSUDP, SEEN, versions=V4),
    Scenario("evilbit-offline-tcp", [path.silent_drop()], TCP, OFFLINE, versions=V4),
    Scenario("evilbit-offline-dnsudp", [path.silent_drop()], DNSUDP, OFFLINE, versions=V4),
    Scenario("evilbit-transient", [path.first_connection_fails()], TCP, TRANSIENT, versions=V4),
    Scenario("evilbit-lossy-tcp", [path.first_syn_lost()], TCP, WORKS, versions=V4),
    Scenario("evilbit-lossy-dnsudp", [path.first_datagram_lost()], DNSUDP, WORKS, versions=V4),
    Scenario("evilbit-formerr", [path.formerr_for_evil()], DNSUDP,
             {"evilbit.response.differs:noerror:formerr", "evilbit.mark.seen"}, versions=V4),
    Scenario("evilbit-strays", [], DNSUDP, WORKS, server="dns-strays", versions=V4, needs="odd-dns"),
    # the bogus SYN-ACK has the bit, as the SYN that it answers
    Scenario("evilbit-syn-authenticated", [path.authenticate_syns(each=True)], TCP, WORKS, versions=V4),
    Scenario("evilbit-client-authenticated", [path.authenticate_syns(each=False)], TCP, WORKS, versions=V4),
]
