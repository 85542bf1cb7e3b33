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
a private folder for temporary files; one folder for a boot and a network namespace, one file for a run. A run that
gives up root's rights opens its file before (``open_early()``): what root puts back is what a file of root's says.
"""

from __future__ import annotations

import contextlib
import errno
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

_opened: guard.Journal | None = None
"""By ``open_early()``, for whoever borrows first."""


def open_early() -> None:
    """Open this run's journal while that is permitted: whoever gives up rights afterwards can write it still."""
    global _opened  # noqa: PLW0603 - a process gives up its rights once
    if _opened is None:
        _opened = _make()


def open_own() -> guard.Journal | None:
    """A new journal, or the one that was opened early; ``None`` where no folder can be written."""
    global _opened
    own, _opened = _opened, None
    return own or _make()


def _make() -> guard.Journal | None:
    for base in _bases():
        with contextlib.suppress(OSError):
            base.mkdir(mode=0o755, exist_ok=True)
            if _trusted(base) and os.access(base, os.W_OK):
                _sweep(base)
                return _make_in(base / namespace_key())
    return None


def _make_in(folder: Path) -> guard.Journal:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for number in range(100):
        path = folder / (f"{os.getpid()}-{number}" if number else f"{os.getpid()}")
        # The lock first: who finds the file without one takes it for a dead run's. Process numbers come again.
        with contextlib.suppress(Busy, TimeoutError, FileNotFoundError, FileExistsError), _run_lock(path) as held:
            folder.mkdir(mode=0o755, exist_ok=True)
            descriptor = os.open(path, flags, 0o644)  # another run may have removed the folder meanwhile
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, b"%d\n" % os.getpid())
            return guard.Journal(descriptor, str(path), os.dup(held.fileno()))
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def _run_lock(file: Path) -> socket.socket:
    """Lock that a run with this journal lives; :class:`Busy`, ``TimeoutError`` as :func:`lock`."""
    return lock(f"journal/{file.name}")


def _sweep(base: Path) -> None:
    """Delete journals in which nothing is left, of dead runs that had no right to, in any network namespace."""
    for folder in base.iterdir():
        if folder.name != namespace_key():  # there locks tell who lives
            with contextlib.suppress(OSError):
                for file in folder.iterdir():
                    pid, things = _noted(file)
                    if not things and not guard.lives(pid):
                        file.unlink()
                folder.rmdir()


def _bases() -> Iterator[Path]:
    yield RUN
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "pathspider"
    yield Path(os.environ.get("TMPDIR", "/tmp")) / f"pathspider-{os.geteuid()}"


def _trusted(path: Path) -> bool:
    """Whether nobody but us (or root) can have written there: what the journal says is done with our privileges."""
    info = path.lstat()
    kind = stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode)
    return kind and info.st_uid in (0, os.geteuid()) and not info.st_mode & 0o022


def files() -> list[Path]:
    """The journals of this network namespace, of runs that live or are dead, in all folders that are trusted."""
    found: list[Path] = []
    for base in _bases():
        folder = base / namespace_key()
        with contextlib.suppress(OSError):
            if _trusted(base) and _trusted(folder):
                for file in sorted(folder.iterdir()):
                    with contextlib.suppress(OSError):  # its run deletes it just now
                        if _trusted(file):
                            found.append(file)
    return found


def _noted(file: Path) -> tuple[int, dict[str, str]]:
    """What a journal says: process number of its run (0 if it has none), old values of what is not back by thing."""
    things: dict[str, str] = {}
    first, *lines = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    for line in lines[:-1]:  # what has no end was never written to its end
        thing, tab, old = line[1:].partition("\t")
        if line.startswith("+") and tab:
            with contextlib.suppress(UnicodeError):
                things[thing] = old.encode("ascii").decode("unicode_escape")
        elif line.startswith("-"):
            things.pop(thing, None)
    return int(first) if first.isdecimal() else 0, things


def leftovers() -> list[str]:
    """The things that this namespace's journals name; some may be borrowed by living runs."""
    found: set[str] = set()
    for file in files():
        with contextlib.suppress(FileNotFoundError):
            found |= set(_noted(file)[1])
    return sorted(found)


def read(thing: str) -> tuple[int, str] | None:
    """What was noted about ``thing``: (pid of the borrower, old value)."""
    for file in files():
        with contextlib.suppress(FileNotFoundError):
            pid, things = _noted(file)
            if thing in things:
                return pid, things[thing]
    return None


def of_dead_runs() -> Iterator[tuple[int, dict[str, str], guard.Journal]]:
    """Journals that no living run has, and that we may write: process number, old values by thing, the journal.

    Each is ours, locked, until the next one; what has nothing left in it then is deleted.
    """
    for file in files():
        if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
            continue
        with contextlib.suppress(Busy, TimeoutError, OSError), _run_lock(file) as held:
            pid, things = _noted(file)
            own = guard.Journal(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), str(file),
                                os.dup(held.fileno()))
            try:
                yield pid, things, own
                if not _noted(file)[1]:
                    own.delete()
            finally:
                own.close()
