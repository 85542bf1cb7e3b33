"""QUICChain: the RFCs' samples, handshakes that were made here, and what is not QUIC."""

import itertools
import os
import random
import subprocess
import sys
import unittest
from time import thread_time

from scapy.all import IP, UDP, IPv6, Raw

from pathspider.chains.quic import TRIES, QUICChain
from pathspider.libtrace import FlowTable
from tests.chains.flows import ChainTest
from tests.chains.test_dns import ANSWER, QUERY
from tests.helpers import quic
from tests.helpers.quic import HANDSHAKE, RETRY, V1, V2, ZERO_RTT, short, with_cryptography
from tests.libtrace.frames import frame, pcap, udp4

NOTHING = {name: field.initial for name, field in QUICChain.fields.items()}
CLIENT_ID = b"client"
HELLO = quic.client_hello(b"www.example.org", [b"h3", b"h3-29"])


def udp6(payload, rev=False, tc=0):
    ends = {"src": "2001:db8::1", "dst": "2001:db8::2"}
    ports = {"sport": 5353, "dport": 443}
    if rev:
        ends, ports = {"src": ends["dst"], "dst": ends["src"]}, {"sport": 443, "dport": 5353}
    return frame(IPv6(tc=tc, **ends) / UDP(**ports) / Raw(payload))


class QUICTest(ChainTest):
    def seen(self, *frames):
        """What the record has that a flow without QUIC would not have."""
        record = self.flow(QUICChain, *frames)
        return {name: value for name, value in record.items() if value != NOTHING[name]}

    def kinds(self, *frames):
        return {name.removeprefix("quic_") for name, value in self.seen(*frames).items() if value is True}


class TestHeaders(QUICTest):
    def test_the_first_long_header_of_each_direction(self):
        seen = self.seen(
            udp4(quic.opaque(HANDSHAKE, V1, bytes(8), b"")),
            udp4(quic.opaque(HANDSHAKE, V1, bytes(3), bytes(20))),
            udp4(quic.opaque(HANDSHAKE, V2, b"", bytes(5)), rev=True),
        )
        self.assertEqual(seen, {"quic_version_fwd": V1, "quic_dcid_len_fwd": 8, "quic_scid_len_fwd": 0,
                                "quic_version_rev": V2, "quic_dcid_len_rev": 0, "quic_scid_len_rev": 5,
                                "quic_handshake_fwd": True, "quic_handshake_rev": True})

    def test_kinds_of_packets_by_version_and_direction(self):
        for version in (V1, V2, 0xFF00001D):
            for kind, name in ((ZERO_RTT, "0rtt"), (HANDSHAKE, "handshake")):
                packet = quic.opaque(kind, version)
                self.assertEqual(self.kinds(udp4(packet)), {name + "_fwd"})
                self.assertEqual(self.kinds(udp4(b"hello"), udp4(packet, rev=True)), {name + "_rev"})
        for retry in (quic.RETRY_V1, quic.RETRY_V2):
            self.assertEqual(self.kinds(udp4(b"?"), udp4(retry, rev=True)), {"retry_rev"})
        self.assertEqual(self.kinds(udp4(quic.CLIENT_INITIAL[:40])), {"initial_fwd"})  # cut off by the capture

    def test_version_negotiation(self):
        asked = quic.opaque(HANDSHAKE, 0x1A2A3A4A, size=1200)
        seen = self.seen(udp4(asked), udp4(quic.negotiation([0x0A0A0A0A, 7]), rev=True))
        self.assertEqual(seen["quic_version_fwd"], 0x1A2A3A4A)
        self.assertEqual(seen["quic_version_rev"], 0)
        self.assertTrue(seen["quic_negotiation_rev"])
        self.assertEqual(self.kinds(udp4(asked)), set())  # what kinds that version has, nobody knows
        vendor = quic.opaque(HANDSHAKE, 0xFACEB002, size=1200)
        self.assertEqual(self.kinds(udp4(vendor), udp4(quic.negotiation([7, V1]), rev=True)),
                         {"negotiation_rev"})
        self.assertEqual(self.seen(udp4(vendor), udp4(quic.negotiation([7, 8]), rev=True)), {})

    def test_coalesced_packets(self):
        parts = [quic.opaque(kind, dcid=CLIENT_ID) for kind in (ZERO_RTT, HANDSHAKE)]
        seen = self.seen(udp4(b"".join(parts) + short(dcid=CLIENT_ID, spin=True)))
        self.assertTrue(seen["quic_0rtt_fwd"] and seen["quic_handshake_fwd"])
        self.assertEqual((seen["quic_short_fwd"], seen["quic_spin_fwd"]), (1, True))
        other = self.seen(udp4(parts[0] + quic.opaque(HANDSHAKE, dcid=b"others") + short(dcid=CLIENT_ID)))
        self.assertEqual({"quic_handshake_fwd", "quic_short_fwd"} & {*other}, set())  # of another connection
        self.assertNotIn("quic_short_fwd", self.seen(udp4(parts[0] + short(dcid=b"others"))))
        self.assertNotIn("quic_short_fwd", self.seen(udp4(parts[0] + bytes(300))))  # padding of the datagram

    def test_spin_bit(self):
        begin = [udp4(quic.opaque(HANDSHAKE)), udp4(quic.opaque(HANDSHAKE), rev=True)]
        spins = [False, True, True, False, True]
        seen = self.seen(*begin, *(udp4(short(spin)) for spin in spins), *(udp4(short(), rev=True) for _ in range(3)))
        self.assertEqual((seen["quic_short_fwd"], seen["quic_spin_fwd"], seen["quic_spin_flips_fwd"]), (5, True, 3))
        self.assertEqual((seen["quic_short_rev"], seen["quic_spin_rev"]), (3, False))
        self.assertNotIn("quic_spin_flips_rev", seen)
        self.assertNotIn("quic_short_fwd", self.seen(*begin, udp4(b"@" * 20), udp4(b"\0" * 40)))

    def test_short_headers_count_only_behind_a_long_one(self):
        self.assertEqual(self.seen(*(udp4(short(number % 2)) for number in range(9))), {})
        seen = self.seen(udp4(short(True)), udp4(quic.opaque(HANDSHAKE)), udp4(short(True)))
        self.assertEqual(seen["quic_short_fwd"], 1)

    def test_ecn_marks(self):
        packet = quic.opaque(HANDSHAKE)
        for make, key in ((udp4, "tos"), (udp6, "tc")):
            frames = [make(b"no QUIC", **{key: 1})]
            frames += [make(packet, **{key: 0xB8 | mark}) for mark in (2, 2, 2, 1, 3, 3, 0)]
            frames += [make(packet, rev=True, **{key: mark}) for mark in (2, 1, 1, 3)] + [make(b"no QUIC", **{key: 3})]
            seen = self.seen(*frames)
            self.assertEqual({name: seen.get(name) for name in QUICChain.fields if "ect" in name or "_ce_" in name},
                             {"quic_ect0_fwd": 3, "quic_ect1_fwd": 1, "quic_ce_fwd": 2,
                              "quic_ect0_rev": 1, "quic_ect1_rev": 2, "quic_ce_rev": 1})


class TestOthers(QUICTest):
    def test_other_protocols(self):
        rtp = b"\x80\x60" + bytes(170)
        for payload in (QUERY, ANSWER, b"", b"x", rtp, b"\xc0" + rtp, b"\xff" * 1300, bytes(1300), b"\xca" * 100,
                        b"\x80\0\0\0\0\0\0", b"\xc0\0\0\0\1\x15" + bytes(100), b"\xc0\0\0\0\1\x14" + bytes(20),
                        b"\x80\0\0\0\1\0\0" + bytes(99)):
            self.assertEqual(self.seen(udp4(payload), udp4(payload, rev=True)), {}, payload)
        self.assertEqual(self.seen(frame(IP(proto=17, frag=3) / Raw(quic.CLIENT_INITIAL))), {})

    def test_what_goes_on_without_a_long_header_is_looked_at_no_longer(self):
        packet = udp4(quic.opaque(HANDSHAKE))
        self.assertNotEqual(self.seen(*[udp4(b"x")] * (TRIES - 1), packet), {})
        self.assertEqual(self.seen(*[udp4(b"x")] * TRIES, packet), {})

    def test_mangled_datagrams(self):
        chance = random.Random(5)
        seeds = [quic.CLIENT_INITIAL, quic.SERVER_INITIAL, quic.RETRY_V2, quic.negotiation([V1]), short(True),
                 quic.opaque(ZERO_RTT) + quic.opaque(HANDSHAKE) + short(dcid=quic.DCID)]
        for _ in range(300):
            frames = []
            for _ in range(5):
                data = bytearray(chance.choice(seeds))
                for _ in range(chance.randrange(4)):
                    data[chance.randrange(min(len(data), 40))] = chance.choice((0, 1, 64, 127, 128, 192, 255))
                frames.append(udp4(bytes(data[: chance.choice((len(data), len(data), chance.randrange(60)))]),
                                   rev=chance.random() < 0.5))
            self.flows(QUICChain, frames)


class TestInitials(QUICTest):
    """What cryptography is needed for."""

    @with_cryptography
    def test_the_samples_of_rfc_9001(self):
        self.assertEqual(quic.initial(quic.CLIENT_FRAMES, number=2, size=1162), quic.CLIENT_INITIAL)
        seen = self.seen(udp4(quic.CLIENT_INITIAL), udp4(quic.SERVER_INITIAL, rev=True))
        self.assertEqual(seen, {
            "quic_version_fwd": V1, "quic_dcid_len_fwd": 8, "quic_scid_len_fwd": 0, "quic_initial_fwd": True,
            "quic_version_rev": V1, "quic_dcid_len_rev": 0, "quic_scid_len_rev": 8, "quic_initial_rev": True,
            "quic_sni": "example.com", "quic_alpn": ["alpn"], "quic_ack_ecn": False})

    @with_cryptography
    def test_version_2_with_the_sample_of_rfc_9369(self):
        client = quic.initial(quic.CLIENT_FRAMES, V2, size=1162)
        seen = self.seen(udp4(client), udp4(quic.SERVER_INITIAL_V2, rev=True))
        self.assertEqual((seen["quic_version_fwd"], seen["quic_sni"], seen["quic_ack_ecn"]), (V2, "example.com", False))

    @with_cryptography
    def test_a_server_that_goes_on_in_version_2(self):  # RFC 9368
        seen = self.seen(udp4(quic.CLIENT_INITIAL), udp4(quic.SERVER_INITIAL_V2, rev=True))
        self.assertEqual((seen["quic_version_rev"], seen["quic_ack_ecn"]), (V2, False))

    @with_cryptography
    def test_ack_ecn(self):
        client = udp4(quic.initial(quic.crypto(HELLO)), tos=2)
        for frames, expected in ((quic.ack(1, 0, 0), True), (quic.ack(), False), (quic.crypto(b"\2\0\0\0"), None),
                                 (b"\0\1" + quic.ack() + quic.ack(0, 0, 70000), True), (b"\3\0\0\x40", None)):
            answer = quic.initial(frames, dcid=CLIENT_ID, key_id=quic.DCID, scid=quic.SERVER_ID, server=True)
            self.assertEqual(self.seen(client, udp4(answer, rev=True)).get("quic_ack_ecn"), expected, frames)
        own = quic.initial(quic.ack(1, 0, 0), number=1, dcid=quic.SERVER_ID, key_id=quic.DCID)
        self.assertNotIn("quic_ack_ecn", self.seen(client, udp4(own)))

    @with_cryptography
    def test_a_hello_in_several_packets_and_out_of_order(self):
        hello = quic.client_hello(b"long.example", [b"h3"], filler=2000)
        chance = random.Random(3)
        for _ in range(20):
            cuts = sorted({0, len(hello), *(chance.randrange(len(hello)) for _ in range(12))})
            parts = [quic.crypto(hello[begin : end + 5], begin) for begin, end in itertools.pairwise(cuts)]
            chance.shuffle(parts)
            packets = [quic.initial(b"\1\0".join(parts[at::3]), number=at, size=1100) for at in range(3)]
            packets.insert(1, packets[0])
            seen = self.seen(*map(udp4, packets))
            self.assertEqual((seen["quic_sni"], seen["quic_alpn"]), ("long.example", ["h3"]))
            self.assertNotIn("quic_sni", self.seen(*map(udp4, packets[:3])))

    @with_cryptography
    def test_coalesced_initials(self):
        both = quic.initial(quic.crypto(HELLO[:50])) + quic.initial(quic.crypto(HELLO[50:], 50), number=1)
        self.assertEqual(self.seen(udp4(both + quic.opaque(ZERO_RTT)))["quic_alpn"], ["h3", "h3-29"])

    @with_cryptography
    def test_after_a_retry_the_keys_are_others(self):
        retry = quic.long_header(RETRY, V1, b"", quic.SERVER_ID) + b"token" + bytes(16)
        again = quic.initial(quic.crypto(HELLO), dcid=quic.SERVER_ID, token=b"token", number=1)
        answer = quic.initial(quic.ack(1, 0, 0), dcid=b"", scid=b"new", key_id=quic.SERVER_ID, server=True)
        for first in (quic.crypto(HELLO), quic.crypto(HELLO[:40])):
            seen = self.seen(udp4(quic.initial(first)), udp4(retry, rev=True), udp4(again), udp4(answer, rev=True))
            self.assertEqual((seen["quic_sni"], seen["quic_ack_ecn"]), ("www.example.org", True))

    @with_cryptography
    def test_a_capture_that_began_with_the_server(self):
        answer = quic.initial(quic.ack(1, 0, 0), dcid=b"", scid=quic.SERVER_ID, key_id=quic.DCID, server=True)
        client = quic.initial(quic.crypto(HELLO))
        seen = self.seen(udp4(answer), udp4(client, rev=True), udp4(answer))
        self.assertEqual((seen["quic_sni"], seen["quic_ack_ecn"]), ("www.example.org", True))

    @with_cryptography
    def test_a_changed_packet_says_nothing(self):
        changed = bytearray(quic.CLIENT_INITIAL)
        changed[-1] ^= 1
        seen = self.seen(udp4(bytes(changed)), udp4(quic.CLIENT_INITIAL[:1000], sport=5353))
        self.assertEqual({"quic_sni", "quic_alpn", "quic_ack_ecn"} & {*seen}, set())
        self.assertTrue(seen["quic_initial_fwd"])

    @with_cryptography
    def test_hostile_flows_cost_no_more_than_their_length(self):
        table = FlowTable([QUICChain()])
        tiny = b"".join(quic.crypto(b"\1", at) for at in range(9000, 2, -2))[:60000]
        packet = udp4(quic.initial(tiny[:1100]))
        pings = udp4(quic.initial(b"\0\1" * 600))
        began = thread_time()
        for number in range(2000):
            table.feed(packet if number % 2 else pings, float(number) / 1000)
        self.assertLess(thread_time() - began, 2)  # 32 of them are opened; it takes 0.05 s
        self.assertEqual(len(table.flush()), 1)

    def test_without_cryptography(self):
        code = ("import sys; sys.modules['cryptography'] = None\n"
                "from pathspider.cmd.main import main; main()")
        client, server = quic.CLIENT_INITIAL, quic.SERVER_INITIAL
        data = pcap([udp4(client), udp4(server, rev=True), udp4(client, sport=9)])
        for pure in ("", "1"):
            done = subprocess.run([sys.executable, "-P", "-c", code, "observe", "-i", "-", "quic"], input=data,
                                  env={**os.environ, "PATHSPIDER_PURE_CHAINS": pure}, check=True, capture_output=True)
            self.assertEqual(done.stderr.decode().count("python3-cryptography"), 1, done.stderr)
            self.assertEqual(done.stdout.count(b'"quic_sni": null'), 2)
            self.assertEqual(done.stdout.count(b'"quic_initial_fwd": true'), 2)


if __name__ == "__main__":
    unittest.main()
