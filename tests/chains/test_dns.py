"""DNSChain: responses over UDP and TCP, whole, split, out of order, and hostile."""

import random
import unittest
from time import thread_time

from dnslib import AAAA, MX, QTYPE, RR, TXT, A, DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from pathspider.chains.dns import DNSChain, Stream, is_response
from tests.chains.flows import ChainTest
from tests.helpers.messages import pointer_chains
from tests.libtrace.frames import tcp4, tcp6, udp4

QUERY = DNSRecord.question("www.example.org", "A")
ANSWER = QUERY.reply()
ANSWER.add_answer(
    RR("www.example.org", QTYPE.A, rdata=A("192.0.2.7")),
    RR("www.example.org", QTYPE.AAAA, rdata=AAAA("2001:db8::7")),
    RR("example.org", QTYPE.MX, rdata=MX("mail.example.org")),
    RR("example.org", QTYPE.TXT, rdata=TXT("hello")),
)
QUERY, ANSWER = QUERY.pack(), ANSWER.pack()


def framed(message):
    return len(message).to_bytes(2, "big") + message


class DNS(ChainTest):
    def valid(self, *frames):
        return self.flow(DNSChain, *frames)["dns_response_valid"]

    def test_udp(self):
        self.assertTrue(self.valid(udp4(QUERY), udp4(ANSWER, rev=True)))
        self.assertFalse(self.valid(udp4(QUERY), udp4(QUERY, rev=True)))
        self.assertFalse(self.valid(udp4(QUERY), udp4(ANSWER[:-3], rev=True)))
        self.assertFalse(self.valid(udp4(b""), udp4(b"nonsense" * 4, rev=True)))
        self.assertTrue(self.completes(DNSChain, [udp4(QUERY), udp4(ANSWER, rev=True)]))
        self.assertFalse(self.completes(DNSChain, [udp4(QUERY)]))

    def answered(self, *frames):
        return self.flow(DNSChain, *frames)["dns_answered"]

    def test_the_response_to_the_query(self):
        back = udp4(ANSWER, rev=True)
        self.assertTrue(self.answered(udp4(QUERY), back))
        self.assertTrue(self.answered(udp4(QUERY), udp4(QUERY), back, udp4(b"x"), udp4(b"x", rev=True)))
        self.assertFalse(self.answered(udp4(QUERY)))
        self.assertFalse(self.answered(udp4(ANSWER), back))
        self.assertFalse(self.answered(udp4(b""), back))
        self.assertFalse(self.answered(udp4(b"x"), udp4(QUERY), back), "the query is not the first that went forward")
        self.assertFalse(self.answered(udp4(QUERY), udp4(b"x", rev=True), back), "nor is the response that came back")
        self.assertFalse(self.answered(udp4(QUERY), udp4(b"", rev=True), back))
        for at in (0, 1, 2, 5, 13):  # id, opcode, number of questions, name
            other = bytearray(ANSWER)
            other[at] ^= 8 if at == 2 else 1
            self.assertFalse(self.answered(udp4(QUERY), udp4(bytes(other), rev=True)), at)
        for size in range(len(QUERY)):
            self.assertFalse(self.answered(udp4(QUERY[:size]), back), size)
        for size in range(len(ANSWER)):
            self.assertFalse(self.answered(udp4(QUERY), udp4(ANSWER[:size], rev=True)), size)

    def test_what_is_used_up_exactly_and_says_something(self):
        head = ANSWER[:2] + b"\x84\0" + bytes(8)
        dtls = b"\x16\xfe\xff" + bytes(45)
        for message in (head, head + b"x", dtls, ANSWER + b"\0", ANSWER + QUERY):
            self.assertFalse(self.valid(udp4(message)))
        question = DNSRecord.question("a.example").reply()
        question.header.rcode = 5
        self.assertTrue(self.valid(udp4(question.pack())))  # refused, with the question alone

    def test_no_message_of_another_protocol_ends_the_flow(self):
        dtls = b"\x16\xfe\xff" + bytes(45)
        frames = [udp4(dtls), *[udp4(b"\x17" + b"x" * size) for size in (40, 50, 60, 70)]]
        self.assertFalse(self.completes(DNSChain, frames))

    def test_updates(self):
        """RFC 2136: prerequisites and deletions of class NONE and ANY are records without data."""
        zone = b"\x01a\0\0\x06\0\x01"
        for kind in (1, 28, 255):
            for kind_class in (254, 255):
                record = b"\xc0\x0c" + kind.to_bytes(2, "big") + kind_class.to_bytes(2, "big") + bytes(6)
                for counts in (b"\0\1\0\1\0\0\0\0", b"\0\1\0\0\0\1\0\0"):
                    update = b"\x12\x34\xa8\0" + counts + zone + record
                    self.assertTrue(self.valid(udp4(update, rev=True)))
                    self.assertFalse(self.valid(udp4(b"\x12\x34\x28\0" + update[4:])))  # the request
        plain = b"\x12\x34\x80\0\0\1\0\0\0\1\0\0" + zone + b"\xc0\x0c\0\1\0\xff" + bytes(6)
        self.assertFalse(self.valid(udp4(plain)))

    def conversation(self, make, parts, isn=0xFFFFFFF0):
        """A connection in which the server sends (offset, bytes)."""
        frames = [
            make("S", seq=99),
            make("SA", rev=True, seq=isn, ack=100),
            make("A", seq=100),
            make("PA", seq=100, payload=framed(QUERY)),
        ]
        return frames + [make("PA", rev=True, seq=(isn + 1 + at) & 0xFFFFFFFF, payload=part) for at, part in parts]

    def test_tcp_whole_and_split_anywhere(self):
        data = framed(ANSWER)
        for make in (tcp4, tcp6):
            self.assertTrue(self.valid(*self.conversation(make, [(0, data)])))
        for cut in range(1, len(data)):
            self.assertTrue(self.valid(*self.conversation(tcp4, [(0, data[:cut]), (cut, data[cut:])])), cut)
        self.assertFalse(self.valid(*self.conversation(tcp4, [(0, data[:-1])])))
        self.assertFalse(self.valid(*self.conversation(tcp4, [])))

    def test_tcp_out_of_order_overlapping_and_repeated(self):
        data = framed(ANSWER)
        chance = random.Random(7)
        for _ in range(30):
            parts = []
            at = 0
            while at < len(data):
                size = chance.randint(1, 30)
                begin = max(0, at - chance.randint(0, 5))
                parts.append((begin, data[begin : at + size]))
                at += size
            parts += chance.sample(parts, 2)
            parts = parts[:16]
            chance.shuffle(parts)
            whole = max(begin + len(part) for begin, part in parts) == len(data)
            self.assertEqual(self.valid(*self.conversation(tcp4, parts)), whole)

    def test_a_second_message_and_a_capture_that_began_late(self):
        data = framed(QUERY[:2] + b"\x81\x80" + bytes(8)) + framed(ANSWER)
        self.assertTrue(self.valid(*self.conversation(tcp4, [(0, data)])))
        self.assertTrue(self.valid(tcp4("A"), tcp4("PA", rev=True, seq=77, payload=framed(ANSWER))))

    def test_other_protocols_are_given_up_at_once(self):
        for start in (b"HTTP/1.1 200 OK\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-x\r\n"):
            stream = Stream(5)
            stream.add(5, start)
            self.assertTrue(stream.over)
            self.assertEqual(len(stream.data), 0)

    def test_a_hostile_stream_does_not_grow(self):
        stream = Stream(0)
        for at in range(10, 60000, 2):
            stream.add(at, bytes(1000))
        self.assertLess(sum(map(len, stream.parts.values())) + len(stream.data), 100_000)

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, len(ANSWER) - 1), st.integers(0, 255)), max_size=4),
        st.integers(0, len(ANSWER)),
    )
    def test_mangled_messages(self, changes, cut):
        data = bytearray(ANSWER)
        for at, value in changes:
            data[at] = value
        self.assertIn(is_response(bytes(data[:cut])), (True, False))

    def test_a_loop_of_pointers(self):
        self.assertFalse(is_response(b"\0\0\x80\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"))
        self.assertFalse(is_response(b"\0\0\x80\0\0\1\0\0\0\0\0\0\x01a\xc0\x0c\0\1\0\1"))

    def test_names_that_are_long_chains_of_pointers_cost_no_more_than_others(self):
        message = pointer_chains(QUERY)
        began = thread_time()
        self.assertTrue(is_response(message))
        self.assertFalse(is_response(message[:-1]))
        self.assertLess(thread_time() - began, 0.2)


if __name__ == "__main__":
    unittest.main()
