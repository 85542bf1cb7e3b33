"""The process that serves both rooms: when it says that it is ready, it is; what it serves, and what it does not."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from dnslib import DNSRecord

from pathspider.lab import namespaces
from pathspider.lab.startup import ABOUT
from tests.libtrace.frames import in_namespace, ip

PROGRAM = "import sys; from pathspider.lab.servers.main import main; main(sys.argv[1:])"


def ask_dns(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(100)
        sock.connect((address, 53))
        sock.send(DNSRecord.question("www.example").pack())
        return DNSRecord.parse(sock.recv(4096)).header.rcode


def served(web, function, kinds=None):
    """What ``function`` gives in each of two rooms that are served."""
    def scenario():
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        rooms = [namespaces.new_network() for _ in range(2)]
        for room in rooms:
            namespaces.enter_network(room)
            ip("link set lo up")
            ip("address add 192.0.2.1/24 dev lo")
            ip("address add 192.0.2.2/24 dev lo")
        ready, writer = os.pipe()
        Path(folder, ABOUT).write_text(json.dumps({"kinds": kinds or {}, "names": {}}))
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, web, str(writer), folder, *map(str, rooms)],
                                   pass_fds=(writer, *rooms))
        os.close(writer)
        try:
            said, found = os.read(ready, 16), []
            for room in rooms:
                namespaces.enter_network(room)
                found.append(function())
        finally:
            process.terminate()
            process.wait(100)
            for descriptor in (home, ready, *rooms):
                os.close(descriptor)
        return said, found

    with tempfile.TemporaryDirectory() as folder:
        said, found = in_namespace(scenario)
        names = sorted(path.name for path in Path(folder).iterdir() if path.name != ABOUT)
    return said, found, names


def ports():
    open_ones = []
    for port in (53, 80, 443):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                open_ones.append(port)
    return open_ones


class TestMain(unittest.TestCase):
    def test_both_rooms_at_once_when_it_says_that_it_is_ready(self):
        self.assertEqual(served("web,dns", ports), (b"ready", [[53, 80, 443]] * 2, ["builtin"]))

    def test_without_the_web(self):
        self.assertEqual(served("dns", ports)[:2], (b"ready", [[53]] * 2))

    def test_addresses_that_are_served_otherwise(self):
        def ask():
            return [ask_dns(address) for address in ("192.0.2.1", "192.0.2.2")]

        self.assertEqual(served("dns", ask, {"192.0.2.2": "servfail"})[1], [[0, 2]] * 2)

    def test_what_it_cannot_serve_it_does_not_announce(self):
        def scenario():
            ready, writer = os.pipe()
            with socket.create_server(("", 53)), tempfile.TemporaryDirectory() as folder:
                Path(folder, ABOUT).write_text('{"kinds": {}, "names": {}}')
                here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
                process = subprocess.Popen([sys.executable, "-c", PROGRAM, "web,dns", str(writer), folder, str(here)],
                                           pass_fds=(writer, here), stderr=subprocess.PIPE)
                os.close(writer)
                said = os.read(ready, 16), process.communicate(timeout=100)[1]
                os.close(here)
                os.close(ready)
            return *said, process.returncode

        said, errors, status = in_namespace(scenario)
        self.assertEqual((said, status), (b"", 1))
        self.assertIn(b"Address already in use", errors)


if __name__ == "__main__":
    unittest.main()
