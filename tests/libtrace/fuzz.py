"""Fuzzing of decode, flow table and all chains, and of capture files: mutated packets that we made ourselves.

``python -m tests.libtrace.fuzz --packets 1000000`` ends with a line of counts, or with the exception, crash or growth
that it found; ``--seed`` repeats a run. The corpus is ``tests/data/corpus.pcapng``, with an interface for each link
type; it was made here (``--write-corpus``): every protocol, link layer and chain has its seeds.
"""

import argparse
import importlib
import random
import resource
import struct
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from scapy.all import (
    AH,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    CookedLinux,
    Dot1AD,
    Dot1Q,
    Ether,
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
)

from pathspider.chains.base import Chain
from pathspider.libtrace import CaptureError, FlowTable
from pathspider.libtrace._core import PacketStore, Reassembly
from pathspider.libtrace.compiled import twin
from pathspider.libtrace.sources import Capture
from tests.chains.flows import NAMES, chain_of
from tests.chains.test_dns import ANSWER, QUERY, framed
from tests.helpers import quic
from tests.libtrace.frames import (
    MACS,
    block,
    enhanced,
    frame,
    interface,
    options,
    pcap,
    section,
    tcp4,
    tcp6,
    udp4,
)
from tests.libtrace.links import links
from tests.libtrace.pieces import framed as in_ethernet
from tests.libtrace.pieces import piece
from tests.libtrace.test_decode import Everything
from tests.libtrace.tunnels import nested, tunnels

INTERESTING = (0, 1, 2, 4, 5, 6, 15, 17, 41, 44, 51, 58, 63, 64, 127, 128, 132, 192, 254, 255)

QUIC_PORT = 4433
"""Of the seeds that are one flow of QUIC, and no other's."""

CORPUS = Path(__file__).parents[1] / "data" / "corpus.pcapng"


UPDATE = b"\x12\x34\xa8\0\0\1\0\0\0\1\0\0" + b"\1a\0\0\6\0\1" + b"\xc0\x0c\0\1\0\xff" + bytes(6)
"""The answer to a DNS update."""


def corpus() -> list[tuple[int, bytes]]:
    """Link type and frame of every seed in ``tests/data``."""
    found = []
    with Capture(str(CORPUS)) as capture:
        while (packet := capture.read()) is not None:
            found.append((packet[2], packet[0]))
    return found


def write_corpus() -> None:
    """Make the seeds anew."""
    seeds = make_corpus()
    linktypes = sorted({linktype for linktype, _ in seeds})
    packets = [enhanced(data, number=linktypes.index(linktype)) for linktype, data in seeds]
    CORPUS.write_bytes(b"".join([section(), *map(interface, linktypes), *packets]))


def make_corpus() -> list[tuple[int, bytes]]:
    """Link type and frame of every seed."""
    v4, v6 = IP(src="192.0.2.1", dst="198.51.100.1"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    tcp_options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
    inner4, inner6 = v4 / UDP(sport=5353, dport=53) / b"x", v6 / TCP(sport=1234, dport=80)
    frames = [
        tcp4("SEC", options=tcp_options),
        tcp4("SAE", rev=True, options=tcp_options),
        tcp4("A"),
        tcp4("PA", payload=b"GET /"),
        tcp4("FA"),
        tcp4("S", payload=b"early", options=[(34, b"12345678")]),
        tcp4("SA", rev=True, options=[(254, b"\xf9\x89abcd")]),
        tcp6("SEC", options=tcp_options),
        tcp6("SA", rev=True),
        tcp6("PA", payload=framed(QUERY)),
        tcp6("PA", rev=True, payload=framed(ANSWER)),
        udp4(QUERY),
        udp4(ANSWER, rev=True),
        udp4(quic.CLIENT_INITIAL, sport=QUIC_PORT, tos=2),
        udp4(quic.SERVER_INITIAL, rev=True, sport=QUIC_PORT),
        udp4(quic.RETRY_V2, rev=True, sport=QUIC_PORT),
        udp4(quic.negotiation([1, 0x1A2A3A4A]), rev=True, sport=QUIC_PORT),
        udp4(quic.opaque(quic.ZERO_RTT) + quic.opaque(quic.HANDSHAKE) + quic.short(dcid=quic.DCID), sport=QUIC_PORT),
        udp4(quic.short(spin=True), rev=True, sport=QUIC_PORT, tos=3),
        udp4(chksum=0, tos=3),
        frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / inner4),
        frame(v4 / ICMP(type=8) / b"ping"),
        frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=11) / Raw(bytes(v4 / TCP())[:28])),
        frame(v4 / ICMP(type=5, gw="192.0.2.9") / inner4),
        frame(IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6DestUnreach() / inner6),
        frame(v6 / ICMPv6EchoRequest()),
        frame(IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6PacketTooBig() / inner6),
        frame(v6 / ICMPv6ND_NS(tgt="2001:db8::3")),
        frame(v4 / SCTP(sport=1, dport=2) / Raw(b"\x01\x00\x00\x14" + bytes(16))),
        frame(v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / b"x"),
        frame(v6 / IPv6ExtHdrFragment(offset=0, m=1) / TCP(sport=1, dport=2)),
        frame(v6 / IPv6ExtHdrFragment(offset=8) / Raw(bytes(40))),
        frame(IP(frag=10, proto=6) / Raw(bytes(30))),
        bytes(Ether(**MACS) / Dot1AD(vlan=5) / Dot1Q(vlan=6) / inner4),
        frame(IP(proto=51) / Raw(b"\x06\x01" + bytes(40))),
    ]
    other = [
        (113, bytes(CookedLinux(proto=0x800) / inner4)),
        (276, b"\x08\x00" + bytes(18) + bytes(inner4)),
        (101, bytes(inner6)),
        (0, b"\x02\0\0\0" + bytes(inner4)),
    ]
    packets = (bytes(v4 / TCP(sport=1234, dport=80, flags="S")), bytes(inner6))
    layers = [(linktype, data) for six, packet in enumerate(packets) for _, linktype, data in links(packet, bool(six))]
    jumbo = b"\x11\0\xc2\x04\0\1\x11\x80" + bytes(UDP(sport=1, dport=2)) + b"x"
    more = [
        frame(IPv6(nh=0, plen=0) / Raw(jumbo)),
        frame(v4 / AH(nh=17, icv=bytes(12), payloadlen=4) / UDP(sport=1, dport=2)),
        frame(IP(proto=33) / Raw(b"\0\1\0\2" + bytes(12))),
        frame(IP(proto=136) / Raw(b"\0\1\0\2" + bytes(4))),
        frame(v4 / UDP(sport=5, dport=6) / Raw(UPDATE)),
    ]
    inside = [data for packet in packets for rev in (False, True) for _, _, data in tunnels(packet, rev)]
    inside += [nested(packets[0], depth) for depth in (8, 9)]
    return [(1, data) for data in frames + more + inside] + other + layers


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Some bytes changed, cut, repeated or put in."""
    out = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        at = chance.randrange(len(out)) if out else 0
        what = chance.random()
        if what < 0.6 and out:
            out[at] = chance.choice(INTERESTING) if what < 0.4 else chance.randrange(256)
        elif what < 0.75 and out:
            del out[at : at + chance.randrange(1, 9)]
        elif what < 0.9:
            out[at:at] = bytes(chance.choice(INTERESTING) for _ in range(chance.randrange(1, 9)))
        else:
            del out[at:]
    return bytes(out)


def fuzz_packets(chance: random.Random, count: int) -> FlowTable:
    """Mutated packets through the table, with every chain and one that reads every attribute; tunnels are looked into,
    and of some packets they are not."""
    chains: list[Chain] = [twin(chain_of(name))() for name in NAMES]
    seeds = corpus()
    store = PacketStore(8 << 10)  # full most of the time
    table = FlowTable(chains, max_flows=20, store=store, decapsulate=True, outer=True)
    nosy = FlowTable([Everything()], max_flows=100, decapsulate=True)
    plain = FlowTable([Everything()], max_flows=100)
    clock = 1e9
    for number in range(count):
        linktype, data = chance.choice(seeds)
        changed = mutate(chance, data)
        clock += chance.choice((0, 0.001, 0.001, 0.1)) if number % 10007 else chance.uniform(-1e6, 1e6)
        table.feed(changed, max(clock, 0.0), linktype, len(data))
        if number % 20 == 0:
            nosy.feed(changed, max(clock, 0.0), linktype)
            plain.feed(changed, max(clock, 0.0), linktype)
        if len(table) > 20:
            raise AssertionError(f"{len(table)} open flows, the cap is 20")
    table.flush()
    assert store.free == store.size, f"{store.size - store.free} blocks are held for nobody"
    return table


def cut(chance: random.Random, packet: bytes) -> list[bytes]:
    """An IP packet in fragments, most of which fit together."""
    end = len(packet) - ((packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40)
    few = min(chance.randrange(1, 6), max(0, (end - 1) // 8))
    edges = [0, *sorted(8 * block for block in chance.sample(range(1, (end + 7) // 8), few)), end]
    ident = chance.randrange(40)
    out = [piece(packet, start, stop, ident=ident) for start, stop in pairwise(edges)]
    out += chance.choices(out, k=chance.choice((0, 0, 0, 1, 2)))
    odd = chance.random()
    if odd < 0.1:
        start = 8 * chance.randrange(0, 8192)
        out.append(piece(packet, start, start + 8, ident=ident, more=chance.random() < 0.5, content=bytes(8)))
    elif odd < 0.2:
        out.remove(chance.choice(out))
    elif odd < 0.3:
        at = chance.randrange(len(out))
        out[at] = out[at][:1] + bytes((out[at][1] ^ chance.choice((0x10, 0x20, 0x30, 1, 2, 3)),)) + out[at][2:]
    if chance.random() < 0.5:
        chance.shuffle(out)
    return out


def fuzz_fragments(chance: random.Random, count: int) -> dict[str, Any]:
    """So many fragments, some of them mutated, of several packets at once, through little memory and every chain."""
    packets = [data[14:] for linktype, data in corpus()
               if linktype == 1 and data[12:14] in (b"\x08\0", b"\x86\xdd") and len(data) > 14 + 40 + 8]
    table = FlowTable([twin(chain_of(name))() for name in NAMES] + [Everything()], max_flows=20)
    fragments = Reassembly(30_000, 12)
    clock, fed, waiting = 1e9, 0, list[bytes]()
    while fed < count:
        while len(waiting) < 12:
            pieces = cut(chance, chance.choice(packets))
            if chance.random() < 0.2:
                pieces = [mutate(chance, one) for one in pieces]
            waiting[:0] = pieces
        data = in_ethernet(waiting.pop() or b"\0", chance.choice((0, 0, 6)))
        if chance.random() < 0.2:
            waiting.insert(chance.randrange(len(waiting)), waiting.pop())
        clock += chance.choice((0, 0.001, 0.1)) if fed % 1009 else chance.uniform(-1e3, 1e3)
        fragments.feed(table, data[:60] if chance.random() < 0.02 else data, clock, 1, len(data))
        fed += 1
        counts = fragments.counts()
        if counts["memory"] > 30_000:
            raise AssertionError(f"{counts['memory']} octets of fragments are held, the cap is 30,000")
    fragments.end(table)
    counts = fragments.counts()
    assert counts["held"] == counts["memory"] == 0, counts
    assert table.packets == count, f"{count} fragments, {table.packets} came out"
    return counts


def blocks(chance: random.Random, seeds: list[tuple[int, bytes]]) -> bytes:
    """A pcapng file with sections, interfaces and options of many kinds."""
    out = b""
    for _ in range(chance.randrange(1, 4)):
        order = chance.choice("<>")
        chosen = chance.sample(seeds, chance.randrange(1, 6))
        comment = [(1, b"a comment")]
        out += section(order, chance.choice(([], comment)))
        for linktype, _ in chosen:
            values = [(9, bytes((chance.choice((0, 6, 9, 12, 0x8A, 0xFF)),))), (14, chance.randbytes(8))]
            out += interface(linktype, order, chance.choice((0, 64, 65535)), chance.choice(([], values)))
        for number, (_, data) in enumerate(chosen):
            kind = chance.randrange(6)
            if kind < 3:
                values = comment if kind else [(4, struct.pack(order + "Q", 3))]
                out += enhanced(data, chance.getrandbits(64), order, number, values)
            elif kind == 3:
                out += block(3, struct.pack(order + "I", len(data)) + data, order)
            elif kind == 4:
                head = struct.pack(order + "HHIIII", number, 2, 1, 1, len(data), len(data))
                out += block(2, head + data, order)
            else:
                statistics = options([(5, bytes(8)), (7, bytes(8))], order)
                out += block(5, struct.pack(order + "III", number, 0, 0) + statistics, order)
    return out


def fuzz_files(chance: random.Random, count: int) -> int:
    """Mutated capture files; how many of them ended with an error."""
    seeds = corpus()
    frames = [data for linktype, data in seeds if linktype == 1]
    errors = 0
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        for number in range(count):
            if number % 4:
                data = mutate(chance, blocks(chance, seeds))
            else:
                data = mutate(chance, pcap(chance.sample(frames, 5), order=chance.choice("<>")))
            file.seek(0)
            file.truncate()
            file.write(data)
            file.flush()
            inside = number % 3 > 0
            table = FlowTable([], decapsulate=inside, outer=inside)
            try:
                with Capture(file.name, decapsulate=inside) as capture:
                    while capture.feed(table) is not None:
                        pass
            except CaptureError:
                errors += 1
    return errors


def peak() -> int:
    """Peak memory so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--write-corpus", action="store_true", help="make the file in tests/data anew, and end")
    args = parser.parse_args()
    if args.write_corpus:
        write_corpus()
        return
    print(f"seed {args.seed}", flush=True)
    chance = random.Random(args.seed)
    importlib.import_module("dnslib")
    began = time.monotonic()
    fuzz_packets(chance, min(args.packets, 50_000))
    before = peak()
    table = fuzz_packets(chance, args.packets)
    grown = peak() - before
    if grown > 40_000:
        raise SystemExit(f"memory grew by {grown} KiB")
    counts = fuzz_fragments(chance, args.packets // 5)
    errors = fuzz_files(chance, args.files)
    print(
        f"{table.packets} packets, {table.flows} flows, {table.malformed} malformed, {table.truncated} truncated, "
        f"{table.evicted} evicted; {counts['joined']} fragments in {counts['whole']} packets, "
        f"{sum(counts['refused'].values())} refused; {args.files} files, {errors} with errors; "
        f"memory grew by {grown} KiB; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
