"""The first packets of flows, held in a room that does not grow."""

import gc
import random
import subprocess
import sys
import threading
import unittest

from pathspider.chains.basic import BasicChain
from pathspider.libtrace._core import FlowTable, Packets, PacketStore
from tests.libtrace.frames import tcp4, udp4
from tests.packaging.files import ROOT

BLOCK = 256


HELD = """
import resource
from pathspider.chains.basic import BasicChain
from pathspider.libtrace._core import FlowTable, PacketStore
from pathspider.run.evidence import MEMORY
from tests.libtrace.frames import udp4

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

frame = bytearray(udp4(b"x" * 1400))
table = FlowTable([BasicChain()], store=PacketStore(MEMORY) if %s else None)
before = peak()
for number in range(100000):
    frame[34:36] = (number %% 2000).to_bytes(2, "big")
    table.feed(bytes(frame), 1000)
held = table.flush()
print(peak() - before, len(held), sum(len(flow.get("_packets", ())) for flow in held))
"""
"""2,000 flows of 50 packets, 140 MB: KiB of memory that they took, and how many packets were held."""


class TestStore(unittest.TestCase):
    def setUp(self):
        self.store = PacketStore(64 * BLOCK)
        self.table = FlowTable([BasicChain()], 30, 5, 1000, self.store)
        self.now = 1000.0

    def feed(self, *frames, **options):
        for frame in frames:
            self.now += 0.001
            self.table.feed(frame, self.now, **options)

    def flows(self):
        return {flow["sp"]: flow["_packets"] for flow in self.table.flush()}

    def data(self, packets):
        return [data for _, _, data in packets.read()]

    def test_a_flow_has_its_packets_of_both_directions(self):
        frames = [tcp4("S"), tcp4("SA", rev=True), tcp4("A", payload=b"x" * 1400), tcp4("F")]
        self.feed(*frames)
        packets = self.flows()[1234]
        self.assertEqual(self.data(packets), frames)
        self.assertEqual((len(packets), packets.seen, packets.read()[0][:2]), (4, 4, (1000001000000, len(frames[0]))))

    def test_length_on_the_wire(self):
        self.feed(tcp4("S")[:60], wire_len=1500)
        (_, wire_length, data), = self.flows()[1234].read()
        self.assertEqual((wire_length, len(data)), (1500, 54))

    def test_nothing_is_held_without_a_store(self):
        table = FlowTable([BasicChain()])
        table.feed(tcp4("S"), 1000)
        self.assertNotIn("_packets", table.flush()[0])

    def test_no_more_than_64_packets_of_a_flow(self):
        self.feed(*[udp4(bytes([number])) for number in range(100)])
        packets = self.flows()[5353]
        self.assertEqual((len(packets), packets.seen, self.data(packets)[63]), (64, 100, udp4(bytes([63]))))

    def test_room_comes_back_with_the_last_reference(self):
        self.feed(tcp4("S"), udp4(b"x" * 1000))
        held = self.flows()
        self.assertLess(self.store.free, 64)
        del held
        self.assertEqual(self.store.free, 64)

    def test_room_comes_back_from_another_thread_and_with_the_table(self):
        self.feed(tcp4("S"), udp4(b"x" * 1000))
        held = [self.flows()]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        self.assertEqual(self.store.free, 64)
        self.feed(tcp4("S"), udp4())
        del self.table
        gc.collect()
        self.assertEqual(self.store.free, 64)

    def test_a_flow_that_a_chain_does_not_want_holds_none(self):
        class Refuses(BasicChain):
            def new_flow(self, rec, ip):
                return False

        table = FlowTable([Refuses()], 30, 5, 1000, self.store)
        table.feed(tcp4("S"), 1000)
        table.feed(tcp4("A"), 1000)
        self.assertEqual((table.flush(), self.store.free), ([], 64))

    def test_when_it_is_full_long_flows_keep_their_first_packets(self):
        self.feed(*[udp4(bytes([number]) * 100, sport=1) for number in range(30)],
                  *[tcp4("S", sport=port) for port in range(100, 150)])
        flows = self.flows()
        self.assertEqual((len(flows[1]), flows[1].seen), (8, 30))
        self.assertEqual(self.data(flows[1]), [udp4(bytes([number]) * 100, sport=1) for number in range(8)])
        self.assertEqual({len(flows[port]) for port in range(100, 150)}, {1})
        self.assertEqual((self.store.shortened, self.store.lost), (1, 0))

    def test_when_none_is_long_the_oldest_lose_all(self):
        self.feed(*[tcp4("S", sport=port) for port in range(1, 101)])
        flows = self.flows()
        self.assertEqual([port for port in flows if not len(flows[port])], list(range(1, 37)))
        self.assertEqual((self.store.shortened, self.store.lost), (0, 36))
        self.assertEqual(flows[100].read()[0][2], tcp4("S", sport=100))

    def test_a_packet_that_is_larger_than_the_room(self):
        store = PacketStore(4 * BLOCK)
        table = FlowTable([BasicChain()], 30, 5, 1000, store)
        for frame in (tcp4("S"), udp4(b"x" * 1400), udp4(b"y")):
            table.feed(frame, 1000)
        flows = {flow["sp"]: flow["_packets"] for flow in table.flush()}
        self.assertEqual((len(flows[5353]), flows[5353].seen), (0, 2))
        del flows
        self.assertEqual(store.free, 4)

    def test_memory_has_a_bound(self):
        def measured(holding):
            done = subprocess.run([sys.executable, "-c", HELD % holding], capture_output=True, text=True, check=True,
                                  timeout=100, cwd=ROOT)
            return map(int, done.stdout.split())

        without, *_ = measured(False)
        took, flows, packets = measured(True)
        self.assertLess(took - without, 64 << 10)
        self.assertEqual(flows, 2000)
        self.assertGreater(packets, 8 * 2000)  # all have their first ones, and the newest more

    def test_sizes_that_cannot_be(self):
        for octets in (0, BLOCK - 1, 1 << 62):
            with self.assertRaises((ValueError, MemoryError)):
                PacketStore(octets)
        with self.assertRaises(TypeError):
            Packets()

    def test_anything_in_any_order_comes_out_as_it_went_in(self):
        """Against a model: what is held is the beginning of what the flow had, and the room adds up."""
        chance = random.Random(1)
        store = PacketStore(200 * BLOCK)
        table = FlowTable([BasicChain()], 30, 5, 10000, store)
        went, held, now = {}, {}, 1000.0
        for step in range(6000):
            port = chance.randrange(1, 60)
            frame = udp4(chance.randbytes(chance.choice((1, 100, 210, 300, 1400))), sport=port)
            went.setdefault(port, []).append(frame)
            table.feed(frame, now)
            if not step % 500:
                for flow in table.flush():
                    held[flow["sp"], step] = flow["_packets"], went.pop(flow["sp"])
            if held and chance.random() < 0.02:
                packets, frames = held.pop(chance.choice([*held]))
                found = self.data(packets)
                self.assertEqual(found, frames[:len(found)])
                self.assertEqual(packets.seen, len(frames))
        self.assertGreater(store.shortened, 0)
        self.assertGreater(store.lost, 0)
        held.clear()
        del packets, flow
        table.flush()
        self.assertEqual(store.free, 200)


if __name__ == "__main__":
    unittest.main()
