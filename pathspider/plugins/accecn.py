"""More accurate ECN feedback: is it negotiated, and how did the SYN's ECN field arrive? :rfc:`9768`"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.tcp import TCP_AE, TCP_CWR, TCP_ECE, TCP_SYN
from pathspider.records import Flow
from pathspider.traversal import (
    AS_SET,
    BROKEN,
    WORKS,
    Exchange,
    TraversalSpider,
    Variant,
    both,
    exchange,
    tcp_flags,
    traffic_class,
)

ASKING = TCP_AE | TCP_CWR | TCP_ECE
"""All three on a SYN ask for accurate ECN; on a SYN-ACK they are its copy. :rfc:`9768`, section 3.1.1"""

MARKS = {"notect": 0b00, "ect1": 0b01, "ect0": 0b10, "ce": 0b11}
"""The codepoints of the ECN field, as conditions call them. :rfc:`3168`"""

ARRIVED = {TCP_CWR: "notect", TCP_CWR | TCP_ECE: "ect1", TCP_AE: "ect0", TCP_AE | TCP_CWR: "ce"}
"""What an AccECN server says with a SYN-ACK's flags: the codepoint with which the SYN came. Table 2"""

OTHERS = {0: "none", TCP_ECE: "classic", TCP_AE | TCP_ECE: "reserved", ASKING: "reflected"}
"""What the other four codes mean."""

COPY = TCP_CWR | TCP_ECE
"""Also what a server that copies the octet of a SYN's flags sends: AE is not in that octet."""

NEGOTIATION = {
    "negotiation.accurate": "the SYN-ACK had one of the four codes of an AccECN server",
    "negotiation.classic": "the SYN-ACK had ECE alone: ECN as in RFC 3168",
    "negotiation.none": "the SYN-ACK had none of AE, CWR and ECE: no ECN",
    "negotiation.reserved": "the SYN-ACK had AE and ECE, which has no meaning yet",
    "negotiation.reflected": "the SYN-ACK had AE, CWR and ECE, the flags of the SYN",
    "negotiation.unclear": "the SYN-ACK had the same of these flags, at least one, as that of the baseline; or all "
                           "that answered such requests had CWR and ECE, which may be a copy of an octet of flags",
}

FORWARD = {
    "forward.arrived": "the ECN field of the SYN arrived as it was sent",
    "forward.bleached": "it arrived as not-ECT, and was sent otherwise",
    "forward.remarked:<mark>-<mark>": "it was sent with the first codepoint and arrived with the other one",
}
"""What an AccECN server tells of the way to it."""


def look(sent: str, experiment: Exchange, baseline: Exchange | None) -> Iterable[str]:
    """What a SYN-ACK says to a SYN that asked, whose ECN field was ``sent``."""
    code = experiment.reply.tcp.flags & ASKING
    if code and baseline is not None and baseline.reply.tcp.flags & ASKING == code:
        yield "negotiation.unclear"
    elif code not in ARRIVED:
        yield f"negotiation.{OTHERS[code]}"
    else:
        yield "negotiation.accurate"
        arrived = ARRIVED[code]
        yield ("forward.arrived" if arrived == sent else
               "forward.bleached" if arrived == "notect" else f"forward.remarked:{sent}-{arrived}")


def may_be_copy(flows: Sequence[Flow]) -> bool:
    """Whether all SYN-ACKs to SYNs that asked have the code of one that came with ECT(1), with which not all left: a
    server that copies these flags says so to each."""
    answered = [found for flow in flows if "variant" in flow and (found := exchange(flow)) is not None]
    return {found.reply.tcp.flags & ASKING for found in answered} == {COPY}


def asking(mark: str) -> Variant:
    """The row with one codepoint on the SYN; the one without a mark is called as the plugin."""
    outcomes = NEGOTIATION | FORWARD
    if mark == "notect":
        del outcomes["forward.bleached"]
    return Variant("" if mark == "notect" else mark, both(tcp_flags(TCP_SYN | ASKING), traffic_class(MARKS[mark])),
                   partial(look, mark), outcomes)


class AccECN(TraversalSpider, PluggableSpider):
    """Does asking for accurate ECN break connectivity, is it negotiated, and does the SYN's ECN field arrive?

    Each target gets a SYN as Linux sends it, one with AE, CWR and ECE, and two more with ECT(0) and ECT(1) in the IP
    header. A server that knows accurate ECN tells in its SYN-ACK with which ECN field the SYN came.

    Example: pspdr measure -i eth0 accecn <targets.ndjson >results.ndjson
    """

    name = "accecn"
    description = "Accurate ECN Feedback"
    feature = "Asking for accurate ECN"
    features = {
        "ect0": "Asking for accurate ECN with ECT(0) on the SYN",
        "ect1": "Asking for accurate ECN with ECT(1) on the SYN",
    }
    questions = {
        "negotiation": "Is accurate ECN negotiated?",
        "forward": "Does a SYN that is not ECN-capable arrive so?",
        "ect0.negotiation": "Is accurate ECN negotiated by a SYN with ECT(0)?",
        "ect0.forward": "Does ECT(0) on the SYN arrive as it was sent?",
        "ect1.negotiation": "Is accurate ECN negotiated by a SYN with ECT(1)?",
        "ect1.forward": "Does ECT(1) on the SYN arrive as it was sent?",
    }
    version = __version__
    variants = [asking("notect"), asking("ect0"), asking("ect1")]
    located = {
        BROKEN: AS_SET,
        r"accecn(\.\w+)?\.forward\.(bleached|remarked:.+)": AS_SET,
        r"accecn\.ect\d\.connectivity\.works": AS_SET,  # these set more than the one without a mark
        WORKS: AS_SET,
    }
    placeholders = {"mark": "|".join(MARKS)}

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        found = super().combine_flows(flows)
        if found[0].startswith("pathspider.") or not may_be_copy(flows):
            return found
        return [condition.replace("negotiation.accurate", "negotiation.unclear") for condition in found
                if ".forward." not in condition]
