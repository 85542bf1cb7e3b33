"""UDP without a checksum. :rfc:`768`"""

from __future__ import annotations

from typing import Any

from scapy.packet import Packet

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dns import DNSChain
from pathspider.chains.udp import UDPChain
from pathspider.conditions import (
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    response_conditions,
    succeeded,
)
from pathspider.forge import ForgeSpider
from pathspider.helpers.sockets import is_ipv6
from pathspider.records import Conn, Flow, Job


class UDPZero(ForgeSpider, PluggableSpider):
    """Does a UDP checksum of zero break connectivity?

    Each target gets two forged DNS queries over UDP, one with its checksum and one without. Over IPv6 the checksum is
    no option (RFC 8200, section 8.1), and hosts drop what has none: a target with an IPv6 address is skipped, and its
    record says so.

    Example: pspdr measure -i eth0 udpzero --connect dnsudp <targets.ndjson >results.ndjson
    """

    name = "udpzero"
    description = "UDP Zero Checksum"
    feature = "A UDP checksum of zero"
    version = __version__
    chains = [BasicChain, UDPChain, DNSChain]
    connect_supported = ["dnsudp"]
    capabilities = ("CAP_NET_RAW",)
    packets = 2
    located = {r"udpzero\.connectivity\.broken": ("checksum",)}
    compares_responses = True
    conditions = {
        **connectivity_conditions("udpzero"),
        **response_conditions("udpzero", connect_supported),
        "pathspider.skipped:ipv6_requires_udp_checksum": "the target's address is IPv6",
        "pathspider.local_error:checksum_not_as_forged": "the checksums that left were not as forged",
    }

    def not_applicable(self, job: Job) -> str | None:
        return "ipv6_requires_udp_checksum" if is_ipv6(job["dip"]) else None

    def forge(self, job: Job, seq: int) -> Any:
        checksum = {"chksum": 0} if seq == 1 else {}
        return self.ip_header(job) / self.dns_query(job, **checksum)

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        return self.dns_answer(packet, reply)

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        baseline, experiment = flows
        if (baseline["udp_zero_checksum_fwd"], experiment["udp_zero_checksum_fwd"]) != (False, True):
            return ["pathspider.local_error:checksum_not_as_forged"]
        if any(succeeded(flow) and not flow["dns_response_valid"] for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost it
        return [connectivity("udpzero", succeeded(baseline), succeeded(experiment))]
