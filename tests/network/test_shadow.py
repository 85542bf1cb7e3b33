"""Marked sockets go where unmarked ones go, whatever rules and routes the machine has and gets."""

import contextlib
import os
import socket
import struct
import threading
import time
import unittest

from pathspider.network import rtnetlink, shadow
from pathspider.network.rtnetlink import Netlink
from pathspider.network.shadow import Shadow, ShadowError, way
from tests.helpers import netlab
from tests.helpers.wire import Wire

SLOT = 5
MARK, OTHER = rtnetlink.slot_marks(SLOT)[1], rtnetlink.slot_marks(SLOT)[0]
MACHINE = "ip rule; ip route show table all; ip -6 rule; ip -6 route show table all; ip nexthop"
FAR = [f"198.51.100.{number}" for number in range(1, 60)]
FAR6 = [f"2001:db8:ffff::{number:x}" for number in range(1, 60)]


class UplinksCase(unittest.TestCase):
    """Two uplinks, u1 and u2, each with a gateway, in a namespace of the test's own."""

    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        self.addCleanup(os.close, netlab.enter_new())
        self.netlink = self.enterContext(Netlink())
        for number in (1, 2):
            netlab.sh(f"ip link add u{number} type veth peer p{number}; ip link set p{number} up;"
                      f"ip addr add 10.{number}.0.1/24 dev u{number};"
                      f"ip addr add fd00:{number}::1/64 dev u{number} nodad; ip link set u{number} up")
        netlab.sh("ip route add default via 10.1.0.254; ip -6 route add default via fd00:1::fe")
        netlab.sh("ip route add default via 10.2.0.254 table 200; ip -6 route add default via fd00:2::fe table 200")
        for version, prefix in (("", "10.2.0.1"), ("-6", "fd00:2::1")):
            netlab.sh(f"ip {version} rule add pref 100 from {prefix} table 200")

    def have(self, marks=None):
        self.before = netlab.sh(MACHINE)
        copies = Shadow(SLOT, marks or {MARK: True})
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(rtnetlink.remove, SLOT)
        self.addCleanup(copies.stop)
        return copies

    def check_nothing_is_left(self):
        left = netlab.sh(MACHINE)
        self.assertNotIn("proto 94", left)
        self.assertNotIn("features ecn", left)

    def differences(self, sources=((None, None), ("10.1.0.1", "fd00:1::1"), ("10.2.0.1", "fd00:2::1"))):
        """Targets and sources for which the marked way is another, or does not ask."""
        found = []
        for source in sources:
            for target in [*FAR, *FAR6, "10.1.0.9", "10.2.0.9", "fd00:1::9", "fd00:2::9", "192.0.2.1"]:
                plain, marked = (way(self.netlink, target, 443, source[":" in target], mark) for mark in (0, MARK))
                if plain.place != marked.place or plain.ecn or (marked.usable and not marked.ecn):
                    found.append((source[":" in target], target, str(plain), str(marked), marked.ecn))
        return found

    def settle(self, expected=()):
        """Wait until the thread has followed."""
        deadline = time.monotonic() + 100
        while (found := self.differences()) != list(expected) and time.monotonic() < deadline:
            pass
        self.assertEqual(found, list(expected))


class TestWays(UplinksCase):
    def test_source_rules_and_two_uplinks(self):
        copies = self.have()
        self.assertEqual(self.differences(), [])
        self.assertEqual(str(way(self.netlink, FAR[0], 80, "10.2.0.1", MARK)), "via 10.2.0.254 dev u2")
        self.assertEqual(str(way(self.netlink, FAR6[0], 80, "fd00:2::1", MARK)), "via fd00:2::fe dev u2")
        copies.verify([(FAR[0], 80), (FAR6[0], 80)], ("10.2.0.1", "fd00:2::1"))
        again = copies.sync()[1]
        self.assertEqual(again, 0)

    def test_all_kinds_of_rules_and_routes(self):
        netlab.sh("""set -e
            ip rule add pref 50 to 198.51.100.7 prohibit
            ip rule add pref 60 not fwmark 0xca6c table 60
            ip rule add pref 61 fwmark 0xca6c table 61
            ip rule add pref 62 table main suppress_prefixlength 0
            ip rule add pref 63 iif u1 table 61
            ip rule add pref 64 ipproto tcp dport 443 table 64
            ip rule add pref 65 oif u1 table 61
            ip rule add pref 66 tos 0x10 table 61
            ip route add 198.51.100.8 via 10.2.0.7 table 60
            ip route add default via 10.2.0.99 table 61
            ip route add 198.51.100.16/28 via 10.2.0.8 table 64 mtu 1300 advmss 900 metric 7
            ip route append 198.51.100.16/28 via 10.2.0.9 table 64 mtu 1300 advmss 900 metric 7
            ip route add unreachable 198.51.100.9; ip route add blackhole 198.51.100.10
            ip route add throw 198.51.100.17 table 64
            ip route add 198.51.100.11 dev u2 scope link src 10.2.0.1
            ip route add 198.51.100.12 via 192.0.2.77 dev u2 onlink
            ip route add 198.51.100.13 via inet6 fe80::7 dev u2
            ip route add 198.51.100.32/28 nexthop via 10.1.0.3 weight 2 nexthop via 10.2.0.3 weight 5
            ip route add 198.51.100.48/28 encap mpls 33 via 10.2.0.3 || true
            ip -6 rule add pref 64 ipproto tcp dport 443 table 64
            ip -6 rule add pref 70 unreachable to 2001:db8:ffff::9
            ip -6 route add 2001:db8:ffff::20/123 via fe80::9 dev u2 table 64 metric 3 mtu 1400
            ip -6 route add 2001:db8:ffff::8 via fd00:2::8 src fd00:2::1
            ip -6 route add 2001:db8:ffff::10/124 nexthop via fd00:1::3 nexthop via fd00:2::3 nexthop via fe80::3 dev u2
            ip -6 route add unreachable 2001:db8:ffff::7
        """)
        copies = self.have()
        self.assertEqual(self.differences(), [])
        self.assertEqual(str(way(self.netlink, "198.51.100.20", 443, None, MARK)), "via 10.2.0.8 dev u2")
        self.assertEqual(copies.sync()[1], 0)

    def test_nexthop_objects_are_not_shared(self):
        netlab.sh("""set -e
            ip nexthop add id 1 via 10.1.0.5 dev u1; ip nexthop add id 2 via 10.2.0.5 dev u2
            ip nexthop add id 3 group 1/2; ip nexthop add id 4 group 1,2/2,5 type resilient buckets 32
            ip nexthop add id 5 blackhole; ip -6 nexthop add id 6 via fe80::5 dev u2
            ip route add 198.51.100.1 nhid 1; ip route add 198.51.100.16/28 nhid 3; ip route add 198.51.100.32/28 nhid 4
            ip route add 198.51.100.2 nhid 5; ip -6 route add 2001:db8:ffff::10/124 nhid 6
        """)
        copies = self.have()
        groups = [f"198.51.100.{number}" for number in range(32, 48)]
        unlike = [found for found in self.differences() if found[1] not in groups]
        self.assertEqual(unlike, [])  # which bucket of a resilient group a flow gets is each group's own affair
        self.assertEqual(copies.sync()[1], 0)
        netlab.sh("ip nexthop replace id 1 via 10.1.0.77 dev u1")
        deadline = time.monotonic() + 100
        while (said := str(way(self.netlink, FAR[0], 80, None, MARK))) != "via 10.1.0.77 dev u1" \
                and time.monotonic() < deadline:
            pass
        self.assertEqual(said, "via 10.1.0.77 dev u1")

    def test_what_cannot_be_copied(self):
        for rule, said in (("not from 10.3.0.0/16 table 7", r"rule 77 \(not\) cannot be copied"),
                           ("from 10.3.0.0/16 goto 100", r"rule 77 \(goto\) cannot be copied")):
            netlab.sh(f"ip rule add pref 77 {rule}")
            before = netlab.sh(MACHINE)
            with self.assertRaisesRegex(ShadowError, said):
                Shadow(SLOT, {MARK: True})
            self.assertEqual(netlab.sh(MACHINE), before)
            netlab.sh("ip rule del pref 77")

    def test_a_difference_is_named(self):
        copies = self.have()
        copies.stop()  # nobody follows
        netlab.sh("ip route replace default via 10.2.0.254")
        copies.sync = lambda: None
        copies.verify([("10.1.0.9", 80)], (None, None))
        with self.assertRaisesRegex(ShadowError, "the marked path to 198.51.100.1 differs: via 10.1.0.254 dev u1, "
                                                 "not via 10.2.0.254 dev u2"):
            copies.verify([("198.51.100.1", 80)], (None, None))
        with self.assertRaisesRegex(ShadowError, r"the marked path to 10.2.0.1 \(local dev lo\) does not ask for ECN"):
            copies.verify([("10.2.0.1", 80)], (None, None))

    def test_a_mark_that_must_not_ask(self):
        copies = self.have({OTHER: False, MARK: True})
        self.assertNotIn(f"fwmark {OTHER:#x} ", netlab.sh("ip rule"))
        netlab.sh("ip route replace default via 10.1.0.254 features ecn")
        self.addCleanup(netlab.sh, "ip route replace default via 10.1.0.254")
        deadline = time.monotonic() + 100
        while way(self.netlink, FAR[0], 80, None, OTHER).ecn and time.monotonic() < deadline:
            pass
        asked = [way(self.netlink, FAR[0], 80, None, mark).ecn for mark in (0, OTHER, MARK)]
        self.assertEqual(asked, [True, False, True])
        copies.verify([(FAR[0], 80)], (None, None))

    def test_too_many_routes(self):
        most, shadow.MOST_ROUTES = shadow.MOST_ROUTES, 3
        try:
            with self.assertRaisesRegex(ShadowError, "^[0-9]+ routes: copying takes about 0 seconds; run with CAP_BPF"):
                Shadow(SLOT, {MARK: True})
        finally:
            shadow.MOST_ROUTES = most


class TestChanges(UplinksCase):
    def test_what_changes_is_followed(self):
        self.have()
        for command in (
            "ip route replace default via 10.1.0.253",
            "ip route add 198.51.100.32/28 via 10.2.0.253; ip -6 route add 2001:db8:ffff::20/123 via fd00:2::fd",
            "ip route change 198.51.100.32/28 via 10.2.0.253 mtu 1280 advmss 500",
            "ip -6 route change 2001:db8:ffff::20/123 via fd00:2::fd advmss 555",
            "ip rule add pref 90 to 198.51.100.4 table 200; ip -6 rule add pref 90 to 2001:db8:ffff::4 table 200",
            "ip rule del pref 100; ip -6 rule del pref 100",
            "ip link set u2 down",
            "ip link set u2 up; ip addr replace fd00:2::1/64 dev u2 nodad",
            "ip route add default via 10.2.0.254 table 200; ip rule add pref 101 from 10.2.0.1 table 200",
            "ip addr add 10.4.0.1/24 dev u2; ip route add 198.51.100.5 via 10.4.0.9",
            "ip addr del 10.4.0.1/24 dev u2",
            "ip link del u2",
            "ip route flush table main; ip -6 route flush table main",
            "ip route add default dev u1; ip -6 route add default dev u1",
        ):
            with self.subTest(command):
                netlab.sh(command)
                self.settle()

    def test_what_others_remove_of_ours_is_there_again(self):
        copies = self.have()
        for command in (f"ip rule del fwmark {MARK:#x}", f"ip -6 rule del fwmark {MARK:#x}",
                        "ip route flush proto 94 table all", "ip -6 route flush proto 94 table all"):
            with self.subTest(command):
                netlab.sh(command)
                self.settle()
        copies.stop()
        netlab.sh(f"ip rule del fwmark {MARK:#x}")

    def test_loss_is_told(self):
        copies = self.have()
        copies._matters = lambda data, start: False  # the thread does not see it
        self.assertEqual(copies.lost(), "")
        netlab.sh(f"ip rule del fwmark {MARK:#x}")
        self.assertEqual(copies.lost(), "something removed our rules or routes (1 of them; networkd?); put back")
        netlab.sh("ip route flush proto 94 table all")
        self.assertRegex(copies.lost(), r"\([0-9]+ of them")
        self.assertEqual(copies.lost(), "")

    def test_changes_all_the_time(self):
        self.have()
        done = threading.Event()

        def change():
            gateway = 0
            while not done.is_set():
                gateway = gateway % 200 + 2
                netlab.sh(f"ip route replace default via 10.1.0.{gateway}; ip route replace 198.51.100.3 via 10.2.0.3;"
                          f"ip route del 198.51.100.3; ip -6 route replace default via fd00:1::{gateway}")

        thread = threading.Thread(target=change)
        thread.start()
        time.sleep(1)
        done.set()
        thread.join()
        self.settle()

    def test_other_runs_are_left_alone(self):
        one = self.have()
        two = Shadow(SLOT + 1, {rtnetlink.slot_marks(SLOT + 1)[0]: True})
        one.sync()
        two.sync()
        tables = netlab.sh("ip rule; ip -6 rule").count("proto 94")
        self.assertEqual(tables, 2 * 4 + 2 * 3)
        two.stop()
        rtnetlink.remove(SLOT + 1)
        self.settle()


class TestAdvertisements(unittest.TestCase):
    """Two routers advertise themselves on one link: the kernel has a route for each, and uses one."""

    def test_the_preferred_router_is_used(self):
        with contextlib.ExitStack() as stack:
            home = netlab.namespace()
            stack.callback(os.close, home)
            stack.callback(netlab.enter, home)
            router = netlab.enter_new()
            stack.callback(os.close, router)
            stack.callback(os.close, netlab.enter_new())
            netlab.sh("sysctl -qw net.ipv6.conf.default.accept_ra=2 net.ipv6.conf.all.accept_ra=2 "
                      "net.ipv6.conf.default.accept_ra_rtr_pref=1")
            netlab.sh(f"ip link add ra type veth peer name rb netns {netlab._path(router)}; ip link set ra up")
            client = netlab.namespace()
            stack.callback(os.close, client)
            netlab.enter(router)
            netlab.sh("ip addr add fe80::aaaa/64 dev rb nodad; ip addr add fe80::bbbb/64 dev rb nodad;"
                      "ip link set rb up; ip addr add fe80::aaaa/64 dev rb nodad || true")
            deadline = time.monotonic() + 30
            while netlab.sh("ip -6 route").count("default via") < 2 and time.monotonic() < deadline:
                netlab.enter(router)  # again: the client's interface may not have been ready
                for address, preference in (("fe80::aaaa", 0x00), ("fe80::bbbb", 0x08)):
                    advertise(address, "rb", preference)
                netlab.enter(client)
            self.assertEqual(netlab.sh("ip -6 route").count("default via"), 2)
            netlab.sh("ip addr add 2001:db8::1/64 dev ra nodad")
            copies = Shadow(SLOT, {MARK: True})
            stack.callback(rtnetlink.remove, SLOT)
            stack.callback(copies.stop)
            netlink = stack.enter_context(Netlink())
            ways = {str(way(netlink, target, 80, None, mark)) for target in FAR6 for mark in (0, MARK)}
            self.assertEqual(ways, {"via fe80::bbbb dev ra"})
            self.assertEqual(copies.sync()[1], 0)


def advertise(address, device, preference):
    """A router's advertisement. RFC 4861, section 4.2; RFC 4191"""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        index = socket.if_nametoindex(device)
        raw.bind((address, 0, 0, index))
        raw.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, preference, 1800, 0, 0), ("ff02::1", 0, 0, index))


class TestOthersDoNotAsk(unittest.TestCase):
    def test_with_nexthop_objects(self):
        """The kernel keeps what it found at a nexthop object: were ours theirs, unmarked sockets would ask."""
        with netlab.NetLab():
            netlab.sh(f"ip nexthop add id 7 via {netlab.V4} dev va; ip route add {netlab.V4} nhid 7;"
                      f"ip nexthop add id 8 via {netlab.V6} dev va; ip -6 route add {netlab.V6} nhid 8")
            copies = Shadow(SLOT, {MARK: True})
            try:
                with Wire("va") as wire:
                    for number in range(100):
                        address = (netlab.V4, netlab.V6)[number // 2 % 2]
                        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK if number % 2 else 0)
                            sock.connect((address, netlab.HTTP))
                    flags = [packet.flags for packet in wire.packets() if packet.is_syn]
            finally:
                copies.stop()
                rtnetlink.remove(SLOT)
            self.assertEqual(flags, [0x02, 0xC2] * 50)
            self.assertNotIn("proto 94", netlab.sh(MACHINE))


if __name__ == "__main__":
    unittest.main()
