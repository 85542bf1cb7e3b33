"""Packets one by one, for scripts: from files and interfaces, configured, paused, begun anew, failing."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.libtrace import CaptureError, filter, packet, trace
from tests.libtrace.frames import in_namespace, pair, pcap, send, tcp4, udp4

FRAMES = [udp4(sport=port) for port in range(1, 21)]


class Files(unittest.TestCase):
    def file(self, frames):
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "a.pcap")
        path.write_bytes(pcap(frames))
        return str(path)

    def test_trace_reads_packets_as_objects(self):
        source = trace("pcapfile:" + self.file([*FRAMES, tcp4("S", seq=5)]))
        source.conf_filter(filter("tcp"))
        source.start()
        (packet,) = source
        self.assertEqual(
            (packet.tcp.seq_nbr, packet.ip.tcp.dst_port, packet.udp, packet.ethertype), (5, 80, None, 0x800)
        )
        self.assertEqual((packet.seconds, packet.ts_sec, packet.data), (1000.02, 1000, tcp4("S", seq=5)))
        self.assertEqual((source.pkt_accepts(), source.pkt_drops()), (1, 0))
        source.close()

    def test_each_packet_is_an_object_of_its_own_unless_one_is_given(self):
        first, *_, last = trace(self.file(FRAMES))
        self.assertEqual((first.udp.src_port, last.udp.src_port), (1, 20))
        source, one = trace(self.file(FRAMES[:2])), packet()
        ports = []
        while source.read_packet(one):
            ports.append(one.udp.src_port)
        self.assertEqual((ports, source.read_packet(one), source.pkt_accepts()), ([1, 2], False, 2))
        source.close()

    def test_starting_twice_goes_on_and_pausing_begins_anew(self):
        source, one = trace(self.file(FRAMES)), packet()
        source.read_packet(one)
        source.start()
        source.read_packet(one)
        self.assertEqual(one.udp.src_port, 2)
        source.pause()
        source.read_packet(one)
        self.assertEqual((one.udp.src_port, source.pkt_accepts()), (1, 3))
        source.close()
        source.close()
        self.assertEqual(source.pkt_drops(), 0)

    def test_snaplen_and_filter_as_text(self):
        source = trace(self.file([*FRAMES, tcp4("S")]))
        source.conf_filter("tcp")
        source.conf_snaplen(34)
        self.assertEqual([(one.data, one.tcp) for one in source], [(tcp4("S")[:34], None)])
        source.close()

    def test_errors_come_with_the_start_not_before(self):
        for uri, bpf, words in (("pcapfile:/nonexistent", None, "/nonexistent"), (self.file([]), "tcp prot", "filter")):
            source = trace(uri)
            if bpf:
                source.conf_filter(bpf)
            for attempt in (source.start, lambda one=source: next(iter(one)), source.start):
                with self.assertRaisesRegex(CaptureError, words):
                    attempt()
            source.close()


class Live(unittest.TestCase):
    def test_packets_after_the_start_promiscuous_or_not(self):
        def scenario(promiscuous):
            pair()
            source = trace("int:b0")
            source.conf_filter(filter("udp port 53"))
            source.conf_promisc(promiscuous)
            source.start()
            state = json.loads(subprocess.check_output(["ip", "-j", "-d", "link", "show", "b0"]))
            send("a0", FRAMES)
            found = [one.data for _, one in zip(FRAMES, source, strict=False)]
            source.close()
            return found, state[0]["promiscuity"]

        for promiscuous in (True, False):
            found, promiscuity = in_namespace(lambda promiscuous=promiscuous: scenario(promiscuous))
            self.assertEqual(found, FRAMES)
            self.assertEqual(promiscuity, int(promiscuous))


QUIET = """
import os, signal, threading
from pathspider.libtrace import packet, trace
ours, theirs = os.pipe()
os.dup2(ours, 0)
source = trace("-")
source.start()
{how}
print(source.read_packet(packet()), source.pkt_drops())
"""
"""Waits for packets that never come, until the source is closed."""


class Closing(unittest.TestCase):
    """Closing a source that somebody reads: it used to end the process with a signal."""

    def closed(self, how):
        done = subprocess.run([sys.executable, "-c", QUIET.format(how=how)], capture_output=True, text=True,
                              timeout=60, check=False, env=os.environ | {"MALLOC_PERTURB_": "165"})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "False 0\n", ""))

    def test_in_a_signal_handler(self):
        self.closed("signal.signal(signal.SIGALRM, lambda *_: source.close())\n"
                    "signal.setitimer(signal.ITIMER_REAL, 0.1)")

    def test_from_another_thread(self):
        self.closed("threading.Timer(0.1, source.close).start()")

    def test_from_many_threads(self):
        self.closed("for _ in range(8): threading.Timer(0.1, source.close).start()")

    def test_a_second_reader_is_refused(self):
        code = ("errors = []\n"
                "def second(*_):\n"
                "    try: source.read_packet(packet())\n"
                "    except RuntimeError as error: errors.append(error)\n"
                "    source.close()\n"
                "signal.signal(signal.SIGALRM, second)\nsignal.setitimer(signal.ITIMER_REAL, 0.1)\n")
        done = subprocess.run([sys.executable, "-c", QUIET.format(how=code) + "print(errors)"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("taken already", done.stdout)

    def test_while_packets_are_read_again_and_again(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "a.pcap")
        path.write_bytes(pcap(FRAMES * 50))
        for _ in range(30):
            source, over = trace(str(path)), threading.Event()

            def read(source=source, over=over):
                one = packet()
                while source.read_packet(one) and not over.is_set():
                    pass
                over.set()

            thread = threading.Thread(target=read)
            thread.start()
            source.close()
            over.set()
            thread.join(100)
            self.assertFalse(thread.is_alive())
            source.close()


if __name__ == "__main__":
    unittest.main()
