"""Verdicts that more than one plugin reaches.

A path's fault and our own are kept apart here: what the network did becomes a plugin's condition, what we failed to do
or to see becomes a ``pathspider.*`` condition, and never the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pathspider.records import CONN_OK, CONN_SKIPPED, Connection, Flow, Record

NOT_OBSERVED = "pathspider.not_observed"
"""A flow that a conclusion needs was not observed, so there is no conclusion."""
NOT_MEASURED = "pathspider.not_measured"
"""The run ended before this job was measured."""
INVALID_JOB = "pathspider.invalid_job"
"""The job cannot be measured as it stands; what is wrong follows after a colon."""
BLOCKLISTED = "pathspider.blocklisted"
"""The target is in a network that asked not to be measured."""
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


def succeeded(flow: Flow) -> bool:
    """True if the connection of this flow came up."""
    return bool(flow["spdr_state"] == CONN_OK)


LOCAL_ERROR = "pathspider.local_error:"
"""Our own machine failed; how follows."""


def local_reasons(found: Sequence[str]) -> list[str]:
    """What our own machine did wrong, from a record's conditions."""
    return [condition.removeprefix(LOCAL_ERROR) for condition in found if condition.startswith(LOCAL_ERROR)]


def is_unfinished(record: Record) -> bool:
    """True for a record without a verdict that a second try could give: the run had ended, or our machine failed."""
    found = record.get("conditions", [])
    return NOT_MEASURED in found or bool(local_reasons(found))


def local_errors(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.local_error:…`` for each kind of fault of our own machine, in order of appearance."""
    errors = [str(connection["local_error"]) for connection in connections if connection.get("local_error")]
    return [f"{LOCAL_ERROR}{error}" for error in dict.fromkeys(errors)]


def skipped(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.skipped:…`` for each reason why a connection was not attempted, in order of appearance."""
    reasons = [
        str(connection.get("skipped", "not_applicable"))
        for connection in connections
        if connection["spdr_state"] == CONN_SKIPPED and not connection.get("local_error")
    ]
    return [f"{SKIPPED}:{reason}" for reason in dict.fromkeys(reasons)]


CAPTURE_LOST = f"{LOCAL_ERROR}capture_lost_packets"
"""The capture lost packets while this job was measured; what it did not see may have been there."""


def missed_flows(count: int) -> list[str]:
    """What to say of ``count`` flows that were expected and not observed: nothing when it is 0."""
    return [NOT_OBSERVED, f"pathspider.missed_flows:{count}"] if count else []


CONNECTIVITY = {
    "works": "both connections came up",
    "broken": "the baseline came up, the experiment did not",
    "transient": "the experiment came up, the baseline did not",
    "offline": "neither came up",
}


def _connectivity(name: str) -> dict[str, str]:
    return {f"{name}.connectivity.{word}": meaning for word, meaning in CONNECTIVITY.items()}


DOCUMENTED: dict[str, dict[str, str]] = {
    "dscp": {
        **_connectivity("dscp.<codepoint>"),
        "dscp.<codepoint>.replymark:<codepoint>": "codepoint of a reply to packets with the first codepoint",
    },
    "ecn": {
        **_connectivity("ecn"),
        "ecn.negotiation.succeeded": "the SYN-ACK had ECE alone",
        "ecn.negotiation.reflected": "the SYN-ACK had ECE and CWR, the flags of the SYN",
        "ecn.negotiation.failed": "the SYN-ACK had any other flags",
        **{f"ecn.ipmark.{mark}.{word}": f"{codepoint} {meaning} on packets that came back"
           for mark, codepoint in (("ect0", "ECT(0)"), ("ect1", "ECT(1)"), ("ce", "CE"))
           for word, meaning in (("seen", "was seen"), ("not_seen", "was not seen"))},
    },
    "evilbit": {
        **_connectivity("evilbit"),
        "evilbit.mark.seen": "packets that came back had the evil bit set",
        "evilbit.mark.not_seen": "packets came back, without the evil bit",
    },
    "h2": {
        **_connectivity("h2"),
        "h2.upgrade.success": "the response came over HTTP/2",
        "h2.upgrade.failed": "the response did not come over HTTP/2, or none came",
    },
    "mss": {
        "mss.connectivity.online": "the connection came up",
        "mss.connectivity.offline": "the connection did not come up",
        "mss.option.local.value:<bytes>": "the MSS that was sent",
        "mss.option.remote.value:<bytes>": "the MSS that arrived",
        "mss.option.received.absent": "the SYN-ACK came without the option",
        "mss.option.received.unchanged": "the MSS that arrived is the local one",
        "mss.option.received.inflated": "the MSS that arrived is greater than the local one",
        "mss.option.received.deflated": "the MSS that arrived is lower than the local one",
    },
    "tfo": {
        **_connectivity("tfo"),
        "tfo.cookie.received": "the third SYN carried a cookie",
        "tfo.cookie.not_received": "the third SYN carried no cookie",
        "tfo.syndata.acked": "the SYN-ACK acknowledged SYN and data",
        "tfo.syndata.not_acked": "the SYN-ACK acknowledged the SYN, and not all of the data",
        "tfo.syndata.failed": "no SYN-ACK came to the SYN with data",
    },
    "udpopts": _connectivity("udpopts"),
    "udpzero": _connectivity("udpzero"),
}
"""Every condition of every plugin that comes with PATHspider and observes, with its meaning; the lab shows each.
``<…>`` stands for a value, see :data:`PLACEHOLDERS`.

:meta hide-value:
"""

WITHOUT_OBSERVATION: dict[str, dict[str, str]] = {
    "pathspider": {
        "pathspider.not_observed": "what a conclusion needs was not seen: the capture missed a flow or a packet of it, "
                                   "or (tfo) the path loses first SYNs of any kind",
        "pathspider.missed_flows:<count>": "so many flows of this target were not observed",
        "pathspider.not_measured": "the run ended before this target was measured",
        "pathspider.blocklisted": "the target is in a network of the blocklist",
        "pathspider.skipped:ipv6_has_no_evil_bit": "evilbit: the target's address is IPv6",
        "pathspider.skipped:ipv6_requires_udp_checksum": "udpzero: the target's address is IPv6",
        "pathspider.skipped:not_applicable": "a plugin skipped the target without a reason of its own",
        "pathspider.invalid_job:dip_missing": "the job has no dip",
        "pathspider.invalid_job:dip_not_an_address": "dip is not a numeric address",
        "pathspider.invalid_job:dip_has_a_zone": "dip names an interface (fe80::1%eth0)",
        "pathspider.invalid_job:dip_not_unicast": "dip is a multicast or the unspecified address",
        "pathspider.invalid_job:dip_is_ipv4_mapped": "dip is an IPv4 address in the notation of IPv6",
        "pathspider.invalid_job:dp_not_a_port": "dp is not a number from 1 to 65535",
        "pathspider.invalid_job:domain_not_a_string": "domain is not a string",
        "pathspider.invalid_job:domain_missing": "dnsresolv: the job has no name to resolve",
        "pathspider.local_error:<errno>": "our own kernel gave this error, before a packet left or instead of it",
        "pathspider.local_error:no_ipv4_source": "the interface has no IPv4 address to measure from",
        "pathspider.local_error:no_ipv6_source": "the interface has no IPv6 address to measure from",
        "pathspider.local_error:bad_dip": "dip cannot be connected to, as a plugin changed it",
        "pathspider.local_error:bad_dp": "dp cannot be connected to, as a plugin changed it",
        "pathspider.local_error:bad_domain": "the job's domain cannot stand in a request",
        "pathspider.local_error:curl_<number>": "libcurl could not begin; its error number",
        "pathspider.local_error:paused": "the process or the machine stood still while a connection failed, twice",
        "pathspider.local_error:overloaded": "the machine was too busy to look in time while a connection failed, "
                                             "twice",
        "pathspider.local_error:capture_lost_packets": "the capture lost packets while this target was measured",
        "pathspider.local_error:ecn_not_configured": "ecn: the SYNs that left were not as configured",
        "pathspider.local_error:dscp_not_configured": "dscp: the packets that left had another codepoint",
        "pathspider.local_error:tfo_not_configured": "tfo: the SYNs that left lacked the option asked for",
        "pathspider.local_error:evil_bit_not_as_forged": "evilbit: the bit was not on the packets as forged",
        "pathspider.local_error:checksum_not_as_forged": "udpzero: the checksums that left were not as forged",
        "pathspider.local_error:surplus_not_as_forged": "udpopts: the surplus that left was not as forged",
    },
    "dnsresolv": {
        "dnsresolv.unresolved:nxdomain": "the name does not exist",
        "dnsresolv.unresolved:nodata": "the name exists and has no address",
        "dnsresolv.unresolved:timeout": "no resolver answered in time",
        "dnsresolv.unresolved:unreachable": "no resolver could be reached",
        "dnsresolv.unresolved:invalid": "the answer is not a response to the question",
        "dnsresolv.unresolved:bad_domain": "the job's domain is not a name that can be asked for",
        "dnsresolv.unresolved:<rcode>": "the response code of the answer, such as servfail or refused",
        "dnsresolv.unresolved:blocklisted": "every address that was found is in a network of the blocklist",
        "dnsresolv.unresolved:no_target": "no address that was found can be measured",
    },
}
"""The conditions that speak of the run itself (``pathspider``), and those of plugins that observe nothing.

:meta hide-value:
"""

PLACEHOLDERS = {"errno": "(E[A-Z0-9]+|errno [0-9]+)", "rcode": "[a-z0-9]+"}
"""What ``<…>`` may stand for, as a regular expression; for a number where the word is not among these."""


def matches(condition: str, documented: str) -> bool:
    """True if a condition is the documented one, values in the places of its ``<…>``."""
    literal, *rest = re.split(r"<([^>]*)>", documented)
    pattern = re.escape(literal)
    for name, text in zip(rest[::2], rest[1::2], strict=True):
        pattern += PLACEHOLDERS.get(name, "[0-9]+") + re.escape(text)
    return re.fullmatch(pattern, condition) is not None
