"""DNS queries over TCP and UDP: what counts as a response, and whose fault a failure is."""

import socket
import unittest

from pathspider.helpers import poller
from pathspider.helpers.dns import _Channel, _Failure, connect_dns_tcp, connect_dns_udp, query
from pathspider.helpers.forged import report_errors
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.netlab import SOURCE, V4, V6, NetLab

BOTH = (connect_dns_tcp, connect_dns_udp)


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


class TestQuery(unittest.TestCase):
    def test_names_and_types(self):
        self.assertEqual(str(query({}).q).split(), [";.", "IN", "NS"])
        self.assertEqual(str(query({"domain": "example.org"}).q).split(), [";example.org.", "IN", "A"])
        self.assertEqual(str(query({"domain": "example.org", "qtype": "aaaa"}).q.qtype), "28")
        self.assertGreater(len({query({}).header.id for _ in range(20)}), 15)

    def test_what_cannot_be_asked(self):
        for job in ({"domain": "x" * 70 + ".example"}, {"domain": 7}, {"domain": "a", "qtype": "reverse"},
                    {"domain": "a", "qtype": "NOPE"}, {"qtype": 7}, {"domain": "a..b"}, {"domain": "a" * 300}):
            for connect in BOTH:
                with self.subTest(job=job, connect=connect.__name__):
                    result = connect(SOURCE, {"dip": V4, **job}, 1)
                    self.assertEqual((result["spdr_state"], result["local_error"]), (CONN_SKIPPED, "bad_domain"))


class TestChannel(unittest.TestCase):
    def channel(self, target):
        own = self.enterContext(socket.socket(type=socket.SOCK_DGRAM))
        own.bind(("127.0.0.1", 0))
        own.connect(target.getsockname())
        own.setblocking(False)
        report_errors(own, six=False)
        return _Channel(own, "127.0.0.1", own.getsockname()[1], poller.clock() + 5)

    def test_an_answer_counts_whatever_else_came_back(self):
        for answers in (1, 0):
            with socket.socket(type=socket.SOCK_DGRAM) as target:
                target.bind(("127.0.0.1", 0))
                channel = self.channel(target)
                for _ in range(answers):
                    target.sendto(b"answer", channel.sock.getsockname())
            poller.run(channel.send(b"query"))  # nobody is there any more
            for _ in range(answers):
                self.assertEqual(poller.run(channel.receive(100)), b"answer")
            with self.assertRaises(_Failure) as failure:
                poller.run(channel.receive(100))
            self.assertEqual((failure.exception.result["spdr_state"], failure.exception.result["error"]),
                             (CONN_FAILED, "ECONNREFUSED"))


class TestConnections(unittest.TestCase):
    def ask(self, connect, port=netlab.DNS, address=V4, timeout=3.0, **job):
        return connect(SOURCE, {"dip": address, "dp": port, **job}, timeout)

    def test_any_response_code_is_success(self):
        for connect in BOTH:
            for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
                with self.subTest(connect=connect.__name__, address=address):
                    result = self.ask(connect, address=address, domain="Example.ORG")
                    self.assertEqual({**result, "sp": 0}, {"spdr_state": CONN_OK, "sp": 0, "dns_rcode": 0})
                    self.assertTrue(lab.saw(own, result["sp"]))
                    self.assertEqual(connect(SOURCE, {"dip": address}, 3)["dns_rcode"], 5)

    def test_answers_that_are_none(self):
        for connect, kinds in ((connect_dns_tcp, ("garbage", "cut", "echo", "id", "question")),
                               (connect_dns_udp, ("cut", "echo"))):
            for kind in kinds:
                with self.subTest(connect=connect.__name__, kind=kind):
                    result = self.ask(connect, netlab.DNS_BAD, domain=f"{kind}.example")
                    self.assertEqual(result["spdr_state"], CONN_FAILED, result)
                    self.assertGreater(result["sp"], 1023)
            self.assertEqual(self.ask(connect, netlab.DNS_BAD, domain="formerr.example")["dns_rcode"], 1)

    def test_a_datagram_of_another_query_is_not_the_answer(self):
        for kind in ("garbage", "id", "question"):
            with self.subTest(kind):
                result = self.ask(connect_dns_udp, netlab.DNS_BAD, domain=f"{kind}.example", timeout=0.3)
                self.assertEqual((result["spdr_state"], result["error"]),
                                 (CONN_TIMEOUT, "no response, but 1 of another query"))

    def test_the_answer_is_waited_for_behind_others(self):
        for kind in ("first-id", "first-question"):
            result = self.ask(connect_dns_udp, netlab.DNS_BAD, domain=f"{kind}.example")
            self.assertEqual((result["spdr_state"], result.get("dns_rcode")), (CONN_OK, 0), result)

    def test_endings(self):
        for connect in BOTH:
            for address in (V4, V6):
                for port, state in ((netlab.CLOSED, CONN_FAILED), (netlab.UNREACHABLE, CONN_FAILED),
                                    (netlab.PROHIBITED, CONN_FAILED), (netlab.DROP, CONN_TIMEOUT)):
                    with self.subTest(connect=connect.__name__, address=address, port=port):
                        result = self.ask(connect, port, address, timeout=0.3 if state == CONN_TIMEOUT else 3)
                        self.assertEqual(result["spdr_state"], state, result)
                        self.assertGreater(result["sp"], 1023)
                        self.assertNotIn("local_error", result)

    def test_a_server_that_closes_or_says_nothing(self):
        self.assertEqual(self.ask(connect_dns_tcp, netlab.RESET)["spdr_state"], CONN_FAILED)
        self.assertEqual(self.ask(connect_dns_tcp, netlab.MUTE_END)["spdr_state"], CONN_FAILED)
        self.assertEqual(self.ask(connect_dns_tcp, netlab.SILENT, timeout=0.3)["spdr_state"], CONN_TIMEOUT)

    def test_tcp_fast_open(self):
        for port, state in ((netlab.DNS, CONN_OK), (netlab.DNS, CONN_OK), (netlab.UNREACHABLE, CONN_FAILED),
                            (netlab.DROP, CONN_TIMEOUT)):
            result = connect_dns_tcp(SOURCE, {"dip": V4, "dp": port}, 0.5, sockopts=[(socket.IPPROTO_TCP, 30, 1)])
            self.assertEqual(result["spdr_state"], state, result)
            self.assertGreater(result["sp"], 1023)

    def test_own_faults(self):
        for connect in BOTH:
            self.assertEqual(self.ask(connect, address="198.51.100.1")["local_error"], "ENETUNREACH")
            self.assertEqual(connect((None, None), {"dip": V4}, 1)["local_error"], "no_ipv4_source")
        rule = "chain out { type filter hook output priority 0; policy accept;\nudp dport 53 drop\n}"
        netlab.sh("nft -f -", f"table inet mine {{ {rule}\n}}")
        self.addCleanup(netlab.sh, "nft delete table inet mine")
        self.assertEqual(self.ask(connect_dns_udp)["local_error"], "EPERM")
