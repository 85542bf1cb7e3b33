"""``pspdr observe`` from the outside: every kind of source, every kind of end."""

import gzip
import json
import lzma
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.lab import Lab
from pathspider.libtrace import HAVE_LIBTRACE
from tests.cmd.test_main import pspdr
from tests.libtrace.frames import enhanced, pcap, pcapng, section, tcp4, tcp6, udp4
from tests.libtrace.frames import interface as described
from tests.libtrace.links import links
from tests.programs import as_nobody

FRAMES = [
    tcp4("SEC"),
    tcp4("SAE", rev=True),
    tcp4("A"),
    tcp6("S"),
    tcp6("R", rev=True),
    udp4(),
    udp4(rev=True),
    b"\xff" * 12 + b"\x08\x06" + bytes(28),  # ARP
]
COMMAND = [sys.executable, "-m", "pathspider", "observe"]


class FileCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, data, name="capture.pcap"):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def observe(self, *arguments, status=0, **options):
        outcome = pspdr("observe", *arguments, **options)
        self.assertEqual(outcome.returncode, status, outcome.stderr)
        self.assertNotIn("Traceback", outcome.stderr)
        return sorted(outcome.stdout.splitlines()), outcome.stderr


class TestPrivileges(FileCase):
    def test_what_is_not_needed_any_more_is_given_up(self):
        """Once all is open: what a file of root's, or an interface, gives is read by nobody."""
        pipe = self.folder / "pipe"
        os.mkfifo(pipe, 0o600)
        for interface in (pipe, "lo"):
            output = self.folder / "flows"
            output.write_text("")
            output.chmod(0o600)
            run = subprocess.Popen([*COMMAND, "-i", interface, "--output", output], stderr=subprocess.PIPE, text=True)
            with run.stderr:
                if interface is pipe:
                    writer = pipe.open("wb")  # waits for the reader
                    writer.write(pcap(FRAMES[:3]))
                    writer.flush()
                self.addCleanup(run.kill)
                self.assertTrue(any("NoNewPrivs:\t1\n" in self.status(run) for _ in range(50000)))  # the last step
                for line in ("Groups:\t \n", "Gid:\t65534\t65534\t65534\t65534\n"):
                    self.assertIn(line, self.status(run))
                for task in Path(f"/proc/{run.pid}/task").iterdir():
                    status = (task / "status").read_text()
                    self.assertIn("Uid:\t65534\t65534\t65534\t65534\n", status)
                    capable = int(status.split("CapPrm:\t")[1].split()[0], 16)
                    self.assertEqual(capable & ~(1 << 2), 0)  # reading, where this checkout needs it
                if interface is pipe:
                    writer.close()
                else:
                    run.send_signal(signal.SIGINT)
                self.assertEqual(run.wait(20), 0, run.stderr.read())
            if interface is pipe:
                self.assertEqual(len(output.read_text().splitlines()), 1)

    def status(self, run):
        return Path(f"/proc/{run.pid}/status").read_text()


class TestFiles(FileCase):
    def test_default_chain_and_summary(self):
        records, messages = self.observe("-i", self.file(pcap(FRAMES)))
        flows = [json.loads(record) for record in records]
        self.assertEqual(sorted(flow["pkt_fwd"] + flow["pkt_rev"] for flow in flows), [2, 2, 3])
        fields = {
            "sip",
            "dip",
            "proto",
            "sp",
            "dp",
            "pkt_fwd",
            "pkt_rev",
            "oct_fwd",
            "oct_rev",
            "pkt_first",
            "pkt_last",
        }
        self.assertEqual(set(flows[0]), fields)
        self.assertEqual(
            messages,
            "pspdr: 8 packets, 3 flows; 0 packets dropped by the kernel, 0 by the ring, 1 not IP, 0 truncated, "
            "0 malformed\n",
        )

    def test_chains_by_name(self):
        records, _ = self.observe("-i", self.file(pcap(FRAMES)), "basic", "tcp", "ecn", "basic")
        flags = {json.loads(record)["tcp_synflags_fwd"] for record in records}
        self.assertEqual(flags, {0xC2, 2, None})

    def test_equal_records_from_every_kind_of_source(self):
        whole = pcap(FRAMES)
        ng = pcapng(FRAMES)
        zst = self.folder / "d.pcap.zst"
        subprocess.run(["zstd", "-q", "-o", str(zst), self.file(whole, "raw.pcap")], check=True)
        names = [
            self.file(whole),
            "pcapfile:" + self.file(whole),
            self.file(ng, "a.pcapng"),
            self.file(gzip.compress(whole), "b.pcap.gz"),
            self.file(gzip.compress(ng), "c.pcapng.gz"),
            self.file(lzma.compress(whole), "d.pcap.xz"),
            str(zst),
            self.file(gzip.compress(whole), "e.pcap"),
            self.file(whole, "f.gz"),
        ]
        if HAVE_LIBTRACE:
            names.append("libtrace:pcapfile:" + self.file(whole))
        chains = ["basic", "dns", "dscp", "ecn", "evidence", "evil", "icmp", "mss", "quic", "tcp", "tfo", "udp"]
        first, _ = self.observe("-i", names[0], *chains)
        self.assertEqual(len(first), 3)
        for name in names[1:]:
            with self.subTest(source=name):
                self.assertEqual(self.observe("-i", name, *chains)[0], first)
        plain = {**os.environ, "PATHSPIDER_PURE_CHAINS": "1"}
        self.assertEqual(self.observe("-i", names[0], *chains, env=plain)[0], first)
        piped = subprocess.run([*COMMAND, "-i", "-", *chains], input=whole, capture_output=True, check=True)
        self.assertEqual(sorted(piped.stdout.decode().splitlines()), first)

    def test_every_link_layer_gives_the_same_record(self):
        packets = [frame[14:] for frame in FRAMES[:3]]
        want, _ = self.observe("-i", self.file(pcap(packets, linktype=101)), "basic", "tcp")
        by_layer = zip(*(links(packet) for packet in packets), strict=True)
        kinds = {}
        for layer in by_layer:
            kinds.setdefault(layer[0][1], [frame for _, _, frame in layer])
        for linktype, frames in kinds.items():
            with self.subTest(linktype=linktype):
                self.assertEqual(self.observe("-i", self.file(pcap(frames, linktype)), "basic", "tcp")[0], want)

    def test_nothing_is_silent(self):
        short = bytearray(FRAMES[0])
        short[16:18] = b"\0\x0a"
        data = section(values=[(1, b"Monday")]) + described(1) + described(147) + enhanced(bytes(short))
        data += enhanced(b"??", number=1, values=[(4, struct.pack("<Q", 7))]) + enhanced(FRAMES[0])
        records, messages = self.observe("-i", path := self.file(data, "a.pcapng"))
        self.assertEqual(len(records), 1)
        self.assertEqual(messages.splitlines(), [
            f"pspdr: {path}: comment at byte 0: Monday",
            "pspdr: 3 packets, 1 flows; 7 packets dropped by the kernel, 0 by the ring, "
            "1 not IP (1 of link type 147 (USER0)), 0 truncated, 1 malformed (1 IP length shorter than the header)"])

    def test_a_pcapng_file_without_what_it_needs(self):
        path = self.file(section() + enhanced(FRAMES[0]), "a.pcapng")
        _, messages = self.observe("-i", path, status=2)
        self.assertIn(f"{path}: bad block at byte 28: an interface description block is missing", messages)

    def test_output_filter_and_snaplen(self):
        output = self.folder / "flows"
        output.write_text("what was here before, and was longer than what comes\n" * 100)
        _, told = self.observe("-i", self.file(pcap(FRAMES)), "--output", str(output), status=2)
        self.assertIn("--force", told)
        self.assertEqual(output.read_text().count("what was here before"), 100)
        printed, _ = self.observe("-i", self.file(pcap(FRAMES)), "-f", "--output", str(output), "--filter", "udp")
        self.assertEqual(printed, [])
        (flow,) = (json.loads(line) for line in output.read_text().splitlines())
        self.assertEqual(flow["proto"], 17)
        _, messages = self.observe("-i", self.file(pcap(FRAMES)), "--snaplen", "40")
        self.assertIn("7 truncated", messages)

    def test_the_capture_is_not_the_output(self):
        capture = self.file(pcap(FRAMES))
        for uri in (capture, f"pcap:{capture}", f"libtrace:pcapfile:{capture}"):
            self.assertIn("is the file that is read", self.observe("-i", uri, "--output", capture, status=2)[1])
        with open(capture, "rb") as data:
            self.observe("-i", "-", "--output", capture, status=2, stdin=data)
        self.assertEqual(Path(capture).read_bytes(), pcap(FRAMES))

    def test_list_chains(self):
        records, _ = self.observe("--list-chains")
        self.assertEqual(
            {line.split()[0] for line in records},
            {"basic", "dns", "dscp", "ecn", "evidence", "evil", "fallback", "icmp", "mss", "noop", "quic", "tcp", "tfo",
             "udp"},
        )

    def test_list_chains_is_plain_text(self):
        records, _ = self.observe("--list-chains")
        for line in records:
            with self.subTest(line=line):
                self.assertNotIn("`", line)
                self.assertTrue(line.endswith("."), "a whole sentence")

    def test_chains_of_third_parties(self):
        chains = self.folder / "pathspider" / "chains"
        chains.mkdir(parents=True)
        for package in (chains, chains.parent):
            (package / "__init__.py").write_text(
                "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
            )
        (chains / "ttl.py").write_text(
            "from pathspider.chains.base import Chain, Field\n"
            "class TTLChain(Chain):\n"
            "    'The TTL that arrived.'\n"
            "    fields = {'ttl_rev': Field(int, None, 'TTL in the reverse direction')}\n"
            "    def ip4(self, rec, ip, rev):\n"
            "        rec['_ttl'] = ip.ttl\n"
            "        if rev: rec['ttl_rev'] = rec['_ttl']\n"
            "        return True\n"
        )
        outcome = subprocess.run(
            [*COMMAND, "-i", self.file(pcap(FRAMES)), "basic", "ttl"],
            cwd=self.folder,
            text=True,
            env={**os.environ, "PYTHONPATH": "."},
            capture_output=True,
            check=False,
        )
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual({json.loads(line)["ttl_rev"] for line in outcome.stdout.splitlines()}, {64, None})
        self.assertNotIn('"_', outcome.stdout)


class TestBadInput(FileCase):
    def check(self, *arguments, status=2, words=(), flows=0):
        records, messages = self.observe(*arguments, status=status)
        self.assertEqual(len(records), flows, messages)
        for word in words:
            self.assertIn(word, messages)

    def test_usage(self):
        capture = self.file(pcap(FRAMES))
        self.check("-i", capture, "basic", "nonsense", words=["nonsense", "basic"])
        self.check("-i", capture, "--filter", "what is this", words=["what is this"])
        for snaplen in ("0", "-1", "2147483648", "99999999999"):
            self.check("-i", capture, "--snaplen", snaplen, words=[f"--snaplen {snaplen}: 1 byte or more"])
        self.check("-i", capture, "--output", "/nonexistent/file", words=["/nonexistent/file"])

    def test_what_is_no_capture(self):
        self.check("-i", "/nonexistent/capture.pcap", words=["/nonexistent/capture.pcap"])
        self.check("-i", "nowhere0", words=["nowhere0"])
        self.check("-i", self.file(b"not a capture at all, only some text"), words=["not a capture"])
        self.check("-i", self.file(b""), words=["empty"])
        self.check("-i", self.file(pcap(FRAMES, linktype=147)), words=["147"])

    def test_an_interface_that_is_not_there_is_said_to_a_user_without_privileges(self):
        for name, words in (("nowhere0", "nowhere0: no such interface; interfaces that are up: "),
                            ("lo", "lo: no permission to capture"), ("any", "any: no permission to capture")):
            outcome = subprocess.run([*as_nobody(), *COMMAND, "-i", name],
                                     capture_output=True, text=True, check=False)
            with self.subTest(interface=name):
                self.assertEqual(outcome.returncode, 2)
                self.assertIn(words, outcome.stderr)

    def test_a_truncated_file(self):
        data = pcap(FRAMES)
        cut = len(data) - 10
        path = self.file(data[:cut])
        self.check("-i", path, status=1, flows=3, words=[path, "truncated", str(len(data) - 42 - 16)])

    def test_a_hostile_record_length(self):
        for length in (100_000, 4_000_000_000):
            with self.subTest(length=length):
                bad = struct.pack("<IIII", 1, 0, length, length) + bytes(64)
                path = self.file(pcap(FRAMES[:3]) + bad)
                self.check("-i", path, status=1, flows=1, words=[path])

    def test_a_damaged_archive(self):
        data = gzip.compress(os.urandom(1 << 16) + pcap(FRAMES))
        self.check("-i", self.file(data[: len(data) // 2], "a.pcap.gz"), words=["a.pcap.gz"])

    def test_no_space_left(self):
        outcome = subprocess.run(
            [*COMMAND, "-i", self.file(pcap(FRAMES)), "--output", "/dev/full"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("No space left", outcome.stderr)

    def test_a_reader_that_goes_away(self):
        capture = self.file(pcap([udp4(sport=1 + number % 60_000) for number in range(3)] * 100))
        read, write = os.pipe()
        os.close(read)
        with open(write, "wb") as gone:
            outcome = subprocess.run(
                [*COMMAND, "-i", capture], stdout=gone, stderr=subprocess.PIPE, text=True, timeout=30, check=False
            )
        self.assertNotEqual(outcome.returncode, 0)
        self.assertNotIn("Traceback", outcome.stderr)
        self.assertIn("Broken pipe", outcome.stderr)


class TestLive(unittest.TestCase):
    def check_signal(self, number):
        with Lab() as lab:
            run = lab.popen([*COMMAND, "-i", "lab0", "basic", "udp"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            lab_ready = [
                sys.executable,
                "-c",
                "import socket, time\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "for n in range(50):\n    s.sendto(b'x', ('10.64.0.1', 9)); time.sleep(0.02)",
            ]
            lab.run(lab_ready)
            run.send_signal(number)
            output, errors = run.communicate(timeout=20)
            self.assertEqual(run.returncode, 0, errors)
        flows = [json.loads(line) for line in output.splitlines()]
        (mine,) = [flow for flow in flows if flow["proto"] == socket.IPPROTO_UDP and flow["dp"] == 9]
        self.assertGreater(mine["pkt_fwd"], 1)  # it takes a moment until the capture begins
        self.assertIn(b"0 packets dropped by the kernel, 0 by the ring", errors)

    def test_interrupt_writes_every_open_flow(self):
        self.check_signal(signal.SIGINT)

    def test_terminate_too(self):
        self.check_signal(signal.SIGTERM)
