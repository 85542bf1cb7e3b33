"""Hops that quote otherwise than Linux: less of a packet, or padded, or with extensions. :rfc:`4884`, :rfc:`4950`

It listens beside the kernel of a hop, whose rules drop what it answers. ``main()`` is the process, the rest is pure.
"""

from __future__ import annotations

import selectors
import socket
import struct
from ipaddress import ip_address

from pathspider.helpers.segments import ones_complement_sum
from pathspider.lab.hops import Quote
from pathspider.quotation import LEAST_BEFORE_EXTENSIONS, MPLS_STACK

ETH_P_ALL = 0x0003
SO_ATTACH_FILTER = 26
TTL4, TTL6 = 8, 7
"""Where TTL and hop limit stand in their headers."""
TIME_EXCEEDED4, TIME_EXCEEDED6 = 11, 3
MOST_QUOTED = {4: 548, 6: 1232}
"""Octets: the message is as large as 576 (:rfc:`1812`) or 1280 (:rfc:`4443`) at most."""
LARGEST = 65535


def expiring() -> bytes:
    """A filter of packets, as instructions of classic BPF, that lets those pass whose TTL is 1."""
    load, jump_if, give = 0x30, 0x15, 0x06  # a byte at; equal; return
    program = [
        (load, 0, 0, 0), (0x54, 0, 0, 0xF0),  # the version
        (jump_if, 0, 2, 0x40), (load, 0, 0, TTL4), (jump_if, 3, 4, 1),
        (jump_if, 0, 3, 0x60), (load, 0, 0, TTL6), (jump_if, 0, 1, 1),
        (give, 0, 0, LARGEST), (give, 0, 0, 0),
    ]
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def open_sockets() -> list[socket.socket]:
    """What a hop hears of expiring packets, and by what it answers over IPv4 and IPv6: in the current namespace."""
    from ctypes import addressof, create_string_buffer  # noqa: PLC0415 - nobody else needs it

    hears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    program = create_string_buffer(expiring())
    hears.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                     struct.pack("HL", (len(program) - 1) // 8, addressof(program)))
    return [hears, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)]


def answer(packet: bytes, quote: Quote) -> bytes:
    """The time exceeded message about a packet; of ICMPv6, without its checksum, which the kernel fills in."""
    version = packet[0] >> 4
    header = (packet[0] & 15) * 4 if version == 4 else 40
    quoted = packet[:MOST_QUOTED[version]]
    if quote.octets is not None:
        quoted = quoted[:header + quote.octets]
    said, behind = 0, b""
    if quote.padded or quote.labels:
        unit = 4 if version == 4 else 8
        quoted = quoted[:LEAST_BEFORE_EXTENSIONS].ljust(LEAST_BEFORE_EXTENSIONS, b"\0")
        said = len(quoted) // unit
    if quote.labels:
        words = [label << 12 | 1 for label in quote.labels]
        words[-1] |= 1 << 8  # the bottom of the stack
        stack = struct.pack(f"!{len(words)}I", *words)
        behind = struct.pack("!BxHHBB", 0x20, 0, 4 + len(stack), *MPLS_STACK) + stack
        behind = behind[:2] + (ones_complement_sum(behind) ^ 0xFFFF).to_bytes(2, "big") + behind[4:]
    if version == 6:
        return struct.pack("!BBHBxxx", TIME_EXCEEDED6, 0, 0, said) + quoted + behind
    message = struct.pack("!BBHxBxx", TIME_EXCEEDED4, 0, 0, said) + quoted + behind
    return message[:2] + (ones_complement_sum(message) ^ 0xFFFF).to_bytes(2, "big") + message[4:]


def addresses(packet: bytes) -> tuple[bytes, bytes]:
    """Source and destination of an IP packet; empty of anything else."""
    start, size = (12, 4) if packet[0] >> 4 == 4 else (8, 16)
    return packet[start:start + size], packet[start + size:start + 2 * size]


def main(argv: list[str]) -> None:
    """``responder HOP:DESCRIPTOR:DESCRIPTOR:DESCRIPTOR... SCENARIO-FILE...``, the descriptors as
    :func:`open_sockets` has them."""
    from pathspider.lab.scenarios import add_scenarios, quoting_hops  # noqa: PLC0415 - as the mangler has it

    places = [one.split(":") for one in argv if ":" in one and one.split(":")[0].isdecimal()]
    for path in argv[len(places):]:
        add_scenarios(path)
    quotes = quoting_hops()
    with selectors.DefaultSelector() as selector:
        for hop, *descriptors in places:
            hears, speaks4, speaks6 = (socket.socket(fileno=int(one)) for one in descriptors)
            table = {ip_address(address).packed: quote for address, quote in quotes[int(hop)].items()}
            selector.register(hears, selectors.EVENT_READ, (table, speaks4, speaks6))
        while True:
            for key, _ in selector.select():
                table, speaks4, speaks6 = key.data
                packet, where = key.fileobj.recvfrom(LARGEST)  # type: ignore[union-attr]
                if where[2] != socket.PACKET_HOST:
                    continue
                source, destination = addresses(packet)
                quote = table.get(destination)
                if quote is not None:
                    speaker = speaks4 if len(source) == 4 else speaks6
                    speaker.sendto(answer(packet, quote), (str(ip_address(source)), 0))
