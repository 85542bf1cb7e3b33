"""Template of a SingleSpider: one connection, and all that is learned lies in what comes back."""

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.conditions import succeeded
from pathspider.single import SingleSpider


class ExampleSingle(SingleSpider, PluggableSpider):
    """Which HTTP status does the target answer with?

    Example: pspdr measure -i eth0 example_single --connect https <targets.ndjson >results.ndjson
    """

    name = "example_single"
    description = "Example: HTTP status"
    version = "1.0.0"
    chains = [BasicChain]
    connect_supported = ["http", "https"]

    def combine_flows(self, flows):
        """The conditions of one target: what the connection helper returned is in the flow too."""
        (flow,) = flows
        if not succeeded(flow):
            return ["example_single.offline"]
        return [f"example_single.status:{flow['http_status']}"]
