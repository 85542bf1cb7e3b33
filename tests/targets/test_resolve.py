"""Looking names up, against resolvers on loopback."""

import contextlib
import os
import socket
import struct
import tempfile
import threading
import unittest
from pathlib import Path
from time import monotonic, thread_time

import dnslib

from pathspider.targets.resolve import Lookup, lookup, lookups, system_resolvers
from pathspider.targets.resolver import engine
from tests.helpers.messages import pointer_chains
from tests.helpers.resolvers import ADDRESS, KnotCase, ResolverCase, answering

OPT = 11
"""Octets behind the question of a query: the record of EDNS."""


class TestLookup(ResolverCase):
    def lookup(self, *resolvers, timeout=5.0, qtype="A"):
        return lookup(resolvers or ["127.0.0.1"], "alias.example.com", qtype, timeout)

    def test_addresses_behind_an_alias_each_once(self):
        self.serve(ADDRESS)
        self.assertEqual(self.lookup(), Lookup(["192.0.2.7", "192.0.2.8"]))
        self.assertEqual(self.lookup(qtype="AAAA"), Lookup([], "nodata"))

    def test_names_without_addresses(self):
        for rcode, problem in ((3, "nxdomain"), (2, "servfail"), (5, "refused")):
            with self.subTest(problem=problem):
                self.serve(answering(rcode=rcode), address=f"127.0.0.{rcode + 1}")
                self.assertEqual(self.lookup(f"127.0.0.{rcode + 1}"), Lookup([], problem))

    def test_the_same_over_tcp(self):
        self.serve(answering(rcode=2), answering(rcode=2))
        self.assertEqual(self.lookup(), Lookup([], "servfail"))

    def test_another_resolver_knows_better(self):
        self.serve(answering(rcode=2))
        self.serve(ADDRESS, address="127.0.0.2")
        self.assertEqual(self.lookup("127.0.0.1", "127.0.0.2").problem, "")

    def test_a_truncated_answer_is_asked_for_over_tcp(self):
        self.serve(answering(truncated=True), ADDRESS)
        self.assertEqual(self.lookup().answers, ["192.0.2.7", "192.0.2.8"])

    def test_a_resolver_that_speaks_tcp_only(self):
        self.serve(None, ADDRESS)
        self.assertEqual(self.lookup(timeout=0.6).answers, ["192.0.2.7", "192.0.2.8"])

    def test_silence(self):
        self.serve(None)
        self.assertEqual(self.lookup(timeout=0.1).problem, "timeout")

    def test_nobody_there(self):
        self.assertEqual(self.lookup().problem, "unreachable")

    def test_nonsense(self):
        self.serve(lambda query: b"nonsense", lambda query: b"nonsense")
        self.assertEqual(self.lookup(timeout=0.3).problem, "invalid")

    def test_a_hostile_answer_costs_milliseconds(self):
        self.serve(lambda query: pointer_chains(query, 65507))
        began = thread_time()
        self.assertEqual(self.lookup(), Lookup([], "nodata"))
        self.assertLess(thread_time() - began, 0.5)

    def test_all_questions_are_asked_at_once(self):
        """The server answers when both have come."""
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", self.port))

            def serve():
                first, second = sock.recvfrom(2000), sock.recvfrom(2000)
                for query, client in (second, first):
                    kind = dnslib.QTYPE.get(dnslib.DNSRecord.parse(query).q.qtype)
                    address = {"A": "192.0.2.7", "AAAA": "2001:db8::7"}[kind]
                    sock.sendto(answering(f"alias.example.com 60 {kind} {address}")(query), client)
                self.ports = {client[1] for _, client in (first, second)}
                self.ids = {query[:2] for query, _ in (first, second)}

            thread = threading.Thread(target=serve)
            thread.start()
            found = lookups(["127.0.0.1"], "alias.example.com", ["A", "AAAA"], 10)
            thread.join(100)
        self.assertEqual(found, [Lookup(["192.0.2.7"]), Lookup(["2001:db8::7"])])
        self.assertEqual((len(self.ports), len(self.ids)), (2, 2))

    def test_nothing_goes_on_beyond_the_time(self):
        """Silence over UDP, and over TCP behind a truncated answer: with 4 s it used to last 14."""
        for udp in (None, answering(truncated=True)):
            address = f"127.0.0.{2 if udp else 3}"
            self.serve(udp, address=address)
            self.enterContext(socket.create_server((address, self.port)))  # accepts, and says nothing
            began = monotonic()
            found = lookups([address], "alias.example.com", ["A", "AAAA"], 4)
            self.assertLess(monotonic() - began, 12)
            self.assertEqual(found, [Lookup([], "truncated" if udp else "timeout")] * 2)

    def test_a_late_answer_is_taken_while_others_are_asked(self):
        asked = threading.Event()

        def late(query):
            asked.wait(100)
            return ADDRESS(query)

        def silent(query):
            asked.set()

        self.serve(late)
        self.serve(silent, address="127.0.0.2")
        self.assertEqual(self.lookup("127.0.0.1", "127.0.0.2").problem, "")

    def test_another_resolver_while_a_truncated_answer_is_waited_for_in_vain(self):
        self.serve(answering(truncated=True))
        self.enterContext(socket.create_server(("127.0.0.1", self.port)))
        self.serve(ADDRESS, address="127.0.0.2")
        self.assertEqual(self.lookup("127.0.0.1", "127.0.0.2", timeout=3).problem, "")

    def test_a_broken_neighbour_costs_a_good_record_nothing(self):
        short = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3\xc0\0\2"  # an address of three octets
        cut = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0"

        def with_records(*parts, before=(), authority=b""):
            def answer(query):
                good = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7"
                records = [*before, good, *parts]
                counts = struct.pack("!4H", 1, len(records), bool(authority), 0)
                return query[:2] + b"\x81\x80" + counts + query[12:-OPT] + b"".join(records) + authority
            return answer

        for number, answer in enumerate((with_records(short), with_records(cut), with_records(before=[short]),
                                         with_records(authority=cut), with_records(b"\xc0\xff"),
                                         with_records(b"\x80")), 2):
            with self.subTest(number):
                self.serve(answer, address=f"127.0.0.{number}")
                self.assertEqual(self.lookup(f"127.0.0.{number}"), Lookup(["192.0.2.7"]))

    def test_only_broken_ones(self):
        def answer(query):
            return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:-OPT] + \
                b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\xc0\0\2\7\7"
        self.serve(answer, answer)
        self.assertEqual(self.lookup(), Lookup([], "invalid"))

    def test_only_what_the_name_leads_to(self):
        for number, records in enumerate((
            ("other.example.com 60 A 192.0.2.66", "ALIAS.example.com 60 A 192.0.2.7"),
            ("c.example 60 A 192.0.2.7", "b.example 60 CNAME C.example", "Alias.example.com 60 CNAME b.example",
             "d.example 60 A 192.0.2.66"),
        ), 2):
            self.serve(answering(*records), address=f"127.0.0.{number}")
            self.assertEqual(self.lookup(f"127.0.0.{number}"), Lookup(["192.0.2.7"]))

    def test_aliases_in_a_circle_or_without_an_end(self):
        for number, records in enumerate((
            ("alias.example.com 60 CNAME b.example", "b.example 60 CNAME alias.example.com"),
            ("alias.example.com 60 CNAME alias.example.com",), ("alias.example.com 60 CNAME b.example",),
            ("b.example 60 A 192.0.2.66",)), 2):
            self.serve(answering(*records), address=f"127.0.0.{number}")
            self.assertEqual(self.lookup(f"127.0.0.{number}"), Lookup([], "nodata"))

    def test_a_server_without_recursion_has_not_said_that_there_is_nothing(self):
        def referral(query):
            return query[:2] + b"\x80\0" + query[4:]
        self.serve(referral, referral)
        self.assertEqual(self.lookup(), Lookup([], "no_recursion"))
        self.serve(ADDRESS, address="127.0.0.2")
        self.assertEqual(self.lookup("127.0.0.1", "127.0.0.2").problem, "")

    def test_an_answer_from_another_address_or_port_is_none_and_is_named(self):
        for other in (("127.0.0.9", self.port), ("127.0.0.1", 0)):
            self.stranger = self.enterContext(socket.socket(type=socket.SOCK_DGRAM))
            self.stranger.bind(other)
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", self.port))

                def serve(sock=sock):
                    query, client = sock.recvfrom(2000)
                    self.stranger.sendto(ADDRESS(query), client)

                thread = threading.Thread(target=serve)
                thread.start()
                engine._warn_of_source.cache_clear()
                with self.assertLogs("pathspider", "WARNING") as logs:
                    self.assertEqual(self.lookup(timeout=1), Lookup([], "unexpected_source"))
                thread.join(100)
            self.assertIn(f"reply from unexpected source: {'%s#%d' % self.stranger.getsockname()}, "  # noqa: UP031
                          f"expected 127.0.0.1#{self.port}", logs.output[0])

    def test_what_belongs_to_another_query_is_waited_through(self):
        for number, change in enumerate((
            lambda answer: bytes([answer[0] ^ 1]) + answer[1:], lambda answer: answer[:13] + b"x" + answer[14:],
            lambda answer: b"", lambda answer: answer[:7]), 2):
            sock = self.enterContext(socket.socket(type=socket.SOCK_DGRAM))
            sock.bind((f"127.0.0.{number}", self.port))

            def serve(sock=sock, change=change):
                query, client = sock.recvfrom(2000)
                spoofed = change(answering("alias.example.com 60 A 192.0.2.66")(query))
                sock.sendto(spoofed, client)
                sock.sendto(ADDRESS(query), client)

            thread = threading.Thread(target=serve)
            thread.start()
            with self.subTest(number):
                self.assertEqual(self.lookup(f"127.0.0.{number}").answers, ["192.0.2.7", "192.0.2.8"])
            thread.join(100)

    def test_the_case_of_the_question_does_not_matter(self):
        def upper(query):
            answer = ADDRESS(query)
            return answer[:12] + answer[12:29].upper() + answer[29:]
        self.serve(upper)
        self.assertEqual(self.lookup().problem, "")

    def test_ids_and_ports_differ(self):
        seen = []

        def watch(query, client):
            seen.append((query[:2], client[1]))
        self.serve(ADDRESS, watch=watch)
        for _ in range(20):
            self.lookup()
        self.assertGreater(len({number for number, _ in seen}), 15)
        self.assertGreater(len({port for _, port in seen}), 15)

    def test_the_unspecified_address_is_this_machine(self):
        self.serve(ADDRESS)
        self.assertEqual(self.lookup("0.0.0.0").problem, "")

    def test_ipv6(self):
        self.serve(ADDRESS, address="::1")
        self.assertEqual(self.lookup("::1").answers, ["192.0.2.7", "192.0.2.8"])
        self.assertEqual(self.lookup("::1", qtype="AAAA"), Lookup([], "nodata"))

    def test_nothing_stays_open(self):
        self.serve(ADDRESS)
        before = len(os.listdir("/proc/self/fd"))
        self.lookup()
        self.lookup("127.0.0.2", timeout=0.2)
        self.lookup("nonsense")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_texts(self):
        self.serve(answering('alias.example.com 60 TXT "a b" "c"', "alias.example.com 60 A 192.0.2.7"))
        self.assertEqual(self.lookup(qtype="TXT").answers, ['"a b","c"'])

    def test_a_text_longer_than_its_record(self):
        def answer(query):
            reply = answering('alias.example.com 60 TXT "abc"')(query)
            return reply[:-4] + b"\x09abc"
        self.serve(answer, answer)
        self.assertEqual(self.lookup(qtype="TXT").problem, "invalid")

    def test_a_name_that_cannot_be_asked_for(self):
        for name in ("x" * 64 + ".com", "x." * 200):
            self.assertEqual(lookup(["127.0.0.1"], name, "A", 1), Lookup([], "bad_domain"))


class TestKnot(KnotCase):
    """A real server: authoritative for ``example``, and it refuses all else."""

    def lookups(self, name, *qtypes):
        return lookups(["127.0.0.1"], name, qtypes or ("A", "AAAA"), 5)

    def test_what_it_says(self):
        both = [Lookup(["192.0.2.1", "192.0.2.2"]), Lookup(["2001:db8::1"])]
        for name in ("web.example", "WEB.example.", "first.example", "xn--strae-oqa.example", "straße.example"):
            with self.subTest(name):
                found = self.lookups(name)
                self.assertEqual([sorted(found[0].answers), *found[1:]], [both[0].answers, both[1]])
        for name, problem in (("four.example", "nodata"), ("gone.example", "nxdomain"), ("away.example", "nodata"),
                              ("www.example.org", "refused"), (".", "refused")):
            with self.subTest(name):
                self.assertEqual(self.lookups(name, "AAAA"), [Lookup([], problem)])
        self.assertEqual(self.lookups("-lead._under.example", "A"), [Lookup(["192.0.2.9"])])

    def test_more_than_a_datagram_holds(self):
        (found,) = self.lookups("many.example", "A")
        self.assertEqual(len(found.answers), 100)


class TestResolvConf(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "resolv.conf"
            path.write_text(text, encoding="utf-8")
            return system_resolvers(path)

    def test_name_servers(self):
        text = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\n"
        self.assertEqual(self.read(text), ["192.0.2.1", "2001:db8::1"])

    def test_none(self):
        self.assertEqual(self.read("options edns0\nnameserver\n"), ["127.0.0.1"])
        self.assertEqual(system_resolvers(Path("/nonexistent/resolv.conf")), ["127.0.0.1"])
