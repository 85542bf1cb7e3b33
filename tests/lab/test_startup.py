"""Server processes: in their room, in a session of their own, and what is said of one that does not come up."""

import os
import subprocess
import sys
import unittest

from pathspider.lab import Lab, namespaces
from pathspider.lab.errors import LabError
from pathspider.lab.startup import Servers
from pathspider.lab.topology import Rooms
from pathspider.version import __version__
from tests.libtrace.frames import in_namespace


def with_servers(function):
    """Calls it with Servers whose client is this thread's new network namespace, and the server another one."""
    def scenario():
        client = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        server = namespaces.new_network()
        namespaces.enter_network(client)
        directory = namespaces.unnamed_directory()
        servers = Servers(Rooms(client, client, server, server), directory)
        try:
            return function(servers)
        finally:
            for process in servers.processes:
                process.kill()
                process.wait()
            for descriptor in (client, server, directory):
                os.close(descriptor)

    return in_namespace(scenario)


class TestSpawn(unittest.TestCase):
    def test_it_runs_in_its_room_and_its_session_and_writes_a_log(self):
        code = "import os; print(os.readlink('/proc/self/ns/net'), os.getsid(0) == os.getpid(), os.getcwd())"

        def scenario(servers):
            for name, room in (("one", servers.rooms.server), ("two", None)):
                servers.spawn(name, [sys.executable, "-c", code], room)
            said = []
            for process in servers.processes:
                process.wait(100)
                said.append((servers.directory / f"{servers.names[process.pid]}.log").read_text().split())
            home = os.readlink("/proc/thread-self/ns/net")
            rooms = [f"net:[{os.fstat(room).st_ino}]" for room in (servers.rooms.server, servers.rooms.client)]
            return said, rooms, home

        said, rooms, home = with_servers(scenario)
        self.assertEqual(said, [[room, "True", "/"] for room in rooms])
        self.assertEqual(home, rooms[1])  # we are where we were

    def test_a_program_that_is_not_there(self):
        def scenario(servers):
            with self.assertRaisesRegex(LabError, "cannot start the lab's web: /nowhere/web: No such file"):
                servers.spawn("web", ["/nowhere/web"], servers.rooms.server)
            return os.fstat(servers.rooms.client).st_ino, os.stat("/proc/thread-self/ns/net").st_ino

        self.assertEqual(len(set(with_servers(scenario))), 1)

    def test_what_it_said_last_is_told(self):
        def scenario(servers):
            servers.spawn("web", ["sh", "-c", "seq 2000; echo the reason >&2; exit 3"])
            servers.processes[0].wait(100)
            return str(servers.failed("web"))

        text = with_servers(scenario)
        self.assertTrue(text.startswith("the lab's web did not start; its log:\n"))
        self.assertTrue(text.endswith("\nthe reason"))
        self.assertLess(len(text), 3100)

    def test_our_own_modules_as_processes(self):
        def scenario(servers):
            servers.spawn_python("command", "pathspider.cmd.main", ["--version"], ())
            servers.processes[0].wait(100)
            return (servers.directory / "command.log").read_text()

        self.assertEqual(with_servers(scenario), f"pspdr {__version__}\n")


class TestBuiltIn(unittest.TestCase):
    def test_both_rooms_are_served_by_one_process(self):
        with Lab() as lab:
            listening = {room: lab.run(["ss", "-Hltnp"], room=room, stdout=subprocess.PIPE).stdout.decode()
                         for room in ("server", "no_ecn")}
        for text in listening.values():
            for port in (80, 443, 53):
                self.assertRegex(text, rf"0\.0\.0\.0:{port} ")
                self.assertRegex(text, rf"\[::\]:{port} ")


if __name__ == "__main__":
    unittest.main()
