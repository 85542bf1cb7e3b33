"""Explicit Congestion Notification: what paths do to its flags and marks. RFC 3168, RFC 8311.

Marks are judged on what comes back. Linux marks data that it sends for the first time, and nothing else: no SYN-ACK, no
bare acknowledgement, no FIN. So a connection without data shows no marks on a clean path.
"""

from __future__ import annotations

from collections.abc import Sequence

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

MARKS = ("ect0", "ect1", "ce")

TCP = ["ecn", "--connect", "tcp"]
HTTP = ["ecn", "--connect", "http"]
HTTPS = ["ecn", "--connect", "https"]
DNSTCP = ["ecn", "--connect", "dnstcp"]


def truth(connectivity: str, negotiation: str | None = None, seen: Sequence[str] = ()) -> set[str]:
    """The conditions of an observed pair of connections. ``negotiation`` is None where no SYN-ACK came back."""
    marks = {f"ecn.ipmark.{mark}.{'seen' if mark in seen else 'not_seen'}" for mark in MARKS}
    return {f"ecn.connectivity.{connectivity}", *marks} | (
        {f"ecn.negotiation.{negotiation}"} if negotiation is not None else set())


FINE = truth("works", "succeeded", ["ect0"])
FINE_WITHOUT_DATA = truth("works", "succeeded")
HANDSHAKE = {"ecn.handshake.works"}
AGAIN = {"ecn.ipmark.ect0.unclear"}
BACK = {"towards": False, "back": True}
OUT = {"towards": True, "back": False}
BOTH = {"towards": True, "back": True}

SCENARIOS = [
    Scenario("ecn-clean-tcp", [], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-clean-http", [], HTTP, FINE),
    Scenario("ecn-clean-https", [], HTTPS, FINE),
    Scenario("ecn-clean-dnstcp", [], DNSTCP, FINE),

    # Negotiation
    Scenario("ecn-no-server-tcp", [], TCP, truth("works", "failed"), server="no-ecn"),
    Scenario("ecn-no-server-http", [], HTTP, truth("works", "failed"), server="no-ecn"),
    Scenario("ecn-no-server-https", [], HTTPS, truth("works", "failed"), server="no-ecn"),
    Scenario("ecn-syn-stripped-tcp", [path.strip_ecn_from_syn()], TCP, truth("works", "failed")),
    Scenario("ecn-syn-stripped-http", [path.strip_ecn_from_syn()], HTTP, truth("works", "failed")),
    Scenario("ecn-synack-stripped-tcp", [path.strip_ecn_from_syn_ack()], TCP, truth("works", "failed")),
    # the server knows nothing of it and marks its data
    Scenario("ecn-synack-stripped-http", [path.strip_ecn_from_syn_ack()], HTTP, truth("works", "failed", ["ect0"])),
    Scenario("ecn-reflected-tcp", [path.reflect_ecn_flags()], TCP, truth("works", "reflected"), server="no-ecn"),
    Scenario("ecn-reflected-http", [path.reflect_ecn_flags()], HTTP, truth("works", "reflected"), server="no-ecn"),
    Scenario("ecn-syn-marked-ce", [path.mark_syn("ce")], HTTP, truth("works", "failed")),

    # Connectivity: the handshake
    Scenario("ecn-syn-dropped-tcp", [path.drop_ecn_setup_syn()], TCP, truth("broken")),
    Scenario("ecn-syn-dropped-http", [path.drop_ecn_setup_syn()], HTTP, truth("broken")),
    Scenario("ecn-syn-dropped-https", [path.drop_ecn_setup_syn()], HTTPS, truth("broken")),
    Scenario("ecn-syn-dropped-dnstcp", [path.drop_ecn_setup_syn()], DNSTCP, truth("broken")),
    Scenario("ecn-syn-reset-tcp", [path.reset_ecn_setup_syn()], TCP, truth("broken")),
    Scenario("ecn-syn-reset-http", [path.reset_ecn_setup_syn()], HTTP, truth("broken")),
    Scenario("ecn-syn-unreachable", [path.icmp_for_ecn_setup_syn("host-unreachable")], TCP, truth("broken")),
    Scenario("ecn-syn-prohibited", [path.icmp_for_ecn_setup_syn("admin-prohibited")], TCP, truth("broken")),
    Scenario("ecn-synack-dropped", [path.drop_ecn_syn_ack()], TCP, truth("broken")),

    # Connectivity: after the handshake
    Scenario("ecn-data-dropped-tcp", [path.drop_after_ecn_setup()], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-data-dropped-http", [path.drop_after_ecn_setup()], HTTP, truth("broken", "succeeded") | HANDSHAKE),
    Scenario("ecn-ect-dropped", [path.drop_ect()], HTTP, truth("works", "succeeded") | AGAIN),
    # what is sent again has no mark
    Scenario("ecn-answer-lost", [path.first_answer_lost()], HTTP, truth("works", "succeeded") | AGAIN),
    Scenario("ecn-ect-reset", [path.reset_ect()], HTTP, truth("broken", "succeeded")),

    # Marks
    Scenario("ecn-ect0-to-ce", [path.remark_ect("ect0", "ce", **BACK)], HTTP, truth("works", "succeeded", ["ce"])),
    Scenario("ecn-ect0-to-ect1", [path.remark_ect("ect0", "ect1", **BACK)], HTTP,
             truth("works", "succeeded", ["ect1"])),
    Scenario("ecn-bleached", [path.remark_ect("marked", "not-ect", **BOTH)], HTTP, truth("works", "succeeded")),
    Scenario("ecn-bleached-https", [path.remark_ect("marked", "not-ect", **BOTH)], HTTPS, truth("works", "succeeded")),
    Scenario("ecn-all-ce-tcp", [path.remark_ect("any", "ce", **BACK)], TCP, truth("works", "succeeded", ["ce"])),
    Scenario("ecn-all-ect1-http", [path.remark_ect("any", "ect1", **BACK)], HTTP,
             truth("works", "succeeded", ["ect1"])),
    Scenario("ecn-stripped-and-bleached",
             [path.strip_ecn_from_syn(), path.remark_ect("marked", "not-ect", **BOTH)], HTTP, truth("works", "failed")),
    # what happens on the way out is not seen in the marks that come back
    Scenario("ecn-ce-out", [path.remark_ect("ect0", "ce", **OUT)], HTTP, FINE),
    Scenario("ecn-bleached-out", [path.remark_ect("marked", "not-ect", **OUT)], HTTP, FINE),

    # Whatever is asked for
    Scenario("ecn-offline-tcp", [path.silent_drop()], TCP, truth("offline")),
    Scenario("ecn-offline-http", [path.silent_drop()], HTTP, truth("offline")),
    Scenario("ecn-offline-closed", [], TCP, truth("offline"), port=9),
    Scenario("ecn-offline-unreachable", [path.icmp_unreachable("host-unreachable")], TCP, truth("offline")),
    Scenario("ecn-offline-prohibited", [path.icmp_unreachable("admin-prohibited")], HTTP, truth("offline")),
    Scenario("ecn-transient-tcp", [path.first_connection_fails()], TCP, truth("transient", "succeeded")),
    Scenario("ecn-transient-http", [path.first_connection_fails()], HTTP, truth("transient", "succeeded", ["ect0"])),
    Scenario("ecn-syn-lost-tcp", [path.first_syn_lost()], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-syn-lost-http", [path.first_syn_lost()], HTTP, FINE),
    Scenario("ecn-lossy-tcp", [path.every_nth_lost(5)], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-lossy-http", [path.every_nth_lost(5)], HTTP, FINE),

    # What is answered
    Scenario("ecn-interim-only", [], HTTP, truth("offline", "succeeded", ["ect0"]), server="interim-only",
             needs="odd-web"),
    Scenario("ecn-interim-only-https", [], HTTPS, truth("offline", "succeeded", ["ect0"]), server="interim-only",
             needs="odd-web"),
    Scenario("ecn-interim-first", [], HTTP, FINE, server="interim-first", needs="odd-web"),
    Scenario("ecn-forbidden-http", [], HTTP, {*FINE, "ecn.response.differs:200:403"}, server="forbids",
             needs="odd-web"),
    Scenario("ecn-forbidden-https", [], HTTPS, {*FINE, "ecn.response.differs:200:403"}, server="forbids",
             needs="odd-web"),
    Scenario("ecn-refused-dnstcp", [], DNSTCP,
             {*FINE, "ecn.response.differs:noerror:refused"} - {"ecn.connectivity.works"}, server="forbids",
             needs="odd-dns"),
    # Accurate ECN that nobody asked for: what a kernel makes of it is its own
    Scenario("ecn-cwr-answered-tcp", [path.cwr_on_syn_ack()], TCP, truth("works", "failed")),
    Scenario("ecn-cwr-answered-http", [path.cwr_on_syn_ack()], HTTP, truth("works", "failed", ["ect0"])),

    # ECE that nobody asked for
    Scenario("ecn-ece-unasked-tcp", [path.ece_on_syn_acks()], TCP, truth("works", "unclear")),
    Scenario("ecn-ece-unasked-http", [path.ece_on_syn_acks()], HTTP, truth("works", "unclear", ["ect0"])),
    Scenario("ecn-ece-unasked-no-server", [path.ece_on_syn_acks()], HTTP, truth("works", "unclear"), server="no-ecn"),

    # The handshake works, the answer is missing: no proof against ECN
    Scenario("ecn-answer-missing-http", [path.later_answers_missing()], HTTP, truth("broken", "succeeded") | HANDSHAKE,
             stable=("unstable",)),
    Scenario("ecn-answer-missing-https", [path.later_answers_missing()], HTTPS,
             truth("broken", "succeeded") | HANDSHAKE, stable=("unstable",)),
    Scenario("ecn-answer-missing-dnstcp", [path.later_answers_missing()], DNSTCP,
             truth("broken", "succeeded") | HANDSHAKE, stable=("unstable",)),

    # What is no answer: SYN-ACKs that acknowledge what was not sent, ICMP errors after the handshake
    Scenario("ecn-syn-authenticated-tcp", [path.authenticate_syns(each=True)], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-syn-authenticated-http", [path.authenticate_syns(each=True)], HTTP, FINE),
    Scenario("ecn-client-authenticated", [path.authenticate_syns(each=False)], HTTP, FINE),
    Scenario("ecn-stray-icmp-tcp", [path.icmp_for_handshake_ack("host-unreachable")], TCP, FINE_WITHOUT_DATA),
    Scenario("ecn-stray-icmp-http", [path.icmp_for_handshake_ack("port-unreachable")], HTTP, FINE),
    Scenario("ecn-stray-icmp-https", [path.icmp_for_handshake_ack("port-unreachable")], HTTPS, FINE),
]
