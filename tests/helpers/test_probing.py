"""Sockets for probes, over loopback: what comes back, and that the kernel answers nothing itself."""

import os
import random
import socket
import struct
import time
import unittest

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.helpers.probes import datagram
from pathspider.helpers.probing import ForgedConnection, ForgedFlow, Listener, LiveFlow, Sender, ports_of
from pathspider.helpers.sockets import is_established
from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.lab.scenarios import HOPS_FILE
from tests.helpers import inflow
from tests.libtrace.frames import in_namespace, ip

PATIENCE = 10
OWN = {4: "127.0.0.1", 6: "::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def until(look):
    """What ``look`` returns first that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()) and time.monotonic() < deadline:
        os.sched_yield()
    return found


def header(version):
    own = OWN[version]
    return IP(src=own, dst=own) if version == 4 else IPv6(src=own, dst=own)


class TestForgedFlow(unittest.TestCase):
    def setUp(self):
        self.senders = {version: Sender(own) for version, own in OWN.items()}
        for sender in self.senders.values():
            self.addCleanup(sender.close)

    def flow(self, version, packet, port):
        flow = ForgedFlow(self.senders[version], bytes(packet), (OWN[version], port))
        self.addCleanup(flow.close)
        return flow

    def test_a_syn(self):
        for version, own in OWN.items():
            server = socket.create_server((own, 0), family=FAMILY[version])
            self.addCleanup(server.close)
            port = server.getsockname()[1]
            flow = self.flow(version, header(version) / TCP(dport=port, flags="SEC"), port)
            for number in (1, 2):  # the first was reset: the second is no repetition to the target
                self.assertTrue(flow.send(64, number))
                reply, = until(lambda flow=flow: [*flow.read()])
                self.assertEqual((reply.accepted, reply.ttl), (True, 64))
                self.assertLess(abs(reply.moment - time.time()), PATIENCE)

    def test_a_syn_ack_that_is_sent_again(self):
        for version, own in ((4, "127.0.0.1"), (6, "::1")):
            with self.subTest(own), socket.create_server((own, 0), family=socket.AF_INET if version == 4
                                                         else socket.AF_INET6) as server:
                port = server.getsockname()[1]
                flow = self.flow(version, header(version) / TCP(dport=port, flags="S"), port)
                for number in (1, 2):  # neither has been answered by a RST when it is sent again
                    self.assertTrue(flow.send(64, number))
                replies = []
                until(lambda flow=flow, replies=replies: replies.extend(flow.read()) or len(replies) >= 2)
                self.assertEqual([reply.repeated for reply in replies[:2]], [False, True])

    def test_a_syn_that_is_refused(self):
        for version, own in OWN.items():
            with socket.socket(FAMILY[version]) as closed:
                closed.bind((own, 0))
                port = closed.getsockname()[1]
                flow = self.flow(version, header(version) / TCP(dport=port, flags="S"), port)
                flow.send(64, 1)
                self.assertEqual([reply.accepted for reply in until(lambda flow=flow: [*flow.read()])], [False])

    def test_a_datagram(self):
        for version, own in OWN.items():
            with socket.socket(FAMILY[version], socket.SOCK_DGRAM) as server:
                server.bind((own, 0))
                server.settimeout(PATIENCE)
                port = server.getsockname()[1]
                flow = self.flow(version, header(version) / UDP(dport=port) / Raw(b"query"), port)
                flow.send(64, 1)
                message, source = server.recvfrom(100)
                self.assertEqual((message, source[1]), (b"query", flow.port))
                server.sendto(b"answer", source)
                reply, = until(lambda flow=flow: [*flow.read()])
                self.assertEqual((reply.accepted, reply.ttl), (True, 64))

    def test_a_second_answer_to_quic(self):
        """It may be the first one, sent again: to other datagrams each answer is one of its own."""
        for payload, repeated in ((b"\xc0\0\0\0\1\0\0" + bytes(1193), [False, True]), (b"query", [False, False])):
            with socket.socket(FAMILY[4], socket.SOCK_DGRAM) as server:
                server.bind((OWN[4], 0))
                server.settimeout(PATIENCE)
                port = server.getsockname()[1]
                flow = self.flow(4, header(4) / UDP(dport=port) / Raw(payload), port)
                flow.send(64, 1)
                _, source = server.recvfrom(2000)
                replies = []
                for _ in range(2):
                    server.sendto(b"answer", source)
                until(lambda flow=flow, replies=replies: replies.extend(flow.read()) or len(replies) >= 2)
                self.assertEqual([reply.repeated for reply in replies], repeated)

    def test_another_packet_in_the_same_flow(self):
        server = socket.create_server((OWN[4], 0))
        self.addCleanup(server.close)
        port = server.getsockname()[1]
        with Raw_TCP() as heard:
            flow = self.flow(4, header(4) / TCP(dport=port, flags="SEC"), port)
            flow.send(64, 7, bytes(header(4) / TCP(dport=port, sport=1, flags="S")))
            syn = until(lambda: heard.syn(flow.port))
            self.assertEqual((struct.unpack_from("!I", syn, 24)[0], syn[33]), (flow.seq, 2))

    def test_closed_meanwhile(self):
        for packet in header(4) / TCP(dport=9, flags="S"), header(4) / UDP(dport=9):
            flow = self.flow(4, packet, 9)
            flow.close()
            self.assertEqual([*flow.read()], [])

    def test_what_the_kernel_does_not_take(self):
        self.assertFalse(self.senders[4].send(b"\x45" + bytes(9), OWN[4]))


class TestForgedConnection(unittest.TestCase):
    """Over loopback, where nothing looks at the TTL: each probe arrives."""

    def setUp(self):
        self.senders = {version: Sender(own) for version, own in OWN.items()}
        for sender in self.senders.values():
            self.addCleanup(sender.close)

    def server(self, version):
        server = socket.create_server((OWN[version], 0), family=FAMILY[version])
        self.addCleanup(server.close)
        server.settimeout(PATIENCE)
        return server

    def connection(self, version, server, *, before=(), judge=None, data=b"data"):
        port = server.getsockname()[1]
        ends = header(version)
        stamped = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 0)), ("NOP", None), ("WScale", 7)]
        flow = ForgedConnection(
            self.senders[version], bytes(ends / TCP(dport=port, flags="S", options=stamped)), (OWN[version], port),
            self.data(version, data), before=[self.data(version, one) for one in before], judge=judge)
        self.addCleanup(flow.close)
        return flow

    def data(self, version, data):
        stamped = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
        return bytes(header(version) / TCP(sport=1, dport=2, seq=3, ack=4, flags="PA", options=stamped) / Raw(data))

    def come_up(self, flow, server):
        """Bring it up; the server's end."""
        for _ in range(1 + len(flow.before)):
            self.assertFalse(flow.is_ready)
            state = flow.is_connected, flow.delivered
            self.assertTrue(flow.step())
            until(lambda state=state: [*flow.read()] or (flow.is_connected, flow.delivered) != state)
        self.assertTrue(flow.is_ready)
        client, address = server.accept()
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        self.assertEqual(address[1], flow.port)
        return client

    def replies(self, flow):
        return [reply.accepted for reply in until(lambda: [*flow.read()])]

    def test_data_that_arrive_are_acknowledged(self):
        for version in OWN:
            server = self.server(version)
            flow = self.connection(version, server)
            client = self.come_up(flow, server)
            self.assertTrue(flow.send(3, 7))
            reply, = until(lambda flow=flow: [*flow.read()])
            self.assertEqual((reply.accepted, reply.ttl, client.recv(9)), (True, 64, b"data"))
            self.assertTrue(flow.is_over)
            flow.close()
            with self.assertRaises(ConnectionResetError):
                client.recv(9)

    def test_another_connection_s_data_behind_what_is_delivered_before(self):
        for version in OWN:
            server = self.server(version)
            flow = self.connection(version, server, before=[b"one ", b"two "])
            client = self.come_up(flow, server)
            flow.send(3, 7, self.data(version, b"others'"))
            self.assertEqual((self.replies(flow), client.recv(99)), ([True], b"one two others'"))

    def test_what_is_sent_is_where_it_says(self):
        """One sequence number for all probes, which what is quoted is told by."""
        server = self.server(4)
        with Raw_TCP() as heard:
            flow = self.connection(4, server, before=[b"one"])
            self.come_up(flow, server)
            flow.send(3, 7)
            flow.send(4, 8, self.data(4, b"others'"))
            probes = [packet for packet in until(lambda: heard.data(flow.port, 2)) if packet[8] < 64]
        self.assertEqual([(packet[8], struct.unpack_from("!H", packet, 4)[0], struct.unpack_from("!I", packet, 24)[0])
                          for packet in probes], [(3, 7, flow.seq), (4, 8, flow.seq)])

    def test_an_answer_is_judged(self):
        def judge(octets):
            return None if octets == b"no" else octets == b"yes"

        for version in OWN:
            for said, accepted in ((b"yes", True), (b"no!", False)):
                server = self.server(version)
                flow = self.connection(version, server, judge=judge)
                client = self.come_up(flow, server)
                flow.send(3, 7)
                until(lambda flow=flow: [*flow.read()] or flow.acknowledged)
                self.assertEqual((flow.acknowledged, flow.is_answered, flow.is_over), (True, False, False))
                client.sendall(said[:2])
                until(lambda flow=flow: [*flow.read()] or flow.is_answered)
                client.sendall(said[2:])
                self.assertEqual(self.replies(flow), [accepted])

    def test_who_ends_it_refuses(self):
        for ends in "close", "reset":
            server = self.server(4)
            flow = self.connection(4, server, judge=lambda octets: True)
            client = self.come_up(flow, server)
            flow.send(3, 7)
            self.assertEqual(client.recv(9), b"data")
            if ends == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            self.assertEqual((self.replies(flow), flow.is_over), ([False], True))

    def test_the_end_of_one_that_idles_says_nothing_to_a_probe(self):
        server = self.server(4)
        flow = self.connection(4, server, judge=lambda octets: True)
        client = self.come_up(flow, server)
        client.close()
        until(lambda: [*flow.read()] or flow.is_over)
        self.assertEqual((flow.is_over, flow.is_ready, [*flow.read()]), (True, False, []))

    def test_an_answer_to_what_is_delivered_before(self):
        server = self.server(4)
        flow = self.connection(4, server, before=[b"one", b"two"])
        flow.step()
        until(lambda: [*flow.read()] or flow.is_connected)
        client, _ = server.accept()
        self.addCleanup(client.close)
        flow.step()
        until(lambda: [*flow.read()] or flow.delivered)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until(lambda: [*flow.read()] or flow.is_over)
        self.assertEqual((flow.was_refused, flow.delivered, flow.is_ready), (True, 1, False))

    def test_what_waits_for_the_rest(self):
        """A device that lets no part pass without the others is told from one that drops a part."""
        server = self.server(4)
        flow = self.connection(4, server, before=[b"one "])
        flow.step()
        until(lambda: [*flow.read()] or flow.is_connected)
        flow.send_rest()  # the first part is missing
        self.assertEqual((flow.is_whole, flow.is_over), (True, False))
        flow.step()
        until(lambda: [*flow.read()] or flow.is_over)
        self.assertEqual((flow.is_over, flow.is_ready), (True, False))
        client, _ = server.accept()
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        self.assertEqual(client.recv(99), b"one data")

    def test_a_closed_port(self):
        for version, own in OWN.items():
            with socket.socket(FAMILY[version]) as closed:
                closed.bind((own, 0))
                flow = self.connection(version, closed)
                flow.step()
                until(lambda flow=flow: [*flow.read()] or flow.is_over)
                self.assertEqual((flow.is_over, flow.was_refused, flow.is_connected), (True, True, False))

    def test_nonsense(self):
        server = self.server(4)
        flow = self.connection(4, server, before=[b"one"], judge=lambda octets: None)
        self.come_up(flow, server)
        flow.send(3, 7)
        ports = struct.pack("!HH", flow.target[1], flow.port)
        for seed in range(500):
            octets = random.Random(seed).randbytes(60)
            flow._take(ports + octets)
        self.assertEqual((flow.delivered, flow.is_connected), (1, True))


class Raw_TCP:  # noqa: N801 - reads as what it is
    """All that comes over TCP."""

    def __enter__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
        return self

    def __exit__(self, *_):
        self.sock.close()

    def data(self, port, count):
        """So many segments with data and a small TTL from a port, when they have come."""
        self.came = getattr(self, "came", [])
        try:
            while True:
                packet = self.sock.recv(2000)
                if ports_of(packet)[0] == port and packet[8] < 64:
                    self.came.append(packet)
        except BlockingIOError:
            return self.came if len(self.came) >= count else None

    def syn(self, port):
        """The next SYN from a port."""
        while True:
            try:
                data = self.sock.recv(2000)
            except BlockingIOError:
                return None
            if ports_of(data)[0] == port and data[33] & 0x12 == 2:
                return data


class TestListener(unittest.TestCase):
    def test_hears_errors(self):
        for version, own in OWN.items():
            listener, sender = Listener(version), Sender(own)
            self.addCleanup(listener.close)
            self.addCleanup(sender.close)
            with socket.socket(FAMILY[version], socket.SOCK_DGRAM) as closed:
                closed.bind((own, 0))
                ports = (closed.getsockname()[1], 33434)
            before = time.time()
            sender.send(datagram(own, own, ports, 64, 4711), own)

            def mine(listener=listener, ports=ports):
                return [one for one in listener.read() if (one.quotation.sport, one.quotation.dport) == ports]

            heard, = until(mine)
            self.assertEqual((heard.addr, heard.quotation.kind), (own, "unreachable"))
            self.assertEqual(heard.quotation.ident, 4711 if version == 4 else None)
            self.assertGreater(heard.moment, before - 1)


class TestLiveFlow(unittest.TestCase):
    def test_octet_by_octet(self):
        for version, own in OWN.items():
            server = socket.create_server((own, 0), family=FAMILY[version])
            self.addCleanup(server.close)
            flow = LiveFlow(own, server.getsockname()[:2], b"request", [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
            self.addCleanup(flow.close)
            client, address = server.accept()
            self.addCleanup(client.close)
            client.settimeout(PATIENCE)
            self.assertEqual(flow.port, address[1])
            for octet in b"req":
                self.assertTrue(until(lambda flow=flow: flow.is_ready))
                self.assertTrue(flow.send(1, 0))  # over loopback nothing looks at it
                self.assertTrue(until(lambda flow=flow: flow.arrived))
                self.assertEqual(client.recv(10), bytes([octet]))
            self.assertFalse(flow.is_over)
            flow.finish()
            self.assertEqual(client.recv(10), b"uest")
            self.assertFalse(flow.is_answered)
            client.close()
            self.assertTrue(until(lambda flow=flow: flow.is_answered))

    def test_octets_that_die_on_the_way_arrive(self):
        """Over eight hops, as the server saw it. ``benchmarks/inflow.py`` has a thousand connections."""
        addresses = [clean_address(number, version) for number in range(5) for version in OWN]
        with Lab(scenarios=[HOPS_FILE]) as lab:
            sent, got, quoted = inflow.run(lab, addresses)
        self.assertEqual((len(sent), got), (len(addresses), sent))
        self.assertGreater(quoted, len(addresses) * inflow.PROBES // 2)

    def test_sequence_numbers(self):
        server = socket.create_server((OWN[4], 0))
        self.addCleanup(server.close)
        flow = LiveFlow(OWN[4], server.getsockname(), b"request", [])
        self.addCleanup(flow.close)
        self.assertTrue(until(lambda: flow.is_ready))
        flow.send(64, 0)
        until(lambda: flow.is_ready)
        flow.send(64, 0)
        self.assertTrue(flow.is_current((1 << 32) - 1))
        self.assertFalse(flow.is_current((1 << 32) - 2))
        until(lambda: flow.is_ready)
        flow.send(64, 0)
        self.assertFalse(flow.is_current((1 << 32) - 1))
        self.assertTrue(flow.is_current(0))
        self.assertTrue(flow.is_current(None))

    def test_nobody_listens(self):
        with socket.socket() as closed:
            closed.bind((OWN[4], 0))
            flow = LiveFlow(OWN[4], closed.getsockname(), b"request", [])
            self.addCleanup(flow.close)
            self.assertTrue(until(lambda: flow.is_over))
            self.assertFalse(flow.arrived)
            self.assertFalse(flow.send(1, 0))
            flow.finish()
            self.assertTrue(flow.is_answered)

    def test_the_request_is_used_up(self):
        server = socket.create_server((OWN[4], 0))
        self.addCleanup(server.close)
        flow = LiveFlow(OWN[4], server.getsockname(), b"ab", [])
        self.addCleanup(flow.close)
        self.assertTrue(until(lambda: flow.is_ready))
        flow.send(64, 0)
        self.assertTrue(flow.is_over)

    def test_an_option_that_is_refused(self):
        with self.assertRaises(OSError):
            LiveFlow(OWN[4], (OWN[4], 9), b"request", [(socket.SOL_SOCKET, 12345, 1)])

    def test_established_is_asked_of_the_kernel(self):
        server = socket.create_server((OWN[4], 0))
        flow = LiveFlow(OWN[4], server.getsockname(), b"request", [])
        self.addCleanup(flow.close)
        client, _ = server.accept()
        self.assertTrue(until(lambda: is_established(flow._sock)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        server.close()
        self.assertTrue(until(lambda: flow.is_over))  # reset: what is not under way any more has not arrived
        self.assertFalse(flow.arrived)


class TestSender(unittest.TestCase):
    def test_packets_leave_whole_however_small_those_that_a_path_took(self):
        """What the kernel has learned of a path would refuse them for ten minutes."""
        def sends():
            ip("link set lo up")
            found = []
            for version, (own, target) in {4: ("127.0.0.1", "10.9.0.1"), 6: ("::1", "fd09::1")}.items():
                ip(f"-{version} address add {target} dev lo")
                ip(f"-{version} route replace {target} dev lo table local mtu 1300")
                sender = Sender(own)
                packet = (IP if version == 4 else IPv6)(src=own, dst=target) / UDP(dport=9) / bytes(1352)
                if version == 4:
                    packet.flags = "DF"
                found += [sender.send(bytes(packet), target), sender.trouble]
                sender.close()
            return found

        self.assertEqual(in_namespace(sends), [True, "", True, ""])

    def test_why_a_packet_was_not_taken(self):
        sender = Sender("127.0.0.1")
        self.addCleanup(sender.close)
        self.assertFalse(sender.send(bytes(IP(src="127.0.0.1", dst="192.0.2.1") / UDP()), "192.0.2.1"))
        self.assertIn(sender.trouble, ("EINVAL", "ENETUNREACH"))


if __name__ == "__main__":
    unittest.main()
