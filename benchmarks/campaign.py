"""What is left of a campaign when everything is killed: each (vantage point, target) once, none missing?

``local``: a campaign of this machine, killed at random moments, run again each time. ``fleet``: a broker, a coordinator
and three vantage points in namespaces, two of them behind NAT; workers, broker and coordinator are killed, and links
taken away, at random moments. The plugin connects to nothing: what is measured is everything else. ``split``: when
what a dead vantage point had is measured by another. ``waiting``: the
broker's memory while 1.2 GB of results wait for a coordinator that is off. ``overhead``: what a worker costs beside its
measuring process, with ``ecn`` in the lab.

Needs root: ``sudo .venv/bin/python benchmarks/campaign.py [local|fleet|split|waiting|overhead] [--targets N]
[--kills N]``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from figures import add_json, note, write_figures

from pathspider.campaign.folder import Campaign
from pathspider.campaign.records import records
from pathspider.lab import campaign as lab_campaign

PREFIX = "campaign-bench"
PORT, LOCAL_PORT = 5671, 15672
HUB = "10.99.0.1"
LONGEST = 1800.0
"""Seconds after which a part ends whatever happens."""

PLUGIN = '''"""Connects to nothing."""
from pathspider.base import PluggableSpider
from pathspider.desync import DesynchronizedSpider


class Nowhere(DesynchronizedSpider, PluggableSpider):
    """Connects to nothing."""

    name = "nowhere"
    description = "Connects to nothing"
    version = "1"
    capabilities = ()
    conditions = {"nowhere.connectivity.works": "always"}

    def up(self, job, config):
        return {"spdr_state": 0, "sp": 0}

    connections = [up, up]

    def combine_flows(self, flows):
        return ["nowhere.connectivity.works"]
'''


class Place:
    """A folder with the plugin and a list of targets, and commands run there."""

    def __init__(self, folder: Path, targets: int) -> None:
        self.folder = folder
        folder.chmod(0o755)
        plugins = folder / "pathspider" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "nowhere.py").write_text(PLUGIN, encoding="utf-8")
        with (folder / "targets.ndjson").open("w", encoding="ascii") as stream:
            for number in range(targets):
                stream.write(f'{{"dip": "10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "dp": 80}}\n')

    def start(self, *words: Any, namespace: str = "") -> subprocess.Popen[bytes]:
        """A command of ``pspdr``, perhaps in a namespace."""
        before = ["ip", "netns", "exec", namespace] if namespace else []
        root = str(Path(__file__).parents[1])
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([*before, sys.executable, "-m", "pathspider", *map(str, words)], cwd=self.folder,
                                    stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": f"{self.folder}:{root}"})


def told(name: str, campaign: Campaign, targets: int, *, vantages: int, seconds: float, kills: Counter[str]) -> bool:
    """Print what there is of a campaign; whether it is each once."""
    counts: Counter[tuple[str, str]] = Counter()
    for slot in campaign.definition.slots:
        for line in records(campaign, slots=[slot]):
            counts[slot, json.loads(line)["dip"]] += 1
    twice = sum(count > 1 for count in counts.values())
    began = sum(event["event"] == "begin" for event in campaign.journal.events())
    right = len(counts) == targets * vantages and not twice
    note(name, targets=targets, vantages=vantages, found=len(counts), twice=twice, kills=kills.total(), seconds=seconds)
    print(f"{name}: {len(counts)} of {targets * vantages} (vantage point, target), {twice} of them more than once; "
          f"{kills.total()} kills {dict(kills)}, {seconds:.0f} s" + (f", {began} chunks begun" if began else "")
          + ("" if right else "  <- WRONG"), flush=True)
    return right


def local(targets: int, kills: int, draw: random.Random) -> bool:
    """A campaign of this machine."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        place = Place(Path(folder), targets)
        began, killed = time.monotonic(), Counter[str]()
        words = ["-q", "campaign", "run", "c", "--local", "-i", "lo", "--targets", "targets.ndjson", "--chunk", 10_000,
                 "--", "--confirm", 0, "nowhere"]
        while time.monotonic() < began + LONGEST:
            process = place.start(*words)
            words = ["-q", "campaign", "run", "c"]
            if killed.total() < kills:
                while process.poll() is None and not (place.folder / "c" / "campaign.json").exists():
                    time.sleep(0.05)
                time.sleep(draw.uniform(0.5, 12))
                who = draw.choice(["parent", "child"])
                victim = process.pid if who == "parent" else next(iter(children(process.pid)), process.pid)
                if process.poll() is None:
                    os.kill(victim, 9)
                    killed[who] += 1
                if who == "child":
                    process.kill()  # or it would start another: the next run does
                process.wait()
            elif process.wait() == 0:
                break
        return told("local", Campaign(place.folder / "c"), targets, vantages=1, seconds=time.monotonic() - began,
                    kills=killed)


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def run(command: str) -> None:
    """A command that has to work."""
    subprocess.run(command.split(), check=True)


class Network:
    """A hub, and three vantage points, the first two behind NAT."""

    def __enter__(self) -> Network:
        self._stack = ExitStack()
        try:
            self._make()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _make(self) -> None:
        self._add("hub")
        run(f"ip -n {PREFIX}-hub addr add {HUB}/32 dev lo")
        for number in (1, 2, 3):
            for name in (f"nat{number}", f"vp{number}"):
                self._add(name)
                run(f"ip netns exec {PREFIX}-{name} sysctl -qw net.ipv4.ip_forward=1")
            nat, vp = f"{PREFIX}-nat{number}", f"{PREFIX}-vp{number}"
            run(f"ip -n {nat} link add outer type veth peer name down{number} netns {PREFIX}-hub")
            run(f"ip -n {vp} link add eth0 type veth peer name inner netns {nat}")
            for namespace, link, address in ((nat, "outer", f"10.99.{number}.2"), (PREFIX + "-hub", f"down{number}",
                                             f"10.99.{number}.1"), (vp, "eth0", f"10.98.{number}.2"),
                                             (nat, "inner", f"10.98.{number}.1")):
                run(f"ip -n {namespace} addr add {address}/24 dev {link}")
                run(f"ip -n {namespace} link set {link} up")
            run(f"ip -n {nat} route add {HUB} via 10.99.{number}.1")
            run(f"ip -n {vp} route add default via 10.98.{number}.1")
            if number < 3:
                rules = "add table ip n; add chain ip n p { type nat hook postrouting priority 100; }; " \
                        "add rule ip n p oifname outer masquerade"
                subprocess.run(["ip", "netns", "exec", nat, "nft", rules], check=True)
            else:
                run(f"ip -n {PREFIX}-hub route add 10.98.{number}.0/24 via 10.99.{number}.2")

    def _add(self, name: str) -> None:
        run(f"ip netns add {PREFIX}-{name}")
        self._stack.callback(run, f"ip netns del {PREFIX}-{name}")
        run(f"ip -n {PREFIX}-{name} link set lo up")

    def link(self, number: int, state: str) -> None:
        """Take a vantage point's link away, or give it back, with its route."""
        run(f"ip -n {PREFIX}-vp{number} link set eth0 {state}")
        if state == "up":
            run(f"ip -n {PREFIX}-vp{number} route replace default via 10.98.{number}.1")

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def fleet(targets: int, kills: int, draw: random.Random) -> bool:
    """A broker, a coordinator, three vantage points."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, Network() as network:
        place = Place(Path(folder), targets)
        (place.folder / "allow").write_text("plugin nowhere\nmeasure --confirm 0\nrate 1000000\n", encoding="ascii")
        hub = f"{PREFIX}-hub"
        for words in (("init", "f", "--host", HUB), *(("add", "f", f"vp{number}") for number in (1, 2, 3))):
            if place.start("fleet", *words, namespace=hub).wait():
                raise SystemExit((place.folder / "log").read_text(encoding="utf-8"))
        run_words = ["campaign", "run", "f/c", "--fanout", "all", "--targets", "targets.ndjson", "--chunk", 1000, "--",
                     "--confirm", 0, "nowhere"]
        begin = {"broker": lambda: place.start("fleet", "up", "f", namespace=hub),
                 "coordinator": lambda: place.start(*run_words, namespace=hub),
                 **{f"vp{number}": lambda number=number: place.start(
                     "vantage", "run", f"f/vp{number}.bundle", "-i", "lo", "--allow-list", "allow", "--spool",
                     f"spool{number}", namespace=f"{PREFIX}-vp{number}") for number in (1, 2, 3)}}
        processes = {name: start() for name, start in begin.items()}
        began, killed, largest = time.monotonic(), Counter[str](), 0
        try:
            while not (place.folder / "f/c/results").exists() and time.monotonic() < began + 120:
                time.sleep(0.2)
            run_words[3:] = []  # from now on it goes on with what is there
            while processes["coordinator"].poll() is None and time.monotonic() < began + LONGEST:
                largest = max([largest, *(memory(pid) for pid in beams(processes["broker"].pid))])
                time.sleep(draw.uniform(0.5, 3))
                if killed.total() < kills:
                    name = draw.choice([*processes, "link"])
                    killed[name] += 1
                    if name == "link":
                        number = draw.choice((1, 2, 3))
                        network.link(number, "down")
                        time.sleep(draw.uniform(1, 8))
                        network.link(number, "up")
                        continue
                    if name != "coordinator" or processes[name].poll() is None:
                        processes[name].kill()
                        processes[name].wait()
                        processes[name] = begin[name]()
            seconds = time.monotonic() - began
            for name in ("vp1", "vp2", "vp3") if not kills else ():
                pid = processes[name].pid
                cost = cpu(pid) / targets * 1e6
                print(f"fleet: worker {name}: {cost:.0f} us of CPU a record besides measuring, "
                      f"{memory(pid, below=False) >> 10} MB resident; measuring: "
                      f"{sum(map(cpu, children(pid))) / targets * 1e6:.0f} us")
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
        right = told("fleet", Campaign(place.folder / "f/c"), targets, vantages=3, seconds=seconds, kills=killed)
        print(f"fleet: the broker (beam) had {largest >> 10} MB resident at most")
        return right


def waiting(octets: int) -> bool:
    """Results that wait while the coordinator is off."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, Network():
        place, hub = Place(Path(folder), 1), f"{PREFIX}-hub"
        for words in (("init", "f", "--host", HUB), *(("add", "f", f"vp{number}") for number in (1, 2, 3))):
            place.start("fleet", *words, namespace=hub).wait()
        broker = place.start("fleet", "up", "f", namespace=hub)
        senders = [subprocess.Popen(["ip", "netns", "exec", f"{PREFIX}-vp{number}", sys.executable, "-c", SENDER,
                                     place.folder / f"f/vp{number}.bundle", str(octets // SIZE // 3), str(SIZE)])
                   for number in (1, 2, 3)]
        largest = 0
        while any(sender.poll() is None for sender in senders):
            time.sleep(0.2)
            largest = max([largest, *(memory(pid) for pid in beams(broker.pid))])
        settled = max(memory(pid) for pid in beams(broker.pid))
        note("results that wait", gigabytes=octets / 1e9, broker=settled >> 10, broker_most=largest >> 10)
        print(f"waiting: {octets / 1e9:.1f} GB of results wait; the broker (beam) has {settled >> 10} MB resident, "
              f"{largest >> 10} MB at most")
        broker.kill()
        broker.wait()
        return all(sender.returncode == 0 for sender in senders)


def split() -> bool:
    """A vantage point's link goes for good while it has a chunk: when has another measured it?"""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, Network() as network, ExitStack() as stack:
        place, hub = Place(Path(folder), 1000), f"{PREFIX}-hub"
        (place.folder / "allow").write_text("plugin nowhere\nmeasure --confirm 0\n", encoding="ascii")
        for words in (("init", "f", "--host", HUB), *(("add", "f", f"vp{number}") for number in (1, 2))):
            place.start("fleet", *words, namespace=hub).wait()

        def begin(*words: Any, namespace: str) -> subprocess.Popen[bytes]:
            process = place.start(*words, namespace=namespace)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        begin("fleet", "up", "f", namespace=hub)
        for number in (1, 2):
            begin("vantage", "run", f"f/vp{number}.bundle", "-i", "lo", "--allow-list", "allow", "--spool",
                  f"spool{number}", namespace=f"{PREFIX}-vp{number}")
        time.sleep(40)  # all are there; a chunk is held from when it was taken to its start
        start = time.time() + 20
        campaign = begin("campaign", "run", "f/c", "--split", "--targets", "targets.ndjson", "--chunk", 250, "--start",
                         time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start)), "--", "--confirm", 0, "nowhere",
                         namespace=hub)
        time.sleep(10)
        network.link(1, "down")
        gone = time.monotonic()
        status = campaign.wait(300)
        seconds = time.monotonic() - gone
        by = {unpacked.head["vantage"] for _, unpacked in Campaign(place.folder / "f/c").results()}
        note("a link goes for good", seconds=seconds)
        print(f"split: {seconds:.0f} s after a link went for good all was measured, by {', '.join(sorted(by))}")
        return status == 0 and seconds < 60


INSIDE = "PATHSPIDER_BENCH_OVERHEAD"
"""Set where the namespaces have been made."""


def overhead(targets: int) -> bool:
    """``ecn`` in the lab, by one vantage point behind NAT."""
    if INSIDE not in os.environ:
        command = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", sys.executable,
                   __file__, "overhead", "--targets", str(targets)]
        return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode == 0
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        lab_campaign._make_fleet(folder, targets)

        def begin(*words: Any) -> subprocess.Popen[bytes]:
            process = lab_campaign._start(folder, *words)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        begin("fleet", "up", "fleet")
        stack.enter_context(lab_campaign.VantagePoint(folder, "ams", 1, ""))
        worker = idle_worker(folder / "log")
        before, began = cpu(worker), time.monotonic()
        status = begin("campaign", "run", "fleet/c", "--fanout", "ams", "--targets", "targets.ndjson", "--chunk", 1000,
                       "--", "--confirm", 0, "ecn", "--connect", "tcp", "--timeout", 1).wait()
        seconds, own = time.monotonic() - began, cpu(worker) - before
        measuring = sum(map(cpu, children(worker)))
        found = sum(1 for _ in records(Campaign(folder / "fleet" / "c"), slots=["ams"]))
        mine = memory(worker, below=False) >> 10
        note("a worker's overhead", targets=targets, seconds=seconds, part=own / seconds, memory=mine)
        print(f"overhead: {found} of {targets} targets of ecn in chunks of 1000 in {seconds:.0f} s; the worker beside "
              f"its measuring process: {own / seconds:.1%} of the time, {own / targets * 1e6:.0f} us of CPU a target "
              f"(measuring: {measuring / targets * 1e6:.0f}), {mine} MB resident")
        return status == 0 and found == targets and own / seconds < 0.05 and mine <= 40


def idle_worker(log: Path) -> int:
    """The process of the vantage point, once the broker is there and it has nothing to do."""
    end = time.monotonic() + 120
    while b"the broker takes connections" not in log.read_bytes():
        if time.monotonic() > end:
            raise SystemExit(log.read_text(encoding="utf-8"))
        time.sleep(0.5)
    time.sleep(20)  # connections are tried again within 10
    return next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
                if path.read_bytes().split(b"\0")[2:5] == [b"pathspider", b"vantage", b"run"])


def beams(pid: int) -> list[int]:
    """Erlang's run-time systems below a process."""
    found = []
    for one in [pid, *children(pid)]:
        try:
            if Path(f"/proc/{one}/comm").read_text(encoding="ascii").startswith("beam"):
                found.append(one)
            elif one != pid:
                found += beams(one)
        except OSError:
            continue
    return found


SIZE = 300_000
SENDER = """import os, sys, threading
from pathspider.campaign.bundle import Bundle
from pathspider.campaign.link import Link
bundle, left, over = Bundle.read(sys.argv[1]), [int(sys.argv[2])], threading.Event()
def work():
    while left[0]:
        link.publish("results", bundle.name, os.urandom(int(sys.argv[3])), type="result")
        left[0] -= 1
    over.set()
link = Link(bundle, {}, work=work)
link.start()
sys.exit(not over.wait(600))
"""


def cpu(pid: int) -> float:
    """Seconds of CPU of a process. proc(5)"""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, *, below: bool = True) -> int:
    """Resident kB of a process and all below it."""
    total = 0
    for one in [pid, *(children(pid) if below else ())]:
        try:
            status = Path(f"/proc/{one}/status").read_text(encoding="ascii")
        except OSError:
            continue
        total += int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0
        if one != pid:
            total += memory(one) if children(one) else 0
    return total


def main() -> int:
    """Run the parts that are named, or both; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["local", "fleet", "split", "waiting", "overhead", []], default=[])
    parser.add_argument("--targets", type=int, help="(Default: 1,000,000 local, 100,000 at three vantage points)")
    parser.add_argument("--kills", type=int, help="(Default: 10 local, 30 of a fleet)")
    parser.add_argument("--seed", type=int, default=0)
    add_json(parser)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    right = True
    if "local" in args.parts or not args.parts:
        right &= local(args.targets or 1_000_000, 10 if args.kills is None else args.kills, draw)
    if "fleet" in args.parts or not args.parts:
        right &= fleet(args.targets or 100_000, 30 if args.kills is None else args.kills, draw)
    if "split" in args.parts or not args.parts:
        right &= split()
    if "waiting" in args.parts or not args.parts:
        right &= waiting(1_200_000_000)
    if "overhead" in args.parts or not args.parts:
        right &= overhead(args.targets or 10_000)
    print(f"largest child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MB")
    write_figures(args.json)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
