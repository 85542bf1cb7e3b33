"""Options for UDP, behind the user data. RFC 9868."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

DNSUDP = ["udpopts", "--connect", "dnsudp"]

SCENARIOS = [
    Scenario("udpopts-clean", [], DNSUDP, {"udpopts.connectivity.works"}),
    Scenario("udpopts-dropped", [path.drop_udp_options()], DNSUDP, {"udpopts.connectivity.broken"}),
    Scenario("udpopts-stripped", [path.strip_udp_options()], DNSUDP, {"udpopts.connectivity.works"}),
    Scenario("udpopts-offline", [path.silent_drop()], DNSUDP, {"udpopts.connectivity.offline"}),
    Scenario("udpopts-transient", [path.first_flow_fails()], DNSUDP, {"udpopts.connectivity.transient"}),
    Scenario("udpopts-lossy", [path.first_datagram_lost()], DNSUDP, {"udpopts.connectivity.works"}),
    Scenario("udpopts-formerr", [path.formerr_for_udp_options()], DNSUDP,
             {"udpopts.response.differs:noerror:formerr"}),
    Scenario("udpopts-strays", [], DNSUDP, {"udpopts.connectivity.works"}, server="dns-strays", needs="odd-dns"),
]
