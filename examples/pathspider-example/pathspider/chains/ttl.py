"""A chain of one's own: what is noted of the packets of a flow. `pspdr observe` offers it too."""

from pathspider.chains.base import Chain, Field


class TTLChain(Chain):
    """How many hops the packets had left when they were seen."""

    fields = {
        "ttl_fwd": Field(int, None, "Time to live, or hop limit, of the last packet in the forward direction"),
        "ttl_rev": Field(int, None, "Time to live, or hop limit, of the last packet in the reverse direction"),
    }

    def ip4(self, rec, ip, rev):
        """Called for every IPv4 packet of the flow; True: go on observing."""
        rec["ttl_rev" if rev else "ttl_fwd"] = ip.ttl
        return True

    def ip6(self, rec, ip, rev):
        """The same for IPv6."""
        rec["ttl_rev" if rev else "ttl_fwd"] = ip.hop_limit
        return True
