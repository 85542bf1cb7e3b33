"""The compiled twins of the chains: used where they are what the files are, and saying what the files say."""

import os
import unittest
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, Raw

from pathspider.libtrace import FlowTable
from pathspider.libtrace._core import is_compiled
from pathspider.libtrace.compiled import twin
from tests.chains.flows import NAMES, chain_of
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


class Twins(unittest.TestCase):
    def test_twins_are_compiled_and_used_only_for_what_they_were_made_of(self):
        hooks = ("new_flow", "ip4", "ip6", "tcp", "udp", "icmp4", "icmp6")
        for name in NAMES:
            chain = chain_of(name)
            with patch.dict(os.environ, {"PATHSPIDER_PURE_CHAINS": "1"}):
                self.assertIs(twin(chain), chain)
            if twin(chain) is chain:
                continue  # this build has none
            for hook in hooks:
                if hook in chain.__dict__:
                    self.assertTrue(is_compiled(twin(chain), hook), (name, hook))
                    self.assertFalse(is_compiled(chain, hook), (name, hook))
            with patch("pathspider.libtrace.compiled.sha256") as digest:
                digest.return_value.hexdigest.return_value = "another file"
                self.assertIs(twin(chain), chain)
            self.assertIs(twin(type("Mine", (chain,), {"__module__": "mine"})).__bases__[0], chain)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        tcp4("S", options=[("MSS", 1460), (34, b"12345678")], payload=b"x"),
                        tcp6("SA", rev=True),
                        udp4(),
                        tcp4("PA", rev=True, payload=b"\0\x20" + bytes(2) + b"\x81\x80" + bytes(30)),
                        frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3) / Raw(udp4()[14:])),
                    ]
                ),
                st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=4),
                st.integers(14, 120),
            ),
            max_size=8,
        )
    )
    def test_mangled_packets_give_the_same_records_compiled_and_plain(self, packets):
        records = []
        for choose in (twin, lambda chain: chain):
            table = FlowTable([choose(chain_of(name))() for name in NAMES])
            found = []
            for number, (seed, changes, cut) in enumerate(packets):
                data = bytearray(seed)
                for at, value in changes:
                    if at < len(data):
                        data[at] = value
                found += table.feed(bytes(data[:cut]), float(number), 1, wire_len=len(data))
            records.append(found + table.flush())
        self.assertEqual(records[0], records[1])


if __name__ == "__main__":
    unittest.main()
