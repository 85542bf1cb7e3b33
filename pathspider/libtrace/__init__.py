"""Packets as objects, with python-libtrace's documented API: what flow analysis chains are written against.

``ip(data)``, ``tcp(data)`` and so on make objects from bytes; :class:`trace` reads packets from a source.
"""

from pathspider.libtrace._core import (
    HAVE_LIBTRACE,
    Chunk,
    Echo,
    FlowTable,
    Header,
    Neighbour,
    Param,
    Payload,
    Prefix,
    Redirect,
    TooBig,
)
from pathspider.libtrace._core import ICMP as icmp  # noqa: N811 - python-libtrace's names
from pathspider.libtrace._core import ICMP6 as icmp6  # noqa: N811
from pathspider.libtrace._core import IP as ip  # noqa: N811
from pathspider.libtrace._core import IP6 as ip6  # noqa: N811
from pathspider.libtrace._core import SCTP as sctp  # noqa: N811
from pathspider.libtrace._core import TCP as tcp  # noqa: N811
from pathspider.libtrace._core import UDP as udp  # noqa: N811
from pathspider.libtrace._core import Packet as packet  # noqa: N813
from pathspider.libtrace.errors import CaptureError

__all__ = [
    "HAVE_LIBTRACE", "CaptureError", "Chunk", "Echo", "FlowTable", "Header", "Neighbour", "Param", "Payload", "Prefix",
    "Redirect", "TooBig", "icmp", "icmp6", "ip", "ip6", "packet", "sctp", "tcp", "udp",
]
