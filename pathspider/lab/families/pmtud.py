"""Path MTU discovery: links of several sizes, with routers that say so, do not, or say what cannot be. RFC 1191"""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.links import outage, small_link
from pathspider.lab.scenario import Scenario

HTTP, DNS = ["pmtud", "--connect", "http"], ["pmtud", "--connect", "dnsudp"]


def truth(word: str, **sizes: int) -> set[str]:
    """Connectivity, and what is known of sizes."""
    return {f"pmtud.connectivity.{word}", *(f"pmtud.{name}:{octets}" for name, octets in sizes.items())}


FINE = truth("works", mtu=1500)


def both(name: str, impairments: list[path.Impairment], expect: set[str], versions: tuple[int, ...] = (4, 6)
         ) -> list[Scenario]:
    """A path over TCP and over UDP."""
    return [Scenario(f"pmtud-{name}-{mode}", impairments, measure, expect, versions=versions)
            for mode, measure in (("http", HTTP), ("dnsudp", DNS))]


SCENARIOS = [
    *both("clean", [], FINE),
    *both("told-1492", [small_link(1492, 1492)], truth("works", mtu=1492, told=1492)),
    *both("told-1337", [small_link(1337, 1337)], truth("works", mtu=1337, told=1337)),
    *both("told-twice", [small_link(1450, 1450), small_link(1400, 1400)], truth("works", mtu=1400, told=1400)),
    *both("silent-1492", [small_link(1492)], truth("broken", mtu=1492, blackhole=1500)),
    *both("silent-1400", [small_link(1400)], truth("broken", mtu=1400, blackhole=1420)),
    *both("silent-1280", [small_link(1280)], truth("broken", mtu=1280, blackhole=1300)),
    *both("told-then-silent", [small_link(1480, 1480), small_link(1380)],
          truth("broken", mtu=1380, told=1480, blackhole=1400)),
    *both("told-too-little", [small_link(1492, 20)], truth("broken", mtu=1492, blackhole=1500, told_invalid=20), (6,)),
    *both("told-too-little-4", [small_link(1492, 20)], truth("works", mtu=1492, told_invalid=20), (4,)),
    *both("told-no-size", [small_link(1492, 0)], truth("works", mtu=1492, told=0), (4,)),
    *both("told-no-size-6", [small_link(1492, 0)], truth("broken", mtu=1492, blackhole=1500, told_invalid=0), (6,)),
    *both("told-too-much", [small_link(1492, 1500)], truth("broken", mtu=1492, blackhole=1500, told_invalid=1500)),
    Scenario("pmtud-silent-576-http", [small_link(576)], HTTP, truth("broken", mtu=576, blackhole=1006), versions=(4,)),
    *both("outage", [outage(1400)], FINE),

    Scenario("pmtud-reset-http", [path.reset_large_segments(1400)], HTTP, {"pmtud.unclear:1500"}),

    *both("offline", [path.silent_drop()], truth("offline")),
    Scenario("pmtud-transient-http", [path.first_connection_fails()], HTTP, truth("transient", mtu=1500)),
    Scenario("pmtud-transient-dnsudp", [path.first_flow_fails()], DNS, truth("transient", mtu=1500)),
    Scenario("pmtud-syn-lost-http", [path.first_syn_lost()], HTTP, FINE),
    Scenario("pmtud-datagram-lost-dnsudp", [path.first_datagram_lost()], DNS, FINE),
    *both("lossy", [path.every_nth_lost(3)], FINE),
    Scenario("pmtud-syn-authenticated-http", [path.authenticate_syns(each=True)], HTTP, FINE),
]
