"""The observer's shell: queues, stop, flush, sentinels."""

import gzip
import queue
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.chains.base import Chain
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.observer import CaptureError, DummyObserver, Observer, PacketClockTimer
from pathspider.records import SHUTDOWN_SENTINEL
from tests.libtrace.frames import in_namespace, pcap, tcp4, udp4
from tests.libtrace.test_sources import pair, send


def drain(flows):
    """Everything up to the sentinel."""
    found = []
    while (flow := flows.get(timeout=10)) is not SHUTDOWN_SENTINEL:
        found.append(flow)
    return found


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "a.pcap")

    def write(self, data):
        Path(self.path).write_bytes(data)
        return self.path

    def test_flows_of_a_file_then_the_sentinel(self):
        observer = Observer(self.write(pcap([tcp4("S"), tcp4("SA", rev=True), udp4()])), [BasicChain, TCPChain])
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual(sorted(f["proto"] for f in drain(flows)), [6, 17])
        self.assertEqual((observer.stats.packets, observer.stats.flows, observer.stats.open), (3, 2, 0))

    def test_without_chains_packets_are_counted_only(self):
        observer = Observer(self.write(pcap([udp4()])))
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual((drain(flows), observer.stats.packets), ([], 1))

    def test_a_truncated_file_gives_flows_sentinel_and_error(self):
        observer = Observer(self.write(pcap([udp4(), udp4(sport=2)])[:-1]), [BasicChain])
        flows = queue.Queue()
        with self.assertRaisesRegex(CaptureError, r"a\.pcap: .*truncated.*byte"):
            observer.run_flow_enqueuer(flows)
        self.assertEqual([f["sp"] for f in drain(flows)], [5353])

    def test_a_broken_chain_gives_flows_sentinel_and_its_name(self):
        class Broken(Chain):
            def udp(self, rec, udp, rev):
                raise RuntimeError("broken")

        observer = Observer(self.write(pcap([tcp4("S"), udp4()])), [BasicChain, Broken])
        flows = queue.Queue()
        with self.assertRaises(RuntimeError) as caught:
            observer.run_flow_enqueuer(flows)
        self.assertIn("Broken.udp", caught.exception.__notes__[0])
        self.assertEqual(len(drain(flows)), 2)

    def test_a_bounded_queue_blocks_and_loses_nothing(self):
        frames = [udp4(sport=port) for port in range(1, 200)]
        observer = Observer(self.write(pcap(frames)), [BasicChain])
        flows = queue.Queue(maxsize=2)
        thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
        thread.start()
        self.assertEqual(len(drain(flows)), len(frames))
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_the_interrupt_queue_lets_go_when_the_file_ends(self):
        observer = Observer(self.write(pcap([udp4()])), [BasicChain])
        before = set(threading.enumerate())
        observer.run_flow_enqueuer(queue.Queue(), queue.Queue())
        for thread in set(threading.enumerate()) - before:
            thread.join(5)
            self.assertFalse(thread.is_alive())

    def test_equal_records_whatever_the_packing(self):
        frames = [tcp4("S"), tcp4("SA", rev=True), tcp4("R"), udp4()]
        records = []
        for data, name in ((pcap(frames), "x.pcap"), (gzip.compress(pcap(frames)), "x.pcap.gz")):
            path = Path(self.path).parent / name
            path.write_bytes(data)
            flows = queue.Queue()
            Observer(str(path), [BasicChain, TCPChain]).run_flow_enqueuer(flows)
            records.append(sorted(drain(flows), key=str))
        self.assertEqual(records[0], records[1])


class Live(unittest.TestCase):
    def test_flush_then_stop_by_the_interrupt_queue(self):
        def scenario():
            pair()
            flows, interrupts = queue.Queue(), queue.Queue()
            observer = Observer("int:b0", [BasicChain], bpf="udp port 53 and host 192.0.2.1")
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows, interrupts))
            thread.start()
            send("a0", [udp4(sport=1)])
            while observer.stats.packets < 1:
                thread.join(0.01)
            observer.flush()
            first = flows.get(timeout=10)
            send("a0", [udp4(sport=2), udp4(sport=2)])
            interrupts.put(SHUTDOWN_SENTINEL)
            rest = drain(flows)
            thread.join(10)
            return first, rest, observer.stats

        first, rest, stats = in_namespace(scenario)
        self.assertEqual(first["sp"], 1)
        self.assertEqual([(f["sp"], f["pkt_fwd"]) for f in rest], [(2, 2)])
        self.assertEqual((stats.packets, stats.dropped_kernel, stats.dropped_ring), (3, 0, 0))

    def test_stop_from_another_thread(self):
        def scenario():
            pair()
            observer = Observer("int:b0", [BasicChain])
            flows = queue.Queue()
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            observer.stop()
            thread.join(10)
            return thread.is_alive(), drain(flows)

        alive, _ = in_namespace(scenario)
        self.assertFalse(alive)


class Dummy(unittest.TestCase):
    def test_it_blocks_until_the_sentinel_and_passes_it_on(self):
        flows, interrupts = queue.Queue(), queue.Queue()
        thread = threading.Thread(target=DummyObserver().run_flow_enqueuer, args=(flows, interrupts))
        thread.start()
        self.assertTrue(flows.empty())
        interrupts.put(SHUTDOWN_SENTINEL)
        self.assertIs(flows.get(timeout=10), SHUTDOWN_SENTINEL)
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_packet_clock_timer_is_a_pair(self):
        timer = PacketClockTimer(1.5, print)
        self.assertEqual((timer.time, timer.fn, tuple(timer)), (1.5, print, (1.5, print)))


if __name__ == "__main__":
    unittest.main()
