"""Packets in, packets out: the router's part in user space."""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from ipaddress import ip_address
from itertools import product
from pathlib import Path

from dnslib import DNSRecord
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Raw

from pathspider.lab import Lab
from pathspider.lab.mangler import MANGLERS, Packet, SYNAuthentication, checksum, mangle, pass_unseen
from pathspider.lab.scenarios import all_cases

TARGETS = {4: "10.20.9.1", 6: "fd00:20::9:1"}
CLIENTS = {4: "10.0.0.2", 6: "fd00:10::2"}
OPTIONS = [("NOP", None), ("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]


def header(version, towards=True):
    source, destination = (CLIENTS, TARGETS) if towards else (TARGETS, CLIENTS)
    return (IP if version == 4 else IPv6)(src=source[version], dst=destination[version])


def again(data):
    return (IP if data[0] >> 4 == 4 else IPv6)(data)


def table_of(*manglers):
    return {ip_address(address).packed: manglers for address in TARGETS.values()}


def run(packet, *names):
    result = mangle(bytes(packet), table_of(*(MANGLERS[name] for name in names)))
    if result is None:
        return None
    packet, rebuilt = again(result), again(result)
    for layer in (rebuilt, rebuilt.payload):  # as Scapy would have made it: lengths and checksums are right
        for name in ("chksum", "len", "plen"):
            if name in layer.fields and not (isinstance(layer, UDP)):
                layer.delfieldval(name)
    assert bytes(rebuilt) == result, "lengths or checksums are wrong"
    return packet


class TestMangle(unittest.TestCase):
    def both(self):
        for version in (4, 6):
            with self.subTest(version=version):
                yield version

    def test_nothing_to_do_changes_nothing(self):
        for version in self.both():
            for packet in (header(version) / TCP(flags="S", options=OPTIONS), header(version) / UDP() / Raw(b"abc"),
                           header(version, False) / TCP(flags="SA")):
                for name in ("cut_syn_data", "drop_udp_options", "strip_udp_options", "reset_upgrade", "drop_alpn_h2"):
                    self.assertEqual(bytes(run(packet, name)), bytes(packet))

    def test_raise_mss_on_the_way_back_only(self):
        for version in self.both():
            back = run(header(version, False) / TCP(flags="SA", options=OPTIONS), "raise_mss")
            self.assertEqual(dict(back[TCP].options)["MSS"], 4000)
            out = run(header(version) / TCP(flags="S", options=OPTIONS), "raise_mss")
            self.assertEqual(dict(out[TCP].options)["MSS"], 1460)

    def test_a_second_mss_option_behind_the_first(self):
        for version in self.both():
            back = run(header(version, False) / TCP(flags="SA", options=OPTIONS) / Raw(b"data"), "repeat_mss")
            self.assertEqual([value for name, value in back[TCP].options if name == "MSS"], [1460, 536])
            self.assertEqual((dict(back[TCP].options)["WScale"], bytes(back[TCP].payload)), (7, b"data"))
            for packet in (header(version) / TCP(flags="S", options=OPTIONS), header(version, False) / TCP(flags="A")):
                self.assertEqual(bytes(run(packet, "repeat_mss")), bytes(packet))

    def test_an_mss_option_that_is_one_octet_short(self):
        for version in self.both():
            back = bytes(run(header(version, False) / TCP(flags="SA", options=OPTIONS), "spoil_mss"))
            self.assertEqual(back[-11:], bytes.fromhex("02030501" "0402" "030307" "0000"))
            packet = header(version) / TCP(flags="S", options=OPTIONS)
            self.assertEqual(bytes(run(packet, "spoil_mss")), bytes(packet))

    def test_syn_authentication(self):
        """Nobody is let through but who answers the bogus SYN-ACK with a RST, as kernels do."""
        for version, each in product((4, 6), (True, False)):
            with self.subTest(version=version, each=each):
                device = SYNAuthentication(each=each)

                def send(towards=True, version=version, device=device, **fields):
                    ends = {"sport": 1000, "dport": 80} if towards else {"sport": 80, "dport": 1000}
                    packet = header(version, towards) / TCP(**{**ends, **fields})
                    made = mangle(bytes(packet), table_of(device))
                    return None if made is None else "passes" if made == bytes(packet) else again(made)

                for _ in range(2):
                    bogus = send(flags="SEC", seq=2**32 - 1, options=OPTIONS)
                    self.assertEqual((bogus.src, bogus[TCP].sport, bogus[TCP].dport), (TARGETS[version], 80, 1000))
                    self.assertEqual(str(bogus[TCP].flags), "SA")
                    self.assertNotIn(bogus[TCP].ack, range(2000))
                    self.assertIsNone(send(flags="A", seq=0, ack=bogus[TCP].seq + 1))  # who believes it
                    self.assertIsNone(send(flags="R", seq=1))
                self.assertIsNone(send(flags="R", seq=bogus[TCP].ack))
                for flags in ("S", "A", "FA"):
                    self.assertEqual(send(flags=flags), "passes")
                self.assertEqual(send(False, flags="SA"), "passes")
                self.assertEqual(send(flags="S", sport=1001) == "passes", not each)
        self.assertEqual(mangle(b := bytes(header(4) / UDP()), table_of(SYNAuthentication(each=True))), b)

    def test_cut_syn_data(self):
        for version in self.both():
            packet = run(header(version) / TCP(flags="S", options=OPTIONS) / Raw(b"GET / "), "cut_syn_data")
            self.assertEqual(bytes(packet[TCP].payload), b"")
            self.assertEqual(dict(packet[TCP].options)["MSS"], 1460)
            self.assertEqual(bytes(run(header(version) / TCP(flags="PA") / Raw(b"x"), "cut_syn_data")[TCP].payload),
                             b"x")

    def test_udp_options(self):
        for version in self.both():
            packet = header(version) / UDP(dport=53, len=11) / Raw(b"abc" + b"\0\x12\x34\x56")
            self.assertIsNone(run(packet, "drop_udp_options"))
            stripped = run(packet, "strip_udp_options")
            self.assertEqual(bytes(stripped[UDP].payload), b"abc")
            self.assertEqual(stripped[UDP].chksum, again(bytes(packet))[UDP].chksum)

    def test_formerr(self):
        query = DNSRecord.question("www.example")
        message = query.pack()
        udp = {"sport": 1000, "dport": 53}
        for version in self.both():
            zero = header(version) / UDP(**udp, chksum=0) / Raw(message)
            options = header(version) / UDP(**udp, len=8 + len(message)) / Raw(message + b"\0\x12\x34\x56")
            plain = header(version) / UDP(**udp) / Raw(message)
            evil = header(version) / UDP(**udp) / Raw(message)
            cases = [(zero, "formerr_for_zero_checksum"), (options, "formerr_for_udp_options")]
            if version == 4:
                evil.flags = 0b110
                cases.append((evil, "formerr_for_evil"))
            for asked, name in cases:
                answer = run(asked, name)
                self.assertEqual((answer.src, answer.dst, answer[UDP].sport, answer[UDP].dport),
                                 (TARGETS[version], CLIENTS[version], 53, 1000))
                said = DNSRecord.parse(bytes(answer[UDP].payload))
                self.assertEqual((said.header.id, said.header.qr, said.header.rcode, said.q),
                                 (query.header.id, 1, 1, query.q))
                found = answer[UDP].chksum
                answer[UDP].delfieldval("chksum")
                self.assertEqual(again(bytes(answer))[UDP].chksum, found)
                self.assertEqual(bytes(run(plain, name)), bytes(plain))
                short = header(version) / UDP(**udp, chksum=0, len=11) / Raw(b"abc\0\0\0\0")
                self.assertEqual(mangle(bytes(short), table_of(MANGLERS[name])), bytes(short))

    def test_upgrade(self):
        for version in self.both():
            request = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"
            packet = header(version) / TCP(sport=1000, dport=80, flags="PA", seq=5, ack=77) / Raw(request)
            self.assertIn(b"Xpgrade: h2c", bytes(run(packet, "spoil_upgrade")))
            reset = run(packet, "reset_upgrade")
            self.assertEqual((reset.src, reset.dst), (TARGETS[version], CLIENTS[version]))
            self.assertEqual((reset[TCP].sport, reset[TCP].dport, reset[TCP].seq, str(reset[TCP].flags)),
                             (80, 1000, 77, "R"))

    def test_alpn(self):
        for version in self.both():
            for offer, passes in ((b"\x02h2\x08http/1.1", False), (b"\x08http/1.1", True)):
                packet = header(version) / TCP(flags="PA") / Raw(b"\x16\x03\x01" + offer)
                self.assertEqual(run(packet, "drop_alpn_h2") is not None, passes)

    def test_several_in_order(self):
        packet = header(4) / UDP(len=11) / Raw(b"abc" + b"\0\x12\x34\x56")
        self.assertIsNotNone(run(packet, "strip_udp_options", "drop_udp_options"))
        self.assertIsNone(run(packet, "drop_udp_options", "strip_udp_options"))

    def test_what_it_does_not_know_goes_on_as_it_came(self):
        options = UDP(len=11) / Raw(b"abc" + b"\0\x12\x34\x56")
        whole = header(4) / UDP() / Raw(bytes(1476))  # four octets more than a packet of 1,500 holds
        four = bytes(header(4) / options)
        tcp = header(4) / TCP(sport=1, dport=80, flags="S", chksum=7) / Raw(b"data")
        for packet in (
            header(4) / Raw(b"\x08\0\xf7\xff\0\0\0\0"), *fragment(whole, 1480),
            header(6) / IPv6ExtHdrDestOpt() / options, header(6) / IPv6ExtHdrFragment(m=1) / options,
            header(6) / IPv6ExtHdrFragment(offset=8, nh=17) / Raw(b"abc"),
            header(4) / UDP(len=7) / Raw(b"a"), header(4) / UDP(len=0), header(4) / UDP(len=900),
            header(4) / TCP(dataofs=4, flags="S"), header(4) / TCP(dataofs=15, flags="S"),
            IP(src=CLIENTS[4], dst=TARGETS[4], proto=17) / Raw(b"abc"), IPv6(dst=TARGETS[6], nh=6) / Raw(b""),
            b"", four[:1], four[:19], four[:27], four + b"x", b"\x42" + four[1:], bytes(40), b"\x60" + bytes(38),
        ):
            with self.subTest(packet=packet):
                self.assertEqual(mangle(bytes(packet), table_of(*MANGLERS.values())), bytes(packet))
        # a checksum that is wrong is mended by nobody who changes nothing
        self.assertEqual(mangle(bytes(tcp), table_of(MANGLERS["drop_alpn_h2"])), bytes(tcp))

    def test_what_is_of_tcp_does_nothing_to_udp(self):
        packet = header(4) / UDP() / Raw(b"Upgrade: h2c\x02h2\x08http/1.1")
        for name in ("spoil_upgrade", "reset_upgrade", "drop_alpn_h2", "raise_mss", "cut_syn_data"):
            self.assertEqual(bytes(run(packet, name)), bytes(packet), name)


class TestOwnManglers(unittest.TestCase):
    """What a file of scenarios brings."""

    def test_may_return_bytes_or_a_packet_of_scapy(self):
        def louder(packet, towards):
            ip = again(packet.build())
            ip[UDP].payload = Raw(packet.data.upper())
            del ip[UDP].chksum
            return ip if towards else bytes(ip)

        for version in (4, 6):
            for towards in (True, False):
                made = mangle(bytes(header(version, towards) / UDP() / Raw(b"abc")), table_of(louder, louder))
                self.assertEqual(made, bytes(header(version, towards) / UDP() / Raw(b"ABC")))

    def test_what_comes_after_one_that_makes_something_else_is_passed_over(self):
        ping = bytes(IP(src=CLIENTS[4], dst=TARGETS[4], proto=1) / Raw(bytes(8)))
        packet = bytes(header(4) / UDP(len=11) / Raw(b"abc" + b"\0\x12\x34\x56"))
        made = mangle(packet, table_of(lambda packet, towards: ping, MANGLERS["drop_udp_options"]))
        self.assertEqual(made, ping)

    def test_no_packet_is_larger_than_can_be(self):
        def grown(by):
            def grow(packet, _towards):
                packet.segment += bytes(by)
                return packet
            return grow

        for version, most in ((4, 65535 - 20 - 8), (6, 65535 - 8)):
            packet = bytes(header(version) / UDP())
            self.assertEqual(len(mangle(packet, table_of(grown(most)))), len(packet) + most)
            with self.assertRaisesRegex(ValueError, "too many for an IP packet"):
                mangle(packet, table_of(grown(most + 1)))


class TestAnyPacket(unittest.TestCase):
    def test_whatever_comes(self):
        """Packets of every kind with octets changed, and cut: nothing raises, and what is made is one packet again."""
        rng = random.Random(14)
        seeds = [bytes(header(version, towards) / rest) for version in (4, 6) for towards in (True, False) for rest in (
            TCP(flags="S", options=OPTIONS) / Raw(b"data"), TCP(flags="SA", options=OPTIONS),
            TCP(flags="PA", options=[("Timestamp", (1, 2))]) / Raw(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
            TCP(flags="PA") / Raw(b"\x16\x03\x01\x02h2\x08http/1.1"), UDP(len=11) / Raw(b"abc\0\x12\x34\x56"),
            UDP() / Raw(b"Upgrade: h2c"))]
        tables = [table_of(mangler) for mangler in MANGLERS.values()] + [table_of(*MANGLERS.values())]
        changed = 0
        for _ in range(20_000):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
            if rng.random() < 0.2:
                del data[rng.randrange(len(data)):]
            made = mangle(bytes(data), rng.choice(tables))
            if made is not None and made != data:
                changed += 1
                self.assertIsNotNone(Packet.parse(made), (data.hex(), made.hex()))
        self.assertGreater(changed, 100)


SENDER = """
import json, random, socket, sys
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.packet import Raw

def length_of_echo(address, data):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(100)
        sock.sendto(data, (address, 7))
        return json.loads(sock.recv(65535))["length"]

four, six = sys.argv[1:]
rng = random.Random(14)
raw = {4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
       6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}
options = UDP(dport=7, len=11) / Raw(b"abc" + bytes(4))
packets = [IP(dst=four) / UDP(len=length) / Raw(b"x" * 30) for length in (0, 7, 8, 20, 38, 39, 65535)]
packets += [IP(dst=four) / TCP(dataofs=words, flags=flags) for words in (0, 4, 5, 6, 15) for flags in ("S", "SA", "PA")]
packets += [IP(dst=four, proto=proto) / Raw(bytes(size)) for proto in (6, 17, 47, 132) for size in (0, 1, 4, 7, 19)]
packets += [IPv6(dst=six) / kind / options for kind in (IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop(),
                                                        IPv6ExtHdrFragment(m=1), IPv6ExtHdrFragment(offset=9))]
packets += [IPv6(dst=six, nh=proto) / Raw(bytes(size)) for proto in (0, 6, 17, 44, 59, 60) for size in (0, 1, 7, 19)]
packets += fragment(IP(dst=four) / UDP(dport=7) / Raw(bytes(3000)), 8)[:40]
for _ in range(1000):  # and what no list thinks of
    packets.append(IP(dst=four, options=[], proto=rng.choice((6, 17)), flags=rng.choice(("", "MF", "DF")),
                      frag=rng.choice((0, 0, 0, 1, 8191))) / Raw(rng.randbytes(rng.randrange(60))))
    packets.append(IPv6(dst=six, nh=rng.choice((0, 6, 17, 43, 44, 51, 60))) / Raw(rng.randbytes(rng.randrange(60))))
for packet in packets:
    version = packet.version
    raw[version].sendto(bytes(packet), (four if version == 4 else six, 0))
print(json.dumps([length_of_echo(address, bytes(size)) for address in (four, six)
                  for size in (3, 1472, 1476, 1477, 9000, 65507)]))
"""

FILE = """
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
import mine_words
from pathspider.lab.impairments import Impairment
from pathspider.lab.scenario import Scenario

def louder(packet, towards):
    if not towards or not packet.data.startswith(mine_words.QUIET):
        return packet
    if packet.data.endswith(b"!"):
        raise RuntimeError("too loud")
    ip = (IP if packet.version == 4 else IPv6)(packet.build())
    ip[UDP].payload = Raw(bytes(ip[UDP].payload).upper() * 400)  # larger than the path can take at once
    ip.flags = 0  # not DF
    for layer, name in ((ip, "len"), (ip, "plen"), (ip, "chksum"), (ip[UDP], "len"), (ip[UDP], "chksum")):
        if name in layer.fields:
            delattr(layer, name)
    return ip

SCENARIOS = [Scenario("mine-louder", [Impairment("makes words louder", mangle=louder)],
                      ["udpzero", "--connect", "dnsudp"], {"udpzero.connectivity.works"})]
"""

ECHO = """
import json, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(100)
sock.connect((socket.gethostbyname("mine-louder.lab.test"), 7))
for word in sys.argv[1:]:
    sock.send(word.encode())
    seen = json.loads(sock.recv(65535))
    print(seen["length"], bytes.fromhex(seen["data"])[:10].decode())
"""


class TestInALab(unittest.TestCase):
    def test_whatever_comes_the_lab_stays(self):
        """Real packets through a real router: malformed ones, fragments and IPv6 extension headers, then large ones."""
        addresses = [case.address for case in all_cases("udpopts") if case.scenario.name == "udpopts-dropped"]
        with Lab() as lab:
            done = lab.run([sys.executable, "-c", SENDER, *addresses], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(json.loads(done.stdout), [3, 1472, 1476, 1477, 9000, 65507] * 2)

    def run_file(self, *words):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "mine.py").write_text(FILE)
            Path(folder, "mine_words.py").write_text("QUIET = b'quiet'\n")
            return subprocess.run(
                [sys.executable, "-P", "-m", "pathspider", "lab", "run", "--scenarios", "mine.py", "--",
                 sys.executable, "-c", ECHO, *words], cwd=folder, env=os.environ | {"PYTHONPATH": "."},
                capture_output=True, text=True, timeout=60, check=False)

    def test_of_a_file_of_scenarios(self):
        done = self.run_file("word", "quiet", "quietly")
        self.assertEqual((done.returncode, done.stdout), (0, "4 word\n2000 QUIETQUIET\n2800 QUIETLYQUI\n"), done.stderr)

    def test_one_that_raises_ends_the_lab_and_is_named(self):
        done = self.run_file("quiet", "quiet!")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"(?s)^pspdr lab: the lab's middlebox ended with status 1; its log:\n.*"
                                      r"mine\.py\", line 13, in louder\n.*RuntimeError: too loud\nThe packet was 4500")


class TestPassUnseen(unittest.TestCase):
    def test_one_more_than_before(self):
        for version, where in ((4, 8), (6, 7)):
            packet = bytes(header(version) / TCP(flags="S"))
            for ttl in (1, 62, 255):
                came = packet[:where] + bytes([ttl]) + packet[where + 1:]
                passed = pass_unseen(came)
                self.assertEqual(passed[where], min(ttl + 1, 255))
                if version == 4:
                    self.assertEqual(checksum(passed[:20]), 0)
                self.assertEqual(passed[20 if version == 4 else 8:], came[20 if version == 4 else 8:])


class TestChecksum(unittest.TestCase):
    def test_of_itself_is_zero(self):
        data = b"\x45\x00\x00\x1c\x00\x01"
        self.assertEqual(checksum(data + struct.pack("!H", checksum(data))), 0)
        self.assertEqual(checksum(b"\xff"), 0x00FF)

    def test_packet_taken_apart(self):
        packet = Packet.parse(bytes(header(6) / TCP(flags="S") / Raw(b"abc")))
        self.assertEqual((packet.version, packet.flags, packet.data), (6, 2, b"abc"))
