"""A SingleSpider: one ordinary connection, and all that is learned lies in what comes back."""

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.dscp import DSCPChain
from pathspider.chains.example_chain import ExampleChainChain
from pathspider.conditions import NOT_OBSERVED, all_observed, succeeded
from pathspider.single import SingleSpider


class ExampleChainPlugin(SingleSpider, PluggableSpider):
    """Which DSCP does the target's answer carry when it arrives?

    Example: pspdr measure -i eth0 example_chain --connect https <targets.ndjson >results.ndjson
    """

    name = "example_chain"
    description = "DSCP of answers"
    version = "0.1.0"
    chains = [BasicChain, DSCPChain, ExampleChainChain]
    connect_supported = ["tcp", "http", "https", "dnstcp"]  # the first is the default
    conditions = {  # each with its meaning; <...> stands for a number
        "example_chain.connectivity.online": "the connection came up",
        "example_chain.connectivity.offline": "the connection did not come up",
        "example_chain.dscp:<codepoint>": "the codepoint that the answer carried when it arrived",
        "example_chain.hops:<hops>": "routers that the answer came through",
    }

    def combine_flows(self, flows):
        """The conditions of one target, from its one flow: what the connection told, and the chains' fields."""
        if not all_observed(flows):
            return [NOT_OBSERVED]  # no verdict on what was not seen
        (flow,) = flows
        codepoint = flow["dscp_mark_syn_rev"]
        if not succeeded(flow):
            return ["example_chain.connectivity.offline"]
        if codepoint is None:
            return [NOT_OBSERVED]  # it came up, but the capture lost the packet that shows how
        found = ["example_chain.connectivity.online"]
        found.append(f"example_chain.dscp:{codepoint}")
        if flow["example_chain_hops_rev"] is not None:
            found.append(f"example_chain.hops:{flow['example_chain_hops_rev']}")
        return found
