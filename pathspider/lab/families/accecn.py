"""Accurate ECN: what servers answer, by all eight codes, and what paths do to SYNs that ask. RFC 9768

Kernels that do not know it take the request for one of RFC 3168, and agree to that.
"""

from __future__ import annotations

from pathspider.chains.tcp import TCP_AE, TCP_CWR, TCP_ECE
from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

TCP = ["accecn", "--connect", "tcp"]
OUT = {"towards": True, "back": False}


def truth(*said: str) -> set[str]:
    """The conditions of the SYNs with not-ECT, ECT(0) and ECT(1): connectivity, negotiation, how the field arrived. One
    for all where they are the same."""
    found = set()
    for prefix, one in zip(("accecn", "accecn.ect0", "accecn.ect1"), said * (3 // len(said)), strict=True):
        found |= {f"{prefix}.{name}.{word}"
                  for name, word in zip(("connectivity", "negotiation", "forward"), one.split(), strict=False)}
    return found


CLASSIC = truth("works classic")
FINE = truth("works accurate arrived")
SERVER = path.answer_accurate_ecn()


def told(one: str, two: str, three: str) -> set[str]:
    """The same of an accurate server: how the field arrived."""
    return truth(*(f"works accurate {word}" for word in (one, two, three)))


SCENARIOS = [
    Scenario("accecn-clean", [], TCP, CLASSIC),
    Scenario("accecn-accurate", [SERVER], TCP, FINE),
    Scenario("accecn-no-ecn", [], TCP, truth("works none"), server="no-ecn"),

    # The eight codes, whatever arrived
    Scenario("accecn-answer-000", [path.answer_ecn(0)], TCP, truth("works none")),
    Scenario("accecn-answer-001", [path.answer_ecn(TCP_ECE)], TCP, CLASSIC),
    Scenario("accecn-answer-010", [path.answer_ecn(TCP_CWR)], TCP, told("arrived", "bleached", "bleached")),
    Scenario("accecn-answer-011", [path.answer_ecn(TCP_CWR | TCP_ECE)], TCP,
             truth("works unclear")),
    Scenario("accecn-answer-100", [path.answer_ecn(TCP_AE)], TCP,
             told("remarked:notect-ect0", "arrived", "remarked:ect1-ect0")),
    Scenario("accecn-answer-101", [path.answer_ecn(TCP_AE | TCP_ECE)], TCP, truth("works reserved")),
    Scenario("accecn-answer-110", [path.answer_ecn(TCP_AE | TCP_CWR)], TCP,
             told("remarked:notect-ce", "remarked:ect0-ce", "remarked:ect1-ce")),
    Scenario("accecn-answer-111", [path.answer_ecn(TCP_AE | TCP_CWR | TCP_ECE)], TCP, truth("works reflected")),
    Scenario("accecn-unasked", [path.answer_ecn(TCP_CWR, always=True)], TCP, truth("works unclear")),
    Scenario("accecn-ece-unasked", [path.answer_ecn(TCP_ECE, always=True)], TCP, truth("works unclear")),

    # The SYN's ECN field
    Scenario("accecn-bleached", [path.remark_ect("marked", "not-ect", **OUT), SERVER], TCP,
             told("arrived", "bleached", "bleached")),
    Scenario("accecn-ce", [path.remark_ect("ect", "ce", **OUT), SERVER], TCP,
             told("arrived", "remarked:ect0-ce", "remarked:ect1-ce")),
    Scenario("accecn-ect1-to-ect0", [path.remark_ect("ect1", "ect0", **OUT), SERVER], TCP,
             told("arrived", "arrived", "remarked:ect1-ect0")),
    Scenario("accecn-all-ect1", [path.remark_ect("any", "ect1", **OUT), SERVER], TCP,
             truth("works unclear")),
    Scenario("accecn-marked-dropped", [path.drop_marked_syn(), SERVER], TCP,
             truth("works accurate arrived", "broken", "broken")),

    # Flags on the way out
    Scenario("accecn-dropped", [path.drop_accurate_ecn_syn()], TCP, truth("broken")),
    Scenario("accecn-reset", [path.reset_accurate_ecn_syn()], TCP, truth("broken")),
    Scenario("accecn-classic-dropped", [path.drop_ecn_setup_syn()], TCP, truth("broken")),
    Scenario("accecn-stripped", [path.strip_ecn_from_syn()], TCP, truth("works none")),

    Scenario("accecn-syn-lost", [path.first_syn_lost(), SERVER], TCP, FINE),
    Scenario("accecn-offline", [path.silent_drop()], TCP, truth("offline")),
    Scenario("accecn-transient", [path.first_connection_fails()], TCP, truth("transient classic")),
    Scenario("accecn-syn-authenticated", [path.authenticate_syns(each=True)], TCP, CLASSIC),
]
