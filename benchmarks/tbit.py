"""Do ``ecn --feedback`` and ``accecn`` say of targets what Debian's ``scamper`` says of them? Its ``tbit -t ecn`` asks
for ECN, too, sends data with CE, and looks for ECE.

Targets of the lab, IPv4 and IPv6, in eight kinds of paths that both can tell apart; each tool measures all of them in
the same lab. What each says of a kind is put into the other's words (:data:`KINDS`); printed are how many targets they
agree on, by kind, and why they differ where they may. The exit status is 1 where a target differs otherwise.

Debian's scamper (20211212) is built without a firewall to keep the kernel's RSTs off its connections, and so answers
``sys-error`` for each target. Here the lab drops these RSTs, and in a copy of the program the function that has
nothing to offer (``scamper_firewall_entry_get``) returns something, which is looked at no further.

Needs root, and ``make servers`` once: ``sudo .venv/bin/python benchmarks/tbit.py [--targets N]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Any

from figures import add_json, note, write_figures

from pathspider.lab import Lab
from pathspider.lab.external import environment, find_program
from pathspider.lab.scenarios import clean_jobs

PROGRAM = "182499dd"
"""The SHA-256 of Debian's program (amd64, 20211212-1.1) begins so."""
STUB_AT = 0x25FC0
STUB, OFFERS = bytes.fromhex("31c0c366662e"), bytes.fromhex("b801000000c3")
"""``xor %eax,%eax; ret`` and padding; ``mov $1,%eax; ret``."""
RATE = 1000
"""Packets a second of scamper's."""


@dataclass
class Kind:
    """What a path does, and what the tools are to say of it."""

    name: str
    rules: tuple[str, ...]
    """nft, on the lab's router; ``$D`` and ``$S`` match packets towards such targets, and from them."""
    ours: str
    """``ecn --feedback``, shortened as :func:`ours_of` does it."""
    theirs: str
    """scamper's result."""
    accurate: str
    """``accecn``: its negotiation, or connectivity where there is none."""
    differs: str = ""
    """Why scamper's word is not the same, where it is not."""


KINDS = [
    Kind("clean", (), "ce_echoed", "ecn-success", "classic"),
    Kind("CE becomes ECT(0)", ("$D $ip ecn ce $ip ecn set ect0",), "ce_not_echoed", "ecn-noece", "classic"),
    Kind("CE is dropped", ("$D $ip ecn ce drop",), "ce_lost", "ecn-nodata", "classic",
         "scamper never sends its request without CE: it does not come through, and there is no response"),
    Kind("SYN stripped", ("$D tcp flags & (syn|ack) == syn tcp flags set syn",), "failed", "ecn-incapable", "none"),
    Kind("SYN that asks dropped", ("$D tcp flags & (syn|ack|ecn|cwr) == (syn|ecn|cwr) drop",), "broken", "tcp-noconn",
         "broken", "scamper has no baseline: it cannot tell this from a target that is offline"),
    Kind("flags on every SYN-ACK", ("$S tcp flags & (syn|ack) == (syn|ack) tcp flags set (syn|ack|ecn|cwr)",),
         "unclear", "ecn-badsynack", "unclear", "scamper does not see that it comes unasked: it has no baseline"),
    Kind("bleached on the way out", ("$D $ip ecn != not-ect $ip ecn set not-ect",), "ce_not_echoed", "ecn-noece",
         "classic"),
    Kind("offline", ("$D drop",), "offline", "tcp-noconn", "offline"),
]


def ruleset() -> str:
    """What the router does: a kind for each value of the last three bits of an address."""
    rules = []
    for number, kind in enumerate(KINDS):
        for ip, mask in (("ip", "0.0.0."), ("ip6", "::")):
            ends = {"D": f"{ip} daddr & {mask}7 == {mask}{number}", "S": f"{ip} saddr & {mask}7 == {mask}{number}"}
            for rule in kind.rules:
                rules.append(Template(rule).substitute(ends, ip=ip))
    return "\n".join(["table inet benchmark {", "chain forward {", "type filter hook forward priority -200;", *rules,
                      "}", "}"])


KEEP_QUIET = """table inet benchmark {
    chain output { type filter hook output priority 0; tcp flags & rst == rst drop; }
}
"""
"""The client's kernel knows nothing of scamper's connections, and would reset them."""


def kind_of(address: str) -> Kind:
    """The kind of the path to a target."""
    return KINDS[int(address.replace(":", ".").split(".")[-1], 16 if ":" in address else 10) % len(KINDS)]


def scamper(folder: Path) -> Path:
    """A copy of the program that can do without a firewall."""
    program = find_program("scamper", "scamper")
    data = bytearray(program.read_bytes())
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(PROGRAM) or data[STUB_AT:STUB_AT + len(STUB)] != STUB:
        sys.exit(f"{program} (SHA-256 {digest[:8]}…) is not Debian 12's of amd64: who knows where its firewall is?")
    data[STUB_AT:STUB_AT + len(OFFERS)] = OFFERS
    copy = folder / "scamper"
    copy.write_bytes(data)
    copy.chmod(0o755)
    return copy


def theirs(lab: Lab, folder: Path, jobs: list[dict[str, Any]]) -> dict[str, str]:
    """What scamper says, by target."""
    program, targets = scamper(folder), folder / "addresses"
    targets.write_text("".join(f"{job['dip']}\n" for job in jobs))
    quiet = lab.run(["nft", "-f", "-"], data=KEEP_QUIET.encode(), capture_output=True)
    assert quiet.returncode == 0, quiet.stderr
    done = lab.run([str(program), "-p", str(RATE), "-O", "json", "-c",
                    "tbit -t ecn -p http -u http://www.example.com/", "-f", str(targets)], capture_output=True,
                   timeout=600, env=environment(find_program("scamper", "scamper")))
    lab.run(["nft", "delete", "table", "inet", "benchmark"])
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return {plain(one["dst"]): one["result"] for one in found if one["type"] == "tbit"}


def measured(lab: Lab, folder: Path, jobs: list[dict[str, Any]], *experiment: str) -> dict[str, list[str]]:
    """What ``pspdr measure`` says, by target."""
    targets, output = folder / "jobs", folder / f"{experiment[0]}.records"
    targets.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    lab.run([sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "--confirm", "0", "--input", str(targets),
             "--output", str(output), *experiment, "--timeout", "5"], capture_output=True, timeout=600)
    records = map(json.loads, output.read_text().splitlines())
    return {plain(record["dip"]): record["conditions"] for record in records}


def plain(address: str) -> str:
    """An address, however it is spelled."""
    return str(ip_address(address))


def last_word(found: list[str], *names: str) -> str:
    """The answer in the first of these names of which there is one."""
    for name in names:
        for condition in found:
            if condition.rpartition(".")[0] == name:
                return condition.rpartition(".")[2]
    return " ".join(found)


def ours_of(found: list[str]) -> str:
    """What ``ecn --feedback`` says: of CE; else of the negotiation, where it did not succeed; else of connectivity."""
    if {"ecn.connectivity.broken", "ecn.connectivity.offline", "ecn.connectivity.transient"} & {*found}:
        return last_word(found, "ecn.connectivity")
    return last_word(found, "ecn.feedback", "ecn.negotiation")


def accurate_of(found: list[str]) -> str:
    """What ``accecn`` says to the SYN without a mark."""
    return last_word(found, "accecn.negotiation", "accecn.connectivity")


def compare(jobs: list[dict[str, Any]], said: dict[str, dict[str, str]]) -> Iterator[str]:
    """A line for each kind, and one for each way in which a target differs from what is known of its kind."""
    counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for job in jobs:
        target = plain(job["dip"])
        counts[kind_of(target).name][tuple(one.get(target, "nothing") for one in said.values())] += 1
    for kind in KINDS:
        expected = (kind.ours, kind.theirs, kind.accurate)
        total, right = counts[kind.name].total(), counts[kind.name][expected]
        yield f"{kind.name:26} {right:4} of {total:4}   {' / '.join(expected)}"
        if kind.differs:
            yield f"    {kind.differs}"
        for others, count in counts[kind.name].items():
            if others != expected:
                yield f"    DIFFERS: {count} targets: {' / '.join(others)}"


def main() -> int:
    """Run it; 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=1000, metavar="N", help="so many (default: 1000)")
    add_json(parser)
    args = parser.parse_args()
    jobs = list(clean_jobs(args.targets, "http"))
    with tempfile.TemporaryDirectory() as name, Lab("nginx") as lab:
        folder = Path(name)
        done = lab.run(["nft", "-f", "-"], data=ruleset().encode(), room="router", capture_output=True)
        assert done.returncode == 0, done.stderr
        times = [time.monotonic()]
        ecn = measured(lab, folder, jobs, "ecn", "--connect", "http", "--feedback")
        times.append(time.monotonic())
        tbit = theirs(lab, folder, jobs)
        times.append(time.monotonic())
        accecn = measured(lab, folder, jobs, "accecn")
        times.append(time.monotonic())
    for tool, begin, end in zip(("ecn --feedback", "scamper's tbit", "accecn"), times, times[1:], strict=False):
        note(tool, targets=args.targets, seconds=end - begin)
    write_figures(args.json)
    print(f"{args.targets} targets; seconds: " + ", ".join(
        f"{tool} {end - begin:.1f}" for tool, begin, end in
        zip(("ecn --feedback", "scamper", "accecn"), times, times[1:], strict=False)))
    print(f"{'path':26} {'as known':>12}   ecn --feedback / scamper / accecn")
    lines = [*compare(jobs, {"ecn": {target: ours_of(found) for target, found in ecn.items()}, "scamper": tbit,
                             "accecn": {target: accurate_of(found) for target, found in accecn.items()}})]
    print("\n".join(lines))
    return int(any("DIFFERS" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
