"""Options for UDP, behind the user data. :rfc:`9868`"""

from __future__ import annotations

import struct
from typing import Any

from scapy.packet import Packet, Raw

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.base import Chain, Field
from pathspider.chains.basic import BasicChain
from pathspider.chains.dns import DNSChain
from pathspider.conditions import (
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    response_conditions,
    succeeded,
)
from pathspider.forge import ForgeSpider
from pathspider.helpers.segments import ones_complement_sum
from pathspider.libtrace import IP, IP6
from pathspider.records import Conn, Flow, Job

UDP_HEADER_BYTES = 8

OPTION_MDS = 4
"""Maximum datagram size: the largest datagram that can be received. A receiver must know it; it asks for nothing."""

MDS_OPTION = struct.pack("!BBH", OPTION_MDS, 4, 1452)
"""A value that fits IPv6 over Ethernet."""


def surplus_area(payload_bytes: int, options: bytes) -> bytes:
    """The area behind the user data: padding to an even offset, option checksum (OCS), options.

    The OCS is the Internet checksum of the area and of its length, so that a device which wrongly sums the whole IP
    payload, with its length, gets the same UDP checksum. 0 means "none" and is sent as 0xFFFF.

    :param payload_bytes: length of the user data
    """
    padding = bytes(payload_bytes % 2)
    length = len(padding) + 2 + len(options)
    checksum = (0xFFFF - ones_complement_sum(options, length)) or 0xFFFF
    return padding + struct.pack("!H", checksum) + options


def with_options(datagram: Packet, options: bytes) -> Packet:
    """A Scapy UDP datagram with a surplus area behind its user data."""
    data = bytes(datagram.payload)
    extended = datagram.copy()
    extended.remove_payload()
    extended.len = UDP_HEADER_BYTES + len(data)
    return extended / Raw(data + surplus_area(len(data), options))


class SurplusChain(Chain):
    """Whether datagrams had bytes between the end of the UDP user data and the end of the IP packet."""

    fields = {
        "udp_surplus_fwd": Field(int, None, "Most surplus bytes of a datagram in the forward direction"),
        "udp_surplus_rev": Field(int, None, "Most surplus bytes of a datagram in the reverse direction"),
    }

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Records the surplus of an IPv4 packet."""
        if ip.udp is not None and not ip.frag_offset and not ip.has_mf:
            note(rec, ip.pkt_len - ip.hdr_len * 4 - ip.udp.len, rev)
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Records the surplus of an IPv6 packet without extension headers."""
        if ip.udp is not None and ip.next_hdr == ip.proto:
            note(rec, ip.payload_len - ip.udp.len, rev)
        return True


def note(rec: dict[str, Any], surplus: int, rev: bool) -> None:
    """Note the surplus of one datagram in a flow record."""
    name = "udp_surplus_rev" if rev else "udp_surplus_fwd"
    rec[name] = max(rec[name] or 0, surplus)


class UDPOpts(ForgeSpider, PluggableSpider):
    """Do UDP options break connectivity?

    Each target gets two forged DNS queries over UDP, a plain one and one with an option (maximum datagram size) in the
    surplus area behind the user data: the UDP length is shorter than what the IP packet carries.

    Example: pspdr measure -i eth0 udpopts --connect dnsudp <targets.ndjson >results.ndjson
    """

    name = "udpopts"
    description = "UDP Options Trailer"
    feature = "A UDP options trailer"
    version = __version__
    chains = [BasicChain, DNSChain, SurplusChain]
    connect_supported = ["dnsudp"]
    capabilities = ("CAP_NET_RAW",)
    packets = 2
    located = {r"udpopts\.connectivity\.(broken|works)": ("surplus",)}  # stripped options show on the path alone
    compares_responses = True
    conditions = {
        **connectivity_conditions("udpopts"),
        **response_conditions("udpopts", connect_supported),
        "pathspider.local_error:surplus_not_as_forged": "the surplus that left was not as forged",
    }

    def forge(self, job: Job, seq: int) -> Any:
        datagram = self.dns_query(job)
        if seq == 1:
            datagram = with_options(datagram, MDS_OPTION)
        return self.ip_header(job) / datagram

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        return self.dns_answer(packet, reply)

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        baseline, experiment = flows
        if baseline["udp_surplus_fwd"] != 0 or not experiment["udp_surplus_fwd"]:
            return ["pathspider.local_error:surplus_not_as_forged"]
        if any(succeeded(flow) and not flow["dns_response_valid"] for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost it
        return [connectivity("udpopts", succeeded(baseline), succeeded(experiment))]
