"""Who has which address in the lab. Plain values; nothing here touches the machine.

====================  =====================  ==========================================================
what                  IPv4                   IPv6
====================  =====================  ==========================================================
client, ``lab0``      10.0.0.2               fd00:10::2
case C of family F    10.20.F.C              fd00:20::F:C (hexadecimal digits read as decimal, to match)
clean target N        10.64.0.1 and upwards  fd00:21::1 and upwards
====================  =====================  ==========================================================

Each path has a name, ``<scenario>.lab.test``, and clean targets have ``clean-1.lab.test`` and so on; the lab's DNS
servers know them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

CLIENT_INTERFACE = "lab0"

CASES_4, CASES_6 = "10.20.0.0/16", "fd00:20::/32"
CLEAN_4, CLEAN_6 = "10.64.0.0/10", "fd00:21::/32"

CLEAN_TARGETS = 64 * 256 * 254
"""How many clean targets there are of each IP version (4,161,536)."""


DOMAIN = "lab.test"
"""Of all names of the lab."""

RESOLVERS = ("10.64.0.1", "fd00:21::1")
"""Who is asked for names in the lab, as anybody there could be."""

ECHO_PORT = 7
"""Where, over TCP and UDP, servers answer with what they saw."""


@dataclass(frozen=True)
class Link:
    """One veth pair between the router and another namespace."""

    name: str
    """The interface's name in the other namespace."""
    number: int
    """Tells the link's networks and hardware addresses from those of the others."""

    @property
    def far(self) -> tuple[str, str]:
        """IPv4 and IPv6 address of the other namespace."""
        return f"10.0.{self.number}.2", f"fd00:10:0:{self.number}::2"

    @property
    def near(self) -> tuple[str, str]:
        """IPv4 and IPv6 address of the router on this link."""
        return f"10.0.{self.number}.1", f"fd00:10:0:{self.number}::1"

    def hardware(self, end: int) -> str:
        """Ethernet address of the router's end (1) or the other end (2): locally administered."""
        return f"02:00:0a:00:{self.number:02x}:{end:02x}"


CLIENT_LINK = Link(CLIENT_INTERFACE, 0)
SERVER_LINK = Link("server", 1)
NO_ECN_LINK = Link("no-ecn", 2)
PROXY_LINK = Link("proxy", 3)
HOP_LINKS = tuple(Link(f"to-hop{hop}", 10 + hop) for hop in range(1, 8))
"""From each of the eight hops to the next, in labs that have them; the name is that of the next one's interface."""
BRANCH_LINKS = (Link("to-hop3", 20), Link("to-branch", 21))
"""From hop 3 to 4b, from there to hop 5."""


def case_address(family: int, case: int, version: int) -> str:
    """The address of one case: ``10.20.<family>.<case>`` or ``fd00:20::<family>:<case>``."""
    if not (0 < family < 255 and 0 < case < 255):
        raise ValueError(f"family {family}, case {case}: both must be from 1 to 254")
    return f"10.20.{family}.{case}" if version == 4 else f"fd00:20::{family}:{case}"


def name_of(scenario: str) -> str:
    """The name of a scenario's path."""
    return f"{scenario}.{DOMAIN}"


def clean_name(number: int) -> str:
    """The name of clean target ``number``, from 0: ``clean-1.lab.test`` is the first."""
    return name_of(f"clean-{number + 1}")


def clean_address(number: int, version: int) -> str:
    """The address of clean target ``number``, from 0. IPv4 addresses that end in .0 or .255 are left out."""
    if not 0 <= number < CLEAN_TARGETS:
        raise ValueError(f"there are {CLEAN_TARGETS} clean targets of each IP version, no number {number}")
    if version == 4:
        block, host = divmod(number, 254)
        return str(IPv4Address("10.64.0.1") + block * 256 + host)
    return str(IPv6Address("fd00:21::1") + number)
