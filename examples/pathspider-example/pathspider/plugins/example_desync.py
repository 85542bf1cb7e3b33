"""A DesynchronizedSpider: what differs between the connections is asked for at each socket."""

import socket

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.mss import MSSChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import NOT_OBSERVED, all_observed, connectivity, connectivity_conditions, succeeded
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.http import connect_http


class ExampleDesyncPlugin(DesynchronizedSpider, PluggableSpider):
    """Do HTTP requests work with a small maximum segment size?

    Example: pspdr measure -i eth0 example_desync --segment 400 <targets.ndjson >results.ndjson
    """

    name = "example_desync"
    description = "HTTP in small segments"
    version = "0.1.0"
    chains = [BasicChain, TCPChain, MSSChain]
    connect_supported = ["http"]
    conditions = {  # each with its meaning; <...> stands for a number
        **connectivity_conditions("example_desync"),
        "pathspider.local_error:mss_not_configured": "the SYN that left had another segment size",
    }

    @staticmethod
    def extra_args(parser):
        """An option of this plugin's own; its value is in self.args."""
        parser.add_argument("--segment", type=int, default=536, metavar="BYTES",
                            help="Maximum segment size of the experiment. (Default: 536)")

    def conn_usual(self, job, config):
        """The baseline."""
        return connect_http(self.source, job, self.args.timeout)

    def conn_small(self, job, config):
        """The experiment: socket options are set before connecting."""
        return connect_http(self.source, job, self.args.timeout,
                            sockopts=[(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.args.segment)])

    connections = [conn_usual, conn_small]

    def combine_flows(self, flows):
        """The conditions of one target. What the chains saw says whether the packets left as they should."""
        if not all_observed(flows):
            return [NOT_OBSERVED]  # no verdict on what was not seen
        baseline, experiment = flows
        if experiment["mss_value_fwd"] != self.args.segment:
            return ["pathspider.local_error:mss_not_configured"]
        found = connectivity("example_desync", succeeded(baseline), succeeded(experiment))
        return [found]
