"""What do a table of prefixes and ``pspdr filter --shuffle`` cost?

Makes up a routing table (seeded; lengths as in that of the Internet) and a list of jobs. Prints the CPU time and memory
that loading the table takes, what a lookup takes beside parsing the address with :mod:`ipaddress`, and whether a plain
search for the longest match finds the same; and CPU time, peak memory and temporary files of shuffling the list, as a
ratio to ``shuf``, which holds all of it. Fails where a limit is missed: 5 s and 400 MB for a million prefixes, 200 MB
for ten million lines, each line once.

``make bench``, or ``.venv/bin/python benchmarks/targets.py [--prefixes N] [--lines N] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from pathlib import Path

from figures import add_json, note, write_figures

from pathspider.targets.prefixes import Prefixes

LENGTHS = {socket.AF_INET: (32, {24: 60, 23: 10, 22: 11, 21: 5, 20: 5, 19: 3, 18: 2, 17: 1, 16: 2, 15: 1, 12: 1}),
           socket.AF_INET6: (128, {48: 47, 32: 13, 44: 10, 40: 9, 36: 5, 46: 4, 47: 3, 29: 3, 34: 2, 28: 1, 64: 1})}
LOAD_SECONDS, LOAD_MIB = 5, 400
SHUFFLE_MIB = 200
PSPDR = [sys.executable, "-P", "-m", "pathspider"]


def random_address(family: socket.AddressFamily, rng: random.Random) -> int:
    """An address of the Internet."""
    return rng.randrange(1 << 24, 224 << 24) if family == socket.AF_INET else 1 << 125 | rng.getrandbits(125)


def make_table(path: Path, count: int) -> dict[tuple[socket.AddressFamily, int, int], int]:
    """A file of pfx2as, and what is in it: the AS by family, length and first bits."""
    rng = random.Random(18)
    table: dict[tuple[socket.AddressFamily, int, int], int] = {}
    while len(table) < count:
        family = socket.AF_INET if rng.random() < 0.8 else socket.AF_INET6
        bits, lengths = LENGTHS[family]
        length = rng.choices(list(lengths), lengths.values())[0]
        table[family, length, random_address(family, rng) >> (bits - length)] = rng.randrange(1, 80_000)
    with path.open("w", encoding="ascii") as file:
        for (family, length, first), system in table.items():
            bits = LENGTHS[family][0]
            address = socket.inet_ntop(family, (first << (bits - length)).to_bytes(bits // 8, "big"))
            file.write(f"{address}\t{length}\t{system}\n")
    return table


class Plain:
    """The longest match by another way: prefixes in order, each with the one that it is in."""

    def __init__(self, table: dict[tuple[socket.AddressFamily, int, int], int], family: socket.AddressFamily) -> None:
        bits = LENGTHS[family][0]
        spans = sorted((first << (bits - length), length, system)
                       for (kind, length, first), system in table.items() if kind == family)
        self.begins = [begin for begin, _, _ in spans]
        self.spans = [(begin, begin + (1 << (bits - length)), system) for begin, length, system in spans]
        self.outer: list[int] = []
        around: list[int] = []
        for number, (begin, _, _) in enumerate(self.spans):
            while around and self.spans[around[-1]][1] <= begin:
                around.pop()
            self.outer.append(around[-1] if around else -1)
            around.append(number)

    def find(self, address: int) -> int | None:
        """The AS of the longest prefix."""
        number = bisect_right(self.begins, address) - 1
        while number >= 0 and address >= self.spans[number][1]:
            number = self.outer[number]
        return self.spans[number][2] if number >= 0 else None


def peak() -> float:
    """MiB of this process at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def prefixes(folder: Path, count: int, lookups: int) -> dict[str, float]:
    """Figures of the table."""
    path = folder / "pfx2as"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # the maker of the table takes more memory than its reader
        table = make_table(path, count)
        rng = random.Random(19)
        families = [socket.AF_INET if rng.random() < 0.7 else socket.AF_INET6 for _ in range(lookups)]
        plain = {family: Plain(table, family) for family in LENGTHS}
        with os.fdopen(writer, "w") as pipe:
            for family in families:
                number = random_address(family, rng)
                octets = number.to_bytes(LENGTHS[family][0] // 8, "big")
                pipe.write(f"{socket.inet_ntop(family, octets)} {plain[family].find(number)}\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        expected = [line.split() for line in pipe]
    os.waitpid(child, 0)
    before, began = peak(), time.process_time()
    found = Prefixes.read([str(path)])
    load, memory = time.process_time() - began, peak() - before
    addresses = [address for address, _ in expected]
    began = time.process_time()
    systems = [found.locate(address).get("ASN") for address in addresses]
    lookup = (time.process_time() - began) / len(addresses) * 1e6
    began = time.process_time()
    for address in addresses:
        ipaddress.ip_address(address)
    parse = (time.process_time() - began) / len(addresses) * 1e6
    wrong = sum(str(system) != other for system, (_, other) in zip(systems, expected, strict=True))
    hits = sum(system is not None for system in systems)
    print(f"{len(found)} prefixes: loaded in {load:.1f} s of CPU and {memory:.0f} MiB; a lookup {lookup:.1f} µs "
          f"(ipaddress.ip_address: {parse:.1f} µs); of {lookups} addresses {hits} found, {wrong} other than by a plain "
          "search")
    if wrong or not hits or (count <= 1_000_000 and (load > LOAD_SECONDS or memory > LOAD_MIB)):
        sys.exit("a limit was missed")
    return {"load": load, "memory": memory, "lookup": lookup, "parse": parse, "wrong": wrong}


def run(command: list[str], output: Path, environment: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of a command."""
    with output.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def content(path: Path) -> tuple[int, int]:
    """How many lines, and the sum of their hashes: the same in whatever order they are."""
    count = total = 0
    with path.open("rb") as lines:
        for line in lines:
            count += 1
            total += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")
    return count, total & (1 << 64) - 1


def begin(path: Path) -> bytes:
    """The first lines: this process stays small, since what is measured next may begin with its peak memory."""
    with path.open("rb") as file:
        return file.read(4096)


def shuffle(folder: Path, count: int) -> dict[str, float]:
    """Figures of shuffling a list."""
    given, found = folder / "jobs", folder / "shuffled"
    with given.open("wb") as file:
        for number in range(count):
            file.write(b'{"dip": "%d.%d.%d.%d", "dp": 80}\n' % (20 + (number >> 24), number >> 16 & 255,
                                                              number >> 8 & 255, number & 255))
    environment = {**os.environ, "TMPDIR": str(folder)}
    base = run(["shuf", str(given)], found, environment)
    took = run([*PSPDR, "filter", "--shuffle=7", str(given)], found, environment)
    same, moved = content(given) == content(found), begin(given) != begin(found)
    times = took[0] / base[0]
    print(f"shuffling {count} lines: {took[0]:.1f} s of CPU ({took[0] / count * 1e6:.0f} µs a line, {times:.0f} times "
          f"shuf), {took[1]:.0f} MiB (shuf: {base[1]:.0f} MiB); every line once: {'yes' if same else 'no'}")
    if not (same and moved) or (count <= 10_000_000 and took[1] > SHUFFLE_MIB):
        sys.exit("a limit was missed")
    return {"cpu": took[0], "memory": took[1], "shuf_cpu": base[0], "shuf_memory": base[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--prefixes", type=int, default=1_000_000, help="in the table (default: a million)")
    parser.add_argument("--lookups", type=int, default=100_000, help="random addresses (default: a hundred thousand)")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the list (default: a million)")
    add_json(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        # First: at its begin a child has the peak memory of its parent.
        figures = {"shuffle": shuffle(Path(name), args.lines)}
        figures["prefixes"] = prefixes(Path(name), args.prefixes, args.lookups)
    sizes = {"shuffle": f"shuffle a list of {args.lines:,}", "prefixes": f"a table of {args.prefixes:,} prefixes"}
    for what, found in figures.items():
        note(sizes[what], **found)
    write_figures(args.json)


if __name__ == "__main__":
    main()
