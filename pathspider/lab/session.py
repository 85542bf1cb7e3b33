"""A lab as its owner sees it: start it, run commands in its rooms, and have it gone."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pathspider.lab import messages
from pathspider.lab.errors import LabError

__all__ = ["Command", "Lab", "LabError"]

File = int | IO[Any] | None


def check_machine() -> None:
    """Raise LabError, with what to do, when this user or this machine cannot have a lab."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and needs root: run it with sudo")
    if shutil.which("nft") is None:
        raise LabError("the lab needs the program nft, which was not found: apt-get install nftables")


class Command:
    """A command that runs in the lab, made by ``popen()``. A part of :class:`subprocess.Popen`, by the same names."""

    def __init__(self, lab: Lab, number: int, argv: Sequence[str]) -> None:
        self.args = list(argv)
        self.returncode: int | None = None
        """As :mod:`subprocess` has it: negative for a signal."""
        self.error: LabError | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        self.missing = False
        """True when there is no such program."""
        self._lab = lab
        self._number = number
        self._begun = threading.Event()
        self._over = threading.Event()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises LabError when the lab breaks down first, TimeoutExpired after ``timeout`` seconds."""
        if not self._over.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        if self.error is not None:
            raise self.error
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the command, if it still runs."""
        if not self._over.is_set():
            self._lab._send({"do": "signal", "id": self._number, "signal": int(number)})

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, data: bytes | None = None, timeout: float | None = None,
                    on_line: Callable[[bytes], object] | None = None) -> tuple[bytes, bytes]:
        """Feed ``data``, collect what comes out of the pipes, wait for the end.

        ``on_line`` is called with each line of standard output as it comes, in a thread of its own.
        """
        results = [b"", b""]

        def collect(slot: int, pipe: IO[bytes]) -> None:
            with pipe:
                if slot == 0 and on_line is not None:
                    lines = []
                    for line in pipe:
                        lines.append(line)
                        on_line(line)
                    results[slot] = b"".join(lines)
                else:
                    results[slot] = pipe.read()

        def feed(pipe: IO[bytes]) -> None:
            try:
                with pipe:
                    pipe.write(data or b"")
            except BrokenPipeError:
                pass  # it did not want all of it, as with subprocess

        work = [threading.Thread(target=collect, args=(slot, pipe), daemon=True)
                for slot, pipe in enumerate((self.stdout, self.stderr)) if pipe is not None]
        if self.stdin is not None:
            work.append(threading.Thread(target=feed, args=(self.stdin,), daemon=True))
        for thread in work:
            thread.start()
        self.wait(timeout)
        for thread in work:
            thread.join(timeout)
        return results[0], results[1]


class Lab:
    """One lab. As a context manager it is started and, whatever happens in between, gone afterwards.

    Several can exist at once, in one process or in many; they do not see each other.

    ``servers``
        ``"builtin"``, ``"nginx"``, or ``"apache"`` with knot.
    ``scenarios``
        Files with further scenarios.
    ``behind``
        The scenario whose path leads to all clean targets, too; one that nft can do alone.
    ``loss``
        Per cent of all packets, to all targets and back, that are lost at random.
    """

    def __init__(self, servers: str = "builtin", scenarios: Sequence[str] = (), *, behind: str = "",
                 loss: float = 0.0) -> None:
        self.servers = servers
        self.behind = behind
        self.loss = loss
        self.scenarios = [os.path.abspath(path) for path in scenarios]
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._commands: dict[int, Command] = {}
        self._count = 0
        self._error: LabError | None = None

    def __enter__(self) -> Lab:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def start(self) -> None:
        """Build the lab; when this returns, all servers answer. Raises LabError."""
        check_machine()
        self._control, theirs = messages.pair()
        os.set_inheritable(theirs.fileno(), True)
        code = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); " \
               "from pathspider.lab.init import main; main(sys.argv[1:])"
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", code, str(theirs.fileno()), self.servers, self.behind, str(self.loss),
                     *self.scenarios],
                    pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
                )
            received = messages.receive(self._control)
            if received is None:
                raise LabError(f"the lab's first process ended with status {self._process.wait()}")
            if received[0]["event"] == "failed":
                raise LabError(received[0]["text"])
        except BaseException:
            self.close()
            raise
        self._reader = threading.Thread(target=self._listen, name="lab", daemon=True)
        everything = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._reader.start()  # inherits the mask: signals stay the business of the other threads
        signal.pthread_sigmask(signal.SIG_SETMASK, everything)

    def close(self) -> None:
        """End the lab and all that runs in it; return when it is gone. From any thread; again is harmless."""
        with self._closing:
            if self._control is not None:
                self._control.shutdown(socket.SHUT_RDWR)
            if self._process is not None:
                self._process.wait()
            if self._reader is not None:
                self._reader.join()
            if self._control is not None:
                self._control.close()
            self._control = self._process = self._reader = None

    def popen(
        self,
        argv: Sequence[str],
        *,
        room: str = "client",
        stdin: File = None,
        stdout: File = None,
        stderr: File = None,
        env: dict[str, str] | None = None,
        cwd: str | None = None,
        own_group: bool = True,
    ) -> Command:
        """Start a command in a room of the lab: ``client``, ``router``, ``server`` or ``no_ecn``, or ``hop-1`` and so
        on where there are hops.

        Streams, ``env`` and ``cwd`` mean what they mean to :class:`subprocess.Popen`; what is not given is
        that of the calling process. With ``own_group`` the command leads a process group, else it is in that of the
        calling process, and gets its terminal's signals.
        Raises LabError when it cannot be started.
        """
        with self._lock:
            self._count += 1
            command = self._commands[self._count] = Command(self, self._count, argv)
        theirs: list[int] = []
        opened: list[int] = []
        try:
            for number, (name, what) in enumerate((("stdin", stdin), ("stdout", stdout), ("stderr", stderr))):
                if what == subprocess.PIPE:
                    reader, writer = os.pipe()
                    ours, its = (writer, reader) if number == 0 else (reader, writer)
                    setattr(command, name, os.fdopen(ours, "wb" if number == 0 else "rb"))
                    opened.append(its)
                elif what == subprocess.DEVNULL:
                    opened.append(its := os.open(os.devnull, os.O_RDWR))
                elif what == subprocess.STDOUT:
                    its = theirs[1]
                else:
                    its = number if what is None else what if isinstance(what, int) else what.fileno()
                theirs.append(its)
            message = {"do": "start", "id": command._number, "argv": [os.fspath(word) for word in argv], "room": room,
                       "own_group": own_group, "env": dict(os.environ) if env is None else env,
                       "cwd": os.getcwd() if cwd is None else os.fspath(cwd)}
            self._send(message, tuple(theirs))
        except BaseException:
            self._commands.pop(command._number, None)
            for pipe in (command.stdin, command.stdout, command.stderr):
                if pipe is not None:
                    pipe.close()
            raise
        finally:
            for descriptor in opened:
                os.close(descriptor)
        command._begun.wait()
        if command.error is not None:
            raise command.error
        return command

    def run(
        self,
        argv: Sequence[str],
        *,
        data: bytes | None = None,
        capture_output: bool = False,
        timeout: float | None = None,
        on_line: Callable[[bytes], object] | None = None,
        **options: Any,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end.

        ``data`` is fed to it. ``on_line`` is called with each line of what is captured of standard output, as it comes,
        in a thread of its own. Other options are those of :meth:`popen`.
        """
        if capture_output:
            options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if data is not None:
            options["stdin"] = subprocess.PIPE
        command = self.popen(argv, **options)
        try:
            stdout, stderr = command.communicate(data, timeout, on_line)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
        assert command.returncode is not None
        return subprocess.CompletedProcess(command.args, command.returncode, stdout, stderr)

    def _send(self, message: messages.Message, descriptors: tuple[int, ...] = ()) -> None:
        with self._lock:
            if self._control is None:
                raise LabError("the lab is not running")
            try:
                messages.send(self._control, message, descriptors)
            except (BrokenPipeError, ConnectionResetError):
                raise self._error or LabError("the lab has ended") from None

    def _listen(self) -> None:
        """Pass on what init reports, until it is gone."""
        assert self._control is not None
        while (received := messages.receive(self._control)) is not None:
            message = received[0]
            if message["event"] == "failed":
                self._error = LabError(message["text"])
                continue
            command = self._commands[message["id"]]
            if message["event"] == "refused":
                command.missing = message["missing"]
                command.error = LabError(message["text"])
            elif message["event"] == "ended":
                command.returncode = message["status"]
            command._begun.set()
            if message["event"] != "started":
                del self._commands[message["id"]]
                command._over.set()
        for command in list(self._commands.values()):
            command.error = self._error or LabError(f"the lab ended while {command.args[0]} ran in it")
            command._begun.set()
            command._over.set()
