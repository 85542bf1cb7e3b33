"""Verdicts that more than one plugin reaches.

A path's fault and our own are kept apart here: what the network did becomes a plugin's condition, what we failed to do
or to see becomes a ``pathspider.*`` condition, and never the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pathspider.records import CONN_OK, CONN_SKIPPED, Connection, Flow

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


def local_errors(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.local_error:…`` for each kind of fault of our own machine, in order of appearance."""
    errors = [str(connection["local_error"]) for connection in connections if connection.get("local_error")]
    return [f"pathspider.local_error:{error}" for error in dict.fromkeys(errors)]


def skipped(connections: Sequence[Connection]) -> list[str]:
    """One ``pathspider.skipped:…`` for each reason why a connection was not attempted, in order of appearance."""
    reasons = [
        str(connection.get("skipped", "not_applicable"))
        for connection in connections
        if connection["spdr_state"] == CONN_SKIPPED and not connection.get("local_error")
    ]
    return [f"{SKIPPED}:{reason}" for reason in dict.fromkeys(reasons)]


CAPTURE_LOST = "pathspider.local_error:capture_lost_packets"
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
        "h2.upgrade.failed": "it did not",
    },
    "mss": {
        "mss.connectivity.online": "the connection came up",
        "mss.connectivity.offline": "it did not",
        "mss.option.local.value:<bytes>": "the MSS that was sent",
        "mss.option.remote.value:<bytes>": "the MSS that arrived",
        "mss.option.received.absent": "the SYN-ACK came without the option",
        "mss.option.received.unchanged": "the MSS that arrived is the local one",
        "mss.option.received.inflated": "it is greater",
        "mss.option.received.deflated": "it is lower",
    },
    "tfo": {
        **_connectivity("tfo"),
        "tfo.cookie.received": "the third SYN carried a cookie",
        "tfo.cookie.not_received": "it carried none",
        "tfo.syndata.acked": "the SYN-ACK acknowledged SYN and data",
        "tfo.syndata.not_acked": "the SYN-ACK acknowledged the SYN alone",
        "tfo.syndata.failed": "no SYN-ACK came to the SYN with data",
    },
    "udpopts": _connectivity("udpopts"),
    "udpzero": _connectivity("udpzero"),
}
"""Every condition of every plugin that comes with PATHspider, with its meaning. ``<…>`` stands for a number."""


def matches(condition: str, documented: str) -> bool:
    """True if a condition is the documented one, numbers in the places of its ``<…>``."""
    pattern = re.sub(r"<[^>]*>", r"[0-9]+", documented.replace(".", r"\."))
    return re.fullmatch(pattern, condition) is not None
