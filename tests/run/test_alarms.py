"""What the figures of a run warn of: of records whose truth is known, with a clean twin each that says nothing."""

import random
import unittest
from datetime import datetime, timedelta

from pathspider.run.alarms import MOST_QUESTIONS, Alarms
from pathspider.run.sketch import MOST_FREQUENT

BEGIN = datetime(2026, 11, 27)
WORKS, BROKEN, TRANSIENT, OFFLINE = (f"ecn.connectivity.{word}" for word in ("works", "broken", "transient", "offline"))


def address(number):
    """Each target in a /24 of its own."""
    return f"10.{number >> 8 & 255}.{number & 255}.1"


def record(second, *conditions, dip=None):
    begun = (BEGIN + timedelta(seconds=second)).isoformat(" ", "microseconds")
    return {"dip": dip or address(int(second)), "conditions": [*conditions], "time": {"from": begun, "to": begun}}


def stable(word, name="ecn"):
    return f"{name}.stable.connectivity.{word}"


class AlarmsCase(unittest.TestCase):
    def lines(self, records):
        alarms = Alarms(BEGIN)
        for one in records:
            alarms.note(one)
        return alarms.lines()

    def line(self, records):
        """The only one."""
        lines = self.lines(records)
        self.assertEqual(len(lines), 1, lines)
        return lines[0]


class TestNothing(AlarmsCase):
    def test_a_handful(self):
        """As of the lab's paths: each breaks in its own way, all in one network."""
        words = [BROKEN] * 9 + [TRANSIENT] * 5 + [OFFLINE] * 20 + [WORKS] * 20
        self.assertEqual(self.lines(record(number / 100, word, dip=f"10.20.1.{number}")
                                    for number, word in enumerate(words)), [])

    def test_all_broken_in_one_network_where_there_is_no_other(self):
        self.assertEqual(self.lines(record(number / 100, BROKEN, dip=f"10.20.1.{number % 256}")
                                    for number in range(1000)), [])

    def test_what_is_random_is_nothing(self):
        """A hundred runs of targets that are broken or offline by chance, at a rate by chance."""
        draw = random.Random(1)
        said = []
        for _ in range(100):
            second = 0.0
            records = []
            for _ in range(1500):
                second += draw.expovariate(1)
                word = draw.choices((WORKS, BROKEN, OFFLINE), (85, 5, 10))[0]
                records.append(record(second, word, dip=f"10.0.{draw.randrange(40)}.{draw.randrange(256)}"))
            said += self.lines(records)
        self.assertEqual(said, [])

    def test_records_without_a_verdict_and_of_others(self):
        self.assertEqual(self.lines([{}, {"conditions": None}, {"conditions": ["pathspider.not_observed"]},
                                     {"conditions": ["x.connectivity.odd", ".connectivity.works"]},
                                     {"conditions": [WORKS], "dip": "nonsense", "time": {"from": "never"}},
                                     {"conditions": [WORKS], "dip": None, "time": None},
                                     {"conditions": [BROKEN], "dip": "10.0.0\0", "time": {}}] * 30), [])


class TestChance(AlarmsCase):
    def words(self, **counts):
        words = [word for word, count in counts.items() for _ in range(count)]
        random.Random(1).shuffle(words)
        return [record(number, f"ecn.connectivity.{word}") for number, word in enumerate(words)]

    def test_as_many_transient_as_broken(self):
        self.assertEqual(
            self.line(self.words(works=1000, broken=30, transient=25)),
            "ecn.connectivity: 25 transient beside 30 broken: all of the broken, or nearly all, may be chance, which "
            "makes as many of both; of firewalls that count connections this tells nothing, --confirm does")

    def test_some(self):
        self.assertIn("20 transient beside 100 broken: 11.7 % to 32.6 % of the broken may be chance",
                      self.line(self.words(works=100, broken=100, transient=20)))

    def test_hardly_any(self):
        self.assertEqual(self.lines(self.words(works=100, broken=100, transient=2)), [])
        self.assertEqual(self.lines(self.words(works=100, broken=9, transient=9)), [])


class TestConfirmed(AlarmsCase):
    """What rounds said is said of, where there were any."""

    def suspects(self, first, **counts):
        words = [word for word, count in counts.items() for _ in range(count)]
        return [record(number, first, stable(word)) for number, word in enumerate(words)]

    def test_few_of_the_broken_are_stable(self):
        said = self.line([*self.suspects(BROKEN, broken=27, works=98, unstable=1), *self.suspects(TRANSIENT, works=95),
                          record(0, BROKEN, "pathspider.unconfirmed")])
        self.assertEqual(said, "ecn.connectivity: of 126 that were broken at first, 27 were so in every round (14.6 % "
                               "to 29.6 %), 98 works, 1 unstable: count ecn.stable.connectivity.broken")

    def test_order(self):
        self.assertIn("20 unstable (what counts connections on the way", self.line(self.suspects(BROKEN, unstable=20)))

    def test_all_are(self):
        self.assertEqual(self.lines(self.suspects(BROKEN, broken=100)), [])

    def test_chance_that_outlasts_rounds(self):
        said = self.line([*self.suspects(BROKEN, broken=30), *self.suspects(TRANSIENT, transient=25)])
        self.assertTrue(said.startswith("ecn.stable.connectivity: 25 transient beside 30 broken: "), said)
        self.assertTrue(said.endswith("of both"), said)

    def test_words_of_third_parties(self):
        said = self.line(record(number, "a.b.connectivity.broken", "a.b.stable.connectivity.unstable")
                         for number in range(20))
        self.assertTrue(said.startswith("a.b.connectivity: of 20 that were broken at first, 0 were so"), said)


class TestPlaces(AlarmsCase):
    def run_of(self, places, *conditions, others=1000):
        """Targets that work, a network each, some of them broken; and those that say something, in these places."""
        return [*(record(number, BROKEN if number % 50 == 0 else WORKS) for number in range(others)),
                *(record(number * others / len(places), *conditions, dip=dip) for number, dip in enumerate(places))]

    def test_a_network(self):
        said = self.line(self.run_of([f"192.0.2.{number}" for number in range(40)], BROKEN))
        self.assertEqual(said, "ecn.connectivity.broken: of 60, 40 on 192.0.2.0/24 (at most 3.8 % of the targets): one "
                               "cause may be counted many times")

    def test_an_address_is_no_part_of_its_network(self):
        said = self.line(self.run_of(["192.0.2.7"] * 40 + ["192.0.2.8"] * 3, BROKEN))
        self.assertIn("of 63, 40 on 192.0.2.7 (at most 3.8 % of the targets): one", said)

    def test_a_network_of_ipv6(self):
        said = self.line(self.run_of([f"2001:db8:5:{number:x}::1" for number in range(40)], BROKEN))
        self.assertIn("40 on 2001:db8:5::/48 (", said)

    def test_many(self):
        said = self.line(self.run_of([f"192.0.{number % 6}.{number}" for number in range(120)], BROKEN))
        self.assertIn(", more on 3 others: ", said)

    def test_a_network_that_has_many_targets_has_many_that_are_broken(self):
        places = [f"192.0.2.{number % 256}" for number in range(1000)]
        self.assertEqual(self.lines([*self.run_of(places, WORKS), *self.run_of(places[:30], BROKEN)]), [])

    def test_of_confirmed_words_where_there_are_some(self):
        places = [f"192.0.2.{number}" for number in range(40)]
        for word in ("broken", "unstable"):
            found = [line for line in self.lines(self.run_of(places, BROKEN, stable(word))) if "192.0.2.0" in line]
            self.assertEqual([line.partition(",")[0] for line in found], [f"{stable(word)}: of 40"])
        found = self.lines(self.run_of(places, BROKEN, stable("works")))
        self.assertEqual([line for line in found if "192.0.2" in line], [])


class TestTime(AlarmsCase):
    def drifting(self, share, seconds=2000, word=OFFLINE):
        """One target a second; of ``share(tenth)`` in a hundred a word is said."""
        draw = random.Random(1)
        return [record(second, word if draw.random() * 100 < share(second * 10 // seconds) else WORKS)
                for second in range(seconds)]

    def test_a_tenth_that_is_worse(self):
        said = self.line(self.drifting(lambda tenth: 30 if tenth == 6 else 2))
        self.assertRegex(said, r"ecn\.connectivity\.offline: [23]\d\.\d % in tenth 7 of the run \(2026-11-27 00:20:00 "
                               r"to 00:23:12\), \d\.\d % in the rest: the list's order \(--shuffle\), or the ")

    def test_a_tenth_that_is_better(self):
        self.assertIn("in tenth 3 of", self.line(self.drifting(lambda tenth: 1 if tenth == 2 else 30, word=TRANSIENT)))

    def test_no_drift(self):
        self.assertEqual(self.lines(self.drifting(lambda _: 10)), [])
        self.assertEqual(self.lines(self.drifting(lambda tenth: 90 if tenth == 6 else 2, seconds=400)), [])

    def test_of_confirmed_words_where_there_are_some(self):
        records = self.drifting(lambda tenth: 30 if tenth == 6 else 2, word=BROKEN)
        for one in records:
            one["conditions"] += [stable("broken")] * (BROKEN in one["conditions"])
        self.assertTrue(self.line(records).startswith("ecn.stable.connectivity.broken: "))

    def rates(self, share):
        """Ten phases of 100 s, in a drawn order, at 1 to 10 targets a second; of those, a share is offline."""
        draw = random.Random(1)
        phases = draw.sample(range(1, 11), 10)
        return [record(100 * phase + number / rate, OFFLINE if draw.random() < share(rate) else WORKS)
                for phase, rate in enumerate(phases) for number in range(100 * rate)]

    def test_offline_rises_with_the_rate(self):
        found = [line for line in self.lines(self.rates(lambda rate: rate / 20)) if "rises" in line]
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], r"ecn\.connectivity\.offline rises with the rate: \d+\.\d % of targets at 1 to 5 a "
                                   r"second, \d+\.\d % at 6 to 10: ")

    def test_offline_whatever_the_rate(self):
        self.assertEqual(self.lines(self.rates(lambda _: 0.2)), [])


class TestBounds(unittest.TestCase):
    def test_a_run_of_everything(self):
        """Each target an address and network of its own, all of them broken, in many questions."""
        alarms = Alarms(BEGIN)
        for number in range(5 * MOST_FREQUENT):
            alarms.note(record(number, *(f"{name}.connectivity.broken" for name in range(2 * MOST_QUESTIONS))))
        self.assertEqual(alarms.lines(), [])
        self.assertEqual(len(alarms._questions), MOST_QUESTIONS)


if __name__ == "__main__":
    unittest.main()
