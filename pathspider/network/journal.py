"""Who has borrowed what in this network namespace: locks that die with their holders, and a journal that does not.

A lock is an abstract Unix socket (unix(7)): its name exists once in a network namespace, as a sysctl of ``net.`` does,
whatever the user, the mount or the process namespace; the kernel frees it when the last holder (the borrower, then its
guard) is gone, and tells who holds it (``SO_PEERCRED``). Any user can take such a name: one in the hands of somebody
who may not change the setting is passed over (:mod:`pathspider.network.guard`). So runs in different namespaces never
meet. What several runs
may hold at once, each at the same value, they *share* (:mod:`pathspider.network.guard` tells how); such a thing has a
gate, held for the moment in which somebody joins or leaves.

The journal holds the old value of what is borrowed, for the one case that the guard cannot cover: that borrower and
guard were killed together. It lies in ``/run/pathspider``, or, where that cannot be written, in ``$XDG_RUNTIME_DIR`` or
a private folder for temporary files; one folder for a boot and a network namespace, one file for a thing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from pathspider.network import guard

RUN = Path("/run/pathspider")
SO_NETNS_COOKIE = 71  # linux/socket.h, since 5.14: a number for a network namespace that is not used again until reboot
HANDOVER = 2.0
"""How long (seconds) the guard of a dead borrower may take to restore before we give up."""


class Busy(Exception):  # noqa: N818 - a state of the world that the caller words
    """Another process holds the lock; ``pid`` is 0 where it cannot be seen from here, ``uid`` its user."""

    def __init__(self, holder: guard.Holder) -> None:
        super().__init__(*holder)
        self.pid, self.uid = holder


def namespace_key() -> str:
    """A name for this network namespace that no other one has, now or after a reboot."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            (number,) = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))
        except OSError:
            number = os.stat("/proc/thread-self/ns/net").st_ino
    return f"{boot}-{number}"


# -- locks -------------------------------------------------------------------------------------------------------


def _lock_name(thing: str) -> bytes:
    name = f"\0pathspider/{thing}".encode()
    return name if len(name) <= 96 else b"\0pathspider/" + hashlib.sha256(name).hexdigest().encode()


def lock(thing: str) -> socket.socket:
    """Lock ``thing`` in this network namespace until the socket (and each copy of it) is closed.

    :class:`Busy` if a living process holds it that may, ``guard.StrangersError`` (a ``TimeoutError``) if all its names
    are held by others. The guard of a dead one is waited for.
    """
    deadline = monotonic() + HANDOVER
    name = _lock_name(thing)
    while True:
        sock, held = guard.take(name, monotonic() < deadline)
        if sock:
            return sock
        holder = _wait_for_release(held, deadline)
        if holder is not None and guard.may_hold(*holder):
            raise Busy(holder)


def _wait_for_release(name: bytes, deadline: float) -> guard.Holder | None:
    """Wait until a dead holder's lock is free (``None``), or tell the living one, or one that hangs."""
    holder = guard.holder(name)
    if holder is None or holder[0] == 0 or guard.lives(holder[0]):
        return holder
    return guard.wait_for(name, deadline)


def gate(thing: str) -> socket.socket:
    """Keep others from joining, leaving or locking ``thing`` until the socket is closed; waits for them.

    ``TimeoutError`` if one of them does not come to an end.
    """
    return guard.gate(_lock_name(thing))


def lock_unshared(thing: str) -> socket.socket:
    """Lock ``thing`` while its gate is held; :class:`Busy` also if others share it."""
    held = lock(thing)
    sharer = guard.sharer(_lock_name(thing))
    if sharer is not None:
        held.close()
        raise Busy(sharer)
    return held


def lock_alone(thing: str) -> socket.socket:
    """Lock ``thing`` against other borrowers and against sharers; :class:`Busy`, ``TimeoutError`` as above.

    The guards of dead sharers are waited for.
    """
    deadline = monotonic() + HANDOVER
    while True:
        with gate(thing):
            held = lock_unshared(thing)
            unfinished = [name for name in _shares(thing) if (holder := guard.holder(name)) is not None
                          and guard.may_hold(*holder, monotonic() < deadline)]
            if not unfinished:
                return held
            held.close()  # the guard needs the gate
        holder = _wait_for_release(unfinished[0], deadline)
        if holder is not None and guard.may_hold(*holder):
            raise Busy(holder)


def share(thing: str) -> tuple[socket.socket, guard.Holder | None]:
    """Join those who share ``thing``, while its gate is held: (our share, another sharer that lives).

    :class:`Busy` if somebody has locked it, or too many share it.
    """
    lock(thing).close()
    name = _lock_name(thing)
    for own in _shares(thing):
        if sock := guard.bound(own):
            return sock, guard.sharer(name, own)
    sharer = guard.sharer(name)
    if sharer is None:
        raise guard.StrangersError(guard.holder(name + b"/0"))
    raise Busy(sharer)


def _shares(thing: str) -> list[bytes]:
    return [b"%s/%d" % (_lock_name(thing), number) for number in range(guard.SHARES)]


# -- the journal ---------------------------------------------------------------------------------------------------


def _bases() -> Iterator[Path]:
    yield RUN
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "pathspider"
    yield Path(os.environ.get("TMPDIR", "/tmp")) / f"pathspider-{os.geteuid()}"


def _trusted(folder: Path) -> bool:
    """Whether nobody but us (or root) can have written there: what the journal says is done with our privileges."""
    info = folder.lstat()
    return stat.S_ISDIR(info.st_mode) and info.st_uid in (0, os.geteuid()) and not info.st_mode & 0o022


def folder(create: bool) -> Path | None:
    """Where the journal of this network namespace is; ``None`` if there is none (or nowhere to have one)."""
    for base in _bases():
        path = base / namespace_key()
        with contextlib.suppress(OSError):
            if create:
                base.mkdir(mode=0o755, exist_ok=True)
                path.mkdir(mode=0o755, exist_ok=True)
            if _trusted(base) and _trusted(path) and os.access(path, os.W_OK):
                return path
    return None


def place(thing: str) -> str:
    """The file that is to note the old value of ``thing``; ``""`` where no folder can be written."""
    path = folder(create=True)
    return str(path / thing.replace("/", "%")) if path else ""


def write(file: str, old: str) -> None:
    """Note an old value, at a place that :func:`place` has named."""
    target = Path(file)
    partial = target.with_name(f".{target.name}")  # one writer: it has the lock
    for _ in range(10):  # another run may remove the folder, empty in its eyes, as we write
        with contextlib.suppress(FileNotFoundError):
            target.parent.mkdir(mode=0o755, exist_ok=True)
            partial.write_text(f"{os.getpid()}\n{old}", encoding="utf-8")
            partial.replace(target)
            return


def leftovers() -> list[str]:
    """The things that this namespace's journal names; some may be borrowed by living runs."""
    path = folder(create=False)
    if path is None:
        return []
    try:
        return sorted(entry.name.replace("%", "/") for entry in path.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return []  # another run has removed it just now


def read(thing: str) -> tuple[int, str, str] | None:
    """What was noted about ``thing``: (pid of the borrower, old value, the journal's file)."""
    path = folder(create=False)
    if path is None:
        return None
    file = path / thing.replace("/", "%")
    try:
        pid, old = file.read_text(encoding="utf-8").split("\n", 1)
        return int(pid), old, str(file)
    except (FileNotFoundError, ValueError):
        return None
