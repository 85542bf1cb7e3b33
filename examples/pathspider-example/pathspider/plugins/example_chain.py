"""Template of a plugin with a chain of its own, which is in pathspider/chains/ttl.py."""

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.ttl import TTLChain
from pathspider.conditions import succeeded
from pathspider.single import SingleSpider

INITIAL = (32, 64, 128, 255)
"""What hosts start with."""


class ExampleChain(SingleSpider, PluggableSpider):
    """How many hops away is the target, judged by what its packets have left?

    Example: pspdr measure -i eth0 example_chain --connect tcp <targets.ndjson >results.ndjson
    """

    name = "example_chain"
    description = "Example: distance, with a chain of its own"
    version = "1.0.0"
    chains = [BasicChain, TTLChain]
    connect_supported = ["tcp", "http"]

    def combine_flows(self, flows):
        """The conditions of one target."""
        (flow,) = flows
        left = flow["ttl_rev"]
        if not succeeded(flow) or left is None:
            return ["example_chain.offline"]
        start = min(initial for initial in INITIAL if initial >= left)
        return [f"example_chain.hops:{start - left}"]
