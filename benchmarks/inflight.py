"""What do thousands of connections in flight cost? The helpers in threads, beside a plain libcurl multi loop.

In the lab, against nginx: N targets, 9 % of them black holes, two connections to each, one after the other. Each run is
a process of its own; wall and CPU seconds, peak memory, and how the connections ended. Needs root:
``sudo .venv/bin/python benchmarks/inflight.py [--targets N] [--threads N …] [--kinds http tcp] [--burn N]``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

BLACK_HOLES = "10.127.0.0/16"
TIMEOUT = 5.0
DEAD_SHARE = 0.09


def addresses(count: int) -> list[str]:
    """The targets, the dead ones spread evenly among the live."""
    from pathspider.lab.addresses import clean_address  # noqa: PLC0415

    dead = int(count * DEAD_SHARE)
    found, holes = [], 0
    for number in range(count):
        if number * dead // count != (number + 1) * dead // count:
            holes += 1
            found.append(f"10.127.{holes // 250 + 1}.{holes % 250 + 1}")
        else:
            found.append(clean_address(number, 4))
    return found


def by_threads(kind: str, targets: list[str], concurrency: int) -> dict[str, Any]:
    """The helpers, called by as many threads as there may be connections."""
    from pathspider.helpers.modes import connector  # noqa: PLC0415

    connect = connector(kind)
    connect(("127.0.0.1", None), {"dip": "127.0.0.1", "dp": 9}, 1)  # what is loaded late
    lock, left = threading.Lock(), iter(targets)
    states: Counter[str] = Counter()
    try:
        from pathspider.helpers import poller  # noqa: PLC0415
    except ImportError:
        poller = None  # type: ignore[assignment]

    def work() -> None:
        while True:
            with lock:
                dip = next(left, None)
            if dip is None:
                return
            for _ in range(2):
                began = time.monotonic()
                found = connect(("10.0.0.2", None), {"dip": dip, "dp": 80}, TIMEOUT)
                if "client" in found:
                    found["client"].close()
                word = f"{'dead' if dip.startswith('10.127') else 'live'} {int(found['spdr_state'])}"
                if word == "live 1" and poller is not None:
                    word += f" {poller.disturbance(began, time.monotonic())}"
                elif word == "live 3":
                    word += f" {found['local_error']}"
                with lock:
                    states[word] += 1

    threading.stack_size(int(os.environ.get("STACK", "0")))
    threads = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    ready = Path("/proc/self/status").read_text(encoding="ascii")
    for thread in threads:
        thread.join()
    more: dict[str, Any] = {"rss_mb": int(ready.split("VmRSS:")[1].split()[0]) / 1024}
    if poller is not None and hasattr(poller, "statistics"):
        more["poller"] = poller.statistics()
    return {"states": dict(states), **more}


def by_multi(kind: str, targets: list[str], concurrency: int) -> dict[str, Any]:  # noqa: PLR0915 - one loop
    """The yardstick: one thread, one libcurl multi handle, epoll, nothing beside it."""
    import select  # noqa: PLC0415

    import pycurl  # noqa: PLC0415

    multi, epoll = pycurl.CurlMulti(), select.epoll()
    multi.setopt(pycurl.M_MAXCONNECTS, 1)
    left, running = iter(targets), 0
    states: Counter[str] = Counter()
    handles: set[Any] = set()
    masks: dict[int, int] = {}

    def watch(what: int, fd: int, _multi: object, _data: object) -> None:
        mask = (select.EPOLLIN if what & 1 else 0) | (select.EPOLLOUT if what & 2 else 0)
        if what == pycurl.POLL_REMOVE:
            if masks.pop(fd, None) is not None:
                epoll.unregister(fd)
        elif fd in masks:
            epoll.modify(fd, mask)
            masks[fd] = mask
        else:
            epoll.register(fd, mask)
            masks[fd] = mask

    multi.setopt(pycurl.M_SOCKETFUNCTION, watch)

    def begin(dip: str, turn: int) -> None:
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, f"http://{dip}:80/")
        handle.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.FRESH_CONNECT, 1)
        handle.setopt(pycurl.FORBID_REUSE, 1)
        handle.setopt(pycurl.INTERFACE, "host!10.0.0.2")
        if kind == "tcp":
            handle.setopt(pycurl.CONNECT_ONLY, 1)
        handle.setopt(pycurl.WRITEFUNCTION, len)
        handle.target = dip, turn
        handles.add(handle)
        multi.add_handle(handle)

    while True:
        while running < concurrency and (dip := next(left, None)) is not None:
            begin(dip, 0)
            running += 1
        if not running:
            break
        events = epoll.poll(max(multi.timeout(), 0) / 1000 if multi.timeout() >= 0 else 1.0, 4096)
        for fd, ready in events:
            multi.socket_action(fd, (1 if ready & ~select.EPOLLOUT else 0) | (2 if ready & select.EPOLLOUT else 0))
        if multi.timeout() == 0 or not events:
            multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        while True:
            more, good, bad = multi.info_read()
            for handle in [*good, *(one[0] for one in bad)]:
                dip, turn = handle.target
                states[f"{'dead' if dip.startswith('10.127') else 'live'} {0 if handle in good else 1}"] += 1
                multi.remove_handle(handle)
                handle.close()
                handles.discard(handle)
                if turn == 0:
                    begin(dip, 1)
                else:
                    running -= 1
            if not more:
                break
    return {"states": dict(states)}


def child(how: str, kind: str, count: int, concurrency: int) -> None:
    """One run, in a process of its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    targets = addresses(count)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    began, cpu, system = time.monotonic(), time.process_time(), usage.ru_stime
    found = (by_multi if how == "multi" else by_threads)(kind, targets, concurrency)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"how": how, "kind": kind, "concurrency": concurrency,
                      "wall": round(time.monotonic() - began, 2), "cpu": round(time.process_time() - cpu, 2),
                      "system": round(usage.ru_stime - system, 2), "switches": usage.ru_nvcsw + usage.ru_nivcsw,
                      "peak_mb": usage.ru_maxrss // 1024, **found}))


def main() -> int:
    """All runs that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--kinds", nargs="+", default=["http", "tcp"])
    parser.add_argument("--hows", nargs="+", default=["multi", "threads"])
    parser.add_argument("--burn", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        how, kind, count, concurrency = args.child
        child(how, kind, int(count), int(concurrency))
        return 0
    from pathspider.lab import Lab  # noqa: PLC0415

    with Lab(servers="nginx") as lab:
        drop = ("add table inet benchmark\n"
                "add chain inet benchmark forward { type filter hook forward priority -200; }\n"
                f"add rule inet benchmark forward ip daddr {BLACK_HOLES} drop\n")
        lab.run(["nft", "-f", "-"], data=drop.encode(), room="router")
        for concurrency in args.threads:
            for kind in args.kinds:
                for how in args.hows:
                    bound = "import time\nend = time.monotonic() + 120\nwhile time.monotonic() < end: pass"
                    burners = [subprocess.Popen([sys.executable, "-c", bound]) for _ in range(args.burn)]
                    try:
                        outcome = lab.run([*os.environ.get("WRAP", "").split(), sys.executable, __file__, "--child",
                                           how, kind, str(args.targets), str(concurrency)],
                                          capture_output=True, timeout=300)
                    finally:
                        for burner in burners:
                            burner.kill()
                            burner.wait()
                    print(outcome.stdout.decode().strip(), outcome.stderr.decode()[-2000:], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
