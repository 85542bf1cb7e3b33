"""IPv6 extension headers: routers that drop them, by kind and by size. RFC 7872"""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

TCP = ["ipv6eh", "--connect", "tcp"]
ROUTING = [*TCP, "--headers", "routing"]
ROWS = ("hopbyhop.8", "hopbyhop.64", "hopbyhop.512", "destination.8", "destination.64", "destination.512", "fragment.8")


def truth(word: str, broken: tuple[str, ...] = ()) -> set[str]:
    """Connectivity of all rows; those that begin with one of ``broken`` are that."""
    return {f"ipv6eh.{row}.connectivity.{'broken' if row.startswith(broken) else word}" for row in ROWS}


def routing(word: str) -> set[str]:
    """The same of the routing header, which is measured by itself."""
    return {f"ipv6eh.routing.24.connectivity.{word}"}


SIX = (6,)

SCENARIOS = [
    Scenario("ipv6eh-clean", [], TCP, truth("works"), versions=SIX),
    Scenario("ipv6eh-ipv4", [], TCP, {"pathspider.skipped:ipv4_has_no_extension_headers"}, versions=(4,)),
    Scenario("ipv6eh-hopbyhop-dropped", [path.drop_extension("hbh")], TCP, truth("works", ("hopbyhop",)), versions=SIX),
    Scenario("ipv6eh-destination-dropped", [path.drop_extension("dst")], TCP, truth("works", ("destination",)),
             versions=SIX),
    Scenario("ipv6eh-fragment-dropped", [path.drop_extension("frag")], TCP, truth("works", ("fragment",)),
             versions=SIX),
    Scenario("ipv6eh-large-dropped", [path.drop_extension("hbh", 512), path.drop_extension("dst", 512)], TCP,
             truth("works", ("hopbyhop.512", "destination.512")), versions=SIX),
    Scenario("ipv6eh-middle-dropped", [path.drop_extension("dst", 64)], TCP, truth("works", ("destination.64",)),
             versions=SIX),
    Scenario("ipv6eh-all-prohibited", [path.icmp_for_extensions()], TCP, truth("works", ROWS), versions=SIX),
    Scenario("ipv6eh-syn-lost", [path.first_syn_lost()], TCP, truth("works"), versions=SIX),
    Scenario("ipv6eh-offline", [path.silent_drop()], TCP, truth("offline"), versions=SIX),
    Scenario("ipv6eh-offline-closed", [], TCP, truth("offline"), versions=SIX, port=9),
    Scenario("ipv6eh-transient", [path.first_connection_fails()], TCP, truth("transient"), versions=SIX),

    Scenario("ipv6eh-routing-clean", [], ROUTING, routing("works"), versions=SIX),
    Scenario("ipv6eh-routing-dropped", [path.drop_extension("rt")], ROUTING, routing("broken"), versions=SIX),
    Scenario("ipv6eh-routing-offline", [path.silent_drop()], ROUTING, routing("offline"), versions=SIX),
    Scenario("ipv6eh-routing-transient", [path.first_connection_fails()], ROUTING, routing("transient"), versions=SIX),
]
