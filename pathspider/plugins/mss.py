"""TCP maximum segment size: which value arrives here. :rfc:`9293` section 3.7.1"""

from __future__ import annotations

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.handshake import HandshakeChain
from pathspider.chains.mss import MSS_LENGTH, MSSChain
from pathspider.chains.tcp import TCPChain, has_syn_ack
from pathspider.conditions import ECN_SWITCHED, NOT_OBSERVED, all_observed, ecn_switched, succeeded
from pathspider.records import Flow
from pathspider.single import SingleSpider


class MSS(SingleSpider, PluggableSpider):
    """Which maximum segment size does the target's SYN-ACK carry when it arrives here?

    Each target gets one connection. The value that was received is compared with the one that was sent, which follows
    from the local MTU: a lower one may have been clamped on the path, a higher one may be unsafe.

    Example: pspdr measure -i eth0 mss --connect tcp <targets.ndjson >results.ndjson
    """

    name = "mss"
    description = "TCP Maximum Segment Size"
    questions = {
        "option.received": "Does the MSS arrive as it was sent?",
        "connectivity": "Which connections come up?",
        "option.remote.value": "Which MSS arrives?",
        "option.local.value": "Which MSS was sent?",
    }
    version = __version__
    chains = [BasicChain, TCPChain, MSSChain]
    passive_chains = [BasicChain, TCPChain, HandshakeChain, MSSChain]
    connect_supported = ["tcp", "http", "https", "dnstcp"]
    capabilities = ("CAP_NET_RAW",)
    located = {r"mss\.option\.received\.(absent|malformed|inflated|deflated)": ("mss",)}
    conditions = {
        "mss.connectivity.online": "the connection came up",
        "mss.connectivity.offline": "the connection did not come up",
        "mss.option.local.value:<bytes>": "the MSS that was sent",
        "mss.option.remote.value:<bytes>": "the MSS that arrived",
        "mss.option.received.absent": "the SYN-ACK came without the option",
        "mss.option.received.malformed": "the option that arrived is not four octets long",
        "mss.option.received.unchanged": "the MSS that arrived is the local one",
        "mss.option.received.inflated": "the MSS that arrived is greater than the local one",
        "mss.option.received.deflated": "the MSS that arrived is lower than the local one",
    }

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        (flow,) = flows
        if succeeded(flow) and not has_syn_ack(flow):
            return [NOT_OBSERVED]  # it came up, but the capture lost the packet that shows how
        return [f"mss.connectivity.{'online' if succeeded(flow) else 'offline'}", *option_values(flow)]

    @classmethod
    def passive_conditions(cls, flow: Flow) -> list[str]:
        """The values of a handshake that was seen whole, options included."""
        return option_values(flow) if flow["handshake_whole"] else []


def option_values(flow: Flow) -> list[str]:
    """The values of both directions, where there was a response, and how the received one compares."""
    if not has_syn_ack(flow):
        return []
    local, remote, length = flow["mss_value_fwd"], flow["mss_value_rev"], flow["mss_len_rev"]
    values = [f"mss.option.{side}.value:{value}" for side, value in (("local", local), ("remote", remote))
              if value is not None]
    if length is None:
        return [*values, "mss.option.received.absent"]
    if length != MSS_LENGTH:
        values.append("mss.option.received.malformed")
    if local is None or remote is None:
        return values  # nothing to compare with
    verdict = "unchanged" if remote == local else "inflated" if remote > local else "deflated"
    return [*values, f"mss.option.received.{verdict}"]
