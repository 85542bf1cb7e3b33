"""Multipath TCP: its option on SYN and SYN-ACK, beside one that nobody knows. RFC 8684"""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario
from pathspider.plugins.mptcp import CONTROL, MP_CAPABLE

TCP = ["mptcp", "--connect", "tcp"]
MPTCP, NONSENSE = 30, CONTROL[0]
VERSION_0 = bytes((0, 1)) + bytes(range(1, 9))


def truth(option: str, control: str = "works not_returned") -> set[str]:
    """The conditions of both: connectivity and, behind a blank, what became of the option."""
    found = set()
    for prefix, said in (("mptcp", option), ("mptcp.control", control)):
        connectivity, _, word = said.partition(" ")
        found |= {f"{prefix}.connectivity.{connectivity}"} | ({f"{prefix}.option.{word}"} if word else set())
    return found


FINE = truth("works returned")
PLAIN = truth("works not_returned")

SCENARIOS = [
    Scenario("mptcp-clean", [], TCP, PLAIN),
    Scenario("mptcp-server", [], TCP, FINE, server="mptcp"),
    Scenario("mptcp-dropped", [path.drop_option(MPTCP)], TCP, truth("broken"), server="mptcp"),
    Scenario("mptcp-reset", [path.reset_option(MPTCP)], TCP, truth("broken"), server="mptcp"),
    Scenario("mptcp-all-dropped", [path.drop_option(MPTCP), path.drop_option(NONSENSE)], TCP,
             truth("broken", "broken"), server="mptcp"),
    Scenario("mptcp-nonsense-dropped", [path.drop_option(NONSENSE)], TCP, truth("works returned", "broken"),
             server="mptcp"),
    Scenario("mptcp-stripped", [path.strip_option(MPTCP)], TCP, PLAIN, server="mptcp"),
    Scenario("mptcp-stripped-back", [path.strip_returned_option(MPTCP)], TCP, PLAIN, server="mptcp"),
    Scenario("mptcp-mirrored", [path.mirror_option(MPTCP)], TCP, truth("works mirrored")),
    Scenario("mptcp-all-mirrored", [path.mirror_option(MPTCP), path.mirror_option(NONSENSE)], TCP,
             truth("works mirrored", "works mirrored")),
    Scenario("mptcp-nonsense-answered", [path.answer_option(NONSENSE, bytes(4))], TCP,
             truth("works returned", "works returned"), server="mptcp"),
    Scenario("mptcp-nonsense-unasked", [path.answer_option(NONSENSE, bytes(4), always=True)], TCP,
             truth("works not_returned", "works unasked")),
    Scenario("mptcp-version-0", [path.answer_option(MPTCP, VERSION_0)], TCP, truth("works altered")),
    Scenario("mptcp-no-key", [path.answer_option(MPTCP, MP_CAPABLE + bytes(8))], TCP, truth("works altered")),
    Scenario("mptcp-syn-lost", [path.first_syn_lost()], TCP, FINE, server="mptcp"),
    Scenario("mptcp-offline", [path.silent_drop()], TCP, truth("offline", "offline")),
    Scenario("mptcp-transient", [path.first_connection_fails()], TCP,
             truth("transient returned", "transient not_returned"), server="mptcp"),
    Scenario("mptcp-syn-authenticated", [path.authenticate_syns(each=True)], TCP, FINE, server="mptcp"),
]
