"""HTTP/2: h2c by Upgrade over plain TCP (:rfc:`7540` section 3.2), h2 by ALPN over TLS (:rfc:`9113`)."""

from __future__ import annotations

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
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
from pathspider.helpers.http import HTTP_1_1_REQUIRED
from pathspider.helpers.modes import connect
from pathspider.records import Connection, Flow, Job


class H2(DesynchronizedSpider, PluggableSpider):
    """Does asking for HTTP/2 break connectivity, and is it granted?

    Each target gets one GET request over HTTP/1.1 and one that asks for HTTP/2: with an Upgrade header for http, in the
    TLS handshake (ALPN) for https.

    Example: pspdr measure -i eth0 h2 --connect https <targets.ndjson >results.ndjson
    """

    name = "h2"
    description = "HTTP/2"
    feature = "Asking for HTTP/2"
    questions = {"upgrade": "Is HTTP/2 granted?"}
    version = __version__
    chains = [BasicChain, TCPChain]
    connect_supported = ["http", "https"]
    capabilities = ("CAP_NET_RAW",)
    compares_responses = True
    conditions = {
        **connectivity_conditions("h2"),
        **response_conditions("h2", connect_supported),
        "h2.upgrade.success": "the response came over HTTP/2",
        "h2.upgrade.failed": "the response did not come over HTTP/2, or none came",
        "h2.upgrade.failed:http11_required": "the server took up HTTP/2, and ended it by asking for HTTP/1.1",
    }

    def conn_no_h2(self, job: Job, config: int) -> Connection:
        """HTTP/1.1, and nothing else offered."""
        return self.request(job, "CURL_HTTP_VERSION_1_1")

    def conn_h2(self, job: Job, config: int) -> Connection:
        """HTTP/2 if the server wants, else HTTP/1.1."""
        return self.request(job, "CURL_HTTP_VERSION_2_0")

    connections = [conn_no_h2, conn_h2]

    def request(self, job: Job, version: str) -> Connection:
        """One GET request that asks for an HTTP version, by libcurl's name of it."""
        import pycurl  # noqa: PLC0415 - may cost seconds, see pathspider.helpers.http; the plugin's words cost none

        return connect(self.args.connect, self.source, job, self.args.timeout,
                       curlopts={pycurl.HTTP_VERSION: getattr(pycurl, version)}, curlinfos=[pycurl.INFO_HTTP_VERSION])

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        baseline, experiment = flows
        if any(answered(flow) and not flow["tcp_connected"] for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost the handshake
        found = [connectivity("h2", answered(baseline), answered(experiment))]
        if experiment["tcp_connected"]:  # otherwise nobody was asked
            found.append(f"h2.upgrade.{upgrade(experiment)}")
        return found


def wants_http_1_1(flow: Flow) -> bool:
    """True if the server ended HTTP/2 since it wants HTTP/1.1. :rfc:`9113`, section 7"""
    return flow.get("http2_error") == HTTP_1_1_REQUIRED


def answered(flow: Flow) -> bool:
    """True if a response came, or the server's word that it gives none over HTTP/2: the path is sound."""
    return succeeded(flow) or wants_http_1_1(flow)


def upgrade(flow: Flow) -> str:
    """What became of the offer of HTTP/2."""
    if wants_http_1_1(flow):
        return "failed:http11_required"
    return "success" if succeeded(flow) and flow.get("http_version") == "2" else "failed"
