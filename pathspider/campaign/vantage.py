"""A vantage point: takes chunks from the broker, measures what is allowed here, and sends the results."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pathspider.campaign import messages
from pathspider.campaign.allowlist import AllowList, RefusedError
from pathspider.campaign.bundle import Bundle
from pathspider.campaign.chunks import ANY, Chunk
from pathspider.campaign.clock import clock
from pathspider.campaign.definitions import queue_of
from pathspider.campaign.link import Delivery, Link, NoRoomError
from pathspider.campaign.spool import Spool
from pathspider.version import __version__

log = logging.getLogger("pathspider")

SAYS = 60.0
"""Seconds between two words of ours to the coordinator."""

LEAST_ROOM = 256 << 20
"""Octets that have to be free before a chunk begins."""

PAUSE = 10.0
"""Seconds until room is looked for again."""


class BrokerExchange:
    """The worker's side of the :class:`~pathspider.campaign.exchange.Exchange` over a broker. The results of a chunk
    are on this machine's disk when :meth:`done` returns, and are sent when the broker takes them."""

    def __init__(self, bundle: Bundle, allowed: AllowList, spool: Spool) -> None:
        self._name = bundle.name
        self._allowed = allowed
        self._spool = spool
        self._inbox: queue.Queue[Delivery | None] = queue.Queue()
        self._requests: deque[Callable[[], None]] = deque()
        """What is to be done in the link's thread."""
        self._held: dict[str, Delivery] = {}
        """What was delivered of chunks under way, or waiting to be sent, by their keys."""
        self._words: dict[str, list[str]] = {}
        self._over = threading.Event()
        self._said_at = float("-inf")
        self._said_on = 0
        self.errors = 0
        self.refused = ""
        """What was refused last, and why."""
        self.link = Link(bundle, dict.fromkeys((queue_of(bundle.name), queue_of(ANY)), self._inbox.put),
                         work=self._work)

    # -- the worker's thread -------------------------------------------------------------------------------------

    def take(self) -> Chunk | None:
        """The next chunk that may be measured here."""
        while not self._over.is_set() and (delivery := self._inbox.get()) is not None:
            if delivery.connection != self.link.number:
                continue  # it comes again
            try:
                task = messages.unpack(delivery.body, self._name, self._allowed.targets)
                key = task.chunk.key
                if self._spool.was_sent(key):
                    self._do(lambda one=delivery: self.link.acknowledge(one))  # type: ignore[misc]
                    continue
                if self._spool.get(key) is not None or key in self._held:
                    self._held[key] = delivery
                    self.link.wake()
                    continue
                if task.version != __version__ and not task.other_versions:
                    raise RefusedError(f"the coordinator has version {task.version[:30]}, and this is {__version__}")
                self._words[key] = self._allowed.words(task.plugin, task.measure, task.options, task.rate)
            except (messages.MessageError, RefusedError) as error:
                self._refuse(delivery, str(error))
                continue
            self._held[key] = delivery
            if self._wait(task.start):
                return task.chunk
        return None

    def words(self, chunk: Chunk) -> list[str]:
        """Those of ``pspdr measure`` for a chunk that was taken."""
        return self._words[chunk.key]

    def done(self, chunk: Chunk, result: bytes) -> None:
        """Have the results on the disk; they are sent from there."""
        self._spool.put(chunk.key, result)
        self._words.pop(chunk.key, None)
        self.link.wake()

    def give_back(self, chunk: Chunk, why: str, *, given_up: bool) -> None:
        """Have the broker give the chunk to somebody else, or to nobody."""
        self.errors += 1
        self._words.pop(chunk.key, None)
        delivery = self._held.pop(chunk.key)
        self._do(lambda: self._give_back(delivery, chunk, why, given_up=given_up))

    def collect(self) -> Iterator[tuple[str, int]]:
        """That is the coordinator's."""
        return iter(())

    def facts(self) -> dict[str, Any]:
        """What is told with each result."""
        known = clock()
        return {"clock": {"synchronized": known.synchronized, "offset": known.offset, "error": known.error},
                "disk_free": self._spool.room(), "vantage_version": __version__}

    def wake(self) -> None:
        """Have :meth:`take` return."""
        self._over.set()
        self._inbox.put(None)

    def close(self, patience: float = 10.0) -> None:
        """End, when what is there to be told has been told, if the broker is there."""
        until = time.monotonic() + patience
        while self.link.connected and time.monotonic() < until and (self._requests or next(self._spool.waiting(), "")):
            self.link.wake()
            time.sleep(0.05)
        self.link.close()

    def _wait(self, start: float | None) -> bool:
        """Wait for the campaign's start, and for room on the disk; False if we are to end."""
        said = False
        while not self._over.is_set():
            if start is not None and time.time() < start:
                self._over.wait(min(start - time.time(), PAUSE))
            elif self._spool.room() < LEAST_ROOM:
                if not said:
                    log.error("%s: less than %d MB are free: waiting", self._spool.folder, LEAST_ROOM >> 20)
                said = True
                self._over.wait(PAUSE)
            else:
                return True
        return False

    def _do(self, request: Callable[[], None]) -> None:
        self._requests.append(request)
        self.link.wake()

    def _refuse(self, delivery: Delivery, why: str) -> None:
        """Nothing of it is measured here. What others may measure goes back, and we take no more of that kind."""
        log.error("refused: %s", why)
        self.errors += 1
        self.refused = why
        self._said_at = float("-inf")
        if delivery.queue == ANY:
            def leave() -> None:
                self.link.leave(ANY)
                self.link.refuse(delivery, requeue=True)

            self._do(leave)
        else:
            self._do(lambda: self._give_up(delivery, why))

    # -- the link's thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._requests:
            request = self._requests[0]
            request()  # what it raises has it done again
            self._requests.popleft()
        for key in self._spool.waiting():
            data = self._spool.get(key)
            if data is not None:
                self.link.publish("results", self._name, data, type="result", message_id=key)
                self._spool.sent(key)
            if (delivery := self._held.pop(key, None)) is not None:
                self.link.acknowledge(delivery)
        now = time.monotonic()
        if now > self._said_at + SAYS or self._said_on != self.link.number:
            self._said_at, self._said_on = now, self.link.number
            self._say()

    def _say(self) -> None:
        known = clock()
        body = messages.state(version=__version__, disk_free=self._spool.room(), clock_offset=known.offset,
                              synchronized=known.synchronized, errors=self.errors, refused=self.refused)
        try:
            self.link.publish("results", self._name, body, type="state", delivery_mode=1,
                              expiration=str(int(2000 * SAYS)))
        except NoRoomError:
            log.debug("no room for a word of ours")

    def _give_back(self, delivery: Delivery, chunk: Chunk, why: str, *, given_up: bool) -> None:
        if given_up:
            self._give_up(delivery, why, chunk)
        else:
            self.link.refuse(delivery, requeue=True)

    def _give_up(self, delivery: Delivery, why: str, chunk: Chunk | None = None) -> None:
        body = json.dumps({"key": chunk.key if chunk is not None else str(delivery.properties.message_id or "")[:200],
                           "why": why[:500]})
        self.link.publish("results", self._name, body.encode(), type="given_up")
        self.link.refuse(delivery, requeue=False)
