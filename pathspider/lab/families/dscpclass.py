"""Many codepoints: a server that answers with the one that it was asked with shows what the path does. RFC 9435"""

from __future__ import annotations

from collections.abc import Callable

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

SENT = (1, 8, 10, 26, 46, 48, 57)
TCP = ["dscpclass", "--codepoints", ",".join(map(str, SENT)), "--connect", "tcp"]


def truth(becomes: Callable[[int], int], shown: str = "", broken: int | None = None) -> set[str]:
    """The conditions where each codepoint comes back as another, and one perhaps not at all."""
    found = {f"dscpclass.class.{shown}"} if shown else set()
    for one in SENT:
        found |= {f"dscpclass.{one}.connectivity.{'broken' if one == broken else 'works'}"}
        found |= {f"dscpclass.{one}.replymark:{becomes(one)}"} if one != broken else set()
    return found


def nothing(one: int) -> int:
    """As Linux answers."""
    return 0


def same(one: int) -> int:
    """As it was sent."""
    return one


def all_of(word: str) -> set[str]:
    """The same connectivity for all."""
    return {f"dscpclass.{one}.connectivity.{word}" for one in SENT}


SERVER = path.reflect_dscp()

SCENARIOS = [
    Scenario("dscpclass-clean", [], TCP, truth(nothing)),
    Scenario("dscpclass-reflected", [SERVER], TCP, truth(same, "none")),
    Scenario("dscpclass-bleached", [path.remark_dscp("bleach"), SERVER], TCP, truth(nothing)),
    Scenario("dscpclass-precedence", [path.remark_dscp("tos_precedence"), SERVER], TCP,
             truth(lambda one: one & 7, "tos_precedence")),
    Scenario("dscpclass-some-tos", [path.remark_dscp("some_tos"), SERVER], TCP,
             truth(lambda one: one if one >= 48 else one & 7, "some_tos")),
    Scenario("dscpclass-low", [path.remark_dscp("low"), SERVER], TCP, truth(lambda one: one & 56, "low")),
    Scenario("dscpclass-some-low", [path.remark_dscp("some_low"), SERVER], TCP,
             truth(lambda one: one if one >= 48 else one & 56, "some_low")),
    Scenario("dscpclass-remark-tos", [path.remark_dscp("remark_tos"), SERVER], TCP,
             truth(lambda one: 8 | one & 7, "remark_tos")),
    Scenario("dscpclass-remarked", [path.set_dscp(10, only=46), SERVER], TCP,
             truth(lambda one: 10 if one == 46 else one, "remark")),
    Scenario("dscpclass-all-to-one", [path.set_dscp(10), SERVER], TCP, truth(lambda one: 10)),
    Scenario("dscpclass-dropped", [path.drop_dscp(46), SERVER], TCP, truth(same, "none", broken=46)),
    Scenario("dscpclass-dropped-plain", [path.drop_dscp(26)], TCP, truth(nothing, broken=26)),
    Scenario("dscpclass-reply-marked", [path.set_dscp(34, back=True), SERVER], TCP, truth(lambda one: 34)),
    Scenario("dscpclass-syn-lost", [path.first_syn_lost(), SERVER], TCP, truth(same, "none")),
    Scenario("dscpclass-offline", [path.silent_drop()], TCP, all_of("offline")),
    Scenario("dscpclass-transient", [path.first_connection_fails(), SERVER], TCP,
             all_of("transient") | (truth(same, "none") - all_of("works"))),
]
