"""Does a live ``pspdr observe`` keep up? Packets at a given rate on the lab's client interface, and how many were seen.

A sender in the lab's router (``sendmmsg`` on a packet socket) offers the flows of ``observe.py``, each frame from a
hardware address of its own, so that exactly its packets are counted. After the last one comes SIGINT; measured is the
time until the process is gone, every open flow written. Medians of several runs; the worst loss counts.

Needs root: ``sudo make bench``, or ``sudo .venv/bin/python benchmarks/live.py [--seconds S] [--runs N] [--json FILE]``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from figures import add_json, note, write_figures
from observe import packets

from pathspider.lab import Lab

INTERFACE, FAR_END = "lab0", "to-lab0"
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
"""See packet(7); the socket module has no names for them."""
CHAINS = ["basic", "tcp", "ecn", "dscp"]
BOUNDS = {100_000: 0.0, 200_000: 0.01}
"""Packets per second offered, and the share of them that may be lost."""
STOP = 0.2
"""Seconds from SIGINT to the end of the process."""
TARGET, SOURCE = bytes.fromhex("02000a0000fe"), bytes.fromhex("02000a0000fd")
"""Nobody's hardware addresses: what is sent to them is captured and goes no further."""
FRAMES = 100_000
"""Distinct frames; they are sent over and over."""
ALL_PROTOCOLS = "0003"


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """``struct mmsghdr``; see sendmmsg(2)."""

    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.c_void_p),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def wait_for_capture() -> None:
    """Return when somebody captures here, as /proc/net/packet tells."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = [line.split() for line in Path("/proc/net/packet").read_text().splitlines()[1:]]
        if any(row[3] == ALL_PROTOCOLS and row[4] != "0" for row in rows):
            return
        time.sleep(0.01)
    raise SystemExit("nobody captures")


def send(rate: int, seconds: float) -> None:
    """Offer ``rate`` packets a second, a batch each millisecond; prints how many, and in how many seconds."""
    frames = [TARGET + SOURCE + frame[12:] for frame in islice(packets(FRAMES, 1), FRAMES)]
    vectors = (Vector * FRAMES)(*((frame, len(frame)) for frame in frames))
    messages = (Message * FRAMES)()
    for number in range(FRAMES):
        messages[number].vectors = ctypes.addressof(vectors[number])
        messages[number].count = 1
    libc = ctypes.CDLL(None, use_errno=True)
    size, total, sent = ctypes.sizeof(Message), int(rate * seconds), 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
        link.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        link.bind((FAR_END, 0))
        began = time.monotonic()
        while sent < total:
            due = min(total, int((time.monotonic() - began) * rate) + 1)
            while sent < due:
                at = sent % FRAMES
                batch = min(due - sent, FRAMES - at, 1024)
                done = libc.sendmmsg(link.fileno(), ctypes.byref(messages, at * size), batch, 0)
                if done < 0 and ctypes.get_errno() != 105:  # ENOBUFS: not now
                    raise OSError(ctypes.get_errno(), "sendmmsg")
                sent += max(done, 0)
            time.sleep(0.001)
        print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))


def run(lab: Lab, rate: int, seconds: float, records: Path) -> dict[str, float]:
    """One observation; its figures."""
    observer = lab.popen([sys.executable, "-m", "pathspider", "observe", "-i", INTERFACE, "--force", "--output",
                          str(records), "--filter", "ether src " + SOURCE.hex(":"), *CHAINS], stderr=subprocess.PIPE)
    waiting = lab.popen([sys.executable, __file__, "--wait"])
    if waiting.wait(30):
        raise SystemExit("pspdr observe does not capture")
    sender = lab.popen([sys.executable, __file__, "--send", str(rate), "--seconds", str(seconds)],
                       room="router", stdout=subprocess.PIPE)
    printed, _ = sender.communicate(timeout=seconds * 5 + 60)
    offered = json.loads(printed)
    began = time.monotonic()
    observer.send_signal(signal.SIGINT)
    _, errors = observer.communicate(timeout=60)
    stop = time.monotonic() - began
    if observer.returncode:
        raise SystemExit(f"pspdr observe ended with status {observer.returncode}: {errors.decode()}")
    with records.open() as lines:
        seen = [json.loads(line) for line in lines]
    counted = sum(flow["pkt_fwd"] + flow["pkt_rev"] for flow in seen)
    found = re.search(rb"(\d+) packets dropped by the kernel, (\d+) by the ring", errors)
    assert found is not None, errors
    return {"rate": offered["sent"] / offered["seconds"], "sent": offered["sent"], "seen": counted,
            "loss": 1 - counted / offered["sent"], "kernel": int(found[1]), "ring": int(found[2]),
            "flows": len(seen), "stop": stop}


def main() -> int:
    """Offer packets at each rate; 1 if too many were lost or the stop took too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    add_json(parser)
    parser.add_argument("--send", type=int, metavar="RATE", help="be the sender (inside the lab)")
    parser.add_argument("--wait", action="store_true", help="wait until somebody captures (inside the lab)")
    args = parser.parse_args()
    if args.wait:
        wait_for_capture()
        return 0
    if args.send is not None:
        send(args.send, args.seconds)
        return 0
    print(f"{'offered/s':>10} {'sent/s':>8} {'sent':>8} {'lost':>6} {'loss':>7} {'kernel':>7} {'ring':>6} {'flows':>7} "
          f"{'stop s':>7}  (medians of {args.runs}; loss: the worst)")
    ok = True
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        for rate, bound in BOUNDS.items():
            runs = [run(lab, rate, args.seconds, Path(folder) / "records") for _ in range(args.runs)]
            row = {key: statistics.median(figures[key] for figures in runs) for key in runs[0]}
            row["loss"] = max(figures["loss"] for figures in runs)
            lost = max(figures["sent"] - figures["seen"] for figures in runs)
            note(f"{rate:,} packets a second offered", **row, lost=lost)
            print(f"{rate:10} {row['rate']:8.0f} {row['sent']:8.0f} {lost:6.0f} {row['loss']:7.2%} "
                  f"{row['kernel']:7.0f} {row['ring']:6.0f} {row['flows']:7.0f} {row['stop']:7.3f}", flush=True)
            ok = ok and row["loss"] <= bound and row["stop"] <= STOP and row["rate"] > 0.95 * rate
    write_figures(args.json)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
