"""Differentiated services codepoints. :rfc:`2474`"""

from __future__ import annotations

import argparse
import secrets
import socket
from collections.abc import Sequence

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dns import DNSChain
from pathspider.chains.dscp import DSCPChain
from pathspider.chains.handshake import HandshakeChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import (
    ECN_SWITCHED,
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    ecn_switched,
    handshake,
    handshake_conditions,
    response_conditions,
    seen_answered,
    succeeded,
)
from pathspider.helpers.sockets import SockOpts
from pathspider.network.configurations import Configuration
from pathspider.records import Flow
from pathspider.sync import SynchronizedSpider

DEFAULT_CODEPOINT = 46
"""Expedited forwarding. :rfc:`3246`"""

MARKS = 0x64000000
"""Marks of sockets (``SO_MARK``), one a run, are from here on upwards."""


class DSCP(SynchronizedSpider, PluggableSpider):
    """Does a DSCP codepoint break connectivity, and which codepoint do the replies carry?

    Each target gets one connection with codepoint 0 and one with the codepoint that is asked for. The codepoints are
    set by nftables rules in a table of our own, for our own connections alone, each by its own mark; the table is
    removed afterwards.

    Example: pspdr measure -i eth0 dscp --codepoint 42 <targets.ndjson >results.ndjson
    """

    name = "dscp"
    description = "Differentiated Services Codepoints"
    feature = "DSCP"
    questions = {"<codepoint>.replymark": "Which codepoint do replies carry?"}
    version = __version__
    chains = [BasicChain, TCPChain, DSCPChain]
    passive_chains = [BasicChain, HandshakeChain, DNSChain, DSCPChain]
    connect_supported = ["http", "tcp", "dnsudp", "dnstcp", "h3"]
    compares_responses = True
    located = {
        r"dscp\.\d+\.connectivity\.broken": ("dscp",),
        r"dscp\.(?!0\.)(\d+)\.replymark:(?!\1$|0$)\d+": ("dscp",),  # neither as it was sent, nor as most hosts reply
        r"dscp\.\d+\.connectivity\.works": ("dscp",),  # what is changed on the way shows on the path alone
    }
    conditions = {
        **connectivity_conditions("dscp.<codepoint>"),
        **response_conditions("dscp.<codepoint>", connect_supported),
        **handshake_conditions("dscp.<codepoint>"),
        "dscp.<codepoint>.replymark:<codepoint>": "codepoint of a reply to packets with the first codepoint",
        "pathspider.local_error:dscp_not_configured": "the packets that left had another codepoint",
    }

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--codepoint", type=codepoint, default=DEFAULT_CODEPOINT, metavar="[0-63]",
                            help=f"DSCP codepoint to send. (Default: {DEFAULT_CODEPOINT})")

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self.mark = MARKS | secrets.randbits(24)
        """Of our own sockets: other traffic of the machine, and other runs, keep their codepoints."""

    def config_zero(self) -> None:
        """Send best effort, also where another rule of the machine would mark our packets."""
        self.set_codepoint(0)

    def config_one(self) -> None:
        """Send the codepoint of the experiment."""
        self.set_codepoint(self.args.codepoint)

    configurations = [config_zero, config_one]

    def set_codepoint(self, codepoint: int) -> None:
        """Mark the packets of our own connections with ``codepoint`` from now on."""
        self.settings.nft([f"meta mark {self.mark:#x} {ip} dscp set {codepoint}" for ip in ("ip", "ip6")])

    def connection_configurations(self) -> Sequence[Configuration]:
        """The same for each connection by itself."""
        return [Configuration(dscp=0), Configuration(dscp=self.args.codepoint)]

    def sockopts(self, config: int) -> SockOpts:
        """In lock-step, one mark for all: the rule changes, not the mark."""
        return super().sockopts(config) or [(socket.SOL_SOCKET, socket.SO_MARK, self.mark)]

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        sent = (0, self.args.codepoint)
        if any(codepoints(flow, "fwd") != [codepoint] for flow, codepoint in zip(flows, sent, strict=True)):
            return ["pathspider.local_error:dscp_not_configured"]
        if any(succeeded(flow) and not codepoints(flow, "rev") for flow in flows):
            return [NOT_OBSERVED]  # there was a response, but the capture lost it
        baseline, experiment = flows
        tried = f"dscp.{self.args.codepoint}"
        found = [connectivity(tried, succeeded(baseline), succeeded(experiment)),
                 *handshake(tried, baseline, experiment)]
        for flow, codepoint in zip(flows, sent, strict=True):
            found += reply_marks(flow, codepoint)
        return list(dict.fromkeys(found))

    @classmethod
    def passive_conditions(cls, flow: Flow) -> list[str]:
        """The codepoints of replies to packets that had one and the same."""
        asked = codepoints(flow, "fwd")
        return reply_marks(flow, asked[0]) if len(asked) == 1 and seen_answered(flow) else []


def reply_marks(flow: Flow, sent: int) -> list[str]:
    """The codepoints of what came back to packets with the codepoint that was sent."""
    return [f"dscp.{sent}.replymark:{mark}" for mark in codepoints(flow, "rev")]


def codepoint(text: str) -> int:
    """An option's value as a codepoint, for argparse."""
    if not text.isdecimal() or int(text) > 63:
        raise argparse.ArgumentTypeError(f"{text}: a codepoint from 0 to 63 is needed")
    return int(text)


def codepoints(flow: Flow, way: str) -> list[int]:
    """The codepoints seen on a flow's packets in one direction (``fwd``, ``rev``), each once: the SYN's, the data's."""
    marks = (flow[f"dscp_mark_{kind}_{way}"] for kind in ("syn", "data"))
    return list(dict.fromkeys(mark for mark in marks if mark is not None))
