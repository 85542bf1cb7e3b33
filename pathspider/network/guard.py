"""The guard: a small process that puts borrowed settings back when their borrower is gone, even by SIGKILL.

Run by :mod:`pathspider.network.settings` as a script, on standard library modules that load in a few milliseconds and
without ``site``; nothing of PATHspider is imported here. It blocks until the borrower's end of a socket pair is closed
or the borrower is dead (a pidfd: forked children may hold copies of the socket), then restores and exits. It has a
session of its own, so that Ctrl-C in the terminal does not reach it, and ignores the signals that ask a process to end:
it ends when its borrower does.

One message (``SOCK_SEQPACKET``) for each thing that is borrowed, before it is changed: five fields, NUL between them
(kind, name, what restoring needs, the thing as the journal calls it, name of the borrower); with it come descriptors:
the lock, kept open until all is restored, and for a sysctl the sysctl itself. The answer is ``ok``, also to the two
fields ``forget`` and a name: the borrower has put this thing back. The message ``done`` means: it has put everything
back. Any other answer says what is wrong with a message.

The two fields ``fill`` and the path of nft, with descriptors of a script and of a file for what nft says, have the
guard run nft; the answer is ``ok``, ``refused`` (nothing was changed), or what happened to it. The borrower does not
run it: should it be killed meanwhile, its child would make the table again after the guard has deleted it.

Whatever nft or standard error do, what can be put back is, and the guard comes to its end.

What several runs share, a sysctl at one value, is put back by the last one that leaves. Each holds a *share*: a
listening abstract Unix socket, named after the thing with a number behind. Who joins or leaves holds the thing's *gate*
meanwhile, so joining and leaving have an order; whoever leaves shuts its share down (for all copies of the socket at
once), and looks whether another one still listens whose holder lives.

Any user can take an abstract name. So each lock, and each gate, has a series of names, and a name is a lock only in the
hands of who may change the setting: root, or a process with ``CAP_NET_ADMIN`` (``may_change()``). One that a stranger
holds is passed over, and whoever holds one name of a series holds the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic, sleep

MESSAGE_BYTES = 8192
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
SERIES = 8
"""Names of a lock."""
MOMENT = 0.1
"""Seconds after which a name that is taken, and at which nobody listens, is a stranger's."""
SHARES = 64
"""So many runs can share a thing."""
COMMAND_SECONDS = 45.0
"""A program that we start and that does not end by then is ended. Less than a borrower waits for an answer."""
STARTS, START_AGAIN = 5, 0.1
"""How often a program is started that cannot be for want of processes, and after how many seconds again."""
PATIENCE = 2.0
"""So long the guard of a dead holder may take to put back, if it cannot be seen whether he was one who may."""
ANSWERING = 1.0
"""After so long, a guard that puts back answers for the locks itself: a dead user's who is not root are not believed
for longer than :data:`PATIENCE`."""
CAP_NET_ADMIN = 12
GATE_SECONDS = 60.0
"""A gate is held for milliseconds, on a busy machine for a second: who holds it for so long has been stopped."""

Holder = tuple[int, int]
"""Who listens at a name: process, 0 if it cannot be seen from here, and user."""
NOBODY: Holder = (0, -1)

# linux/sock_diag.h, linux/unix_diag.h
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, TCP_LISTEN = 4, 20, 10
UDIAG_SHOW_NAME, UDIAG_SHOW_UID, UNIX_DIAG_NAME, UNIX_DIAG_UID = 0x1, 0x40, 0, 7
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300

Borrowed = tuple[str, str, str, str, list[int]]
"""Kind, name, what restoring needs, the thing as the journal calls it, descriptors."""


class Journal:
    """A run's journal, a file that is open for appending: what it has borrowed and not put back yet.

    A line says who writes, then each line that something is borrowed, or is back. Whoever opened the file may not be
    able to open it again, or to delete it: its rights may be fewer now. That is no error; a later run deletes it.

    :param lock: a descriptor of the lock that tells others that the run lives
    """

    def __init__(self, descriptor: int, path: str, lock: int) -> None:
        self.descriptor, self.path, self.lock = descriptor, path, lock

    def note(self, thing: str, old: str) -> None:
        """Note an old value; ``OSError``."""
        line = f"+{thing}\t{old.encode('unicode_escape').decode('ascii')}\n".encode("utf-8", "surrogateescape")
        if os.write(self.descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not os.fstat(self.descriptor).st_nlink:
            raise OSError(errno.ENOENT, "somebody has deleted it")

    def forget(self, thing: str, alone: bool = True) -> None:
        """Note that it is back.

        :param alone: nobody else has borrowed it: what dead runs have noted of it is over, too
        """
        line = f"-{thing}\n".encode("utf-8", "surrogateescape")
        with suppress(OSError):
            os.write(self.descriptor, line)
        folder, own = os.path.split(self.path)
        with suppress(OSError):
            for name in os.listdir(folder) if alone else ():
                if name != own:
                    with suppress(OSError):
                        other = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
                        os.write(other, line)
                        os.close(other)

    def delete(self) -> None:
        """Delete the file, and its folder if it was the last one in it; all is back."""
        for path, away in ((self.path, os.unlink), (os.path.dirname(self.path), os.rmdir)):
            with suppress(OSError):
                away(path)

    def close(self) -> None:
        """Close the file, and our copy of its lock."""
        os.close(self.descriptor)
        os.close(self.lock)


def put_back(kind: str, old: str, descriptors: list[int], journal: Journal | None = None,
             thing: str = "") -> str | None:
    """Restore one thing and have the journal say so; what went wrong, or ``None``. Doing it twice does no harm.

    Never raises: whatever is wrong with one thing, there are others.

    ``sysctl``: write ``old`` to the descriptor after the lock's. ``shared``: the same, if nobody else shares it still;
    the lock is our share. ``nft``: delete a table of ours; ``old`` is the path of nft and the table's name. ``marks``:
    remove the rules and routes of a slot; ``old`` is the command that does, or nothing.
    """
    try:
        if kind == "shared":
            return _leave(old, descriptors, journal, thing)
        if kind == "sysctl":
            problem = _write(descriptors[1], old)
        elif kind == "nft":
            nft, table = old.split(" ", 1)
            problem = _run("nft", [nft, f"add table {table}; delete table {table}"], lock=descriptors[0])
        else:
            problem = _run("what removes routes", old.split("\t"), lock=descriptors[0]) if old else None
        if journal and not problem:
            journal.forget(thing)
        return problem
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _write(descriptor: int, old: str) -> str | None:
    try:
        os.pwrite(descriptor, old.encode("ascii"), 0)
    except OSError as error:
        # the interface whose setting it was is gone
        return None if error.errno in (errno.ENOENT, errno.ENODEV) else error.strerror
    return None


def _run(name: str, command: list[str], lock: int) -> str | None:
    """Run a command; what went wrong, in its own words. It holds the lock too: should we be killed, nobody borrows."""
    with open(os.memfd_create("said"), "w+b") as said:
        problem = _end_of(name, command, {2: said.fileno(), 3: lock})
        said.seek(0)
        words = " ".join(said.read(4096).decode("utf-8", "replace").split())
    return f"{name}: {words}" if problem and words else problem


def _end_of(name: str, command: list[str], streams: dict[int, int]) -> str | None:
    """Run a command, out of reach of Ctrl-C, with these descriptors; what went wrong, or ``None``."""
    # Copies that are out of the way of those that they are to become.
    copies = {number: fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 10) for number, stream in streams.items()}
    try:
        actions = [(os.POSIX_SPAWN_DUP2, copy, number) for number, copy in copies.items()]
        pid = _start(command, actions)
    except OSError as error:
        return f"{name} cannot be started: {error.strerror}"
    finally:
        for copy in copies.values():
            os.close(copy)
    deadline, pause = monotonic() + COMMAND_SECONDS, 0.0005
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)  # a group of its own
            os.waitpid(pid, 0)
            return f"{name} did not end within {COMMAND_SECONDS:g} s"
        sleep(pause)
        pause = min(2 * pause, 0.02)
    status = os.waitstatus_to_exitcode(ended[1])
    if status < 0:
        return f"{name} was ended by signal {-status}"
    return f"{name} ended with status {status}" if status else None


def _start(command: list[str], actions: list[tuple[int, int, int]]) -> int:
    for attempt in range(STARTS):
        try:
            return os.posix_spawn(command[0], command, os.environ, setpgroup=0, file_actions=actions)
        except BlockingIOError:  # no process more for this user or control group: one may end
            if attempt == STARTS - 1:
                raise
            sleep(START_AGAIN)
    raise AssertionError("not reached")


# -- what is shared ------------------------------------------------------------------------------------------------


def bound(name: bytes) -> socket.socket | None:
    """A listening socket of this abstract name; ``None`` if the name is taken."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(name)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return sock


class StrangersError(TimeoutError):
    """All names of a lock are held by who may not change the setting; the text is for the user."""

    def __init__(self, holder: Holder | None) -> None:
        pid, uid = holder or NOBODY
        who = f"process {pid} of user {uid}, " if pid else f"a process of user {uid}, " if uid >= 0 else "a process "
        super().__init__(f"{who}which may not change this setting, holds all names of its lock; end it")


def take(name: bytes, patient: bool) -> tuple[socket.socket | None, bytes]:
    """Hold the lock of this name; or else a name of its series that another holds who may.

    :param patient: a dead process may have been one who may, and its guard at work still
    :raises StrangersError: if strangers hold all names
    """
    series = [name, *(b"%s~%d" % (name, number) for number in range(1, SERIES))]
    until = monotonic() + MOMENT
    sock, stranger = None, None
    for one in series:
        while sock is None and (sock := bound(one)) is None and holder(one) is None and monotonic() < until:
            sleep(0.001)  # it is free just now, or its holder is about to listen
        if sock is not None:
            break
        found = holder(one)
        if found is not None and may_hold(*found, patient):
            return None, one
        stranger = stranger or found
    if sock is None:
        raise StrangersError(stranger)
    own = sock.getsockname()
    for one in series:  # also those that were a stranger's a moment ago: two who look both see the other
        if one != own and (found := holder(one)) is not None and may_hold(*found, patient):
            sock.close()
            return None, one
    return sock, name


def gate(name: bytes) -> socket.socket:
    """Hold the gate of the thing whose lock is called ``name``, until closed.

    ``TimeoutError`` if it stays shut; :class:`StrangersError` if it cannot be had.
    """
    deadline = monotonic() + GATE_SECONDS
    patience = monotonic() + PATIENCE
    while True:
        sock, held = take(name + b"/gate", monotonic() < patience)
        if sock:
            return sock
        found = wait_for(held, min(deadline, monotonic() + PATIENCE))
        if monotonic() > deadline:
            raise TimeoutError(f"another run{f' (process {found[0]})' if found else ''} does not finish its change")


def wait_for(name: bytes, deadline: float) -> Holder | None:
    """Wait until nobody listens at a name any more (``None``), or who still does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(max(deadline - monotonic(), 0.001))
        try:
            sock.connect(name)
            sock.recv(1)  # nobody ever answers: this ends when the lock is freed
        except TimeoutError:
            return holder(name)
        except (ConnectionError, BlockingIOError):
            pass
        return None


def holder(name: bytes) -> Holder | None:
    """The process, alive or not, that made the socket which listens at a name, and its user; ``None`` if there is no
    such socket. The process is 0 where the socket's queue is full: each look stays in it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(name)
        except ConnectionError:
            return None
        except BlockingIOError:
            return owner(name)
        return peer(sock)


def owner(name: bytes) -> Holder:
    """The same without a look that stays: no process, and the user as the kernel lists him. sock_diag(7)"""
    request = struct.pack("=IHHIIBBHIIIII", 40, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, socket.AF_UNIX,
                          0, 0, 1 << TCP_LISTEN, 0, UDIAG_SHOW_NAME | UDIAG_SHOW_UID, 0, 0)
    with suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as diag:
        diag.settimeout(1)
        diag.send(request)
        while True:
            answer = diag.recv(1 << 16)
            while len(answer) >= 16:
                size, kind = struct.unpack_from("=IH", answer)
                if kind != SOCK_DIAG_BY_FAMILY:  # the end, or an error
                    return NOBODY
                told = _attributes(answer[32:size])
                if told.get(UNIX_DIAG_NAME) == name and len(told.get(UNIX_DIAG_UID, b"")) == 4:
                    return 0, struct.unpack("=I", told[UNIX_DIAG_UID])[0]
                answer = answer[size + 3 & ~3:]
    return NOBODY


def _attributes(data: bytes) -> dict[int, bytes]:
    """What netlink(7) attributes tell, by kind."""
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind] = data[4:size]
        data = data[size + 3 & ~3:]
    return found


def peer(sock: socket.socket) -> Holder:
    """Who listens, of a socket that is connected: process (0 if it cannot be seen from here) and user."""
    pid, uid, _ = struct.unpack("=iii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def may_hold(pid: int, uid: int, patient: bool = False) -> bool:
    """Whether who holds a name of ours may, or, if he is dead, can have been one who may."""
    return may_change(pid, uid) or (patient and pid > 0 and not lives(pid))


def may_change(pid: int, uid: int) -> bool:
    """Whether a process may change settings of the network as we may: root, or ``CAP_NET_ADMIN``.

    The capability must be one in our user namespace (user_namespaces(7)), where everybody has all in one of
    his own, and not come with a program that takes another user's rights. Our own user is no reason: a run that gave
    up root's rights has one that others have. Who of it cannot be looked at (in another process namespace, or where
    ``/proc`` shows nobody else's) is believed.
    """
    if uid == 0:
        return True
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        maps = []
        for who in (pid, "self"):
            with open(f"/proc/{who}/uid_map", encoding="ascii") as file:
                maps.append(file.read().split())
        capable = bool(int(status["CapEff"], 16) >> CAP_NET_ADMIN & 1)
        return capable and maps[0] == maps[1] and set(status["Uid"].split()) == {str(uid)}
    except (OSError, ValueError, KeyError):
        return uid == os.geteuid() and (pid == 0 or lives(pid))


def lives(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            line = file.read()
    except OSError:  # there is none, or /proc hides it
        try:
            os.kill(pid, 0)
        except OSError as error:
            return error.errno == errno.EPERM
        return True
    return line.rpartition(")")[2].split()[0] != "Z"


def sharer(name: bytes, own: bytes = b"") -> Holder | None:
    """Who lives, may, and shares the thing whose lock is called ``name``, other than by our share; or ``None``."""
    for number in range(SHARES):
        share = b"%s/%d" % (name, number)
        if share != own and (found := holder(share)) is not None and may_change(*found) \
                and (found[0] == 0 or lives(found[0])):
            return found
    return None


def _leave(old: str, descriptors: list[int], journal: Journal | None, thing: str) -> str | None:
    with socket.socket(fileno=os.dup(descriptors[0])) as share:
        own: bytes = share.getsockname()
        name = own.rpartition(b"/")[0]
        held: AbstractContextManager[object]
        try:
            held = gate(name)
        except StrangersError:  # nobody can join either, and of two who leave at once, the last sees that he is
            held = nullcontext()
        except TimeoutError as error:
            return str(error)
        with held:
            share.shutdown(socket.SHUT_RDWR)  # closing would not do: borrower and guard both have it
            alone = sharer(name, own) is None
            problem = _write(descriptors[1], old) if alone else None
            if journal and not problem:
                journal.forget(thing, alone)
            return problem


# -- the process ---------------------------------------------------------------------------------------------------


def serve(channel: socket.socket, borrower: int, journal: Journal | None = None) -> int:
    """Take messages until the borrower is gone or says that it is done; the exit status: 0 if all is as it was."""
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    try:
        poller.register(os.pidfd_open(borrower), select.POLLIN)
        alive = os.getppid() == borrower
    except ProcessLookupError:
        alive = False
    except OSError:
        alive = True  # no pidfds here: the end of the socket must do
    borrowed: list[Borrowed] = []
    owner = "pathspider"
    while alive:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if channel.fileno() not in ready:
            break
        try:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
        except OSError:
            break
        if message == b"done":
            return 0
        if not message:
            break
        number, *fields = message.decode("utf-8", "surrogateescape").split("\0")
        owner = fields[4] if len(fields) > 4 else owner
        try:
            answer = _obey(fields, descriptors, borrowed)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"[:MESSAGE_BYTES // 8].encode("utf-8", "surrogateescape")
        try:
            # with its number, so that one who gave up waiting for an earlier answer does not mistake that
            channel.send(number.encode("utf-8", "surrogateescape") + b"\0" + answer)
        except OSError:
            break
    return _put_back_all(borrowed, owner, journal)


def _put_back_all(borrowed: list[Borrowed], owner: str, journal: Journal | None) -> int:
    signal.signal(signal.SIGALRM, lambda *_: _answer_for_locks(borrowed))
    signal.setitimer(signal.ITIMER_REAL, ANSWERING)
    problems = []
    for kind, name, old, thing, descriptors in reversed(borrowed):
        if problem := put_back(kind, old, descriptors, journal, thing):
            problems.append(f"{owner}: could not put back {name} ({old.strip()}): {problem}")
    for text in problems:
        _say(text)
    if journal and not problems:
        journal.delete()
    return 1 if problems else 0


def _answer_for_locks(borrowed: list[Borrowed]) -> None:
    """Be who holds the locks, in place of their dead borrower: who listens anew is who listens (unix(7))."""
    for kind, _, _, _, descriptors in borrowed:
        if kind != "shared":
            with suppress(OSError), socket.socket(fileno=os.dup(descriptors[0])) as lock:
                lock.listen(1024)


def _say(text: str) -> None:
    """A line for standard error, if that takes it: it may be closed, or a full pipe that nobody reads."""
    poller = select.poll()
    poller.register(2, select.POLLOUT)
    with suppress(OSError):
        if any(event & select.POLLOUT for _, event in poller.poll(1000)):
            os.write(2, text.encode("utf-8", "replace")[:select.PIPE_BUF - 1] + b"\n")


def _obey(fields: list[str], descriptors: list[int], borrowed: list[Borrowed]) -> bytes:
    """Do what a message says, and the answer."""
    if fields[0] == "forget":
        for one in [one for one in borrowed if one[1] == fields[1]]:
            borrowed.remove(one)
            for descriptor in one[4]:
                os.close(descriptor)
    elif fields[0] == "fill":
        return _fill(fields[1], *descriptors).encode("utf-8", "surrogateescape")
    else:
        kind, name, old, thing, _ = fields
        if len(descriptors) < (2 if kind in ("sysctl", "shared") else 1):
            raise ValueError(f"{len(descriptors)} descriptors came with {name}")
        borrowed.append((kind, name, old, thing, descriptors))
    return b"ok"


def _fill(nft: str, script: int, said: int) -> str:
    """Have nft read a script; the answer to ``fill``."""
    try:
        problem = _end_of("nft", [nft, "-f", "-"], {0: script, 2: said})
        if problem and os.fstat(said).st_size == 0:
            os.write(said, problem.encode("utf-8", "surrogateescape"))
    finally:
        os.close(script)
        os.close(said)
    if problem and ("did not end" in problem or "by signal" in problem):
        return problem
    return "refused" if problem else "ok"


def main(arguments: list[str]) -> int:
    """``guard.py PID [JOURNAL PATH LOCK]``: standard input is the guard's end of the socket pair, PID the borrower; the
    others are the journal's descriptor, path and lock, where there is one."""
    for number in (1, 2):  # closed ones would become files of ours
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as channel:
        journal = Journal(int(arguments[2]), arguments[3], int(arguments[4])) if len(arguments) > 2 else None
        return serve(channel, int(arguments[1]), journal)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
