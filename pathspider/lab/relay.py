"""Running a command in a lab as if it ran here: its terminal, its signals, its exit status."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence

from pathspider.lab.errors import LabError
from pathspider.lab.session import Command, Lab

RELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
           signal.SIGALRM, signal.SIGCONT)
ENOUGH = signal.SIGRTMIN
"""Tells the relaying thread that the command is over."""

FROM_KERNEL = 0x80  # SI_KERNEL, <bits/siginfo-consts.h>: a terminal's signals carry it

NOT_STARTED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""Exit statuses as env(1) and timeout(1) have them."""


def run_in_foreground(lab: Lab, argv: Sequence[str]) -> int:
    """Run a command in the client's room with our standard streams, and return its exit status, as a shell has it.

    With a terminal, the command stays in our process group, so Ctrl-C and Ctrl-Z reach it as they reach us, and only
    signals of other origin are handed on. Without one it leads its own group and every signal is handed on.
    """
    terminal = _has_terminal()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*RELAYED, ENOUGH])
    try:
        try:
            command = lab.popen(argv, own_group=not terminal)
        except LabError as error:
            print_error(error)
            return NOT_FOUND if "No such file" in str(error) else NOT_EXECUTABLE
        relay = threading.Thread(target=_relay, args=(command, terminal), daemon=True)
        relay.start()
        try:
            status = command.wait()
        finally:
            if relay.ident is not None:
                signal.pthread_kill(relay.ident, ENOUGH)
            relay.join()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return status if status >= 0 else 128 - status


def _relay(command: Command, terminal: bool) -> None:
    """Hand signals on until told that it is over."""
    while (received := signal.sigwaitinfo([*RELAYED, ENOUGH])).si_signo != ENOUGH:
        if terminal and received.si_code == FROM_KERNEL and received.si_signo != signal.SIGHUP:
            continue  # the command is in the foreground too and has its own copy; a hang-up comes to the leader alone
        command.send_signal(received.si_signo)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def print_error(error: object) -> None:
    """Tell the user, on standard error."""
    import sys  # noqa: PLC0415

    print(f"pspdr lab: {error}", file=sys.stderr)
