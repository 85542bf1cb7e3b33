"""A chain that does nothing: the description of every hook that a chain may have."""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Wanted
from pathspider.libtrace import IP, IP6, TCP, UDP


class NoOpChain(Chain):
    """Notes nothing: its hooks show what a chain may do. It need not see anything, as ``wants`` says."""

    wants = Wanted(0)

    def new_flow(self, rec: dict[str, Any], ip: IP | IP6) -> bool:
        """A flow begins. Chains that declare ``fields`` need none of this: their fields are there already.

        :param rec: the record that is being filled
        :param ip: the flow's first packet, IPv4 or IPv6
        :returns: ``True`` to have the flow observed, ``False`` to have nothing of it
        """
        return True

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """An IPv4 packet of the flow, be it an ICMP error about the flow.

        :param rec: the record that is being filled
        :param ip: the packet
        :param rev: its direction: ``True`` for reverse
        :returns: ``True`` to go on observing, ``False`` where the flow is over
        """
        return True

    def ip6(self, rec: dict[str, Any], ip6: IP6, rev: bool) -> bool:
        """An IPv6 packet of the flow; else as :meth:`ip4`."""
        return True

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """A TCP segment of the flow, where the capture has its header without options at least.

        :param rec: the record that is being filled
        :param tcp: the segment
        :param rev: its direction: ``True`` for reverse
        :returns: ``True`` to go on observing, ``False`` where the flow is over
        """
        return True

    def udp(self, rec: dict[str, Any], udp: UDP, rev: bool) -> bool:
        """A UDP datagram of the flow; else as :meth:`tcp`."""
        return True

    def icmp4(self, rec: dict[str, Any], ip: IP, q: IP | None, rev: bool) -> bool:
        """An ICMP message. An error belongs to the flow that it quotes, in reverse; its sender may be any router.

        :param rec: the record that is being filled
        :param ip: the packet around the message, which tells the sender; the message itself is ``ip.icmp``
        :param q: the packet that the message quotes; ``None`` where it quotes none
        :param rev: the message's direction: ``True`` for reverse
        :returns: ``True`` to go on observing, ``False`` where the flow is over
        """
        return True

    def icmp6(self, rec: dict[str, Any], ip6: IP6, q: IP6 | None, rev: bool) -> bool:
        """An ICMPv6 message; else as :meth:`icmp4`."""
        return True
