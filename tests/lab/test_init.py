"""The first process of a lab, as its owner sees it: commands, orphans, servers that die."""

import os
import subprocess
import time
import unittest

from pathspider.lab import Lab, LabError
from pathspider.lab.apache import ApacheKnot
from pathspider.lab.init import starter
from pathspider.lab.nginx import Nginx
from pathspider.lab.startup import BuiltIn


class TestStarter(unittest.TestCase):
    def test_servers_by_name(self):
        self.assertEqual([starter(name) for name in ("builtin", "nginx", "apache")], [BuiltIn, Nginx, ApacheKnot])

    def test_others_are_refused_with_those_that_there_are(self):
        with self.assertRaisesRegex(LabError, "'iis'.*builtin, nginx, or apache"):
            Lab("iis").start()


class TestInit(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.lab.start()
        self.addCleanup(self.lab.close)

    def said(self, *argv, **options):
        return self.lab.run(argv, stdout=subprocess.PIPE, timeout=30, **options).stdout.decode()

    def test_commands_run_in_the_room_that_is_asked_for(self):
        rooms = {room: self.said("readlink", "/proc/self/ns/net", room=room)
                 for room in ("client", "router", "server", "no_ecn")}
        self.assertEqual(len(set(rooms.values())), 4)
        self.assertNotIn(os.readlink("/proc/self/ns/net") + "\n", rooms.values())

    def test_a_command_that_cannot_start_is_refused_and_the_lab_lives_on(self):
        for argv, options in ((["/nowhere/at/all"], {}), (["true"], {"cwd": "/nowhere"}), (["/etc/passwd"], {})):
            with self.assertRaises(LabError):
                self.lab.run(argv, **options)
        self.assertEqual(self.said("echo", "still here"), "still here\n")

    def test_orphans_are_collected(self):
        self.said("sh", "-c", "for i in 1 2 3 4 5; do (setsid sleep 0.05 &) ; done")
        ended = time.monotonic() + 100
        while "sleep" in (left := self.said("ps", "-e", "-o", "comm,state")):
            self.assertLess(time.monotonic(), ended, left)
        self.assertNotRegex(left, r" Z\b")

    def test_a_server_that_dies_ends_the_lab_with_its_name(self):
        with self.assertRaisesRegex(LabError, "the lab's servers ended with status -9"):
            # It may be over before the command that ends it is.
            self.said("sh", "-c", "kill -9 $(pgrep -f '[p]athspider.lab.servers.main')")
            self.lab.run(["sleep", "30"], timeout=30)


if __name__ == "__main__":
    unittest.main()
