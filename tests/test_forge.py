"""The forge model: forged packets over loopback, as root, without a capture."""

import argparse
import errno
import json
import socket
import sys
import threading
import unittest
from pathlib import Path
from unittest import mock

from dnslib import DNSRecord
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from scapy.volatile import RandNum, RandShort

from pathspider.forge import ForgeSpider, is_syn, tcp_answer
from pathspider.lab import Lab
from pathspider.lab.scenarios import all_cases
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, SHUTDOWN_SENTINEL

ADDRESSES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Syns(ForgeSpider):
    """Two SYNs to each target."""

    chains = []
    packets = 2

    def forge(self, job, seq):
        return self.ip_header(job) / self.tcp_syn(job)

    def combine_flows(self, flows):
        return [str(int(flow["spdr_state"])) for flow in flows]


class Datagrams(Syns):
    """Two DNS queries to each target."""

    def forge(self, job, seq):
        return self.ip_header(job) / self.dns_query(job)

    def judge(self, job, packet, reply):
        return self.dns_answer(packet, reply)


def make(spider=Syns, timeout=5.0, source=("127.0.0.1", "::1"), uri="int:lo"):
    return spider(4, uri, argparse.Namespace(connect="tcp", timeout=timeout, source=source))


def closed_port(family, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as unused:
        unused.bind((ADDRESSES[family], 0))
        return unused.getsockname()[1]


class ExchangeCase(unittest.TestCase):
    def connect(self, spider, job, seq=0):
        self.addCleanup(lambda: [link.close() for link in spider._worker().links.values()])
        connection = spider.connect(job, seq)
        if "client" in connection:
            self.addCleanup(connection["client"].close)
        return connection


class TestExchange(ExchangeCase):
    def test_a_handshake_is_completed_and_reset_and_the_kernel_keeps_out(self):
        for family, address in ADDRESSES.items():
            with self.subTest(address=address), socket.create_server((address, 0), family=family) as server:
                connection = self.connect(make(), {"dip": address, "dp": server.getsockname()[1]})
                self.assertEqual(connection["spdr_state"], CONN_OK)
                server.settimeout(100)
                accepted, peer = server.accept()  # no RST came between SYN-ACK and ACK
                with accepted:
                    self.assertEqual(peer[1], connection["sp"])
                    with self.assertRaises(ConnectionResetError):
                        accepted.recv(1)

    def test_a_closed_port_refuses(self):
        for family, address in ADDRESSES.items():
            connection = self.connect(make(), {"dip": address, "dp": closed_port(family)})
            self.assertEqual(connection["spdr_state"], CONN_FAILED)

    def test_silence_is_a_timeout_and_the_packet_is_sent_again(self):
        class Impatient(Syns):
            def judge(self, job, packet, reply):
                return None

        with socket.create_server(("127.0.0.1", 0)) as server:
            connection = self.connect(make(Impatient, 0.2), {"dip": "127.0.0.1", "dp": server.getsockname()[1]})
        self.assertEqual(connection["spdr_state"], CONN_TIMEOUT)

    def test_each_packet_has_a_port_of_its_own_that_nobody_else_gets(self):
        spider = make()
        with socket.create_server(("127.0.0.1", 0)) as server:
            job = {"dip": "127.0.0.1", "dp": server.getsockname()[1]}
            ports = [self.connect(spider, job, seq)["sp"] for seq in (0, 1)]
            self.assertNotEqual(*ports)
            for port in ports:
                with socket.socket() as other, self.assertRaises(OSError):
                    other.bind(("127.0.0.1", port))

    def test_a_taken_source_port_is_not_used(self):
        ports = []

        class Chosen(Syns):
            def forge(self, job, seq):
                ports.append(taken.getsockname()[1] if not ports else 0)
                return self.ip_header(job) / self.tcp_syn(job, sport=ports[-1])

        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as taken:
            connection = self.connect(make(Chosen), {"dip": "127.0.0.1", "dp": server.getsockname()[1]})
        self.assertEqual((connection["spdr_state"], len(ports)), (CONN_OK, 2))

    def test_no_address_of_that_version(self):
        connection = self.connect(make(source=("127.0.0.1", None), uri=""), {"dip": "::1", "dp": 80})
        self.assertEqual((connection["spdr_state"], connection["local_error"]), (CONN_SKIPPED, "no_ipv6_source"))

    def test_no_route_is_our_own_fault(self):
        connection = self.connect(make(), {"dip": "255.255.255.255", "dp": 80})
        self.assertEqual(connection["spdr_state"], CONN_SKIPPED)
        self.assertIn("local_error", connection)

    def test_not_applicable(self):
        class Never(Syns):
            def not_applicable(self, job):
                return "because"

        connection = self.connect(make(Never), {"dip": "127.0.0.1", "dp": 80})
        self.assertEqual(connection, {"spdr_state": CONN_SKIPPED, "skipped": "because", "sp": 0})

    def test_random_values_are_drawn_once(self):
        class Random(Syns):
            def forge(self, job, seq):
                return IP(src="127.0.0.1", dst=job["dip"]) / TCP(sport=RandNum(2000, 60000), dport=job["dp"], flags="S")

        with socket.create_server(("127.0.0.1", 0)) as server:
            connection = self.connect(make(Random), {"dip": "127.0.0.1", "dp": server.getsockname()[1]})
        self.assertEqual(connection["spdr_state"], CONN_OK)

    def test_no_descriptor_left_is_our_own_fault(self):
        for place in ("pathspider.forge.Link", "pathspider.forge.Flow"):
            with mock.patch(place, side_effect=OSError(errno.EMFILE, "")):
                self.assertEqual(make().connect({"dip": "127.0.0.1", "dp": 80}, 0)["local_error"], "EMFILE")

    def test_without_the_privilege_the_run_cannot_be(self):
        spider = make()
        with mock.patch("socket.socket", side_effect=PermissionError(errno.EPERM, "")), \
                self.assertRaisesRegex(PermissionError, "CAP_NET_RAW"):
            spider.connect({"dip": "127.0.0.1", "dp": 80}, 0)

    def test_what_is_not_a_packet_is_the_plugin_s_mistake(self):
        class Wrong(Syns):
            def forge(self, job, seq):
                return TCP()

        with self.assertRaisesRegex(TypeError, "IP header"):
            self.connect(make(Wrong), {"dip": "127.0.0.1", "dp": 80})


AUTHENTICATED = """
import argparse, json, sys
sys.path.insert(0, sys.argv[1])
from tests.test_forge import Syns, make
spider = make(timeout=0.9, source=("10.0.0.2", "fd00:10::2"), uri="int:lab0")  # no time for a SYN a second later
print(json.dumps([spider.connect({"dip": address, "dp": 80}, 0)["spdr_state"] for address in sys.argv[2:]]))
"""


class TestSYNAuthentication(unittest.TestCase):
    def test_a_syn_ack_to_another_syn_gets_a_reset_and_the_syn_is_sent_again_at_once(self):
        """The device lets a connection pass that has answered it as the kernel does."""
        with Lab() as lab:
            addresses = [case.address for case in all_cases("dscp")
                         if case.scenario.name == "dscp-syn-authenticated-tcp"]
            command = [sys.executable, "-c", AUTHENTICATED, str(Path(__file__).parents[1]), *addresses]
            done = lab.run(command, capture_output=True, timeout=60)
        self.assertEqual(json.loads(done.stdout), [CONN_OK, CONN_OK], done.stderr)


class Documented(ForgeSpider):
    """The example of the documentation: a SYN first, then a RST."""

    chains = []
    packets = 2

    def forge(self, job, seq):
        sport = 0
        while sport < 1024:
            sport = int(RandShort())
        l4 = TCP(sport=sport, dport=job["dp"])
        ip = IP(src=self.source[0], dst=job["dip"])
        if seq == 0:
            l4.flags = "S"
        if seq == 1:
            l4.flags = "R"
        return ip / l4


class TestDocumentedExample(ExchangeCase):
    def test_example(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            job = {"dip": "127.0.0.1", "dp": server.getsockname()[1]}
            states = [self.connect(make(Documented, 0.2), job, seq)["spdr_state"] for seq in (0, 1)]
        self.assertEqual(states, [CONN_OK, CONN_TIMEOUT])


class TestDatagrams(ExchangeCase):
    def answer(self, family, make_reply):
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((ADDRESSES[family], 0))
        server.settimeout(100)

        def serve():
            with server:
                query, client = server.recvfrom(2000)
                replies = make_reply(query)
                for reply in replies if isinstance(replies, list) else [replies]:
                    server.sendto(reply, client)

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        return {"dip": ADDRESSES[family], "dp": server.getsockname()[1], "domain": "example.com"}

    def test_a_valid_response(self):
        for family in ADDRESSES:
            job = self.answer(family, lambda query: DNSRecord.parse(query).reply().pack())
            connection = self.connect(make(Datagrams), job)
            self.assertEqual((connection["spdr_state"], connection["dns_rcode"]), (CONN_OK, 0))

    def test_an_invalid_response(self):
        for spoil in (lambda query: query, lambda query: DNSRecord.parse(query).reply().pack()[:-1]):
            job = self.answer(socket.AF_INET, spoil)
            self.assertEqual(self.connect(make(Datagrams), job)["spdr_state"], CONN_FAILED)

    def test_the_answer_is_waited_for_behind_those_of_other_queries(self):
        def strays(query):
            answer, other = DNSRecord.parse(query).reply(), DNSRecord.question("another.example").reply()
            other.header.id = answer.header.id
            answer.header.rcode = 5
            return [b"no DNS", bytes([query[0] ^ 1]) + answer.pack()[1:], other.pack(), answer.pack()]

        for family in ADDRESSES:
            connection = self.connect(make(Datagrams), self.answer(family, strays))
            self.assertEqual((connection["spdr_state"], connection.get("dns_rcode")), (CONN_OK, 5), connection)
            connection = self.connect(make(Datagrams, 0.3), self.answer(family, lambda query: strays(query)[:-1]))
            self.assertEqual(connection["spdr_state"], CONN_TIMEOUT)

    def test_what_is_no_query_has_no_response_code(self):
        class Hello(Datagrams):
            def forge(self, job, seq):
                return self.ip_header(job) / self.udp_datagram(job, b"hello")

            def judge(self, job, packet, reply):
                return CONN_OK

        connection = self.connect(make(Hello), self.answer(socket.AF_INET, lambda query: b"world"))
        self.assertEqual((connection["spdr_state"], "dns_rcode" in connection), (CONN_OK, False))

    def test_an_icmp_error_fails_at_once_whichever_packet_it_is_for(self):
        for family, address in ADDRESSES.items():
            job = {"dip": address, "dp": closed_port(family, socket.SOCK_DGRAM)}
            for seq in (0, 1):
                connection = self.connect(make(Datagrams), job, seq)
                self.assertEqual((connection["spdr_state"], connection["error"]), (CONN_FAILED, "ECONNREFUSED"))

    def test_a_domain_that_cannot_be_asked_for(self):
        connection = self.connect(make(Datagrams), {"dip": "127.0.0.1", "dp": 53, "domain": "x" * 300})
        self.assertEqual(connection["local_error"], "bad_domain")


class TestRun(unittest.TestCase):
    def test_records(self):
        spider = make()
        seen = []
        spider.setup = lambda job: seen.append(job["dp"])
        with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
            spider.start()
            jobs = [{"dip": f"127.0.0.{number}", "dp": server.getsockname()[1]} for number in range(1, 9)]
            jobs[0]["dip"], jobs[0]["dp"] = "127.0.0.1", closed_port(socket.AF_INET)

            def feed():
                for job in jobs:
                    spider.add_job(job)
                spider.shutdown()

            threading.Thread(target=feed, daemon=True).start()
            records = list(iter(spider.outqueue.get, SHUTDOWN_SENTINEL))
        self.assertEqual(len(seen), 8)
        self.assertEqual([record["conditions"] for record in records if record["dp"] == jobs[0]["dp"]], [["2", "2"]])


class TestAnswers(unittest.TestCase):
    def test_answers_to_something_else(self):
        packet = IP() / TCP(flags="A")
        self.assertFalse(is_syn(packet))
        self.assertEqual(tcp_answer(packet, bytes(TCP(flags="A"))), CONN_OK)
        self.assertEqual(tcp_answer(packet, bytes(TCP(flags="R"))), CONN_FAILED)

    def test_answers_to_a_syn_with_data(self):
        packet = IP() / TCP(flags="S", seq=9) / Raw(b"12345")
        for ack, state in ((10, CONN_OK), (15, CONN_OK), (16, None)):
            self.assertEqual(tcp_answer(packet, bytes(TCP(flags="SA", ack=ack))), state)

    def test_headers_of_an_ordinary_host(self):
        spider = make(source=("192.0.2.1", "2001:db8::1"))
        four = IP(bytes(spider.ip_header({"dip": "192.0.2.2"}) / spider.tcp_syn({"dip": "192.0.2.2", "dp": 80})))
        self.assertEqual((four.ttl, four.flags, [name for name, _ in four[TCP].options]),
                         (64, "DF", ["MSS", "SAckOK", "Timestamp", "NOP", "WScale"]))
        six = IPv6(bytes(spider.ip_header({"dip": "2001:db8::2"}) / spider.udp_datagram({"dp": 53}, b"x", sport=9)))
        self.assertEqual((six.hlim, six.nh, six[UDP].sport), (64, 17, 9))
