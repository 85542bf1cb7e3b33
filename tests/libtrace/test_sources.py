"""Packet sources: files of every kind, whole, cut and hostile; live interfaces; what is said when they fail."""

import gzip
import lzma
import os
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import IP, TCP

from pathspider.chains.basic import BasicChain
from pathspider.libtrace import HAVE_LIBTRACE, CaptureError, FlowTable
from pathspider.libtrace.sources import Capture, Captures, parse
from tests.libtrace.frames import in_namespace, ip, pair, pcap, pcapng, send, tcp4, udp4
from tests.libtrace.links import links

FRAMES = [udp4(sport=port) for port in range(1, 21)]


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, data, name="a.pcap"):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def read(self, uri, **options):
        """Packets, and the error that ended them."""
        found = []
        try:
            with Capture(uri, **options) as capture:
                while (packet := capture.read()) is not None:
                    found.append(packet)
        except CaptureError as error:
            return found, error
        return found, None

    def test_every_format_gives_the_same_packets(self):
        whole = pcap(FRAMES)
        want, error = self.read(self.file(whole))
        self.assertIsNone(error)
        self.assertEqual([p[0] for p in want], FRAMES)
        self.assertEqual(want[1][1:], (len(FRAMES[0]), 1, 1000001000000))
        nanos = bytearray(pcap(FRAMES))
        nanos[:4] = struct.pack("<I", 0xA1B23C4D)
        at = 24
        for number, data in enumerate(FRAMES):
            nanos[at + 4 : at + 8] = struct.pack("<I", number * 1000000)
            at += 16 + len(data)
        uris = [
            self.file(whole, "b.bin"),
            "pcapfile:" + self.file(whole),
            "pcap:" + self.file(whole),
            self.file(pcap(FRAMES, order=">")),
            self.file(bytes(nanos), "n.pcap"),
            self.file(pcapng(FRAMES), "c.pcapng"),
            self.file(gzip.compress(whole), "d.pcap.gz"),
            self.file(lzma.compress(whole), "e.pcap.xz"),
            self.file(gzip.compress(pcapng(FRAMES)), "f.pcapng.gz"),
        ]
        if HAVE_LIBTRACE:
            uris.append("libtrace:pcapfile:" + self.file(whole))
        for uri in uris:
            with self.subTest(uri=uri):
                self.assertEqual(self.read(uri), (want, None))

    def test_a_file_cut_anywhere_gives_what_stands_before_and_an_error(self):
        for whole, name in ((pcap(FRAMES[:3]), "a.pcap"), (pcapng(FRAMES[:3]), "a.pcapng")):
            size = len(FRAMES[0])
            for cut in range(1, len(whole)):
                found, error = self.read(self.file(whole[:cut], name))
                self.assertEqual([p[0] for p in found], FRAMES[: len(found)])
                if name == "a.pcap":
                    records = max(0, (cut - 24) // (16 + size))
                    self.assertEqual(len(found), records)
                    boundary = cut >= 24 and (cut - 24) % (16 + size) == 0
                    self.assertEqual(error is None, boundary, cut)
                    if error is not None and cut > 24:
                        self.assertEqual(error.offset, 24 + records * (16 + size))
                        self.assertIn(f"byte {error.offset}", str(error))
                        self.assertIn("a.pcap", str(error))

    def test_hostile_lengths_are_errors_with_an_offset(self):
        good = pcap(FRAMES[:1])
        for length in (262_145, 300_000, 0x7FFFFFFF, 0xFFFFFFFF):
            for rest in (b"", bytes(200_000)):
                found, error = self.read(self.file(good + struct.pack("<IIII", 1, 1, length, length) + rest))
                self.assertEqual((len(found), error.offset), (1, len(good)))
                self.assertIn(str(length), str(error))

    @unittest.skipUnless(HAVE_LIBTRACE, "built without libtrace")
    def test_libtrace_cannot_take_the_interpreter_with_it(self):
        good = pcap(FRAMES[:3])
        for caplen, wire_len in ((100_000, 100_000), (0xFFFFFFFF, 0xFFFFFFFF), (60, 100_000), (60, 0xFFFFFFFF)):
            path = self.file(good + struct.pack("<IIII", 1, 1, caplen, wire_len) + bytes(60))
            found, error = self.read("libtrace:pcapfile:" + path)
            self.assertEqual([p[0] for p in found[:3]], FRAMES[:3])
            if wire_len != 0xFFFFFFFF or caplen > 60:
                self.assertIn("a.pcap", str(error))
        with self.assertRaisesRegex(CaptureError, "Unknown format"):
            Capture("libtrace:foo:bar")

    @unittest.skipUnless(HAVE_LIBTRACE, "built without libtrace")
    def test_what_libtrace_can_reduce_to_ip(self):
        packet = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1, dport=2))
        kinds = {"Ethernet", "PPP, 2", "PPP, 50", "Cisco HDLC", "Cisco HDLC, 50", "LOOP >", "SLL", "802.11, QoS",
                 "radiotap", "PFLOG", "raw, 101"}
        found = set()
        for name, linktype, data in links(packet):
            table = FlowTable([])
            with Capture("libtrace:pcapfile:" + self.file(pcap([data], linktype))) as capture:
                while capture.feed(table) is not None:
                    pass
            self.assertEqual((table.packets, table.flows + table.not_ip), (1, 1), name)  # none is left out
            if table.flows:
                found.add(name)
        self.assertLessEqual(kinds, found)

    @unittest.skipUnless(HAVE_LIBTRACE, "built without libtrace")
    def test_a_tsh_trace_has_ports_though_it_cuts_tcp_headers(self):
        packet = bytes(IP(src="192.0.2.1", dst="192.0.2.9") / TCP(sport=7, dport=9))
        record = struct.pack(">IB3x", 1000, 1) + packet[:36]
        table = FlowTable([BasicChain()])
        with Capture("tsh:" + self.file(record * 3, "a.tsh")) as capture:
            while capture.feed(table) is not None:
                pass
        (flow,) = table.flush()
        self.assertEqual((flow["sp"], flow["dp"], flow["pkt_fwd"], table.truncated), (7, 9, 3, 3))

    def test_what_is_no_capture(self):
        for data, says in (
            (b"", "empty"),
            (b"abc", "not a capture"),
            (b"GET / HTTP/1.1\r\n" * 10, "not a capture"),
            (pcap([], linktype=147), r"link type 147 \(USER0\)"),
            (pcap([], linktype=187), r"link type 187 \(BLUETOOTH_HCI_H4, Bluetooth HCI UART"),
            (pcap([], linktype=9999), "link type 9999;"),
        ):
            with self.assertRaisesRegex(CaptureError, says):
                Capture(self.file(data))
        with self.assertRaisesRegex(CaptureError, "No such file"):
            Capture(str(self.folder / "missing.pcap"))
        with self.assertRaisesRegex(CaptureError, "directory"):
            Capture(str(self.folder))
        _, error = self.read(self.file(gzip.compress(pcap(FRAMES))[:-20], "cut.pcap.gz"))
        self.assertIsNotNone(error)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.booleans())
    def test_mangled_files_end_with_packets_or_an_error(self, changes, modern):
        data = bytearray((pcapng if modern else pcap)(FRAMES[:5]))
        for at, value in changes:
            if at < len(data):
                data[at] = value
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            table = FlowTable([])
            try:
                with Capture(file.name) as capture:
                    while capture.feed(table) is not None:
                        pass
            except CaptureError as error:
                self.assertIn(file.name, str(error))

    def test_filter_and_snaplen(self):
        path = self.file(pcap([*FRAMES, tcp4("S")]))
        found, _ = self.read(path, bpf="tcp", snaplen=34)
        self.assertEqual([(p[0], p[1]) for p in found], [(tcp4("S")[:34], 54)])
        with self.assertRaisesRegex(CaptureError, "bad filter 'tcp prot 5'"):
            Capture(path, bpf="tcp prot 5")

    def test_a_stream_from_a_pipe_is_read_as_it_comes_and_can_be_stopped(self):
        ours, theirs = os.pipe()
        kept = os.dup(0)
        try:
            os.dup2(ours, 0)
            capture = Capture("-")
        finally:
            os.dup2(kept, 0)
            os.close(kept)
            os.close(ours)
        os.write(theirs, pcap(FRAMES[:1]))
        self.assertEqual(capture.read()[0], FRAMES[0])
        threading.Timer(0.05, capture.stop).start()
        self.assertIsNone(capture.read())  # nothing came, and the writer is still there
        capture.close()
        os.close(theirs)


class SeveralFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.names = [str(Path(folder.name) / f"{number}.pcap") for number in range(3)]
        for number, name in enumerate(self.names):
            Path(name).write_bytes(pcap(FRAMES, start=1002 - number))

    def test_the_earliest_comes_first_and_all_is_counted(self):
        flows = FlowTable([BasicChain()])
        with Captures(self.names) as capture:
            while capture.feed(flows) is not None:
                pass
            self.assertIsNone(capture.feed(flows))
            size = sum(os.stat(name).st_size for name in self.names)
            self.assertEqual((capture.counts()["read"], capture.position()), (60, (size, size)))
            self.assertEqual((capture.live, capture.comments()), (False, (0, [])))
        records = flows.flush()
        self.assertEqual(len(records), 20)
        self.assertEqual({int(record["pkt_first"]) for record in records}, {1000})

    def test_one_that_goes_bad_after_it_was_looked_at(self):
        flows = FlowTable([BasicChain()])
        capture = Captures(self.names)
        Path(self.names[1]).write_bytes(b"no capture any more")
        with capture, self.assertLogs("pathspider", "ERROR") as logged, \
                self.assertRaisesRegex(CaptureError, r"1\.pcap: could not be read to the end"):
            while capture.feed(flows) is not None:
                pass
        self.assertIn("1.pcap: not a capture file", logged.output[0])
        self.assertEqual(flows.packets, 40)

    def test_no_descriptor_is_left_where_one_cannot_be_opened(self):
        opened = len(os.listdir("/proc/self/fd"))
        for names in ([*self.names, "/nonexistent"], [*self.names, self.names[0]], [*self.names, "/dev/null"]):
            with self.assertRaises(CaptureError):
                Captures(names)
            self.assertEqual(len(os.listdir("/proc/self/fd")), opened)
        with self.assertRaises(ValueError):
            Captures([])


class Fifos(unittest.TestCase):
    """Streams with a name, whose writer may come late or never."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def fifo(self, name="a.pcap"):
        path = self.folder / name
        os.mkfifo(path)
        return str(path)

    def test_it_opens_without_a_writer_and_can_be_stopped(self):
        for name in ("a.pcap", "a.pcap.gz"):
            path = self.fifo(name)
            code = ("import sys, threading\nfrom pathspider.libtrace.sources import Capture\n"
                    "capture = Capture(sys.argv[1])\nprint('open', flush=True)\n"
                    "threading.Timer(0.1, capture.stop).start()\nprint(capture.read())\ncapture.close()")
            with self.subTest(name=name):
                done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=100,
                                      check=False)
                self.assertEqual((done.stdout, done.stderr), ("open\nNone\n", ""))

    def test_a_writer_that_comes_late_and_goes(self):
        for name, data in (("a.pcap", pcap(FRAMES)), ("a.pcap.gz", gzip.compress(pcap(FRAMES))),
                           ("a.pcapng", pcapng(FRAMES))):
            path = self.fifo(name)
            writer = threading.Timer(0.1, Path(path).write_bytes, (data,))
            with self.subTest(name=name), Capture(path) as capture:
                writer.start()
                found = []
                while (packet := capture.read()) is not None:
                    found.append(packet[0])
                self.assertEqual(found, FRAMES)
            writer.join(100)

    def test_what_is_no_capture_shows_when_it_is_read(self):
        path = self.fifo()
        writer = threading.Thread(target=Path(path).write_bytes, args=(b"GET / HTTP/1.1\r\n" * 10,))
        with Capture(path) as capture:
            writer.start()
            with self.assertRaisesRegex(CaptureError, "not a capture"):
                capture.read()
        writer.join(100)


FORK = """
import glob, os, sys, time
from pathspider.libtrace.sources import Capture

def at_rest():
    states = [open(stat).read().rsplit(") ", 1)[1][0] for stat in glob.glob("/proc/self/task/*/stat")]
    return states.count("R") == 1 and len(states) > 1

ours, theirs = os.pipe()
os.dup2(ours, 0)
capture = Capture("-")
quiet = 0
while quiet < 10:
    quiet = quiet + 1 if at_rest() else 0
    time.sleep(0.02)
child = os.fork()
if not child:
    try:
        capture.read()
    except RuntimeError as error:
        print(error, flush=True)
    capture.stop()
    capture.flush()
    capture.close()
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
began = time.process_time()
os.write(theirs, open(sys.argv[1], "rb").read())
time.sleep(0.5)
print(len(capture.read()[0]), time.process_time() - began < 0.4)
"""
"""Forks when its reading thread waits: a sanitizer's allocator, held by a thread at a fork, stays held in the child."""


class Forks(unittest.TestCase):
    def test_a_fork_leaves_the_source_to_its_owner(self):
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "a.pcap")
        path.write_bytes(pcap(FRAMES[:1]))
        done = subprocess.run([sys.executable, "-c", FORK, str(path)], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        refused, status, read = done.stdout.splitlines()
        self.assertIn("opened before a fork", refused)
        self.assertEqual((status, read), ("7", f"{len(FRAMES[0])} True"))


WITHIN_HOOK = """
import sys, threading
from pathspider.libtrace import FlowTable
from pathspider.libtrace.sources import Capture

class Waits:
    sizes = []
    def new_flow(self, rec, ip):
        return True
    def udp(self, rec, udp, rev):
        helper = threading.Thread(target={call})
        helper.start()
        helper.join()
        self.sizes.append((udp.size, udp.payload.data))
        return True

capture, errors = Capture(sys.argv[1]), []

def read():
    try: capture.read()
    except RuntimeError as error: errors.append(error)

table = FlowTable([Waits()])
while capture.feed(table) is not None:
    pass
print(len(Waits.sizes), set(Waits.sizes), len(errors), capture.counts()["read"] > 0)
"""
"""A chain during whose work another thread does something to the source."""


class Threads(unittest.TestCase):
    """What used to read memory that was not ours any more."""

    def setUp(self):
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory()), "a.pcap")
        self.path.write_bytes(pcap(FRAMES))

    def said(self, call):
        done = subprocess.run([sys.executable, "-c", WITHIN_HOOK.format(call=call), self.path], capture_output=True,
                              text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def test_closed_while_a_chain_looks_at_a_packet(self):
        self.assertEqual(self.said("capture.close"), "1 {(29, b'x')} 0 True")

    def test_a_second_reader_while_a_chain_looks_at_a_packet(self):
        self.assertEqual(self.said("read"), "20 {(29, b'x')} 20 True")

    def test_a_table_that_is_none(self):
        with Capture(str(self.path)) as capture, self.assertRaises(TypeError):
            capture.feed(None)


class Names(unittest.TestCase):
    def test_parse(self):
        for uri, target in {
            "int:eth9": ("live", "eth9"),
            "eth9": ("live", "eth9"),
            "pcapfile:x": ("file", "x"),
            "pcap:x": ("file", "x"),
            "x.pcap": ("file", "x.pcap"),
            "a/b": ("file", "a/b"),
            "erf:x": ("libtrace", "erf:x"),
            "-": ("stdin", "-"),
            "libtrace:pcapfile:x": ("libtrace", "pcapfile:x"),
            "ring:eth0": ("libtrace", "ring:eth0"),
        }.items():
            self.assertEqual(tuple(parse(uri)), target)


class Live(unittest.TestCase):
    def test_packets_sent_before_stop_are_delivered(self):
        def scenario():
            pair()
            with Capture("int:b0", bpf="udp port 53 and host 192.0.2.1") as capture:
                send("a0", FRAMES)
                capture.stop()
                packets = []
                while (packet := capture.read()) is not None:
                    packets.append(packet[0])
                return packets

        self.assertEqual(in_namespace(scenario), FRAMES)

    def test_a_full_ring_is_counted(self):
        def scenario():
            pair()
            with Capture("b0", bpf="udp port 53", buffer_size=1 << 20) as capture:
                data = udp4(payload=bytes(1400))
                for _ in range(20):
                    send("a0", [data] * 100)
                capture.stop()
                got = 0
                while capture.read() is not None:
                    got += 1
                return got, capture.counts()

        got, counts = in_namespace(scenario)
        self.assertGreater(counts["dropped_ring"] + counts["dropped_kernel"], 0)
        self.assertEqual(got + counts["dropped_ring"] + counts["dropped_kernel"], 2000)

    def test_an_interface_that_goes(self):
        for command in ("link set b0 down", "link del b0"):

            def scenario(command=command):
                pair()
                with Capture("int:b0", bpf="udp port 53") as capture:
                    send("a0", FRAMES[:1])
                    self.assertEqual(capture.read()[0], FRAMES[0])
                    ip(command)
                    capture.read()

            with self.subTest(command=command), self.assertRaisesRegex(CaptureError, "b0: .* went down or was removed"):
                in_namespace(scenario)

    def test_no_descriptor_left_is_no_story_about_the_interface(self):
        code = (
            "import os, resource, socket\n"
            "from pathspider.libtrace.sources import Capture\n"
            "from tests.libtrace.frames import in_namespace, pair, udp4\n"
            "def scenario():\n"
            "    pair()\n"
            "    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
            "    sock.bind(('a0', 0))\n"
            "    with Capture('b0', bpf='udp port 53') as capture:\n"
            "        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))\n"
            "        for port in range(1, 6):\n"
            "            sock.send(udp4(sport=port))\n"
            "            assert capture.read()[0] == udp4(sport=port)\n"
            "        try: os.dup(0)\n"
            "        except OSError as error: print(error.strerror)\n"
            "        try: Capture('b0')\n"
            "        except OSError as error: print(error.strerror)\n"
            "        except Exception as error: print(error)\n"
            "in_namespace(scenario)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout.count("Too many open files")), (0, 2), done.stdout + done.stderr)

    def test_what_cannot_be_captured(self):
        def scenario(name, **options):
            pair()
            ip("link set a0 down")
            Capture(name, **options)

        with self.assertRaisesRegex(CaptureError, r"nope: no such interface; .*: .*b0"):
            in_namespace(lambda: scenario("int:nope"))
        with self.assertRaisesRegex(CaptureError, "a0: the interface is down"):
            in_namespace(lambda: scenario("a0"))
        with self.assertRaisesRegex(CaptureError, "bad filter"):
            in_namespace(lambda: scenario("b0", bpf="foo bar"))

    def test_without_permission_the_capability_is_named(self):
        code = (
            "import os; os.setgid(65534); os.setuid(65534)\n"
            "from pathspider.libtrace.sources import Capture\nCapture('lo')"
        )
        done = subprocess.run(
            [sys.executable, "-c", "import pathspider.libtrace, os\n" + code],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn("CAP_NET_RAW", done.stderr)

    def test_flows_end_on_a_quiet_interface(self):
        def scenario():
            pair()
            table = FlowTable([Count()], idle_timeout=0.05)
            with Capture("b0", bpf="udp port 53") as capture:
                send("a0", FRAMES[:1])
                while not (flows := capture.feed(table)):
                    self.assertIsNotNone(flows)
                return flows

        self.assertEqual(len(in_namespace(scenario)), 1)


class Count:
    def new_flow(self, rec, ip):
        return True


if __name__ == "__main__":
    unittest.main()
