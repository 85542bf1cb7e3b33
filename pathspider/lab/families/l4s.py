"""L4S: ECT(1) on data and on control packets, DSCP 45 beside it. RFC 9331, RFC 9768

Kernels that do not know accurate ECN agree to that of RFC 3168, and do not tell what arrives.
"""

from __future__ import annotations

from pathspider.chains.tcp import TCP_CWR, TCP_ECE
from pathspider.lab import impairments as path
from pathspider.lab.feedback import AccurateServer
from pathspider.lab.impairments import Impairment
from pathspider.lab.scenario import Scenario

HTTP = ["l4s", "--connect", "http"]
OUT, BACK = {"towards": True, "back": False}, {"towards": False, "back": True}
ROWS = ("l4s", "l4s.control", "l4s.dscp45")


def truth(*said: str) -> set[str]:
    """The conditions of each row, connectivity, what came back, what arrived: one for all where they are the same."""
    found = set()
    for prefix, one in zip(ROWS, said * (3 // len(said)), strict=True):
        found |= {f"{prefix}.{name}.{word}" for name, word in
                  zip(("connectivity", "ect1.reverse", "ect1.forward"), one.split(), strict=False)}
    return found


def server(about: str, *, option: bool = True, ect1: bool = False) -> Impairment:
    """A server with accurate ECN."""
    return Impairment(about, mangle=AccurateServer(option=option, ect1=ect1))


ACCURATE = server("server with accurate ECN that counts")
SILENT = server("server with accurate ECN, without its option", option=False)
L4S = server("server with L4S: it sends ECT(1)", ect1=True)
ECT1_DATA = "$ip ecn ect1 tcp flags & (syn|ack) != syn"
BLEACHED_DATA = Impairment("clears ECT(1) on data", (f"{ECT1_DATA} $ip ecn set not-ect",))
MARKED_DATA = Impairment("turns ECT(1) on data into CE", (f"{ECT1_DATA} $ip ecn set ce",))

CLEAN = truth("works not_seen")
FINE = truth("works not_seen arrived")

SCENARIOS = [
    Scenario("l4s-clean", [], HTTP, CLEAN),
    Scenario("l4s-accurate", [ACCURATE], HTTP, FINE),
    Scenario("l4s-accurate-without-option", [SILENT], HTTP,
             truth("works not_seen", "works not_seen arrived", "works not_seen")),
    Scenario("l4s-server", [L4S], HTTP, truth("works seen arrived")),
    Scenario("l4s-no-ecn", [], HTTP, CLEAN, server="no-ecn"),

    # On the way out
    Scenario("l4s-bleached", [path.remark_ect("marked", "not-ect", **OUT), ACCURATE], HTTP,
             truth("works not_seen bleached")),
    Scenario("l4s-ce", [path.remark_ect("ect1", "ce", **OUT), ACCURATE], HTTP,
             truth("works not_seen remarked:ect1-ce")),
    Scenario("l4s-ce-without-option", [path.remark_ect("ect1", "ce", **OUT), SILENT], HTTP,
             truth("works not_seen remarked:ect1-ce")),
    Scenario("l4s-to-ect0", [path.remark_ect("ect1", "ect0", **OUT), ACCURATE], HTTP,
             truth("works not_seen remarked:ect1-ect0")),
    Scenario("l4s-syn-bleached", [path.mark_syn("not-ect"), ACCURATE], HTTP,
             truth("works not_seen arrived", "works not_seen bleached", "works not_seen arrived")),
    Scenario("l4s-bleached-silently", [path.remark_ect("marked", "not-ect", **OUT)], HTTP, CLEAN),
    Scenario("l4s-data-bleached", [BLEACHED_DATA, ACCURATE], HTTP,
             truth("works not_seen bleached", "works not_seen arrived", "works not_seen bleached")),
    Scenario("l4s-data-ce", [MARKED_DATA, ACCURATE], HTTP,
             truth("works not_seen remarked:ect1-ce", "works not_seen arrived", "works not_seen remarked:ect1-ce")),
    Scenario("l4s-data-dropped", [Impairment("drops data with ECT(1)", (f"{ECT1_DATA} drop",)), ACCURATE], HTTP,
             truth("broken") | {f"{row}.handshake.works" for row in ROWS}),
    Scenario("l4s-data-reset", [Impairment("answers data with ECT(1) with RST",
                                           (f"{ECT1_DATA} reject with tcp reset",))], HTTP, truth("broken")),
    Scenario("l4s-syn-dropped", [path.drop_marked_syn(), ACCURATE], HTTP,
             truth("works not_seen arrived", "broken", "works not_seen arrived")),
    Scenario("l4s-asking-dropped", [path.drop_accurate_ecn_syn()], HTTP, truth("broken")),
    Scenario("l4s-dscp45-dropped", [Impairment("drops packets with DSCP 45", ("$ip dscp 45 drop",)), ACCURATE], HTTP,
             truth("works not_seen arrived", "works not_seen arrived", "broken")),

    # On the way back
    Scenario("l4s-back-bleached", [path.remark_ect("marked", "not-ect", **BACK), L4S], HTTP,
             truth("works not_seen arrived")),
    Scenario("l4s-back-ect0-to-ect1", [path.remark_ect("ect0", "ect1", **BACK)], HTTP,
             truth("works remarked:ect0-ect1")),
    Scenario("l4s-back-all-ect1", [path.remark_ect("any", "ect1", **BACK)], HTTP,
             truth("works remarked:notect-ect1")),

    # Whatever is asked for
    Scenario("l4s-forbidden", [], HTTP, CLEAN | {f"{row}.response.differs:200:403" for row in ROWS}, server="forbids",
             needs="odd-web"),
    Scenario("l4s-syn-lost", [path.first_syn_lost(), ACCURATE], HTTP, FINE),
    Scenario("l4s-lossy", [path.every_nth_lost(5)], HTTP, CLEAN),
    Scenario("l4s-offline", [path.silent_drop()], HTTP, truth("offline")),
    Scenario("l4s-offline-closed", [], HTTP, truth("offline"), port=9),
    Scenario("l4s-transient", [path.first_connection_fails()], HTTP, truth("transient not_seen")),
    Scenario("l4s-syn-authenticated", [path.authenticate_syns(each=True)], HTTP, CLEAN),
    Scenario("l4s-flags-copied", [path.answer_ecn(TCP_CWR | TCP_ECE)], HTTP, CLEAN),
]
