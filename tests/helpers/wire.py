"""What goes over an interface, for tests: IP packets with TCP or UDP, by AF_PACKET."""

from __future__ import annotations

import socket
import struct
import threading
from typing import NamedTuple

SO_RCVBUFFORCE = 33
ETH_P_ALL, OUTGOING = 3, 4
SYN, RST, ACK = 2, 4, 0x10


class Packet(NamedTuple):
    """``flags`` with the ninth bit (AE); 0 for UDP. ``traffic_class``: DSCP and ECN."""

    outgoing: bool
    protocol: int
    source: tuple[str, int]
    target: tuple[str, int]
    flags: int
    traffic_class: int
    size: int
    """Of the payload."""

    @property
    def dscp(self) -> int:
        return self.traffic_class >> 2

    @property
    def ecn(self) -> int:
        return self.traffic_class & 3

    @property
    def is_syn(self) -> bool:
        return self.flags & (SYN | ACK) == SYN


class Wire:
    """Collects in a thread what passes an interface, from entering a ``with`` block until :meth:`packets`."""

    def __init__(self, device: str) -> None:
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self.sock.bind((device, ETH_P_ALL))
        self.found: list[Packet] = []
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.last = threading.Event()

    def __enter__(self) -> Wire:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.thread.is_alive():
            self.packets()

    def packets(self) -> list[Packet]:
        """All that has passed until now; ends the collecting."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as end:  # a frame of our own ends it
            end.sendto(b"end", (self.sock.getsockname()[0], 0x88B5))
        self.thread.join(100)
        (_, dropped) = struct.unpack("=II", self.sock.getsockopt(263, 6, 8))  # PACKET_STATISTICS
        self.sock.close()
        assert not dropped
        assert not self.thread.is_alive()
        return self.found

    def _collect(self) -> None:
        while True:
            data, (_, protocol, kind, *_) = self.sock.recvfrom(65536)
            if protocol == 0x88B5:
                return
            if packet := parse(data, protocol, kind == OUTGOING):
                self.found.append(packet)


def parse(data: bytes, protocol: int, outgoing: bool) -> Packet | None:
    if protocol == 0x0800:
        start, transport, traffic_class = 4 * (data[0] & 15), data[9], data[1]
        family, ends = socket.AF_INET, (data[12:16], data[16:20])
        end = struct.unpack_from("!H", data, 2)[0]
    elif protocol == 0x86DD:
        start, transport, traffic_class = 40, data[6], struct.unpack_from("!H", data)[0] >> 4 & 0xFF
        family, ends = socket.AF_INET6, (data[8:24], data[24:40])
        end = 40 + struct.unpack_from("!H", data, 4)[0]
    else:
        return None
    if transport not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    ports = struct.unpack_from("!HH", data, start)
    flags, size = 0, end - start - 8
    if transport == socket.IPPROTO_TCP:
        flags = struct.unpack_from("!H", data, start + 12)[0] & 0x1FF
        size = end - start - 4 * (data[start + 12] >> 4)
    source, target = ((socket.inet_ntop(family, address), port) for address, port in zip(ends, ports, strict=True))
    return Packet(outgoing, transport, source, target, flags, traffic_class, size)
