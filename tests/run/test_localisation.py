"""The search for the interval of hops, on paths that are made up: every word against the truth."""

import itertools
import random
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from pathspider.run.localisation import MOST_PROBES, Answer, Came, Probe, Search, Word

TARGET = "192.0.2.99"


class Path:
    """A path of ``hops`` routers before a target.

    :param change, drop: the router that changes, or drops, the experiment when it forwards; 0: before the first one
    :param back: the answer to the experiment is lost on the way back
    :param silent, short, lying: routers that do not answer, quote too little, or quote a change that there is none
    :param answers: the share of probes that a router answers, by its number
    :param branches: routers that have another address for some flows: these flows
    :param fresh: further flows, from 1 on, that are changed
    :param proxy: the router at which something answers in the target's name
    """

    def __init__(self, hops=8, *, change=None, drop=None, back=False, silent=(), short=(), lying=(), answers=None,
                 branches=None, proxy=None, refuses=False, fresh=(), seed=0):
        self.hops, self.change, self.drop, self.back = hops, change, drop, back
        self.silent, self.short, self.lying, self.proxy, self.refuses = silent, short, lying, proxy, refuses
        self.answers, self.branches = answers or {}, branches or {}
        self.fresh, self.flows = fresh, 0
        self.random = random.Random(seed)

    def __call__(self, probe):
        side, ttl = probe
        experiment = side in "BF"
        self.flows += side == "F"
        if side == "F" and self.fresh:
            return Answer(Came.HOP, f"10.0.{ttl}.1", self.flows not in self.fresh)
        if experiment and self.drop is not None and ttl > self.drop:
            return Answer(Came.REFUSED, TARGET, ttl=50) if self.refuses else None
        distance = self.hops + 1 if self.proxy is None or side == "P" else self.proxy
        if ttl >= distance:
            return None if experiment and self.back else Answer(Came.TARGET, TARGET, ttl=60)
        if ttl in self.silent or self.random.random() >= self.answers.get(ttl, 1):
            return None
        changed = experiment and (ttl in self.lying or (self.change is not None and ttl > self.change))
        branch = side if ttl in self.branches and side in self.branches[ttl] else ""
        return Answer(Came.HOP, f"10.0.{ttl}.1{branch}", None if ttl in self.short else not changed)


def search(path, kind, distance=9, *, unlike=False, once=False, **options):
    """The word, and the search."""
    one = Search(kind, distance, unlike=unlike, once=once)
    steps = one.steps(**options)
    try:
        probe = next(steps)
        while True:
            probe = steps.send(path(probe))
    except StopIteration as end:
        return end.value, one


def word(path, kind, distance=9):
    found, _ = search(path, kind, distance)
    return found.condition("x").removeprefix("x.hop.")


class TestDrops(unittest.TestCase):

    def test_each_hop(self):
        for hop in range(1, 8):
            found, one = search(Path(drop=hop), "dropped")
            self.assertEqual(found, Word("dropped", f"{hop}-{hop + 1}"))
            self.assertLessEqual(one.sent, 20)
        self.assertEqual(word(Path(drop=0), "dropped"), "first")

    def test_last_router_or_target(self):
        for path in Path(drop=8), Path(back=True):
            self.assertEqual(word(path, "dropped"), "reverse_or_target")

    def test_refused(self):
        self.assertEqual(word(Path(drop=3, refuses=True), "dropped"), "dropped:3-4")
        self.assertEqual(word(Path(drop=8, refuses=True), "dropped"), "reverse_or_target")

    def test_acknowledged_and_not_answered(self):
        """It was not dropped, whatever hops are silent."""
        for path, expected in ((Path(), "reverse_or_target"), (Path(silent={6, 7, 8}), "not_located:no_answer"),
                               (Path(drop=5), "not_located:no_answer"), (Path(change=3), "changed:3-4")):
            found = word(lambda probe, path=path: Answer(Came.TAKEN, TARGET, ttl=60) if probe == Probe("B", 9)
                         else path(probe), "dropped")
            self.assertEqual(found, expected)

    def test_where_the_control_came_a_flow_that_was_refused_is_asked_again(self):
        asked = []
        path = Path(drop=3, refuses=True)

        def branches(probe):
            """The flow of the control takes another way, where nothing refuses."""
            asked.append(probe)
            if probe.side == "B" and Probe("C", 4) in asked and probe.ttl < 9:
                return Answer(Came.HOP, f"10.0.{probe.ttl}.1", True)
            return path(probe)

        self.assertEqual(word(branches, "dropped"), "not_located:unstable")
        self.assertEqual(asked[asked.index(Probe("C", 4)) + 1], Probe("B", 4))

    def test_where_the_control_came_in_another_flow_the_experiment_is_asked_for_again(self):
        for elsewhere, times in ((True, 3), (False, 0)):
            asked, path = [], Path(drop=3)

            def other(probe, asked=asked, path=path, elsewhere=elsewhere):
                asked.append(probe)
                answer = path(probe)
                return answer._replace(elsewhere=elsewhere) if probe == Probe("C", 4) else answer

            self.assertEqual(word(other, "dropped"), "dropped:3-4")
            self.assertEqual(asked[asked.index(Probe("C", 4)) + 1:], [Probe("B", 4)] * times)

    def test_target_refuses(self):
        path = Path()
        found, _ = search(lambda probe: Answer(Came.REFUSED, TARGET, ttl=60) if probe == Probe("B", 9) else path(probe),
                          "dropped")
        self.assertEqual(found.what, "target")

    def test_a_wrong_guess_of_the_distance(self):
        for distance in (0, 1, 2, 7, 12, 30, 200):
            self.assertEqual(word(Path(drop=4), "dropped", distance), "dropped:4-5")

    def test_silent_hops_widen(self):
        self.assertEqual(word(Path(drop=4, silent={4, 5}), "dropped"), "dropped:3-6")
        self.assertEqual(word(Path(drop=4, silent={8, 7}), "dropped"), "dropped:4-5")
        self.assertEqual(word(Path(drop=1, silent={1}), "dropped"), "dropped:0-2")

    def test_nobody_answers(self):
        self.assertEqual(word(Path(drop=4, silent=range(1, 9)), "dropped"), "not_located:no_answer")
        self.assertEqual(word(lambda probe: None, "dropped"), "not_located:no_answer")
        self.assertEqual(word(Path(drop=7, silent={7, 8}), "dropped"), "not_located:no_answer")

    def test_not_dropped_now(self):
        self.assertEqual(word(Path(), "dropped"), "not_located:unstable")

    def test_another_branch(self):
        self.assertEqual(word(Path(drop=4, branches={5: "A"}), "dropped"), "not_located:path_differs")
        self.assertEqual(word(Path(drop=4, branches={4: "A"}), "dropped"), "not_located:path_differs")

    def test_a_hop_that_answers_every_second_time(self):
        """It would answer the baseline alone, were they asked in turn."""
        calls, path = [], Path(back=True)

        def limited(probe):
            answer = path(probe)
            if answer is not None and answer.came is Came.HOP:
                calls.append(probe)
                return answer if len(calls) % 2 else None
            return answer

        self.assertIn(word(limited, "dropped").partition(":")[0], ("not_located", "reverse_or_target"))

    def test_dropped_and_changed_before(self):
        self.assertEqual(word(Path(drop=6, change=2), "dropped"), "dropped:6-7")
        self.assertEqual(word(Path(back=True, change=2), "dropped"), "changed:2-3")


class Datagrams(Path):
    """A path on which TCP and UDP may go different ways: the baseline is TCP's.

    :param control, others: how many hops random datagrams of the experiment's flow, and those of others, come
    :param elsewhere: router -> how many of each ten flows of UDP meet another one there, which says nothing
    :param refuser: who refuses all datagrams that come no further
    """

    def __init__(self, *, control=8, others=8, elsewhere=None, named=False, refuser=None, **path):
        super().__init__(**path)
        self.control, self.others, self.elsewhere, self.named = control, others, elsewhere or {}, named
        self.refuser = refuser

    def __call__(self, probe):
        side, ttl = probe
        if self.refuser and side != "A" and ttl > self.drop:
            return Answer(Came.REFUSED, self.refuser)
        if ttl > {"C": self.control, "P": self.others}.get(side, ttl):
            return super().__call__(probe) if self.others == self.hops < ttl else None
        if side == "P" and self.random.randrange(10) < self.elsewhere.get(ttl, 0):
            return Answer(Came.HOP, f"10.0.{ttl}.2") if self.named else None
        return super().__call__(probe)


class TestDropsOfAnotherProtocol(unittest.TestCase):
    """The baseline is a SYN, the experiment a datagram."""

    def word(self, **path):
        found, one = search(Datagrams(**path), "dropped", unlike=True)
        self.assertLessEqual(one.sent, one.most)
        return found.condition("x").removeprefix("x.hop.")

    def test_what_is_random_passes(self):
        for hop in range(1, 8):
            self.assertEqual(self.word(drop=hop, others=0), f"dropped:{hop}-{hop + 1}")
        self.assertEqual(self.word(drop=0, others=0), "first")

    def test_other_ports_pass(self):
        for hop in range(1, 8):
            self.assertEqual(self.word(drop=hop, control=hop), f"dropped:{hop}-{hop + 1}")
        self.assertEqual(self.word(drop=0, control=0), "first")
        self.assertEqual(self.word(drop=4, control=4, silent={5}), "dropped:4-6")

    def test_no_datagram_passes(self):
        """Which hop is behind the last one that answered is not known for datagrams."""
        for hop in range(8):
            self.assertEqual(self.word(drop=hop, control=hop, others=hop), "not_located:no_answer")

    def test_all_datagrams_are_refused(self):
        """By the last hop that answered: then nothing is to be known of the one behind. Or by somebody else."""
        for hop in range(1, 8):
            self.assertEqual(self.word(drop=hop, refuser=f"10.0.{hop}.1"), f"dropped:{hop}-{hop + 1}")
        self.assertEqual(self.word(drop=4, refuser="10.0.4.1", silent={5, 6}), "dropped:4-5")
        self.assertEqual(self.word(drop=4, refuser="10.0.4.1", branches={5: "A"}), "dropped:4-5")
        self.assertEqual(self.word(drop=4, refuser="10.0.4.1", branches={4: "A"}), "not_located:path_differs")
        for refuser, why in (("10.0.9.9", "no_answer"), (TARGET, "path_differs")):
            for hop in range(8):
                self.assertEqual(self.word(drop=hop, refuser=refuser), f"not_located:{why}", (hop, refuser))

    def test_datagrams_go_another_way(self):
        for seed in range(200):
            for share in (5, 7, 10):  # TCP, and the rest of UDP, go where somebody answers
                found = self.word(drop=4, control=4, elsewhere={5: share}, seed=seed)
                self.assertEqual(found.partition(":")[0], "not_located", (seed, share))
        self.assertEqual(self.word(drop=4, control=4, elsewhere={5: 5}, named=True), "not_located:path_differs")
        self.assertEqual(self.word(drop=4, branches={5: "C"}), "not_located:path_differs")
        self.assertEqual(self.word(drop=4, branches={4: "A"}), "not_located:path_differs")

    def test_last_router_or_target(self):
        self.assertEqual(self.word(drop=8), "reverse_or_target")
        self.assertEqual(self.word(back=True), "reverse_or_target")
        self.assertEqual(self.word(), "not_located:unstable")


class TestAnsweredOnce(unittest.TestCase):
    """A server of QUIC says nothing to what it has got before, in the same flow."""

    def test_the_distance_is_found(self):
        for kind, path, expected in (("changed", {"change": 4}, "changed:4-5"), ("dropped", {"drop": 4}, "dropped:4-5"),
                                     ("changed", {"back": True}, "reverse_or_target")):
            for distance in (5, 9, 10, 12, 20):
                once, answered = Path(**path), set()

                def quic(probe, once=once, answered=answered):
                    answer = once(probe)
                    if answer is not None and answer.came is Came.TARGET and probe.side in "AB":
                        if probe.side in answered:
                            return None
                        answered.add(probe.side)
                    return answer

                found, _ = search(quic, kind, distance, once=True)
                self.assertEqual(found.condition("x"), f"x.hop.{expected}", (kind, distance))


class TestHalfOpen(unittest.TestCase):
    """No RST comes to the target, which sends its SYN-ACK again and again: also while silent hops are asked."""

    def word(self, path, kind, *, told=True):
        accepted = False

        def half_open(probe):
            nonlocal accepted
            answer = path(probe)
            if probe.side != "A":
                return answer
            again, accepted = accepted, accepted or (answer is not None and answer.came is Came.TARGET)
            if again and (answer is None or answer.came is Came.TARGET):
                return Answer(Came.TARGET, TARGET, ttl=60, repeated=told)
            return answer

        return word(half_open, kind, 12)

    def test_silent_hops_before_the_target(self):
        silent = {5, 6, 7, 8}
        for kind, path in (("dropped", Path(drop=6, silent=silent)), ("changed", Path(change=6, silent=silent))):
            self.assertEqual(self.word(path, kind, told=False), "reverse_or_target")  # what it would say
            self.assertEqual(self.word(path, kind), "not_located:no_answer")

    def test_what_can_be_found(self):
        self.assertEqual(self.word(Path(drop=4, silent={7, 8}), "dropped"), "dropped:4-5")
        self.assertEqual(self.word(Path(change=4, silent={7, 8}), "changed"), "changed:4-5")
        self.assertEqual(self.word(Path(), "changed"), "reverse_or_target")

    def test_no_word_of_other_flows(self):
        """Once the distance is known, what is said again says nothing."""
        path = Path(change=4, silent={6})
        self.assertEqual(word(lambda probe: Answer(Came.TARGET, TARGET, repeated=True) if probe == Probe("B", 6)
                              else path(probe), "changed"), "changed:4-5")


class TestChanges(unittest.TestCase):

    def test_each_hop(self):
        for hop in range(1, 8):
            found, one = search(Path(change=hop), "changed")
            self.assertEqual(found, Word("changed", f"{hop}-{hop + 1}"))
            self.assertLessEqual(one.sent, 20)
        self.assertEqual(word(Path(change=0), "changed"), "first")

    def test_a_clean_path(self):
        self.assertEqual(word(Path(), "changed"), "reverse_or_target")
        self.assertEqual(word(Path(change=8), "changed"), "reverse_or_target")
        self.assertEqual(word(Path(0), "changed"), "reverse_or_target")

    def test_silent_hops(self):
        self.assertEqual(word(Path(change=4, silent={4, 5}), "changed"), "changed:3-6")
        self.assertEqual(word(Path(silent={8}), "changed"), "not_located:no_answer")
        self.assertEqual(word(Path(silent=range(1, 9)), "changed"), "not_located:no_answer")

    def test_short_quotations(self):
        self.assertEqual(word(Path(change=4, short={4, 5}), "changed"), "changed:3-6")
        self.assertEqual(word(Path(change=4, short=range(1, 9)), "changed"), "not_located:short_quote")
        self.assertEqual(word(Path(short={8}), "changed"), "not_located:short_quote")

    def test_a_quotation_that_lies(self):
        for hop in range(1, 8):
            self.assertEqual(word(Path(lying={hop}), "changed"), "reverse_or_target", hop)
        self.assertEqual(word(Path(lying={3}, change=6), "changed"), "changed:6-7")

    def test_neighbours_that_lie_alike(self):
        for run in (2, 3):
            for hop in range(1, 12 - run):
                lying = set(range(hop, hop + run))
                self.assertEqual(word(Path(12, lying=lying), "changed", 13), "reverse_or_target", lying)
                if 11 not in lying:
                    self.assertEqual(word(Path(12, lying=lying, change=11), "changed", 13), "changed:11-12", lying)

    def test_a_longer_path(self):
        path = Path()

        def longer(probe):
            return Answer(Came.HOP, "10.1.9.1", True) if probe == Probe("B", 9) else path(probe)

        for kind in ("changed", "dropped"):
            self.assertEqual(word(longer, kind), "not_located:path_differs", kind)

    def test_another_path(self):
        self.assertEqual(word(Path(change=4, branches={5: "B"}), "changed"), "not_located:path_differs")

    def test_another_path_of_other_flows(self):
        self.assertEqual(word(Path(fresh={5}), "changed"), "not_located:path_differs")
        self.assertEqual(word(Path(fresh={100}), "changed"), "reverse_or_target")

    def test_addresses_that_change(self):
        path, count = Path(change=4), iter(range(1000))

        def balanced(probe):
            answer = path(probe)
            return answer._replace(addr=f"10.1.5.{next(count) % 2}") if probe == Probe("B", 5) else answer

        self.assertEqual(word(balanced, "changed"), "not_located:unstable")

    def test_values_that_differ_each_time(self):
        path, count = Path(change=4), iter(range(1000))

        def garbled(probe):
            answer = path(probe)
            return answer._replace(saw=(next(count),)) if probe == Probe("B", 5) else answer

        self.assertEqual(word(garbled, "changed"), "not_located:unstable")

    def test_every_second_packet(self):
        for hops, change, parity in itertools.product(range(4, 12), range(4), range(2)):
            path, count = Path(hops), itertools.count(parity)

            def alternates(probe, path=path, count=count, change=change):
                answer = path(probe)
                passes = probe.side in "BF" and change < probe.ttl <= path.hops
                return answer._replace(same=next(count) % 2 > 0) if passes else answer

            found = search(alternates, "changed", hops + 1)[0].interval
            if found:
                self.assertTrue(found[0] <= change < found[1], (hops, change, parity, found))

    def test_proxy(self):
        self.assertEqual(word(Path(proxy=4, change=6), "changed"), "not_located:proxy")
        self.assertEqual(word(Path(proxy=4, change=2), "changed"), "changed:2-3")

    def test_a_limit_of_answers(self):
        found = {word(Path(change=4, answers={4: 0.3, 5: 0.3}, seed=seed), "changed") for seed in range(40)}
        self.assertIn("not_located:rate_limited", found)

    def test_the_whole_path(self):
        found, one = search(Path(change=4), "changed", whole=True)
        self.assertEqual(found.interval, (4, 5))
        self.assertEqual({probe for probe in one._heard if probe.ttl < 9 and probe.side in "AB"},
                         {Probe(side, ttl) for side in "AB" for ttl in range(1, 9)})


    def test_the_path_to_a_closed_port(self):
        path = Path(8, silent={3})

        def closed(probe):
            answer = path(probe)
            return answer and (Answer(Came.REFUSED, TARGET, ttl=56) if answer.came is Came.TARGET else answer)

        found, one = search(closed, "changed", whole=True)
        self.assertEqual(found, Word("not_located", "unstable"))
        self.assertLessEqual({Probe(side, ttl) for side in "AB" for ttl in range(1, 9)}, {*one._heard})
        self.assertLessEqual(one.sent, 30)
        self.assertEqual({side: (ttl, answer.came) for side, (ttl, answer) in one.reached().items()},
                         {"A": (9, Came.REFUSED), "B": (9, Came.REFUSED)})
        self.assertEqual(word(closed, "changed"), "not_located:unstable")

    def test_how_far_they_came(self):
        """Nothing is said of a packet that was not sent further than to a hop that answered it."""
        for path, kind, options, reached in (
                (Path(change=4), "changed", {}, {"A": (9, Came.TARGET)}),
                (Path(change=4), "changed", {"whole": True}, {"A": (9, Came.TARGET), "B": (9, Came.TARGET)}),
                (Path(drop=4), "dropped", {}, {"A": (9, Came.TARGET), "B": (9, None)}),
                (Path(drop=3, refuses=True), "dropped", {"whole": True},
                 {"A": (9, Came.TARGET), "B": (4, Came.REFUSED)}),
                (lambda probe: None, "dropped", {}, {"A": (32, None)})):
            _, one = search(path, kind, **options)
            self.assertEqual({side: (ttl, answer and answer.came) for side, (ttl, answer) in one.reached().items()},
                             reached)

    def test_the_path_to_nobody(self):
        path = Path(20, silent={*range(5, 14), *range(15, 21)})

        def lost(probe):
            answer = path(probe)
            return None if answer and answer.came is Came.TARGET else answer

        found, one = search(lost, "changed", 14, whole=True)
        self.assertEqual(found, Word("not_located", "no_answer"))
        asked = {probe.ttl for probe in one._heard if probe.side == "B"}
        self.assertEqual(asked, {*range(1, 10), 14})


paths = st.fixed_dictionaries({
    "hops": st.integers(0, 25),
    "silent": st.sets(st.integers(1, 25), max_size=6),
    "short": st.sets(st.integers(1, 25), max_size=6),
    "answers": st.dictionaries(st.integers(1, 25), st.floats(0, 1), max_size=6),
    "branches": st.dictionaries(st.integers(1, 25), st.sampled_from(["A", "B", "AC", "BC"]), max_size=3),
    "proxy": st.none() | st.integers(1, 25),
    "seed": st.integers(0, 10 ** 6),
})


class TestAnyPath(unittest.TestCase):

    @settings(max_examples=60, deadline=None)
    @given(paths, st.sampled_from(["dropped", "changed"]), st.integers(-5, 70))
    def test_clean(self, path, kind, distance):
        found, one = search(Path(**path), kind, distance)
        self.assertIsNone(found.interval)
        self.assertLessEqual(one.sent, MOST_PROBES)

    @settings(max_examples=60, deadline=None)
    @given(paths, st.integers(0, 25), st.integers(0, 70))
    def test_changed(self, path, hop, distance):
        self.contains(search(Path(**path, change=hop), "changed", distance)[0], hop)

    @settings(max_examples=60, deadline=None)
    @given(paths, st.integers(0, 25), st.integers(0, 70), st.booleans())
    def test_dropped(self, path, hop, distance, refuses):
        path = {**path, "answers": {}}
        self.contains(search(Path(**path, drop=hop, refuses=refuses), "dropped", distance)[0], hop)

    def contains(self, found, hop):
        if found.interval:
            low, high = found.interval
            self.assertLessEqual(low, hop)
            self.assertGreater(high, hop)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 25), st.data())
    def test_minimal_where_all_answer(self, hops, data):
        hop = data.draw(st.integers(0, hops - 1))
        for kind, path in (("changed", Path(hops, change=hop)), ("dropped", Path(hops, drop=hop))):
            found, _ = search(path, kind, data.draw(st.integers(0, 30)))
            self.assertEqual(found.interval, (hop, hop + 1))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.none() | st.builds(Answer, st.sampled_from(Came), st.sampled_from(["a", "b"]),
                                          st.none() | st.booleans(), st.none() | st.integers(0, 255), st.just(())),
                    min_size=200),
           st.sampled_from(["dropped", "changed"]))
    def test_any_answers(self, answers, kind):
        """Whatever comes: it ends, and in a word."""
        given = iter(answers)
        found, _ = search(lambda probe: next(given), kind)
        self.assertRegex(found.condition("x"), r"x\.hop\.(changed|dropped|first|target|reverse_or_target|not_located)")
