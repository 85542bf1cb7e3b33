"""The evil bit: the reserved flag in the IPv4 header. :rfc:`3514`"""

from __future__ import annotations

from typing import Any

from scapy.packet import Packet

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dns import DNSChain
from pathspider.chains.evil import EvilChain
from pathspider.chains.handshake import HandshakeChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import (
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    response_conditions,
    seen_answered,
    succeeded,
)
from pathspider.forge import ForgeSpider
from pathspider.helpers.sockets import is_ipv6
from pathspider.records import Conn, Flow, Job

DONT_FRAGMENT, EVIL_BIT = 0b010, 0b100
"""The flags field of the IPv4 header."""


class EvilBit(ForgeSpider, PluggableSpider):
    """Does the evil bit break connectivity, and is it seen on the way back?

    Each target gets two forged packets, without and with the evil bit: the SYN of a TCP handshake, or a DNS query over
    UDP. The IPv6 header has no such bit: a target with an IPv6 address is skipped, and its record says so.

    Example: pspdr measure -i eth0 evilbit --connect dnsudp <targets.ndjson >results.ndjson
    """

    name = "evilbit"
    description = "Evil Bit"
    feature = "The evil bit"
    questions = {"mark": "Do packets come back with the evil bit?"}
    version = __version__
    chains = [BasicChain, TCPChain, DNSChain, EvilChain]
    passive_chains = [BasicChain, HandshakeChain, DNSChain, EvilChain]
    connect_supported = ["tcp", "dnsudp"]
    packets = 2
    located = {r"evilbit\.connectivity\.(broken|works)": ("evil",)}  # that it is cleared shows on the path alone
    compares_responses = True
    conditions = {
        **connectivity_conditions("evilbit"),
        **response_conditions("evilbit", connect_supported),
        "evilbit.mark.seen": "packets that came back had the evil bit set",
        "evilbit.mark.not_seen": "packets came back, without the evil bit",
        "pathspider.skipped:ipv6_has_no_evil_bit": "the target's address is IPv6",
        "pathspider.local_error:evil_bit_not_as_forged": "the bit was not on the packets as forged",
    }

    def not_applicable(self, job: Job) -> str | None:
        return "ipv6_has_no_evil_bit" if is_ipv6(job["dip"]) else None

    def forge(self, job: Job, seq: int) -> Any:
        header = self.ip_header(job, flags=DONT_FRAGMENT | (EVIL_BIT if seq == 1 else 0))
        return header / (self.tcp_syn(job) if self.args.connect == "tcp" else self.dns_query(job))

    def judge(self, job: Job, packet: Packet, reply: bytes) -> Conn | None:
        if self.args.connect == "dnsudp":
            return self.dns_answer(packet, reply)
        return super().judge(job, packet, reply)

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        baseline, experiment = flows
        if (seen(baseline, "fwd"), seen(experiment, "fwd")) != (False, True):
            return ["pathspider.local_error:evil_bit_not_as_forged"]
        if any(succeeded(flow) and seen(flow, "rev") is None for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost it
        return [connectivity("evilbit", succeeded(baseline), succeeded(experiment)), *reply_mark(experiment)]

    @classmethod
    def passive_conditions(cls, flow: Flow) -> list[str]:
        """Whether replies to packets with the bit had it."""
        return reply_mark(flow) if seen(flow, "fwd") and seen_answered(flow) else []


def reply_mark(flow: Flow) -> list[str]:
    """Whether what came back had the bit; nothing where nothing came."""
    mark = seen(flow, "rev")
    return [] if mark is None else [f"evilbit.mark.{'seen' if mark else 'not_seen'}"]


def seen(flow: Flow, way: str) -> bool | None:
    """Whether a packet of one direction (``fwd``, ``rev``) carried the evil bit; None if none was seen at all."""
    marks = [flow[f"evilbit_{kind}_{way}"] for kind in ("syn", "data")]
    return None if marks == [None, None] else any(marks)
