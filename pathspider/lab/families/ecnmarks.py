"""ECN in both directions: CE on one packet of the data, ECT(0) on the SYN. RFC 3168

Linux servers do not agree to a SYN with ECT(0): a clean path says ``refused``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pathspider.lab import impairments as path
from pathspider.lab.families.ecn import FINE, truth
from pathspider.lab.feedback import WithoutEcho
from pathspider.lab.impairments import Impairment
from pathspider.lab.scenario import Scenario

HTTP, HTTPS, DNSTCP = (["ecn", "--connect", mode, "--feedback", "--syn-ect"] for mode in ("http", "https", "dnstcp"))
TCP = ["ecn", "--connect", "tcp", "--syn-ect"]
OUT = {"towards": True, "back": False}

NAMES = ("ecn", "ecn.feedback", "ecn.syn_ect")

CE_ON_DATA = "$ip ecn ce tcp flags & (syn|ack) != syn"
DROPS_CE = Impairment("drops packets with CE", (f"{CE_ON_DATA} drop",))
RESETS_CE = Impairment("answers packets with CE with RST", (f"{CE_ON_DATA} reject with tcp reset",))
NO_ECHO = Impairment("server agrees to ECN, and never echoes CE", mangle=WithoutEcho())


def further(feedback: str, syn_ect: str) -> set[str]:
    """The conditions of the further connections: connectivity and, behind a blank, what was said."""
    found = set()
    for name, words in (("feedback", feedback), ("syn_ect", syn_ect)):
        connectivity, _, said = words.partition(" ")
        found |= {f"ecn.{name}.connectivity.{connectivity}"} | ({f"ecn.{name}.{said}"} if said else set())
    return found


CLEAN = further("works ce_echoed", "works refused")


def fine(feedback: str, syn_ect: str = "works refused", *, negotiation: str = "succeeded",
         seen: Sequence[str] = ("ect0",)) -> set[str]:
    """Conditions where asking for ECN works."""
    return truth("works", negotiation, seen) | further(feedback, syn_ect)


SCENARIOS = [
    Scenario("ecnmarks-clean-http", [], HTTP, FINE | CLEAN),
    Scenario("ecnmarks-clean-https", [], HTTPS, FINE | CLEAN),
    Scenario("ecnmarks-clean-dnstcp", [], DNSTCP, FINE | CLEAN),
    Scenario("ecnmarks-clean-tcp", [], TCP, truth("works", "succeeded")
             | {"ecn.syn_ect.connectivity.works", "ecn.syn_ect.refused"}),

    # CE on the way out
    Scenario("ecnmarks-ce-cleared", [path.remark_ect("ce", "ect0", **OUT)], HTTP, fine("works ce_not_echoed")),
    Scenario("ecnmarks-ce-bleached", [path.remark_ect("ce", "not-ect", **OUT)], HTTPS, fine("works ce_not_echoed")),
    Scenario("ecnmarks-ce-dropped", [DROPS_CE], HTTP, fine("works ce_lost")),
    Scenario("ecnmarks-ce-dropped-dnstcp", [DROPS_CE], DNSTCP, fine("works ce_lost")),
    Scenario("ecnmarks-ce-reset", [RESETS_CE], HTTP, fine("broken")),
    Scenario("ecnmarks-no-echo", [NO_ECHO], HTTP, fine("works ce_not_echoed")),
    Scenario("ecnmarks-all-ce", [path.remark_ect("ect0", "ce", **OUT)], HTTP,
             fine("works unclear")),
    Scenario("ecnmarks-no-server", [], HTTP, fine("works", "works", negotiation="failed", seen=()), server="no-ecn"),
    Scenario("ecnmarks-reflected", [path.reflect_ecn_flags()], HTTP,
             fine("works", "works", negotiation="reflected", seen=()), server="no-ecn"),
    Scenario("ecnmarks-ece-unasked", [path.ece_on_syn_acks()], HTTP, fine("works", "works", negotiation="unclear")),

    # ECT(0) on the SYN
    Scenario("ecnmarks-syn-bleached", [path.mark_syn("not-ect")], HTTP, fine("works ce_echoed", "works negotiated")),
    Scenario("ecnmarks-syn-ect-dropped", [path.drop_marked_syn()], HTTP, fine("works ce_echoed", "broken")),
    Scenario("ecnmarks-syn-ect-dropped-tcp", [path.drop_marked_syn()], TCP, truth("works", "succeeded")
             | {"ecn.syn_ect.connectivity.broken"}),
    Scenario("ecnmarks-bleached", [path.remark_ect("marked", "not-ect", **OUT)], HTTP,
             fine("works ce_not_echoed", "works negotiated")),

    # What is answered, and what is not
    Scenario("ecnmarks-forbidden-http", [path.mark_syn("not-ect")], HTTP,
             fine("works ce_echoed", "works negotiated") | {f"{name}.response.differs:200:403" for name in NAMES},
             server="forbids", needs="odd-web"),
    Scenario("ecnmarks-refused-dnstcp", [path.mark_syn("not-ect")], DNSTCP,
             (fine("works ce_echoed", "works negotiated") | {f"{name}.response.differs:noerror:refused"
                                                             for name in NAMES})
             - {f"{name}.connectivity.works" for name in NAMES}, server="forbids", needs="odd-dns"),
    Scenario("ecnmarks-answer-missing-http", [path.later_answers_missing()], HTTP,
             truth("broken", "succeeded") | further("broken ce_echoed", "broken refused")
             | {f"{name}.handshake.works" for name in NAMES}, stable=("unstable",)),

    # Whatever is asked for
    Scenario("ecnmarks-asking-dropped", [path.drop_ecn_setup_syn()], HTTP,
             truth("broken") | further("broken", "broken")),
    Scenario("ecnmarks-offline", [path.silent_drop()], HTTP, truth("offline") | further("offline", "offline")),
    Scenario("ecnmarks-transient", [path.first_connection_fails()], HTTP,
             truth("transient", "succeeded", ["ect0"]) | further("transient ce_echoed", "transient refused")),
    Scenario("ecnmarks-syn-lost", [path.first_syn_lost()], HTTP, FINE | CLEAN),
]
