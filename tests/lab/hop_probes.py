"""Raw probes in the client of a lab of hops: packets with all features and a small TTL, and what came back for them.

``python -m tests.lab.hop_probes`` reads a list of ``[number, address, kind, side, ttl, port, rounds]`` on standard
input and writes ``[number, what came, from whom, its TTL, octets, facts]`` for each answer. Kinds are ``syn``, ``ect``
(the SYN with an ECN mark), ``data`` (with data) and ``udp``; on side B with the features, on side A without.
"""

import json
import select
import socket
import sys

from pathspider import quotation
from pathspider.helpers.segments import ones_complement_sum
from pathspider.lab.addresses import CLIENT_LINK

QUIET = 1.0
"""Seconds without a packet after which no more will come."""
ROUNDS = 4
"""How often a probe may leave that is not answered: those that play hops may only just have begun, and until then their
sockets take no more than so many packets."""
SYN_OPTIONS = bytes.fromhex("020405b4" "0402" "080a0000000500000000" "01" "030307" "2204f00d")
PLAIN_OPTIONS = bytes.fromhex("020405b4" "0402" "080a0000000500000000" "01" "030307")
ME = {4: CLIENT_LINK.far[0], 6: CLIENT_LINK.far[1]}


def packet(number: int, address: str, kind: str, side: str, *, ttl: int, port: int) -> bytes:
    """The IP packet; its number is its sequence number, or its source port."""
    version, b = (6 if ":" in address else 4), side == "B"
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    ends = socket.inet_pton(family, ME[version]) + socket.inet_pton(family, address)
    if kind == "udp":
        query = bytes.fromhex("0007010000010000000000000161036c616204746573740000010001")
        proto, surplus = 17, b"\x01\x01\x01\x00" if b else b""
        length = 8 + len(query)
        segment = (port.to_bytes(2, "big") + (53).to_bytes(2, "big") + length.to_bytes(2, "big") + b"\0\0" + query
                   + surplus)
        pseudo = ends + length.to_bytes(4, "big") + proto.to_bytes(4, "big")
        # over IPv6, routers look at no checksum; the target would not take one of zero
        checksum = 0 if b and version == 4 else ones_complement_sum(pseudo + segment[:length]) ^ 0xFFFF or 0xFFFF
        segment = segment[:6] + checksum.to_bytes(2, "big") + segment[8:]
    else:
        options = SYN_OPTIONS if b else PLAIN_OPTIONS
        proto = 6
        head = (port.to_bytes(2, "big") + (80).to_bytes(2, "big") + number.to_bytes(4, "big") + bytes(4)
                + bytes([(20 + len(options)) // 4 << 4, 0xC2 if b else 2]) + (64240).to_bytes(2, "big"))
        data = b"x" * 64 if kind == "data" and b else b""
        segment = head + bytes(4) + options + data
        pseudo = ends + len(segment).to_bytes(4, "big") + proto.to_bytes(4, "big")
        segment = head + (ones_complement_sum(pseudo + segment) ^ 0xFFFF).to_bytes(2, "big") + bytes(2) + options + data
    tos = (46 << 2 if b else 0) | (2 if kind == "ect" and b else 0)
    if version == 6:
        header = (6 << 28 | tos << 20).to_bytes(4, "big") + len(segment).to_bytes(2, "big") + bytes([proto, ttl])
        return header + ends + segment
    header = bytes([0x45, tos]) + (20 + len(segment)).to_bytes(2, "big") + (number & 0xFFFF).to_bytes(2, "big")
    return header + bytes([0xC0 if b else 0x40, 0, ttl, proto, 0, 0]) + ends + segment


def heard(data: bytes) -> tuple[int | None, list[object]]:
    """The number of the probe that a packet answers, and what it says."""
    version = data[0] >> 4
    header = (data[0] & 15) * 4 if version == 4 else 40
    proto, ttl = (data[9], data[8]) if version == 4 else (data[6], data[7])
    whom = socket.inet_ntop(*((socket.AF_INET, data[12:16]) if version == 4 else (socket.AF_INET6, data[8:24])))
    body = data[header:]
    if proto in (1, 58):
        read = quotation.read(body, version)
        if read is None:
            return None, []
        number = read.seq if read.proto == 6 else read.sport
        return number, [read.kind, whom, ttl, read.octets, read.facts()]
    if proto == 6 and len(body) >= 20:
        acknowledged = int.from_bytes(body[8:12], "big")
        return (acknowledged - 1) & 0xFFFFFFFF, ["syn_ack" if body[13] & 2 else "rst", whom, ttl, 0, {}]
    return (int.from_bytes(body[2:4], "big"), ["answer", whom, ttl, 0, {}]) if proto == 17 else (None, [])


def main() -> None:
    probes = json.load(sys.stdin)
    numbers = {one[0] for one in probes}
    unanswered = set(numbers)
    hears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    hears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    speaks = {4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
              6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}

    def listen(seconds: float) -> bool:
        if not select.select([hears], [], [], seconds)[0]:
            return False
        data, where = hears.recvfrom(65535)
        if where[2] == socket.PACKET_HOST:
            number, said = heard(data)
            if number in numbers:
                unanswered.discard(number)
                print(json.dumps([number, *said]))
        return True

    for turn in range(ROUNDS):
        for number, address, kind, side, ttl, port, rounds in probes:
            if number in unanswered and turn < rounds:
                made = packet(number, address, kind, side, ttl=ttl, port=port)
                speaks[6 if ":" in address else 4].sendto(made, (address, 0))
            while listen(0):
                pass
        while listen(QUIET):
            pass


if __name__ == "__main__":
    main()
