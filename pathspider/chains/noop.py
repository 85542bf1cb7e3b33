"""A chain that does nothing: the description of every hook that a chain may have."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain
from pathspider.libtrace import IP, IP6, TCP, UDP


class NoOpChain(Chain):
    """Performs no analysis; here for documentation and testing."""

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """Called for every new flow, to initialise the fields of its record. Chains that declare ``fields`` need none.

        :param rec: the flow record
        :param ip: the IP or IPv6 packet that triggered the creation of the record
        :returns: ``True`` if the flow should be kept, ``False`` if it should be discarded
        """
        return True

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Called for every IPv4 packet of a flow, ICMP errors about the flow included.

        :param rec: the flow record
        :param ip: the IPv4 packet
        :param rev: ``True`` if the packet was in the reverse direction, ``False`` if in the forward direction
        :returns: ``True`` if the flow should continue to be observed, ``False`` if it is complete
        """
        return True

    def ip6(self, rec: dict[str, Any], ip: IP6, rev: bool) -> bool:
        """Called for every IPv6 packet of a flow; as :meth:`ip4`."""
        return True

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Called for every TCP segment of a flow whose fixed header was captured.

        :param rec: the flow record
        :param tcp: the TCP segment
        :param rev: ``True`` if the segment was in the reverse direction
        :returns: ``True`` if the flow should continue to be observed, ``False`` if it is complete
        """
        return True

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """Called for every UDP datagram of a flow; as :meth:`tcp`."""
        return True

    def icmp4(self, rec: dict[str, Any], ip: IP, q: IP | None, rev: bool) -> bool:
        """Called for every ICMP message. The IP header is passed, since it names the host that sent the message; the
        ICMP header is ``ip.icmp``. An ICMP error belongs to the flow that it quotes, in reverse.

        :param rec: the flow record
        :param ip: the IPv4 packet with the ICMP message
        :param q: the quoted packet of messages that carry one, else ``None``
        :param rev: ``True`` if the message was in the reverse direction
        :returns: ``True`` if the flow should continue to be observed, ``False`` if it is complete
        """
        return True

    def icmp6(self, rec: dict[str, Any], ip: IP6, q: IP6 | None, rev: bool) -> bool:
        """Called for every ICMPv6 message; as :meth:`icmp4`."""
        return True
