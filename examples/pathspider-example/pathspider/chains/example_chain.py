"""What the plugin example_chain notes of a flow's packets. `pspdr observe` offers this chain too."""

from pathspider.chains.base import Chain, Field

FORWARD, REVERSE = "example_chain_hops_fwd", "example_chain_hops_rev"

INITIAL = (32, 64, 128, 255)
"""The TTL or hop limit that hosts start with."""


class ExampleChainChain(Chain):
    """How many routers packets have come through, judged by the TTL or hop limit that is left."""

    fields = {
        FORWARD: Field(int, None, "Hops behind the last packet in the forward direction"),
        REVERSE: Field(int, None, "Hops behind the last packet in the reverse direction"),
    }

    def ip4(self, rec, ip, rev):
        """Called for every IPv4 packet of the flow; True: go on observing."""
        if not ip.quotes:  # an ICMP error about the flow, which comes from elsewhere on the path
            rec[REVERSE if rev else FORWARD] = hops(ip.ttl)
        return True

    def ip6(self, rec, ip, rev):
        """The same for IPv6."""
        if not ip.quotes:
            rec[REVERSE if rev else FORWARD] = hops(ip.hop_limit)
        return True


def hops(left):
    """The distance to the nearest value above that hosts start with."""
    return min(start for start in INITIAL if start >= left) - left
