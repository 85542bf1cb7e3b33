"""Which interface and which address of ours the kernel takes for a target: asked of real kernels."""

import os
import re
import socket
import unittest

from pathspider.conditions import NEW_SOURCE, OTHER_INTERFACE
from pathspider.network.interfaces import InterfaceError, addresses
from pathspider.network.routes import (
    ElsewhereError,
    Routes,
    Sources,
    check_source,
    default_interface,
    interface_to,
    stable,
)
from tests.helpers import netlab

TWO_ADDRESSES = """
ip addr add 10.1.0.1/24 dev va; ip addr add 10.1.0.2/24 dev va
ip -6 addr add 2001:db8:1::1/64 dev va nodad; ip -6 addr add 2001:db8:1::2/64 dev va nodad
ip route add default via 10.1.0.99
ip route add 198.51.100.0/24 via 10.1.0.99 src 10.1.0.2
ip -6 route add default via 2001:db8:1::99 src 2001:db8:1::1
ip -6 route add 2001:db8:2::/48 via 2001:db8:1::99 src 2001:db8:1::2
"""


class TestRoutes(unittest.TestCase):
    """In a network namespace with ``va`` and ``wa``, each of which is joined to another interface; all are up."""

    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        self.addCleanup(os.close, netlab.enter_new())
        for name in "vw":
            netlab.sh(f"ip link add {name}a type veth peer name {name}b")
            netlab.sh(f"ip link set {name}a up; ip link set {name}b up")

    def sources(self, name="va"):
        sources = Sources(name)
        self.addCleanup(sources.close)
        return sources

    def kernel(self, target, *words):
        """What the kernel says to ``ip route get``: interface and source address."""
        said = netlab.sh(f"ip route get {target} {' '.join(words)}")
        found = re.search(r" dev (\S+).* src (\S+)", said)
        return found[1], found[2]

    def test_the_same_as_ip_route_get(self):
        netlab.sh(TWO_ADDRESSES)
        with Routes() as routes:
            for target in ("198.51.100.1", "203.0.113.1", "10.1.0.77", "10.1.0.1", "127.0.0.9", "2001:db8:2::1",
                           "2001:db8:3::1", "2001:db8:1::77", "2001:db8:1::1", "::1"):
                route = routes.to(target)
                self.assertEqual((socket.if_indextoname(route.ifindex), route.source), self.kernel(target), target)
                self.assertEqual(route.local, "local" in netlab.sh(f"ip route get {target}"), target)

    def test_no_route(self):
        netlab.sh("ip route add unreachable 203.0.113.0/24; ip -6 route add unreachable 2001:db8:f::/48")
        with Routes() as routes:
            for target in ("192.0.2.1", "203.0.113.1", "2001:db8::1", "2001:db8:f::1"):
                with self.assertRaises(OSError):
                    routes.to(target)
        self.assertIsNone(interface_to("192.0.2.1"))
        self.assertIsNone(default_interface())

    def test_a_socket_is_there_again_after_it_was_closed(self):
        routes = Routes()
        for _ in range(2):
            with routes:
                self.assertEqual(routes.to("127.0.0.1").source, "127.0.0.1")

    def test_the_kernels_choice_for_each_target(self):
        netlab.sh(TWO_ADDRESSES)
        sources = self.sources()
        self.assertEqual(sources.default, ("10.1.0.1", "2001:db8:1::1"))
        self.assertEqual(sources.toward("198.51.100.1"), ("10.1.0.2", "2001:db8:1::1"))
        self.assertEqual(sources.toward("203.0.113.1"), ("10.1.0.1", "2001:db8:1::1"))
        self.assertEqual(sources.toward("2001:db8:2::1"), ("10.1.0.1", "2001:db8:1::2"))
        self.assertEqual(sources.toward("2001:db8:3::1"), ("10.1.0.1", "2001:db8:1::1"))
        self.assertLessEqual({"10.1.0.1", "10.1.0.2", "2001:db8:1::1", "2001:db8:1::2"}, sources.known)

    def test_the_usual_address_is_that_of_the_default_route(self):
        netlab.sh(TWO_ADDRESSES + "ip route replace default via 10.1.0.99 src 10.1.0.2;"
                  "ip -6 route replace default via 2001:db8:1::99 src 2001:db8:1::2")
        self.assertEqual(self.sources().default, ("10.1.0.2", "2001:db8:1::2"))

    def test_named_addresses(self):
        netlab.sh(TWO_ADDRESSES)
        sources = self.sources()
        self.assertEqual(sources.toward("203.0.113.1", ("10.1.0.2", None)), ("10.1.0.2", "2001:db8:1::1"))
        self.assertEqual(sources.toward("2001:db8:2::1", ("10.1.0.2", "2001:db8:1::1")), ("10.1.0.2", "2001:db8:1::1"))
        self.assertEqual(sources.toward("2001:db8:2::1", ("10.1.0.2", None)), ("10.1.0.2", "2001:db8:1::2"))

    def test_an_address_of_another_interface_may_be_named(self):
        netlab.sh(TWO_ADDRESSES + "ip addr add 192.0.2.77/32 dev wa")
        self.assertEqual(self.sources().toward("203.0.113.1", ("192.0.2.77", None))[0], "192.0.2.77")
        netlab.sh("ip rule add from 192.0.2.77 lookup 77; ip route add default dev wa table 77")
        with self.assertRaises(ElsewhereError):
            self.sources().toward("203.0.113.1", ("192.0.2.77", None))

    def test_targets_behind_another_interface(self):
        netlab.sh(TWO_ADDRESSES + "ip addr add 10.2.0.1/24 dev wa; ip -6 addr add 2001:db8:4::1/64 dev wa nodad")
        sources = self.sources()
        for target in ("10.2.0.9", "2001:db8:4::9"):
            with self.assertRaisesRegex(ElsewhereError, "through wa, not va") as caught:
                sources.toward(target)
            self.assertEqual(caught.exception.condition, OTHER_INTERFACE)
        with self.assertRaisesRegex(ElsewhereError, "through lo, not va"):
            sources.toward("10.1.0.1")

    def test_two_uplinks_and_rules_by_address(self):
        """The default route leads through va; what comes from wa's address leaves through wa."""
        netlab.sh(TWO_ADDRESSES + """
            ip addr add 10.2.0.1/24 dev wa; ip addr add 10.2.0.2/24 dev wa; ip -6 addr add 2001:db8:4::1/64 dev wa nodad
            ip route add default via 10.2.0.99 table 77; ip rule add from 10.2.0.0/24 lookup 77
            ip -6 route add default via 2001:db8:4::99 table 77; ip -6 rule add from 2001:db8:4::/64 lookup 77
        """)
        sources = self.sources("wa")
        self.assertEqual(sources.default, ("10.2.0.1", "2001:db8:4::1"))
        self.assertEqual(sources.toward("203.0.113.1"), ("10.2.0.1", "2001:db8:4::1"))
        self.assertEqual(sources.toward("2001:db8:2::1"), ("10.2.0.1", "2001:db8:4::1"))

    def test_no_route_is_for_the_kernel_to_tell(self):
        netlab.sh("ip addr add 10.1.0.1/24 dev va")
        self.assertEqual(self.sources().toward("203.0.113.1"), ("10.1.0.1", None))
        self.assertEqual(self.sources().toward("2001:db8::1"), ("10.1.0.1", None))

    def test_an_address_that_only_loopback_has(self):
        netlab.sh("""
            ip addr add 192.0.2.7/32 dev lo; ip -6 addr add 2001:db8:7::7/128 dev lo nodad
            ip -6 addr add fe80::1/64 dev va nodad
            ip route add 203.0.113.0/24 via inet6 fe80::99 dev va src 192.0.2.7
            ip -6 route add 2001:db8:2::/48 via fe80::99 dev va src 2001:db8:7::7
        """)
        sources = self.sources()
        self.assertEqual(sources.default, ("192.0.2.7", "2001:db8:7::7"))
        self.assertEqual(sources.toward("203.0.113.9"), ("192.0.2.7", "2001:db8:7::7"))
        self.assertEqual(sources.toward("2001:db8:2::9"), ("192.0.2.7", "2001:db8:7::7"))

    def test_no_address_that_reaches_beyond_this_machine(self):
        netlab.sh("ip -6 addr add fe80::1/64 dev va nodad; ip -6 route add default via fe80::99 dev va")
        self.assertEqual(self.sources().toward("2001:db8:2::1"), (None, None))  # the kernel: fe80::1
        netlab.sh("ip -6 addr flush dev va")
        netlab.sh("ip -6 route replace default via fe80::99 dev va")
        self.assertEqual(self.sources().toward("2001:db8:2::1"), (None, None))  # the kernel: ::1

    def test_an_interface_without_address_and_routes(self):
        netlab.sh("ip addr add 10.1.0.1/24 dev va; ip -6 addr add 2001:db8:1::1/64 dev va nodad;"
                  "ip route add default via 10.1.0.99")
        self.assertEqual(self.sources("wa").default, (None, None))

    def test_an_alternative_name(self):
        netlab.sh(TWO_ADDRESSES + "ip link property add dev va altname an-uplink-with-quite-a-long-name")
        sources = self.sources("an-uplink-with-quite-a-long-name")
        self.assertEqual((sources.interface, sources.default[0]), ("va", "10.1.0.1"))
        with self.assertRaises(InterfaceError):
            Sources("an-uplink-with-another-name")

    def test_an_address_that_is_new(self):
        netlab.sh("ip addr add 10.1.0.1/24 dev va; ip route add default via 10.1.0.99")
        sources = self.sources()
        netlab.sh("ip addr add 10.1.0.55/24 dev va; ip route replace default via 10.1.0.99 src 10.1.0.55")
        with self.assertRaisesRegex(ElsewhereError, "10.1.0.55") as caught:
            sources.toward("203.0.113.1")
        self.assertEqual(caught.exception.condition, NEW_SOURCE)
        netlab.sh("ip route replace default via 10.1.0.99")
        self.assertEqual(sources.toward("203.0.113.1")[0], "10.1.0.1")

    def test_a_stable_address_in_place_of_a_temporary_one(self):
        netlab.sh("sysctl -qw net.ipv6.conf.va.use_tempaddr=2;"
                  "ip -6 addr add 2001:db8:1::1/64 dev va nodad mngtmpaddr valid_lft 86400 preferred_lft 86400;"
                  "ip -6 route add default via 2001:db8:1::99")
        found = stable(addresses())
        self.assertEqual(list(found.values()), ["2001:db8:1::1"])
        self.assertIn(self.kernel("2001:db8:2::1")[1], found)
        sources = self.sources()
        self.assertEqual(sources.default[1], "2001:db8:1::1")
        self.assertEqual(sources.toward("2001:db8:2::1")[1], "2001:db8:1::1")

    def test_which_addresses_can_be_named(self):
        netlab.sh(TWO_ADDRESSES + "ip route add local 198.51.100.0/24 dev lo")
        for address in ("10.1.0.2", "2001:db8:1::2", "127.0.0.1", "198.51.100.5"):
            check_source(address)
        with self.assertRaisesRegex(ValueError, r"10\.1\.0\.3 is no address of this machine.*10\.1\.0\.1, 10\.1\.0\.2"):
            check_source("10.1.0.3")
        with self.assertRaisesRegex(ValueError, "no address.*2001:db8:1::[12], 2001:db8:1::[12]$"):
            check_source("2001:db8:1::3")

    def test_the_interface_to_a_target(self):
        netlab.sh(TWO_ADDRESSES + "ip addr add 10.2.0.1/24 dev wa")
        self.assertEqual((interface_to("10.2.0.9"), interface_to("2001:db8:2::1"), interface_to("127.0.0.1")),
                         ("wa", "va", "lo"))
        self.assertEqual(default_interface(), "va")
        netlab.sh("ip route del default")
        self.assertEqual(default_interface(), "va")  # of IPv6
        netlab.sh("ip rule add from 10.1.0.2 lookup 77; ip route add default dev wa table 77")
        self.assertEqual(interface_to("203.0.113.1", "10.1.0.2"), "wa")


if __name__ == "__main__":
    unittest.main()
