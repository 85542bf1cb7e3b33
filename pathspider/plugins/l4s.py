"""Low latency, low loss and scalable throughput: does ECT(1) pass, and does it come back? :rfc:`9330`, :rfc:`9331`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from scapy.packet import Packet

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dscp import DSCPChain
from pathspider.chains.ecn import ECNChain
from pathspider.chains.feedback import TO_ACCECN0, TO_ACCECN1, FeedbackChain
from pathspider.chains.headers import HeadersChain
from pathspider.chains.tcp import TCP_ACK, TCP_AE, TCP_CWR, TCP_ECE, TCP_PSH, TCP_RST, TCP_SYN, TCPChain
from pathspider.conditions import (
    all_observed,
    handshake,
    handshake_conditions,
    response_conditions,
    succeeded,
)
from pathspider.forge import accepted
from pathspider.helpers.forged import Flow as ForgedFlow
from pathspider.helpers.forged import LocalError
from pathspider.helpers.http import FINAL
from pathspider.helpers.poller import Exchange as Exchanging
from pathspider.helpers.poller import clock
from pathspider.helpers.requests import http_request
from pathspider.helpers.segments import HEADER, Stream, flags_of, following, traffic_class_of, with_traffic_class
from pathspider.helpers.sockets import RESEND_AFTER, failed
from pathspider.plugins.accecn import ARRIVED, ASKING, may_be_copy
from pathspider.records import CONN_FAILED, CONN_TIMEOUT, Connection, Flow, Job
from pathspider.traversal import (
    AS_SET,
    BROKEN,
    NOT_AS_FORGED,
    WORKS,
    Exchange,
    TraversalSpider,
    Variant,
    both,
    exchange,
    tcp_flags,
    traffic_class,
)

ECT1 = 1
"""In the ECN field."""

NON_QUEUE_BUILDING = 45
"""The codepoint of traffic that shares L4S's queue without ECN. draft-ietf-tsvwg-nqb"""

CAME_UNMARKED = TCP_CWR
"""AE, CWR and ECE of the ACK that ends a handshake: the SYN-ACK came as not-ECT. :rfc:`9768`, table 3"""
NO_CE = TCP_AE | TCP_ECE
"""The same three flags later: the last bits of a count of packets with CE, which begins with 5. Section 3.2.1"""
ONE_CE = TCP_AE | TCP_CWR

FIRST_OCTETS = {"ect0": 1, "ce": 0, "ect1": 1}
"""What the counters of the option of accurate ECN begin with. Section 3.2.1"""
COUNTERS = {TO_ACCECN0: ("ect0", "ce", "ect1"), TO_ACCECN1: ("ect1", "ce", "ect0")}
"""Their order, by the option's kind; the last ones may be left out. Section 3.2.3"""
COUNTER_OCTETS = 3

STATUS_LINE = b"HTTP/1."
INTERIM = 100
"""The lowest status code."""
FORWARD = {
    "ect1.forward.arrived": "ECT(1) arrived",
    "ect1.forward.bleached": "what left with ECT(1) arrived as not-ECT",
    "ect1.forward.remarked:<mark>-<mark>": "what left with ECT(1), the first of these, arrived with the other one",
}
"""What a server with accurate ECN tells."""

REVERSE = {
    "ect1.reverse.seen": "accurate ECN was agreed on, and packets came back with ECT(1)",
    "ect1.reverse.not_seen": "no packet came back with ECT(1)",
    "ect1.reverse.remarked:<mark>-<mark>": "packets came back with ECT(1), the second of these, where the target sends "
                                           "the first: ECT(0) where ECN as in RFC 3168 was agreed on, not-ECT where no "
                                           "ECN was, or on the baseline",
}
"""What a capture tells."""

ASKS = tcp_flags(TCP_SYN | ASKING)


def look_at_syn(experiment: Exchange, baseline: Exchange | None) -> Iterator[str]:
    """What a SYN-ACK says of the SYN, which had ECT(1)."""
    if agreed(experiment, baseline) == "ect1":
        yield from arrived_as(ARRIVED[experiment.reply.tcp.flags & ASKING])


class L4S(TraversalSpider, PluggableSpider):
    """Does ECT(1) get through on data and on control packets, does it arrive, and does it come back?

    Each target gets an HTTP request in plain packets and, three times, one that asks for accurate ECN and whose data
    have ECT(1): with SYN and ACK as others are, with ECT(1) on these, too, and with DSCP 45 on all. All are forged.

    Example: pspdr measure -i eth0 l4s <targets.ndjson >results.ndjson
    """

    name = "l4s"
    description = "L4S: ECT(1) on Data and Control Packets"
    feature = "Asking for accurate ECN and sending ECT(1)"
    features = {
        "control": "Asking for accurate ECN and sending ECT(1) on all packets",
        "dscp45": "Asking for accurate ECN and sending ECT(1) with DSCP 45",
    }
    questions = {
        "ect1.forward": "Does ECT(1) on data arrive as it was sent?",
        "ect1.reverse": "Do packets come back with ECT(1)?",
        "control.ect1.forward": "Does ECT(1) on the SYN arrive as it was sent?",
    }
    version = __version__
    connect_supported = ["http"]
    chains = [BasicChain, TCPChain, HeadersChain, ECNChain, DSCPChain, FeedbackChain]
    compares_responses = True
    located = {
        BROKEN: AS_SET,
        r"l4s\.control\.ect1\.forward\.(bleached|remarked:.+)": AS_SET,
        r"l4s(\.dscp45)?\.ect1\.forward\.(bleached|remarked:.+)": ("ecn",),  # of data alone: their SYNs have none
        r"l4s\.control\.connectivity\.works": AS_SET,  # of what is tried, it sets the most in a SYN
        WORKS: AS_SET,
    }
    variants = [
        Variant("", ASKS, outcomes=FORWARD | REVERSE),
        Variant("control", both(ASKS, traffic_class(ECT1)), look_at_syn, FORWARD | REVERSE),
        Variant("dscp45", both(ASKS, traffic_class(NON_QUEUE_BUILDING << 2)), outcomes=FORWARD | REVERSE),
    ]
    conditions = {condition: meaning for variant in variants
                  for condition, meaning in (variant.conditions("l4s") | handshake_conditions(variant.prefix("l4s"))
                                             | response_conditions(variant.prefix("l4s"), ["http"])).items()}
    placeholders = {"mark": "notect|ect0|ect1|ce"}

    # -- packets -------------------------------------------------------------------------------------------------

    def check(self, job: Job) -> None:
        request(job)

    def go_on(  # noqa: PLR0917 - as there
        self, job: Job, packet: Packet, raw: bytes, reply: bytes, flow: ForgedFlow, deadline: float
    ) -> Exchanging[Connection]:
        """Ends the handshake, sends a request, again while there is no response, and waits for that."""
        message = request(job)
        asks = packet.payload.flags.value & ASKING
        accurate = asks and (reply[12] & 1) << 8 | reply[13] & (TCP_CWR | TCP_ECE) in ARRIVED
        flow.send(following(raw, TCP_ACK | (CAME_UNMARKED if accurate else 0), reply))
        data = following(with_traffic_class(raw, data_class(raw, bool(asks))),
                         TCP_ACK | TCP_PSH | (NO_CE if accurate else 0), reply, message)
        response = Stream(HEADER.unpack_from(reply)[2] + 1)
        began = clock()
        for until in [*(one for pause in RESEND_AFTER if (one := began + pause) < deadline), deadline]:
            flow.send(data)
            while (yield flow.arrival(until)):
                for answer in flow.answers():
                    if flags_of(answer) & TCP_RST:
                        return failed(CONN_FAILED, flow.source_port, "the answer to the request refuses it")
                    response.take(answer)
                    try:
                        status = final_status(response.octets)
                    except ValueError:
                        return failed(CONN_FAILED, flow.source_port, "the answer to the request is no HTTP response")
                    if status is not None:
                        return {**accepted(packet, reply), "http_status": status}
                    if response.is_over:
                        return failed(CONN_FAILED, flow.source_port, "it was closed before there was a response")
        return failed(CONN_TIMEOUT, flow.source_port, "no answer to the request")

    def take_leave(self, job: Job, raw: bytes, flow: ForgedFlow, reply: bytes | None) -> None:
        """A RST behind the request, where there was one to send."""
        if not flags_of(reply or b"") & TCP_SYN:
            super().take_leave(job, raw, flow, reply)
            return
        with suppress(LocalError):  # no verdict depends on it
            flow.send(following(raw, TCP_RST, behind=len(request(job))))

    def is_answer(self, octets: bytes) -> bool | None:
        try:
            return final_status(octets) is not None or None
        except ValueError:
            return False

    # -- verdicts ------------------------------------------------------------------------------------------------

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if all_observed(flows) and not all(data_left_as_forged(flow) for flow in flows):
            return [NOT_AS_FORGED]
        found = super().combine_flows(flows)
        if found[0].startswith("pathspider."):
            return found
        rows = {variant.name: variant for variant in self.variants}
        baseline = flows[0]
        for flow in flows:
            if "variant" not in flow:
                baseline = flow
                continue
            row = rows[flow["variant"]]
            found += handshake(row.prefix(self.name), baseline, flow)
            if succeeded(flow):
                said = [*reverse(flow, baseline), *(forward(flow, baseline) if row.name != "control" else ())]
                found += [f"{row.prefix(self.name)}.{word}" for word in said]
        if may_be_copy(flows) and not any(flow["feedback_option_rev"] for flow in flows):
            found = [condition for condition in found
                     if ".forward." not in condition and not condition.endswith(".reverse.seen")]
        return found


def request(job: Job) -> bytes:
    """A request for a response's head. :exc:`LocalError` for a domain that cannot be named."""
    try:
        return http_request(job, "HEAD")
    except ValueError as error:
        raise LocalError("bad_domain") from error


def final_status(octets: bytes) -> int | None:
    """The status of the response that octets begin with, interim ones (1xx) passed over; None where more are needed to
    tell, :exc:`ValueError` where they are none. :rfc:`9112`, section 4; :rfc:`9110`, section 15.2"""
    while octets:
        if STATUS_LINE[:len(octets)] != octets[:len(STATUS_LINE)] or octets[8:9] not in (b"", b" "):
            raise ValueError("no HTTP response")
        code = octets[9:12]
        if len(code) < 3:
            return None
        if not code.isdigit() or int(code) < INTERIM:
            raise ValueError("no status")
        if int(code) >= FINAL:
            return int(code)
        octets = octets.partition(b"\r\n\r\n")[2]
    return None


def data_class(syn: bytes, marks: bool) -> int:
    """DSCP and ECN of the data behind a SYN: its own, and ECT(1)."""
    return traffic_class_of(syn) | (ECT1 if marks else 0)


def data_left_as_forged(flow: Flow) -> bool:
    """Whether the request, where one left, had the codepoints that it was to have."""
    forged = bytes.fromhex(flow.get("forged") or "")
    if not forged or flow["feedback_ecn_fwd"] is None:
        return True
    wanted = data_class(forged, "variant" in flow)
    return (flow["dscp_mark_data_fwd"] or 0, flow["feedback_ecn_fwd"]) == (wanted >> 2, wanted & 3)


def agreed(experiment: Exchange, baseline: Exchange | None) -> str:
    """What the target may send by what its SYN-ACK said: ``ect1`` (accurate ECN), ``ect0`` (ECN as in :rfc:`3168`), or
    ``notect``. What the baseline, which did not ask, got too, is no answer."""
    code = experiment.reply.tcp.flags & ASKING
    if baseline is not None and baseline.reply.tcp.flags & ASKING == code:
        return "notect"
    return "ect1" if code in ARRIVED else "ect0" if code == TCP_ECE else "notect"


def agreed_by(flow: Flow, baseline: Flow) -> str:
    """The same of a flow that came up."""
    experiment = exchange(flow)
    return "notect" if experiment is None else agreed(experiment, exchange(baseline))


def arrived_as(mark: str) -> Iterator[str]:
    """The word for what left with ECT(1) and arrived so."""
    yield {"ect1": "ect1.forward.arrived", "notect": "ect1.forward.bleached"}.get(
        mark, f"ect1.forward.remarked:ect1-{mark}")


def forward(flow: Flow, baseline: Flow) -> Iterator[str]:
    """What the acknowledgement of data with ECT(1) says of their ECN field; nothing where it does not tell."""
    if flow["feedback_flags_rev"] is None or agreed_by(flow, baseline) != "ect1":
        return
    octets, counted = flow["feedback_octets_fwd"], counters(flow["feedback_option_rev"])
    for mark, count in counted.items():
        if count - FIRST_OCTETS[mark] >= octets:
            yield from arrived_as(mark)
            return
    if counted == FIRST_OCTETS:
        yield from arrived_as("notect")
    elif not counted and flow["feedback_flags_rev"] & ASKING == ONE_CE and not flow["feedback_again_fwd"]:
        yield from arrived_as("ce")


def counters(option: str | None) -> Mapping[str, int]:
    """The counters of an option of accurate ECN, in hexadecimal as the chain notes it, by codepoint."""
    if option is None:
        return {}
    kind, *value = bytes.fromhex(option)
    parts = [value[at:at + COUNTER_OCTETS] for at in range(0, len(value), COUNTER_OCTETS)]
    return {mark: int.from_bytes(bytes(part), "big") for mark, part in zip(COUNTERS[kind], parts, strict=False)
            if len(part) == COUNTER_OCTETS}


def reverse(flow: Flow, baseline: Flow) -> Iterator[str]:
    """Whether ECT(1) came back."""
    if came_with_ect1(baseline):
        yield "ect1.reverse.remarked:notect-ect1"
    elif not came_with_ect1(flow):
        yield "ect1.reverse.not_seen"
    elif (may := agreed_by(flow, baseline)) == "ect1":
        yield "ect1.reverse.seen"
    else:
        yield f"ect1.reverse.remarked:{may}-ect1"


def came_with_ect1(flow: Flow) -> bool:
    """Whether a packet came back with ECT(1)."""
    return bool(flow["ecn_ect1_syn_rev"] or flow["ecn_ect1_data_rev"])
