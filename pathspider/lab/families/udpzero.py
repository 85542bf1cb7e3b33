"""UDP without a checksum, which IPv6 forbids. RFC 768, RFC 8200."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

DNSUDP = ["udpzero", "--connect", "dnsudp"]

SCENARIOS = [
    Scenario("udpzero-clean", [], DNSUDP, {"udpzero.connectivity.works"}, versions=(4,)),
    Scenario("udpzero-ipv6", [], DNSUDP, {"pathspider.skipped:ipv6_requires_udp_checksum"}, versions=(6,)),
    Scenario("udpzero-dropped", [path.drop_zero_checksum()], DNSUDP, {"udpzero.connectivity.broken"}, versions=(4,)),
    Scenario("udpzero-prohibited", [path.icmp_for_zero_checksum()], DNSUDP, {"udpzero.connectivity.broken"},
             versions=(4,)),
    Scenario("udpzero-offline", [path.silent_drop()], DNSUDP, {"udpzero.connectivity.offline"}, versions=(4,)),
    Scenario("udpzero-transient", [path.first_flow_fails()], DNSUDP, {"udpzero.connectivity.transient"}, versions=(4,)),
    Scenario("udpzero-lossy", [path.first_datagram_lost()], DNSUDP, {"udpzero.connectivity.works"}, versions=(4,)),
    Scenario("udpzero-formerr", [path.formerr_for_zero_checksum()], DNSUDP,
             {"udpzero.response.differs:noerror:formerr"}, versions=(4,)),
    Scenario("udpzero-strays", [], DNSUDP, {"udpzero.connectivity.works"}, server="dns-strays", versions=(4,),
             needs="odd-dns"),
]
