"""``pspdr lab campaign``: a fleet on one machine, whose vantage points see other paths to the same targets.

::

    hub: broker, coordinator            lab "ams": client ── router ── servers
      10.99.0.1 ├── NAT ── up0 ─────────────────┘
                ├── NAT ── up0 ── lab "ber": client ── router (drops ECN-setup SYNs) ── servers
                └── NAT ── up0 ── lab "cdg": client ── router (clears ECE and CWR on SYNs) ── servers

All of it is in one pair of namespaces, of networks and of processes: whatever dies, nothing stays behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from pathspider.campaign.folder import Campaign
from pathspider.campaign.multipoint import Comparison, table
from pathspider.campaign.records import records
from pathspider.lab.errors import LabError
from pathspider.lab.scenarios import clean_jobs
from pathspider.lab.session import Command, Lab, check_machine
from pathspider.records import Record

HUB = "10.99.0.1"
INSIDE = "PATHSPIDER_LAB_CAMPAIGN"
"""Set where the namespaces have been made."""

PATHS = {
    "ams": ("", {"ecn.connectivity.works", "ecn.negotiation.succeeded"}),
    "ber": ("ecn-syn-dropped-tcp", {"ecn.connectivity.broken"}),
    "cdg": ("ecn-syn-stripped-tcp", {"ecn.connectivity.works", "ecn.negotiation.failed"}),
}
"""For each vantage point the scenario that all its paths are of, and what must be found."""

ALLOWED = "plugin ecn\n  option --connect tcp\n  option --timeout 1..10\nmeasure --confirm 0..4\nrate 1000\n"

NAT = "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; " \
      "add rule ip nat post oifname outer masquerade"

PATIENCE = 300
"""Seconds that the campaign may take."""

OPENING = """\
Three vantage points, each behind NAT, measure ECN to the same {count} targets. What the path of each does:

  ams  nothing
  ber  drops ECN-setup SYNs
  cdg  clears ECE and CWR on SYNs

Starting a broker and three labs, then, as you would:

  pspdr campaign run fleet/ecn --fanout all --targets targets.ndjson -- --confirm 0 ecn --connect tcp --timeout 1
"""


def show_campaign(count: int) -> int:
    """Run it; 0 when every vantage point found what is true of its paths."""
    check_machine()
    if INSIDE not in os.environ:
        command = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc",
                   sys.executable, "-m", "pathspider", "lab", "campaign", "--targets", str(count)]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(command, env={**os.environ, INSIDE: "1", "PYTHONPATH": paths}, check=False).returncode
    print(OPENING.format(count=count), flush=True)
    with tempfile.TemporaryDirectory(prefix="pathspider-lab-") as folder, ExitStack() as stack:
        here = Path(folder)
        here.chmod(0o755)
        _make_fleet(here, count)
        stack.callback(_end, _start(here, "fleet", "up", "fleet"))
        for number, (name, (behind, _)) in enumerate(PATHS.items(), 1):
            stack.enter_context(VantagePoint(here, name, number, behind))
        measured = _start(here, "campaign", "run", "fleet/ecn", "--fanout", "all", "--targets", "targets.ndjson",
                          "--chunk", max(1, count // 4), "--", "--confirm", 0, "ecn", "--connect", "tcp",
                          "--timeout", 1)
        stack.callback(_end, measured)
        try:
            status = measured.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise LabError(f"the campaign did not end within {PATIENCE} s; it said:\n{_said(here)}") from None
        if status:
            raise LabError(f"the campaign ended with status {status}; it said:\n{_said(here)}")
        return _compare(Campaign(here / "fleet" / "ecn"), count)


def _compare(campaign: Campaign, count: int) -> int:
    """Tell what each vantage point found, and whether that is true."""
    comparison, right = Comparison(), True
    for name, (_, truth) in PATHS.items():
        found: list[Record] = [json.loads(line) for line in records(campaign, slots=[name])]
        targets = len({record["dip"] for record in found})
        true = sum(truth <= set(record["conditions"]) for record in found)
        words = Counter(word for record in found for word in record["conditions"] if "connectivity" in word)
        print(f"{name}: {len(found)} records of {targets} targets: "
              f"{', '.join(f'{number} {word}' for word, number in words.most_common())}; {true} of {count} are right")
        right &= len(found) == targets == true == count
        comparison.add(name, found)
    print(f"\n{table(comparison.features())}")
    return 0 if right else 1


class VantagePoint:
    """A lab with a vantage point in its client, and the way from there to the hub."""

    def __init__(self, here: Path, name: str, number: int, behind: str) -> None:
        self._here, self._name, self._number = here, name, number
        self._lab = Lab(behind=behind)
        self._command: Command | None = None

    def __enter__(self) -> None:
        self._lab.__enter__()
        try:
            self._connect()
            with (self._here / "log").open("ab") as log:
                self._command = self._lab.popen(
                    [sys.executable, "-m", "pathspider", "vantage", "run", f"fleet/{self._name}.bundle", "-i", "lab0",
                     "--allow-list", "allow", "--spool", f"spool.{self._name}"], stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, cwd=str(self._here))
        except BaseException:
            self._lab.close()
            raise

    def _connect(self) -> None:
        client, nat, number = self._client(), f"nat{self._number}", self._number
        _run(f"ip netns add {nat}")
        _run(f"ip -n {nat} link add outer type veth peer name down{number} netns {os.getpid()}")
        _run(f"ip -n {nat} link add inner type veth peer name up0 netns {client}")
        for where, link, address in (([], f"down{number}", f"10.99.{number}.1"),
                                     (["-n", nat], "outer", f"10.99.{number}.2"), (["-n", nat], "inner", "10.98.0.1")):
            _run("ip", *where, "addr", "add", f"{address}/24", "dev", link)
            _run("ip", *where, "link", "set", link, "up")
        _run(f"ip -n {nat} route add {HUB} via 10.99.{number}.1")
        _run(f"ip netns exec {nat} sysctl -qw net.ipv4.ip_forward=1")
        _run("ip", "netns", "exec", nat, "nft", NAT)
        for words in ("addr add 10.98.0.2/24 dev up0", "link set up0 up", f"route add {HUB} via 10.98.0.1"):
            if self._lab.run(["ip", *words.split()]).returncode:
                raise LabError(f"ip {words}: it failed in the lab's client")

    def _client(self) -> int:
        """A process in the network of the lab's client."""
        assert self._lab._process is not None
        for pid in _below(self._lab._process.pid):
            shown = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "show", "lab0"],
                                   capture_output=True, check=False)
            if shown.returncode == 0:
                return pid
        raise LabError("no process is in the network of the lab's client")

    def __exit__(self, *exception: object) -> None:
        if self._command is not None:
            self._command.kill()
        self._lab.close()


def _make_fleet(here: Path, count: int) -> None:
    """The hub's address, the fleet, and the list of targets."""
    _run("mount -t tmpfs tmpfs /run")  # names of namespaces, which go with this one
    _run("ip link set lo up")
    _run(f"ip addr add {HUB}/32 dev lo")
    for words in (("init", "fleet", "--host", HUB), *(("add", "fleet", name) for name in PATHS)):
        if _start(here, "fleet", *words).wait():
            raise LabError(_said(here))
    (here / "allow").write_text(ALLOWED, encoding="ascii")
    jobs = "".join(f"{json.dumps(job)}\n" for job in clean_jobs(count, version=4))
    (here / "targets.ndjson").write_text(jobs, encoding="ascii")


def _start(here: Path, *words: object) -> subprocess.Popen[bytes]:
    with (here / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "pathspider", *map(str, words)], cwd=here, stdout=log,
                                stderr=log, stdin=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _said(here: Path) -> str:
    return "\n".join((here / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def _run(command: str, *words: str) -> None:
    done = subprocess.run([*command.split(), *words], capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"{command} {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")


def _below(pid: int) -> Iterator[int]:
    """A process and all below it. proc(5)"""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for one in (thread / "children").read_text(encoding="ascii").split():
            yield from _below(int(one))
