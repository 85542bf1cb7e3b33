"""DNS queries over TCP and UDP: what counts as a response, and whose fault a failure is."""

import socket
import threading
import unittest
from time import thread_time
from unittest import mock

from dnslib import DNSQuestion
from hypothesis import given, settings
from hypothesis import strategies as st

from pathspider.helpers import dns, poller
from pathspider.helpers.dns import _Channel, _Failure, belongs, connect_dns_tcp, connect_dns_udp, judge, query
from pathspider.helpers.forged import report_errors
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.messages import pointer_chains
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
        for domain, name in ((".", b"\0"), ("Straße.de.", b"\x0dxn--strae-oqa\2de\0"), ("-a._b", b"\2-a\2_b\0"),
                             ("a\\046b", b"\6a\\046b\0")):
            self.assertEqual(query({"domain": domain}).pack()[12:-4], name)
        self.assertGreater(len({query({}).header.id for _ in range(20)}), 15)

    def test_what_cannot_be_asked(self):
        for job in ({"domain": "x" * 70 + ".example"}, {"domain": 7}, {"domain": "a", "qtype": "reverse"},
                    {"domain": "a", "qtype": "NOPE"}, {"qtype": 7}, {"domain": "a..b"}, {"domain": "a" * 300}):
            for connect in BOTH:
                with self.subTest(job=job, connect=connect.__name__):
                    result = connect(SOURCE, {"dip": V4, **job}, 1)
                    self.assertEqual((result["spdr_state"], result["local_error"]), (CONN_SKIPPED, "bad_domain"))


class TestAnswers(unittest.TestCase):
    """What belongs to a query, and what is a response to it, by dnslib's own messages and by hostile ones."""

    def setUp(self):
        self.question = query({"domain": "www.Example.org"})
        self.message = self.question.pack()

    def answer(self, rcode=0, id_offset=0, questions=None, **header):
        reply = self.question.reply()
        reply.header.rcode = rcode
        reply.header.id = (reply.header.id + id_offset) % 65536
        for name, value in header.items():
            setattr(reply.header, name, value)
        if questions is not None:
            reply.questions = [DNSQuestion(*one) for one in questions]
        return reply.pack()

    def test_what_belongs_and_what_is_a_response(self):
        own = ("WWW.example.ORG", 1, 1)
        whole = self.answer()
        for name, answer, is_meant, state in (
            ("whole", whole, True, CONN_OK), ("in another case", self.answer(questions=[own]), True, CONN_OK),
            ("an error", self.answer(3), True, CONN_OK), ("truncated", self.answer(tc=1), True, CONN_OK),
            ("refused without a question", self.answer(5, questions=[]), True, CONN_OK),
            ("without a question", self.answer(questions=[]), False, CONN_FAILED),
            ("another id", self.answer(id_offset=1), False, CONN_FAILED),
            ("another name", self.answer(questions=[("example.org", 1, 1)]), False, CONN_FAILED),
            ("a longer name", self.answer(questions=[("a.www.example.org", 1, 1)]), False, CONN_FAILED),
            ("another type", self.answer(questions=[("www.example.org", 33, 1)]), False, CONN_FAILED),
            ("another class", self.answer(questions=[("www.example.org", 1, 3)]), False, CONN_FAILED),
            ("two questions", self.answer(questions=[own, own]), False, CONN_FAILED),
            ("the query itself", self.message, True, CONN_FAILED),
            ("nothing behind the id", self.message[:2], True, CONN_FAILED),
            ("cut in the question", whole[:-1], True, CONN_FAILED),
            ("cut in the name", whole[:20], True, CONN_FAILED),
            ("a label that is too long", whole[:12] + b"\x40" + whole[13:], True, CONN_FAILED),
            ("a pointer", whole[:12] + b"\xc0\x0c\0\1\0\1", True, CONN_FAILED),
            ("a record too few", whole[:7] + b"\1" + whole[8:], True, CONN_FAILED),
            ("empty", b"", False, CONN_FAILED),
        ):
            with self.subTest(name):
                self.assertEqual(belongs(self.message, answer), is_meant)
                self.assertEqual(judge(self.message, answer, 7)["spdr_state"], state)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=4), st.integers(0, 40))
    def test_mangled_ones(self, changes, cut):
        question = query({"domain": "www.example.org"})
        data = bytearray(question.reply().pack())
        for at, value in changes:
            data[at % len(data)] = value
        belongs(question.pack(), bytes(data[:cut]))
        self.assertIn(judge(question.pack(), bytes(data[:cut]), 7)["spdr_state"], (CONN_OK, CONN_FAILED))

    def test_a_hostile_one_costs_microseconds_where_others_wait_and_milliseconds_in_all(self):
        answer = pointer_chains(self.message)
        other = pointer_chains(self.message[:12] + b"\0" + self.message[-4:])
        began = thread_time()
        for _ in range(100):
            self.assertTrue(belongs(self.message, answer))
            self.assertFalse(belongs(self.message, other))
        self.assertLess(thread_time() - began, 0.05)
        began = thread_time()
        self.assertEqual(judge(self.message, answer, 7), {"spdr_state": CONN_OK, "sp": 7, "dns_rcode": 0})
        self.assertLess(thread_time() - began, 0.2)


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


    def test_datagrams_of_other_queries_without_end_do_not_keep_it_beyond_its_time(self):
        with socket.socket(type=socket.SOCK_DGRAM) as target:
            target.bind(("127.0.0.1", 0))
            channel = self.channel(target)
            channel.deadline = poller.clock() + 0.05
            target.sendto(b"there is always one more", channel.sock.getsockname())

            def read():
                self.assertLess(poller.clock(), channel.deadline + 5)
                return b"another", poller.clock() > channel.deadline

            with mock.patch.object(channel, "read_datagram", read), self.assertRaises(_Failure) as failure:
                poller.run(channel.ask(b"query"))
        self.assertRegex(failure.exception.result["error"], "no response, but [0-9]+ of another query")


class TestConnections(unittest.TestCase):
    def ask(self, connect, port=netlab.DNS, address=V4, timeout=3.0, **job):
        return connect(SOURCE, {"dip": address, "dp": port, **job}, timeout)

    def test_any_response_code_is_success(self):
        for connect in BOTH:
            for address, own in ((V4, SOURCE[0]), (V6, SOURCE[1])):
                with self.subTest(connect=connect.__name__, address=address):
                    result = self.ask(connect, address=address, domain="Example.ORG")
                    self.assertEqual({**result, "sp": 0}, {"spdr_state": CONN_OK, "sp": 0, "dns_rcode": 0,
                                                           "proto": 6 if connect is connect_dns_tcp else 17})
                    self.assertTrue(lab.saw(own, result["sp"]))
                    self.assertEqual(connect(SOURCE, {"dip": address}, 3)["dns_rcode"], 5)

    def test_answers_that_are_none(self):
        for connect, kinds in ((connect, ("cut", "echo")) for connect in BOTH):
            for kind in kinds:
                with self.subTest(connect=connect.__name__, kind=kind):
                    result = self.ask(connect, netlab.DNS_BAD, domain=f"{kind}.example")
                    self.assertEqual(result["spdr_state"], CONN_FAILED, result)
                    self.assertGreater(result["sp"], 1023)
            self.assertEqual(self.ask(connect, netlab.DNS_BAD, domain="formerr.example")["dns_rcode"], 1)

    def test_the_answer_is_parsed_in_the_thread_that_asked(self):
        """In the poller's, all other connections would wait meanwhile."""
        for connect in BOTH:
            threads = []

            def judging(*arguments, threads=threads):
                threads.append(threading.get_ident())
                return judge(*arguments)

            with mock.patch.object(dns, "judge", judging):
                result = self.ask(connect, netlab.DNS_BAD, domain="chains.example")
            self.assertEqual((result["spdr_state"], threads), (CONN_OK, [threading.get_ident()]))

    def test_a_hostile_answer_holds_nobody_up(self):
        for connect in BOTH:
            began = thread_time()
            before, result = poller.lag(), self.ask(connect, netlab.DNS_BAD, domain="chains.example")
            self.assertEqual((result["spdr_state"], result.get("dns_rcode")), (CONN_OK, 0))
            self.assertLess(thread_time() - began, 0.3)
            self.assertLess(poller.lag(), max(before, 0.2))

    def test_a_message_of_another_query_is_not_the_answer(self):
        for connect, error in ((connect_dns_udp, "no response, but 1 of another query"),
                               (connect_dns_tcp, "no response")):
            for kind in ("garbage", "id", "question"):
                with self.subTest(connect=connect.__name__, kind=kind):
                    result = self.ask(connect, netlab.DNS_BAD, domain=f"{kind}.example", timeout=0.3)
                    self.assertEqual((result["spdr_state"], result["error"]), (CONN_TIMEOUT, error))

    def test_the_answer_is_waited_for_behind_others(self):
        for connect in BOTH:
            for address in (V4, V6):
                for kind in ("first-id", "first-question"):
                    with self.subTest(connect=connect.__name__, address=address, kind=kind):
                        result = self.ask(connect, netlab.DNS_BAD, address, domain=f"{kind}.example")
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
