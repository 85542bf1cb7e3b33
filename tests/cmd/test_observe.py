"""``pspdr observe`` from the outside: every kind of source, every kind of end."""

import csv
import gzip
import json
import lzma
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from contextlib import nullcontext, suppress
from pathlib import Path

from scapy.all import IP, UDP, VXLAN, Dot1Q, Ether, Raw

from pathspider.lab import Lab
from pathspider.libtrace import HAVE_LIBTRACE
from tests.chains.flows import NAMES
from tests.chains.test_dns import ANSWER
from tests.cmd.test_main import pspdr
from tests.libtrace.frames import MACS, enhanced, frame, pcap, pcapng, section, tcp4, tcp6, udp4
from tests.libtrace.frames import interface as described
from tests.libtrace.links import links
from tests.libtrace.pieces import framed, split
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

    def third_party(self, kind, text):
        """A module ``ttl`` in the namespace package of chains or plugins, for who runs in the folder."""
        package = self.folder / "pathspider" / kind
        package.mkdir(parents=True)
        for one in (package, package.parent):
            (one / "__init__.py").write_text(
                "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n")
        (package / "ttl.py").write_text(text)

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
                self.assertEqual(run.wait(100), 0, run.stderr.read())
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
        chains = ["basic", "dns", "dscp", "ecn", "evidence", "evil", "hops", "icmp", "mss", "quic", "tcp", "tfo", "udp"]
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

    def test_a_time_in_the_far_future_is_told(self):
        """The flow is ended by it, and the rest of it is another one."""
        def at(*moments):
            head, packets = pcap([])[:24], [pcap([frame])[24:] for frame in FRAMES[:len(moments)]]
            return head + b"".join(struct.pack("<II", moment, 0) + packet[8:]
                                   for moment, packet in zip(moments, packets, strict=True))

        for moments, flows, told in (((100, 101, 102), 1, False), ((100, 2_000_000_000, 102), 2, True),
                                     ((100, 2_000_000_000, 2_000_000_001), 2, False), ((101, 100, 102), 1, False)):
            records, messages = self.observe("-i", self.file(at(*moments)))
            self.assertEqual((len(records), "went back by more than a second: 1. " in messages), (flows, told), moments)

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

    def test_of_a_file_it_is_not_said_that_capturing_has_begun(self):
        path = self.file(pcap(FRAMES))
        self.assertNotIn("has begun", self.observe("-i", path)[1])
        with open(path, "rb") as stream:
            piped = subprocess.run([*COMMAND, "-i", "-"], stdin=stream, capture_output=True, check=True)
        self.assertNotIn(b"has begun", piped.stderr)

    def test_list_chains(self):
        records, _ = self.observe("--list-chains")
        self.assertEqual({line.split()[0] for line in records}, set(NAMES))

    def test_list_chains_is_plain_text(self):
        records, _ = self.observe("--list-chains")
        for line in records:
            with self.subTest(line=line):
                self.assertNotIn("`", line)
                self.assertTrue(line.endswith("."), "a whole sentence")

    def test_chains_of_third_parties(self):
        self.third_party(
            "chains",
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


class TestCSV(FileCase):
    def rows(self, *arguments, **options):
        output = self.folder / "flows.csv"
        _, messages = self.observe("--format", "csv", "-f", "-o", str(output), *arguments, **options)
        with output.open(newline="") as stream:
            return list(csv.reader(stream)), messages

    def test_fields_are_columns_in_the_order_of_the_chains(self):
        capture = self.file(pcap(FRAMES))
        for chains in (["basic", "tcp", "ecn"], ["udp", "basic"], ["evidence", "dns", "icmp", "basic"]):
            with self.subTest(chains=chains):
                (header, *rows), _ = self.rows("-i", capture, *chains)
                records = [json.loads(line) for line in self.observe("-i", capture, *chains)[0]]
                self.assertEqual(header, list(records[0]))
                self.assertEqual(len(rows), 3)
                self.assertCountEqual(rows, [[self.cell(value) for value in record.values()] for record in records])

    def cell(self, value):
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)

    def test_without_flows_there_is_the_header(self):
        rows, _ = self.rows("-i", self.file(pcap([])))
        self.assertEqual(rows, [["sip", "dip", "proto", "sp", "dp", "pkt_fwd", "pkt_rev", "oct_fwd", "oct_rev",
                                 "pkt_first", "pkt_last"]])

    def test_a_file_that_breaks_off(self):
        rows, messages = self.rows("-i", self.file(pcap([udp4()])[:-1]), status=1)
        self.assertEqual((len(rows), rows[0][0]), (1, "sip"))
        self.assertIn("truncated", messages)

    def test_fields_that_no_chain_declares(self):
        chains = self.folder / "pathspider" / "chains"
        chains.mkdir(parents=True)
        for package in (chains, chains.parent):
            (package / "__init__.py").write_text(
                "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
            )
        (chains / "own.py").write_text(
            "from pathspider.chains.base import Chain\n"
            "class OwnChain(Chain):\n"
            "    def new_flow(self, rec, ip):\n"
            "        rec['own'] = [ip.ttl]\n"
            "        return True\n"
            "    def udp(self, rec, udp, rev):\n"
            "        rec['late'] = True\n"
            "        return True\n"
        )
        capture = self.file(pcap([tcp4("S")]) + pcap([udp4()], start=1100)[24:])
        rows, messages = self.rows("-i", capture, "own", cwd=self.folder, env={**os.environ, "PYTHONPATH": "."})
        self.assertEqual(rows, [["pkt_first", "pkt_last", "own"], ["1000.0", "1000.0", "[64]"],
                                ["1100.0", "1100.0", "[64]"]])
        self.assertIn("fields that have no column, since no chain declares them and the first record has them not "
                      "(1 late): --format ndjson has them", messages)

    def test_a_format_that_is_none(self):
        _, messages = self.observe("-i", self.file(pcap(FRAMES)), "--format", "xml", status=2)
        self.assertIn("argument --format: invalid choice: 'xml'", messages)

    def test_no_space_left(self):
        _, messages = self.observe("-i", self.file(pcap(FRAMES)), "--format", "csv", "-o", "/dev/full", status=1)
        self.assertIn("No space left", messages)


class TestTunnels(FileCase):
    def setUp(self):
        super().setUp()
        inside = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1000, dport=53) / b"x")
        vxlan = UDP(sport=4444, dport=4789) / VXLAN(vni=7) / Ether(**MACS) / IP(inside)
        outside = Dot1Q(vlan=5) / IP(src="192.0.2.1", dst="192.0.2.2")
        self.capture = self.file(pcap([frame(outside / vxlan), frame(IP(inside)), udp4()]))

    def flows(self, *options):
        return [json.loads(line) for line in self.observe("-i", self.capture, *options)[0]]

    def test_decapsulate(self):
        self.assertEqual(sorted((flow["sip"], flow["dp"], flow.get("encapsulation"), flow.get("vlan"))
                                for flow in self.flows("--decapsulate")),
                         [("10.0.0.1", 53, [], None), ("10.0.0.1", 53, ["vxlan:7"], None), ("192.0.2.1", 53, [], None)])

    def test_outer(self):
        self.assertEqual(sorted((flow["sip"], flow["vlan"], flow["mpls"], flow["tunnel_ends"])
                                for flow in self.flows("--decapsulate", "--outer")),
                         [("10.0.0.1", [], [], []), ("10.0.0.1", [5], [], [["192.0.2.1", "192.0.2.2"]]),
                          ("192.0.2.1", [], [], [])])

    def test_without(self):
        flows = self.flows()
        self.assertEqual(sorted(flow["dp"] for flow in flows), [53, 53, 4789])
        for flow in flows:
            self.assertEqual(flow.keys() & {"encapsulation", "vlan", "mpls", "tunnel_ends"}, set())

    def test_columns(self):
        empty = self.file(pcap([]), "empty.pcap")
        (header,), _ = self.observe("-i", empty, "--format", "csv", "--decapsulate", "--outer")
        self.assertEqual(header.split(",")[-6:],
                         ["encapsulation", "vlan", "mpls", "tunnel_ends", "pkt_first", "pkt_last"])
        lines, _ = self.observe("-i", self.capture, "--format", "csv", "--decapsulate", "--outer")
        self.assertEqual(header, ",".join(json.loads(
            self.observe("-i", self.capture, "--decapsulate", "--outer")[0][0])))
        self.assertIn('"[""vxlan:7""]",[5],[],"[[""192.0.2.1"", ""192.0.2.2""]]"', "\n".join(lines))


class TestConditions(FileCase):
    FLOW = [tcp4("SEC", seq=7, options=[("MSS", 1460)]), tcp4("SAE", rev=True, seq=9, ack=8, options=[("MSS", 536)])]
    ECN = ["ecn.negotiation.succeeded"]
    MSS = ["mss.option.local.value:1460", "mss.option.remote.value:536", "mss.option.received.deflated"]
    ALL = ["dscp.0.replymark:0", *ECN, *MSS]

    def test_in_each_record_and_read_by_report(self):
        """A flow over two files, another without conditions; a report of them."""
        first, second = self.file(pcap(self.FLOW[:1])), self.file(pcap([self.FLOW[1], udp4()], start=1000.5), "b.pcap")
        records, _ = self.observe("-i", second, "-i", first, "--conditions", "tcp")
        flow, other = sorted(map(json.loads, records), key=lambda record: record["proto"])
        self.assertEqual(flow["conditions"], self.ALL)
        self.assertEqual((other["conditions"], other["path"]), ([], ["192.0.2.1", "*", "198.51.100.1"]))
        self.assertEqual(flow["time"], {"from": "1970-01-01 00:16:40.000000", "to": "1970-01-01 00:16:40.500000"})
        self.assertIn("sip", flow)
        self.assertIn("tcp_connected", flow)
        self.assertNotIn("mss_len_fwd", flow)
        told = pspdr("report", "--format", "csv", self.file("\n".join(records).encode(), "found.ndjson"))
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("ecn.negotiation,succeeded,ecn.negotiation.succeeded,1,1,", told.stdout)

    def test_csv_of_two_plugins(self):
        output = self.folder / "flows.csv"
        capture = self.file(pcap([*self.FLOW, udp4()]))
        self.observe("-i", capture, "-o", str(output), "--format", "csv", "--plugin", "mss", "--plugin", "ecn", "basic")
        with output.open(newline="") as stream:
            header, *rows = csv.reader(stream)
        self.assertEqual(header[-3:], ["pkt_first", "pkt_last", "conditions"])
        self.assertEqual([row[-1] for row in rows], [";".join(self.ECN + self.MSS), ""])

    def test_a_report_of_flows_without_conditions_says_what_to_do(self):
        records, _ = self.observe("-i", self.file(pcap(self.FLOW)))
        told = pspdr("report", self.file("\n".join(records).encode(), "flows.ndjson"))
        self.assertIn("not a record: it has no list of conditions; pspdr observe --conditions gives flows one",
                      told.stderr)

    def test_plugins_that_say_nothing(self):
        capture = self.file(pcap(self.FLOW))
        these = "these do: dscp, ecn, evilbit, mss, tfo"
        for name, words in (("h2", f"--plugin h2: says nothing of flows that others made; {these}"),
                            ("enc", f"--plugin enc: there is no such plugin; {these}; did you mean ecn?")):
            self.assertIn(words, self.observe("-i", capture, "--plugin", name, status=2)[1])

    def test_plugins_of_third_parties(self):
        self.third_party(
            "plugins",
            "from pathspider.base import PluggableSpider\n"
            "from pathspider.chains.evidence import EvidenceChain\n"
            "from pathspider.single import SingleSpider\n"
            "class TTL(SingleSpider, PluggableSpider):\n"
            "    name = 'ttl'\n"
            "    description = 'The TTL that arrives'\n"
            "    passive_chains = [EvidenceChain]\n"
            "    @classmethod\n"
            "    def passive_conditions(cls, flow):\n"
            "        return ['ttl.synack:%d' % flow['evidence_synack_ttl']]\n"
        )
        outcome = subprocess.run(
            [*COMMAND, "-i", self.file(pcap([*self.FLOW, udp4()])), "--plugin", "ttl"],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, check=False)
        self.assertEqual([json.loads(record)["conditions"] for record in outcome.stdout.splitlines()],
                         [["ttl.synack:64"], []])
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("ttl.py\", line ", outcome.stderr)
        self.assertIn("pspdr: plugins that had no conditions of some flows (1 ttl)\n", outcome.stderr)


class TestLimits(FileCase):
    def totals(self, *arguments, **options):
        records, messages = self.observe(*arguments, **options)
        flows = [json.loads(record) for record in records]
        return sorted(flow["pkt_fwd"] + flow["pkt_rev"] for flow in flows), messages

    def test_so_many_packets(self):
        capture = self.file(pcap(FRAMES))
        for count, want in ((1, [1]), (4, [1, 3]), (8, [2, 2, 3]), (10**30, [2, 2, 3])):
            self.assertEqual(self.totals("-i", capture, "-c", str(count))[0], want)
        found, messages = self.totals("-i", capture, "-c", "1", "--filter", "udp")
        self.assertEqual(found, [1])
        self.assertIn("pspdr: 1 packets, 1 flows", messages)

    def test_what_comes_behind_the_last_packet_does_not_matter(self):
        self.assertEqual(self.totals("-i", self.file(pcap(FRAMES)[:-10]), "-c", "3")[0], [3])
        self.assertEqual(self.totals("-i", self.file(pcap(FRAMES)[:-10]), "--duration", "0.001")[0], [2])

    def test_a_pipe_that_stays_open(self):
        run = subprocess.Popen([*COMMAND, "-q", "-i", "-", "-c", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with run.stdin, run.stdout:
            run.stdin.write(pcap(FRAMES[:2]))
            run.stdin.flush()
            self.assertEqual(json.loads(run.stdout.readline())["pkt_rev"], 1)
            self.assertEqual(run.wait(100), 0)

    def test_so_many_seconds_of_a_files_packets(self):
        capture = self.file(pcap(FRAMES))  # a millisecond apart
        for duration, want in (("0.0005", [1]), ("0.002", [3]), ("0.0045", [2, 3]), ("5", [2, 2, 3])):
            self.assertEqual(self.totals("-i", capture, "--duration", duration)[0], want, duration)

    def test_a_quiet_flow_ends_after_the_idle_timeout(self):
        data = pcap([udp4()]) + pcap([udp4()], start=1010)[24:] + pcap([udp4()], start=1030)[24:]
        capture = self.file(data)
        for seconds, want in (("5", [1, 1, 1]), ("15", [1, 2]), ("31", [3])):
            self.assertEqual(self.totals("-i", capture, "--idle-timeout", seconds)[0], want)

    def test_a_long_flow_ends_after_the_active_timeout(self):
        data = pcap([])
        for second in range(0, 50, 5):
            data += pcap([udp4(), udp4(rev=True)], start=1000 + second)[24:]
        capture = self.file(data)
        self.assertEqual(self.totals("-i", capture)[0], [20])
        records, _ = self.observe("-i", capture, "--active-timeout", "20")
        flows = [json.loads(record) for record in records]
        self.assertEqual(sorted((flow["pkt_first"], flow["pkt_fwd"], flow["pkt_rev"], flow["sp"]) for flow in flows),
                         [(1000.0, 4, 4, 5353), (1020.0, 4, 4, 5353), (1040.0, 2, 2, 5353)])

    def test_values_that_cannot_be(self):
        for option in ("--duration", "--idle-timeout", "--active-timeout", "--stats"):
            for value in ("0", "-1", "nan", "inf", "2e9", "soon"):
                with self.subTest(option=option, value=value):
                    _, messages = self.observe(f"{option}={value}", status=2)
                    self.assertIn(f"argument {option}: {value}: a number of seconds over 0 is needed, 1e9 at most",
                                  messages)
        for value in ("0", "-3", "some"):
            _, messages = self.observe(f"-c{value}", status=2)
            self.assertIn(f"argument -c/--count: {value}: a whole number over 0 is needed", messages)


class TestFragments(FileCase):
    PACKET = bytes(IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=53, dport=5353) / Raw(ANSWER))

    def test_they_are_put_together_when_asked(self):
        pieces = split(self.PACKET, 48, 88)
        alone = split(self.PACKET, 24, ident=9)[0]
        path = self.file(pcap([framed(one) for one in (*pieces, alone)]))
        found, said = self.observe("-i", path, "--reassemble", "basic", "dns")
        (flow,) = map(json.loads, found)
        self.assertEqual((flow["sp"], flow["pkt_fwd"], flow["oct_fwd"]), (53, 4, sum(map(len, (*pieces, alone)))))
        self.assertTrue(flow["dns_response_valid"])
        self.assertIn("4 packets, 1 flows; ", said)
        self.assertIn("3 fragments put together into 1 packets; packets not put together: 1 incomplete\n", said)
        found, said = self.observe("-i", path, "basic", "dns")
        self.assertEqual([json.loads(line)["dns_response_valid"] for line in found], [False, False])
        self.assertNotIn("fragments", said)


class TestSeveralFiles(FileCase):
    def files(self):
        """A flow that goes on in the next file, given in the wrong order."""
        return [self.file(gzip.compress(pcap([tcp4("A"), udp4()], start=1005)), "ring2.pcap.gz"),
                self.file(pcap([tcp4("S"), tcp4("SA", rev=True)]), "ring1.pcap"),
                self.file(pcapng([tcp4("A"), tcp6("S")], start=1010), "ring0.pcap")]

    def inputs(self, names):
        return [word for name in names for word in ("-i", name)]

    def check(self, arguments):
        records, messages = self.observe(*arguments, "basic", "tcp")
        flows = {flow["dip"] + str(flow["proto"]): flow for flow in map(json.loads, records)}
        self.assertEqual(len(records), 3)
        tcp = flows["198.51.100.16"]
        self.assertEqual((tcp["pkt_fwd"], tcp["pkt_rev"], tcp["tcp_connected"]), (3, 1, True))
        self.assertEqual((tcp["pkt_first"], tcp["pkt_last"]), (1000.0, 1010.0))
        self.assertEqual(messages, "pspdr: 6 packets, 3 flows; 0 packets dropped by the kernel, 0 by the ring, "
                                   "0 not IP, 0 truncated, 0 malformed\n")

    def test_flows_go_on_over_the_border_of_files(self):
        self.check(self.inputs(self.files()))

    def test_a_pattern(self):
        self.files()
        self.file(b"none of them", "other")
        self.check(["-i", str(self.folder / "ring*")])

    def test_limits_are_those_of_all_files(self):
        arguments = self.inputs(self.files())
        for limit, packets in ((("-c", "3"), 3), (("-c", "4"), 4), (("--duration", "5"), 3), (("--duration", "9"), 4)):
            with self.subTest(limit=limit):
                self.assertIn(f"pspdr: {packets} packets, ", self.observe(*arguments, *limit)[1])

    def test_files_that_overlap_are_told(self):
        late = self.file(pcap([udp4()] * 3, start=1001), "late.pcap")
        early = self.file(pcap([udp4()]) + pcap([udp4()], start=1001.001)[24:], "early.pcap")
        records, messages = self.observe("-i", late, "-i", early)
        self.assertEqual(json.loads(records[0])["pkt_fwd"], 5)
        self.assertNotIn("overlap", messages)
        early = self.file(pcap([udp4()]) + pcap([udp4()], start=1003)[24:], "early.pcap")
        records, messages = self.observe("-i", late, "-i", early)
        self.assertEqual(json.loads(records[0])["pkt_fwd"], 5)
        self.assertIn(f"{late} begins 2.000 s before the end of what was read before it: the files overlap", messages)
        self.assertIn("mergecap", messages)

    def test_a_file_that_breaks_off_does_not_end_it(self):
        names = self.files()
        Path(names[1]).write_bytes(pcap([tcp4("S"), tcp4("SA", rev=True)])[:-10])
        records, messages = self.observe(*self.inputs(names), status=1)
        self.assertEqual(len(records), 3)
        self.assertIn(f"{names[1]}: the file is truncated: the record at byte 94 is incomplete", messages)
        self.assertIn(f"{names[1]}: could not be read to the end; what stands before was read, and the other", messages)

    def test_an_empty_file_does_not_keep_from_the_others(self):
        """A rotating capture has created it, and written nothing yet."""
        names, empty = self.files(), [self.file(b"", "ring3.pcap"), self.file(b"", "ring4.pcap")]
        records, messages = self.observe(*self.inputs([empty[0], *names]), status=1)
        self.assertEqual(len(records), 3)
        self.assertIn(f"{empty[0]}: the capture file is empty: it has not even a header; it may be that nothing was "
                      "written to it yet", messages)
        self.assertIn(f"{empty[0]}: could not be read to the end", messages)
        records, messages = self.observe(*self.inputs(empty), status=2)
        self.assertIn(f"{', '.join(empty)}: these capture files are empty", messages)

    def test_files_without_packets(self):
        names = [self.file(pcap([]), "nothing.pcap"), *self.files()]
        self.check(self.inputs(names))

    def test_comments_and_losses_of_all(self):
        lost = enhanced(udp4(), values=[(4, struct.pack("<Q", 7))])
        names = [self.file(section(values=[(1, day)]) + described(1) + lost, day.decode())
                 for day in (b"Monday", b"Tuesday")]
        _, messages = self.observe(*self.inputs(names))
        for name in names:
            self.assertIn(f"pspdr: {name}: comment at byte 0: {Path(name).name}\n", messages)
        self.assertIn("14 packets dropped by the kernel", messages)

    def test_what_cannot_be_read_together(self):
        first = self.file(pcap(FRAMES))
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        missing = str(self.folder / "none*.pcap")
        for others, words in ((["lo"], "-i lo: not a capture file: only files can be read one after another"),
                              (["-"], "-i -: not a capture file"),
                              ([missing], f"-i {missing}: no file matches this pattern"),
                              ([str(pipe)], f"{pipe}: is no ordinary file; give it alone"),
                              ([first], f"{first}: this file is given twice; give each file once"),
                              ([self.file(b"some text", "text")], "not a capture file"),
                              (["/nonexistent.pcap"], "/nonexistent.pcap: cannot open the capture file")):
            with self.subTest(words=words):
                records, messages = self.observe(*self.inputs([first, *others]), status=2)
                self.assertEqual(records, [])
                self.assertIn(words, messages)

    def test_more_of_them_than_may_be_open(self):
        names = self.files()
        outcome = subprocess.run(["sh", "-c", 'ulimit -n 66; exec "$@"', "sh", *COMMAND, *self.inputs(names)],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("3 files are open at once, and this process may have 66: raise the limit (ulimit -n 67), or give "
                      "fewer", outcome.stderr)

    def test_none_of_them_is_the_output(self):
        names = self.files()
        before = Path(names[2]).read_bytes()
        self.observe(*self.inputs(names), "-f", "-o", names[2], status=2)
        self.assertEqual(Path(names[2]).read_bytes(), before)


class TestProgress(FileCase):
    def drawn(self, *arguments, stdout=subprocess.PIPE):
        """What standard error shows where it is a terminal."""
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            run = subprocess.Popen([*COMMAND, *arguments], stdout=theirs if stdout is None else stdout, stderr=theirs)
            os.close(theirs)
            with run.stdout or nullcontext():
                written = b""
                with suppress(OSError):  # EIO: the other side is closed, and everything read
                    while part := terminal.read(10000):
                        written += part
                self.assertEqual(run.wait(100), 0, written)
        return written.decode()

    def test_bytes_of_all_files_on_a_terminal(self):
        first = self.file(pcap(FRAMES), "one.pcap")
        second = self.file(gzip.compress(pcap(FRAMES, start=1001)), "two.pcap.gz")
        both = ["-i", first, "-i", second]
        octets = os.stat(first).st_size + os.stat(second).st_size
        self.assertRegex(self.drawn(*both), rf"\r{octets} B of {octets} B read in 0:\d\d, 16 packets, 3 flows")
        self.assertNotIn(" read", self.drawn(*both, "--quiet"))
        self.assertNotIn(" read", self.drawn(*both, stdout=None))  # it would stand between records


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
            run = lab.popen([*COMMAND, "-i", "lab0", "--stats", "0.1", "basic", "udp"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
            sender = lab.popen([
                sys.executable,
                "-c",
                "import socket, time\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "while True:\n    s.sendto(b'x', ('10.64.0.1', 9)); time.sleep(0.02)",
            ])
            try:
                while not re.search(rb"[1-9][0-9]* packets", run.stderr.readline()):
                    pass  # the capture has not begun
                run.send_signal(number)
                output, errors = run.communicate(timeout=100)
            finally:
                sender.kill()
            self.assertEqual(run.returncode, 0, errors)
        flows = [json.loads(line) for line in output.splitlines()]
        (mine,) = [flow for flow in flows if flow["proto"] == socket.IPPROTO_UDP and flow["dp"] == 9]
        self.assertGreaterEqual(mine["pkt_fwd"], 1)
        self.assertIn(b"0 packets dropped by the kernel, 0 by the ring", errors)

    def test_what_is_sent_once_it_says_that_it_has_begun_is_seen(self):
        send = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "for _ in range(3): s.sendto(b'x', ('10.64.0.1', 9))")
        with Lab() as lab:
            for _ in range(3):
                run = lab.popen([*COMMAND, "-i", "lab0", "--filter", "udp port 9", "-c", "3"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
                with run.stdout, run.stderr:
                    self.assertEqual(run.stderr.readline(), b"pspdr: capturing on lab0 has begun; Ctrl-C ends it\n")
                    self.assertEqual(lab.popen([sys.executable, "-c", send]).wait(60), 0)
                    self.assertEqual([json.loads(line)["pkt_fwd"] for line in run.stdout], [3])  # to its end
                    self.assertEqual(run.wait(60), 0, run.stderr.read())

    def test_limits_and_what_is_told_each_interval(self):
        send = [sys.executable, "-c",
                "import socket, time\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "while True: s.sendto(b'x', ('10.64.0.1', 9)); time.sleep(0.01)"]
        with Lab() as lab:
            sender = lab.popen(send)
            try:
                for limit in (["-c", "5"], ["--duration", "0.7"]):
                    run = lab.popen([*COMMAND, "-i", "lab0", "--filter", "udp port 9", "--stats", "0.2", *limit],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    output, errors = (text.decode() for text in run.communicate(timeout=100))
                    self.assertEqual(run.returncode, 0, errors)
                    (flow,) = map(json.loads, output.splitlines())
                    if limit[0] == "-c":
                        self.assertEqual(flow["pkt_fwd"], 5)
                    else:
                        self.assertRegex(errors, r"pspdr: \d+\.\d s: \d+ packets, [\d.]+/s, \d+ flows begun, "
                                                 r"[01] open, 0 packets lost\n")
            finally:
                sender.kill()
                sender.wait()

    def test_interrupt_writes_every_open_flow(self):
        self.check_signal(signal.SIGINT)

    def test_terminate_too(self):
        self.check_signal(signal.SIGTERM)
