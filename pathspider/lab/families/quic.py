"""QUIC: paths without it, what happens to ECN on the way, servers that count, spin and speak otherwise. RFC 9000"""

from __future__ import annotations

from dataclasses import replace

from pathspider.lab import impairments as path
from pathspider.lab.impairments import CONNECTION, Impairment
from pathspider.lab.scenario import Scenario

HTTPS = ["quic", "--connect", "https"]
TOLD = "quic.alt_svc.h3"
UDP_443 = "udp dport 443"
MARKED = f"{UDP_443} $ip ecn ect0"


def remarked(mark: str, which: str = "") -> Impairment:
    """Datagrams with ECT(0) to the target go on with another mark, all or ``which`` of them."""
    return Impairment(f"ECT(0) of QUIC becomes {mark}", (f"{MARKED} {which} $ip ecn set {mark}",))


def works(ecn: str = "validates", spin: str = "used", version: str = "1") -> set[str]:
    """The conditions where a response comes over HTTP/3."""
    return {"quic.connectivity.works", TOLD, "quic.answer.response", f"quic.version:{version}", f"quic.ecn.{ecn}",
            f"quic.spin.{spin}"}


def fails(answer: str, word: str = "broken", version: str = "") -> set[str]:
    """Those where none comes."""
    return ({f"quic.connectivity.{word}", f"quic.answer.{answer}"} | ({TOLD} if word == "broken" else set())
            | ({f"quic.version:{version}"} if version else set()))


CLEAN = works()

SCENARIOS = [replace(one, needs="h3") for one in (
    Scenario("quic-clean", [], HTTPS, CLEAN),

    # Whether it gets there
    Scenario("quic-dropped", [Impairment("drops QUIC", (f"{UDP_443} drop",))], HTTPS, fails("none")),
    Scenario("quic-back-dropped", [Impairment("drops what comes back over QUIC", back=("udp sport 443 drop",))], HTTPS,
             fails("none")),
    Scenario("quic-closed", [Impairment("says that QUIC's port is closed",
                                        (f"{UDP_443} reject with icmpx type port-unreachable",))], HTTPS,
             fails("icmp")),
    Scenario("quic-prohibited", [Impairment("says that QUIC is prohibited",
                                            (f"{UDP_443} reject with icmpx type admin-prohibited",))], HTTPS,
             fails("icmp")),
    Scenario("quic-udp-dropped", [Impairment("drops UDP", ("meta l4proto udp drop",))], HTTPS, fails("none")),
    Scenario("quic-initial-dropped", [Impairment("drops datagrams that look like a connection of QUIC",
                                                 (f"{UDP_443} @th,64,2 3 drop",))], HTTPS, fails("none")),
    Scenario("quic-large-dropped", [Impairment("drops large datagrams", (f"{UDP_443} udp length > 1000 drop",))], HTTPS,
             fails("none")),
    Scenario("quic-first-lost", [path.first_datagram_lost()], HTTPS, CLEAN),
    Scenario("quic-lossy", [path.every_nth_lost(7)], HTTPS, CLEAN),
    Scenario("quic-offline", [path.silent_drop()], HTTPS, fails("none", "offline")),
    Scenario("quic-offline-closed", [], HTTPS, fails("icmp", "offline"), port=9),
    Scenario("quic-transient", [path.first_connection_fails()], HTTPS,
             {"quic.connectivity.transient", *CLEAN} - {"quic.connectivity.works", TOLD}),

    # What becomes of ECT(0)
    Scenario("quic-ecn-bleached", [remarked("not-ect")], HTTPS, works("no_mirroring")),
    Scenario("quic-ecn-half-bleached", [remarked("not-ect", "numgen inc mod 2 == 0")], HTTPS, works("undercount")),
    Scenario("quic-ecn-to-ect1", [remarked("ect1")], HTTPS, works("remarked")),
    Scenario("quic-ecn-all-ce", [remarked("ce")], HTTPS, works("all_ce")),
    Scenario("quic-ecn-some-ce", [remarked("ce", "numgen inc mod 3 == 0")], HTTPS, CLEAN),
    Scenario("quic-ecn-dropped", [Impairment("drops QUIC with ECT(0)", (f"{MARKED} drop",))], HTTPS, works("broken")),
    Scenario("quic-ecn-lossy", [Impairment("loses every third datagram with ECT(0)",
                                           (f"{MARKED} numgen inc mod 3 == 2 drop",))], HTTPS, CLEAN),
    Scenario("quic-ecn-blocked", [Impairment("drops all behind a datagram with ECT(0)", (
        f"{CONNECTION} @doomed_$v drop", f"{MARKED} add @doomed_$v {{ {CONNECTION} }} drop"))], HTTPS,
             {"quic.connectivity.works", TOLD, "quic.answer.response", "quic.version:1", "quic.ecn.unclear"}),

    # What servers do
    Scenario("quic-not-told", [], HTTPS, CLEAN ^ {TOLD, "quic.alt_svc.none"}, server="http1"),
    Scenario("quic-no-counts", [], HTTPS, works("no_mirroring"), server="h3-no-counts"),
    Scenario("quic-undercount", [], HTTPS, works("undercount"), server="h3-undercount"),
    Scenario("quic-swapped", [], HTTPS, works("remarked"), server="h3-swapped"),
    Scenario("quic-says-all-ce", [], HTTPS, works("all_ce"), server="h3-all-ce"),
    Scenario("quic-no-spin", [], HTTPS, works(spin="unused"), server="h3-no-spin"),
    Scenario("quic-spins-one", [], HTTPS, works(spin="unused"), server="h3-spins-one"),
    Scenario("quic-random-spin", [], HTTPS, works(spin="unused"), server="h3-random-spin", instead=[CLEAN]),
    Scenario("quic-version-2", [], HTTPS, works(version="2"), server="h3-version-2"),
    Scenario("quic-draft", [], HTTPS, fails("other_version"), server="h3-draft"),
    Scenario("quic-other-protocol", [], HTTPS, fails("closed:0x178", version="1"), server="h3-other-protocol"),
    Scenario("quic-mute", [], HTTPS, fails("handshake", version="1"), server="h3-mute"),
    Scenario("quic-forbidden", [], HTTPS, CLEAN | {"quic.response.differs:200:403"}, server="h3-forbids"),
    Scenario("quic-malformed", [], HTTPS, fails("unusable", version="1"), server="h3-malformed"),
    Scenario("quic-udp-prohibited", [Impairment("says that UDP is prohibited",
                                                ("meta l4proto udp reject with icmpx type admin-prohibited",))], HTTPS,
             fails("icmp")),
)]
