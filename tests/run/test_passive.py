"""What plugins say of flows seen in passing: never more than a measurement of the same connections says."""

import json
import logging
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from scapy.all import DNS, DNSQR, DNSRR, IP, TCP, UDP, Raw

from pathspider.base import PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.mss import MSSChain
from pathspider.chains.tcp import TCPChain
from pathspider.installed import passive_plugins
from pathspider.lab import Lab
from pathspider.libtrace import FlowTable, json_lines
from pathspider.libtrace.compiled import twin
from pathspider.plugins.ecn import ECN
from pathspider.run.passive import OURS, PassiveJudge
from tests.libtrace.frames import frame, tcp4, tcp6, udp4

PSPDR = [sys.executable, "-P", "-m", "pathspider"]
RUNS = {"ecn": "http", "dscp": "dnsudp", "mss": "tcp", "tfo": "dnstcp", "evilbit": "tcp"}

SAID = {
    "ecn": ["negotiation.succeeded", "negotiation.failed", "negotiation.reflected", "ipmark.ect0.seen",
            "ipmark.ect0.not_seen", "ipmark.ect1.seen", "ipmark.ce.seen"],
    "dscp": ["0.replymark:0", "46.replymark:0", "46.replymark:34"],
    "mss": ["option.local.value:1460", "option.remote.value:536", "option.received.absent", "option.received.malformed",
            "option.received.unchanged", "option.received.inflated", "option.received.deflated"],
    "tfo": ["cookie.received", "syndata.acked", "syndata.not_acked"],
    "evilbit": ["mark.seen", "mark.not_seen"],
}
"""What is among the passive conditions of each plugin's paths."""


def key(flow):
    return flow["dip"], flow["dp"], flow["sp"]


def judged(*frames, judge=None, moments=None, **options):
    """The records of frames, a millisecond apart."""
    judge = judge or PassiveJudge(passive_plugins(), [])
    moments = moments or [number / 1000 for number in range(len(frames))]

    def flows(prepare=None):
        table = FlowTable([twin(chain)() for chain in judge.chains], **options)
        if prepare is not None:
            table.compact = True
            prepare(table)
        records = []
        for moment, data in zip(moments, frames, strict=True):
            records += table.feed(data, 1000.0 + moment)
        return [*records, *table.flush()]

    records = [judge.record(flow) for flow in flows()]
    failures = judge.failures.copy()
    lines = [json_lines(judge.records(flows(judge.prepare))) for _ in range(2)]  # the second time, it has been said
    judge.failures = failures
    if lines != [json_lines(records)] * 2:
        raise AssertionError(f"as the table holds them: {lines}, as dicts: {records}")
    return records


def said(*frames, about="", **options):
    """The conditions of frames that are one flow, of one plugin alone."""
    (record,) = judged(*frames, **options)
    return {one.removeprefix(about) for one in record["conditions"] if one.startswith(about)}


def dns(rev=False, number=7, name="www.example.org", **header):
    """A query to a server's port 53, or its response."""
    ends = {"src": "198.51.100.1", "dst": "192.0.2.1"} if rev else {"src": "192.0.2.1", "dst": "198.51.100.1"}
    question = DNSQR(qname=name)
    message = DNS(id=number, qr=1, qd=question, an=DNSRR(rrname=name, rdata="192.0.2.7")) if rev \
        else DNS(id=number, qd=question)
    ports = {"sport": 53, "dport": 5353} if rev else {"sport": 5353, "dport": 53}
    return frame(IP(**ends, **header) / UDP(**ports) / message)


SYN = tcp4("SEC", seq=7, options=[("MSS", 1460)])
PLAIN = tcp4("S", seq=7, options=[("MSS", 1460)])
ACCEPTED = tcp4("SAE", rev=True, seq=90, ack=8, options=[("MSS", 1400)])
REFUSED = tcp4("SA", rev=True, seq=90, ack=8, options=[("MSS", 1400)])
ACK = tcp4("A", seq=8, ack=91)
DATA = tcp4("PA", rev=True, seq=91, ack=8, payload=b"data")
MARKED = tcp4("PA", rev=True, seq=91, ack=8, payload=b"data", tos=2)
ALL_UNSEEN = {"ipmark.ect0.not_seen", "ipmark.ect1.not_seen", "ipmark.ce.not_seen"}


class TestECN(unittest.TestCase):
    def ecn(self, *frames, **options):
        return said(*frames, about="ecn.", **options)

    def test_what_the_syn_ack_said(self):
        self.assertEqual(self.ecn(SYN, ACCEPTED, ACK), {"negotiation.succeeded"})
        self.assertEqual(self.ecn(SYN, REFUSED, ACK), {"negotiation.failed"})
        self.assertEqual(self.ecn(SYN, tcp4("SAEC", rev=True, seq=90, ack=8)), {"negotiation.reflected"})
        self.assertEqual(self.ecn(tcp6("SEC"), tcp6("SAE", rev=True)), {"negotiation.succeeded"})

    def test_who_did_not_ask(self):
        for syn in (PLAIN, tcp4("SE", seq=7), tcp4("SC", seq=7)):
            for answer in (ACCEPTED, REFUSED):
                self.assertEqual(self.ecn(syn, answer, ACK, MARKED), set())

    def test_accurate_ecn_has_answers_of_its_own(self):
        """RFC 9768, table 2: CWR alone, for example, is no refusal."""
        for answer in ("SA", "SAE", "SAC", "SAEC", "SAN", "SANE", "SANC"):
            self.assertEqual(self.ecn(tcp4("SECN", seq=7), tcp4(answer, rev=True, seq=90, ack=8)), set())

    def test_a_syn_that_came_here_with_a_codepoint(self):
        """Servers do not agree then, whoever has set it."""
        for mark in (1, 2, 3):
            self.assertEqual(self.ecn(tcp4("SEC", seq=7, tos=mark), REFUSED, ACK), set())

    def test_marks(self):
        self.assertEqual(self.ecn(SYN, ACCEPTED, ACK, MARKED),
                         {"negotiation.succeeded", *ALL_UNSEEN - {"ipmark.ect0.not_seen"}, "ipmark.ect0.seen"})
        self.assertEqual(self.ecn(SYN, ACCEPTED, ACK, DATA), {"negotiation.succeeded", *ALL_UNSEEN})
        self.assertEqual(self.ecn(SYN, tcp4("SAE", rev=True, seq=90, ack=8, tos=3)),
                         {"negotiation.succeeded", "ipmark.ce.seen"}, "without data, what was not seen tells nothing")
        ours = tcp4("PA", seq=8, ack=91, payload=b"data", tos=3)
        self.assertEqual(self.ecn(SYN, ACCEPTED, ACK, ours), {"negotiation.succeeded"}, "of the other direction")

    def test_a_client_that_falls_back(self):
        self.assertEqual(self.ecn(SYN, PLAIN, REFUSED), set())
        self.assertEqual(self.ecn(SYN, PLAIN, ACCEPTED), set())
        self.assertEqual(self.ecn(SYN, REFUSED, moments=[0, 1.02]), set(), "the capture has lost the second SYN")
        self.assertEqual(self.ecn(SYN, ACCEPTED, PLAIN, ACCEPTED, DATA), set(), "the SYN-ACK was lost behind us")

    def test_one_direction_alone(self):
        for frames in ((SYN, ACK), (ACCEPTED, MARKED), (tcp4("SAEC", rev=True, ack=8), DATA), (MARKED,), (ACK, MARKED)):
            self.assertEqual(self.ecn(*frames), set())

    def test_bogus_and_simultaneous(self):
        self.assertEqual(self.ecn(SYN, tcp4("SA", rev=True, seq=1, ack=5), SYN, ACCEPTED), set())
        there = tcp4("SEC", rev=True, seq=90)
        self.assertEqual(self.ecn(SYN, there, tcp4("SAE", seq=7, ack=91), ACCEPTED), set())

    def test_the_same_ports_again(self):
        again = [tcp4("S", seq=5000), tcp4("SA", rev=True, seq=1, ack=5001), DATA]
        self.assertEqual(self.ecn(SYN, ACCEPTED, *again), set())

    def test_pieces_of_a_long_flow(self):
        frames = [SYN, ACCEPTED, ACK, MARKED, ACK, DATA, ACK, DATA]
        found = [record["conditions"] for record in judged(*frames, judge=PassiveJudge([ECN], []), active_timeout=10,
                                                           moments=[0, 0.01, 0.02, 5, 15, 16, 27, 28])]
        self.assertEqual([bool(one) for one in found], [True, False, False])
        self.assertIn("ecn.ipmark.ect0.seen", found[0])


class TestOthers(unittest.TestCase):
    def test_dscp(self):
        syn, answer, data = (tcp4("S", seq=7, tos=46 << 2), tcp4("SA", rev=True, seq=90, ack=8, tos=10 << 2), DATA)
        self.assertEqual(said(syn, answer, about="dscp."), {"46.replymark:10"})
        self.assertEqual(said(syn, answer, data, about="dscp."), {"46.replymark:10", "46.replymark:0"})
        ours = tcp4("PA", seq=8, ack=91, payload=b"data", tos=8 << 2)
        self.assertEqual(said(syn, answer, ours, data, about="dscp."), set(), "which of ours do they reply to?")
        self.assertEqual(said(answer, syn, about="dscp."), set())
        self.assertEqual(said(data, about="dscp."), set())

    def test_dscp_of_dns(self):
        self.assertEqual(said(dns(tos=46 << 2), dns(rev=True, tos=8 << 2), about="dscp."), {"46.replymark:8"})
        self.assertEqual(said(dns(rev=True), dns(), about="dscp."), set(), "it began with a response")
        self.assertEqual(said(dns(), about="dscp."), set())
        self.assertEqual(said(udp4(), udp4(rev=True), about="dscp."), set(), "who asked?")

    def test_a_response_to_a_query_that_was_not_seen(self):
        """The capture has lost it, or the response to the first one comes later: the codepoint is another query's."""
        asked, also = dns(tos=46 << 2), dns(number=8)
        for response in (dns(rev=True, number=8), dns(rev=True, name="www.example.com")):
            self.assertEqual(said(asked, response), set())
            self.assertEqual(said(asked, also, response, dns(rev=True)), set())
        self.assertEqual(said(asked, also, dns(rev=True), dns(rev=True, number=8), about="dscp."), {"46.replymark:0"})

    def test_mss(self):
        self.assertEqual(said(PLAIN, REFUSED, about="mss.option."),
                         {"local.value:1460", "remote.value:1400", "received.deflated"})
        self.assertEqual(said(PLAIN, tcp4("SA", rev=True, ack=8), about="mss.option."),
                         {"local.value:1460", "received.absent"})
        self.assertEqual(said(PLAIN, about="mss."), set())
        self.assertEqual(said(REFUSED, about="mss."), set())

    def test_mss_that_was_cut_off_is_not_absent(self):
        for cut in range(1, 5):
            self.assertEqual(said(PLAIN, REFUSED[:-cut], about="mss."), set())
            self.assertEqual(said(PLAIN[:-cut], REFUSED, about="mss."), set())

    def tfo(self, cookie, data=b"", answer=(), acked=0):
        syn = tcp4("S", seq=7, payload=data, options=[(34, cookie)])
        return said(syn, tcp4("SA", rev=True, seq=90, ack=8 + acked, options=list(answer)), about="tfo.")

    def test_tfo(self):
        self.assertEqual(self.tfo(b"", answer=[(34, b"8 octets")]), {"cookie.received"})
        self.assertEqual(self.tfo(b"8 octets"), {"cookie.received"})
        self.assertEqual(self.tfo(b"8 octets", b"data", acked=4), {"cookie.received", "syndata.acked"})
        self.assertEqual(self.tfo(b"8 octets", b"data", acked=3), {"cookie.received", "syndata.not_acked"})
        self.assertEqual(self.tfo(b"8 octets", b"data"), {"cookie.received", "syndata.not_acked"})

    def test_tfo_is_silent(self):
        self.assertEqual(self.tfo(b""), set(), "the client may ask with another option kind")
        for odd in (b"abc", b"12345", bytes(18)):
            self.assertEqual(self.tfo(b"", answer=[(34, odd)]), set(), "no client takes such a cookie")
        self.assertEqual(said(PLAIN, tcp4("SA", rev=True, seq=90, ack=8, options=[(34, b"8 octets")]), about="tfo."),
                         set(), "nobody has asked")
        self.assertEqual(self.tfo(b"", b"data", acked=4), set(), "data without a cookie")
        plain = tcp4("S", seq=7, payload=b"data")
        self.assertEqual(said(plain, tcp4("SA", rev=True, ack=12), about="tfo."), set())
        asks = tcp4("S", seq=7, payload=b"data", options=[(34, b"8 octets")])
        self.assertEqual(said(asks, about="tfo."), set(), "the answer may have come another way")
        self.assertEqual(said(asks, tcp4("S", seq=7), tcp4("SA", rev=True, ack=8), about="tfo."), set())

    def evil(self, *bits):
        ends = {"src": "192.0.2.1", "dst": "198.51.100.1"}
        return (frame(IP(flags=bits[0], **ends) / TCP(sport=1234, dport=80, flags="S", seq=7)),
                frame(IP(flags=bits[1], src=ends["dst"], dst=ends["src"])
                      / TCP(sport=80, dport=1234, flags="SA", seq=90, ack=8)))

    def test_evil_bit(self):
        self.assertEqual(said(*self.evil("evil", "evil"), about="evilbit."), {"mark.seen"})
        self.assertEqual(said(*self.evil("evil", "DF"), about="evilbit."), {"mark.not_seen"})
        self.assertEqual(said(*self.evil("DF", "evil"), about="evilbit."), set())
        self.assertEqual(said(self.evil("evil", "DF")[0], about="evilbit."), set())
        self.assertEqual(said(*self.evil("evil", "evil")[::-1], about="evilbit."), set(), "it began with the answer")
        self.assertEqual(said(dns(flags="evil"), dns(rev=True), about="evilbit."), {"mark.not_seen"})

    def test_what_is_neither(self):
        ends = {"src": "192.0.2.1", "dst": "198.51.100.1"}
        for packet in (IP(**ends, proto=132) / Raw(bytes(40)), IP(**ends, proto=6, frag=100) / Raw(bytes(40)),
                       IP(**ends, proto=6) / Raw(bytes(3))):
            (record,) = judged(frame(packet))
            self.assertEqual((record["conditions"], record["path"]), ([], ["192.0.2.1", "*", "198.51.100.1"]))


class TestLoss(unittest.TestCase):
    """Whatever a capture loses, cuts or brings out of order: what is said is true."""

    def flows(self):
        """Packets of a flow with their times, and what is true of it; of ``not_seen`` and of marks of replies, each
        packet tells by itself."""
        late = tcp4("SA", rev=True, seq=90, ack=8, options=[("MSS", 536)])
        lower = {"mss.option.local.value:1460", "mss.option.received.deflated"}
        yield ([(0, SYN), (0.1, ACCEPTED), (0.2, ACK), (0.3, MARKED), (0.4, DATA)],
               {*lower, "mss.option.remote.value:1400", "ecn.negotiation.succeeded", "ecn.ipmark.ect0.seen"})
        yield ([(0, SYN), (1.0, PLAIN), (1.1, REFUSED), (1.2, ACK), (1.3, DATA)],
               {*lower, "mss.option.remote.value:1400"})
        yield [(0, SYN), (1.0, PLAIN), (3.0, PLAIN), (3.1, late)], {*lower, "mss.option.remote.value:536"}
        yield ([(0, SYN), (0.1, tcp4("SA", rev=True, seq=1, ack=3)), (0.2, tcp4("R", seq=3)), (1, SYN), (1.1, REFUSED)],
               {*lower, "mss.option.remote.value:1400", "ecn.negotiation.failed"})
        asks = tcp4("S", seq=7, payload=b"data", options=[(34, b"8 octets")])
        yield ([(0, asks), (1, tcp4("S", seq=7)), (1.1, late)],
               {"mss.option.remote.value:536"})
        yield ([(0, SYN), (0.1, ACCEPTED), (0.2, tcp4("R", seq=8)), (0.3, tcp4("S", seq=5000, options=[("MSS", 536)])),
                (0.4, tcp4("SA", rev=True, seq=700, ack=5001, options=[("MSS", 9000)])), (0.5, DATA)],
               {*lower, "mss.option.remote.value:1400", "ecn.negotiation.succeeded", "mss.option.local.value:536",
                "mss.option.remote.value:9000", "mss.option.received.inflated"})

    def test_conditions_become_fewer_and_not_wrong(self):
        drawn = random.Random(7)
        judge = PassiveJudge(passive_plugins(), [])
        told = set()
        for flow, true in self.flows():
            for _ in range(80):
                seen = [(moment + drawn.choice((0, 0, 0.00001)), data[:drawn.choice((len(data), len(data), 54, 57))])
                        for moment, data in flow if drawn.random() < 0.7]
                if drawn.random() < 0.2:
                    drawn.shuffle(seen)
                for record in judged(*(data for _, data in seen), moments=[moment for moment, _ in seen], judge=judge):
                    found = {one for one in record["conditions"] if not ("not_seen" in one or "replymark" in one)}
                    self.assertLessEqual(found, true, seen)
                    told |= found
        self.assertLessEqual({"ecn.negotiation.succeeded", "ecn.negotiation.failed", "ecn.ipmark.ect0.seen"}, told)


class Odd(PluggableSpider):
    """A plugin of a third party."""

    name = "odd"
    passive_chains = [BasicChain]
    answer = ["odd.twice", "odd.twice", "odd.once"]

    @classmethod
    def passive_conditions(cls, flow):
        return cls.answer


class TestRecords(unittest.TestCase):
    def test_fields_of_the_chains_that_were_asked_for(self):
        judge = PassiveJudge(passive_plugins(), [MSSChain, TCPChain])
        (record,) = judged(SYN, ACCEPTED, judge=judge)
        fields = {name for chain in (BasicChain, MSSChain, TCPChain) for name in chain.fields}
        self.assertEqual(set(record), {*fields, "pkt_first", "pkt_last", "path", "conditions", "time"})
        self.assertEqual(record["path"], ["192.0.2.1", "*", "198.51.100.1"])
        self.assertEqual(record["time"], {"from": "1970-01-01 00:16:40.000000", "to": "1970-01-01 00:16:40.001000"})
        flow = {"sip": "192.0.2.1", "dip": "192.0.2.2", "pkt_first": 1e12, "pkt_last": 1e12}
        self.assertNotIn("time", PassiveJudge([], []).record(flow), "the year is 33658")
        self.assertEqual(PassiveJudge([Odd], []).row(flow), {**flow, "conditions": "odd.twice;odd.once"})

    def test_plugins_of_others_are_asked_about_each_flow(self):
        """They are in the namespace of ours, and may tell any port from any other."""
        class Ports(Odd):
            @classmethod
            def passive_conditions(cls, flow):
                return [f"odd.port:{flow['sp']}"]

        Ports.__module__ = "pathspider.plugins.odd"
        records = judged(udp4(sport=853), udp4(sport=784), judge=PassiveJudge([Ports], []))
        self.assertEqual([record["conditions"] for record in records], [["odd.port:853"], ["odd.port:784"]])

    def test_our_plugins_are_known(self):
        """Unless they are, each is asked about each flow, which takes long."""
        self.assertEqual({plugin.__module__ for plugin in passive_plugins()}, OURS)

    def test_what_is_returned_is_looked_at(self):
        judge = PassiveJudge([Odd, ECN], [])
        self.assertEqual(judge.chains[0], BasicChain)
        (record,) = judged(SYN, ACCEPTED, judge=judge)
        self.assertEqual(record["conditions"], ["odd.twice", "odd.once", "ecn.negotiation.succeeded"])

    def test_a_plugin_that_raises_costs_its_own_conditions(self):
        class Bad(Odd):
            answer = "no.list"

        judge = PassiveJudge([Bad, ECN], [])
        with self.assertLogs("pathspider.run.passive", logging.ERROR) as logs:
            records = judged(SYN, ACCEPTED, udp4(), judge=judge)
        self.assertEqual([record["conditions"] for record in records], [["ecn.negotiation.succeeded"], []])
        self.assertEqual(judge.failures, {"odd": 2})
        (line,) = logs.output
        self.assertIn("plugin odd: TypeError: passive_conditions() returned 'no.list'", line)

    def test_chains_that_a_plugin_names_are_enough_for_it(self):
        for plugin in passive_plugins():
            (record,) = judged(SYN, ACCEPTED, judge=PassiveJudge([plugin], []))
            self.assertEqual(any(record["conditions"]), plugin.name not in ("tfo", "evilbit"), plugin.name)


class TestLab(unittest.TestCase):
    """The lab's paths, measured by each plugin, and the capture of that measurement observed."""

    def test_no_more_than_a_measurement_says(self):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            runs = []
            for plugin, mode in RUNS.items():
                jobs = Path(folder, plugin)
                with jobs.open("wb") as stream:
                    subprocess.run([*PSPDR, "lab", "targets", "--plugin", plugin, "--connect", mode], check=True,
                                   stdout=stream)
                command = [*PSPDR, "measure", "-i", "lab0", "--output-flows", "--input", str(jobs), "--confirm", "0",
                           "--pcap", f"{jobs}.pcapng", plugin, "--connect", mode, "--timeout", "1"]
                runs.append((plugin, lab.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)))
            for plugin, run in runs:
                output, errors = run.communicate(timeout=100)
                self.assertEqual(run.returncode, 0, errors.decode())
                seen = subprocess.run([*PSPDR, "observe", "--plugin", plugin, "-i", f"{folder}/{plugin}.pcapng"],
                                      check=True, capture_output=True).stdout
                flows = {key(flow): flow["conditions"] for flow in map(json.loads, seen.splitlines())}
                self.check(plugin, flows, [json.loads(line) for line in output.splitlines()])

    def check(self, plugin, flows, records):
        found = set()
        for record in records:
            for number, flow in enumerate(record["flow_results"]):
                if key(flow) not in flows:
                    continue
                passive, active = set(flows[key(flow)]), set(record["conditions"])
                if "ecn.negotiation.unclear" in active:  # by another connection, of which this one knows nothing
                    passive -= {"ecn.negotiation.succeeded"}
                with self.subTest(plugin=plugin, scenario=record["scenario"], connection=number):
                    self.assertLessEqual(passive, active)
                    if number == 0 and plugin in ("ecn", "evilbit", "tfo"):
                        self.assertEqual(passive, set(), "it has asked for nothing")
                found |= passive
        self.assertLessEqual(set(SAID[plugin]), {one.removeprefix(f"{plugin}.") for one in found})
        self.assertFalse([one for one in found if ".connectivity." in one or one.startswith("pathspider.")])


if __name__ == "__main__":
    unittest.main()
