"""What chains promise to have no use for: leaving it out changes no record."""

import random
import unittest
from collections import Counter

from pathspider.chains.base import Chain, Wanted
from pathspider.chains.basic import BasicChain
from pathspider.libtrace import FlowTable
from pathspider.libtrace.compiled import twin
from tests.chains.flows import NAMES, chain_of
from tests.chains.test_dns import ANSWER, framed
from tests.libtrace.frames import tcp4, tcp6, udp4

IP_AT = 14
SEEDS = [
    (build(flags, rev=rev, payload=payload, options=[("MSS", 1460), (34, b"12345678")]), header)
    for build, header in ((tcp4, 20), (tcp6, 40))
    for rev in (False, True)
    for flags, payload in (("S", b""), ("SA", b""), ("A", b""), ("A", b"x" * 9), ("A", framed(ANSWER)))
]
DATAGRAMS = [udp4(payload, rev=rev) for rev in (False, True) for payload in (b"", b"x" * 9, ANSWER)]


def packets(seed: int, count: int) -> list[bytes]:
    """Segments of a few flows, and datagrams: flags, ECN, evil bit, numbers as they come."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        if rng.random() < 0.1:
            data = bytearray(rng.choice(DATAGRAMS))
        else:
            seed_frame, header = rng.choice(SEEDS)
            data = bytearray(seed_frame)
            at = IP_AT + header
            if rng.random() < 0.3:
                data[at + 13] = rng.choice((0x00, 0x01, 0x02, 0x04, 0x11, 0x12, 0x14, 0x18, 0xC2, rng.randrange(256)))
            data[at + 7] = rng.choice((0, 0, 1, rng.randrange(256)))
            data[at + 11] = rng.choice((0, 1, 1, rng.randrange(256)))
        mark = rng.choice((0, 0, 1, 2, 3, 46 << 2))
        if data[IP_AT] >> 4 == 4:
            data[IP_AT + 1] = mark
            data[IP_AT + 6] = rng.choice((0, 0, 0, 0x80, 0x40))
        else:
            data[IP_AT], data[IP_AT + 1] = 0x60 | mark >> 4, mark << 4 & 0xFF
        found.append(bytes(data))
    return found


def observed(chains, frames):
    """The records that chains make of frames, a quarter of a second apart; now and then flows end in between."""
    table = FlowTable(chains, idle_timeout=2, expiry_timeout=1)
    records = []
    for number, frame in enumerate(frames):
        records += table.feed(frame, number / 4 + number // 20 * 5)
    return records + table.flush()


class Calls(Chain):
    """Counts calls of its hooks, and notes what the chain before it has counted."""

    fields = {}
    wants = Wanted.SYN

    def __init__(self):
        super().__init__()
        self.calls = Counter()
        self.counts = []

    def ip4(self, rec, ip, rev):
        self.calls["ip4"] += 1
        self.counts.append((rec["pkt_fwd"], rec["pkt_rev"], rec["oct_fwd"], rec["oct_rev"]))
        return True

    def tcp(self, rec, tcp, rev):
        self.calls["tcp"] += 1
        return True


class TestPromises(unittest.TestCase):
    def test_compiled_chains_which_see_what_they_want_say_what_plain_ones_say(self):
        for seed in range(30):
            frames = packets(seed, 60)
            self.assertEqual(observed([twin(chain_of(name))() for name in NAMES], frames),
                             observed([chain_of(name)() for name in NAMES], frames), seed)

    def test_each_alone(self):
        for name in NAMES:
            for seed in range(4):
                frames = packets(100 + seed, 80)
                self.assertEqual(observed([twin(chain_of(name))()], frames), observed([chain_of(name)()], frames), name)

    def test_plain_chains_see_all(self):
        calls = Calls()
        frames = [tcp4("S"), tcp4("SA", rev=True), tcp4("A"), tcp4("A"), tcp4("A", payload=b"x"), tcp4("A", rev=True)]
        observed([twin(BasicChain)(), calls], frames)
        self.assertEqual(calls.calls, {"ip4": 6, "tcp": 6})

    def test_a_plain_chain_sees_what_another_has_counted_so_far(self):
        calls = Calls()
        [record] = observed([twin(BasicChain)(), calls], [tcp4("S"), tcp4("SA", rev=True), tcp4("A", payload=b"x")])
        self.assertEqual(calls.counts, [(1, 0, 40, 0), (1, 1, 40, 40), (2, 1, 81, 40)])
        self.assertEqual([record[name] for name in BasicChain.counts], [2, 1, 81, 40])


if __name__ == "__main__":
    unittest.main()
