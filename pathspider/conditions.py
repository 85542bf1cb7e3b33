"""Verdicts that more than one plugin reaches.

A path's fault and our own are kept apart here: what the network did becomes a plugin's condition, what we failed to do
or to see becomes a ``pathspider.*`` condition, and never the other.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

from pathspider.chains.tcp import TCP_CWR, TCP_ECE
from pathspider.records import CONN_OK, CONN_SKIPPED, Connection, Flow, Record

RUN = "pathspider"
"""How conditions begin that tell of the run itself, and so why there is no verdict; a plugin cannot be called so."""
NOT_OBSERVED = "pathspider.not_observed"
"""A flow that a conclusion needs was not observed, so there is no conclusion."""
NOT_MEASURED = "pathspider.not_measured"
"""The run ended before this job was measured."""
INVALID_JOB = "pathspider.invalid_job"
"""The job cannot be measured as it stands; what is wrong follows after a colon."""
BLOCKLISTED = "pathspider.blocklisted"
"""The target is in a network that asked not to be measured."""
UNCONFIRMED = "pathspider.unconfirmed"
"""The target was to be measured again, since it may be chance what its first connections say, and that was not done."""
UNLOCATED = "pathspider.unlocated"
"""It was to be found out where on the path that happens which the conditions tell, and that was not done."""
SKIPPED = "pathspider.skipped"
"""The experiment does not exist for this target; the reason follows after a colon."""


def connectivity(name: str, baseline: bool, experiment: bool) -> str:
    """The connectivity condition of ``name`` from whether each connection came up.

    ======== ========== =============
    baseline experiment condition
    ======== ========== =============
    up       up         ``works``
    up       not        ``broken``
    not      up         ``transient``
    not      not        ``offline``
    ======== ========== =============
    """
    verdict = {(True, True): "works", (True, False): "broken", (False, True): "transient", (False, False): "offline"}
    return f"{name}.connectivity.{verdict[baseline, experiment]}"


HANDSHAKE = "the baseline came up; the experiment's handshake was completed, and its answer was late or missing"


def handshake(name: str, baseline: Flow, experiment: Flow) -> list[str]:
    """``NAME.handshake.works`` where the baseline came up and of the experiment the handshake alone, as
    :class:`~pathspider.chains.tcp.TCPChain` saw it: the answer was late or missing.

    It stands beside ``NAME.connectivity.broken``, for a feature that has done its part when the handshake is over: a
    server that is slow, or busy with the baseline, does the same. A RST is an answer, and so no such doubt.
    """
    doubtful = (succeeded(baseline) and not succeeded(experiment)
                and experiment["tcp_connected"] and not experiment["tcp_rst_rev"])
    return [f"{name}.handshake.works"] if doubtful else []


def handshake_conditions(name: str) -> dict[str, str]:
    """What :func:`handshake` can say of ``name``, with its meaning; for a plugin's ``conditions``."""
    return {f"{name}.handshake.works": HANDSHAKE}


def succeeded(flow: Flow) -> bool:
    """True if the connection of this flow came up."""
    return bool(flow["spdr_state"] == CONN_OK)


def all_observed(flows: Sequence[Flow]) -> bool:
    """True if each of these flows was observed; a flow that does not tell is taken for one that was."""
    return all(flow.get("observed", True) for flow in flows)


DNS_PORT = 53

TOLD_PORTS = (DNS_PORT,)
"""The ports that passive conditions of our plugins tell from others."""


def seen_answered(flow: Flow) -> bool:
    """True where it was seen who asked and who answered, also in traffic of others: a TCP handshake seen whole, or a
    query of the DNS, over UDP, to its port, and then the response to that one. Forward is then from client to server.

    The flow has the fields of :class:`~pathspider.chains.basic.BasicChain`,
    :class:`~pathspider.chains.handshake.HandshakeChain` and :class:`~pathspider.chains.dns.DNSChain`.
    """
    if flow["proto"] == socket.IPPROTO_UDP:
        return bool(flow["dp"] == DNS_PORT and flow["sp"] != DNS_PORT and flow["dns_answered"])
    return bool(flow["handshake_whole"])


LOCAL_ERROR = "pathspider.local_error"
"""Our own machine failed; how follows after a colon."""

ECN_SWITCHED = f"{LOCAL_ERROR}:ecn_switched"
"""A connection failed whose SYN asked for ECN, which this machine's do not, or not all to this target."""

ECN_SETUP = TCP_ECE | TCP_CWR
"""Both flags on a SYN ask for ECN; ECE alone on the SYN-ACK accepts it. RFC 3168, section 6.1.1."""


def asked_for_ecn(synflags: int | None) -> bool:
    """True for the flags of an ECN-setup SYN."""
    return synflags is not None and synflags & ECN_SETUP == ECN_SETUP


def ecn_switched(flows: Sequence[Flow], asks: bool) -> bool:
    """Whether a connection may have failed since another program had switched ECN: paths drop SYNs that ask for it.

    :param asks: whether SYNs of this machine ask for ECN by themselves
    """
    seen = [flow for flow in flows if flow.get("tcp_synflags_fwd") is not None]
    asked = [flow for flow in seen if asked_for_ecn(flow["tcp_synflags_fwd"])]
    meant = asks and len(asked) == len(seen)
    return not meant and any(not succeeded(flow) for flow in asked)


def local_reasons(found: Sequence[str]) -> list[str]:
    """What our own machine did wrong, from a record's conditions."""
    return [condition.partition(":")[2] for condition in found if condition.partition(":")[0] == LOCAL_ERROR]


def is_unfinished(record: Record) -> bool:
    """True for a record without a verdict that a second try could give: the run had ended, or our machine failed, or
    its capture saw nothing of a connection (packets took another way, or a firewall of ours dropped them)."""
    found = record.get("conditions", [])
    unseen = NOT_OBSERVED in found and any("missed_flows:" in one for one in found)
    return not {NOT_MEASURED, UNCONFIRMED, UNLOCATED}.isdisjoint(found) or unseen or bool(local_reasons(found))


def unfinished_reason(record: Record) -> str:
    """Why a record is unfinished: what our own machine did wrong, or what of the run ended before; of what a plugin
    takes for unfinished, its first condition without the plugin's name."""
    found = record.get("conditions", [])
    first = [one for one in found if one in (NOT_MEASURED, UNCONFIRMED, UNLOCATED, NOT_OBSERVED)] or [*found, ""]
    return [*local_reasons(found), first[0].partition(".")[2]][0]


def local_errors(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.local_error:…`` for each kind of fault of our own machine, in order of appearance."""
    errors = [str(connection["local_error"]) for connection in connections if connection.get("local_error")]
    return [f"{LOCAL_ERROR}:{error}" for error in dict.fromkeys(errors)]


def skipped(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.skipped:…`` for each reason why a connection was not attempted, in order of appearance."""
    reasons = [
        str(connection.get("skipped", "not_applicable"))
        for connection in connections
        if connection["spdr_state"] == CONN_SKIPPED and not connection.get("local_error")
    ]
    return [f"{SKIPPED}:{reason}" for reason in dict.fromkeys(reasons)]


OTHER_INTERFACE = f"{LOCAL_ERROR}:other_interface"
"""The route to the target leads through another interface than the one whose packets are captured."""
NEW_SOURCE = f"{LOCAL_ERROR}:new_source"
"""Packets would leave from an address that was not there when the run, and its capture, began."""
LAB_ADDRESS = f"{LOCAL_ERROR}:lab_address"
"""The target is one of the lab's, and this is not the lab."""
CAPTURE_LOST = f"{LOCAL_ERROR}:capture_lost_packets"
"""The capture lost packets while this job was measured; what it did not see may have been there."""


def missed_flows(found: Sequence[str], count: int) -> list[str]:
    """What was found, and that ``count`` flows were expected and not observed; it is why, where nothing was found."""
    return [*(found or [NOT_OBSERVED]), f"pathspider.missed_flows:{count}"] if count else [*found]


CONNECTIVITY = {
    "works": "both connections came up",
    "broken": "the baseline came up, the experiment did not",
    "transient": "the experiment came up, the baseline did not",
    "offline": "neither came up",
}


STABLE = {
    "broken": "in every further round, too, the baseline came up, the experiment did not",
    "transient": "in every further round, too, the experiment came up, the baseline did not",
    "works": "in a further round both connections came up",
    "unstable": "further rounds differ, among themselves or from the first pair, or neither connection came up in one",
}
"""What ``X.stable.connectivity.word`` says, which the run concludes of what a plugin said."""

LOSSY = "in most further rounds the experiment came up after more tries than the baseline"
"""What ``X.lossy`` says: packets with the feature are lost now and then."""


def lossy(suspicion: str) -> str:
    """The condition that says so of what ``suspicion`` (``X.connectivity.broken``) is about."""
    return f"{suspicion.rpartition('.')[0].rpartition('.')[0]}.lossy"

HOP_CONDITION = re.compile(r"(?P<name>.+)\.hop\.(?P<word>[^.:]+)(?::(?P<value>[^.:]+))?")
"""``X.hop.word``, or ``X.hop.word:value``: where on the path it is, which the run concludes of what a plugin said."""
HOPS = {
    "changed:<hop>-<hop>": "as far as the first of these hops the packet came as it was sent, at the second it was "
                           "changed; 0 is the vantage point",
    "dropped:<hop>-<hop>": "the experiment's packet came to the first of these hops and not to the second, the "
                           "baseline's to both; 0 is the vantage point",
    "first": "the experiment's packet was changed, or gone, before the first hop",
    "target": "it came to the last hop as it was sent, and the target itself refused it",
    "reverse_or_target": "it came to the last hop as it was sent: it happens behind that, at the target, or on the way "
                         "back",
    "not_located:no_answer": "hops that had to answer did not",
    "not_located:rate_limited": "hops that had to answer did so now and then",
    "not_located:unstable": "answers contradict each other: the path, or what it does, changed meanwhile",
    "not_located:path_differs": "packets of baseline and experiment took different ways",
    "not_located:short_quote": "hops quote too little of the packet",
    "not_located:proxy": "something on the way answers in the target's name",
}
"""What ``X.hop.…`` says, behind that."""

UNCLEAR = "unclear"
"""The answer to a question that says, beside another one, that this tells nothing."""


def is_void(condition: str, found: Collection[str]) -> bool:
    """Whether a record's condition tells nothing, since the answer to the same question is :data:`UNCLEAR`, too."""
    question, _, word = condition.rpartition(".")
    return word != UNCLEAR and f"{question}.{UNCLEAR}" in found


STABLE_CONDITION = re.compile(r"(?P<name>.+)\.stable\.(?P<what>[^.]+)\.(?P<word>[^.]+)")
"""``X.stable.connectivity.word``, or in place of ``connectivity`` what else a plugin suspects."""



def connectivity_conditions(name: str) -> dict[str, str]:
    """What :func:`connectivity` can say of ``name``, with its meaning; for a plugin's ``conditions``."""
    return {f"{name}.connectivity.{word}": meaning for word, meaning in CONNECTIVITY.items()}


RCODES = ("noerror", "formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "yxrrset", "nxrrset",
          "notauth", "notzone")
"""Response codes of the DNS, from 0 on. :rfc:`6895`, section 2.3"""


def response_conditions(name: str, modes: Sequence[str]) -> dict[str, str]:
    """What :func:`with_responses` can say of ``name`` in these connection modes, with its meaning."""
    found = {}
    if {"http", "https", "h3"}.intersection(modes):
        found[f"{name}.response.differs:<status>:<status>"] = (
            "both came up, with HTTP statuses of different class: the baseline's, the experiment's")
    if {"dnsudp", "dnstcp"}.intersection(modes):
        found[f"{name}.response.differs:<rcode>:<rcode>"] = (
            "in the place of works: both came up, with different DNS response codes, the baseline's, the experiment's")
    return found


def statuses_differ(name: str, baseline: Flow, experiment: Flow) -> str | None:
    """``NAME.response.differs:200:403`` where two HTTP responses have statuses of different class, which is their first
    digit: 301 and 302 do not differ."""
    one, other = baseline.get("http_status"), experiment.get("http_status")
    if not isinstance(one, int) or not isinstance(other, int) or one // 100 == other // 100:
        return None
    return f"{name}.response.differs:{one}:{other}"


def rcodes_differ(name: str, baseline: Flow, experiment: Flow) -> str | None:
    """``NAME.response.differs:noerror:formerr`` where two responses of the DNS have different response codes."""
    one, other = baseline.get("dns_rcode"), experiment.get("dns_rcode")
    if not isinstance(one, int) or not isinstance(other, int) or one == other:
        return None
    return f"{name}.response.differs:{rcode_name(one)}:{rcode_name(other)}"


def rcode_name(code: int) -> str:
    """``noerror`` for 0; ``rcode12`` for one without a name."""
    return RCODES[code] if code < len(RCODES) else f"rcode{code}"


def first_and_last(name: str, flows: Sequence[Flow]) -> tuple[Flow, Flow]:
    """The flows that are compared under a name, unless a plugin says otherwise: of ``tcpopt.99``, that of the variant
    ``99`` and the baseline before it; where no flow is of such a variant, the first and the last."""
    _, _, variant = name.partition(".")
    for place, flow in enumerate(flows):
        if flow.get("variant") == variant:
            baselines = [one for one in flows[:place] if "variant" not in one]
            return baselines[-1] if baselines else flows[0], flow
    return flows[0], flows[-1]


def with_responses(found: Sequence[str], flows: Sequence[Flow],
                   compared: Callable[[str, Sequence[Flow]], tuple[Flow, Flow]] = first_and_last) -> list[str]:
    """What a plugin found of these flows, and how the responses of two of them differ, in each name whose connectivity
    is ``works``.

    Another class of HTTP status stands beside ``works``: both requests were let through and answered. Another response
    code of the DNS stands in its place: the same question got another answer.
    """
    told, beside = [], []
    for condition in found:
        name, _, word = condition.rpartition(".connectivity.")
        works = bool(name) and word == "works"
        told.append((works and rcodes_differ(name, *compared(name, flows))) or condition)
        if works and (differs := statuses_differ(name, *compared(name, flows))):
            beside.append(differs)
    return [*told, *beside]


RUN_CONDITIONS: dict[str, str] = {
    "pathspider.not_observed": "what a conclusion needs was not seen: the capture missed a flow or a packet of it",
    "pathspider.missed_flows:<count>": "so many flows of this target were not observed",
    "pathspider.not_measured": "the run ended before this target was measured",
    UNCONFIRMED: "what the first connections said was to be confirmed, and the run ended before",
    UNLOCATED: "where it happens was to be located, and the run ended before, or our machine failed",
    "pathspider.blocklisted": "the target is in a network of the blocklist",
    "pathspider.skipped:not_applicable": "a plugin skipped the target without a reason of its own",
    "pathspider.invalid_job:dip_missing": "the job has no dip",
    "pathspider.invalid_job:dip_not_an_address": "dip is not a numeric address",
    "pathspider.invalid_job:dip_has_a_zone": "dip names an interface (fe80::1%eth0)",
    "pathspider.invalid_job:dip_not_unicast": "dip is a multicast, the broadcast or the unspecified address",
    "pathspider.invalid_job:dip_is_ipv4_mapped": "dip is an IPv4 address in the notation of IPv6",
    "pathspider.invalid_job:dp_not_a_port": "dp is not a number from 1 to 65535",
    "pathspider.invalid_job:domain_not_a_string": "domain is not a string",
    "pathspider.invalid_job:domain_not_a_name": "domain cannot be a name in the DNS",
    "pathspider.local_error:<errno>": "our own kernel gave this error, before a packet left or instead of it",
    "pathspider.local_error:no_ipv4_source": "the interface has no IPv4 address to measure from",
    "pathspider.local_error:no_ipv6_source": "the interface has no IPv6 address to measure from",
    OTHER_INTERFACE: "the route to the target leads through another interface",
    NEW_SOURCE: "packets would leave from an address that was not there when the run began",
    LAB_ADDRESS: "the target is one of pspdr lab's, and this is not the lab",
    "pathspider.local_error:bad_dip": "dip cannot be connected to, as a plugin changed it",
    "pathspider.local_error:bad_dp": "dp cannot be connected to, as a plugin changed it",
    "pathspider.local_error:bad_domain": "the job's domain cannot stand in such a request",
    "pathspider.local_error:curl_<number>": "libcurl could not begin; its error number",
    ECN_SWITCHED: "a connection failed that asked for ECN, which another program has switched on",
    "pathspider.local_error:other_path": "a connection that asks for ECN would have taken another way than any other",
    "pathspider.local_error:paused": "the process or the machine stood still while a connection failed, twice",
    "pathspider.local_error:overloaded": "the machine was too busy to look in time while a connection failed, twice",
    "pathspider.local_error:capture_lost_packets": "the capture lost packets while this target was measured",
}
"""What can be said of the run itself whatever the plugin, with its meaning. ``<…>`` stands for a value.

Plugins declare their own conditions, beside their code: :attr:`~pathspider.base.PluggableSpider.conditions`.

:meta hide-value:
"""

PLACEHOLDERS = {"errno": "E[A-Z0-9]+|errno [0-9]+", "rcode": "[a-z][a-z0-9]*"}
"""What ``<…>`` may stand for, as a regular expression; for a number where the word is not among these."""


def matches(condition: str, declared: str, placeholders: Mapping[str, str] = PLACEHOLDERS) -> bool:
    """True if a condition is the declared one, values in the places of its ``<…>``."""
    return values(condition, declared, placeholders) is not None


def values(condition: str, declared: str,
           placeholders: Mapping[str, str] = PLACEHOLDERS) -> list[tuple[str, str]] | None:
    """What stands in the places of ``<…>``, each with its word; None where the condition is not the declared one."""
    literal, *rest = re.split(r"<([^>]*)>", declared)
    names, pattern = rest[::2], re.escape(literal)
    for place, (name, text) in enumerate(zip(names, rest[1::2], strict=True)):
        pattern += f"(?P<value{place}>{placeholders.get(name, '[0-9]+')})" + re.escape(text)
    found = re.fullmatch(pattern, condition)
    return None if found is None else [(name, found[f"value{place}"]) for place, name in enumerate(names)]
