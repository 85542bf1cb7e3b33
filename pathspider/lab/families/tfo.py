"""TCP Fast Open: cookies, and data on the SYN. RFC 7413."""

from __future__ import annotations

from pathspider.conditions import NOT_OBSERVED
from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

HTTP = ["tfo", "--connect", "http"]
DNSTCP = ["tfo", "--connect", "dnstcp"]


def truth(connectivity: str, cookie: str | None = None, data: str | None = None) -> set[str]:
    """The conditions; no word on the cookie where nobody was there to give one, none on data where none were sent."""
    return ({f"tfo.connectivity.{connectivity}"} | ({f"tfo.cookie.{cookie}"} if cookie else set())
            | ({f"tfo.syndata.{data}"} if data else set()))


FINE = truth("works", "received", "acked")
WITHOUT = truth("works", "not_received")

SCENARIOS = [
    scenario
    for mode, measure in (("http", HTTP), ("dnstcp", DNSTCP))
    for scenario in (
        Scenario(f"tfo-clean-{mode}", [], measure, FINE),
        Scenario(f"tfo-no-server-{mode}", [], measure, WITHOUT, server="no-tfo"),
        Scenario(f"tfo-stripped-{mode}", [path.strip_fast_open(34, 254)], measure, WITHOUT),
        # Linux asks again with the option of the experiments
        Scenario(f"tfo-only-254-{mode}", [path.strip_fast_open(34)], measure, FINE),
        Scenario(f"tfo-syndata-dropped-{mode}", [path.drop_syn_data()], measure, truth("broken", "received", "failed")),
        Scenario(f"tfo-syndata-cut-{mode}", [path.cut_syn_data()], measure, truth("works", "received", "not_acked")),
        Scenario(f"tfo-offline-{mode}", [path.silent_drop()], measure, truth("offline")),
        Scenario(f"tfo-transient-{mode}", [path.first_connection_fails()], measure,
                 truth("transient", "received", "acked")),
    )
] + [
    # The kernel gets through without the option: no cookie, and breakage all the same
    Scenario(f"tfo-syn-dropped-{mode}", [path.drop_fast_open_syn()], measure, truth("broken", "not_received"))
    for mode, measure in (("http", HTTP), ("dnstcp", DNSTCP))
] + [
    # Nor does A get through at once: no word on Fast Open
    Scenario(f"tfo-lossy-{mode}", [path.first_syn_lost()], measure, {NOT_OBSERVED})
    for mode, measure in (("http", HTTP), ("dnstcp", DNSTCP))
] + [
    Scenario("tfo-forbidden-http", [], HTTP, {*FINE, "tfo.response.differs:200:403"}, server="forbids",
             needs="odd-web"),
    Scenario("tfo-refused-dnstcp", [], DNSTCP,
             {*FINE, "tfo.response.differs:noerror:refused"} - {"tfo.connectivity.works"}, server="forbids",
             needs="odd-dns"),
] + [
    scenario
    for mode, measure in (("http", HTTP), ("dnstcp", DNSTCP))
    for scenario in (
        Scenario(f"tfo-stray-icmp-{mode}", [path.icmp_for_handshake_ack("port-unreachable")], measure, FINE),
        Scenario(f"tfo-answer-missing-{mode}", [path.later_answers_missing()], measure,
                 truth("broken", "received", "acked") | {"tfo.handshake.works"}, stable=("unstable",)),
        Scenario(f"tfo-client-authenticated-{mode}", [path.authenticate_syns(each=False)], measure, FINE),
        # the kernel answers the challenge with a plain SYN: no word on Fast Open
        Scenario(f"tfo-syn-authenticated-{mode}", [path.authenticate_syns(each=True)], measure, {NOT_OBSERVED}),
    )
]
