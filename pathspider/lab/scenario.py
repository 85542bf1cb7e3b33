"""The shape of a scenario: a path, how to measure it, and the truth about it."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from pathspider.conditions import STABLE
from pathspider.helpers.modes import MODES
from pathspider.lab.addresses import case_address, name_of
from pathspider.lab.errors import LabError
from pathspider.lab.hops import Place, Route, problems
from pathspider.lab.impairments import Impairment
from pathspider.lab.plugins import find_plugin
from pathspider.records import Job
from pathspider.run.confirm import suspicious


@dataclass(frozen=True, eq=False)
class Scenario:
    """One path with a known truth. A row of data: rules, targets, lists and checks all come from it."""

    name: str
    """A name that no other scenario has, whatever its case; it is in the jobs and so in the records. Together with
    ``.lab.test`` it is the path's name in the lab's DNS."""
    path: Sequence[Impairment]
    """What the router does to its packets; nothing for a clean path."""
    measure: Sequence[str]
    """Plugin and arguments that show it, as ``pspdr measure`` takes them."""
    expect: Set[str] | Mapping[int, Set[str]]
    """Exactly the conditions that the measurement must give; where they differ, for IP version 4 and 6 each. They speak
    of the first connections, as without ``--confirm``."""
    server: str = ""
    """How the server differs from one that does it all: a name of :data:`SERVERS`."""
    port: int | None = None
    """The port that is connected to, where it is not that of the connection mode."""
    versions: tuple[int, ...] = (4, 6)
    """The IP versions over which there is such a path."""
    needs: str = ""
    """What not all servers have: ``h2c``; ``h3``, which needs aioquic; ``odd-dns`` and ``odd-web``, those of
    :data:`SERVERS` that answer otherwise; ``full-mss`` over DNS."""
    instead: Sequence[Set[str]] = ()
    """Where chance decides, or how our own machine is: what may be found in place of ``expect``."""
    stable: Sequence[str] = ()
    """The words, one of which the rounds of ``--confirm`` must come to, where the first connections make a suspect:
    ``("unstable",)``. Unless given, what is ``broken`` stays so, and what was ``transient`` works."""
    lossy: bool = False
    """Whether rounds also find that the feature is lost now and then."""
    route: Route | None = None
    """What is where on a path of eight hops; None for a scenario that needs no hops."""
    place: Place | None = None
    """Where on it the search for the place must find what happens to the feature; None if it has nothing to find."""
    where: str = field(init=False, repr=False)
    """File and line that it comes from, for messages."""

    def __post_init__(self) -> None:
        caller = sys._getframe(2)  # behind the __init__ that dataclass wrote
        while caller.f_code.co_filename == dataclasses.__file__ and caller.f_back is not None:
            caller = caller.f_back  # it was made of another one
        object.__setattr__(self, "where", f"{caller.f_code.co_filename}, line {caller.f_lineno}")
        if problem := next(_problems(self), None):
            raise LabError(f"scenario {self.name!r}: {problem}")

    def truth(self, version: int) -> Set[str]:
        """The conditions over one IP version."""
        return self.expect[version] if isinstance(self.expect, Mapping) else self.expect

    def truths(self, version: int, *, confirmed: bool = False) -> list[Set[str]]:
        """Whatever conditions a measurement may give over one IP version; ``confirmed``: with rounds, two or more."""
        found = [self.truth(version), *self.instead]
        return [whole for one in found for whole in (self._confirmed(one) if confirmed else [one])]

    def _confirmed(self, first: Set[str]) -> list[Set[str]]:
        """Conditions of first connections, together with what rounds may come to."""
        further: Sequence[str] = ()
        with suppress(LabError):  # the plugin is not there: that is said where it is to be measured
            further = find_plugin(self.plugin).suspects
        suspicions = [suspicion.rsplit(".", 2) for suspicion in suspicious(first, further)]
        if not suspicions:
            return [first]
        words = self.stable or ("broken" if suspicions[0][2] == "broken" else "works",)
        lossy = {f"{name}.lossy" for name, _, _ in suspicions if self.lossy}
        return [first | lossy | {f"{name}.stable.{what}.{word}" for name, what, _ in suspicions} for word in words]

    @property
    def plugin(self) -> str:
        """The plugin that shows it."""
        return self.measure[0]

    @property
    def connect(self) -> str:
        """The connection mode."""
        return connect_mode(self.measure)

    @property
    def about(self) -> str:
        """What is special about the path, for a user."""
        parts = [impairment.about for impairment in self.path]
        if self.server:
            parts.append(SERVERS[self.server])
        if self.port is not None:
            parts.append(f"port {self.port} is closed")
        if self.route is not None and (hops := self.route.about(bool(self.path))):
            parts.append(hops)
        return "; ".join(parts) or "clean"

    @property
    def clean(self) -> bool:
        """True for a path that does nothing, to a server that does everything."""
        return not self.path and not self.server and self.port is None and self.route is None


SERVERS = {
    "no-ecn": "server without ECN",
    "no-tfo": "server without Fast Open",
    "http1": "server with HTTP/1.1 only",
    "mptcp": "server with Multipath TCP",
    "servfail": "DNS server answers SERVFAIL",
    "dns-silent": "DNS server does not answer",
    "dns-tcp-only": "DNS server wants TCP",
    "dns-strays": "DNS server answers other queries first",
    "interim-only": "web server sends interim responses only",
    "interim-first": "web server sends interim responses first",
    "forbids": "server refuses those who ask for the feature",
    "http11-reset": "web server answers HTTP/2 with RST_STREAM, HTTP_1_1_REQUIRED",
    "http11-goaway": "web server answers HTTP/2 with GOAWAY, HTTP_1_1_REQUIRED",
    "h3-no-counts": "HTTP/3 server says nothing of ECN",
    "h3-undercount": "HTTP/3 server tells of half of the ECN marks",
    "h3-swapped": "HTTP/3 server tells of ECT(0) as ECT(1)",
    "h3-all-ce": "HTTP/3 server tells of all marks as CE",
    "h3-no-spin": "HTTP/3 server leaves the spin bit unset",
    "h3-spins-one": "HTTP/3 server always sets the spin bit",
    "h3-random-spin": "HTTP/3 server throws a coin for the spin bit",
    "h3-version-2": "HTTP/3 server speaks QUIC version 2 alone",
    "h3-draft": "HTTP/3 server speaks a draft of QUIC alone",
    "h3-other-protocol": "QUIC server that does not know HTTP/3",
    "h3-mute": "HTTP/3 server does not answer requests",
    "h3-forbids": "HTTP/3 server refuses requests",
    "h3-malformed": "HTTP/3 server answers with what is no response",
}
"""How servers may differ, by the name that a scenario gives."""

PLAIN_ROOM = ("no-ecn", "no-tfo")
"""Servers in the room whose kernel knows neither ECN nor TCP Fast Open."""


def _problems(scenario: Scenario) -> Iterator[str]:
    """What is wrong with a scenario, and what to write instead. Its values come from a user's file: nothing is sure."""
    name, path, measure = (cast(object, value) for value in (scenario.name, scenario.path, scenario.measure))
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z0-9_-]{1,63}", name):
        yield "a name is made of up to 63 letters, digits, - and _"
    if not isinstance(path, list | tuple) or not all(isinstance(one, Impairment) for one in path):
        yield f"the path is {path!r}; it is a list of impairments, [] for a clean path"
    if not isinstance(measure, list | tuple) or not measure or not all(isinstance(word, str) for word in measure):
        yield f"how to measure it is {measure!r}; it is a list of the plugin's name and its arguments, " \
              '["ecn", "--connect", "tcp"]'
    if scenario.measure[0].startswith("-"):
        yield f"how to measure it begins with {scenario.measure[0]!r}; it begins with the plugin's name"
    for mode, _ in _mode_and_others(scenario.measure[1:]):
        if mode is not None and mode not in MODES:
            yield f"--connect {mode}: no connection mode is called so; there are {', '.join(MODES)}"
    versions = cast(object, scenario.versions)
    if not isinstance(versions, list | tuple) or not versions or not set(versions) <= {4, 6}:
        yield f"the versions are {versions!r}; they are (4,), (6,) or (4, 6)"
    if isinstance(scenario.expect, Mapping) and not set(scenario.versions) <= set(scenario.expect):
        yield f"conditions are expected for IP versions {[*scenario.expect]}; its versions are {[*scenario.versions]}"
    for version in scenario.versions:
        truth = cast(object, scenario.truth(version))
        if not isinstance(truth, Set) or not all(isinstance(one, str) for one in truth):
            yield f"the conditions that are expected are {truth!r}; they are a set, {{\"ecn.connectivity.works\", ...}}"
    yield from _problems_of_chance(scenario.instead, scenario.stable)
    yield from problems(scenario.route, scenario.place, [bool(one.mangle) for one in scenario.path])
    if scenario.server not in ("", *SERVERS):
        yield f"no server is called {scenario.server!r}; there are {', '.join(SERVERS)}"
    port = cast(object, scenario.port)
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        yield f"the port is {port!r}; it is a number from 1 to 65535"


def _problems_of_chance(instead: object, stable: object) -> Iterator[str]:
    """The same of what may be found in place of what is expected, and of what is stable."""
    if not isinstance(instead, list | tuple) or not all(isinstance(one, Set) for one in instead):
        yield f"what may be found instead is {instead!r}; it is a list of sets of conditions"
    if not isinstance(stable, list | tuple) or not set(stable) <= set(STABLE):
        yield f"what is stable is {stable!r}; it is a list of words: {', '.join(STABLE)}"


LARGEST_FAMILY = 254
"""Scenarios that a number of a family has addresses for."""

FURTHER = 100
"""From the number of a family to that of what is more: the lab's own families are below it."""


@dataclass(frozen=True)
class Family:
    """The scenarios of one plugin; its number is a part of their addresses."""

    number: int
    scenarios: Sequence[Scenario]


@dataclass(frozen=True)
class Case:
    """A scenario at one of its addresses."""

    scenario: Scenario
    family: int
    number: int
    version: int
    address: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", case_address(self.family, self.number, self.version))

    @property
    def truth(self) -> Set[str]:
        """The conditions that the measurement must give here."""
        return self.scenario.truth(self.version)

    def truths(self, *, confirmed: bool = False) -> list[Set[str]]:
        """Whatever conditions the measurement may give here; ``confirmed``: with rounds, two or more."""
        return self.scenario.truths(self.version, confirmed=confirmed)

    @property
    def job(self) -> Job:
        """The target, as ``pspdr measure`` reads it."""
        name = self.scenario.name
        port = self.scenario.port or MODES[self.scenario.connect].port
        return {"dip": self.address, "dp": port, "domain": name_of(name), "scenario": name}


def connect_mode(measure: Sequence[str]) -> str:
    """The connection mode that plugin and arguments ask for; ``tcp`` for a plugin that knows no modes.

    Raises LabError where only a plugin that is not there could say.
    """
    plugin, *arguments = measure
    modes = [value for value, _ in _mode_and_others(arguments) if value is not None]
    if modes:
        return modes[-1]
    return next(iter(find_plugin(plugin).connect_supported), "tcp")


def without_mode(measure: Sequence[str]) -> list[str]:
    """The plugin and its arguments except for the connection mode."""
    return [measure[0], *(word for _, word in _mode_and_others(measure[1:]) if word is not None)]


def _mode_and_others(arguments: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """A connection mode, or another word, for each of the arguments."""
    words = iter(arguments)
    for word in words:
        if word == "--connect":
            yield next(words, ""), None
        elif word.startswith("--connect="):
            yield word.partition("=")[2], None
        else:
            yield None, word


def cases_of(family: Family) -> Iterator[Case]:
    """The scenarios of a family at their addresses, in order; the first has case number 1, and so has the first of
    those that the family's own number has no addresses for."""
    for place, scenario in enumerate(family.scenarios):
        further, number = divmod(place, LARGEST_FAMILY)
        for version in scenario.versions:
            yield Case(scenario, family.number + FURTHER * further, number + 1, version)
