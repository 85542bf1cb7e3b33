"""The guard: a small process that puts borrowed settings back when their borrower is gone, even by SIGKILL.

Run by :mod:`pathspider.network.settings` as a script, on standard library modules that load in a few milliseconds and
without ``site``; nothing of PATHspider is imported here. It blocks until the borrower's end of a socket pair is closed
or the borrower is dead (a pidfd: forked children may hold copies of the socket), then restores and exits. It has a
session of its own, so that Ctrl-C in the terminal does not reach it, and ignores the signals that ask a process to end:
it ends when its borrower does.

One message (``SOCK_SEQPACKET``) for each thing that is borrowed, before it is changed: five fields, NUL between them
(kind, name, what restoring needs, journal file or nothing, name of the borrower); with it come descriptors: the lock,
kept open until all is restored, and for a sysctl the sysctl itself. The answer is ``ok``. The message ``done`` means:
the borrower has put everything back itself.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys

MESSAGE_BYTES = 8192
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)


def put_back(kind: str, old: str, descriptors: list[int]) -> str | None:
    """Restore one thing; what went wrong, or ``None``. Doing it twice does no harm.

    ``sysctl``: write ``old`` to the descriptor after the lock's. ``nft``: delete a table of ours; ``old`` is the path
    of nft and the table's name.
    """
    if kind == "sysctl":
        try:
            os.pwrite(descriptors[1], old.encode("ascii"), 0)
        except OSError as error:
            # the interface whose setting it was is gone
            return None if error.errno in (errno.ENOENT, errno.ENODEV) else error.strerror
        return None
    nft, table = old.split(" ", 1)
    command = [nft, f"add table {table}; delete table {table}"]
    _, status = os.waitpid(os.posix_spawn(nft, command, os.environ, setpgroup=0), 0)  # out of reach of Ctrl-C
    return f"nft ended with status {status}" if status else None


def remove(journal: str) -> None:
    """Delete a journal file, and its folder if it was the last one in it."""
    if not journal:
        return
    try:
        os.unlink(journal)
        os.rmdir(os.path.dirname(journal))
    except OSError:
        pass  # gone already, or other files are left


def serve(channel: socket.socket, borrower: int) -> int:
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
    borrowed: list[tuple[str, str, str, str, list[int]]] = []
    owner = "pathspider"
    while alive:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if channel.fileno() not in ready:
            break
        try:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
        except ConnectionError:
            break
        if message == b"done":
            return 0
        if not message:
            break
        kind, name, old, journal, owner = message.decode("utf-8", "surrogateescape").split("\0")
        borrowed.append((kind, name, old, journal, descriptors))
        try:
            channel.send(b"ok")
        except OSError:
            break
    status = 0
    for kind, name, old, journal, descriptors in reversed(borrowed):
        if problem := put_back(kind, old, descriptors):
            print(f"{owner}: could not put back {name} ({old.strip()}): {problem}", file=sys.stderr)
            status = 1
        else:
            remove(journal)
    return status


def main(arguments: list[str]) -> int:
    """``guard.py PID``: standard input is the guard's end of the socket pair, PID the borrower."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as channel:
        return serve(channel, int(arguments[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
