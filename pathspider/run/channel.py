"""The queues between stages: bounded, blocking, and each with an end that nobody can miss or wait for in vain."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from pathspider.records import SHUTDOWN_SENTINEL, Job
from pathspider.targets.problems import canonical_address

PLENTY = 200
"""Items for which a consumer that gathers them is woken up at once."""

GATHERS = 0.01
"""Seconds for which it gathers them."""


class Channel(queue.Queue[Any]):
    """A :class:`queue.Queue` that ends.

    Putting ``SHUTDOWN_SENTINEL`` closes it: what is in it can still be taken, and after that every ``get()``, of
    however many threads, returns the sentinel. What is put into a closed channel, or into one whose consumer has died
    (:meth:`abandon`), is dropped and counted, and nobody blocks.

    :param maxsize: items that it holds; ``put()`` waits beyond
    """

    def __init__(self, maxsize: int) -> None:
        super().__init__(maxsize)
        self.closed = False
        self.dropped = 0
        """Items that came after the end."""
        self._producers = 0
        self._plenty = threading.Condition(self.mutex)
        """Notified when :data:`PLENTY` items are there, or there is no room for more."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, waiting for room; the sentinel closes the channel.

        :raises queue.Full: there was no room, without ``block`` or within ``timeout`` seconds
        """
        if item is SHUTDOWN_SENTINEL:
            self.close()
            return
        with self.not_full:
            if not self._has_room() and not self.not_full.wait_for(self._has_room, timeout if block else 0):
                raise queue.Full
            if self.closed:
                self.dropped += 1
            else:
                self.queue.append(item)
                self.not_empty.notify()
                if len(self.queue) == min(PLENTY, self.maxsize):
                    self._plenty.notify()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an item, waiting for one; the sentinel when the channel has ended.

        :raises queue.Empty: there was none, without ``block`` or within ``timeout`` seconds
        """
        with self.not_empty:
            if not self._qsize() and not self.not_empty.wait_for(self._qsize, timeout if block else 0):
                raise queue.Empty
            return self._get()

    def gathered(self) -> Iterator[Any]:
        """What comes, until the channel has ended; for a consumer that is faster than what it takes from.

        It is woken up for :data:`PLENTY` items, or :data:`GATHERS` seconds after the first: to change threads for each
        costs more than to deal with it.
        """
        while True:
            with self.not_empty:
                self.not_empty.wait_for(self._qsize)
                self._plenty.wait_for(lambda: self.closed or len(self.queue) >= min(PLENTY, self.maxsize), GATHERS)
                items = [*self.queue]
                self.queue.clear()
                self.not_full.notify_all()
                ended = self.closed and not items
            if ended:
                return
            yield from items

    def _has_room(self) -> bool:
        return self.closed or len(self.queue) < self.maxsize

    def close(self) -> None:
        """No more comes. May be called again."""
        with self.mutex:
            self._close()

    def _close(self) -> None:
        self.closed = True
        self.not_empty.notify_all()
        self._plenty.notify_all()
        self.not_full.notify_all()

    def task_done(self) -> None:
        """Of :class:`queue.Queue`'s way to wait, which nobody does here: a worker loop may say it or not."""

    def abandon(self) -> None:
        """Nobody takes anything any more: forget what is in it, let everybody go who waits to put something."""
        with self.mutex:
            self.dropped += len(self.queue)
            self.queue.clear()
            self._close()

    def inlet(self) -> Inlet:
        """An entrance for one of several producers: the channel is closed when all of them have closed theirs."""
        with self.mutex:
            self._producers += 1
        return Inlet(self)

    def _leave(self) -> None:
        with self.mutex:
            self._producers -= 1
            last = not self._producers
        if last:
            self.close()

    # -- under the mutex ---------------------------------------------------------------------------------------------

    def _qsize(self) -> int:
        """What can be taken: the sentinel, too."""
        return len(self.queue) or int(self.closed)

    def _get(self) -> Any:
        if not self.queue:
            return SHUTDOWN_SENTINEL
        item = self.queue.popleft()
        if len(self.queue) == self.maxsize // 2:  # not for each item: to change threads costs more than to put one
            self.not_full.notify_all()
        return item


class Inlet:
    """One producer's entrance to a :class:`Channel`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open = True
        self._lock = threading.Lock()

    def put(self, item: Any) -> None:
        """Put an item; the sentinel closes this entrance."""
        if item is SHUTDOWN_SENTINEL:
            self.close()
        else:
            self._channel.put(item)

    def close(self) -> None:
        """Nothing comes this way any more. May be called again."""
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            self._channel._leave()


MOST_WAITING = 100_000
"""Jobs that may wait for their address; beyond, the feeder waits."""


class JobQueue(Channel):
    """Jobs on their way to workers, so many to one address at once and no more.

    A job whose address is busy waits here, and holds neither a worker nor those behind it. The end of
    :meth:`under_way` lets the next one go.

    :param maxsize: jobs that may wait for a worker
    :param per_address: jobs under way to one address at once; None: nobody tells when a job is over
    """

    def __init__(self, maxsize: int, per_address: int | None = None) -> None:
        super().__init__(maxsize)
        self.accepted = 0
        """Jobs that were taken in."""
        self.again = 0
        """Jobs that were put in once more."""
        self._again: set[int] = set()
        """Those of them that nobody has taken, by their identity."""
        self.per_address = per_address
        self._under_way: dict[Hashable, int] = {}
        self._alone: set[Hashable] = set()
        """Addresses to which one job is under way and no other may be."""
        self._waiting: dict[Hashable, deque[tuple[Job, bool]]] = {}
        """Jobs that wait for their address, and whether they want it alone."""
        self._waiting_count = 0
        self._takers = 0
        """Threads that wait for a job."""
        self._held = False
        self.drains = False
        """No more jobs are offered for now; the next that is offered ends it."""
        self.when_empty: Callable[[], None] = lambda: None
        """Called by a thread that begins to wait for a job where none is left to be offered."""

    @property
    def begun(self) -> int:
        """Jobs that a worker has taken."""
        with self.mutex:
            return self.accepted + len(self._again) - len(self.queue) - self._waiting_count

    @property
    def taken(self) -> int:
        """The same, those included that were put in once more."""
        with self.mutex:
            return self.accepted + self.again - len(self.queue) - self._waiting_count

    @property
    def held(self) -> bool:
        """The queue does not end when it is closed and empty: jobs may be put in once more."""
        return self._held

    @held.setter
    def held(self, held: bool) -> None:
        with self.mutex:
            self._held = held
            self.not_empty.notify_all()

    def is_idle(self, workers: int) -> bool:
        """Whether no job is there, and so many workers wait for one: then none is under way."""
        with self.mutex:
            return not self.queue and not self._waiting_count and self._takers >= workers

    def offer(self, job: Job) -> bool:
        """Take a job in, waiting for room; False if no more jobs are taken."""
        address = canonical_address(job.get("dip"))
        with self.not_full:
            if self._is_full(address):
                self.not_full.wait_for(lambda: self.closed or not self._is_full(address))
            if self.closed:
                return False
            self.drains = False
            self.accepted += 1
            if self._is_busy(address):
                self._wait(address, job, alone=False)
            else:
                self._let_go(address, job, alone=False)
            return True

    def once_more(self, job: Job) -> None:
        """Put a job in that was taken before: the next one to be taken. There is always room, and no other job is under
        way to its address meanwhile, as far as it is told when one is over."""
        address = canonical_address(job.get("dip"))
        with self.mutex:
            self.again += 1
            self._again.add(id(job))
            if self._has_turn(address, alone=True):
                self._let_go(address, job, alone=True)
            else:
                self._wait(address, job, alone=True)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """As :meth:`offer`; the sentinel closes the queue."""
        if item is SHUTDOWN_SENTINEL:
            self.close()
        else:
            self.offer(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        with self.mutex:
            self._takers += 1
            empty = (self.closed or self.drains) and self._held and not self.queue
        try:
            if empty:
                self.when_empty()
            return super().get(block, timeout)
        finally:
            with self.mutex:
                self._takers -= 1

    @contextmanager
    def under_way(self, job: Job) -> Iterator[None]:
        """Run the body while this job, which was taken, is under way; another one to its address may begin after it.

        The body may give the job another address, as a plugin's ``pre_connect()`` may.
        """
        taken = job.copy()
        try:
            yield
        finally:
            self.done(taken)

    def done(self, job: Job) -> None:
        """This job's connections are over: another one to its address may begin."""
        if self.per_address is None:
            return
        address = canonical_address(job.get("dip"))
        if not isinstance(address, str):
            return
        with self.mutex:
            count = self._under_way.get(address)
            if count is None:
                return
            if count > 1:
                self._under_way[address] = count - 1
            else:
                del self._under_way[address]
                self._alone.discard(address)
            if self._waiting_count >= MOST_WAITING:
                self.not_full.notify_all()
            waiting = self._waiting.get(address)
            while waiting and self._has_turn(address, alone=waiting[0][1]):
                self._let_go(address, *waiting.popleft())
                self._waiting_count -= 1
            if waiting is not None and not waiting:
                del self._waiting[address]
            if self.closed and not self._waiting_count and not self._held:  # else each job would wake every worker
                self.not_empty.notify_all()

    def stop(self) -> list[Job]:
        """Take no more jobs, and give those back that nobody has begun."""
        with self.mutex:
            left = [*self.queue, *(job for waiting in self._waiting.values() for job, _ in waiting)]
            self.queue.clear()
            self._waiting.clear()
            self._waiting_count = 0
            self._again.clear()
            self._close()
        return left

    def _has_turn(self, address: Any, *, alone: bool) -> bool:
        """Whether one more job may be under way to an address."""
        if self.per_address is None or not isinstance(address, str):
            return True
        most = 1 if alone else self.per_address
        return address not in self._alone and self._under_way.get(address, 0) < most

    def _is_busy(self, address: Any) -> bool:
        return isinstance(address, str) and (address in self._waiting or not self._has_turn(address, alone=False))

    def _is_full(self, address: Any) -> bool:
        if self._is_busy(address):
            return self._waiting_count >= MOST_WAITING
        return len(self.queue) >= self.maxsize

    def _wait(self, address: Any, job: Job, *, alone: bool) -> None:
        waiting = self._waiting.setdefault(address, deque())
        if alone:
            waiting.appendleft((job, alone))
        else:
            waiting.append((job, alone))
        self._waiting_count += 1

    def _let_go(self, address: Any, job: Job, alone: bool) -> None:
        if self.per_address is not None and isinstance(address, str):
            self._under_way[address] = self._under_way.get(address, 0) + 1
            if alone:
                self._alone.add(address)
        if alone:
            self.queue.appendleft(job)
        else:
            self.queue.append(job)
        self.not_empty.notify()

    def _get(self) -> Any:
        job = super()._get()
        self._again.discard(id(job))
        return job

    def _qsize(self) -> int:
        # Closed, and jobs wait for their address, or for being put in once more: those who ask for one wait, too.
        return len(self.queue) or int(self.closed and not self._waiting_count and not self._held)
