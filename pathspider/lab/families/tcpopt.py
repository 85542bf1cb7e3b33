"""TCP options of any kind. Two that nobody knows are tried: 99 and 200."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

TCP = ["tcpopt", "--connect", "tcp"]


def truth(first: str, second: str) -> set[str]:
    """The conditions of both kinds: connectivity and, behind a blank, what became of the option."""
    found = set()
    for kind, said in ((99, first), (200, second)):
        connectivity, _, option = said.partition(" ")
        found |= {f"tcpopt.{kind}.connectivity.{connectivity}"}
        found |= {f"tcpopt.{kind}.option.{option}"} if option else set()
    return found


CLEAN = "works not_returned"
OTHER = bytes.fromhex("0102")

SCENARIOS = [
    Scenario("tcpopt-clean", [], TCP, truth(CLEAN, CLEAN)),
    Scenario("tcpopt-dropped", [path.drop_option(99)], TCP, truth("broken", CLEAN)),
    Scenario("tcpopt-reset", [path.reset_option(200)], TCP, truth(CLEAN, "broken")),
    Scenario("tcpopt-both-dropped", [path.drop_option(99), path.drop_option(200)], TCP, truth("broken", "broken")),
    Scenario("tcpopt-stripped", [path.strip_option(99)], TCP, truth(CLEAN, CLEAN)),
    Scenario("tcpopt-mirrored", [path.mirror_option(99)], TCP, truth("works mirrored", CLEAN)),
    Scenario("tcpopt-stripped-and-mirrored", [path.strip_option(99), path.mirror_option(99)], TCP, truth(CLEAN, CLEAN)),
    Scenario("tcpopt-returned", [path.answer_option(200, OTHER)], TCP, truth(CLEAN, "works returned")),
    Scenario("tcpopt-unasked", [path.answer_option(99, OTHER, always=True)], TCP, truth("works unasked", CLEAN)),
    Scenario("tcpopt-syn-lost", [path.first_syn_lost()], TCP, truth(CLEAN, CLEAN)),
    Scenario("tcpopt-offline", [path.silent_drop()], TCP, truth("offline", "offline")),
    Scenario("tcpopt-offline-closed", [], TCP, truth("offline", "offline"), port=9),
    Scenario("tcpopt-transient", [path.first_connection_fails()], TCP, truth("transient not_returned",
                                                                             "transient not_returned")),
    Scenario("tcpopt-syn-authenticated", [path.authenticate_syns(each=True)], TCP, truth(CLEAN, CLEAN)),
]
