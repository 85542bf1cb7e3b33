"""Queues that end: nobody misses the end, nobody waits in vain, no address gets more than its share."""

import queue
import threading
import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pathspider.records import SHUTDOWN_SENTINEL
from pathspider.run import channel as module
from pathspider.run.channel import Channel, JobQueue

PATIENCE = 20.0
"""Seconds after which something that should have ended hangs."""


class Noticing:
    """Tells when somebody is about to wait, under the mutex: who takes that afterwards knows that he waits."""

    def __init__(self, *args):
        self.waits = threading.Semaphore(0)
        super().__init__(*args)

    def _has_room(self):
        return self._noticed(super()._has_room())

    def _is_full(self, address):
        return not self._noticed(not super()._is_full(address))

    def _qsize(self):
        return self._noticed(super()._qsize())

    def _noticed(self, may_go_on):
        if not may_go_on:
            self.waits.release()
        return may_go_on

    def wait_for_waiters(self, count):
        for _ in range(count):
            assert self.waits.acquire(timeout=PATIENCE), "nobody waited"
        with self.mutex:  # who was about to wait waits now
            pass


class NoticingChannel(Noticing, Channel):
    pass


class NoticingJobQueue(Noticing, JobQueue):
    pass


class QueueCase(unittest.TestCase):
    def spawn(self, target, *args):
        """A thread that calls ``target``, and what came of it."""
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(target(*args)), daemon=True)
        thread.start()
        return thread, outcome

    def ended(self, *spawned):
        """What the threads' functions returned; they have to end."""
        for thread, _ in spawned:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), "it hangs")
        return [outcome[0] for _, outcome in spawned]


class TestChannel(QueueCase):
    def test_what_is_in_it_comes_before_the_end(self):
        channel = Channel(5)
        for item in (1, 2, SHUTDOWN_SENTINEL):
            channel.put(item)
        self.assertEqual([channel.get() for _ in range(4)], [1, 2, SHUTDOWN_SENTINEL, SHUTDOWN_SENTINEL])

    def test_a_loop_that_says_that_a_task_is_done(self):
        channel = Channel(2)
        channel.put(1)
        self.assertEqual(channel.get(), 1)
        channel.task_done()

    def test_one_end_for_many_that_wait(self):
        channel = NoticingChannel(5)
        getters = [self.spawn(channel.get) for _ in range(8)]
        channel.wait_for_waiters(8)
        channel.put(SHUTDOWN_SENTINEL)
        self.assertEqual(self.ended(*getters), [SHUTDOWN_SENTINEL] * 8)

    def test_what_comes_after_the_end_is_counted_and_dropped(self):
        channel = Channel(1)
        channel.put("before")
        channel.close()
        for item in range(3):
            self.ended(self.spawn(channel.put, item))  # nor does it wait for room
        channel.close()
        self.assertEqual(channel.dropped, 3)
        self.assertEqual([channel.get(), channel.get()], ["before", SHUTDOWN_SENTINEL])

    def test_full(self):
        channel = NoticingChannel(1)
        channel.put(1)
        with self.assertRaises(queue.Full):
            channel.put(2, block=False)
        with self.assertRaises(queue.Full):
            channel.put(2, timeout=0.001)
        channel.wait_for_waiters(2)
        putter = self.spawn(channel.put, 3)
        channel.wait_for_waiters(1)
        self.assertEqual(channel.get(), 1)
        self.ended(putter)
        self.assertEqual((channel.get(), channel.dropped), (3, 0))

    def test_empty(self):
        channel = Channel(1)
        with self.assertRaises(queue.Empty):
            channel.get(block=False)
        channel.close()
        self.assertIs(channel.get(block=False), SHUTDOWN_SENTINEL)

    def test_closing_lets_those_go_who_wait_for_room(self):
        channel = NoticingChannel(1)
        channel.put("in it")
        putters = [self.spawn(channel.put, number) for number in range(4)]
        channel.wait_for_waiters(4)
        channel.close()
        self.ended(*putters)
        self.assertEqual((channel.dropped, channel.get(), channel.get()), (4, "in it", SHUTDOWN_SENTINEL))

    def test_abandoned(self):
        channel = NoticingChannel(2)
        channel.put(1)
        channel.put(2)
        putters = [self.spawn(channel.put, number) for number in range(4)]
        channel.wait_for_waiters(4)
        channel.abandon()
        self.ended(*putters)
        self.assertEqual(channel.dropped, 6)
        self.assertIs(channel.get(), SHUTDOWN_SENTINEL)

    def test_gathered_when_there_is_no_room_for_more(self):
        with mock.patch.object(module, "GATHERS", 10 * PATIENCE):
            channel = NoticingChannel(3)
            taker = self.spawn(lambda: [next(gathered) for gathered in [channel.gathered()] for _ in range(3)])
            channel.wait_for_waiters(1)
            for number in range(3):
                channel.put(number)
            self.assertEqual(self.ended(taker), [[0, 1, 2]])

    def test_gathered_to_the_end(self):
        with mock.patch.object(module, "GATHERS", 10 * PATIENCE):
            channel = Channel(50)
            channel.put("one of fifty")
            taker = self.spawn(list, channel.gathered())
            channel.close()
            self.assertEqual(self.ended(taker), [["one of fifty"]])

    def test_room_is_told_when_half_of_the_items_are_gone(self):
        channel = NoticingChannel(4)
        for number in range(4):
            channel.put(number)
        putters = [self.spawn(channel.put, number) for number in (4, 5)]
        channel.wait_for_waiters(2)
        channel.get()
        self.assertTrue(all(thread.is_alive() for thread, _ in putters))
        channel.get()
        self.ended(*putters)
        self.assertEqual([channel.get() for _ in range(2)], [2, 3])

    def test_closed_when_all_entrances_are(self):
        channel = Channel(5)
        one, two = channel.inlet(), channel.inlet()
        one.put(1)
        one.put(SHUTDOWN_SENTINEL)
        one.close()  # once more: it does not stand for the other
        self.assertFalse(channel.closed)
        two.put(2)
        two.close()
        self.assertTrue(channel.closed)
        self.assertEqual([channel.get() for _ in range(3)], [1, 2, SHUTDOWN_SENTINEL])

    @given(st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(0, 20), min_size=1, max_size=4))
    def test_all_come_out_once_in_each_producers_order(self, maxsize, getters, counts):
        channel = Channel(maxsize)

        def produce(inlet, producer, count):
            for number in range(count):
                inlet.put((producer, number))
            inlet.close()

        inlets = [channel.inlet() for _ in counts]
        takers = [self.spawn(list, channel.gathered() if number % 2 else iter(channel.get, SHUTDOWN_SENTINEL))
                  for number in range(getters)]
        producers = [self.spawn(produce, inlet, producer, count)
                     for producer, (inlet, count) in enumerate(zip(inlets, counts, strict=True))]
        self.ended(*producers)
        taken = self.ended(*takers)
        self.assertEqual(sorted(item for items in taken for item in items),
                         [(producer, number) for producer, count in enumerate(counts) for number in range(count)])
        for items in taken:
            for producer in range(len(counts)):
                numbers = [number for one, number in items if one == producer]
                self.assertEqual(numbers, sorted(numbers))


def job(number, dip="192.0.2.1"):
    return {"dip": dip, "number": number}


class TestJobQueue(QueueCase):
    def test_what_is_over_wakes_nobody_where_more_may_come(self):
        """Of five hundred workers that wait for a run's end, each of the last jobs woke every one."""
        for held, woken in ((True, 0), (False, 1)):
            with self.subTest(held=held):
                jobs = JobQueue(5, 2)
                jobs.held = held
                jobs.put({"dip": "192.0.2.1"})
                taken = jobs.get(block=False)
                jobs.close()
                with mock.patch.object(jobs.not_empty, "notify_all") as notify_all:
                    jobs.done(taken)
                self.assertEqual(notify_all.call_count, woken)

    def test_no_more_to_one_address_than_allowed(self):
        jobs = JobQueue(100, 2)
        for number in range(5):
            self.assertTrue(jobs.offer(job(number)))
        self.assertEqual((jobs.accepted, jobs.begun), (5, 0))
        under_way = [jobs.get(block=False), jobs.get(block=False)]
        self.assertEqual(jobs.begun, 2)
        order = []
        while under_way:
            with self.assertRaises(queue.Empty):
                jobs.get(block=False)
            order.append(under_way.pop(0))
            jobs.done(order[-1])
            if len(order) + len(under_way) < 5:
                under_way.append(jobs.get(block=False))
        self.assertEqual([one["number"] for one in order], list(range(5)))
        self.assertEqual(jobs.accepted, 5)

    def test_other_addresses_go_on_meanwhile(self):
        jobs = JobQueue(4, 1)
        for number in range(50):  # they hold no room for others
            self.ended(self.spawn(jobs.offer, job(number)))
        jobs.put(job(100, "192.0.2.2"))
        self.assertEqual([jobs.get(block=False)["number"] for _ in range(2)], [0, 100])

    def test_without_a_limit(self):
        jobs = JobQueue(10)
        for number in range(10):
            jobs.offer(job(number))
        self.assertEqual([jobs.get(block=False)["number"] for _ in range(10)], list(range(10)))
        jobs.done(job(0))

    def test_a_plugin_that_changes_the_address_frees_the_one_that_was_busy(self):
        jobs = JobQueue(4, per_address=1)
        jobs.offer(job(0))
        jobs.offer(job(1))
        taken = jobs.get(block=False)
        with jobs.under_way(taken):
            taken["dip"] = "192.0.2.77"
            with self.assertRaises(queue.Empty):
                jobs.get(block=False)
        self.assertEqual(jobs.get(block=False)["number"], 1)

    def test_two_feeders_wait_for_different_things_and_each_is_woken(self):
        with mock.patch.object(module, "MOST_WAITING", 1):
            jobs = NoticingJobQueue(2, 1)
            jobs.offer(job(0))
            begun = jobs.get()
            jobs.offer(job(1))  # as many wait for their address as may
            crowded = self.spawn(jobs.offer, job(2))
            jobs.wait_for_waiters(1)
            for number in (3, 4):
                jobs.offer(job(number, f"192.0.2.{number}"))
            other = self.spawn(jobs.offer, job(5, "192.0.2.5"))
            jobs.wait_for_waiters(1)
            jobs.get()
            self.assertEqual(self.ended(other), [True])
            jobs.done(begun)
            self.assertEqual(self.ended(crowded), [True])

    def test_spellings_of_an_address_are_one(self):
        jobs = JobQueue(10, 1)
        jobs.offer(job(0, "2001:db8::1"))
        jobs.offer(job(1, "2001:DB8:0:0::1"))
        jobs.get(block=False)
        with self.assertRaises(queue.Empty):
            jobs.get(block=False)
        jobs.done(job(0, "2001:0db8::0001"))
        self.assertEqual(jobs.get(block=False)["number"], 1)

    def test_what_is_no_address_does_not_wait(self):
        jobs = JobQueue(10, 1)
        for dip in (None, 7, ["192.0.2.1"], {"a": 1}):
            jobs.offer(job(0, dip))
            jobs.offer(job(1, dip))
            self.assertEqual([jobs.get(block=False)["number"] for _ in range(2)], [0, 1])
            jobs.done(job(0, dip))
        jobs.offer({})
        self.assertEqual(jobs.get(block=False), {})

    def test_closed_while_jobs_wait(self):
        """Who asks for a job then waits for those, and all are told when there are no more."""
        jobs = NoticingJobQueue(10, 1)
        for number in range(3):
            jobs.offer(job(number))
        under_way = jobs.get()
        jobs.close()
        came = queue.SimpleQueue()
        getters = [self.spawn(lambda: came.put(jobs.get())) for _ in range(4)]
        jobs.wait_for_waiters(4)
        taken = [under_way["number"]]
        for _ in range(2):
            jobs.done(under_way)
            under_way = came.get(timeout=PATIENCE)
            self.assertIsNot(under_way, SHUTDOWN_SENTINEL)
            taken.append(under_way["number"])
        self.assertEqual(taken, [0, 1, 2])
        self.ended(*getters)  # there is none that could still come, though one is under way
        self.assertEqual([came.get(timeout=PATIENCE) for _ in range(2)], [SHUTDOWN_SENTINEL] * 2)

    def test_stopped(self):
        jobs = NoticingJobQueue(2, 1)
        for one in (job(0), job(1), job(2), job(3, "192.0.2.2")):
            jobs.offer(one)
        begun = jobs.get()
        jobs.offer(job(4, "192.0.2.3"))
        offers = [self.spawn(jobs.offer, job(5 + number, f"192.0.2.{5 + number}")) for number in range(3)]
        jobs.wait_for_waiters(3)
        left = jobs.stop()
        self.assertEqual(begun["number"], 0)
        self.assertEqual(sorted(one["number"] for one in left), [1, 2, 3, 4])
        self.assertEqual(self.ended(*offers), [False] * 3)
        self.assertFalse(jobs.offer(job(9)))
        jobs.done(begun)  # nothing waits for it any more
        self.assertEqual((jobs.get(), jobs.accepted, jobs.stop()), (SHUTDOWN_SENTINEL, 5, []))

    def test_the_feeder_waits_for_room(self):
        jobs = NoticingJobQueue(1)
        jobs.offer(job(0))
        feeder = self.spawn(jobs.offer, job(1))
        jobs.wait_for_waiters(1)
        jobs.get()
        self.assertEqual(self.ended(feeder), [True])

    def test_so_many_may_wait_for_their_address(self):
        with mock.patch.object(module, "MOST_WAITING", 2):
            jobs = NoticingJobQueue(10, 1)
            for number in range(3):
                jobs.offer(job(number))
            feeder = self.spawn(jobs.offer, job(3))
            jobs.wait_for_waiters(1)
            jobs.done(jobs.get())
            self.assertEqual(self.ended(feeder), [True])

    @given(st.sampled_from([None, 1, 2, 3]), st.lists(st.one_of(st.tuples(st.just("offer"), st.integers(0, 3)),
                                                               st.just(("get", 0)),
                                                               st.tuples(st.just("done"), st.integers(0, 9)),
                                                               st.just(("close", 0)))))
    def test_as_a_simple_model_has_it(self, per_address, steps):
        """A job can be had exactly when its address has fewer under way than it may have."""
        jobs = JobQueue(1000, per_address)
        limit = per_address or 1000
        untaken, under_way, taken, number, closed = [], [], [], 0, False
        for step, which in [*steps, ("close", 0), *[("get", 0), ("done", 0)] * len(steps)]:
            if step == "offer":
                self.assertEqual(jobs.offer(job(number, f"192.0.2.{which}")), not closed)
                if not closed:
                    untaken.append((number, f"192.0.2.{which}"))
                number += 1
            elif step == "get":
                may_go = {address for _, address in untaken if sum(one["dip"] == address for one in under_way) < limit}
                try:
                    got = jobs.get(block=False)
                except queue.Empty:
                    self.assertFalse(may_go)
                    self.assertTrue(untaken or not closed)
                    continue
                if got is SHUTDOWN_SENTINEL:
                    self.assertTrue(closed and not untaken)
                    continue
                self.assertIn(got["dip"], may_go)
                first = next(one for one in untaken if one[1] == got["dip"])
                self.assertEqual(got["number"], first[0])  # those of one address, in their order
                untaken.remove(first)
                under_way.append(got)
                taken.append(got["number"])
            elif step == "done" and under_way:
                jobs.done(under_way.pop(which % len(under_way)))
            elif step == "close":
                jobs.close()
                closed = True
        self.assertEqual(untaken, [])
        self.assertEqual(len(taken), jobs.accepted)

    def test_workers_in_parallel(self):
        jobs, lock = JobQueue(3, 2), threading.Lock()
        under_way, most, seen = {}, {}, []

        def work():
            while (one := jobs.get()) is not SHUTDOWN_SENTINEL:
                with lock:
                    under_way[one["dip"]] = under_way.get(one["dip"], 0) + 1
                    most[one["dip"]] = max(most.get(one["dip"], 0), under_way[one["dip"]])
                    seen.append(one["number"])
                with lock:
                    under_way[one["dip"]] -= 1
                jobs.done(one)

        workers = [self.spawn(work) for _ in range(8)]

        def feed():
            for number in range(500):
                jobs.offer(job(number, f"192.0.2.{number % 3}"))
            jobs.close()

        self.ended(self.spawn(feed), *workers)
        self.assertEqual(sorted(seen), list(range(500)))
        self.assertLessEqual(max(most.values()), 2)
