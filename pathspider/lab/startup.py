"""Starting the lab's own servers, and knowing when they answer; what other servers have in common with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pathspider.lab import namespaces
from pathspider.lab.errors import LabError
from pathspider.lab.scenario import PLAIN_ROOM, SERVERS
from pathspider.lab.scenarios import names, served_by
from pathspider.lab.topology import Rooms

ABOUT = "about.json"
"""What the built-in servers read: ``kinds``, address -> kind, says which addresses are served otherwise than the rest;
``names``, name -> type -> address."""


class Servers:
    """The server processes of one lab. Subclasses start them in ``__init__`` and do not wait there."""

    def __init__(self, rooms: Rooms, directory: int) -> None:
        """``directory``: descriptor of an empty directory in memory, for configurations, keys and logs."""
        self.rooms = rooms
        self.descriptor = directory
        self.directory = Path(f"/proc/{os.getpid()}/fd/{directory}")
        self.own_directory = Path(f"/proc/self/fd/{directory}")
        """The same for a process that has the descriptor: one that gives up privileges may not look at ours."""
        self.names: dict[int, str] = {}
        """Process id -> name, for the message when one ends early."""
        self.processes: list[subprocess.Popen[bytes]] = []

    def spawn(
        self,
        name: str,
        argv: list[str],
        room: int | None = None,
        pass_fds: tuple[int, ...] = (),
        env: dict[str, str] | None = None,
        *,
        cwd: str = "/",
    ) -> None:
        """Start one server process, in a room, in a session of its own: no terminal's signal reaches it."""
        log = os.open(self.directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        try:
            with namespaces.inside(self.rooms.client if room is None else room, self.rooms.client):
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd,
                                           start_new_session=True, pass_fds=pass_fds, env=env)
        except OSError as error:
            raise LabError(f"cannot start the lab's {name}: {argv[0]}: {error.strerror}") from error
        finally:
            os.close(log)
        self.names[process.pid] = name
        self.processes.append(process)

    def spawn_python(self, name: str, module: str, arguments: list[str], pass_fds: tuple[int, ...],
                     *, cwd: str = "/") -> None:
        """Start ``main`` of one of our modules as a process, which finds modules where we do."""
        code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main(sys.argv[1:])"
        self.spawn(name, [sys.executable, "-P", "-c", code, *arguments], pass_fds=pass_fds, cwd=cwd)

    def failed(self, name: str, what: str = "did not start") -> LabError:
        """The error for a server that did not come up, or did not stay, with the end of its log."""
        log = (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()
        return LabError(f"the lab's {name} {what}" + (f"; its log:\n{log[-3000:]}" if log else ""))

    def wait(self) -> None:
        """Return when every server accepts connections; raise LabError when one cannot."""
        raise NotImplementedError


class BuiltIn(Servers):
    """The product's own servers: one Python process with sockets in both server rooms."""

    services: tuple[str, ...] = ("web", "http1", "odd", "h3", "dns", "echo")
    """What it serves, as :mod:`pathspider.lab.servers.main` knows it."""

    def __init__(self, rooms: Rooms, directory: int) -> None:
        super().__init__(rooms, directory)
        self.ready, writer = os.pipe()
        about = {"kinds": served_by(*SERVERS.keys() - PLAIN_ROOM), "names": names()}
        (self.directory / ABOUT).write_text(json.dumps(about), encoding="ascii")
        served = (rooms.server, rooms.no_ecn, *([rooms.proxy] if rooms.proxy >= 0 else []))
        arguments = [",".join(self.services), str(writer), str(self.directory), *map(str, served)]
        self.spawn_python("servers", "pathspider.lab.servers.main", arguments, (writer, *served))
        os.close(writer)

    def wait(self) -> None:
        if os.read(self.ready, 16) != b"ready":
            raise self.failed("servers")
