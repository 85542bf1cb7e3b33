"""What plugins say of flows, remembered by the fields that they look at: the same as if they were asked each time."""

import json
import random
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.libtrace import FlowTable, json_lines
from pathspider.libtrace._core import Answers, Asked
from pathspider.libtrace.compiled import twin
from pathspider.run.judge import timestamp
from tests.libtrace.frames import tcp4, udp4

CHAINS = [twin(BasicChain), twin(TCPChain)]
COMPILED = BasicChain is not CHAINS[0]


def records(frames, judges=True, left_out=()):
    """The flows of frames at their times, as the table holds them."""
    table = FlowTable([chain() for chain in CHAINS])
    table.compact = True
    if judges:
        table.judge(left_out)
    found = []
    for data, moment in frames:
        found += table.feed(data, moment) + table.flush()
    return found


class Judge:
    """Says of a flow what it finds in some of its fields, and counts how often it was asked."""

    def __init__(self, *names, same=True):
        self.names, self.same, self.asked = names, same, 0

    def __call__(self, flow):
        self.asked += 1
        return [f"{name}:{flow[name]}" for name in self.names], self.same


@unittest.skipUnless(COMPILED, "this build has no twins: its records are dicts")
class TestAnswers(unittest.TestCase):
    def said(self, judge, found, ports=()):
        self.assertTrue(Answers(judge, timestamp, ports).add(found))
        return [json.loads(line)["conditions"] for line in json_lines(found).splitlines()]

    def test_it_is_asked_once_for_each_way_to_look(self):
        judge = Judge("proto", "tcp_fin_fwd", "tcp_synflags_fwd")
        frames = [(tcp4(flags), 1.0) for flags in ("S", "S", "SEC", "F", "S", "SEC", "F")] + [(udp4(), 1.0)] * 2
        said = self.said(judge, records(frames))
        plain, ecn, end = (["proto:6", f"tcp_fin_fwd:{fin}", f"tcp_synflags_fwd:{flags}"]
                           for fin, flags in ((False, 2), (False, 0xC2), (True, None)))
        self.assertEqual(said, [plain, plain, ecn, end, plain, ecn, end, *[["proto:17", "tcp_fin_fwd:False",
                                                                          "tcp_synflags_fwd:None"]] * 2])
        self.assertEqual(judge.asked, 4)

    def test_what_must_not_be_remembered(self):
        class Whole(Judge):
            def __call__(self, flow):
                found = super().__call__(flow)
                return (found[0] + [str(len(flow))], True)

        frames = [(tcp4("S"), 1.0)] * 5
        for judge in (Judge("proto", same=False), Judge("sip"), Whole("proto")):
            self.said(judge, records(frames))
            self.assertEqual(judge.asked, 5, judge.names)

    def test_ports_that_do_not_matter_are_all_the_same(self):
        judge = Judge("dp")
        frames = []
        for port in (80, 443, 53, 53, 8080):
            data = bytearray(tcp4("S"))
            data[36:38] = port.to_bytes(2, "big")
            frames.append((bytes(data), 1.0))
        self.assertEqual(self.said(judge, records(frames), (53,)),
                         [["dp:80"], ["dp:80"], ["dp:53"], ["dp:53"], ["dp:80"]])

    def test_more_ways_than_are_remembered(self):
        rng = random.Random(1)
        syn = tcp4("S")
        found = records([(syn, 1.0 + rng.randrange(1, 3000)) for _ in range(6000)])
        begun = [record["pkt_first"] for record in found]
        judge = Judge("pkt_first")
        self.assertEqual(self.said(judge, found), [[f"pkt_first:{moment}"] for moment in begun])
        self.assertLess(judge.asked, 6000)

    def test_fields_that_were_not_asked_for_are_seen_and_left_out(self):
        found = records([(tcp4("S"), 1.5)], left_out=TCPChain.fields)
        Answers(Judge("tcp_synflags_fwd"), timestamp, ()).add(found)
        self.assertEqual(list(json.loads(json_lines(found))),
                         [*BasicChain.fields, "pkt_first", "pkt_last", "path", "conditions", "time"])

    def test_dicts_are_left_to_others(self):
        judge = Judge()
        for found in ([{"sip": "192.0.2.1"}], [*records([(tcp4("S"), 1.0)]), {}]):
            self.assertFalse(Answers(judge, timestamp, ()).add(found))
        self.assertEqual(judge.asked, 0)

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 9e9) | st.integers(0, 4 * 10**15).map(lambda micro: micro / 10**6)
                    | st.integers(0, 2**33).map(lambda second: second + 0.9999997), min_size=1, max_size=20))
    def test_times(self, moments):
        found = records([(tcp4("S"), moment) for moment in moments])
        begun = [record["pkt_first"] for record in found]
        Answers(Judge(), timestamp, ()).add(found)
        told = [json.loads(line)["time"] for line in json_lines(found).splitlines()]
        self.assertEqual(told, [{"from": timestamp(one), "to": timestamp(one)} for one in begun])

    def test_a_time_that_cannot_be(self):
        def refuse(seconds):
            raise OverflowError

        found = records([(tcp4("S"), 1.0)])
        Answers(Judge(), refuse, ()).add(found)
        self.assertNotIn("time", json.loads(json_lines(found)))


class TestAsked(unittest.TestCase):
    FIELDS = {"a": 1, "b": 2}

    def test_reads(self):
        flow = Asked(self.FIELDS)
        self.assertEqual((flow["b"], flow.get("c", 7), flow["a"]), (2, 7, 1))
        self.assertEqual(list(flow.reads), ["b", "c", "a"])

    def test_whoever_looks_at_all_of_it(self):
        for look in (dict, list, len, json.dumps, repr, sorted, lambda flow: {**flow}, lambda flow: "a" in flow,
                     lambda flow: flow | {}, lambda flow: flow == {}, lambda flow: flow.copy(),
                     lambda flow: flow.items(), lambda flow: flow.pop("a"), lambda flow: flow.update(a=3)):
            flow = Asked(self.FIELDS)
            look(flow)
            self.assertIsNone(flow.reads)


if __name__ == "__main__":
    unittest.main()
