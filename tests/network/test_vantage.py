"""The public address and its AS, asked of servers that have the real ones' addresses inside a lab."""

import json
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.network import vantage
from pathspider.writing import json_line

SERVERS = """\
import socket, sys, threading, dnslib
answers = dict(word.split("=") for word in sys.argv[2:])
def serve(sock):
    while True:
        data, client = sock.recvfrom(2000)
        query = dnslib.DNSRecord.parse(data)
        name, reply = str(query.q.qname).rstrip("."), query.reply()
        text = answers.get(name)
        if text in ("client", "translated"):
            text = client[0] if text == "client" or ":" in client[0] else "192.0.2.1"
        if text is not None:
            reply.add_answer(dnslib.RR(query.q.qname, dnslib.QTYPE.TXT, rdata=dnslib.TXT(text), ttl=1))
        sock.sendto(reply.pack(), client)
for address in sys.argv[1].split(","):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    threading.Thread(target=serve, args=(sock,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""
SILENT = """\
import socket, sys, threading
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 53))
print("ready", flush=True)
def serve():
    sock.recvfrom(2000)
    print("asked", flush=True)
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""
ORIGIN_4 = "2.0.0.10.origin.asn.cymru.com"
ORIGIN_6 = "2" + ".0" * 24 + ".1.0.0.0.0.d.f.origin6.asn.cymru.com"
MEASURE = "mount --bind resolv.conf /etc/resolv.conf; exec \"$@\" measure -i lab0 --vantage-lookup mss --connect tcp"
PSPDR = [sys.executable, "-P", "-m", "pathspider"]


HERE, GOOGLE_4, GOOGLE_6 = "127.0.0.1", "216.239.32.10", "2001:4860:4802:32::a"


class TestVantage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        Path(cls.folder, "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="ascii")
        for command in ("address add 216.239.32.10/32 dev lo", "address add 2001:4860:4802:32::a/128 dev lo",
                        "link set lo up"):
            cls.lab.run(["ip", *command.split()], timeout=100)

    def measure(self, servers=(HERE, GOOGLE_4, GOOGLE_6), **answers):
        """Records, or the message where there are none, while the servers answer so."""
        named = {vantage.WHO_ASKS: "client", ORIGIN_4: "64496 64500 | 10.0.0.0/24 | ZZ | test | 2026-01-01",
                 ORIGIN_6: "64497 | fd00:10::/32 | ZZ | test | 2026-01-01", **answers}
        words = [f"{name}={text}" for name, text in named.items() if text]
        server = self.lab.popen([sys.executable, "-c", SERVERS, ",".join(servers), *words], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        try:
            self.assertEqual(server.stdout.readline(), b"ready\n")
            jobs = [{"dip": clean_address(0, version), "dip_asn": 64511} for version in (4, 6)]
            done = self.lab.run(["unshare", "-m", "sh", "-ec", MEASURE, "sh", *PSPDR],
                                data=b"".join(map(json_line, jobs)),
                                cwd=self.folder, capture_output=True, timeout=60)
        finally:
            server.stdin.close()
            server.wait(100)
            server.stdout.close()
        self.said = done.stderr.decode()
        if done.returncode:
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            return self.said
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_paths_begin_with_address_and_as(self):
        paths = sorted(record["path"] for record in self.measure())
        self.assertEqual(paths, [["10.0.0.2", "AS64496", "*", "AS64511", clean_address(0, 4)],
                                 ["fd00:10::2", "AS64497", "*", "AS64511", clean_address(0, 6)]])

    def test_behind_an_address_translator(self):
        answers = {vantage.WHO_ASKS: "translated", "1.2.0.192.origin.asn.cymru.com": "64499 | 192.0.2.0/24 | ZZ"}
        paths = sorted(record["path"] for record in self.measure(**answers))
        self.assertEqual([path[:2] for path in paths], [["192.0.2.1", "AS64499"], ["fd00:10::2", "AS64497"]])

    def test_an_ip_version_without_internet(self):
        paths = sorted(record["path"] for record in self.measure(servers=(HERE, GOOGLE_4)))
        self.assertEqual([path[:-2] for path in paths], [["10.0.0.2", "AS64496", "*"], ["fd00:10::2", "*"]])
        self.assertIn(f"{vantage.WHO_ASKS} (asked of {GOOGLE_6}): unreachable; paths of this IP version", self.said)

    def test_a_signal_ends_the_wait_for_an_answer(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
            server = self.lab.popen([sys.executable, "-c", SILENT, GOOGLE_4], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)
            try:
                self.assertEqual(server.stdout.readline(), b"ready\n")
                command = [*PSPDR, "measure", "-i", "lab0", "--vantage-lookup", "mss", "--connect", "tcp"]
                measure = self.lab.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                self.assertEqual(server.stdout.readline(), b"asked\n")
                measure.send_signal(number)
                self.assertEqual(measure.wait(100), status)
            finally:
                server.stdin.close()
                server.wait(100)
                server.stdout.close()

    def test_no_internet(self):
        self.assertIn(f"(asked of {GOOGLE_4}): unreachable; leave the option off", self.measure(servers=(HERE,)))

    def test_what_cannot_be_found_out(self):
        self.assertIn(f"{ORIGIN_6} (asked of 127.0.0.1): nodata", self.measure(**{ORIGIN_6: None}))
        self.assertIn("answered '192.0.2.1', which is no IPv6 address", self.measure(**{
            vantage.WHO_ASKS: "192.0.2.1", "1.2.0.192.origin.asn.cymru.com": "64499 | 192.0.2.0/24 | ZZ"}))
        self.assertIn("answered 'nobody', which is no IPv4 address", self.measure(**{vantage.WHO_ASKS: "nobody"}))
        self.assertIn("begins with no number", self.measure(**{ORIGIN_4: "NA | | "}))
