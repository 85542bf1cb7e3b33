"""Locating: what is looked for, the stage among the others, and real paths of eight hops."""

import argparse
import io
import json
import os
import subprocess
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from pathspider.conditions import UNLOCATED, first_and_last
from pathspider.installed import available_plugins, declared, find_plugin
from pathspider.lab import Lab, scenarios
from pathspider.lab.scenario import Family, cases_of
from pathspider.lab.scenarios import HOP_FAMILY, HOPS_FILE
from pathspider.quotation import Quotation
from pathspider.records import CONN_FAILED, CONN_OK
from pathspider.run.locate import (
    LOCATE,
    Finding,
    Locator,
    Material,
    Router,
    anyhow,
    differing_in,
    findings,
    of_feature,
    specimens,
)
from pathspider.run.options import RunOptions
from pathspider.run.specimen import SPECIMEN, Specimen
from pathspider.traversal import TraversalSpider

ECN = find_plugin("ecn").located


def first(*args, **kwargs):
    """What is located, if its packets can show it; or None."""
    return next(findings(*args, **kwargs), None)


class TestFinding(unittest.TestCase):
    def test_confirmed(self):
        broken = Finding("ecn", "dropped", ("tcp_flags", "ecn"))
        for found, confirmed, expected in (
                (["ecn.connectivity.broken"], False, broken),
                (["ecn.connectivity.broken"], True, None),
                (["ecn.connectivity.broken", "ecn.stable.connectivity.broken"], True, broken),
                (["ecn.connectivity.broken", "ecn.stable.connectivity.works"], True, None),
                (["ecn.connectivity.broken", "ecn.stable.connectivity.unstable"], True, None),
                (["ecn.connectivity.broken", "pathspider.unconfirmed"], True, None),
                (["ecn.connectivity.works"], False, None),
                (["pathspider.not_measured"], False, None),
                ([], False, None)):
            self.assertEqual(first(ECN, found, confirmed=confirmed), expected, found)

    def test_changed(self):
        for name, found, expected in (
                ("ecn", ["ecn.connectivity.works", "ecn.negotiation.failed", "ecn.ipmark.ect0.not_seen"],
                 Finding("ecn", "changed", ("tcp_flags", "ecn"))),
                ("ecn", ["ecn.connectivity.works", "ecn.negotiation.succeeded", "ecn.ipmark.ect0.not_seen"],
                 Finding("ecn", "changed", ("ecn",))),
                ("ecn", ["ecn.connectivity.works", "ecn.negotiation.succeeded", "ecn.ipmark.ect0.seen"], None),
                ("dscp", ["dscp.46.connectivity.works", "dscp.0.replymark:8", "dscp.46.replymark:46"],
                 Finding("dscp.46", "changed", ("dscp",), False)),
                ("dscp", ["dscp.46.connectivity.works", "dscp.0.replymark:0", "dscp.46.replymark:0"],
                 Finding("dscp.46", "changed", ("dscp",), False)),
                ("dscp", ["dscp.46.connectivity.works", "dscp.0.replymark:0", "dscp.46.replymark:8"],
                 Finding("dscp.46", "changed", ("dscp",))),
                ("dscp", ["dscp.46.connectivity.offline"], None),
                ("mss", ["mss.connectivity.online", "mss.option.received.unchanged"], None),
                ("mss", ["mss.connectivity.online", "mss.option.received.deflated"],
                 Finding("mss", "changed", ("mss",))),
                ("tfo", ["tfo.connectivity.works", "tfo.cookie.not_received"], Finding("tfo", "changed", ("tfo",))),
                ("evilbit", ["evilbit.connectivity.works", "evilbit.mark.not_seen"],
                 Finding("evilbit", "changed", ("evil",), False)),
                ("ecn", ["ecn.connectivity.works", "ecn.syn_ect.connectivity.broken",
                         "ecn.syn_ect.stable.connectivity.broken"],
                 Finding("ecn.syn_ect", "dropped", ("tcp_flags", "ecn"))),
                ("udpopts", ["udpopts.connectivity.works"], Finding("udpopts", "changed", ("surplus",), False)),
                ("udpzero", ["udpzero.connectivity.works"], None)):
            self.assertEqual(first(find_plugin(name).located, found, confirmed=True), expected, found)

    def test_what_is_broken_besides_connectivity(self):
        located = find_plugin("quic").located
        works = ["quic.connectivity.works", "quic.answer.response"]
        broken = [*works, "quic.ecn.broken"]
        for found, confirmed, expected in (
                (works, True, None), (broken, False, Finding("quic", "dropped", ("ecn",))), (broken, True, None),
                ([*broken, "quic.stable.ecn.broken"], True, Finding("quic", "dropped", ("ecn",))),
                ([*broken, "quic.stable.ecn.unstable"], True, None),
                ([*works, "quic.ecn.no_mirroring"], True, Finding("quic", "changed", ("ecn",))),
                ([*works, "quic.ecn.validates"], True, None),
                (["quic.connectivity.broken", "quic.stable.connectivity.broken"], True,
                 Finding("quic", "dropped", ("proto",)))):
            self.assertEqual(first(located, found, confirmed=confirmed), expected, found)

    def test_forced(self):
        self.assertEqual([*anyhow(ECN, ["ecn.connectivity.works"])],
                         [Finding("ecn", "changed", fields, suspected=False)
                          for fields in (("tcp_flags", "ecn"), ("ecn",))])
        self.assertEqual([*anyhow({}, ["h2.connectivity.works"])], [])
        self.assertEqual([*anyhow(ECN, ["pathspider.not_observed"])], [])

    def test_variants(self):
        """The condition says which of them; what is broken comes before what may have been changed."""
        works, broken = "tcpopt.99.connectivity.works", "tcpopt.200.connectivity.broken"
        for name, found, expected in (
                ("tcpopt", [works, "tcpopt.99.option.not_returned", broken], Finding("tcpopt.200", "dropped", ())),
                ("tcpopt", [works, "tcpopt.99.option.mirrored"], Finding("tcpopt.99", "changed", (), False)),
                ("tcpopt", ["tcpopt.99.connectivity.offline"], None),
                ("mptcp", ["mptcp.connectivity.works", "mptcp.control.connectivity.broken"],
                 Finding("mptcp.control", "dropped", ())),
                ("accecn", ["accecn.connectivity.works", "accecn.ect0.connectivity.works",
                            "accecn.ect0.forward.bleached"],
                 Finding("accecn.ect0", "changed", ())),
                ("dscpclass", ["dscpclass.8.connectivity.works", "dscpclass.8.replymark:0",
                               "dscpclass.46.connectivity.works", "dscpclass.46.replymark:6"],
                 Finding("dscpclass.46", "changed", ())),
                ("dscpclass", ["dscpclass.8.connectivity.works", "dscpclass.8.replymark:8"],
                 Finding("dscpclass.8", "changed", (), False)),
                ("accecn", ["accecn.connectivity.works", "accecn.ect0.connectivity.works"],
                 Finding("accecn.ect0", "changed", (), False)),
                ("l4s", ["l4s.connectivity.works", "l4s.ect1.forward.bleached", "l4s.control.connectivity.works",
                         "l4s.control.ect1.forward.bleached"], Finding("l4s.control", "changed", ())),
                ("l4s", ["l4s.connectivity.works", "l4s.ect1.forward.bleached", "l4s.control.connectivity.works"],
                 Finding("l4s", "changed", ("ecn",))),
                ("l4s", ["l4s.connectivity.works", "l4s.dscp45.connectivity.works",
                         "l4s.dscp45.ect1.forward.remarked:ect1-ce"], Finding("l4s.dscp45", "changed", ("ecn",))),
                ("l4s", ["l4s.connectivity.works", "l4s.control.connectivity.works"],
                 Finding("l4s.control", "changed", (), False)),
                ("tls", ["tls.plain.answer.server_hello", "tls.ech.connectivity.works", "tls.large.connectivity.broken",
                         "tls.large.answer.none"], Finding("tls.large", "dropped", ())),
                ("tls", ["tls.ech.connectivity.works", "tls.ech.answer.server_hello"], None),
                ("ipv6eh", ["ipv6eh.fragment.8.connectivity.broken"], Finding("ipv6eh.fragment.8", "dropped", ()))):
            self.assertEqual(first(find_plugin(name).located, found, confirmed=False), expected, found)
        stable = ["tcpopt.99.connectivity.broken", "tcpopt.99.stable.connectivity.unstable",
                  broken, "tcpopt.200.stable.connectivity.broken"]
        self.assertEqual(first(find_plugin("tcpopt").located, stable, confirmed=True),
                         Finding("tcpopt.200", "dropped", ()))

    def test_all_that_may_be_located_what_matters_most_first(self):
        found = ["l4s.connectivity.broken", "l4s.control.connectivity.broken", "l4s.dscp45.connectivity.works"]
        self.assertEqual([*findings(find_plugin("l4s").located, found, confirmed=False)],
                         [Finding("l4s", "dropped", ()), Finding("l4s.control", "dropped", ()),
                          Finding("l4s.dscp45", "changed", (), False)])

    def test_of_feature(self):
        """The packets of the connections that are compared where a feature is judged."""
        def made_of(*variants, missing=None):
            return [({"spdr_state": 0, "config": config, **({"variant": name} if name is not None else {})},
                     None if config == missing else packets[config]) for config, name in enumerate(variants)]

        def spider(name, *arguments):
            parser = argparse.ArgumentParser()
            plugin = find_plugin(name)
            plugin.register_args(parser.add_subparsers())
            args = parser.parse_args([name, *arguments])
            args.source = ("192.0.2.1", None)
            return plugin(1, "int:lo", args)

        packets = [Specimen(bytes((number,))) for number in range(4)]
        dscp, mptcp, ecn = spider("dscp"), spider("mptcp"), spider("ecn", "--connect=http", "--syn-ect", "--feedback")
        plain = made_of(None, None, None)
        self.assertEqual(of_feature(plain, dscp, "dscp.46"), Material(packets[0], packets[2], True, (0, 2)))
        once = made_of(None, "", "control")
        for feature, config in (("mptcp", 1), ("mptcp.control", 2)):
            self.assertEqual(of_feature(once, mptcp, feature), Material(packets[0], packets[config], True, (0, config)))
        each = made_of(None, "", None, "control")
        self.assertEqual(of_feature(each, mptcp, "mptcp.control"), Material(packets[2], packets[3], True, (2, 3)))
        self.assertIsNone(of_feature(made_of(None, "", None, "control", missing=0), mptcp, "mptcp"))
        self.assertIsNone(of_feature(made_of(None, None, missing=1), dscp, "dscp.46"))
        for feature, place in (("ecn", 3), ("ecn.syn_ect", 2), ("ecn.feedback", 1)):  # the one that asks comes last
            self.assertEqual(of_feature(made_of(None, None, None, None), ecn, feature),
                             Material(packets[0], packets[place], True, (0, place)))

    def test_connections_of_others_with_variants(self):
        """Plugins of third parties, which say nothing of what is compared."""
        spider = SimpleNamespace(compared=first_and_last, probed=lambda connection, packets: packets)
        packets = [Specimen(bytes((number,))) for number in range(3)]
        flows = [({"spdr_state": 0, "config": place, **more}, packets[place])
                 for place, more in enumerate(({}, {"variant": "a"}, {"variant": "b"}))]
        for feature, place in (("mine.a", 1), ("mine.b", 2), ("mine", 2), ("mine.other", 2)):
            self.assertEqual(of_feature(flows, spider, feature).experiment, packets[place], feature)

    def test_plugins_name_fields_that_there_are(self):
        for plugin in available_plugins():
            for fields in plugin.located.values():
                for name in fields:
                    self.assertTrue(hasattr(Quotation, name), f"{plugin.name}: {name}")

    def test_every_table_of_packets_is_located(self):
        for plugin in available_plugins():
            if issubclass(plugin, TraversalSpider):
                self.assertIn((), plugin.located.values(), plugin.name)

    def test_conditions_are_declared(self):
        for word in ("changed:3-4", "dropped:0-2", "first", "target", "reverse_or_target", "not_located:no_answer",
                     "not_located:rate_limited", "not_located:unstable", "not_located:path_differs",
                     "not_located:short_quote", "not_located:proxy"):
            for feature in ("ecn", "dscp.46"):
                self.assertTrue(declared(f"{feature}.hop.{word}", feature.partition(".")[0]), word)
        for word in ("changed", "first:2", "not_located:whatever", "nowhere"):
            self.assertIsNone(declared(f"ecn.hop.{word}", "ecn"), word)

    def test_specimens(self):
        flows = [{SPECIMEN: Specimen(b"x"), "a": 1}, None, {}]
        self.assertEqual(specimens(flows), [Specimen(b"x"), None, None])
        self.assertEqual(flows[0], {"a": 1})


class TestLocator(unittest.TestCase):
    """Without a network: what is taken, and what becomes of it when the run ends."""

    def setUp(self):
        self.out = []
        spider = SimpleNamespace(name="ecn", options=RunOptions(locate=2), located=ECN, source=(None, None),
                                 live_options=lambda config: None, compared=first_and_last,
                                 probed=lambda connection, packets: packets)
        self.locator = Locator(spider, self.out.append, lambda: None)
        self.packets = self.made_of(Specimen(ASKING))

    def made_of(self, experiment):
        return [({"spdr_state": CONN_OK, "config": 0}, Specimen(SYN)),
                ({"spdr_state": CONN_FAILED, "config": 1}, experiment)]

    def record(self, *found):
        return {"dip": "192.0.2.1", "dp": 80, "conditions": list(found), "path": [None, "*", "192.0.2.1"]}

    def test_what_is_taken(self):
        broken, unlike = "ecn.connectivity.broken", self.made_of(Specimen(SYN))
        accepted = self.made_of(Specimen(ASKING, data=DATA, accepted=True))
        self.assertFalse(self.locator.take(self.record("ecn.connectivity.works"), self.packets))
        self.assertTrue(self.locator.take(self.record(broken), self.packets))
        self.assertFalse(self.locator.take(self.record(broken), unlike))
        self.assertFalse(self.locator.take(self.record(broken), accepted))
        unseen = self.record(broken)
        self.assertFalse(self.locator.take(unseen, self.made_of(None)))
        self.assertEqual(unseen["conditions"], [broken, UNLOCATED])
        self.assertTrue(self.locator.take(self.record(broken), self.packets))
        too_many = self.record(broken)
        self.assertFalse(self.locator.take(too_many, self.packets))
        self.assertEqual(too_many["conditions"], [broken])
        self.assertEqual((self.locator.open, self.locator.taken, self.locator.beyond, self.locator.unlocated),
                         (2, 2, 1, 1))

    def test_data_behind_a_syn_that_was_accepted(self):
        """They were dropped, or something else has to tell them from the baseline's: a field, or what they say."""
        broken = ("ecn.connectivity.broken",)
        for one, other, taken in ((DATA, DATA, False), (b"", DATA, False), (DATA, DATA + b"more", True),
                                  (DATA, DATA[:1] + b"\2" + DATA[2:], True)):
            locator = Locator(self.locator.spider, self.out.append, lambda: None)
            made_of = [(self.packets[0][0], Specimen(SYN, one, accepted=True)),
                       (self.packets[1][0], Specimen(ASKING, other, accepted=True))]
            self.assertIs(locator.take(self.record(*broken), made_of), taken)

    def test_the_fields_that_differ(self):
        """Those of the first packets; of the first data where these do not, or were not dropped."""
        marked, longer = DATA[:1] + b"\2" + DATA[2:], DATA + b"more"
        for syn, data, kind, accepted, fields in (
                (ASKING, marked, "changed", False, ["tcp_flags"]), (ASKING, marked, "dropped", False, ["tcp_flags"]),
                (ASKING, marked, "dropped", True, ["ecn"]), (SYN, marked, "changed", True, ["ecn"]),
                (SYN, longer, "changed", True, ["payload_length"]), (SYN, longer, "dropped", True, []),
                (SYN, DATA, "changed", True, []), (SYN, b"", "changed", True, [])):
            made_of = Material(Specimen(SYN, DATA), Specimen(syn, data, accepted=accepted), True, (0, 1))
            self.assertEqual(differing_in(kind, made_of), fields)

    def test_half_of_what_may_be_located_is_kept_for_what_is_known_to_have_happened(self):
        self.locator.spider.located = find_plugin("dscp").located
        marked = [(connection, specimen._replace(first=specimen.first[:1] + bytes((mark << 2,)) + specimen.first[2:]))
                  for (connection, specimen), mark in zip(self.packets, (0, 46), strict=True)]
        works, reply = "dscp.46.connectivity.works", "dscp.46.replymark:10"
        for found, taken in (([works], True), ([works], False), ([works, reply], True), ([works, reply], False)):
            self.assertIs(self.locator.take(self.record(*found), marked), taken)
        self.assertEqual((self.locator.taken, self.locator.beyond), (2, 1))

    def test_a_plugin_that_cannot_say_what_is_compared(self):
        """Nothing is lost of the record; it is told once."""
        def copies(name, flows):
            return dict(flows[0]), dict(flows[-1])

        def fails(name, flows):
            return flows[0]["ecn_ect0_syn_fwd"], flows[-1]

        for compared in (copies, fails):
            self.locator.spider.compared = compared
            with self.assertLogs("pathspider", "DEBUG") as logs:
                for _ in range(2):
                    record = self.record("ecn.connectivity.broken")
                    self.assertFalse(self.locator.take(record, self.packets))
                    self.assertEqual(record["conditions"], ["ecn.connectivity.broken", UNLOCATED])
            self.assertEqual(logs.records[-1].levelname, "DEBUG")

    def test_stopped(self):
        self.locator.take(self.record("ecn.connectivity.broken"), self.packets)
        self.locator.stop()
        self.locator.run()
        self.assertEqual([record["conditions"] for record in self.out], [["ecn.connectivity.broken", UNLOCATED]])
        self.assertEqual((self.locator.open, self.locator.unlocated), (0, 1))
        late = self.record("ecn.connectivity.broken")
        self.assertFalse(self.locator.take(late, self.packets))
        self.assertIn(UNLOCATED, late["conditions"])
        self.assertEqual(self.locator.why, {"stopped": 2})

    def test_our_own_machine_has_no_socket(self):
        self.locator.take(self.record("ecn.connectivity.broken"), self.packets)
        self.locator.spider.source = ("192.0.2.1", None)
        before = set(os.listdir("/proc/self/fd"))
        with patch("pathspider.helpers.probing.Listener", side_effect=PermissionError), \
                self.assertRaises(PermissionError):
            self.locator.run()
        self.assertEqual([UNLOCATED in record["conditions"] for record in self.out], [True])
        self.assertFalse(self.locator.take(self.record("ecn.connectivity.broken"), self.packets))
        self.assertLess(set(os.listdir("/proc/self/fd")), before)  # its pipe is closed, too

    def test_our_own_machine_has_no_way_there(self):
        thread = threading.Thread(target=self.locator.run, daemon=True)
        thread.start()
        self.locator.take(self.record("ecn.connectivity.broken"), self.packets)
        self.locator.close()
        thread.join(100)
        self.assertFalse(thread.is_alive())
        self.assertEqual([UNLOCATED in record["conditions"] for record in self.out], [True])
        self.assertEqual(self.locator.why.total(), 1)
        (why,) = self.locator.why
        self.assertRegex(why, "^E[A-Z]+$|Errno")

    def test_routers_with_a_limit(self):
        router = Router()
        router.count(10, 2)
        self.assertFalse(router.is_limited)
        router.count(0, 2)
        self.assertTrue(router.is_limited)
        for _ in range(5):
            router.count(20, 0)
        self.assertFalse(router.is_limited)

    def test_the_key_on_the_way_is_none_of_a_record_s(self):
        self.assertTrue(LOCATE.startswith("_"))


def _syns():
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415

    return (bytes(IP(src="192.0.2.77", dst="192.0.2.1") / TCP(dport=80, flags=flags)) for flags in ("S", "SEC"))


SYN, ASKING = _syns()
DATA = SYN[:33] + b"\x18" + SYN[34:] + b"data"

RUNS = {
    ("ecn", "tcp"): ("ecn-syn-stripped-tcp-at-3", "ecn-syn-dropped-tcp-at-6", "ecn-syn-dropped-tcp-at-8",
                     "ecn-syn-dropped-tcp-before-1", "ecn-syn-stripped-tcp-silent-5", "ecn-syn-dropped-tcp-nat",
                     "ecn-syn-reset-tcp-at-4", "ecn-syn-stripped-tcp-quoted-8", "ecn-no-server-tcp-hops",
                     "ecn-no-server-tcp-proxy", "ecn-clean-tcp-hops"),
    ("ecn", "http"): ("ecn-bleached-at-1", "ecn-bleached-at-5", "ecn-clean-http-hops"),
    ("l4s", "http"): ("l4s-accurate-hops", "l4s-bleached-at-3", "l4s-syn-dropped-at-2", "l4s-bleached-silently-at-4",
                      "l4s-data-dropped-at-4", "l4s-data-reset-at-3", "l4s-data-bleached-at-6", "l4s-data-ce-nat"),
    ("tls", "https"): ("tls-clean-hops", "tls-ech-dropped-at-3", "tls-ech-reset-at-7", "tls-ech-alert-at-5",
                       "tls-ech-half-at-3", "tls-large-dropped-at-6", "tls-rest-dropped-at-3",
                       "tls-rest-reset-at-4", "tls-rest-dropped-at-8", "tls-records-alert-at-6", "tls-cut-reset-at-7",
                       "tls-ech-alert-silent-4", "tls-rest-reset-quoted-8"),
    ("dscp", "tcp"): ("dscp-clean-tcp-hops", "dscp-rewritten-at-8"),
    ("tcpopt", "tcp"): ("tcpopt-stripped-at-5", "tcpopt-reset-at-6", "tcpopt-clean-hops"),
    ("dscpclass", "tcp"): ("dscpclass-precedence-at-2", "dscpclass-reflected-hops"),
    ("ipv6eh", "tcp"): ("ipv6eh-destination-dropped-at-7", "ipv6eh-fragment-dropped-at-1"),
    ("quic", "https"): ("quic-dropped-at-4", "quic-initial-dropped-at-5", "quic-ecn-bleached-at-3",
                        "quic-ecn-to-ect1-at-3", "quic-udp-dropped-at-4", "quic-no-counts-hops", "quic-clean-hops"),
    ("udpopts", "dnsudp"): ("udpopts-stripped-at-2", "udpopts-dropped-nat", "udpopts-clean-hops"),
}
"""Scenarios by how they are measured. All others are measured by pspdr lab check --hops 8."""

LOOKED_FOR = {"l4s-accurate-hops", "dscp-clean-tcp-hops", "dscp-rewritten-at-8", "tcpopt-clean-hops",
              "dscpclass-reflected-hops", "udpopts-clean-hops"}
"""Of which nothing is said."""


class TestPaths(unittest.TestCase):
    """Real routers, real servers, over both IP versions."""

    @classmethod
    def setUpClass(cls):
        cases = [*cases_of(Family(HOP_FAMILY, scenarios.scenarios_of(HOPS_FILE)))]
        cls.cases, cls.records = {}, {}
        with Lab(scenarios=[HOPS_FILE]) as lab, ThreadPoolExecutor() as pool:
            runs = []
            for (plugin, mode), names in RUNS.items():
                chosen = [case for case in cases if case.scenario.name in names]
                assert {case.scenario.name for case in chosen} == {*names}
                cls.cases |= {case.address: case for case in chosen}
                jobs = "".join(json.dumps(dict(case.job)) + "\n" for case in chosen)
                command = [sys.executable, "-m", "tests.run.locating", "measure", "-i", "lab0", "--confirm", "0",
                           "--locate", "--locate-rate", "2000", plugin, "--connect", mode, "--timeout", "1"]
                runs.append(pool.submit(lab.run, command, data=jobs.encode(), timeout=300, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]))
            for run in runs:
                assert run.result().returncode == 0, run.result().stderr.decode()
                for record in map(json.loads, io.BytesIO(run.result().stdout)):
                    cls.records[record["dip"]] = record

    def test_each_is_located(self):
        self.assertEqual(self.records.keys(), self.cases.keys())
        for address, case in self.cases.items():
            found = [one.partition(".hop.")[2] for one in self.records[address]["conditions"] if ".hop." in one]
            place = case.scenario.place
            with self.subTest(f"{case.scenario.name} {address}"):
                self.assertEqual(found, [] if place is None else [place.word], self.records[address]["conditions"])
                if case.scenario.name in LOOKED_FOR:
                    self.assertTrue(self.records[address]["hops"]["B"])
                if case.scenario.name == "tcpopt-reset-at-6":
                    self.assertIn("tcpopt.200.hop.dropped:6-7", self.records[address]["conditions"])

    def test_hops_of_records(self):
        for address, record in self.records.items():
            for side in record.get("hops", {}).values():
                self.assertEqual([hop["ttl"] for hop in side], sorted({hop["ttl"] for hop in side}))
                for hop in side:
                    self.assertEqual((":" in hop["addr"], hop["rtt"] < 60), (":" in address, True))
                    self.assertIn(hop["addr"], record["path"])


if __name__ == "__main__":
    unittest.main()
