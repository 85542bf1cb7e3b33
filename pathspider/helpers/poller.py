"""One thread that waits for all sockets, so that thousands of connections in flight cost their threads nothing.

What a connection helper does is an *exchange*: a generator that yields what it waits for and returns its result.

* ``Wait(sock, events, until)``: it is resumed with what poll(2) would say, 0 when ``until`` has passed.
* ``Transfer(handle, until)``: libcurl carries out the transfer that a ``pycurl.Curl`` describes; it is resumed with
  (libcurl's error number, text), None when ``until`` has passed.

:func:`run` is called by a worker thread. The first steps are taken there, where they may be all; as soon as the
exchange has to wait it is handed to the one poller thread (epoll(7), and one libcurl *multi* handle), which carries it
on to its end and wakes the worker once. The poller is started when it is first needed, and sleeps without waking up
while nothing is under way.

All deadlines are moments on the attended clock (:mod:`pathspider.helpers.attended`). While anything is under way the
poller looks at least every :data:`TICK` seconds, and at each look says until when it will look again. A timer fires
only after a look that began when it was due and found nothing.

**In time is judged by arrival.** An answer that is found after a lag, and may have come after its deadline, is late if
the kernel says that it came then (``TCP_INFO``; for UDP the exchange looks at ``SO_TIMESTAMPNS`` itself, see
:func:`arrived`): in the lag the kernel and the network went on, so that time counts as it passed.
"""

from __future__ import annotations

import heapq
import logging
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from pathspider.helpers.attended import ALLOWANCE, DISTURBING, NOTED, AttendedClock

log = logging.getLogger("pathspider")

TICK = 0.1
"""Seconds between two looks, at most, while anything is under way."""

FRESH = 1.0
"""Seconds after which libcurl looks at a connection by itself no more: it waits to be told."""

TAKES_IN = 0.01
"""Seconds that the poller gives to what was handed to it, between two looks, and to exchanges that can go on."""

AWAKE = 4
"""How many threads may be waking up at once: each waiter for the interpreter's lock wakes up every 5 ms."""

MOST_EVENTS = 4096
JIFFY = 0.01
"""The resolution of the kernel's ages, at worst: the doubt is for the network."""



class HasFileno(Protocol):
    """A socket, or what else poll(2) can wait for."""

    def fileno(self) -> int:
        """The descriptor."""


class Wait(NamedTuple):
    """Wait until ``sock`` is ready for ``events`` (``select.POLLIN``, …), or ``until``, a moment on :func:`clock`."""

    sock: HasFileno
    events: int
    until: float


class Transfer(NamedTuple):
    """Wait until libcurl has done what ``handle``, a ``pycurl.Curl``, says, or ``until``, a moment on :func:`clock`."""

    handle: Any
    until: float
    descriptor: Callable[[], int] | None = None
    """Tells libcurl's descriptor of the connection, -1 before there is one; without it libcurl is asked, which knows it
    only afterwards in some versions."""
    heed: Callable[[int], int] | None = None
    """Is told what the connection is ready for, as epoll(7) says it, before libcurl is, and returns what libcurl is to
    be told. 0 where libcurl looks by itself. Needs ``descriptor``."""


Result = TypeVar("Result")
Exchange = Generator[Wait | Transfer, Any, Result]


class _Task:
    """An exchange under way."""

    __slots__ = ("abandoned", "awake", "before", "descriptor", "error", "exchange", "finished", "found", "looked",
                 "result", "step", "turn", "wakeup")

    def __init__(self, exchange: Exchange[Any]) -> None:
        self.exchange = exchange
        self.step: Wait | Transfer | None = None
        self.turn = 0
        """Which of its waits this is: a timer for an earlier one is void."""
        self.looked = 0
        """The last look before the wait began: what is found by later ones counts."""
        self.before = 0.0
        """The sum of all lags when the wait began."""
        self.descriptor = -1
        self.wakeup: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = 0.0
        self.found = False
        """What it waits for has come, and it has not gone on since: others do before it."""
        self.awake = self.abandoned = False


class Poller:
    """The poller thread and what is handed to it; :func:`run` and the other functions use the process's one."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._gate = threading.Lock()
        """One worker at a time takes its first steps: more would only wait for the interpreter, and cost."""
        self._namespace = _namespace()
        self._under_way: set[object] = set()
        self._incoming: deque[_Task] = deque()
        self._finished: deque[_Task] = deque()
        self._tokens = deque(range(AWAKE))
        self._asleep = self._idle = True
        self._abandoned = False
        self._failure: BaseException | None = None

        self.attended = AttendedClock()
        self._unlooked = 0.0
        """All lags up to the last look."""
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._waiting: dict[int, _Task] = {}
        self._found: deque[tuple[_Task, int, int]] = deque()
        """Of these, whose socket is ready, the turn in which it is, and for what; 0 where that came too late."""
        self._timers: list[tuple[float, int, int, _Task]] = []
        self._timer_number = 0
        self._round = 0
        """How often we have looked."""
        self._multi: Any = None
        self._pycurl: Any = None
        self._transfers: dict[Any, _Task] = {}
        self._masks: dict[int, int] = {}
        """libcurl's descriptors, and what it waits for."""
        self._heeds: dict[int, Callable[[int], int]] = {}
        """Who is to be told first what libcurl's descriptors are ready for."""
        self._unheeded: list[Transfer] = []
        """Transfers whose descriptor is not known yet, of those that are to be told."""
        self._fresh: deque[tuple[float, int]] = deque()
        """When libcurl made which of their connections, of late."""
        self.rounds = 0
        """How often it has looked."""
        self._thread = threading.Thread(target=self._work, name="poller", daemon=True)
        self._thread.start()

    # -- the worker's side ---------------------------------------------------------------------------------------

    def run(self, exchange: Exchange[Result], *, here: bool = True) -> Result:
        """See :func:`run`."""
        if threading.get_ident() == self._thread.ident:
            exchange.close()
            raise RuntimeError("an exchange waits for another by run() or wait(): it has to yield what it waits for")
        task = _Task(exchange)
        self._under_way.add(task)
        if self._idle:
            self._ring()  # the clock is attended from here on
        try:
            if here or not self.serves():
                with self._gate:
                    try:
                        self._first_steps(task)
                    except StopIteration as end:
                        result: Result = end.value
                        return result
            return self._hand_over(task)  # type: ignore[no-any-return]
        finally:
            self._under_way.discard(task)

    def stays(self) -> None:
        """See :func:`stays`."""
        self._own.stays = self._namespace is not None and _namespace() == self._namespace

    def serves(self) -> bool:
        """See :func:`serves`."""
        return getattr(self._own, "stays", False)

    def _first_steps(self, task: _Task) -> None:
        """Go on until the exchange has to wait; ``StopIteration`` if it is over before."""
        task.before, task.step = self.attended.lags, task.exchange.send(None)
        while isinstance(task.step, Wait) and (ready := self._look(task.step, task.before)):
            task.before, task.step = self.attended.lags, task.exchange.send(ready)

    def _look(self, step: Wait, before: float) -> int:
        """What a socket is ready for at this moment; ``before`` is the sum of the lags before the step was taken."""
        poll = select.poll()
        poll.register(step.sock, step.events)
        found = poll.poll(0)
        if not found:
            return 0
        if monotonic() - before > step.until and self._late(step.sock.fileno(), step):
            return 0
        return found[0][1]

    def _hand_over(self, task: _Task) -> Any:
        wakeup = getattr(self._own, "wakeup", None)
        if wakeup is None:
            wakeup = self._own.wakeup = threading.Lock()
            wakeup.acquire()
        task.wakeup = wakeup
        self._incoming.append(task)
        if self._asleep:
            self._ring()
        try:
            wakeup.acquire()
        except BaseException:  # the main thread was interrupted
            self._own.wakeup = None
            task.abandoned = self._abandoned = True
            self._ring()
            if task.awake:
                self._wake(0)
            raise
        self._wake(0)
        late = monotonic() - task.finished
        if late > DISTURBING:
            self.attended.woken_late(task.finished, late)
        if task.error is not None:
            raise task.error
        return task.result

    def _ring(self) -> None:
        self._asleep = False
        with suppress(BlockingIOError):
            os.eventfd_write(self._bell, 1)

    def _wake(self, token: int | None = None) -> None:
        """Wake the workers of finished exchanges, as many as there are tokens; the caller may give one back."""
        if token is not None:
            self._tokens.append(token)
        while self._finished:
            try:
                token = self._tokens.pop()
            except IndexError:
                return  # whoever has one looks again when he gives it back
            try:
                task = self._finished.popleft()
            except IndexError:
                self._tokens.append(token)
                continue
            if task.abandoned:
                self._tokens.append(token)
                continue
            task.awake = True
            task.wakeup.release()

    # -- the poller's thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                self._one_round()
        except BaseException as error:  # a mistake here must not leave thousands of threads waiting
            self._failure = error
            log.critical("the poller failed", exc_info=error)
            while True:
                with suppress(IndexError):
                    while True:
                        self._finish(self._incoming.popleft(), None, error)
                for task in [*self._waiting.values(), *self._transfers.values()]:
                    self._finish(task, None, error)
                self._waiting.clear()
                self._transfers.clear()
                self._asleep = True
                if not self._incoming:
                    select.poll().poll(100)

    def _one_round(self) -> None:
        self.rounds += 1
        until = monotonic() + TAKES_IN
        while self._incoming and monotonic() < until:
            task = self._incoming.popleft()
            if task.step is None:
                self._begin(task)
            else:
                self._begin_wait(task, task.step)
        # not after a lag: libcurl would read answers before it is asked whether they were in time
        if self._transfers and self._multi.timeout() == 0 and monotonic() <= self.attended.due:
            self._run_timers()
            self._collect()
        timeout = self._sleep()
        began = monotonic()
        self.attended.attend(began, began + timeout + ALLOWANCE)
        due = began - self.attended.lags
        self.attended.sample(began)
        events = self._epoll.poll(None if timeout == float("inf") else timeout, MOST_EVENTS)
        if not events and monotonic() > self.attended.due:
            events = self._epoll.poll(0, MOST_EVENTS)  # the select module does not look again after a signal's pause
        self._asleep = self._idle = False
        self._round += 1
        now = monotonic()
        before = self._unlooked
        self.attended.attend(now, now + ALLOWANCE)
        self._unlooked = self.attended.lags
        self._handle(events, now, before)
        if len(events) < MOST_EVENTS:
            self._fire(due)

    def _sleep(self) -> float:
        """Get ready to sleep: for how many seconds, unless something happens."""
        self._asleep = True
        if self._incoming or self._found:
            return 0.0
        timeout = TICK
        if not self._under_way and not self._waiting and not self._transfers:
            self._idle = True
            if not self._under_way:
                return float("inf")
            self._idle = False
        while self._timers and self._timers[0][3].turn != self._timers[0][2]:
            heapq.heappop(self._timers)
        if self._timers:
            timeout = min(timeout, self._timers[0][0] - self.attended.now())
        if self._transfers and (ahead := self._multi.timeout()) >= 0:
            timeout = min(timeout, ahead / 1000)
        return max(timeout, 0.0)

    def _handle(self, events: list[tuple[int, int]], now: float, before: float) -> None:
        """Go on with what a look has found; ``before`` is the sum of all lags up to the look before it."""
        acted = False
        late = self._late_transfers(now - before) if self._transfers else ()
        for descriptor, ready in events:
            task = self._waiting.get(descriptor)
            if task is not None:
                if task.looked == self._round:
                    continue  # the event is that of another socket, which had this number before
                step = task.step
                assert isinstance(step, Wait)
                # it may have come after its time, had there been no lag since it was last looked for
                lags = task.before if task.looked == self._round - 1 else before
                late_answer = now - lags > step.until and self._late(descriptor, step)
                task.found = True
                self._found.append((task, task.turn, 0 if late_answer else ready))
            elif descriptor in self._masks:
                if descriptor in late:
                    continue
                if not (ready := self._heeded(descriptor, ready)):
                    continue
                acted = True
                self._multi.socket_action(descriptor, _curl_events(ready))
            elif descriptor == self._bell:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
                if self._abandoned:
                    self._drop_abandoned()
        if self._transfers and self._multi.timeout() == 0:
            acted = True
            self._run_timers()
        if acted:
            self._collect()
        self._go_on_with_found(now + TAKES_IN)

    def _go_on_with_found(self, until: float) -> None:
        """Resume exchanges whose sockets are ready, until a monotonic moment: they may compute, and a look is due."""
        while self._found:
            task, turn, ready = self._found.popleft()
            if task.turn == turn:
                self._waiting.pop(task.descriptor, None)
                self._go_on(task, ready)
                if monotonic() > until:
                    break

    def _late_transfers(self, latest: float) -> set[int]:
        """End the transfers whose answer came after their deadline, while we could not look; their descriptors.

        ``latest`` is the time on the clock, had there been no lag since the last look.
        """
        found = set()
        if latest - self.attended.now() > NOTED:
            for handle, task in list(self._transfers.items()):
                assert isinstance(task.step, Transfer)
                if latest > task.step.until:
                    told = task.step.descriptor
                    descriptor = told() if told is not None else handle.getinfo(self._pycurl.LASTSOCKET)
                    if descriptor in self._masks and self._late(descriptor, task.step):
                        found.add(descriptor)
                        self._end_transfer(handle, None)
        return found

    def _late(self, descriptor: int, step: Wait | Transfer) -> bool:
        """Whether what a TCP socket has to say came after the step's deadline."""
        moment = arrival(descriptor, connecting=isinstance(step, Wait) and bool(step.events & select.POLLOUT))
        return moment is not None and self.attended.arrived(moment) > step.until

    def _fire(self, due: float) -> None:
        """End the waits whose time is over: it was so when the last look began, and that found nothing."""
        early = []
        while self._timers and self._timers[0][0] <= due:
            timer = heapq.heappop(self._timers)
            task = timer[3]
            if task.turn != timer[2]:
                continue
            if task.looked == self._round or task.found:
                early.append(timer)
            elif isinstance(task.step, Transfer):
                self._end_transfer(task.step.handle, None)
            else:
                self._forget(task)
                self._go_on(task, 0)
        for timer in early:
            heapq.heappush(self._timers, timer)
        if len(self._timers) > 1000 + 4 * (len(self._waiting) + len(self._transfers)):
            self._timers = [timer for timer in self._timers if timer[3].turn == timer[2]]
            heapq.heapify(self._timers)

    def _forget(self, task: _Task) -> None:
        """Wait for this socket no more."""
        self._waiting.pop(task.descriptor, None)
        with suppress(OSError, ValueError):
            self._epoll.unregister(task.descriptor)

    def _go_on(self, task: _Task, value: Any) -> None:
        """Resume an exchange, with a value or an exception."""
        task.turn += 1
        task.found = False
        task.before = self.attended.lags
        try:
            step = task.exchange.throw(value) if isinstance(value, Exception) else task.exchange.send(value)
        except StopIteration as end:
            self._finish(task, end.value, None)
        except BaseException as error:
            self._finish(task, None, error)
        else:
            self._begin_wait(task, step)

    def _begin(self, task: _Task) -> None:
        """Take an exchange's first steps."""
        if task.abandoned:
            return
        try:
            self._first_steps(task)
        except StopIteration as end:
            self._finish(task, end.value, None)
        except BaseException as error:
            self._finish(task, None, error)
        else:
            self._begin_wait(task, task.step)

    def _begin_wait(self, task: _Task, step: Any) -> None:
        task.step, task.looked = step, self._round
        try:
            if isinstance(step, Wait):
                descriptor = task.descriptor = step.sock.fileno()
                if descriptor in self._waiting:
                    raise RuntimeError(f"two threads wait for descriptor {descriptor}")
                mask = step.events | select.EPOLLONESHOT
                try:
                    self._epoll.register(descriptor, mask)
                except FileExistsError:
                    self._epoll.modify(descriptor, mask)
                self._waiting[descriptor] = task
            elif isinstance(step, Transfer):
                if self._multi is None:
                    self._make_multi()
                self._multi.add_handle(step.handle)
                self._transfers[step.handle] = task
                if step.heed is not None:
                    self._unheeded.append(step)
            else:
                raise TypeError(f"an exchange yielded {step!r}, where a Wait or a Transfer is needed")
        except Exception as error:  # no memory, no descriptor: the exchange knows what that means for it
            self._go_on(task, error)
            return
        self._timer_number += 1
        heapq.heappush(self._timers, (step.until, self._timer_number, task.turn, task))

    def _finish(self, task: _Task, result: Any, error: BaseException | None) -> None:
        task.turn += 1
        task.result, task.error = result, error
        task.finished = monotonic()
        with suppress(Exception):
            task.exchange.close()
        if not task.abandoned:
            self._finished.append(task)
            self._wake()

    def _drop_abandoned(self) -> None:
        self._abandoned = False
        for task in [*self._waiting.values(), *self._transfers.values()]:
            if task.abandoned:
                if isinstance(task.step, Transfer):
                    self._transfers.pop(task.step.handle, None)
                    self._multi.remove_handle(task.step.handle)
                    self._drop_heed(task.step)
                else:
                    self._forget(task)
                self._finish(task, None, None)

    # -- libcurl -------------------------------------------------------------------------------------------------

    def _make_multi(self) -> None:
        pycurl = self._pycurl = import_module("pycurl")
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, 0)  # CURLPIPE_NOTHING: no connection serves two transfers
        self._multi.setopt(pycurl.M_MAXCONNECTS, 1)  # none is kept: each is forbidden to be used again
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """libcurl says what it waits for."""
        pycurl = self._pycurl
        if self._unheeded:
            self._find_heeds()
        if what == pycurl.POLL_REMOVE:
            if self._masks.pop(descriptor, None) is not None:
                with suppress(OSError):
                    self._epoll.unregister(descriptor)
            return
        mask = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if self._masks.get(descriptor) == mask:
            return
        try:
            self._epoll.register(descriptor, mask)
        except FileExistsError:
            self._epoll.modify(descriptor, mask)
        self._masks[descriptor] = mask

    def _run_timers(self) -> None:
        """Have libcurl do what is due on its clock: that may be to look at a connection."""
        self._find_heeds()
        now = monotonic()
        while self._fresh and self._fresh[0][0] < now - FRESH:
            self._fresh.popleft()
        for _, descriptor in [*self._fresh]:
            self._heeded(descriptor, 0)
        self._multi.socket_action(self._pycurl.SOCKET_TIMEOUT, 0)

    def _heeded(self, descriptor: int, ready: int) -> int:
        """What libcurl is to be told of a connection that is ready for something."""
        heed = self._heeds.get(descriptor)
        if heed is None:
            return ready
        try:
            return heed(ready)
        except Exception:  # one connection's trouble is not that of all others
            log.exception("descriptor %d cannot be looked at", descriptor)
            del self._heeds[descriptor]
            return ready

    def _find_heeds(self) -> None:
        """libcurl has made connections: of whom?"""
        waiting = []
        for step in self._unheeded:
            assert step.descriptor is not None
            assert step.heed is not None
            if step.handle not in self._transfers:
                continue  # it is over
            if (descriptor := step.descriptor()) >= 0:
                self._heeds[descriptor] = step.heed
                self._fresh.append((monotonic(), descriptor))
            else:
                waiting.append(step)
        self._unheeded = waiting

    def _drop_heed(self, step: Any) -> None:
        """A transfer is over."""
        if step.heed is not None and step.descriptor is not None:
            descriptor = step.descriptor()
            if self._heeds.get(descriptor) == step.heed:  # else the number is another's by now
                del self._heeds[descriptor]

    def _collect(self) -> None:
        """Resume the exchanges whose transfers are done."""
        more = 1
        while more:
            more, good, bad = self._multi.info_read()
            for handle in good:
                self._end_transfer(handle, (0, ""))
            for handle, number, text in bad:
                self._end_transfer(handle, (number, text))

    def _end_transfer(self, handle: Any, outcome: tuple[int, str] | None) -> None:
        task = self._transfers.pop(handle)
        self._multi.remove_handle(handle)
        self._drop_heed(task.step)
        self._go_on(task, outcome)


def _curl_events(ready: int) -> int:
    """What epoll says, as ``CURL_CSELECT_*``."""
    return ((1 if ready & (select.EPOLLIN | select.EPOLLHUP) else 0) | (2 if ready & select.EPOLLOUT else 0)
            | (4 if ready & select.EPOLLERR else 0))


def arrival(descriptor: int, connecting: bool) -> float | None:
    """The monotonic moment at which a TCP socket's news came: the handshake's end, or the last data.

    None where the kernel does not say. tcp(7), ``TCP_INFO``
    """
    try:
        with _borrowed(descriptor) as sock:
            if sock.type != socket.SOCK_STREAM:
                return None
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return None
    if len(info) < 60:
        return None
    data: int
    acknowledged: int
    data, acknowledged = struct.unpack_from("=II", info, 52)  # tcpi_last_data_recv, tcpi_last_ack_recv: ages in ms
    # the moment of the handshake's end counts as data to the kernel; later acknowledgements are younger than it
    return monotonic() - (max(data, acknowledged) if connecting else data) / 1000 - JIFFY


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    sock = socket.socket(fileno=descriptor)
    try:
        yield sock
    finally:
        sock.detach()


# -- the process's one poller ------------------------------------------------------------------------------------

_current: Poller | None = None
_making = threading.Lock()


def _poller() -> Poller:
    global _current  # noqa: PLW0603 - one a process
    current = _current
    if current is None or current._failure is not None:
        with _making:
            if _current is None or _current._failure is not None:
                _current = Poller()
            current = _current
    return current


def _forked() -> None:
    """A child has no poller thread: it makes its own."""
    global _current, _making
    _current, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forked)


def run(exchange: Exchange[Result], *, here: bool = True) -> Result:
    """Carry an exchange to its end, without cost while it waits; what it returns, or raises. It must not block.

    :param here: its first steps are taken in the calling thread, all others in the poller's. False for an exchange that
        has to wait in any case: all may be taken in the poller's, which spares changes of threads. Sockets belong to
        the network namespace of the thread that makes them: so only for a thread that has called :func:`stays`.
    """
    try:
        poller = _poller()
    except OSError as error:
        return at_once(exchange, error)
    return poller.run(exchange, here=here)


def stays() -> None:
    """This thread will not change its network namespace: the poller may make sockets for it, if it is in the same."""
    with suppress(OSError):
        _poller().stays()


def serves() -> bool:
    """Whether the poller may make sockets for this thread, at any step: see :func:`stays`."""
    try:
        return _poller().serves()
    except OSError:
        return False


def _namespace() -> tuple[int, int] | None:
    """The network namespace of this thread; None where it cannot be told. namespaces(7)"""
    try:
        found = os.stat("/proc/thread-self/ns/net")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def at_once(exchange: Exchange[Result], reason: OSError | None = None) -> Result:
    """What an exchange returns that waits for nothing.

    :param reason: where there is no poller (there is no descriptor for it, and most likely for no other), why: it is
        thrown into an exchange that waits all the same
    """
    try:
        exchange.send(None)
        if reason is not None:
            exchange.throw(reason)
    except StopIteration as end:
        result: Result = end.value
        return result
    raise RuntimeError("an exchange waits where it cannot") from reason


def wait(sock: HasFileno, events: int, until: float) -> int:
    """Block until ``sock`` is ready for ``events`` or has failed: what it is, as poll(2) says it.

    0 if ``until``, a moment on :func:`clock`, came first.
    """
    return run(_wait(sock, events, until))


def _wait(sock: HasFileno, events: int, until: float) -> Exchange[int]:
    ready: int = yield Wait(sock, events, until)
    return ready


def clock() -> float:
    """Seconds on the attended clock, :meth:`~pathspider.helpers.attended.AttendedClock.now`."""
    return monotonic() if _current is None else _current.attended.now()


def arrived(moment: float) -> float:
    """See :meth:`~pathspider.helpers.attended.AttendedClock.arrived`."""
    return moment if _current is None else _current.attended.arrived(moment)


def disturbance(began: float, ended: float) -> str | None:
    """See :meth:`~pathspider.helpers.attended.AttendedClock.disturbance`."""
    return None if _current is None else _current.attended.disturbance(began, ended)


def lag() -> float:
    """See :meth:`~pathspider.helpers.attended.AttendedClock.lag`."""
    return 0.0 if _current is None else _current.attended.lag()


@contextmanager
def attended() -> Iterator[None]:
    """The clock is attended within, also while no exchange is under way: for connections that wait by themselves."""
    poller, mark = _poller(), object()
    poller._under_way.add(mark)
    poller._ring()
    try:
        yield
    finally:
        poller._under_way.discard(mark)
