"""Paths of eight hops: each is asked, hop by hop, and what comes back is what the table of scenarios says."""

import json
import subprocess
import sys
import unittest
from collections import defaultdict
from pathlib import Path

from pathspider.lab import Lab, scenarios
from pathspider.lab.errors import LabError
from pathspider.lab.hops import BRANCH, HOPS, Place, Quote, Route, hop_address, quirks
from pathspider.lab.impairments import drop_dscp
from pathspider.lab.scenario import Family, Scenario, cases_of
from pathspider.lab.scenarios import HOP_FAMILY, HOPS_FILE
from tests.lab.hop_probes import ROUNDS

FEATURES = {
    "ecn-bleached": ("ect", lambda quoted: quoted["ecn"] == 2),
    "ecn-ect": ("ect", lambda quoted: quoted["ecn"] == 2),
    "ecn-syn-marked": ("syn", lambda quoted: quoted["ecn"] == 0),
    "ecn-": ("syn", lambda quoted: quoted.get("tcp_flags", 0xC2) == 0xC2 if "tcp_flags" in quoted else None),
    "dscp-46-dropped-dnsudp": ("udp", lambda quoted: quoted["dscp"] == 46),
    "dscp": ("syn", lambda quoted: quoted["dscp"] == 46),
    "mss": ("syn", lambda quoted: quoted["mss"] == 1460 if "mss" in quoted else None),
    "tfo-syndata": ("data", lambda quoted: quoted["payload_length"] == 64),
    "tfo": ("syn", lambda quoted: quoted.get("tfo")),
    "evilbit": ("syn", lambda quoted: quoted["evil"]),
    "udpzero": ("udp", lambda quoted: quoted["checksum"] == 0),
    "udpopts": ("udp", lambda quoted: quoted["surplus"] == 4),
}
"""By the beginning of a scenario's name: what to send, and whether a quotation shows it as it was sent."""
CASES = [case for case in cases_of(Family(HOP_FAMILY, scenarios.scenarios_of(HOPS_FILE)))
         if case.scenario.name.startswith(tuple(FEATURES))]
"""Those of forged plugins are for :mod:`tests.run.test_locate`: what they send, no one else forges."""
TTLS = range(1, HOPS + 2)


def feature(case):
    """What to send, and how to tell."""
    return next(how for name, how in FEATURES.items() if case.scenario.name.startswith(name))


def numbered(cases):
    """One probe for each case, side and TTL."""
    number = 1 << 20
    for case in cases:
        kind, _ = feature(case)
        for side in "BA":
            for ttl in TTLS:
                number += 1
                # of UDP the port is the number, too: constant ports are for paths that have branches
                port = number & 0xFFFF if kind == "udp" else 40000 + (side == "B")
                rounds = 1 if case.scenario.route.limited else ROUNDS
                yield case, side, ttl, [port if kind == "udp" else number, case.address, kind, side, ttl, port, rounds]


def place(case, answers):
    """Where it happens, by the simplest search: ask all hops."""
    _, same = feature(case)
    sees = {ttl: same(answers["B", ttl][4]) for ttl in TTLS if answers.get(("B", ttl), [""])[0] == "time_exceeded"}
    low = max((ttl for ttl, one in sees.items() if one), default=0)
    high = min((ttl for ttl, one in sees.items() if one is False), default=0)
    if "dropped" in case.scenario.name:  # that it came is enough
        sees = {ttl: True if one is None else one for ttl, one in sees.items()}
    if not sees and case.scenario.place.word != "first":
        return "not_located:no_answer"
    if sees and set(sees.values()) == {None}:
        return "not_located:short_quote"
    what = "changed"
    if not high:
        what = "dropped"
        high = min((ttl for ttl in TTLS if ttl > max(sees, default=0) and ("A", ttl) in answers
                    and answers["A", ttl][0] == "time_exceeded"), default=0)
        low = max(sees, default=0)
    if not high:
        silent = low < max((ttl for side, ttl in answers if side == "A" and answers[side, ttl][0] != "time_exceeded"),
                           default=TTLS[-1]) - 1
        return "not_located:no_answer" if silent else "reverse_or_target"
    return "first" if (low, high) == (0, 1) else f"{what}:{low}-{high}"


class TestPaths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Lab(scenarios=[HOPS_FILE]) as lab:
            cls.answers = defaultdict(dict)
            by_number = {probe[0]: (case, side, ttl, probe) for case, side, ttl, probe in numbered(CASES)}
            sent = json.dumps([probe for *_, probe in by_number.values()]).encode()
            done = lab.run([sys.executable, "-m", "tests.lab.hop_probes"], data=sent, timeout=60,
                           stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
            for line in done.stdout.splitlines():
                number, *said = json.loads(line)
                case, side, ttl, _ = by_number[number]
                cls.answers[case.address].setdefault((side, ttl), said)

    def answers_of(self, name, version=4):
        case = next(one for one in CASES if (one.scenario.name, one.version) == (name, version))
        return self.answers[case.address]

    def test_the_table(self):
        """Every scenario with a place, over both IP versions."""
        for case in CASES:
            route = case.scenario.route
            if case.scenario.place is None or route.limited or route.proxy or "data-dropped" in case.scenario.name:
                continue  # chance, or what no single packet shows
            with self.subTest(f"{case.scenario.name} IPv{case.version}"):
                found = place(case, self.answers[case.address])
                if case.scenario.instead and found == "reverse_or_target":
                    continue  # it went over the other branch
                self.assertEqual(found, case.scenario.place.word)

    def test_what_all_hops_say_of_a_clean_path(self):
        for version in (4, 6):
            answers = self.answers_of("ecn-clean-tcp-hops", version)
            for ttl in range(1, HOPS + 1):
                kind, addr, left, octets, quoted = answers["B", ttl]
                self.assertEqual((kind, addr, left), ("time_exceeded", hop_address(ttl, version), 65 - ttl))
                self.assertEqual(octets, quoted["length"])
                self.assertEqual((quoted["ttl"], quoted["tcp_flags"], quoted["dscp"], quoted["mss"], quoted["tfo"]),
                                 (1, 0xC2, 46, 1460, True))
            self.assertEqual(answers["B", HOPS + 1][::2][:2], ["syn_ack", 64 - HOPS])

    def test_quotations(self):
        for version in (4, 6):
            header = 20 if version == 4 else 40
            for name, octets, flags in (("ecn-syn-stripped-tcp-quoted-8", 8, False),
                                        ("ecn-syn-stripped-tcp-quoted-padded", 8, False),
                                        ("ecn-syn-stripped-tcp-quoted-28", 28, True),
                                        ("ecn-syn-stripped-tcp-quoted-all", 44, True),
                                        ("ecn-syn-stripped-tcp-quoted-mpls", 44, True)):
                for ttl in range(1, HOPS + 1):
                    kind, addr, _, came, quoted = self.answers_of(name, version)["B", ttl]
                    self.assertEqual((kind, addr, came, "tcp_flags" in quoted),
                                     ("time_exceeded", hop_address(ttl, version), header + octets, flags), name)
                    labels = [one["label"] for one in quoted.get("mpls", ())]
                    self.assertEqual(labels, [24001, 16] if "mpls" in name else [])

    def test_hidden_hops_do_not_count(self):
        for version in (4, 6):
            answers = self.answers_of("ecn-syn-stripped-tcp-hidden-5-6", version)
            met = [answers["B", ttl][1] for ttl in range(1, HOPS - 1)]
            self.assertEqual(met, [hop_address(hop, version) for hop in (1, 2, 3, 4, 7, 8)])
            self.assertEqual(answers["B", HOPS - 1][0], "syn_ack")

    def test_branches(self):
        """By ports: a flow keeps to its branch."""
        for version in (4, 6):
            met = {(self.answers[case.address]["B", 4][1], self.answers[case.address]["B", 5][4]["tcp_flags"])
                   for case in CASES if case.version == version and case.scenario.name == "ecn-syn-stripped-tcp-branch"}
            self.assertLessEqual(met, {(hop_address(4, version), 0xC2), (hop_address(BRANCH, version), 2)})

    def test_a_limit_of_one_a_second(self):
        """Of two probes at the same moment, one is answered at most."""
        for version in (4, 6):
            answers = self.answers_of("ecn-syn-stripped-tcp-limited-4-5", version)
            self.assertLessEqual(sum((side, 4) in answers for side in "AB"), 1)
            self.assertEqual(sum((side, 6) in answers for side in "AB"), 2)

    def test_a_nat_translates_what_is_quoted(self):
        for version in (4, 6):
            answers = self.answers_of("ecn-syn-dropped-tcp-nat", version)
            self.assertEqual([answers["A", ttl][0] for ttl in TTLS], ["time_exceeded"] * HOPS + ["syn_ack"])
            self.assertEqual(answers["A", 5][4]["sport"], 40000)

    def test_a_proxy_answers_tcp_alone(self):
        for version in (4, 6):
            answers = self.answers_of("ecn-no-server-tcp-proxy", version)
            self.assertEqual([answers["B", ttl][0] for ttl in range(1, 7)], ["time_exceeded"] * 4 + ["syn_ack"] * 2)


class TestPlace(unittest.TestCase):
    def test_an_interval_may_be_wider_than_need_be(self):
        place = Place("changed:3-4", ("not_located:rate_limited",))
        for word, right in (("changed:3-4", True), ("changed:2-4", True), ("changed:3-7", True), ("changed:2-3", False),
                            ("changed:4-5", False), ("dropped:3-4", False), ("not_located:rate_limited", True),
                            ("not_located:no_answer", False), ("first", False)):
            self.assertEqual(place.holds(word), right, word)
        self.assertTrue(Place("first").holds("first"))

    def test_what_is_no_place(self):
        for word in ("", "changed", "changed:4-3", "changed:x-4", "first:1", "not_located", "nowhere"):
            with self.assertRaises(LabError, msg=word):
                Place(word)


class TestRoute(unittest.TestCase):
    def test_what_is_none(self):
        for route in ("4", Route(0), Route(BRANCH), Route(4, branches=True), Route(silent=(10,)),
                      Route(quotes={0: Quote()})):
            with self.assertRaises(LabError, msg=route):
                Scenario("x", [drop_dscp(46)], ["dscp"], set(), route=route)
        with self.assertRaises(LabError):
            Scenario("x", [], ["dscp"], set(), place=Place("first"))

    def test_no_rules_where_nothing_is_done(self):
        (case, _) = cases_of(Family(9, [Scenario("x", [drop_dscp(46)], ["dscp"], set(), route=Route(2))]))
        self.assertEqual(quirks(2, [case]), "")

    def test_told_to_users(self):
        route = Route(BRANCH, silent=(1, BRANCH), limited=(3,), quotes={5: Quote(8, padded=True)}, branches=True)
        self.assertEqual(route.about(True), "at hop 4b; hops 1, 4b silent; hop 3 once a second; hop 5 quotes 8 octets, "
                                            "padded; two branches at hop 4")
        self.assertEqual((Route(3).about(True), Route(3).about(False)), ("at hop 3", ""))


if __name__ == "__main__":
    unittest.main()
