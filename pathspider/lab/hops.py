"""Paths of eight hops: what is where on them, and what their routers say of packets whose TTL runs out there.

::

    client ── 1 ── 2 ── 3 ─┬─ 4 ─┬─ 5 ── 6 ── 7 ── 8 ──┬── servers
                           └─ 4b ┘                      └── servers, no ECN

Hop 4 is the router of the lab without hops; behind it is a proxy, too. Each hop is a namespace, and its kernel does
what kernels do: it looks at the TTL before its rules look at what is forwarded, and quotes what came. Hops that quote
less or more are played by :mod:`pathspider.lab.responder`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pathspider.lab.addresses import BRANCH_LINKS, CLIENT_LINK, HOP_LINKS
from pathspider.lab.errors import LabError

if TYPE_CHECKING:
    from pathspider.lab.scenario import Case

HOPS = 8
"""Routers on the path; the target is one hop further."""
ROUTER = 4
"""The hop that does what scenarios without a word on hops say."""
SPLIT = 3
"""The hop that has two branches to choose from, by addresses and ports of the flow."""
BRANCH = HOPS + 1
"""The number of hop 4b among the rooms."""
NAT = 2
"""The hop that gives packets its own source address, where one does."""

TABLE = "pathspider_hops"
BRANCH_MARK, PROXY_MARK = 101, 102
"""Marks of packets that go there, and numbers of the tables that lead them."""
TTL = {4: "ip ttl", 6: "ip6 hoplimit"}
HIDDEN_TTLS = range(1, 65)
"""TTLs that a hidden hop leaves as they are."""


@dataclass(frozen=True)
class Quote:
    """How a hop quotes, where it is not as Linux does."""

    octets: int | None = None
    """Octets behind the IP header; all that came, if None."""
    padded: bool = False
    """The quotation is padded to 128 octets, and the message says so. :rfc:`4884`"""
    labels: Sequence[int] = ()
    """MPLS labels, in an extension behind it. :rfc:`4950`"""


@dataclass(frozen=True)
class Route:
    """Where on a path of eight hops something happens, and how its hops answer."""

    at: int = ROUTER
    """The hop that does what the scenario's path says; 9 (``BRANCH``) for hop 4b."""
    before: bool = False
    """It does so before it looks at the TTL: it quotes what it changed, and does not quote what it drops."""
    silent: Sequence[int] = ()
    """Hops that do not say that a TTL ran out; hop 4b may be among them."""
    limited: Sequence[int] = ()
    """Hops that say so once a second."""
    hidden: Sequence[int] = ()
    """Hops that leave the TTL as it is, as in MPLS without TTL propagation. They count in ``at``, not in the truth."""
    quotes: Mapping[int, Quote] = field(default_factory=dict)
    """Hops that quote otherwise than Linux."""
    nat: bool = False
    """Hop 2 translates the client's address."""
    branches: bool = False
    """There are two branches, one over hop 4, one over hop 4b."""
    proxy: bool = False
    """Behind hop 4 a proxy, which knows no ECN, answers TCP in the name of the target."""

    def about(self, happens: bool) -> str:
        """The hops, for a user, in a few words.

        :param happens: whether anything does, on the way
        """
        parts = []
        if happens:
            hop = "4b" if self.at == BRANCH else self.at
            parts.append(f"at hop {hop}" + " before the TTL is looked at" * self.before)
        silent = ["4b" if hop == BRANCH else hop for hop in self.silent]
        for hops, what in ((silent, "silent"), (self.limited, "once a second"), (self.hidden, "hidden")):
            if hops:
                parts.append(f"hop{'s' * (len(hops) > 1)} {', '.join(map(str, hops))} {what}")
        for hop, quote in self.quotes.items():
            what = "quotes all" if quote.octets is None else f"quotes {quote.octets} octets"
            parts.append(f"hop {hop} {what}" + ", padded" * quote.padded + ", with MPLS labels" * bool(quote.labels))
        parts += ["NAT at hop 2"] * self.nat + ["two branches at hop 4"] * self.branches
        parts += ["proxy behind hop 4"] * self.proxy
        return "; ".join(parts)


WORDS = ("changed", "dropped", "first", "target", "reverse_or_target", "not_located")


@dataclass(frozen=True)
class Place:
    """What a search must find, as the end of its condition: ``changed:3-4``, ``first``, ``not_located:proxy``."""

    word: str
    """The truth, and of intervals the smallest that can be found: between neighbouring hops that answer."""
    instead: Sequence[str] = ()
    """What chance, or care, may find in place of it."""

    def __post_init__(self) -> None:
        for word in (self.word, *self.instead):
            name, _, value = word.partition(":")
            if name not in WORDS or (name in ("changed", "dropped") and _interval(word) is None) or (
                    bool(value) != (name in ("changed", "dropped", "not_located"))):
                raise LabError(f"a place is {word!r}; it is changed:3-4, dropped:3-4, first, target, "
                               "reverse_or_target, or not_located: and a reason")

    def holds(self, word: str) -> bool:
        """Whether what was found is true, if perhaps wider than need be."""
        if word in (self.word, *self.instead):
            return True
        name, _, _ = word.partition(":")
        found, truth = _interval(word), _interval(self.word)
        return (found is not None and truth is not None and name == self.word.partition(":")[0]
                and found[0] <= truth[0] and truth[1] <= found[1])


def _interval(word: str) -> tuple[int, int] | None:
    """The hops of an interval, None of other words."""
    if word == "first":
        return 0, 1
    low, dash, high = word.partition(":")[2].partition("-")
    return (int(low), int(high)) if dash and low.isdecimal() and high.isdecimal() and int(low) < int(high) else None


PLACE = ".hop."
"""What stands before the word in a condition."""


def hop_address(hop: int, version: int) -> str:
    """The address of a hop towards the client: what its errors come from."""
    ends = CLIENT_LINK.near if hop == 1 else (BRANCH_LINKS[0] if hop == BRANCH else HOP_LINKS[hop - 2]).far
    return str(ip_address(ends[version == 6]))


def quirks(hop: int, cases: Iterable[Case]) -> str:
    """What a hop does before it looks at the TTL, as ``nft -f`` reads it; nothing where it does nothing."""
    with_routes = [(case, case.scenario.route) for case in cases if case.scenario.route is not None]
    rules = [rule for case, route in with_routes for rule in _arriving(hop, case, route)]
    nat = [f"{_towards(case)} masquerade" for case, route in with_routes if route.nat and hop == NAT]
    chains = []
    if any(hop in route.hidden for _, route in with_routes):
        for version, ttl in TTL.items():
            passed = [f"{ttl} {one} {ttl} set {one + 1} return" for one in HIDDEN_TTLS]
            chains += [f"chain hidden_{version} {{", *passed, "}"]
    if rules:
        chains += ["chain arriving {", "type filter hook prerouting priority mangle;", *rules, "}"]
    if nat:
        chains += ["chain nat {", "type nat hook postrouting priority srcnat;", *nat, "}"]
    return "\n".join([f"table inet {TABLE} {{", *chains, "}", ""]) if chains else ""


def _arriving(hop: int, case: Case, route: Route) -> Iterator[str]:
    """The rules for packets of one case that arrive at a hop."""
    towards, ttl = _towards(case), TTL[case.version]
    if hop in route.silent or hop in route.quotes:
        yield f"{towards} {ttl} 1 drop"
    if hop in route.limited:
        yield f"{towards} {ttl} 1 limit rate over 1/second burst 1 packets drop"
    if hop in route.hidden:
        yield f"{towards} jump hidden_{case.version}"
        yield f"{towards.replace('daddr', 'saddr')} jump hidden_{case.version}"
    if route.before and hop == route.at:
        for impairment in case.scenario.path:
            yield from (f"{towards} {rule}" for rule in impairment.rules(case.version)[0])
    if route.branches and hop == SPLIT:
        # not a route with two next hops: between namespaces, kernels go by a hash that the sender's socket changes
        ip = towards.split()[0]
        yield f"{towards} jhash {ip} saddr . {ip} daddr . th sport . th dport mod 2 == 1 meta mark set {BRANCH_MARK}"
    if route.proxy and hop == ROUTER:
        yield f"{towards} meta l4proto tcp meta mark set {PROXY_MARK}"


def _towards(case: Case) -> str:
    """What matches packets to the target of a case."""
    return f"{'ip' if case.version == 4 else 'ip6'} daddr {case.address}"


def problems(route: object, place: object, mangles: Sequence[bool]) -> Iterator[str]:
    """What is wrong with route and place that a user's file gives.

    :param mangles: of each impairment of the path, whether it is one that nft cannot do
    """
    if not isinstance(place, Place | None):
        yield f"the place is {place!r}; it is a Place(...)"
    if route is None and place is not None:
        yield "there is a place without a route; give it one, Route()"
    if not isinstance(route, Route):
        if route is not None:
            yield f"the route is {route!r}; it is a Route(...)"
        return
    everywhere = (*route.limited, *route.hidden, *route.quotes)
    if not {route.at, *route.silent} <= set(range(1, BRANCH + 1)) or not set(everywhere) <= set(range(1, HOPS + 1)):
        yield f"there are hops 1 to {HOPS}, and {BRANCH} for hop 4b"
    if (route.at == BRANCH) != route.branches and mangles:
        yield f"what happens on one of two branches happens at={BRANCH}, branches=True"
    if route.before and any(mangles):
        yield "only what nft does can happen before the TTL is looked at"


def quoting(cases: Iterable[Case]) -> dict[int, dict[str, Quote]]:
    """Hop -> address -> how it quotes, of the cases where a hop does not quote as Linux does."""
    found: dict[int, dict[str, Quote]] = {}
    for case in cases:
        if case.scenario.route is not None:
            for hop, quote in case.scenario.route.quotes.items():
                found.setdefault(hop, {})[case.address] = quote
    return found


def hop_of(case: Case) -> int:
    """The hop that does what the path of a case says, in its forward hook; 0 where that is done elsewhere."""
    route = case.scenario.route
    return ROUTER if route is None else 0 if route.before else route.at
