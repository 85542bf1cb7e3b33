"""Queues that end: nothing is lost before the end, nobody waits after it; and so many jobs to one address at once."""

import queue
import threading
import unittest
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pathspider.records import SHUTDOWN_SENTINEL
from pathspider.run.channel import MOST_WAITING, Channel, JobQueue
from tests.spiders import PATIENCE, in_thread


def later(function, *args):
    """Call a function in a thread; what waits until it has returned, and returns that."""
    outcome = queue.SimpleQueue()
    in_thread(lambda: outcome.put(function(*args)))
    return lambda: outcome.get(timeout=PATIENCE)


def waits(condition):
    """Wait until a thread waits on a condition of a queue."""
    for _ in range(10_000):
        with condition:
            if condition._waiters:
                return
        threading.Event().wait(0.001)
    raise AssertionError("nobody waits")


class TestChannel(unittest.TestCase):
    def test_what_was_put_before_the_end_comes_out_before_it(self):
        channel = Channel(5)
        for item in (1, 2, SHUTDOWN_SENTINEL, 3):
            channel.put(item)
        self.assertEqual([channel.get() for _ in range(5)], [1, 2, *[SHUTDOWN_SENTINEL] * 3])
        self.assertEqual((channel.closed, channel.dropped), (True, 1))

    def test_the_end_wakes_all_who_wait_for_an_item(self):
        channel = Channel(5)
        found = [later(channel.get) for _ in range(4)]
        waits(channel.not_empty)
        channel.close()
        self.assertEqual([one() for one in found], [SHUTDOWN_SENTINEL] * 4)

    def test_it_is_bounded_and_the_end_frees_who_waits_for_room(self):
        channel = Channel(1)
        channel.put("a")
        with self.assertRaises(queue.Full):
            channel.put("b", block=False)
        with self.assertRaises(queue.Full):
            channel.put("b", timeout=0.01)
        waiting = [later(channel.put, number) for number in range(3)]
        waits(channel.not_full)
        channel.close()
        for one in waiting:
            one()
        self.assertEqual((channel.get(), channel.get(), channel.dropped), ("a", SHUTDOWN_SENTINEL, 3))

    def test_an_item_taken_makes_room(self):
        channel = Channel(1)
        channel.put("a")
        waiting = later(channel.put, "b")
        waits(channel.not_full)
        self.assertEqual(channel.get(), "a")
        waiting()
        self.assertEqual(channel.get(timeout=PATIENCE), "b")
        with self.assertRaises(queue.Empty):
            channel.get(timeout=0.01)

    def test_abandoned_by_its_consumer(self):
        channel = Channel(2)
        channel.put("a")
        channel.put("b")
        waiting = later(channel.put, "c")
        waits(channel.not_full)
        channel.abandon()
        waiting()
        channel.put("d")
        self.assertEqual((channel.dropped, channel.get()), (4, SHUTDOWN_SENTINEL))

    def test_it_ends_with_the_last_of_several_producers(self):
        channel = Channel(9)
        one, other = channel.inlet(), channel.inlet()
        one.put(1)
        one.put(SHUTDOWN_SENTINEL)
        one.close()  # once more
        self.assertFalse(channel.closed)
        other.put(2)
        other.close()
        self.assertEqual([channel.get() for _ in range(3)], [1, 2, SHUTDOWN_SENTINEL])

    @given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 40), st.integers(1, 5))
    def test_nothing_is_lost_between_threads(self, producers, consumers, each, size):
        channel = Channel(size)
        inlets = [channel.inlet() for _ in range(producers)]

        def produce(number):
            for item in range(each):
                inlets[number].put((number, item))
            inlets[number].close()

        found = [later(lambda: list(iter(channel.get, SHUTDOWN_SENTINEL))) for _ in range(consumers)]
        for number in range(producers):
            in_thread(produce, number)
        taken = [one() for one in found]
        self.assertEqual(Counter(item for items in taken for item in items),
                         Counter((number, item) for number in range(producers) for item in range(each)))
        for items in taken:  # in order, for each producer
            for number in range(producers):
                own = [item for producer, item in items if producer == number]
                self.assertEqual(own, sorted(own))


class JobQueueModel(RuleBasedStateMachine):
    """Any sequence of calls does what a list of those who wait and a count for each address do."""

    ROOM = 3
    LIMIT = 2
    ADDRESSES = ("192.0.2.1", "2001:db8::1", "192.0.2.3", None)

    def __init__(self):
        super().__init__()
        self.queue = JobQueue(self.ROOM, self.LIMIT)
        self.ready, self.waiting, self.taken = [], [], []
        self.number = 0
        self.closed = False

    def busy(self, address):
        counted = [job for job in (*self.ready, *(job for job, _ in self.taken)) if job["dip"] == address]
        return address is not None and len(counted) >= self.LIMIT

    def is_room(self, address):
        return self.busy(address) or len(self.ready) < self.ROOM

    @precondition(lambda self: not self.closed)
    @rule(address=st.sampled_from(ADDRESSES))
    def offer(self, address):
        if not self.is_room(address):
            return  # it would wait
        self.number += 1
        job = {"dip": address, "number": self.number}
        assert self.queue.offer(job)
        (self.waiting if self.busy(address) else self.ready).append(job)

    @precondition(lambda self: self.ready)
    @rule()
    def take(self):
        job = self.queue.get(block=False)
        assert job is self.ready.pop(0)
        span = self.queue.under_way(job)
        span.__enter__()
        self.taken.append((job, span))

    @precondition(lambda self: self.taken)
    @rule(place=st.integers(0, 9), moved=st.booleans())
    def done(self, place, moved):
        job, span = self.taken.pop(place % len(self.taken))
        address = job["dip"]
        if moved:
            job["dip"] = "198.51.100.1"  # as a plugin's pre_connect may do
        span.__exit__(None, None, None)
        for next_one in self.waiting:
            if next_one["dip"] == address:
                self.waiting.remove(next_one)
                self.ready.append(next_one)
                break

    @rule()
    def close(self):
        self.queue.put(SHUTDOWN_SENTINEL)
        self.closed = True
        assert not self.queue.offer({"dip": "192.0.2.9"})

    @precondition(lambda self: self.closed and not self.ready)
    @rule()
    def ask_after_the_end(self):
        if self.waiting:
            try:
                self.queue.get(block=False)
            except queue.Empty:
                return
            raise AssertionError("a worker was sent home, while a job waits for its address")
        assert self.queue.get(block=False) is SHUTDOWN_SENTINEL

    @rule()
    def stop(self):
        left = self.queue.stop()
        assert sorted(job["number"] for job in left) == sorted(job["number"] for job in (*self.ready, *self.waiting))
        self.ready, self.waiting, self.closed = [], [], True

    @invariant()
    def jobs_are_counted(self):
        assert self.queue.accepted == self.number


TestJobQueueModel = JobQueueModel.TestCase


class TestJobQueue(unittest.TestCase):
    def setUp(self):
        self.spans = []

    def taken(self, jobs):
        """The next job, under way; its end."""
        job = jobs.get(timeout=PATIENCE)
        span = jobs.under_way(job)
        span.__enter__()
        self.spans.append(span)  # one that is forgotten ends
        return job, lambda: span.__exit__(None, None, None)

    def test_others_go_on_while_one_address_is_busy(self):
        jobs = JobQueue(4, per_address=1)
        for number in range(100):
            jobs.offer({"dip": "192.0.2.1", "number": number})  # does not wait for room for workers
        jobs.offer({"dip": "192.0.2.2", "number": 100})
        first, end = self.taken(jobs)
        other, _ = self.taken(jobs)
        self.assertEqual((first["number"], other["number"]), (0, 100))
        with self.assertRaises(queue.Empty):
            jobs.get(block=False)
        waiting = later(jobs.get)
        waits(jobs.not_empty)
        end()
        self.assertEqual(waiting()["number"], 1)

    def test_an_address_is_the_same_however_it_is_spelled(self):
        jobs = JobQueue(4, per_address=1)
        for address in ("2001:db8::1", "2001:0DB8:0:0::1", "2001:db8::2"):
            jobs.offer({"dip": address})
        self.assertEqual([self.taken(jobs)[0]["dip"] for _ in range(2)], ["2001:db8::1", "2001:db8::2"])
        with self.assertRaises(queue.Empty):
            jobs.get(block=False)

    def test_a_plugin_that_changes_the_address_frees_the_one_that_was_busy(self):
        jobs = JobQueue(4, per_address=1)
        for number in range(2):
            jobs.offer({"dip": "192.0.2.1", "number": number})
        job, end = self.taken(jobs)
        job["dip"] = "192.0.2.77"
        end()
        self.assertEqual(jobs.get(timeout=PATIENCE)["number"], 1)

    def test_closing_while_jobs_wait_for_their_address(self):
        jobs = JobQueue(4, per_address=1)
        for number in range(3):
            jobs.offer({"dip": "192.0.2.1", "number": number})
        jobs.close()
        done = []

        def work():
            while (job := jobs.get()) is not SHUTDOWN_SENTINEL:
                with jobs.under_way(job):
                    done.append(job["number"])

        for worker in [later(work) for _ in range(5)]:
            worker()
        self.assertEqual(done, [0, 1, 2])

    def test_stopping_sends_home_who_waits_for_a_job_or_for_room(self):
        jobs = JobQueue(1, per_address=1)
        jobs.offer({"dip": "192.0.2.1", "number": 0})
        _, end = self.taken(jobs)
        jobs.offer({"dip": "192.0.2.1", "number": 1})
        worker = later(jobs.get)
        waits(jobs.not_empty)
        self.assertEqual([job["number"] for job in jobs.stop()], [1])
        self.assertIs(worker(), SHUTDOWN_SENTINEL)
        end()
        self.assertFalse(jobs.offer({"dip": "192.0.2.2"}))

        full = JobQueue(1)
        full.offer({"number": 0})
        feeder = later(full.offer, {"number": 1})
        waits(full.not_full)
        self.assertEqual(full.stop(), [{"number": 0}])
        self.assertFalse(feeder())
        self.assertEqual(full.accepted, 1)

    def test_who_waits_for_his_address_alone_is_woken_when_it_is_free(self):
        """Two feeders wait: one for room for jobs, one for room for those that wait. Each has room at its own time."""
        jobs = JobQueue(2, per_address=1)
        jobs.offer({"dip": "192.0.2.1"})
        _, end = self.taken(jobs)
        for _ in range(MOST_WAITING):
            jobs.offer({"dip": "192.0.2.1"})
        crowded = later(jobs.offer, {"dip": "192.0.2.1"})
        waits(jobs.not_full)
        for number in (2, 3):
            jobs.offer({"dip": f"192.0.2.{number}"})
        other = later(jobs.offer, {"dip": "192.0.2.4"})
        while len(jobs.not_full._waiters) < 2:
            threading.Event().wait(0.001)
        self.taken(jobs)
        self.assertTrue(other())
        end()
        self.assertTrue(crowded())

    def test_without_a_limit(self):
        jobs = JobQueue(3)
        for _ in range(3):
            jobs.offer({"dip": "192.0.2.1"})
        for _ in range(3):
            self.taken(jobs)

    @given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 3), st.integers(1, 5))
    def test_many_workers_keep_the_limit_and_do_every_job(self, addresses, limit, workers):
        jobs = JobQueue(workers, per_address=limit)
        lock, under_way, most, done = threading.Lock(), Counter(), Counter(), []

        def work():
            while (job := jobs.get()) is not SHUTDOWN_SENTINEL:
                with jobs.under_way(job):
                    with lock:
                        under_way[job["dip"]] += 1
                        most[job["dip"]] = max(most[job["dip"]], under_way[job["dip"]])
                    with lock:
                        under_way[job["dip"]] -= 1
                        done.append(job["number"])

        ends = [later(work) for _ in range(workers)]
        for number, address in enumerate(addresses):
            self.assertTrue(jobs.offer({"dip": f"192.0.2.{address}", "number": number}))
        jobs.close()
        for end in ends:
            end()
        self.assertEqual(sorted(done), list(range(len(addresses))))
        self.assertLessEqual(max(most.values(), default=0), limit)


if __name__ == "__main__":
    unittest.main()
