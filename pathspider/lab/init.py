"""The first process of a lab: makes the rooms, starts the servers, then runs commands until its lab closes.

It is process 1 of a PID namespace, so when it ends, the kernel ends every process of the lab, and with them go the
network namespaces, rules and mounts. It ends when the control socket does, which happens when the owner dies, however
it dies. In between stands a small parent that stays in the machine's PID namespace and only waits.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from pathspider.lab import messages, namespaces, responder, topology
from pathspider.lab.addresses import RESOLVERS
from pathspider.lab.errors import LabError
from pathspider.lab.rules import load_rules
from pathspider.lab.scenarios import (
    add_scenarios,
    all_cases,
    mangled_hops,
    no_ecn_addresses,
    quoting_hops,
)
from pathspider.lab.startup import BuiltIn, Servers
from pathspider.network import journal

RESOLV_CONF = "/etc/resolv.conf"
RESOLVING_DAEMONS = ("/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket")
"""Sockets by which the C library asks others for names, before it asks by itself. See nss-resolve(8), nscd(8)."""

PASSED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""Signals of the terminal or of a group, meant for the command that runs in the lab."""


def main(argv: list[str]) -> NoReturn:
    """``init CONTROL SERVERS BEHIND LOSS SCENARIO-FILE...``: for :class:`~pathspider.lab.session.Lab` alone.

    ``CONTROL`` is a descriptor.
    """
    control = socket.socket(fileno=int(argv[0]))
    _ignore_terminal_signals()
    try:
        namespaces.unshare(namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS)
        namespaces.make_mounts_private()
    except OSError as error:
        messages.send(control, {"event": "failed", "text": f"cannot make namespaces ({error}): the lab needs root"})
        sys.exit(1)
    child = os.fork()
    if child:
        control.close()
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    namespaces.die_with_parent()
    try:
        Init(control, argv[2], float(argv[3])).run(argv[1], argv[4:])
    except BaseException:
        with contextlib.suppress(OSError):
            messages.send(control, {"event": "failed", "text": traceback.format_exc()})
        os._exit(1)
    os._exit(0)


def _ignore_terminal_signals() -> None:
    """Let signals pass that are meant for commands. A handler, unlike SIG_IGN, does not reach the commands."""
    for number in PASSED_BY:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


class Init:
    """The lab from the inside."""

    def __init__(self, control: socket.socket, behind: str = "", loss: float = 0.0) -> None:
        """``behind``, ``loss``: as :class:`~pathspider.lab.session.Lab` has them."""
        self.control = control
        self.behind = behind
        self.loss = loss
        self.commands: dict[int, int] = {}  # process id -> the id that the owner gave
        self.servers: Servers | None = None

    def run(self, servers: str, scenarios: list[str]) -> None:
        """Build the lab, say so, and serve until the owner is gone."""
        try:
            for path in scenarios:
                add_scenarios(path)
            self.build(servers, scenarios)
            messages.send(self.control, {"event": "ready"})
            self.serve()
        except LabError as error:
            messages.send(self.control, {"event": "failed", "text": str(error)})

    def serve(self) -> None:
        """Obey the owner and collect the dead, until the owner is gone."""
        wakeup, writer = socket.socketpair()
        for end in (wakeup, writer):
            end.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with wakeup, writer, selectors.DefaultSelector() as selector, contextlib.ExitStack() as before_they_close:
            before_they_close.callback(signal.set_wakeup_fd, -1)
            selector.register(self.control, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            while True:
                self.reap()
                for key, _ in selector.select():
                    if key.fileobj is wakeup:
                        wakeup.recv(4096)
                    elif not self.obey():
                        return

    def build(self, servers: str, scenarios: list[str]) -> None:
        """The servers start while the links are laid; the rules come last."""
        namespaces.mount("proc", "/proc")
        # What a run in here notes about borrowed settings shall go when they do, with the lab.
        journal.RUN.mkdir(exist_ok=True)
        namespaces.mount("tmpfs", str(journal.RUN))
        ask_the_lab_for_names()
        journal.RUN.chmod(0o755)  # else others could write there, and no run would believe what it says
        hops = any(case.scenario.route is not None for case in all_cases())
        self.rooms = topology.make_rooms(hops=hops)
        topology.show_own_interfaces()
        directory = namespaces.unnamed_directory()
        self.servers = starter(servers)(self.rooms, directory)
        detours = mangled_hops()
        tuns = {hop: self.make_tun(room, directory) for hop, room in self.rooms.routers.items() if hop in detours}
        devices = ",".join(map(str, tuns.values()))
        self.servers.spawn_python("middlebox", "pathspider.lab.mangler", [devices, *scenarios], tuple(tuns.values()),
                                  cwd=os.getcwd())
        topology.connect_rooms(self.rooms, no_ecn_addresses(), detours)
        if hops:
            self.start_responder(scenarios)
        for hop, room in self.rooms.routers.items():
            with namespaces.inside(room, self.rooms.client):
                load_rules(self.behind, self.loss, hop)
        self.servers.wait()

    def make_tun(self, room: int, directory: int) -> int:
        """The device by which a router hands packets to the process that changes them."""
        with namespaces.inside(room, self.rooms.client):
            try:
                return namespaces.make_tun(topology.TUN, directory)
            except OSError as error:
                raise LabError(f"cannot make a TUN device ({error}): modprobe tun, or give the container "
                               "/dev/net/tun") from error

    def start_responder(self, scenarios: list[str]) -> None:
        """What plays hops that quote otherwise than Linux. Its sockets wait for it: it need not be waited for."""
        assert self.servers is not None
        arguments, descriptors = [], []
        for hop in quoting_hops():
            with namespaces.inside(self.rooms.routers[hop], self.rooms.client):
                numbers = [one.detach() for one in responder.open_sockets()]
            arguments.append(":".join(map(str, (hop, *numbers))))
            descriptors += numbers
        self.servers.spawn_python("hops", "pathspider.lab.responder", [*arguments, *scenarios], tuple(descriptors),
                                  cwd=os.getcwd())

    def obey(self) -> bool:
        """Do what the owner's next message asks; False when there is none to come."""
        received = messages.receive(self.control)
        if received is None:
            return False
        message, descriptors = received
        if message["do"] == "start":
            self.start(message, descriptors)
        elif message["do"] == "signal":
            for pid, number in self.commands.items():
                if number == message["id"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, message["signal"])
        return True

    def start(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Start a command in one of the rooms, with the three descriptors that came with the message."""
        room = self.rooms.by_name(message["room"])
        stdin, stdout, stderr = descriptors
        try:
            if message["cwd"] is not None:
                os.stat(message["cwd"])  # or Popen would blame the command's name
            with namespaces.inside(room, self.rooms.client):
                process = subprocess.Popen(
                    message["argv"], stdin=stdin, stdout=stdout, stderr=stderr, env=message["env"],
                    cwd=message["cwd"], process_group=0 if message["own_group"] else -1,
                )
        except OSError as error:
            text = f"cannot start {message['argv'][0]}: {error.strerror}"
            messages.send(self.control, {"event": "refused", "id": message["id"], "text": text,
                                     "missing": isinstance(error, FileNotFoundError)})
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self.commands[process.pid] = message["id"]
        process.returncode = 0  # this process reaps by itself; subprocess need not
        messages.send(self.control, {"event": "started", "id": message["id"]})

    def reap(self) -> None:
        """Collect the dead: report commands; a server among them is an error of the lab; orphans are nobody's."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid in self.commands:
                messages.send(self.control, {"event": "ended", "id": self.commands.pop(pid), "status": code})
            elif self.servers is not None and (name := self.servers.names.get(pid)):
                raise self.servers.failed(name, f"ended with status {code}")


def ask_the_lab_for_names() -> None:
    """Have commands ask the lab's DNS servers: resolv.conf(5) names them, and daemons of the machine are out of reach.

    A machine without a resolv.conf has none in the lab.
    """
    for path in (*RESOLVING_DAEMONS, RESOLV_CONF):
        with contextlib.suppress(FileNotFoundError):
            text = "".join(f"nameserver {address}\n" for address in RESOLVERS) if path == RESOLV_CONF else ""
            namespaces.cover(os.path.realpath(path), text)


def starter(name: str) -> Callable[[topology.Rooms, int], Servers]:
    """The servers of this name: ``builtin``, ``nginx``, ``apache`` (with knot)."""
    if name == "builtin":
        return BuiltIn
    if name == "nginx":
        from pathspider.lab.nginx import Nginx  # noqa: PLC0415 - asked for by name only

        return Nginx
    if name == "apache":
        from pathspider.lab.apache import ApacheKnot  # noqa: PLC0415

        return ApacheKnot
    raise LabError(f"no servers are called {name!r}: builtin, nginx, or apache")
