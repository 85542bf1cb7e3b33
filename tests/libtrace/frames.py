"""Frames, captures and namespaces for tests of the native core."""

import ctypes
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw

CLONE_NEWNET = 0x40000000
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def frame(packet: Any) -> bytes:
    """The bytes of a scapy packet, in Ethernet."""
    return bytes(Ether(**MACS) / packet)


def _segment(flags: str, **fields: Any) -> Any:
    """A TCP header; unless told otherwise, sequence numbers are 0, and SYN-ACKs acknowledge their SYN."""
    return TCP(flags=flags, **({"ack": 1} if {*"SA"} <= {*flags} else {}) | fields)


def tcp4(flags: str, rev: bool = False, sport: int = 1234, payload: bytes = b"", tos: int = 0, **fields: Any) -> bytes:
    """A TCP segment between 192.0.2.1 and 198.51.100.1:80."""
    ends = {"src": "192.0.2.1", "dst": "198.51.100.1"}
    ports = {"sport": sport, "dport": 80}
    if rev:
        ends = {"src": ends["dst"], "dst": ends["src"]}
        ports = {"sport": 80, "dport": sport}
    return frame(IP(tos=tos, **ends) / _segment(flags=flags, **ports, **fields) / Raw(payload))


def tcp6(flags: str, rev: bool = False, sport: int = 1234, payload: bytes = b"", tc: int = 0, **fields: Any) -> bytes:
    """A TCP segment between 2001:db8::1 and 2001:db8::2."""
    ends = {"src": "2001:db8::1", "dst": "2001:db8::2"}
    ports = {"sport": sport, "dport": 80}
    if rev:
        ends = {"src": ends["dst"], "dst": ends["src"]}
        ports = {"sport": 80, "dport": sport}
    return frame(IPv6(tc=tc, **ends) / _segment(flags=flags, **ports, **fields) / Raw(payload))


def udp4(payload: bytes = b"x", rev: bool = False, sport: int = 5353, tos: int = 0, **fields: Any) -> bytes:
    """A UDP datagram between 192.0.2.1 and 198.51.100.1:53."""
    ends = {"src": "192.0.2.1", "dst": "198.51.100.1"}
    ports = {"sport": sport, "dport": 53}
    if rev:
        ends = {"src": ends["dst"], "dst": ends["src"]}
        ports = {"sport": 53, "dport": sport}
    return frame(IP(tos=tos, **ends) / UDP(**ports, **fields) / Raw(payload))


def pcap(
    frames: list[bytes], linktype: int = 1, snaplen: int = 65535, order: str = "<", start: float = 1000.0
) -> bytes:
    """A pcap file, packets a millisecond apart."""
    out = [struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, linktype)]
    for number, data in enumerate(frames):
        micros = int(start * 1e6) + number * 1000
        out.append(struct.pack(order + "IIII", micros // 1000000, micros % 1000000, len(data), len(data)) + data)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def options(values: list[tuple[int, bytes]], order: str = "<") -> bytes:
    """The options of a pcapng block, by code; none: not even their end."""
    out = b"".join(struct.pack(order + "HH", code, len(one)) + one + bytes(-len(one) % 4) for code, one in values)
    return out + bytes(4) if values else b""


def section(order: str = "<", values: list[tuple[int, bytes]] | None = None, length: int = -1) -> bytes:
    """A section header block."""
    head = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length)
    return block(0x0A0D0D0A, head + options(values or [], order), order)


def interface(linktype: int = 1, order: str = "<", snaplen: int = 65535,
              values: list[tuple[int, bytes]] | None = None) -> bytes:
    """An interface description block."""
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options(values or [], order), order)


def enhanced(data: bytes, units: int = 1_000_000_000, order: str = "<", number: int = 0,
             values: list[tuple[int, bytes]] | None = None) -> bytes:
    """An enhanced packet block; the time is in the interface's units."""
    head = struct.pack(order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + b"\0" * (-len(data) % 4) + options(values or [], order), order)


def pcapng(frames: list[bytes], linktype: int = 1, start: float = 1000.0, order: str = "<") -> bytes:
    """A pcapng file with the same packets."""
    times = [int(start * 1e6) + number * 1000 for number in range(len(frames))]
    return b"".join([section(order), interface(linktype, order),
                     *[enhanced(data, units, order) for data, units in zip(frames, times, strict=True)]])


def in_namespace(function: Callable[[], Any]) -> Any:
    """Calls a function in a thread with a network namespace of its own, which vanishes with the thread."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def ip(command: str) -> None:
    """An `ip` command."""
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def pair() -> None:
    """A veth pair in this thread's namespace."""
    ip("link add a0 type veth peer name b0")
    for name in ("a0", "b0", "lo"):
        ip(f"link set {name} up")


def send(name: str, frames: list[bytes]) -> None:
    """Frames out of an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((name, 0))
        for data in frames:
            sock.send(data)
