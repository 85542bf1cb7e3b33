"""One real broker for all tests of a process: it takes seconds to start. Who wants none pays nothing."""

import atexit
import os
import shutil
import socket
import tempfile
import time
from functools import cache
from pathlib import Path

from pathspider.campaign.broker import Broker
from pathspider.campaign.fleet import Fleet, State
from pathspider.campaign.management import Management

PATIENCE = 60.0
"""Seconds after which a test gives up that should have ended at once."""


def free_ports(count):
    """The first of so many ports in a row that are free."""
    for first in range(20000 + os.getpid() % 5000, 60000, 10):
        try:
            for port in range(first, first + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return first
    raise AssertionError("no ports are free")


class Running:
    """A fleet of two with its broker, running, which trusts the authority of another fleet, too."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pathspider-broker-"))
        self.folder.chmod(0o755)
        first = free_ports(5)
        self.fleet = Fleet.create(self.folder / "fleet", State("127.0.0.1", first, first + 1))
        self.names = ["ams", "ber"]
        for name in self.names:
            self.fleet.add(name)
        authority = self.fleet.folder / "broker/ca.pem"
        self.guest = Fleet.create(self.folder / "guest", State("127.0.0.1", broker=f"amqps://127.0.0.1:{first}/measure"),
                                  authority.read_text(encoding="ascii"))
        with authority.open("a", encoding="ascii") as trusted:
            trusted.write((self.guest.folder / "ca.pem").read_text(encoding="ascii"))
        self.broker = Broker(self.fleet.folder / "broker", first + 1)
        self.management = Management(first + 1, self.fleet.password, first)
        self.broker.start()

    def wait(self):
        self.management.wait(lambda: self.broker.process.poll() is None, self.broker.logs)

    def stop(self):
        for process in reversed(self.broker._processes):
            self.broker.kill(process)
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def running():
    """The broker, begun now if it was not before; takes connections."""
    found = Running()
    atexit.register(found.stop)
    found.wait()
    return found


def until(condition, what):
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.02)
    return found
