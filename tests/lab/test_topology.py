"""Links, addresses, routes and settings of a lab, as the kernel shows them from inside."""

import json
import subprocess
import unittest
from pathlib import Path

from pathspider.lab import Lab
from pathspider.lab.topology import write_settings
from tests.libtrace.frames import in_namespace


class TestSettings(unittest.TestCase):
    def test_what_the_kernel_has_not_got_is_left_out(self):
        name = "net/ipv4/tcp_ecn"

        def scenario():
            write_settings({"net/nothing/of/the/kind": "1", name: "1"})
            return Path("/proc/thread-self/root/proc/sys", name).read_text().strip()

        before = Path("/proc/sys", name).read_text()
        self.assertEqual(in_namespace(scenario), "1")
        self.assertEqual(Path("/proc/sys", name).read_text(), before)


class TestTopology(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.lab.start()
        cls.addClassCleanup(cls.lab.close)

    def said(self, *argv, room="client"):
        done = self.lab.run(argv, room=room, stdout=subprocess.PIPE, timeout=30)
        self.assertEqual(done.returncode, 0, argv)
        return done.stdout.decode()

    def ip(self, *words, room="client"):
        return json.loads(self.said("ip", "-j", *words, room=room) or "[]")

    def test_the_client_has_one_interface_and_no_address_that_nobody_gave(self):
        names = {link["ifname"] for link in self.ip("link") if link["operstate"] == "UP"}
        self.assertEqual(names, {"lab0"})
        found = {info["local"] for link in self.ip("addr", "show", "lab0") for info in link["addr_info"]}
        self.assertEqual(found, {"10.0.0.2", "fd00:10::2"})

    def test_neighbours_are_written_down(self):
        for version in ("-4", "-6"):
            states = [one["state"] for one in self.ip(version, "neigh", "show", "dev", "lab0")]
            self.assertEqual(states, [["PERMANENT"]])

    def test_both_rooms_answer_for_whole_prefixes_and_differ_in_ecn(self):
        for room, ecn in (("server", "1"), ("no_ecn", "0")):
            for address in ("10.64.0.1", "10.127.255.254", "fd00:21::ffff"):
                (route,) = self.ip("route", "get", address, room=room)
                self.assertEqual(route["type"], "local", (room, address))
            self.assertEqual(self.said("cat", "/proc/sys/net/ipv4/tcp_ecn", room=room).strip(), ecn)

    def test_packets_of_mangled_paths_make_a_detour(self):
        rules = [rule for rule in self.ip("rule", room="router") if rule["priority"] == 100]
        ways = [("iif" in rule, rule.get("dst", "all"), rule.get("src", "all")) for rule in rules]
        self.assertTrue(ways)
        self.assertEqual({dst for _, dst, src in ways if src == "all"}, {src for _, dst, src in ways if dst == "all"})
        (route,) = self.ip("route", "show", "table", "100", room="router")
        self.assertEqual((route["dst"], route["dev"]), ("default", "mangle"))

    def test_the_router_forwards_and_reaches_nothing_outside(self):
        self.assertEqual(self.said("cat", "/proc/sys/net/ipv4/ip_forward", room="router").strip(), "1")
        self.assertEqual([route for route in self.ip("route", room="router") if route["dst"] == "default"], [])


if __name__ == "__main__":
    unittest.main()
