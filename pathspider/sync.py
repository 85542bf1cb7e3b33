"""The synchronized model: connections that differ in their configuration, and in nothing else.

A plugin's ``configurations`` are settings of the whole machine, and workers go in step: the configurator switches the
machine, opens that configuration's gate, and closes it when every worker that came for it has passed. A gate is a
:class:`SemaphoreN` with one token a worker: open when the tokens are free, closed when the configurator holds them all.

A plugin whose configurations can belong to a connection says so in ``connection_configurations``
(:mod:`pathspider.network.configurations`). What they need is then prepared once, nothing is switched, nobody waits, and
the rest of the machine does not notice.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from inspect import ismethod
from typing import TYPE_CHECKING, Any, ClassVar

from pathspider.base import Spider, Stopped
from pathspider.helpers.modes import connect
from pathspider.helpers.sockets import local_error
from pathspider.records import Connection, Job
from pathspider.run.connect import LATE_PACKETS

if TYPE_CHECKING:
    from pathspider.helpers.sockets import SockOpts
    from pathspider.network.configurations import Configuration, Configurations

log = logging.getLogger("pathspider")

TO_VERIFY = 200
"""Connections, at a run's beginning, before which it is looked whether they leave by the same way as any other."""
BETWEEN_LOOKS = 1.0
"""Seconds between two looks at what configurations need."""


class SemaphoreN(threading.BoundedSemaphore):
    """A bounded semaphore whose tokens can be taken and given back several at once, all or none."""

    _cond: threading.Condition
    _value: int
    _initial_value: int

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take one token."""
        return self.acquire_n(1, blocking, timeout)

    __enter__ = acquire

    def acquire_n(self, value: int = 1, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take ``value`` tokens at once, waiting until that many are free; none are taken otherwise.

        :param blocking: False: do not wait
        :param timeout: seconds to wait at most; None for ever
        :returns: True if the tokens were taken
        :raises ValueError: for a negative ``value``, one that can never be had, or a timeout without blocking
        """
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        if not 0 <= value <= self._initial_value:
            raise ValueError(f"{value} tokens of a semaphore that has {self._initial_value}")
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._cond:
            while self._value < value:
                if not blocking:
                    return False
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._cond.wait(left)
            self._value -= value
            return True

    def release(self, n: int = 1) -> None:
        """Give ``n`` tokens back."""
        self.release_n(n)

    def release_n(self, value: int = 1) -> None:
        """Give ``value`` tokens back at once.

        :raises ValueError: for a negative ``value``, or more tokens than were taken
        """
        if value < 0:
            raise ValueError(f"{value} tokens cannot be given back")
        with self._cond:
            if self._value + value > self._initial_value:
                raise ValueError("Semaphore released too many times")
            self._value += value
            # Each waiter wants a number of its own, so each must look for itself.
            self._cond.notify_all()

    def empty(self) -> None:
        """Take all tokens, waiting until all are free."""
        self.acquire_n(self._initial_value)


class SynchronizedSpider(Spider):
    """A spider whose connections differ in their configuration alone.

    ``configurations`` lists functions of the plugin that set the machine up; the first is the baseline. Each is called,
    before the connections that run under it, as often as the configurator comes round; the first also before the run
    begins and after it.
    """

    configurations: ClassVar[Sequence[Callable[[Any], None]]] = []
    capabilities: ClassVar[Sequence[str]] = ("CAP_NET_RAW", "CAP_NET_ADMIN")

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self.carried: Configurations | None = None
        """What the run's connections carry, where nothing is switched."""
        self._turn = threading.Condition()
        self._wanting = [0] * self.configuration_count()
        """For each configuration, how many workers wait for it or connect under it."""
        self._finished = False
        self._unattended = False
        """The configurator has ended before the workers: the gates say nothing any more."""
        self._verified = 0
        self._other_path = False
        self._next_look = 0.0
        self._gates = [SemaphoreN(worker_count) for _ in self._wanting]
        for gate in self._gates:
            gate.empty()

    def configuration_count(self) -> int:
        return len(self.configurations)

    def connection_configurations(self) -> Sequence[Configuration] | None:
        """The same configurations, where they can belong to a connection each; None where the machine is switched."""
        return None

    def borrow(self) -> None:
        """Prepare what connections carry or, in lock-step, take up the baseline, which shows whether it can be had."""
        each = None if self.options.lockstep else self.connection_configurations()
        if each is not None:
            from pathspider.network.configurations import ConfigurationError, Configurations  # noqa: PLC0415 - heavy

            try:
                self.carried = Configurations(self.settings, each, source=self.source)
                return
            except ConfigurationError as error:
                log.warning("%s: %s", self.name, error)
        if self.configurations:
            self._configure(0)

    def configurator(self) -> None:
        """Give each configuration its turn, in order, while there are workers that want one, and end with the first.

        Where connections carry their configuration, wait for the last of them, and take down what they needed.
        """
        if self.carried is not None:
            with self._turn:
                self._turn.wait_for(lambda: self._finished and not any(self._wanting))
            if self.carried.marks_packets:  # also those that the kernel sends when a connection is closed
                self.pipeline.connector.aborting.wait(LATE_PACKETS)
            self._take_down(self.carried)
            return
        config = 0
        while (turn := self._next_turn(config)) is not None:
            config = turn
            self._configure(config)
            gate = self._gates[config]
            gate.release_n(self.worker_count)
            self._wait_until_passed(config)
            gate.empty()
        if config:
            self._configure(0)

    def _configure(self, config: int) -> None:
        configuration = self.configurations[config]
        if ismethod(configuration):
            configuration()
        else:
            configuration(self)

    @staticmethod
    def _take_down(carried: Configurations) -> None:
        from pathspider.network.settings import SettingsError  # noqa: PLC0415 - heavy

        with suppress(SettingsError):  # tried once more, and told, where all settings are put back
            carried.close()

    def give_settings_back(self) -> None:
        if self.carried is not None:  # first: it would put back what is taken away, as a firewall's doing
            self._take_down(self.carried)
        super().give_settings_back()

    def configurator_over(self) -> None:
        """Nobody waits at a gate after an orderly end; after any other, those who do shall see that it is over."""
        with self._turn:
            self._unattended = not self._finished
        for gate in self._gates:
            gate.release_n(self.worker_count)

    def _wait_until_passed(self, config: int) -> None:
        with self._turn:
            self._turn.wait_for(lambda: not self._wanting[config])

    def _next_turn(self, last: int) -> int | None:
        """The next configuration that a worker waits for; None when there will be none."""
        count = len(self.configurations)
        with self._turn:
            self._turn.wait_for(lambda: any(self._wanting) or self._finished)
            if self.pipeline.connector.aborting.is_set():
                return None
            order = ((last + step) % count for step in range(1, count + 1))
            return next((config for config in order if self._wanting[config]), None)

    @contextmanager
    def configuration(self, config: int) -> Iterator[None]:
        """Run the body while the machine is in configuration ``config``; waits for its turn."""
        with self._turn:
            self._wanting[config] += 1
            self._turn.notify_all()
        try:
            with self._gates[config]:
                if self.pipeline.connector.aborting.is_set():
                    raise Stopped
                if self._unattended:
                    raise RuntimeError("the configurator has ended before the workers")
                yield
        finally:
            with self._turn:
                self._wanting[config] -= 1
                if not self._wanting[config]:
                    self._turn.notify_all()

    def perform(self, job: Job, config: int) -> Connection:
        if self.carried is not None:
            with self._uses_what_is_carried(config):
                if self._look_after(self.carried, job):
                    return self.connect(job, config)
                return local_error("other_path")
        with self.configuration(config):
            return self.connect(job, config)

    @contextmanager
    def _uses_what_is_carried(self, config: int) -> Iterator[None]:
        """What connections carry is not taken down while the body runs."""
        with self._turn:
            if self._finished:
                raise Stopped
            self._wanting[config] += 1
        try:
            yield
        finally:
            with self._turn:
                self._wanting[config] -= 1
                if self._finished:
                    self._turn.notify_all()

    def _look_after(self, carried: Configurations, job: Job) -> bool:
        """Look whether the first targets are reached the same way with every configuration, and, each second, whether
        what they need is still there. What left otherwise than it should is seen in its flow.

        :returns: False if this target is reached another way, and so cannot be measured
        """
        from pathspider.network.configurations import ConfigurationError  # noqa: PLC0415 - heavy

        if self._verified >= TO_VERIFY and time.monotonic() < self._next_look:
            return True
        with self._turn:
            verify = self._verified < TO_VERIFY
            self._verified += verify
            if look := time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + BETWEEN_LOOKS
        if look and (lost := carried.lost()):
            log.warning("%s: %s", self.name, lost)
        try:
            if verify:
                carried.verify([(job["dip"], job["dp"])], self.source)
        except ConfigurationError as error:
            with self._turn:
                first, self._other_path = not self._other_path, True
            log.log(logging.WARNING if first else logging.DEBUG, "%s: %s", self.name, error)
            return False
        return True

    def connect(self, job: Job, config: int) -> Connection:
        """Make the connection that ``--connect`` asks for, under configuration ``config``."""
        return connect(self.args.connect, self.source, job, self.args.timeout, sockopts=self.sockopts(config))

    def sockopts(self, config: int) -> SockOpts | None:
        """The socket options with which a connection carries its configuration; None where the machine is switched."""
        from pathspider.network.configurations import ConfigurationError  # noqa: PLC0415 - heavy

        try:
            return None if self.carried is None else self.carried.sockopts(config)
        except ConfigurationError:
            if self.pipeline.connector.aborting.is_set():  # all is taken down while we are on our way
                raise Stopped from None
            raise

    def live_options(self, config: int) -> SockOpts | None:
        return None if self.carried is None else self.sockopts(config)

    def wake_configurator(self) -> None:
        with self._turn:
            self._finished = True
            self._turn.notify_all()
