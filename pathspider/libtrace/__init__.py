"""Packets as objects, with python-libtrace's documented API: what flow analysis chains are written against.

``ip(data)``, ``tcp(data)`` and so on make objects from bytes; :class:`trace` reads packets from a source. The
classes have python-libtrace's lower-case names, and the usual upper-case ones for annotations.
"""

from pathspider.libtrace._core import (
    HAVE_LIBTRACE,
    ICMP,
    ICMP6,
    IP,
    IP6,
    SCTP,
    TCP,
    UDP,
    Chunk,
    Echo,
    FlowTable,
    Handover,
    Header,
    JSONLines,
    Neighbour,
    Packet,
    Param,
    Payload,
    Prefix,
    Redirect,
    TooBig,
    captured_at,
    endpoints,
    flow_key,
    hex_of,
    json_lines,
    options_of,
    payload_of,
)
from pathspider.libtrace.errors import CaptureError
from pathspider.libtrace.traces import Filter, Trace

icmp, icmp6, ip, ip6, packet, sctp, tcp, udp = ICMP, ICMP6, IP, IP6, Packet, SCTP, TCP, UDP
filter, trace = Filter, Trace

__all__ = [
    "HAVE_LIBTRACE", "ICMP", "ICMP6", "IP", "IP6", "SCTP", "TCP", "UDP", "CaptureError", "Chunk", "Echo",
    "FlowTable", "Handover", "Header", "JSONLines", "Neighbour", "Packet", "Param", "Payload", "Prefix", "Redirect",
    "TooBig", "captured_at", "endpoints", "filter", "flow_key", "hex_of", "icmp", "icmp6", "ip", "ip6",
    "json_lines", "options_of", "packet", "payload_of", "sctp", "tcp", "trace", "udp",
]
