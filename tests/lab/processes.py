"""Processes of a lab as the machine sees them, for tests that nothing stays behind."""

import contextlib
import os
import select
from pathlib import Path


def parents():
    """Process id -> parent's id, of all processes."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descendants(pid):
    """All processes below ``pid``, nearest first."""
    tree, found = parents(), [pid]
    for one in found:
        found += [child for child, parent in tree.items() if parent == one]
    return found[1:]


class Watch:
    """Holds processes and their namespaces by descriptor, so that a number that is used again cannot fool anybody."""

    def __init__(self, pids):
        self.descriptors = [os.pidfd_open(pid) for pid in pids]
        self.held = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for pid in pids for kind in ("net", "pid", "mnt")]
        self.namespaces = {os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in self.held}
        self.namespaces -= {os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid", "mnt")}

    def all_end(self, timeout=100):
        """True once every process has ended; False when that takes longer."""
        poll = select.poll()
        for descriptor in self.descriptors:
            poll.register(descriptor, select.POLLIN)
        ended = set()
        while len(ended) < len(self.descriptors):
            events = poll.poll(timeout * 1000)
            if not events:
                return False
            for descriptor, _ in events:
                poll.unregister(descriptor)
                ended.add(descriptor)
        return True

    def close(self):
        for descriptor in (*self.descriptors, *self.held):
            os.close(descriptor)


def holders(watch):
    """Whatever still holds a namespace of these processes beside us: processes, descriptors, mounts."""
    found, namespaces = [], watch.namespaces
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                continue  # dead already; whoever inherited it has yet to collect it
        for link in [*folder.glob("ns/*"), *folder.glob("fd/*")]:
            with contextlib.suppress(OSError):
                if os.readlink(link) in namespaces:
                    found.append(str(link))
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines()
              if any(name in line for name in namespaces)]
    return found
