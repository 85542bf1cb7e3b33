"""Flows of forged packets over loopback: what they hold, what they hear, and from whom."""

import socket
import struct
import unittest
from time import monotonic

from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from pathspider.helpers.forged import Flow, Link, LocalError, NetworkError, hold_tcp_port

HERE = "127.0.0.1"


class FlowCase(unittest.TestCase):
    def flow(self, protocol, port=9, link=None, source_port=0, target=HERE):
        if link is None:
            link = Link(HERE)
            self.addCleanup(link.close)
        flow = Flow(link, protocol, source_port, (target, port))
        self.addCleanup(flow.close)
        return flow

    def heard(self, flow):
        self.assertTrue(flow.wait(monotonic() + 100))
        return list(flow.read())


class TestPorts(FlowCase):
    def test_a_held_port_is_silent(self):
        with hold_tcp_port("127.0.0.1", 0) as holder, socket.socket() as client:
            client.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                client.connect(holder.getsockname())

    def test_other_segments_of_the_target_are_not_ours(self):
        link = Link("127.0.0.1")
        self.addCleanup(link.close)
        flow = Flow(link, socket.IPPROTO_TCP, 0, ("127.0.0.1", 9))
        self.addCleanup(flow.close)
        link.send(bytes(IP(src="127.0.0.1", dst="127.0.0.1") / TCP(sport=10, dport=flow.source_port)), "127.0.0.1")
        link.send(bytes(IP(src="127.0.0.1", dst="127.0.0.1") / TCP(sport=9, dport=flow.source_port)), "127.0.0.1")
        self.assertTrue(flow.wait(monotonic() + 100))
        self.assertEqual([struct.unpack_from("!HH", segment) for segment in flow.read()], [(9, flow.source_port)])

    def test_a_port_is_given_to_nobody_else_until_it_is_closed(self):
        for protocol, kind in ((socket.IPPROTO_TCP, socket.SOCK_STREAM), (socket.IPPROTO_UDP, socket.SOCK_DGRAM)):
            flow = self.flow(protocol)
            with self.assertRaises(OSError):
                self.flow(protocol, source_port=flow.source_port)
            self.assertGreater(flow.fileno(), 2)
            flow.close()
            with socket.socket(socket.AF_INET, kind) as other:
                other.bind((HERE, flow.source_port))


class TestUDP(FlowCase):
    def test_only_the_target_is_heard(self):
        with socket.socket(type=socket.SOCK_DGRAM) as target, socket.socket(type=socket.SOCK_DGRAM) as other:
            target.bind((HERE, 0))
            flow = self.flow(socket.IPPROTO_UDP, target.getsockname()[1])
            other.sendto(b"other", (HERE, flow.source_port))
            for text in (b"one", b""):
                target.sendto(text, (HERE, flow.source_port))
            self.assertEqual(self.heard(flow), [b"one", b""])
            self.assertFalse(flow.wait(monotonic() - 1))
            self.assertEqual(list(flow.read()), [])

    def test_what_was_heard_comes_before_the_error_which_is_told_once(self):
        with socket.socket(type=socket.SOCK_DGRAM) as target:
            target.bind((HERE, 0))
            port = target.getsockname()[1]
            flow = self.flow(socket.IPPROTO_UDP, port)
            target.sendto(b"before", (HERE, flow.source_port))
        flow.send(bytes(IP(src=HERE, dst=HERE) / UDP(sport=flow.source_port, dport=port) / Raw(b"x")))
        self.assertTrue(flow.wait(monotonic() + 100))
        reading = flow.read()
        self.assertEqual(next(reading), b"before")
        with self.assertRaisesRegex(NetworkError, "ECONNREFUSED"):
            next(reading)
        self.assertEqual(list(flow.read()), [])


class TestOthers(FlowCase):
    def test_a_protocol_without_ports(self):
        flow = self.flow(253, port=0, source_port=7)
        self.assertEqual((flow.source_port, flow.fileno()), (7, -1))
        flow.send(bytes(IP(src=HERE, dst=HERE, proto=253) / Raw(b"experiment")))
        self.assertEqual(self.heard(flow), [b"experiment"])

    def test_what_came_before_is_forgotten_by_the_next_flow_of_a_link(self):
        link = Link(HERE)
        self.addCleanup(link.close)
        first = self.flow(253, 0, link)
        first.send(bytes(IP(src=HERE, dst=HERE, proto=253) / Raw(b"late")))
        self.assertTrue(first.wait(monotonic() + 100))
        second = self.flow(253, 0, link)
        self.assertEqual(list(second.read()), [])

    def test_a_second_flow_hears_its_target_alone(self):
        link = Link(HERE)
        self.addCleanup(link.close)
        self.flow(253, 0, link)
        flow = self.flow(253, 0, link, target="127.0.0.2")
        for source in (HERE, "127.0.0.2"):
            link.send(bytes(IP(src=source, dst=HERE, proto=253) / Raw(source.encode())), HERE)
        self.assertEqual(self.heard(flow), [b"127.0.0.2"])

    def test_what_the_kernel_does_not_take_is_our_own_fault(self):
        flow = self.flow(253, 0)
        with self.assertRaisesRegex(LocalError, "EMSGSIZE"):
            flow.send(bytes(IP(src=HERE, dst=HERE)) + bytes(70_000))
        with self.assertRaisesRegex(LocalError, "EINVAL"):
            flow.send(b"short")


if __name__ == "__main__":
    unittest.main()
