"""A TraversalSpider: an experiment as a table of what is set in a SYN."""

from pathspider.base import PluggableSpider
from pathspider.chains.tcp import TO_TS, tcp_options
from pathspider.traversal import TraversalSpider, Variant, tcp_option

OUTCOMES = {"timestamp.echoed": "the SYN-ACK echoes the SYN's timestamp (RFC 7323, section 3)",
            "timestamp.not_echoed": "it has no timestamp, or echoes another one"}


def look(experiment, baseline):
    """What a SYN-ACK says: a timestamp is 4 octets of the sender's clock, and the 4 that it has seen last."""
    sent, back = (tcp_options(packet.tcp).get(TO_TS, b"") for packet in experiment)
    return ["timestamp.echoed" if back[4:] == sent[:4] else "timestamp.not_echoed"]


class ExampleTraversalPlugin(TraversalSpider, PluggableSpider):
    """Do SYNs with odd timestamps get through, and are they echoed?

    Example: pspdr measure -i eth0 example_traversal --connect tcp <targets.ndjson >results.ndjson
    """

    name = "example_traversal"
    description = "TCP timestamps with odd values"
    version = "0.1.0"
    variants = [
        Variant("zero", tcp_option(TO_TS, bytes(8)), look, OUTCOMES),
        Variant("largest", tcp_option(TO_TS, b"\xff\xff\xff\xff" + bytes(4)), look, OUTCOMES),
        Variant("echo", tcp_option(TO_TS, b"PATH" + b"\xff\xff\xff\xff"), look, OUTCOMES),
    ]
