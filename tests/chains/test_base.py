"""What a chain gets by deriving from Chain."""

import unittest

from pathspider.chains.base import Chain, Field
from pathspider.libtrace import FlowTable
from tests.libtrace.frames import tcp4, udp4


class Sizes(Chain):
    """The sizes of datagrams; refuses nothing."""

    fields = {"count": Field(int, 0, "datagrams"), "largest": Field(int, None, "largest")}
    scratch = {"_seen": False}

    def udp(self, rec, udp, rev):
        assert rec["_seen"] is (rec["count"] > 0)
        rec["_seen"] = True
        rec["count"] += 1
        return True


class Picky(Sizes):
    def new_flow(self, rec, ip):
        return ip.udp is not None and super().new_flow(rec, ip)


def records(chain, *frames):
    table = FlowTable([chain])
    found = [record for number, data in enumerate(frames) for record in table.feed(data, float(number))]
    return found + table.flush()


class Base(unittest.TestCase):
    def test_a_record_begins_with_the_initial_values_and_ends_without_the_scratch(self):
        (record,) = records(Sizes(), udp4(), udp4(rev=True))
        self.assertEqual(record, {"count": 2, "largest": None, "pkt_first": 0.0, "pkt_last": 1.0})

    def test_a_second_flow_begins_anew(self):
        found = records(Sizes(), udp4(), udp4(), udp4(sport=7))
        self.assertEqual([record["count"] for record in found], [2, 1])

    def test_a_refused_flow_has_no_record_but_another_has(self):
        found = records(Picky(), tcp4("S"), udp4())
        self.assertEqual([record["count"] for record in found], [1])

    def test_hooks_that_a_chain_does_not_define_do_not_end_a_flow(self):
        (record,) = records(Sizes(), tcp4("S"), tcp4("SA", rev=True), tcp4("A"))
        self.assertEqual((record["count"], record["pkt_last"]), (0, 2.0))


if __name__ == "__main__":
    unittest.main()
