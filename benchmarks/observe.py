"""How fast does ``pspdr observe`` read a capture? Whole processes, records written, in turn with other tools.

Makes its own captures (seeded), ``mixed`` of TCP flows short and long, UDP and IPv6, ``short`` of TCP flows of 18
packets each. Then runs ``tracestats`` (libtrace-tools) and ``pspdr observe`` in turn, and prints medians and their
ratio, and peak memory. ``nfstream`` and ``tshark`` take part where they are installed. ``--growth`` besides observes a
stream of a million packets, and of twelve: memory is to stay the same.

``make bench``, or ``.venv/bin/python benchmarks/observe.py [--packets N] [--runs N] [--growth] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import add_json, note, write_figures

from pathspider.installed import available_chains

BASIC, TWELVE, ALL = "observe basic tcp ecn", "observe, twelve chains", "observe, all chains"
BOUNDS = {BASIC: 2.5, TWELVE: 4.0, ALL: 4.0}
"""How many times as long as ``tracestats`` it may take."""
CHAINS = ("basic", "dns", "dscp", "ecn", "evil", "fallback", "icmp", "mss", "quic", "tcp", "tfo", "udp")
"""All that there were when the bound for all was set."""
MEMORY = 150.0
"""MB at most."""
PASSES, GROWTH = 12, 10.0
"""How many times as many packets, and MB that they may cost."""
SYN_OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")
ETHERNET_4 = bytes.fromhex("02000a00000202000a0000010800")
ETHERNET_6 = bytes.fromhex("02000a00000202000a00000186dd")


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes. :rfc:`1071`"""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def header4(source: bytes, target: bytes, proto: int, length: int, tos: int) -> bytes:
    """Ethernet and IPv4 header of a packet with ``length`` bytes behind it."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + length, 1, 0x4000, 64, proto, 0, source, target)
    return ETHERNET_4 + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]


def header6(source: bytes, target: bytes, proto: int, length: int, tos: int) -> bytes:
    """Ethernet and IPv6 header of a packet with ``length`` bytes behind it."""
    return ETHERNET_6 + struct.pack("!IHBB16s16s", 6 << 28 | tos << 20, length, proto, 64, source, target)


def tcp(sport: int, dport: int, flags: int, payload: int, options: bytes = b"") -> bytes:
    """A TCP segment with zeros for a payload."""
    offset = (5 + len(options) // 4) << 4
    return struct.pack("!HHIIBBHHH", sport, dport, 0, 1, offset, flags, 65535, 0, 0) + options + bytes(payload)


def flow(rng: random.Random) -> list[bytes]:
    """The frames of one flow: three in four short TCP, some long, some UDP; a third of all IPv6."""
    six = rng.random() < 0.33
    size = 16 if six else 4
    prefix = b"\x20\x01\x0d\xb8" if six else b""
    client, server = (prefix + rng.randbytes(size - len(prefix)) for _ in range(2))
    header = header6 if six else header4
    sport, tos = rng.randrange(1024, 65536), rng.choice((0, 0, 0, 2, 46 << 2))

    def frame(reverse: bool, proto: int, body: bytes) -> bytes:
        ends = (server, client) if reverse else (client, server)
        return header(*ends, proto, len(body), tos) + body

    kind = rng.random()
    if kind < 0.2:
        question = b"\x03www\x07example\x03com\0\0\x01\0\x01"
        query = struct.pack("!HHHH", sport, 53, 41, 1) + bytes.fromhex("123401000001000000000000") + question
        answer = struct.pack("!HHHH", 53, sport, 41, 1) + bytes.fromhex("123481800001000000000000") + question
        return [frame(False, 17, query), frame(True, 17, answer)]
    data = rng.randrange(50, 150) if kind > 0.97 else rng.randrange(1, 5)
    ecn = 0xC0 if rng.random() < 0.5 else 0
    frames = [frame(False, 6, tcp(sport, 443, 0x02 | ecn, 0, SYN_OPTIONS)),
              frame(True, 6, tcp(443, sport, 0x12 | (ecn & 0x40), 0, SYN_OPTIONS)),
              frame(False, 6, tcp(sport, 443, 0x10, 0))]
    for _ in range(data):
        frames.append(frame(True, 6, tcp(443, sport, 0x18, rng.choice((100, 536, 1400)))))
        frames.append(frame(False, 6, tcp(sport, 443, 0x10, 0)))
    return [*frames, frame(False, 6, tcp(sport, 443, 0x11, 0)), frame(True, 6, tcp(443, sport, 0x11, 0)),
            frame(False, 6, tcp(sport, 443, 0x10, 0))]


def short_flow(rng: random.Random) -> list[bytes]:
    """The frames of one TCP flow: a handshake, six segments of data and their ACKs, three segments to end it."""
    six = rng.random() < 0.33
    size = 16 if six else 4
    prefix = b"\x20\x01\x0d\xb8" if six else b""
    ends = [prefix + rng.randbytes(size - len(prefix)) for _ in range(2)]
    ports = [rng.randrange(1024, 65536), 443]
    numbers = [rng.randrange(1 << 31), rng.randrange(1 << 31)]
    tos = rng.choice((0, 0, 0, 2, 46 << 2))
    ecn = 0xC0 if rng.random() < 0.5 else 0
    frames = []

    def send(reverse: bool, flags: int, payload: int = 0, options: bytes = b"") -> None:
        one, other = (1, 0) if reverse else (0, 1)
        ack = numbers[other] if flags & 0x10 else 0
        body = tcp(ports[one], ports[other], flags, payload, options)
        body = body[:4] + struct.pack("!II", numbers[one], ack) + body[12:]
        frames.append((header6 if six else header4)(ends[one], ends[other], 6, len(body), tos) + body)
        numbers[one] += payload + (1 if flags & 3 else 0)

    send(False, 0x02 | ecn, options=SYN_OPTIONS)
    send(True, 0x12 | (ecn & 0x40), options=SYN_OPTIONS)
    send(False, 0x10)
    for _ in range(6):
        send(True, 0x18, rng.choice((100, 536, 1400)))
        send(False, 0x10)
    send(False, 0x11)
    send(True, 0x11)
    send(False, 0x10)
    return frames


CAPTURES: dict[str, Callable[[random.Random], list[bytes]]] = {"mixed": flow, "short": short_flow}
"""The captures by name, and what makes a flow of each."""


def packets(count: int, seed: int, make: Callable[[random.Random], list[bytes]] = flow) -> Iterator[bytes]:
    """``count`` frames of flows that overlap, 200 at a time."""
    rng = random.Random(seed)
    under_way = [make(rng)[::-1] for _ in range(200)]
    for _ in range(count):
        place = rng.randrange(200)
        yield under_way[place].pop()
        if not under_way[place]:
            under_way[place] = make(rng)[::-1]


def write_capture(path: Path, count: int, seed: int = 1, make: Callable[[random.Random], list[bytes]] = flow) -> None:
    """A pcap file at 10,000 packets a second."""
    with path.open("wb", buffering=1 << 20) as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(packets(count, seed, make)):
            seconds, rest = divmod(number, 10_000)
            stream.write(struct.pack("<IIII", 1_700_000_000 + seconds, rest * 100, len(frame), len(frame)) + frame)


def stream(path: Path, passes: int, descriptor: int) -> None:
    """Write a capture several times over, each time later, as one capture. Our own memory must stay small: the peak of
    a process that we start includes it."""
    with path.open("rb", buffering=1 << 20) as capture, open(descriptor, "wb", buffering=1 << 20) as out:
        out.write(capture.read(24))
        for number in range(passes):
            capture.seek(24)
            while header := capture.read(16):
                seconds, micro, length, wire = struct.unpack("<IIII", header)
                out.write(struct.pack("<IIII", seconds + number * 100, micro, length, wire) + capture.read(length))


def streamed(command: list[str], path: Path, passes: int) -> float:
    """Peak memory in MB of a process that reads a capture several times over from a pipe."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    stream(path, passes, os.dup(process.stdin.fileno()))
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return usage.ru_maxrss / 1024


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds of wall time and of CPU, and peak memory in MB, of a process, its output thrown away."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    spent = time.monotonic() - began
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return spent, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def observe(capture: str, records: str, *chains: str) -> list[str]:
    """The command that observes a capture."""
    return [sys.executable, "-m", "pathspider", "observe", "-i", capture, "--force", "--output", records, *chains]


def contestants(capture: str, records: str) -> dict[str, list[str]]:
    """The command of each tool that is installed, by its name."""
    commands = {"tracestats": ["tracestats", f"pcapfile:{capture}"],
                BASIC: observe(capture, records, "basic", "tcp", "ecn"),
                "observe, with evidence": observe(capture, records, "basic", "tcp", "ecn", "evidence"),
                TWELVE: observe(capture, records, *CHAINS),
                ALL: observe(capture, records, *sorted(available_chains())),
                "observe --conditions": observe(capture, records, "--conditions")}
    if shutil.which("tshark"):
        commands["tshark -z conv,tcp"] = ["tshark", "-n", "-q", "-r", capture, "-z", "conv,tcp"]
    try:
        import nfstream  # noqa: F401, PLC0415 - takes part where it is installed
    except ImportError:
        pass
    else:
        code = "import sys, nfstream; [None for _ in nfstream.NFStreamer(source=sys.argv[1], n_dissections=0)]"
        commands["nfstream"] = [sys.executable, "-c", code, capture]
    return commands


def compare(capture: Path, records: Path, count: int, runs: int) -> dict[str, dict[str, float]]:
    """Time the tools in turn, on one capture; their figures by name, which are printed too."""
    commands = contestants(str(capture), str(records))
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            records.unlink(missing_ok=True)  # to cut the last one's records off would take time that is not the tool's
            figures[name].append(timed(command))
    reference = statistics.median(seconds for seconds, _, _ in figures["tracestats"])
    rows = {}
    for name, each in figures.items():
        seconds = statistics.median(spent for spent, _, _ in each)
        cpu = statistics.median(spent for _, spent, _ in each)
        memory = max(peak for _, _, peak in each)
        rows[name] = {"seconds": seconds, "ratio": seconds / reference, "cpu": cpu, "memory": memory}
        print(f"{name:24} {seconds:8.2f} {seconds / reference:6.2f} {cpu:6.2f} {memory:6.0f} {count / seconds:10.0f}",
              flush=True)
    return rows


def is_within_bounds(rows: dict[str, dict[str, float]]) -> bool:
    """Whether a capture's figures are as they ought to be."""
    return (all(rows[name]["ratio"] <= bound for name, bound in BOUNDS.items())
            and all(row["memory"] < MEMORY for name, row in rows.items() if name.startswith("observe")))


def main() -> int:
    """Time the tools in turn; 1 if a bound of ours is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help=f"memory at a million packets, and at {PASSES} million")
    add_json(parser)
    args = parser.parse_args()
    if shutil.which("tracestats") is None:
        print("tracestats is missing: apt-get install libtrace-tools", file=sys.stderr)
        return 1
    ok, found = True, {}
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records"
        for kind, make in CAPTURES.items():
            capture = Path(folder) / f"{kind}.pcap"
            write_capture(capture, args.packets, make=make)
            print(f"{kind}: {args.packets} packets, {capture.stat().st_size / 1e6:.0f} MB; medians of {args.runs}")
            print(f"{'tool':24} {'seconds':>8} {'ratio':>6} {'CPU s':>6} {'MB':>6} {'packets/s':>10}")
            found[kind] = compare(capture, records, args.packets, args.runs)
            ok = ok and is_within_bounds(found[kind])
            capture.unlink()
        if args.growth:
            capture = Path(folder) / "growth.pcap"
            write_capture(capture, 1_000_000)
            command = observe("-", "/dev/null", *sorted(available_chains()))
            few, many = (streamed(command, capture, passes) for passes in (1, PASSES))
            print(f"all chains, peak memory: {few:.0f} MB at a million packets, {many:.0f} MB at {PASSES} million")
            ok = ok and many < MEMORY and many - few < GROWTH
    for kind, rows in found.items():
        for tool, row in rows.items():
            note(f"{kind}: {tool}", **row)
    write_figures(args.json)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
