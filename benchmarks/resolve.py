"""How fast are names resolved, and is none lost? ``pspdr resolve`` against knot, in a network namespace of its own.

Prints names per second through to written jobs (by the clock, and by CPU time on one core), the peak memory for a tenth
of the names and for all, failures beside those at 100 names/s, and the same of ``dnsperf`` (Debian; a load generator
that makes nothing of the answers), of a thread for each name that waits, of ``--mixed-case``, of two resolvers of
which one is silent, and of ``--iterative`` (where libunbound is): knot has a root zone, too. With ``--kill`` a list
in the form of Tranco's, of which 10 % do not exist and for 1 % nobody answers, is resolved while SIGKILL ends it
again and again: each name has to have one outcome. Fails where a limit is missed: CPU for 10,000 names/s, 0.1 %
failures, one outcome a name.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/resolve.py [--names N] [--kill N]``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dnslib
from figures import add_json, note, write_figures

from pathspider.lab.external import environment, find_program, roots

PORT = 5399
ADDRESS = "127.0.0.1"
ROOT_SERVER = "10.99.53.1"
"""Knot's address for ``--iterative``: libunbound asks none of loopback's."""
SILENT = "10.99.53.2"
"""A resolver that hears nothing."""
PSPDR = [sys.executable, "-P", "-m", "pathspider"]
TOLD = {"resolve": "pspdr resolve", "mixed": "pspdr resolve --mixed-case", "dnsperf": "dnsperf",
        "silent": "pspdr resolve, one of two resolvers silent", "iterative": "pspdr resolve, from the root on",
        "threads": "a thread for each name, with dnslib"}
NAMES_PER_SECOND = 10_000
MORE_FAILURES = 0.001
MORE_MEMORY = 1.25
AT_100 = 1000
"""Names that are resolved at 100 a second."""
THREADS = 100

CONFIGURATION = """
server:
    rundir: "{folder}"
    listen: [ "127.0.0.1@{port}", "{root_server}@53" ]
    user: root:root
    udp-workers: 1
    tcp-workers: 2
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
zone:
  - domain: .
    file: "{folder}/root"
    zonefile-sync: -1
    journal-content: none
  - domain: bench.example
    file: "{folder}/zone"
    zonefile-sync: -1
    journal-content: none
"""
SILENCE = """
table inet silence {{
    chain input {{
        type filter hook input priority 0;
        udp dport {port} @th,168,8 0x73 drop
        tcp dport {port} @th,376,8 0x73 drop
        ip daddr {silent} drop
    }}
}}
"""
"""Queries whose name begins with ``s`` are not heard."""


def name(number: int, *, odd: bool) -> str:
    """A name of the list; of odd lists some do not exist, and for some nobody answers."""
    kind = "s" if odd and number % 100 == 7 else "x" if odd and number % 10 == 3 else "h"
    return f"{kind}{number}.bench.example"


@contextlib.contextmanager
def knot(folder: Path, names: int) -> Iterator[int]:
    """A server that knows the names that exist; its process."""
    with (folder / "zone").open("w", encoding="ascii") as zone:
        zone.write("$ORIGIN bench.example.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n"
                   f"@ NS ns\nns A {ROOT_SERVER}\n")
        for number in range(names):
            zone.write(f"h{number} A 11.{number >> 16}.{number >> 8 & 255}.{number & 255}\n"
                       f"h{number} AAAA 2400::{number >> 16:x}:{number & 65535:x}\n")
    (folder / "root").write_text(f". 60 SOA ns.root. hostmaster.root. 1 3600 600 86400 60\n. 60 NS ns.root.\n"
                                 f"ns.root. 60 A {ROOT_SERVER}\nbench.example. 60 NS ns.bench.example.\n"
                                 f"ns.bench.example. 60 A {ROOT_SERVER}\n", encoding="ascii")
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=PORT, root_server=ROOT_SERVER),
                                 encoding="ascii")
    binary = find_program("knotd", "knot")
    server = subprocess.Popen([binary, "-c", str(folder / "conf")], env=environment(binary))
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.5)
                sock.connect((ADDRESS, PORT))
                sock.send(dnslib.DNSRecord.question("h0.bench.example").pack())
                if dnslib.DNSRecord.parse(sock.recv(2000)).rr:
                    break
            time.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far. proc(5)"""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command: list[str], env: dict[str, str] | None = None, **options: Any) -> tuple[float, float, float, bytes]:
    """Seconds by the clock, of CPU, peak MiB, and what it says on standard output."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, **options)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


TO_KNOT = ("--resolver", f"{ADDRESS}:{PORT}")


def resolve(folder: Path, first: int, count: int, *options: str, whom: Sequence[str] = TO_KNOT,
            env: dict[str, str] | None = None) -> dict[str, float]:
    """Resolve ``count`` names that exist; the figures."""
    names, output, unresolved = folder / "names", folder / "jobs", folder / "unresolved"
    names.write_text("".join(f"{number + 1},{name(number, odd=False)}\n" for number in range(first, first + count)),
                     encoding="ascii")
    wall, cpu, memory, _ = run([*PSPDR, "-q", "resolve", *whom, "-o", str(output), "-f", "--output-unresolved",
                                str(unresolved), *options, str(names)], env)
    jobs = Counter(json.loads(line)["domain"] for line in output.open("rb"))
    failed = sum(1 for _ in unresolved.open("rb"))
    return {"names": count, "seconds": wall, "cpu": cpu, "memory": memory, "failed": failed,
            "partial": sum(number != 2 for number in jobs.values()), "lost": count - len(jobs) - failed}


def iterative(folder: Path, count: int) -> dict[str, float] | None:
    """The same without a resolver, from the root on; None without libunbound."""
    packages = next((path for root in roots() if (path := root / "usr/lib/python3/dist-packages/unbound.py").exists()),
                    None)
    if packages is None:
        return None
    (folder / "hints").write_text(f". 60 NS ns.root.\nns.root. 60 A {ROOT_SERVER}\n", encoding="ascii")
    env = environment(packages.parents[4] / "usr/sbin/x", PYTHONPATH=f"{Path(__file__).parents[1]}:{packages.parent}")
    return resolve(folder, 0, count, whom=("--iterative", "--root-hints", str(folder / "hints")), env=env)


def dnsperf(folder: Path, count: int) -> dict[str, float] | None:
    """The same questions by dnsperf; None where there is none."""
    binary = next((root / "usr/bin/dnsperf" for root in roots() if (root / "usr/bin/dnsperf").exists()), None)
    if binary is None:
        return None
    queries = folder / "queries"
    queries.write_text("".join(f"{name(number, odd=False)} {kind}\n" for number in range(count)
                               for kind in ("A", "AAAA")), encoding="ascii")
    wall, cpu, _, text = run([str(binary), "-s", ADDRESS, "-p", str(PORT), "-d", str(queries), "-n", "1", "-q", "200",
                              "-T", "1"], environment(binary))
    lost = next(line for line in text.decode().splitlines() if "Queries lost" in line).split()[2]
    return {"names": count, "seconds": wall, "cpu": cpu, "lost": int(lost)}


def threads(count: int) -> dict[str, float]:
    """A thread for each name, so many at once, that asks with dnslib and waits."""
    numbers = iter(range(count))
    lock = threading.Lock()
    failed = []

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            for kind in ("A", "AAAA"):
                query = dnslib.DNSRecord.question(name(number, odd=False), kind)
                with socket.socket(type=socket.SOCK_DGRAM) as sock:
                    sock.settimeout(2)
                    sock.connect((ADDRESS, PORT))
                    try:
                        sock.send(query.pack())
                        json.dumps([str(one.rdata) for one in dnslib.DNSRecord.parse(sock.recv(2000)).rr])
                    except OSError:
                        failed.append(number)

    began, before = time.monotonic(), time.process_time()
    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"names": count, "seconds": time.monotonic() - began, "cpu": time.process_time() - before,
            "failed": len(failed)}


def kill(folder: Path, count: int) -> dict[str, float]:
    """Resolve an odd list while it is killed again and again; what has become of its names."""
    listed = folder / "top-1m.csv.zip"
    with zipfile.ZipFile(listed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("top-1m.csv", "w") as member:
        for number in range(count):
            member.write(f"{number + 1},{name(number, odd=True)}\n".encode("ascii"))
    output, unresolved = folder / "jobs", folder / "unresolved"
    for path in (output, unresolved):
        path.unlink(missing_ok=True)
    command = [*PSPDR, "-q", "resolve", "--resolver", f"{ADDRESS}:{PORT}", "--rate", "1000000", "-o", str(output),
               "--output-unresolved", str(unresolved), "--timeout", "3", "--list-format", "tranco", str(listed)]
    rng = random.Random(18)
    kills, cpu, peak, began = 0, 0.0, 0.0, time.monotonic()
    while True:
        process = subprocess.Popen([*command, *(["--resume"] if kills else [])])
        if kills < 5:
            time.sleep(rng.uniform(4, 4 + count / 50_000))
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
        if process.returncode >= 0:
            break
        kills += 1
    outcomes = bytearray(count)
    for line in output.open("rb"):
        record = json.loads(line)
        outcomes[int(record["rank"]) - 1] += 1 if ":" in record["dip"] else 4
    reasons: Counter[str] = Counter()
    for line in unresolved.open("rb"):
        record = json.loads(line)
        outcomes[int(record["rank"]) - 1] += 16
        reasons[record["conditions"][0].rpartition(":")[2]] += 1
    print(f"  of the names without addresses: {dict(reasons)}; exit status {process.returncode}")
    found = Counter(outcomes)
    return {"names": count, "kills": kills, "seconds": time.monotonic() - began, "cpu": cpu, "memory": peak,
            "both": found[5], "unresolved": found[16], "in_part": found[1] + found[4], "lost": found[0],
            "repeated": count - found[0] - found[1] - found[4] - found[5] - found[16]}


def figures(args: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """All figures, and the limits that were missed."""
    missed = []
    fast = ("--rate", "1000000")
    with knot(folder, max(args.names, args.kill, AT_100)) as server:
        began = cpu_of(server)
        small = resolve(folder, 0, args.names // 10, *fast)
        whole = resolve(folder, 0, args.names, *fast)
        serving = cpu_of(server) - began
        slow = resolve(folder, 0, AT_100, "--rate", "200")
        found: dict[str, Any] = {"resolve": whole, "tenth": small, "at_100": slow, "knot_cpu": serving,
                                 "dnsperf": dnsperf(folder, args.names), "threads": threads(args.names // 10)}
        found["mixed"] = resolve(folder, 0, args.names, *fast, "--mixed-case")
        found["silent"] = resolve(folder, 0, args.names, *fast, "--timeout", "3",
                                  whom=(*TO_KNOT, "--resolver", f"{SILENT}:{PORT}"))
        found["iterative"] = iterative(folder, args.names // 10)
        for kind in ("resolve", "mixed", "silent", "iterative", "dnsperf", "threads"):
            if one := found[kind]:
                rate, alone = one["names"] / one["seconds"], one["names"] / one["cpu"]
                note(TOLD[kind], names=one["names"], seconds=one["seconds"], cpu=one["cpu"], rate=rate,
                     alone=alone)
                print(f"{kind}: {one['names']} names, A and AAAA: {rate:.0f} names/s by the clock, {alone:.0f} by its "
                      f"CPU time; {one['cpu'] / one['names'] * 1e6:.0f} µs a name")
        print(f"  resolve: failed {whole['failed']:.0f}, in part {whole['partial']:.0f}, lost {whole['lost']:.0f}; of "
              f"{AT_100} at 100 names/s failed {slow['failed']:.0f}, in part {slow['partial']:.0f}; memory "
              f"{small['memory']:.0f} MiB for a tenth, {whole['memory']:.0f} MiB for all")
        worst = (whole["failed"] + whole["partial"]) / args.names - (slow["failed"] + slow["partial"]) / AT_100
        if whole["names"] / whole["cpu"] < NAMES_PER_SECOND:
            missed.append(f"CPU for {NAMES_PER_SECOND} names/s")
        others = [one for kind in ("mixed", "silent", "iterative") if (one := found[kind])]
        worst = max([worst, *((one["failed"] + one["partial"]) / one["names"] for one in others)])
        if worst > MORE_FAILURES or whole["lost"] or any(one["lost"] for one in others):
            missed.append("failures")
        if whole["memory"] > MORE_MEMORY * small["memory"]:
            missed.append("memory")
        if args.kill:
            found["kill"] = once = kill(folder, args.kill)
            print(f"kill -9: {once}")
            if once["lost"] or once["repeated"]:
                missed.append("one outcome a name")
    return found, missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--names", type=int, default=100_000, help="that exist (default: a hundred thousand)")
    parser.add_argument("--kill", type=int, default=0, metavar="N", help="names of the list that SIGKILL interrupts")
    add_json(parser)
    args = parser.parse_args()
    if "RESOLVE_INSIDE" not in os.environ:
        inside = {**os.environ, "RESOLVE_INSIDE": "1"}
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], inside)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (ROOT_SERVER, SILENT):
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    subprocess.run(["nft", "-f", "-"], input=SILENCE.format(port=PORT, silent=SILENT).encode(), check=True)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        missed = figures(args, Path(folder))[1]
    write_figures(args.json)
    if missed:
        sys.exit(f"limits that were missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
