"""Facts about interfaces, privileges, and the capture filter that follows from them."""

import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from pathspider.network.interfaces import (
    CapabilityError,
    InterfaceError,
    capture_filter,
    check_capabilities,
    check_interface,
    interfaces_up,
    source_addresses,
)
from tests.helpers import netlab
from tests.programs import as_nobody


class TestInterfaces(unittest.TestCase):
    """In a network namespace with two interfaces joined to each other, both down at first."""

    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        self.addCleanup(os.close, netlab.enter_new())
        netlab.sh("ip link add name va type veth peer name vb")

    def add(self, *addresses, options=""):
        for address in addresses:
            netlab.sh(f"ip addr add {address} dev va {options}")

    def up(self):
        netlab.sh("ip link set va up; ip link set vb up")
        deadline = time.monotonic() + 30
        while "va" not in interfaces_up() and time.monotonic() < deadline:
            pass  # a busy kernel tells of a carrier later

    def test_up(self):
        self.assertEqual(interfaces_up(), ["lo"])
        netlab.sh("ip link set va up")
        self.assertEqual(interfaces_up(), ["lo"])  # the peer is down: no carrier
        self.up()
        self.assertEqual(sorted(interfaces_up()), ["lo", "va", "vb"])
        check_interface("va")

    def test_errors_say_why_and_what_could_be_used(self):
        for name, text in (("nope", "no interface 'nope'"), ("va", "'va' is down")):
            with self.assertRaisesRegex(InterfaceError, f"{text}.*; interfaces that are up: lo$"):
                check_interface(name)
        netlab.sh("ip link set va up")
        with self.assertRaisesRegex(InterfaceError, "'va' has no carrier"):
            check_interface("va")
        netlab.sh("ip link set lo down")
        with self.assertRaisesRegex(InterfaceError, "that are up: none"):
            check_interface("nope")
        with self.assertRaises(InterfaceError):
            source_addresses("nope")

    def test_no_address(self):
        self.up()
        self.assertEqual(source_addresses("va"), (None, None))  # a link-local one reaches no target

    def test_loopback(self):
        self.assertEqual(source_addresses("lo"), ("127.0.0.1", "::1"))
        netlab.sh("ip addr add 192.0.2.1/32 dev lo")
        self.assertEqual(source_addresses("lo"), ("127.0.0.1", "::1"))

    def test_the_first_primary_ipv4_address(self):
        self.up()
        self.add("192.0.2.7/24", "192.0.2.8/24", "198.51.100.1/24")
        self.add("203.0.113.1/24", options="scope link")
        self.assertEqual(source_addresses("va"), ("192.0.2.7", None))
        netlab.sh("ip addr add 192.0.2.9/24 dev vb")
        self.assertEqual(source_addresses("vb"), ("192.0.2.9", None))

    def test_a_point_to_point_address_is_ours_not_the_peers(self):
        self.up()
        netlab.sh("ip addr add 192.0.2.7 peer 192.0.2.99/32 dev va")
        self.assertEqual(source_addresses("va")[0], "192.0.2.7")

    def test_ipv6_addresses_that_are_not_used(self):
        self.up()
        self.add("2001:db8::dead/64", options="nodad preferred_lft 0")
        self.assertEqual(source_addresses("va")[1], None)
        self.add("fd00:20::1/64", options="nodad")
        self.assertEqual(source_addresses("va")[1], "fd00:20::1")
        self.add("2001:db8::1/64", options="nodad")
        self.assertEqual(source_addresses("va")[1], "2001:db8::1")

    def test_a_tentative_address_is_not_used(self):
        netlab.sh("sysctl -qw net.ipv6.conf.va.accept_dad=1 net.ipv6.conf.va.dad_transmits=100")
        self.up()
        self.add("2001:db8::1/64")
        self.assertEqual(source_addresses("va")[1], None)

    def test_a_stable_address_before_a_temporary_one(self):
        netlab.sh("sysctl -qw net.ipv6.conf.va.use_tempaddr=2")
        self.up()
        self.add("2001:db8::1/64", options="nodad mngtmpaddr valid_lft 86400 preferred_lft 86400")
        self.assertIn("temporary", netlab.sh("ip -6 addr show dev va"))
        self.assertEqual(source_addresses("va")[1], "2001:db8::1")


class TestCapabilities(unittest.TestCase):
    def test_root_has_them(self):
        check_capabilities("CAP_NET_RAW", "CAP_NET_ADMIN")

    def test_a_missing_one_is_named(self):
        program = ("from pathspider.network.interfaces import check_capabilities, CapabilityError\n"
                   "check_capabilities('CAP_NET_RAW', 'CAP_BPF')\n"  # a run can do without the latter
                   "try: check_capabilities('CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_BPF')\n"
                   "except CapabilityError as error: print(error)\n")
        command = [*as_nobody("net_raw"), sys.executable, "-c", program]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.assertTrue(said.startswith("missing CAP_NET_ADMIN (to change network settings): "), said)
        self.assertIn("sudo", said)
        self.assertNotIn("bpf", said)
        self.assertTrue(issubclass(CapabilityError, RuntimeError))


class TestCaptureFilter(unittest.TestCase):
    def test_text(self):
        self.assertEqual(capture_filter(("192.0.2.1", None), ["tcp"]),
                         "(ip host 192.0.2.1 and (ip proto 1 or ip proto 6))")

    def test_by_default_every_transport(self):
        ours, ours6, theirs, theirs6 = "192.0.2.1", "2001:db8::1", "198.51.100.1", "2001:db8:1::1"
        text = capture_filter((ours, ours6))
        self.assertEqual(text, capture_filter((ours, ours6), ["tcp", "udp", "sctp"]))
        transports = [TCP(), UDP(), SCTP(sport=5, dport=6) / Raw(bytes(8))]
        wanted = [packet / transport for transport in transports
                  for packet in (IP(src=ours, dst=theirs), IP(src=theirs, dst=ours),
                                 IPv6(src=ours6, dst=theirs6), IPv6(src=theirs6, dst=ours6))]
        others = [IP(src=ours, dst=theirs, proto=47) / Raw(bytes(20)), IP(src=theirs, dst="192.0.2.2") / TCP()]
        self.assertEqual(kept(text, wanted), len(wanted))
        self.assertEqual(kept(text, others), 0)

    def test_mistakes(self):
        for source, protocols in (((None, None), ["tcp"]), (("192.0.2.1", None), ["http"]), (("any", None), ["tcp"])):
            with self.assertRaises(ValueError):
                capture_filter(source, protocols)

    @given(st.tuples(st.none() | st.ip_addresses(v=4).map(str), st.none() | st.ip_addresses(v=6).map(str)),
           st.sets(st.sampled_from(["tcp", "udp", "sctp"])))
    def test_each_address_is_in_it(self, source, protocols):
        if any(source):
            text = capture_filter(source, protocols)
            self.assertEqual([address in text for address in source if address], [True] * sum(map(bool, source)))

    def test_what_it_keeps(self):
        """Judged by libpcap itself, over packets made here."""
        ours, ours6, theirs, theirs6 = "192.0.2.1", "2001:db8::1", "198.51.100.1", "2001:db8:1::1"
        wanted = [
            IP(src=ours, dst=theirs) / TCP(),
            IP(src=theirs, dst=ours) / TCP(),
            IP(src="203.0.113.1", dst=ours) / ICMP(),
            IP(src=theirs, dst=ours, proto=6, frag=100) / Raw(b"x" * 8),
            IPv6(src=ours6, dst=theirs6) / TCP(),
            IPv6(src=theirs6, dst=ours6) / IPv6ExtHdrDestOpt() / TCP(),
            IPv6(src=theirs6, dst=ours6) / ICMPv6DestUnreach(),
            IPv6(src=theirs6, dst=ours6) / IPv6ExtHdrFragment(offset=100, nh=6) / Raw(b"x" * 8),
        ]
        others = [
            IP(src=theirs, dst="192.0.2.2") / TCP(),
            IP(src=ours, dst=theirs) / UDP(),
            IPv6(src=theirs6, dst="2001:db8::2") / TCP(),
            IPv6(src=ours6, dst=theirs6) / UDP(),
            ARP(psrc=ours),
        ]
        text = capture_filter((ours, ours6), ["tcp"])
        self.assertEqual(kept(text, wanted), len(wanted))
        self.assertEqual(kept(text, others), 0)


def kept(text, packets):
    """How many of the packets tcpdump keeps with this filter."""
    with tempfile.TemporaryDirectory() as folder:
        macs = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}  # else scapy would ask the network for one
        wrpcap(f"{folder}/in", [Ether(type=_type(packet), **macs) / packet for packet in packets])
        with Path(f"{folder}/in").open("rb") as capture:
            out = subprocess.run(["tcpdump", "-n", "-r", "-", "-w", "-", text], stdin=capture, check=True,
                                 capture_output=True).stdout
        Path(f"{folder}/out").write_bytes(out)
        return len(rdpcap(f"{folder}/out"))


def _type(packet):
    return {IP: 0x0800, IPv6: 0x86DD, ARP: 0x0806}[type(packet)]
