"""The kernel's messages about routes, and the removal of ours alone."""

import errno
import os
import struct
import subprocess
import unittest

from hypothesis import given
from hypothesis import strategies as st

from pathspider.network import rtnetlink
from pathspider.network.rtnetlink import Netlink, attributes, packed
from tests.helpers import netlab

MACHINE = "ip rule; ip route show table all; ip -6 rule; ip -6 route show table all; ip nexthop"


class TestAttributes(unittest.TestCase):
    @given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=20)), st.binary(max_size=9))
    def test_there_and_back(self, found, before):
        data = packed(found)
        self.assertEqual(attributes(before + data, len(before)), found)
        self.assertEqual(len(data) % 4, 0)

    @given(st.binary(max_size=60))
    def test_nonsense_ends(self, data):
        attributes(data)

    def test_nested_bit_is_no_part_of_the_kind(self):
        self.assertEqual(attributes(struct.pack("=HHI", 8, 0x8006, 1)), {6: struct.pack("=I", 1)})


class TestRemoval(unittest.TestCase):
    def setUp(self):
        home = netlab.namespace()
        self.addCleanup(os.close, home)
        self.addCleanup(netlab.enter, home)
        self.addCleanup(os.close, netlab.enter_new())
        netlab.sh("ip link add u1 type veth peer p1; ip link set p1 up; ip link set u1 up;"
                  "ip addr add 10.1.0.1/24 dev u1; ip addr add fd00:1::1/64 dev u1 nodad")
        # Not ours, though it looks like it: another protocol, another mark, another table.
        netlab.sh("""set -e
            ip rule add pref 0 fwmark 0x50530030 table 7; ip rule add pref 0 fwmark 0x30 table 7 protocol 94
            ip route add 192.0.2.1 via 10.1.0.9 proto 94; ip route add 192.0.2.2 via 10.1.0.9 table 0x70003000
            ip nexthop add id 5 via 10.1.0.9 dev u1 protocol 94
            ip nexthop add id 0x70003099 via 10.1.0.9 dev u1
        """)

    def add(self, slot):
        mark, table = rtnetlink.slot_marks(slot)[0], rtnetlink.slot_numbers(slot)[0]
        netlab.sh(f"""set -e
            ip nexthop add id {table + 1} via 10.1.0.8 dev u1 protocol 94
            ip nexthop add id {table + 2} group {table + 1} protocol 94
            ip route add 192.0.2.0/24 nhid {table + 2} table {table} proto 94
            ip route add 192.0.2.9 table {table} proto 94 nexthop via 10.1.0.5 nexthop via 10.1.0.6
            ip route add unreachable 192.0.2.10 table {table} proto 94 metric 5
            ip -6 route add 2001:db8::/64 via fd00:1::9 table {table} proto 94 metric 9
            ip -6 route append 2001:db8::/64 via fd00:1::8 table {table} proto 94 metric 9
            ip rule add pref 0 fwmark {mark} table {table} protocol 94
            ip rule add pref 0 fwmark {mark} from 10.1.0.1 ipproto tcp dport 80-90 table {table} protocol 94
            ip -6 rule add pref 0 fwmark {mark} table {table} protocol 94
        """)

    def test_all_of_one_slot_and_nothing_else(self):
        before = netlab.sh(MACHINE)
        self.add(4)
        with_other = netlab.sh(MACHINE)
        self.add(3)
        rtnetlink.remove(3)
        self.assertEqual(netlab.sh(MACHINE), with_other)
        rtnetlink.remove(3)
        subprocess.run(rtnetlink.removal(4), check=True)
        self.assertEqual(netlab.sh(MACHINE), before)

    def test_many(self):
        table = rtnetlink.slot_numbers(3)[0]
        netlab.sh("ip -batch -", "".join(
            f"route add 10.{one}.{two}.0/24 dev u1 table {table} proto 94\n" for one in range(20, 60)
            for two in range(250)))
        rtnetlink.remove(3)
        self.assertNotIn("proto 94", netlab.sh(f"ip route show table {table}"))

    def test_without_permission(self):
        self.add(3)
        done = subprocess.run(["setpriv", "--bounding-set=-all", *rtnetlink.removal(3)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("rules and routes of slot 3: ", done.stderr)

    def test_errors_are_the_kernels_words(self):
        with Netlink() as netlink:
            rule = rtnetlink.RULE_HEADER.pack(2, 0, 0, 0, 0, 0, 0, 2, 0)  # goto, but not where
            absent = rtnetlink.RULE_HEADER.pack(2, 0, 0, 0, 77, 0, 0, 1, 0)
            first, second = netlink.change([(rtnetlink.RTM_NEWRULE, rtnetlink.NLM_F_CREATE, rule),
                                            (rtnetlink.RTM_DELRULE, 0, absent)])
            self.assertEqual((first.errno, second.errno), (errno.EINVAL, errno.ENOENT))
            self.assertIn("(", str(first))
            with self.assertRaises(OSError):
                netlink.dump(9999, rule)
            self.assertGreaterEqual(len(rtnetlink.rules(netlink, 2)), 3)

    def test_where_there_is_no_ipv6(self):
        with Netlink() as netlink:
            for family in (rtnetlink.FAMILIES[1], 28):
                self.assertEqual([body for body in rtnetlink.routes(netlink, family) if body[0] != family], [])
            self.assertEqual((rtnetlink.routes(netlink, 27), rtnetlink.rules(netlink, 27)), ([], []))


if __name__ == "__main__":
    unittest.main()
