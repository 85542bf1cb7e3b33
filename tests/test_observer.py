"""The observer's shell: queues, stop, flush, sentinels."""

import gzip
import os
import queue
import tempfile
import threading
import time
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
    while (flow := flows.get(timeout=100)) is not SHUTDOWN_SENTINEL:
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

    def test_several_files_are_one_source(self):
        names = [f"{self.path}{number}" for number in range(3)]
        for number, name in enumerate(names):
            Path(name).write_bytes(pcap([udp4(), udp4(rev=True)], start=1000 + number))
        observer = Observer(names[::-1], [BasicChain])
        total = sum(Path(name).stat().st_size for name in names)
        self.assertEqual(observer.position()[1], total)
        flows = []
        observer.run(flows.extend)
        (flow,) = flows
        self.assertEqual((flow["pkt_fwd"], flow["pkt_rev"], flow["pkt_first"]), (3, 3, 1000.0))
        self.assertEqual((observer.stats.packets, observer.position()), (6, (total, total)))
        observer.close()

    def test_a_flush_of_several_files_ends_what_was_seen_by_then(self):
        names = [f"{self.path}{number}" for number in range(3)]
        for number, name in enumerate(names):
            Path(name).write_bytes(pcap([udp4()] * 10, start=1000 + number))

        class Flushes(Chain):
            seen = 0

            def udp(self, rec, udp, rev):
                self.seen += 1
                if self.seen in (1, 10, 15):
                    observer.flush(lambda: done.append(sum(flow["pkt_fwd"] for flow in flows)))
                return True

        flows, done = [], []
        observer = Observer(names, [BasicChain, Flushes])
        observer.run(flows.extend)
        self.assertEqual(sum(flow["pkt_fwd"] for flow in flows), 30)
        self.assertEqual(len(done), 3)
        self.assertTrue(done[0] <= done[1] <= done[2], done)
        self.assertGreaterEqual(done[0], 1)

    def test_stop_and_close_among_several_files(self):
        names = [f"{self.path}{number}" for number in range(3)]
        for number, name in enumerate(names):
            Path(name).write_bytes(pcap([udp4()] * 10, start=1000 + number))
        opened = len(os.listdir("/proc/self/fd"))
        for end in ("stop", "close"):
            class Ends(Chain):
                def udp(self, rec, udp, rev):
                    getattr(observer, end)()  # noqa: B023 - it is run before that changes
                    return True

            observer = Observer(names, [BasicChain, Ends])
            flows = []
            observer.run(flows.extend)
            self.assertEqual(len(flows), 1)
            self.assertLessEqual(flows[0]["pkt_fwd"], 10)
            self.assertEqual(len(os.listdir("/proc/self/fd")), opened)

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
        thread.join(100)
        self.assertFalse(thread.is_alive())

    def test_the_interrupt_queue_lets_go_when_the_file_ends(self):
        observer = Observer(self.write(pcap([udp4()])), [BasicChain])
        before = set(threading.enumerate())
        observer.run_flow_enqueuer(queue.Queue(), queue.Queue())
        for thread in set(threading.enumerate()) - before:
            thread.join(100)
            self.assertFalse(thread.is_alive())

    def test_a_flow_ends_when_it_is_asked_for_on_the_clock_of_the_file(self):
        frames = [tcp4("S"), *(udp4(sport=port) for port in range(1, 20))]  # a millisecond apart

        class Asks(Chain):
            def tcp(self, rec, tcp, rev):
                observer.end_flow("198.51.100.1", 6, 80, 1234, after=0.005)
                return True

        observer = Observer(self.write(pcap(frames)), [BasicChain, Asks])
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual([f["proto"] for f in drain(flows)], [6] + [17] * 19)
        self.assertEqual(observer.backlog(), 0.0)
        observer.end_flow("198.51.100.1", 6, 80, 1234)  # nobody is there any more to do it

    def test_asked_after_the_last_packet_all_flows_end_with_the_file(self):
        observer = Observer(self.write(pcap([udp4(), udp4(sport=2)])), [BasicChain])
        observer.end_flow("198.51.100.1", 17, 53, 2, after=3600)
        with self.assertRaises(ValueError):
            observer.end_flow("localhost", 17, 53, 2)
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual(sorted(f["sp"] for f in drain(flows)), [2, 5353])

    def test_closing_it_from_a_hook_ends_it(self):
        class Closes(Chain):
            def udp(self, rec, udp, rev):
                observer.close()
                return True

        observer = Observer(self.write(pcap([udp4(), udp4(sport=2)])), [BasicChain, Closes])
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual([f["sp"] for f in drain(flows)], [5353])

    def test_flushing_it_from_a_hook_ends_all_flows_later(self):
        class Flushes(Chain):
            def tcp(self, rec, tcp, rev):
                observer.flush()
                return True

        observer = Observer(self.write(pcap([udp4(), tcp4("S"), udp4()])), [BasicChain, Flushes])
        flows = queue.Queue()
        observer.run_flow_enqueuer(flows)
        self.assertEqual(sum(f["pkt_fwd"] for f in drain(flows)), 3)

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
            first = flows.get(timeout=100)
            send("a0", [udp4(sport=2), udp4(sport=2)])
            interrupts.put(SHUTDOWN_SENTINEL)
            rest = drain(flows)
            thread.join(100)
            return first, rest, observer.stats

        first, rest, stats = in_namespace(scenario)
        self.assertEqual(first["sp"], 1)
        self.assertEqual([(f["sp"], f["pkt_fwd"]) for f in rest], [(2, 2)])
        self.assertEqual((stats.packets, stats.dropped_kernel, stats.dropped_ring), (3, 0, 0))

    def test_a_flush_comes_behind_what_was_captured_before(self):
        """Packets that the kernel holds in a block that is not full yet, or that wait for our reader, are in it."""
        def scenario():
            pair()
            flows, counts = queue.Queue(), []
            observer = Observer("int:b0", [BasicChain], bpf="udp port 53")
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            for port in range(1, 31):
                ended = threading.Event()
                send("a0", [udp4(sport=port)])
                observer.flush(ended.set)
                if not ended.wait(100):
                    break
                counts.append(flows.qsize())
            observer.stop()
            thread.join(100)
            return counts

        self.assertEqual(in_namespace(scenario), [*range(1, 31)])

    def test_flows_end_when_they_are_asked_for_also_on_a_quiet_interface(self):
        ports = range(1, 21)

        def scenario():
            pair()
            flows = queue.Queue()
            observer = Observer("int:b0", [BasicChain], bpf="udp port 53", idle_timeout=3600)
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            send("a0", [udp4(sport=port) for port in (*ports, 99)])
            while observer.stats.packets < len(ports) + 1:
                thread.join(0.01)
            thread.join(0.1)  # it has gone to sleep now, for an hour, if nobody tells it
            for port in reversed(ports):
                observer.end_flow("198.51.100.1", 17, 53, port, after=0.01 * port)
            ended = [flows.get(timeout=100)["sp"] for _ in ports]
            still = observer.stats.open
            observer.stop()
            rest = drain(flows)
            thread.join(100)
            return ended, still, [f["sp"] for f in rest]

        self.assertEqual(in_namespace(scenario), (list(ports), 1, [99]))

    def test_asked_from_many_threads_while_packets_come(self):
        def scenario():
            pair()
            flows = queue.Queue()
            observer = Observer("int:b0", [BasicChain], bpf="udp port 53", idle_timeout=3600)
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()

            def work(ports):
                for port in ports:
                    send("a0", [udp4(sport=port)])
                    observer.end_flow("198.51.100.1", 17, 53, port, after=0.05)

            workers = [threading.Thread(target=work, args=(range(1 + n, 401, 4),)) for n in range(4)]
            for worker in workers:
                worker.start()
            ended = [flows.get(timeout=100)["sp"] for _ in range(400)]
            for worker in workers:
                worker.join(100)
            observer.stop()
            rest = drain(flows)
            thread.join(100)
            return sorted(ended), rest

        self.assertEqual(in_namespace(scenario), (list(range(1, 401)), []))

    def test_backlog_is_the_age_of_what_waits(self):
        def scenario():
            pair()
            entered, go_on = threading.Event(), threading.Event()

            class Slow(Chain):
                def udp(self, rec, udp, rev):
                    if udp.src_port == 1:
                        entered.set()
                        go_on.wait(100)
                    return True

            flows = queue.Queue()
            observer = Observer("int:b0", [BasicChain, Slow], bpf="udp port 53")
            idle = observer.backlog()
            send("a0", [udp4(sport=9)])
            while not (waiting := observer.backlog()):  # nobody takes it
                threading.Event().wait(0.01)
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            sent = time.time()
            send("a0", [udp4(sport=1)])
            entered.wait(100)
            threading.Event().wait(0.2)  # a chain that works for so long
            at_work, bound = observer.backlog(), time.time() - sent
            go_on.set()
            while observer.backlog():
                threading.Event().wait(0.01)
            observer.stop()
            drain(flows)
            thread.join(100)
            return idle, waiting, at_work, bound, observer.backlog()

        idle, waiting, at_work, bound, ended = in_namespace(scenario)
        self.assertEqual((idle, ended), (0.0, 0.0))
        self.assertGreater(waiting, 0)
        self.assertTrue(0.15 < at_work <= bound, (at_work, bound))

    def test_stop_from_another_thread(self):
        def scenario():
            pair()
            observer = Observer("int:b0", [BasicChain])
            flows = queue.Queue()
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            observer.stop()
            thread.join(100)
            return thread.is_alive(), drain(flows)

        alive, _ = in_namespace(scenario)
        self.assertFalse(alive)


class Dummy(unittest.TestCase):
    def test_it_blocks_until_the_sentinel_and_passes_it_on(self):
        flows, interrupts = queue.Queue(), queue.Queue()
        thread = threading.Thread(target=DummyObserver().run_flow_enqueuer, args=(flows, interrupts))
        thread.start()
        self.assertTrue(flows.empty())
        DummyObserver().end_flow("198.51.100.1", 6, 80, 1234, after=1.0)
        self.assertEqual(DummyObserver().backlog(), 0.0)
        interrupts.put(SHUTDOWN_SENTINEL)
        self.assertIs(flows.get(timeout=100), SHUTDOWN_SENTINEL)
        thread.join(100)
        self.assertFalse(thread.is_alive())

    def test_packet_clock_timer_is_a_pair(self):
        timer = PacketClockTimer(1.5, print)
        self.assertEqual((timer.time, timer.fn, tuple(timer)), (1.5, print, (1.5, print)))


if __name__ == "__main__":
    unittest.main()
