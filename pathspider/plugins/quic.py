"""QUIC: is HTTP/3 reachable where HTTPS is, and do ECN and the spin bit work over it? :rfc:`9000`, :rfc:`9114`"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.quic import QUICChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import (
    ECN_SWITCHED,
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    ecn_switched,
    response_conditions,
    succeeded,
)
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.modes import connect
from pathspider.helpers.optional import require_aioquic
from pathspider.helpers.quic import connect_quic
from pathspider.records import Connection, Flow, Job

NOT_AS_SENT = "pathspider.local_error:not_as_sent"

ANSWERS = {
    "response": "an HTTP response came over HTTP/3",
    "handshake": "the QUIC handshake was completed, and no response came until the time was over",
    "closed:<error>": "the server ended the connection with this error (RFC 9000, section 20; RFC 9114, section 8.1)",
    "unusable": "what the server sent is none that the client can go on with",
    "other_version": "the server speaks QUIC in none of the versions that the client speaks, 1 and 2",
    "icmp": "an ICMP error came",
    "none": "no QUIC came back until the time was over",
}

ECN = {
    "validates": "the server counted what it acknowledged of the packets with ECT(0), as ECT(0) or, in part, as CE",
    "no_mirroring": "it acknowledged packets with ECT(0) and said nothing of ECN",
    "undercount": "it counted fewer marks than it acknowledged packets with ECT(0)",
    "remarked": "it counted ECT(1), which was not sent",
    "all_ce": "it counted CE on all packets that were sent with ECT(0)",
    "broken": "it acknowledged none of the packets with ECT(0), and one without it afterwards",
    "unclear": "it acknowledged none of the packets with ECT(0), and none behind them",
}
"""What a server says of 10 packets with ECT(0), in the words of RFC 9000, section 13.4.2."""

ALT_SVC = {
    "h3": "the response over TCP said that there is HTTP/3 (RFC 7838)",
    "none": "the response over TCP said nothing of HTTP/3",
}

SPIN = {
    "used": "each packet that acknowledged another had that one's spin bit",
    "unused": "they had not",
}

LEAST_SPINS = 8
"""Packets whose spin bit came back; of servers that throw coins, one in 256 looks like one that spins."""

H3_SERVICE = re.compile(r"(?:^|,)\s*h3\s*=")
"""In the value of Alt-Svc; drafts of HTTP/3 have other names."""

VERSIONS = {1: "1", 0x6B3343CF: "2"}
"""As conditions call them. :rfc:`9369`"""


class QUIC(DesynchronizedSpider, PluggableSpider):
    """Is HTTP/3 reachable where HTTPS is, and do ECN and the spin bit work over QUIC?

    Each target gets a GET request over TLS and TCP, and one over HTTP/3, with ten packets with ECT(0) behind it.

    Needs the Python package aioquic. Example: pspdr measure -i eth0 quic <targets.ndjson >results.ndjson
    """

    name = "quic"
    description = "QUIC and HTTP/3"
    feature = "HTTP/3"
    questions = {
        "alt_svc": "Does the response over TCP tell of HTTP/3?",
        "ecn": "Does ECN over QUIC validate?",
        "spin": "Is the spin bit used?",
    }
    version = __version__
    chains = [BasicChain, TCPChain, QUICChain]
    connect_supported = ["https"]
    capabilities = ("CAP_NET_RAW",)
    compares_responses = True
    suspects = ("quic.ecn.broken",)
    located = {
        r"quic\.ecn\.(broken|no_mirroring|undercount|remarked|all_ce)": ("ecn",),
        r"quic\.connectivity\.broken": ("proto",),
    }
    conditions = {
        **connectivity_conditions("quic"),
        **response_conditions("quic", connect_supported),
        **{f"quic.alt_svc.{word}": meaning for word, meaning in ALT_SVC.items()},
        **{f"quic.answer.{word}": meaning for word, meaning in ANSWERS.items()},
        "quic.version:<version>": "the version of QUIC that was spoken",
        **{f"quic.ecn.{word}": meaning for word, meaning in ECN.items()},
        **{f"quic.spin.{word}": meaning for word, meaning in SPIN.items()},
        NOT_AS_SENT: "datagrams left with other ECN marks than they had to, or the capture says so",
    }
    placeholders = {"version": "1|2|0x[0-9a-f]{8}", "error": "0x[0-9a-f]+"}

    @classmethod
    def require(cls, args: argparse.Namespace) -> None:
        require_aioquic("the plugin quic")
        import pathspider.helpers.quic_connection  # noqa: F401, PLC0415 - it takes its time, and connections have none

    def conn_https(self, job: Job, config: int) -> Connection:
        """HTTP/1.1 over TLS, and whether the response tells of HTTP/3."""
        connection = connect("https", self.source, job, self.args.timeout, response=True)
        if succeeded(dict(connection)):
            connection["quic_alt_svc"] = tells_of_h3(connection.pop("http_headers"))
            del connection["http_body"]
        return connection

    def conn_h3(self, job: Job, config: int) -> Connection:
        """HTTP/3, and packets with ECT(0)."""
        return connect_quic(self.source, job, self.args.timeout)

    connections = [conn_https, conn_h3]

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        baseline, experiment = flows
        if lost(experiment) or (succeeded(baseline) and not baseline["tcp_connected"]):
            return [NOT_OBSERVED]
        if not left_as_sent(experiment):
            return [NOT_AS_SENT]
        found = [connectivity("quic", succeeded(baseline), succeeded(experiment)), answer(experiment)]
        if succeeded(baseline):
            found.append(f"quic.alt_svc.{'h3' if baseline['quic_alt_svc'] else 'none'}")
        if (version := experiment.get("quic_version")) is not None:
            found.append(f"quic.version:{VERSIONS.get(version, f'{version:#010x}')}")
        return [*found, *ecn(experiment), *spin(experiment)]


def tells_of_h3(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether one of these header fields names an alternative service with HTTP/3. :rfc:`7838`, section 3"""
    return any(name == "alt-svc" and H3_SERVICE.search(value) for name, value in headers)


def answer(flow: Flow) -> str:
    """The condition that says what came back."""
    return f"{QUIC.name}.answer.{flow['quic_answer']}"


def lost(flow: Flow) -> bool:
    """Whether the capture lost of QUIC what the connection says that there was."""
    return (flow["quic_version_fwd"] is None or (succeeded(flow) and flow["quic_version_rev"] is None)
            or (flow["quic_ect0_fwd"] < flow.get("quic_marked", 0) and bool(flow["quic_ect0_fwd"])))


def left_as_sent(flow: Flow) -> bool:
    """Whether as many datagrams left with ECT(0) as had to, and none with another mark."""
    return bool(flow["quic_ect0_fwd"] == flow.get("quic_marked", 0)
                and not flow["quic_ect1_fwd"] and not flow["quic_ce_fwd"])


def ecn(flow: Flow) -> Iterator[str]:
    """What the server said of marks, where there were any. :rfc:`9000`, section 13.4.2.1"""
    if "quic_marked" not in flow:
        return
    acknowledged, counts = flow["quic_marked_acked"], flow["quic_counts"]
    if not acknowledged:
        word = "broken" if flow.get("quic_unmarked_acked") else "unclear"
    elif counts is None:
        word = "no_mirroring"
    else:
        ect0, ect1, ce = counts
        word = ("remarked" if ect1 > 0 else "undercount" if ect0 + ce < acknowledged
                else "all_ce" if ce and ect0 <= 0 else "validates")
    yield f"quic.ecn.{word}"


def spin(flow: Flow) -> Iterator[str]:
    """Whether the server did its part for the spin bit. :rfc:`9000`, section 17.4"""
    pairs = [one for one in flow.get("quic_spins", "").split(",") if one]
    if len(pairs) >= LEAST_SPINS:
        yield f"quic.spin.{'used' if {*pairs} == {'00', '11'} else 'unused'}"
