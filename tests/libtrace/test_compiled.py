"""The compiled twins of the chains: used where they are what the files are, and saying what the files say."""

import json
import os
import sys
import unittest
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, Raw

from pathspider.chains.base import Chain
from pathspider.libtrace import FlowTable, json_lines
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
        class Beside(Chain):
            """Not one of ours: where it takes part, records are dicts while flows are open."""

        compiled = [twin(chain_of(name))() for name in NAMES]
        plain = [chain_of(name)() for name in NAMES]
        lines, records = [], []
        for chains in (compiled, plain, [*compiled, Beside()]):
            for compact in (False, True):
                table = FlowTable(chains)
                table.compact = compact
                found = []
                for number, (seed, changes, cut) in enumerate(packets):
                    data = bytearray(seed)
                    for at, value in changes:
                        if at < len(data):
                            data[at] = value
                    found += table.feed(bytes(data[:cut]), float(number), 1, wire_len=len(data))
                found += table.flush()
                lines.append(json_lines(found))
                if not compact:
                    records.append(found)
        self.assertEqual(records, [records[0]] * 3)
        self.assertEqual(lines, ["".join(json.dumps(record) + "\n" for record in records[0]).encode()] * 6)

    def test_records_own_what_is_noted_and_nothing_else(self):
        frames = [tcp4("S", options=[("MSS", 1460)]), tcp4("SA", rev=True), tcp4("A"), udp4()]
        names = [name for name in NAMES if twin(chain_of(name)) is not chain_of(name)]
        gone = object()
        if not names:
            self.skipTest("this build has no twins")
        table = FlowTable([twin(chain_of(name))() for name in names])
        table.compact = True
        for data in frames:
            table.feed(data, 1.0)
        found = table.flush()
        before = sys.getrefcount(gone)
        found[0]["sip"] = gone
        found[0]["sip"] = gone
        self.assertEqual(sys.getrefcount(gone), before + 1)
        self.assertIs(found[0]["sip"], gone)
        with self.assertRaises(KeyError):
            found[0]["no_such_field"] = 1
        with self.assertRaises(KeyError):
            found[0]["no_such_field"]
        self.assertIn("sip", found[0])
        self.assertNotIn("no_such_field", found[0])
        del found
        self.assertEqual(sys.getrefcount(gone), before)


if __name__ == "__main__":
    unittest.main()
