"""Does each connection leave as its configuration says, and nothing else? And does nothing of ours stay behind?

``wire``: 10,000 connections of ``ecn`` and of ``dscp``, 100 pairs at once, against a capture by tcpdump beside them:
the SYNs' ECN flags, or every packet's DSCP, must be those of the configuration that the record names. Another program
connects to other addresses at the same time; its packets must be unmarked and ask for nothing. Two runs side by side
with ``both``. ``kill``: SIGKILL at ten random moments; within 2 s no rule, route, nexthop, nft table or sysctl of ours
may be left.

Needs root: ``sudo .venv/bin/python benchmarks/wire.py [wire] [kill] [--seed N] [--rounds N]``.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address

JOBS = 5000
"""Of two connections each."""
OTHER = 1_000_000
"""Clean targets from this number on are another program's."""
KINDS = {"ecn": ["ecn", "--connect", "tcp"], "dscp": ["dscp", "--connect", "tcp"]}
PATIENCE = 2.0
"""Seconds in which the guard has put everything back."""

BESIDE = """
import itertools, socket, sys
targets = sys.stdin.read().split()
for number in itertools.count():
    try:
        socket.create_connection((targets[number % len(targets)], 80), timeout=5).close()
    except OSError:
        pass
"""
"""Another program: one connection after the other, until it is ended."""

STATE = """
ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | sed 's/ expires [0-9a-z]*//'
ip nexthop; ip -6 nexthop; nft list ruleset
sysctl -a 2>/dev/null | grep -E 'tcp_ecn|tcp_fastopen|tcp_syn_retries|ip_default_ttl|rp_filter|src_valid'
"""
Flow = tuple[str, int, str, int]
Packet = tuple[Flow, bool, int, int]


def packets(capture: Path) -> Iterator[Packet]:
    """(source, port, destination, port), whether ours, TOS or traffic class, TCP flags with NS; of each TCP packet."""
    data = capture.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1", "a pcap file of this machine's byte order"
    place = 24
    while place + 16 <= len(data):
        length = struct.unpack_from("<I", data, place + 8)[0]
        frame = data[place + 16:place + 16 + length]
        place += 16 + length
        kind, ip = frame[12:14], frame[14:]
        if kind == b"\x08\x00" and ip[9] == socket.IPPROTO_TCP:
            tos, tcp = ip[1], ip[(ip[0] & 15) * 4:]
            source, destination = (socket.inet_ntop(socket.AF_INET, ip[n:n + 4]) for n in (12, 16))
        elif kind == b"\x86\xdd" and ip[6] == socket.IPPROTO_TCP:
            tos, tcp = struct.unpack_from("!H", ip)[0] >> 4 & 255, ip[40:]
            source, destination = (socket.inet_ntop(socket.AF_INET6, ip[n:n + 16]) for n in (8, 24))
        else:
            continue
        sport, dport = struct.unpack_from("!HH", tcp)
        ours = source in ("10.0.0.2", "fd00:10::2")
        flow = (source, sport, destination, dport) if ours else (destination, dport, source, sport)
        yield flow, ours, tos, struct.unpack_from("!H", tcp, 12)[0] & 0x1FF


def wrong_form(kind: str, config: int, sent: list[tuple[int, int]]) -> str | None:
    """What is wrong about the packets that a connection sent, as (TOS, flags); None if they are as meant."""
    syns = [(tos, flags) for tos, flags in sent if flags & 0x02]
    if not syns:
        return "no SYN captured"
    if kind == "ecn":
        meant = 0xC2 if config else 0x02
        bad = [f"SYN {flags:#x} with ECN field {tos & 3}" for tos, flags in syns if flags != meant or tos & 3]
        bad += [f"{tos:#x} on a packet without ECN" for tos, _ in sent if not config and tos]
    else:
        meant = 46 << 2 if config else 0
        bad = [f"TOS {tos:#x} on flags {flags:#x}" for tos, flags in sent if tos != meant]
        bad += [f"SYN {flags:#x}" for _, flags in syns if flags != 0x02]
    return bad[0] if bad else None


def wire(lab: Lab, kinds: list[str], folder: Path) -> int:
    """Runs of these plugins, side by side, checked against the capture; how many connections are wrong."""
    capture, runs, records = folder / "capture", [], []
    tcpdump = lab.popen(["tcpdump", "-i", "lab0", "-Z", "root", "-s", "100", "-B", "65536", "-U", "--immediate-mode",
                         "-w", str(capture), "tcp"], stderr=subprocess.PIPE)
    assert tcpdump.stderr is not None
    while b"listening on" not in (line := tcpdump.stderr.readline()):
        if not line:
            raise RuntimeError("tcpdump ended")
    beside = lab.popen([sys.executable, "-c", BESIDE], stdin=subprocess.PIPE)
    assert beside.stdin is not None
    beside.stdin.write("\n".join(clean_address(OTHER + n, 4 + n % 2 * 2) for n in range(1000)).encode())
    beside.stdin.close()
    for number, kind in enumerate(kinds):
        jobs = folder / f"jobs-{kind}"
        # each run has targets of its own, so that a flow tells whose it is
        jobs.write_text("".join(json.dumps({"dip": clean_address(number * JOBS + n, 4 + n % 2 * 2), "dp": 80}) + "\n"
                                for n in range(JOBS)))
        runs.append(lab.popen([sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "-w", "100", "--input",
                               str(jobs), "--output", str(folder / f"records-{kind}"), "--output-flows", *KINDS[kind]],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE))
    messages = [run.communicate(timeout=600)[1].decode().strip() for run in runs]
    beside.kill()
    beside.wait()
    tcpdump.send_signal(2)
    said = tcpdump.communicate(timeout=60)[1].decode()

    sent: defaultdict[Flow, list[tuple[int, int]]] = defaultdict(list)
    for flow, ours, tos, flags in packets(capture):
        if ours:
            sent[flow].append((tos, flags))
    wrong: list[str] = []
    known = set()
    for kind, run, message in zip(kinds, runs, messages, strict=True):
        text = (folder / f"records-{kind}").read_text() if (folder / f"records-{kind}").exists() else ""
        records = [json.loads(line) for line in text.splitlines()]
        connections = 0
        for flow in (one for record in records for one in record["flow_results"]):
            key = (flow.get("sip"), flow["sp"], flow["dip"], flow["dp"])
            if not flow["observed"]:
                wrong.append(f"{kind}: {key} not observed")
                continue
            connections += 1
            known.add(key)
            if fault := wrong_form(kind, flow["config"], sent[key]):
                wrong.append(f"{kind}, configuration {flow['config']}, {key}: {fault}")
        if run.returncode or connections != 2 * JOBS:
            wrong.append(f"{kind}: status {run.returncode}, {connections} of {2 * JOBS} connections; {message[-300:]}")
    others = [flow for flow in sent if flow not in known]
    marked = [flow for flow in others if any(tos or (flags & 0x02 and flags != 0x02) for tos, flags in sent[flow])]
    print(f"{' and '.join(kinds):14} {len(known)} connections, {len(wrong)} wrong; {len(others)} of other programs, "
          f"{len(marked)} marked or asking; {' '.join(said.split()[-12:])}", flush=True)
    note(" and ".join(kinds), connections=len(known), wrong=len(wrong), others=len(others), marked=len(marked))
    for line in [*wrong[:4], *(f"other program: {flow} {sent[flow][:3]}" for flow in marked[:4])]:
        print("    FAILS:", line)
    return len(wrong) + len(marked) + (0 if others else 1)


def state(lab: Lab) -> str:
    """What a run may borrow: rules, routes, nexthops, nft tables, sysctls."""
    return lab.run(["sh", "-c", STATE], capture_output=True).stdout.decode()


def kill(lab: Lab, kind: str, chance: random.Random, folder: Path) -> int:
    """One run, ended by SIGKILL; the number of lines that differ 2 s later at the latest."""
    before, output = state(lab), folder / "killed"
    jobs = "".join(json.dumps({"dip": clean_address(n, 4 + n % 2 * 2), "dp": 80}) + "\n" for n in range(20_000))
    (folder / "jobs").write_text(jobs)
    run = lab.popen([sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "--input", str(folder / "jobs"),
                     "--output", str(output), "--force" if "--force" in help_text() else "--output-flows",
                     *KINDS[kind]], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    moment = chance.uniform(0.1, 2.5)
    time.sleep(moment)
    during = state(lab)
    run.kill()
    run.wait()
    end = time.monotonic() + PATIENCE
    while (after := state(lab)) != before and time.monotonic() < end:
        time.sleep(0.05)
    left = sorted(set(after.splitlines()) ^ set(before.splitlines()))
    borrowed = len(set(during.splitlines()) ^ set(before.splitlines()))
    print(f"{kind:14} killed after {moment:.2f} s, {borrowed} lines borrowed then; left: {left or 'nothing'}",
          flush=True)
    note(f"{kind}, killed after {moment:.2f} s", borrowed=borrowed, left=len(left))
    output.unlink(missing_ok=True)
    return len(left)


def help_text() -> str:
    """The help of ``measure``."""
    return subprocess.run([sys.executable, "-m", "pathspider", "measure", "--help"], capture_output=True, text=True,
                          check=True).stdout


def main() -> int:
    """Run what is asked for; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="wire, both, kill (Default: all)")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=10, help="how often each run is killed (Default: 10)")
    add_json(parser)
    args = parser.parse_args()
    names, chance, total = args.names or ["wire", "both", "kill"], random.Random(args.seed), 0
    with Lab(servers="nginx") as lab, tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        if "wire" in names:
            total += sum(wire(lab, [kind], path) for kind in KINDS)
        for old in path.glob("records-*"):
            old.unlink()
        if "both" in names:
            total += wire(lab, list(KINDS), path)
        if "kill" in names:
            total += sum(kill(lab, kind, chance, path) for kind in KINDS for _ in range(args.rounds))
    write_figures(args.json)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
