"""Confirmation: who is a suspect, in which order rounds are made, and what they come to."""

import itertools
import unittest

from pathspider.conditions import is_unfinished
from pathspider.records import CONN_FAILED, CONN_OK, Result
from pathspider.run.confirm import REPEATS, Confirmer, is_lossy, stable_condition, suspicious, word_of
from pathspider.run.match import Merged

JOB = {"dip": "192.0.2.1", "dp": 80}


def record(*conditions, job=JOB):
    return {**job, "path": [], "conditions": [*conditions], "time": {"from": "a", "to": "b"}}


def result(job=JOB, states=(CONN_OK, CONN_FAILED), spans=((1.0, 2.0), (2.0, 3.0))):
    connections = [{"spdr_state": state, "config": number} for number, state in enumerate(states)]
    return Result(job, connections, 1.0, 3.0, spans=spans)


def merged(*what, flows=(None, None), **more):
    return Merged(result(*what, **more), [*flows], 0)


class ConfirmerCase(unittest.TestCase):
    def make(self, most=4, gap=15.0, **more):
        return Confirmer(most, gap, 0, **{"suspicious": suspicious, "plan": 2, **more})

    def suspect(self, confirmer, *found, job=JOB, ended=3.0):
        self.assertTrue(confirmer.suspects_first(result(job), [record(*found, job=job)], ended))

    def rounds(self, confirmer, *said, now=1000.0):
        """Make rounds that say this; the suspect's record, and how many were made."""
        for number, found in enumerate(said, 1):
            again = confirmer.take_due(now * number)
            self.assertIsNotNone(again)
            conditions = [found] if isinstance(found, str) else found
            if written := confirmer.another(again, [record(*conditions)], merged(again), now * number):
                return written[0], number
        return None, len(said)


class TestSuspects(ConfirmerCase):
    def test_who_is_one(self):
        for found, expected in (
            (["ecn.connectivity.broken"], True),
            (["ecn.connectivity.transient", "ecn.negotiation.failed"], True),
            (["dscp.46.connectivity.broken"], True),
            (["ecn.connectivity.works", "ecn.negotiation.failed"], False),
            (["ecn.connectivity.offline"], False),
            (["x.connectivity.online"], False),
            (["pathspider.local_error:paused"], False),
            ([], False),
        ):
            with self.subTest(found=found):
                self.assertEqual(self.make().suspects_first(result(), [record(*found)], 3.0), expected)

    def test_nobody_is_one(self):
        broken = record("ecn.connectivity.broken")
        self.assertFalse(self.make(most=0).suspects_first(result(), [broken], 3.0))
        self.assertFalse(self.make().suspects_first(result(), [], 3.0))
        self.assertFalse(self.make().suspects_first(result(), [broken, broken], 3.0))

    def test_a_plugin_s_own_suspicion(self):
        confirmer = self.make(suspicious=lambda found: [one for one in found if one == "x.negotiation.failed"])
        self.suspect(confirmer, "x.connectivity.works", "x.negotiation.failed")
        written, made = self.rounds(confirmer, "x.negotiation.failed", "x.negotiation.succeeded")
        self.assertEqual((written["conditions"][2:], made), (["x.stable.negotiation.unstable"], 2))


class TestWords(ConfirmerCase):
    def test_each_course(self):
        broken, transient, works, offline = (f"x.connectivity.{word}"
                                             for word in ("broken", "transient", "works", "offline"))
        for first, said, word, made in (
            (broken, [broken] * 4, "broken", 4),
            (transient, [transient] * 4, "transient", 4),
            (broken, [transient], "unstable", 1),
            (transient, [broken], "unstable", 1),
            (broken, [works], "works", 1),
            (transient, [works], "works", 1),
            (broken, [offline], "unstable", 1),
            (broken, [broken, works], "unstable", 2),
            (broken, [broken, transient], "unstable", 2),
            (broken, [broken, broken, broken, offline], "unstable", 4),
        ):
            with self.subTest(said=said, first=first):
                confirmer = self.make()
                self.suspect(confirmer, first)
                written, count = self.rounds(confirmer, *said)
                self.assertEqual(count, made)
                self.assertEqual(written["conditions"], [first, f"x.stable.connectivity.{word}"])
                self.assertEqual(len(written["rounds"]), made)
                self.assertEqual((confirmer.open, confirmer.unconfirmed), (0, 0))

    def test_every_course_of_four_rounds(self):
        words = ("broken", "transient", "works", "offline")
        for course in itertools.product(words, repeat=4):
            said = list(course)
            ends = next((n for n in range(1, 5) if stable_condition("x.connectivity.broken", said[:n], 4)), None)
            stable = stable_condition("x.connectivity.broken", said[:ends], 4)
            self.assertEqual(stable == "x.stable.connectivity.broken", said == ["broken"] * 4, said)
            self.assertNotEqual(stable, "x.stable.connectivity.transient", said)
            self.assertEqual(stable == "x.stable.connectivity.works", said[0] == "works", said)

    def test_two_words_of_one_target(self):
        confirmer = self.make(most=2, plan=3)
        self.suspect(confirmer, "dscp.10.connectivity.broken", "dscp.46.connectivity.broken")
        written, made = self.rounds(confirmer, ["dscp.10.connectivity.works", "dscp.46.connectivity.broken"],
                                    ["dscp.10.connectivity.works", "dscp.46.connectivity.broken"])
        self.assertEqual(made, 2)
        self.assertEqual(written["conditions"][2:],
                         ["dscp.10.stable.connectivity.works", "dscp.46.stable.connectivity.broken"])

    def test_tries_and_what_they_tell(self):
        def flows(*tries):
            return [count and {"evidence_syns_fwd": count} for count in tries]

        for rounds, expected in (
            ([("works", (1, 2))], True),
            ([("broken", (1, 3)), ("broken", (1, 3)), ("works", (1, 1))], False),
            ([("works", (1, 1))], False),
            ([("works", (2, 1))], False),
            ([("works", (None, 2))], False),
            ([("broken", (1, 3)), ("works", (1, 2))], False),
            ([("broken", (1, 3)), ("works", (1, 1))], False),
            ([("broken", (1, 3)), ("works", (2, 1))], False),
            ([("broken", (1, 3)), ("works", (1, 1))], False),
            ([("broken", (1, 3))] * 4, False),
            ([("offline", (1, 3))], False),
        ):
            with self.subTest(rounds=rounds):
                confirmer = self.make()
                self.suspect(confirmer, "x.y.connectivity.broken")
                for word, tries in rounds:
                    states = [CONN_OK if up else CONN_FAILED for up in (word != "offline", word == "works")]
                    written = confirmer.another(again := confirmer.take_due(1e9), [record(f"x.y.connectivity.{word}")],
                                                merged(again, states, flows=flows(*tries)), 0)
                self.assertEqual("x.y.lossy" in written[0]["conditions"], expected)
                made = written[0]["rounds"][-1]
                self.assertEqual(dict(zip(made["order"], made.get("tries", ()), strict=False)),
                                 {} if None in tries else dict(enumerate(tries)))

    def test_tries_of_udp_and_of_more_than_two_connections(self):
        self.assertTrue(is_lossy([{"order": [2, 0, 1], "states": [0, 0, 0], "tries": [3, 1, 1]}]))
        self.assertFalse(is_lossy([]))
        confirmer = self.make()
        self.suspect(confirmer, "x.connectivity.broken")
        flows = [{"evidence_syns_fwd": 0, "evidence_datagrams_fwd": count} for count in (1, 4)]
        written, = confirmer.another(again := confirmer.take_due(1e9), [record("x.connectivity.works")],
                                     merged(again, (CONN_OK, CONN_OK), flows=flows), 0)
        self.assertEqual(written["conditions"][-1], "x.lossy")

    def test_word_of(self):
        found = ["x.connectivity.works", "x.y.connectivity.broken"]
        self.assertEqual(word_of("x.connectivity.broken", found), "works")
        self.assertEqual(word_of("x.y.connectivity.broken", found), "broken")
        self.assertIsNone(word_of("z.connectivity.broken", found))

    def test_other_response_codes_are_no_word_and_settle_it(self):
        found = ["x.46.response.differs:noerror:servfail"]
        self.assertEqual(word_of("x.46.connectivity.broken", found), "unstable")
        self.assertEqual(word_of("x.46.connectivity.broken", ["x.46.connectivity.works", *found]), "works")
        self.assertIsNone(word_of("x.connectivity.broken", found))
        confirmer = self.make()
        self.suspect(confirmer, "x.46.connectivity.broken")
        written, made = self.rounds(confirmer, "x.46.connectivity.broken", *found)
        self.assertEqual((written["conditions"][1:], made), (["x.46.stable.connectivity.unstable"], 2))

    def test_rounds_without_a_word_do_not_count(self):
        confirmer = self.make(most=2)
        self.suspect(confirmer, "x.connectivity.broken")
        written, made = self.rounds(confirmer, "pathspider.local_error:overloaded", "x.connectivity.broken",
                                    ["pathspider.not_observed", "pathspider.missed_flows:1"], "x.connectivity.broken")
        self.assertEqual((written["conditions"][1:], made), (["x.stable.connectivity.broken"], 4))

    def test_too_many_without_a_word(self):
        confirmer = self.make(most=2)
        self.suspect(confirmer, "x.connectivity.broken")
        written, made = self.rounds(confirmer, *["pathspider.local_error:overloaded"] * 10)
        self.assertEqual(made, 2 + REPEATS)
        self.assertEqual(written["conditions"], ["x.connectivity.broken", "pathspider.unconfirmed"])
        self.assertTrue(is_unfinished(written))


    def test_rounds_in_which_nothing_failed_and_nothing_can_be_told(self):
        confirmer = self.make(most=2)
        self.suspect(confirmer, "x.connectivity.broken")
        written, made = self.rounds(confirmer, "x.connectivity.broken", *["x.unclear:1500"] * 10)
        self.assertEqual((written["conditions"][1:], made), (["x.stable.connectivity.unstable"], 2 + REPEATS))
        confirmer = self.make(most=2)
        self.suspect(confirmer, "x.connectivity.broken")
        written, made = self.rounds(confirmer, "x.unclear:1500", *["pathspider.not_observed"] * 10)
        self.assertEqual((written["conditions"][1:], made), (["pathspider.unconfirmed"], 2 + REPEATS))


class TestRounds(ConfirmerCase):
    def test_each_begins_after_the_gap(self):
        confirmer = self.make()
        self.suspect(confirmer, "x.connectivity.broken", ended=100.0)
        self.assertIsNone(confirmer.take_due(114.9))
        self.assertEqual(confirmer.next_due(), 115.0)
        again = confirmer.take_due(115.0)
        self.assertIsNone(confirmer.next_due())
        self.assertEqual(confirmer.open, 1)
        self.assertEqual(confirmer.another(again, [record("x.connectivity.broken")], merged(again), 120.0), [])
        self.assertEqual(confirmer.next_due(), 135.0)

    def orders(self, job, seed=0, most=4, **more):
        confirmer = Confirmer(most, 0, seed, suspicious=suspicious, **{"plan": 2, **more})
        confirmer.suspects_first(result(job), [record("x.connectivity.broken", job=job)], 0)
        orders = []
        while again := confirmer.take_due(0):
            orders.append(again.order)
            confirmer.another(again, [record("x.connectivity.broken")], merged(again), 0)
        return orders

    def test_both_orders_are_seen(self):
        """A limiter that lets the first connection pass and not the second says broken in one of them alone."""
        seen = {tuple(order[0] for order in self.orders({"dip": f"192.0.2.{number}"})) for number in range(250)}
        self.assertEqual(seen, {*itertools.product((0, 1), repeat=4)} - {(0,) * 4, (1,) * 4})

    def test_of_any_two_of_more_connections(self):
        for number in range(50):
            orders = self.orders({"dip": f"192.0.2.{number}"}, plan=4)
            for one, other in itertools.combinations(range(4), 2):
                self.assertEqual({order.index(one) < order.index(other) for order in orders}, {True, False}, orders)

    def test_a_single_round_has_the_other_order_than_the_first_pair(self):
        for spans, order in ((((1, 2), (2, 3)), [1, 0]), (((2, 3), (1, 2)), [0, 1])):
            confirmer = self.make(most=1, gap=0)
            confirmer.suspects_first(result(spans=spans), [record("x.connectivity.broken")], 0)
            self.assertEqual(confirmer.take_due(0).order, order)

    def test_rounds_that_do_not_count_do_not_count_here_either(self):
        for number in range(100):
            confirmer = Confirmer(2, 0, 0, suspicious=suspicious, plan=2)
            confirmer.suspects_first(result({"dip": f"192.0.2.{number}"}), [record("x.connectivity.broken")], 0)
            orders = []
            for said in ("x.connectivity.broken", "pathspider.local_error:paused", "x.connectivity.broken"):
                again = confirmer.take_due(0)
                confirmer.another(again, [record(said)], merged(again), 0)
                orders.append(again.order)
            self.assertEqual(orders[2], orders[0][::-1])

    def test_the_seed_decides(self):
        jobs = [{"dip": f"192.0.2.{number}"} for number in range(20)]
        self.assertEqual([self.orders(job, 1) for job in jobs], [self.orders(job, 1) for job in jobs])
        self.assertNotEqual([self.orders(job, 1) for job in jobs], [self.orders(job, 2) for job in jobs])

    def test_connections_that_build_on_each_other(self):
        """Only the baseline, on which nothing builds, changes its place: limiters are seen in both."""
        first, last = (0, 1, 2), (1, 2, 0)
        seen = {tuple(map(tuple, self.orders({"dip": f"192.0.2.{number}"}, fixed_order=True, plan=3)))
                for number in range(250)}
        self.assertEqual(seen, {*itertools.product((first, last), repeat=4)} - {(first,) * 4, (last,) * 4})
        confirmer = self.make(most=1, gap=0, fixed_order=True, plan=3)
        confirmer.suspects_first(result(states=(0, 0, 1), spans=((1, 2), (2, 3), (3, 4))),
                                 [record("x.connectivity.broken")], 0)
        self.assertEqual(confirmer.take_due(0).order, [1, 2, 0])

    def test_what_the_record_tells(self):
        confirmer = self.make()
        self.suspect(confirmer, "x.connectivity.broken")
        again = confirmer.take_due(1000.0)
        told = record("x.connectivity.works") | {"flow_results": [{}, {}]}
        written, = confirmer.another(again, [told], merged(again, (CONN_OK, CONN_FAILED), ((5.0, 6.0), (4.0, 4.5))), 0)
        self.assertEqual(written["rounds"], [{"order": [1, 0], "states": [CONN_FAILED, CONN_OK], "time": told["time"],
                                              "conditions": ["x.connectivity.works"], "flow_results": [{}, {}]}])
        self.assertEqual({key: written[key] for key in JOB}, JOB)


class TestEnd(ConfirmerCase):
    def test_stopped(self):
        confirmer = self.make(most=2)
        for number in range(4):
            self.suspect(confirmer, "x.connectivity.broken", job={**JOB, "number": number})
        whole, under_way, decided = (confirmer.take_due(100.0) for _ in range(3))
        self.assertEqual(confirmer.another(whole, [record("x.connectivity.broken")], merged(), 100.0), [])
        confirmer.stop()
        self.assertIsNone(confirmer.take_due(10_000.0))
        now, = confirmer.another(under_way, [record("x.connectivity.broken")], merged(), 100.0)
        self.assertEqual(now["conditions"][1:], ["pathspider.unconfirmed"])
        now, = confirmer.another(decided, [record("x.connectivity.works")], merged(), 100.0)
        self.assertEqual(now["conditions"][1:], ["x.stable.connectivity.works"])
        left = [*confirmer.left()]
        self.assertEqual(sorted(one["number"] for one in left), [0, 3])
        self.assertEqual([len(one["rounds"]) for one in left], [0, 1])
        self.assertEqual({one["conditions"][-1] for one in left}, {"pathspider.unconfirmed"})
        self.assertEqual((confirmer.open, confirmer.unconfirmed), (0, 3))

    def test_a_round_that_was_not_made(self):
        confirmer = self.make()
        self.suspect(confirmer, "x.connectivity.broken")
        again = confirmer.take_due(100.0)
        written, = confirmer.another(again, [record("pathspider.not_measured")], None, 0.0)
        self.assertEqual(written["conditions"], ["x.connectivity.broken", "pathspider.unconfirmed"])
        self.assertEqual(confirmer.another(again, [], None, 0.0), [])

    def test_after_stop_everybody_is_unconfirmed_at_the_end(self):
        confirmer = self.make()
        confirmer.stop()
        self.suspect(confirmer, "x.connectivity.broken")
        self.assertEqual([one["conditions"][-1] for one in confirmer.left()], ["pathspider.unconfirmed"])
