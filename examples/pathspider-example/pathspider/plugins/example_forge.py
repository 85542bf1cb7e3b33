"""A ForgeSpider: packets that no kernel sends, made with Scapy."""

from scapy.layers.inet import TCP

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import NOT_OBSERVED, all_observed, connectivity, connectivity_conditions, succeeded
from pathspider.forge import ForgeSpider


class ExampleForgePlugin(ForgeSpider, PluggableSpider):
    """Is a SYN without any TCP option answered?

    Example: pspdr measure -i eth0 example_forge --connect tcp <targets.ndjson >results.ndjson
    """

    name = "example_forge"
    description = "SYN without options"
    version = "0.1.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["tcp"]
    packets = 2
    conditions = {  # each with its meaning; <...> stands for a number
        **connectivity_conditions("example_forge"),
    }

    def forge(self, job, seq):
        """Packet number seq for a job. Source port 0 gets a free one; IPv4 or IPv6 follows from the job."""
        if seq == 0:  # the baseline: as Linux sends it
            return self.ip_header(job) / self.tcp_syn(job)
        return self.ip_header(job) / TCP(sport=0, dport=job["dp"], flags="S", seq=1000)

    def combine_flows(self, flows):
        """The conditions of one target: flows[0] is the baseline's, flows[1] the experiment's."""
        if not all_observed(flows):
            return [NOT_OBSERVED]  # no verdict on what was not seen
        baseline, experiment = flows
        found = connectivity("example_forge", succeeded(baseline), succeeded(experiment))
        return [found]
