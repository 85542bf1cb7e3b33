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
    succeeded,
)
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.modes import connect
from pathspider.records import Connection, Flow, Job

SWITCHING_PROTOCOLS = 101
"""The last status that was read is this one if the server agreed to HTTP/2 and then sent no response in it."""


class H2(DesynchronizedSpider, PluggableSpider):
    """Does asking for HTTP/2 break connectivity, and is it granted?

    Each target gets one GET request over HTTP/1.1 and one that asks for HTTP/2: with an Upgrade header for http, in the
    TLS handshake (ALPN) for https.

    Example: pspdr measure -i eth0 h2 --connect https <targets.ndjson >results.ndjson
    """

    name = "h2"
    description = "HTTP/2"
    version = __version__
    chains = [BasicChain, TCPChain]
    connect_supported = ["http", "https"]
    capabilities = ("CAP_NET_RAW",)
    conditions = {
        **connectivity_conditions("h2"),
        "h2.upgrade.success": "the response came over HTTP/2",
        "h2.upgrade.failed": "the response did not come over HTTP/2, or none came",
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
        if any(responded(flow) and not flow["tcp_connected"] for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost the handshake
        found = [connectivity("h2", responded(baseline), responded(experiment))]
        if experiment["tcp_connected"]:  # otherwise nobody was asked
            granted = responded(experiment) and experiment.get("http_version") == "2"
            found.append(f"h2.upgrade.{'success' if granted else 'failed'}")
        return found


def responded(flow: Flow) -> bool:
    """True if a response to the request itself came."""
    return succeeded(flow) and flow.get("http_status") != SWITCHING_PROTOCOLS
