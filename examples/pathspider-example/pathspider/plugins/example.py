"""A SynchronizedSpider: what differs between the connections is a setting of the whole machine."""

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import NOT_OBSERVED, all_observed, connectivity, connectivity_conditions, succeeded
from pathspider.sync import SynchronizedSpider


class ExamplePlugin(SynchronizedSpider, PluggableSpider):
    """Do TCP connections come up without timestamps?

    Example: pspdr measure -i eth0 example --connect tcp <targets.ndjson >results.ndjson
    """

    name = "example"
    description = "TCP without timestamps"
    version = "0.1.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["tcp", "http", "https", "dnstcp"]  # the first is the default
    conditions = {  # each with its meaning; <...> stands for a number
        **connectivity_conditions("example"),
    }

    def config_timestamps(self):
        """The baseline. self.settings puts everything back when the run ends, however it ends."""
        self.settings.sysctl("net.ipv4.tcp_timestamps", 1)

    def config_no_timestamps(self):
        """The experiment."""
        self.settings.sysctl("net.ipv4.tcp_timestamps", 0)

    configurations = [config_timestamps, config_no_timestamps]

    def combine_flows(self, flows):
        """The conditions of one target: flows[0] is the baseline's, flows[1] the experiment's."""
        if not all_observed(flows):
            return [NOT_OBSERVED]  # no verdict on what was not seen
        baseline, experiment = flows
        found = connectivity("example", succeeded(baseline), succeeded(experiment))
        return [found]
