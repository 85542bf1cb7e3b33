"""The TCP maximum segment size. Both ends have an MTU of 1500. RFC 9293, 3.7.1."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

LOCAL = {4: 1460, 6: 1440}


def modes(connect: str) -> list[str]:
    """The plugin in one connection mode."""
    return ["mss", "--connect", connect]


def online(verdict: str, remote: int | None = None) -> dict[int, set[str]]:
    """The conditions of a connection that came up; ``remote`` where it is not what we send ourselves."""
    truth = {}
    for version, local in LOCAL.items():
        truth[version] = {"mss.connectivity.online", f"mss.option.local.value:{local}",
                          f"mss.option.received.{verdict}"}
        if verdict not in ("absent", "malformed"):
            truth[version].add(f"mss.option.remote.value:{local if remote is None else remote}")
    return truth


OFFLINE = {"mss.connectivity.offline"}

SCENARIOS = [
    Scenario("mss-clean-tcp", [], modes("tcp"), online("unchanged")),
    Scenario("mss-clean-http", [], modes("http"), online("unchanged")),
    Scenario("mss-clean-https", [], modes("https"), online("unchanged")),
    # knot asks for 1220 on all its connections
    Scenario("mss-clean-dnstcp", [], modes("dnstcp"), online("unchanged"), needs="full-mss"),
    Scenario("mss-clamped-tcp", [path.clamp_mss(536)], modes("tcp"), online("deflated", 536)),
    Scenario("mss-clamped-http", [path.clamp_mss(1220)], modes("http"), online("deflated", 1220)),
    Scenario("mss-clamped-https", [path.clamp_mss(1220)], modes("https"), online("deflated", 1220)),
    Scenario("mss-clamped-dnstcp", [path.clamp_mss(1220)], modes("dnstcp"), online("deflated", 1220)),
    # what the server gets is not seen here
    Scenario("mss-clamped-out", [path.clamp_mss(536, back=False)], modes("http"), online("unchanged")),
    Scenario("mss-raised-tcp", [path.raise_mss()], modes("tcp"), online("inflated", 4000)),
    Scenario("mss-raised-http", [path.raise_mss()], modes("http"), online("inflated", 4000)),
    Scenario("mss-stripped-tcp", [path.strip_mss()], modes("tcp"), online("absent")),
    Scenario("mss-stripped-http", [path.strip_mss()], modes("http"), online("absent")),
    Scenario("mss-offline", [path.silent_drop()], modes("tcp"), OFFLINE),
    Scenario("mss-offline-closed", [], modes("tcp"), OFFLINE, port=9),
    Scenario("mss-offline-prohibited", [path.icmp_unreachable("admin-prohibited")], modes("http"), OFFLINE),
    Scenario("mss-lossy", [path.first_syn_lost()], modes("tcp"), online("unchanged")),
    Scenario("mss-interim-only", [], modes("http"), {
        version: truth - {"mss.connectivity.online"} | OFFLINE for version, truth in online("unchanged").items()
    }, server="interim-only", needs="odd-web"),
    Scenario("mss-syn-authenticated-tcp", [path.authenticate_syns(each=True)], modes("tcp"), online("unchanged")),
    Scenario("mss-syn-authenticated-http", [path.authenticate_syns(each=True)], modes("http"), online("unchanged")),
    # kernels take the last of several options that says a size
    Scenario("mss-repeated-tcp", [path.repeat_mss()], modes("tcp"), online("deflated", 536)),
    Scenario("mss-repeated-http", [path.repeat_mss()], modes("http"), online("deflated", 536)),
    Scenario("mss-empty", [path.empty_mss()], modes("tcp"), online("deflated", 0)),
    Scenario("mss-spoilt", [path.spoil_mss()], modes("tcp"), online("malformed")),
]
