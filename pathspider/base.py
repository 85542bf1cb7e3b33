"""The spider: one run from first job to last record.

:class:`Spider` owns the threads, the queues between them, and their ordered end. It knows no plugin, no file format and
no protocol; the four models (:mod:`pathspider.sync`, :mod:`pathspider.desync`, …) say how a connection is made.

The way of a job::

    add_job -> jobqueue -> workers -> mergequeue -> merger -> outqueue
                                          ^
                             observer ----+

Every queue is bounded and blocks, so a slow reader of records slows the whole run down instead of filling memory. The
end follows the arrows: the workers leave, the observer flushes, the merger gives out what is left.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pathspider import conditions
from pathspider.helpers import modes
from pathspider.jobs import TARGET_KEYS, target_problem
from pathspider.merger import Merged, Merger
from pathspider.records import (
    CONN_DISCARD,
    CONN_FAILED,
    CONN_OK,
    CONN_SKIPPED,
    CONN_TIMEOUT,
    SHUTDOWN_SENTINEL,
    Conn,
    Connection,
    Flow,
    Job,
    Record,
    Result,
    Shutdown,
    Unmeasured,
    to_measure,
)
from pathspider.version import __version__

if TYPE_CHECKING:
    from pathspider.blocklist import Blocklist
    from pathspider.chains.base import Chain
    from pathspider.network.settings import Settings
    from pathspider.observer import DummyObserver, Observer
    from pathspider.pace import Pace

__all__ = [
    "CONN_DISCARD",
    "CONN_FAILED",
    "CONN_OK",
    "CONN_SKIPPED",
    "CONN_TIMEOUT",
    "SHUTDOWN_SENTINEL",
    "PluggableSpider",
    "Spider",
    "__version__",
]

log = logging.getLogger("pathspider")

Beginnings = tuple[Sequence[str | None], Sequence[str | None]]
"""How paths begin, over IPv4 and over IPv6: our address and, where it was looked up, our AS."""

DEFAULT_TIMEOUT = 5.0
"""Seconds that one connection may take."""

PATIENCE = 120.0
"""Seconds that the merger waits for the other half of a result; well over the observer's two timeouts."""


class PluggableSpider:
    """What makes a spider a plugin: ``pspdr measure`` offers each subclass that it finds in ``pathspider.plugins``."""

    name: ClassVar[str] = ""
    """The sub-command's name."""
    description: ClassVar[str] = ""
    """One line for the help text."""
    version: ClassVar[str] = ""
    conditions: ClassVar[Mapping[str, str]] = {}
    """Every condition that the plugin concludes, with its meaning; ``<…>`` stands for a value."""
    placeholders: ClassVar[Mapping[str, str]] = {}
    """What ``<…>`` may stand for, by its word, as a regular expression; a number where it is not among these."""

    @staticmethod
    def register_args(subparsers: Any) -> None:
        """Add this plugin's sub-command to ``subparsers``. The models implement it."""
        raise NotImplementedError("a plugin extends one of the models: SynchronizedSpider, DesynchronizedSpider, …")


class Stopped(Exception):  # noqa: N818 - not an error: it unwinds a worker
    """The run was stopped while a worker waited for its turn."""


class Spider:
    """A run of one experiment over many targets.

    :param worker_count: how many connections are under way at once
    :param libtrace_uri: packet source of the observer, such as ``int:eth0``
    :param args: the plugin's parsed arguments; ``connect`` and ``timeout`` are the common ones
    :param server_mode: the spider is fed by a long-running program: a target may be measured again
    """

    chains: ClassVar[Sequence[type[Chain]]] = []
    """The observer's chains. Empty: nothing is observed."""
    connect_supported: ClassVar[Sequence[str]] = ()
    """Connection modes of this plugin; the first is the default."""
    capabilities: ClassVar[Sequence[str]] = ("CAP_NET_RAW",)
    """What the run needs of capabilities(7): to capture, at least."""
    target_keys: ClassVar[Sequence[str]] = TARGET_KEYS
    """The keys of a job that say what is measured. A plugin that puts out several lines for a job names those by which
    they belong together."""
    baseline_between: ClassVar[bool] = False
    """With more than one experiment: repeat the baseline before each, to see that the path still stands (A B1 A B2)."""
    name: ClassVar[str] = "spider"
    description: ClassVar[str] = ""
    version: ClassVar[str] = ""

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        if worker_count < 1:
            raise ValueError(f"{worker_count} workers: at least one is needed")
        self.worker_count = worker_count
        self.libtrace_uri = libtrace_uri
        self.args = args
        self.server_mode = server_mode
        self.source: tuple[str | None, str | None] = getattr(args, "source", None) or (None, None)
        self.beginnings: Beginnings = getattr(args, "beginnings", None) or ([self.source[0]], [self.source[1]])
        self.output_flows: bool = getattr(args, "output_flows", False)
        self.pace: Pace | None = getattr(args, "pace", None)
        self.blocklist: Blocklist | None = getattr(args, "blocklist", None)

        self.jobqueue: queue.Queue[Job | Shutdown] = queue.Queue(worker_count)
        self.mergequeue: queue.Queue[Result | Unmeasured | Flow | Shutdown] = queue.Queue(10 * worker_count)
        self.outqueue: queue.Queue[Record | Shutdown] = queue.Queue(10 * worker_count)

        self.running = False
        self.stopping = threading.Event()
        """No new jobs."""
        self.terminated = threading.Event()
        """:meth:`terminate` has given the machine's settings back."""
        self.aborting = threading.Event()
        """No new connections either."""
        self.exception: BaseException | None = None
        """The first exception of any thread."""
        self.jobs_added = 0
        self.jobs_done = 0
        self.flows_found = 0
        self.flows_missed = 0

        self.observer: Observer | DummyObserver | None = None
        self._settings: Settings | None = None
        self._settings_closed = False
        self._feeding = threading.Lock()
        self._ending = threading.Lock()
        self._state = threading.Lock()
        self._observer_control: queue.Queue[Shutdown] = queue.Queue()
        self._observer_thread: threading.Thread | None = None
        self._merger_thread: threading.Thread | None = None
        self._configurator_thread: threading.Thread | None = None
        self._workers: list[threading.Thread] = []
        self._stoppers: list[threading.Thread] = []

    # -- what plugins and models fill in -------------------------------------------------------------------------

    @classmethod
    def register_args(cls, subparsers: Any) -> None:
        """Add this plugin's sub-command: ``--connect``, ``--timeout`` and what :meth:`extra_args` adds."""
        parser = subparsers.add_parser(cls.name, help=cls.description,
                                       description=inspect.cleandoc(cls.__doc__ or cls.description),
                                       formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.set_defaults(plugin=cls)
        if cls.connect_supported:
            default = cls.connect_supported[0]
            modes = ", ".join(cls.connect_supported)
            parser.add_argument("--connect", choices=cls.connect_supported, default=default, metavar="MODE",
                                help=f"Kind of connection: {modes}. (Default: {default})")
        parser.add_argument("--timeout", type=positive_seconds, default=DEFAULT_TIMEOUT, metavar="SECONDS",
                            help=f"Time that one connection may take. (Default: {DEFAULT_TIMEOUT:g})")
        cls.extra_args(parser)

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        """Add a plugin's own options to its sub-command."""

    def configuration_count(self) -> int:
        """How many configurations the experiment has, the baseline included."""
        raise NotImplementedError

    def plan(self) -> list[int]:
        """The configuration of each connection to a target, in the order in which they are made."""
        configs = range(self.configuration_count())
        if not self.baseline_between:
            return list(configs)
        return [config for experiment in configs[1:] for config in (0, experiment)] or list(configs)

    def perform(self, job: Job, config: int) -> Connection:
        """Make connection number ``config`` to a job's target; the models say how."""
        raise NotImplementedError

    def hold_back(self) -> None:
        """Wait until the next connection may be made; the models call it right before. See ``--rate``."""
        if self.pace is not None and self.aborting.wait(self.pace.delay()):
            raise Stopped

    def pre_connect(self, job: Job) -> Job | None:
        """Prepare for a job, once, before its first connection.

        Whatever is returned, unless None, is the job that the connections get.
        """
        return None

    def post_connect(self, job: Job, rec: Connection, config: int) -> None:
        """Finish off after a connection, once for each; a socket left in ``rec['client']`` is closed after it."""

    def merge(self, flow: Flow | None, res: Connection) -> Flow:
        """One connection's results and its flow, ``None`` if that was not observed, as one flow record.

        ``observed`` (bool) tells the two cases apart. What the connection knows wins over what the flow says.
        """
        return {**(flow or {}), **res, "observed": flow is not None}

    def combine_flows(self, flows: list[Flow]) -> list[str] | None:
        """The conditions that follow from a job's flow records, one for each connection, in the order of :meth:`plan`.

        Called when every flow was observed (where the plugin has chains) and our own machine did not fail.
        """
        raise NotImplementedError(f"{type(self).__name__} has no combine_flows()")

    def borrow(self) -> None:
        """Borrow the settings that the run changes, before anything else is begun: it may be that they cannot be had.

        What this raises, such as :class:`~pathspider.network.settings.SettingsError`, :meth:`start` raises.
        """

    def configurator(self) -> None:
        """Switch between the system's configurations while the workers connect. A no-op where nothing is switched."""

    def create_observer(self) -> Observer | DummyObserver:
        """The observer of this run, capturing when this returns; a dummy if the plugin has no chains."""
        from pathspider.observer import DummyObserver, Observer  # noqa: PLC0415 - native, and not needed for --help

        if not self.chains:
            return DummyObserver()
        return Observer(self.libtrace_uri, chains=list(self.chains), bpf=self.capture_filter())

    def protocols(self) -> Sequence[str]:
        """The transport protocols of the connections, as the capture filter names them."""
        return modes.protocols_of(getattr(self.args, "connect", None))

    def capture_filter(self) -> str | None:
        """BPF: what can belong to this run. None, everything, where the vantage point's addresses are not known."""
        if not any(self.source):
            return None
        from pathspider.network.interfaces import capture_filter  # noqa: PLC0415 - not needed for --help

        return capture_filter(self.source, self.protocols())

    @property
    def settings(self) -> Settings:
        """The machine's settings, borrowed: put back when the run ends."""
        with self._state:
            if self._settings_closed:
                raise Stopped
            if self._settings is None:
                from pathspider.network.settings import Settings  # noqa: PLC0415 - only where something is borrowed

                self._settings = Settings()
                self._settings.__enter__()
            return self._settings

    # -- start and end -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the observer, the merger, the configurator and the workers; jobs may be added from now on.

        Raises what the observer raises when it cannot capture, and what :meth:`borrow` raises; nothing runs then, and
        nothing stays borrowed.
        """
        if self.running:
            raise RuntimeError("this spider runs already")
        try:
            self.borrow()
            self.observer = self.create_observer()
        except BaseException:
            self._give_settings_back()
            raise
        self.running = True
        self._observer_thread = self._thread("observer", self.observer.run_flow_enqueuer,
                                             self.mergequeue, self._observer_control)
        self._merger_thread = self._thread("merger", self.merger)
        self._configurator_thread = self._thread("configurator", self.configurator)
        self._workers = [self._thread(f"worker-{number}", self.worker, number) for number in range(self.worker_count)]

    def _thread(self, name: str, target: Callable[..., Any], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=self.exception_wrapper, args=(target, *args), name=name, daemon=True)
        thread.start()
        return thread

    def exception_wrapper(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a thread's function; what it raises stops the run in order and is kept for the exit status."""
        try:
            target(*args, **kwargs)
        except Stopped:
            pass
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException, job: Job | None = None) -> None:
        """Note an exception, the first of which decides the run's end, and stop taking jobs."""
        with self._state:
            first = self.exception is None
            if first:
                self.exception = error
        if first:
            target = f", job {job.get('dip')} {job.get('domain', '')}".rstrip() if job else ""
            # Our own exceptions are made to be read; anybody else's needs to be traced.
            ours = type(error).__module__.startswith("pathspider.")
            kind = "" if ours else f"{type(error).__name__}: "
            log.error("plugin %s%s: %s%s; the run stops", self.name, target, kind, error,
                      exc_info=None if ours else error)
        self.aborting.set()
        self._wake_configurator()
        # Not in this thread: it may be the one that empties the queue that interrupt() fills.
        stopper = threading.Thread(target=self.interrupt, name="stopper", daemon=True)
        with self._state:
            self._stoppers.append(stopper)
        stopper.start()

    def add_job(self, job: Job) -> bool:
        """Add a job to the job queue; blocks while the workers are busy. False if the spider is stopping.

        A job that is the record of an earlier measurement loses what that one found.
        """
        job = to_measure(job)
        with self._feeding:
            if self.stopping.is_set():
                return False
            self.jobs_added += 1
            self.jobqueue.put(job)
            return True

    def interrupt(self) -> None:
        """Take no new jobs; those still queued end as not measured. What is under way goes on. Returns at once."""
        self.stopping.set()
        while True:
            self._drain()
            # A feeder that waits for room holds the lock: draining gives it the room, once more, and then it is over.
            if self._feeding.acquire(timeout=0.05):
                self._feeding.release()
                break
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                job = self.jobqueue.get_nowait()
            except queue.Empty:
                return
            if job is SHUTDOWN_SENTINEL:
                self.jobqueue.put(job)
                return
            self.mergequeue.put(Unmeasured(job, conditions.NOT_MEASURED))

    def shutdown(self) -> None:
        """End the run in order: queued jobs complete, results are merged, the records' end is marked. Blocks."""
        self.stopping.set()
        with self._ending:
            if not self.running:
                return
            with self._feeding:
                pass  # an add_job() that was under way has put its job
            self.jobqueue.put(SHUTDOWN_SENTINEL)
            for thread in self._workers:
                thread.join()
            self._wake_configurator()
            _join(self._configurator_thread)
            self._give_settings_back()
            self._observer_control.put(SHUTDOWN_SENTINEL)
            _join(self._observer_thread)
            for thread in self._stoppers:
                thread.join()
            self.mergequeue.put(SHUTDOWN_SENTINEL)
            _join(self._merger_thread)
            self.running = False

    def terminate(self) -> None:
        """End the run as quickly as possible: connections under way are given up, nothing waits for them."""
        self.stopping.set()
        self.aborting.set()
        self._wake_configurator()
        self._give_settings_back()
        self._observer_control.put(SHUTDOWN_SENTINEL)
        self.terminated.set()
        self.outqueue.put(SHUTDOWN_SENTINEL)

    def _wake_configurator(self) -> None:
        """The workers are gone, or shall go: a model that waits for its turn overrides this."""

    def _give_settings_back(self) -> None:
        with self._state:
            settings, self._settings = self._settings, None
            self._settings_closed = True
        if settings is not None:
            settings.__exit__(None, None, None)

    # -- the threads' functions ----------------------------------------------------------------------------------

    def worker(self, worker_number: int) -> None:
        """Measure jobs until there are no more.

        :param worker_number: the unique number of the worker
        """
        while (job := self.jobqueue.get()) is not SHUTDOWN_SENTINEL:
            self.mergequeue.put(self._measure(job))
        self.jobqueue.put(SHUTDOWN_SENTINEL)  # for the next worker

    def _measure(self, job: Job) -> Result | Unmeasured:
        """All connections to one target."""
        if self.aborting.is_set():
            return Unmeasured(job, conditions.NOT_MEASURED)
        if problem := self.job_problem(job):
            return Unmeasured(job, f"{conditions.INVALID_JOB}:{problem}")
        if self.blocklist is not None and job["dip"] in self.blocklist:
            return Unmeasured(job, conditions.BLOCKLISTED)
        connections: list[Connection] = []
        try:
            began, losses = time.time(), self.capture_losses()
            prepared = self.pre_connect(job) or job
            for config in self.plan():
                connections.append(self._checked(self.perform(prepared, config), config, job))
            ended = time.time()
            for connection in connections:
                self.post_connect(job, connection, connection["config"])
        except Stopped:
            return Unmeasured(job, conditions.NOT_MEASURED)
        except Exception as error:
            self.fail(error, job)
            return Unmeasured(job, conditions.NOT_MEASURED, f"{type(error).__name__}: {error}")
        finally:
            for connection in connections:
                if (client := connection.pop("client", None)) is not None:
                    client.close()
        return Result(job, connections, began, ended, losses)

    def capture_losses(self) -> int:
        """Packets that the capture has lost so far."""
        if self.observer is None:
            return 0
        stats = self.observer.stats
        return stats.dropped_kernel + stats.dropped_ring

    def _checked(self, connection: Any, config: int, job: Job) -> Connection:
        """What a connection function returned, made complete; ``TypeError`` where it is not what the API asks for."""
        if not isinstance(connection, dict) or "spdr_state" not in connection:
            raise TypeError(f"connection {config} returned {connection!r}, where a dict with 'spdr_state' is needed")
        connection["spdr_state"] = Conn(connection["spdr_state"])
        connection["config"] = config
        connection.setdefault("dp", job.get("dp"))
        return connection

    def job_problem(self, job: Job) -> str | None:
        """Why this job cannot be measured, as a word for a condition; None if it can. Fills in the default port."""
        problem = target_problem(job)
        if problem is None and job.get("dp") is None:
            job["dp"] = self.default_port()
        return problem

    def default_port(self) -> int:
        """The port of a job that names none."""
        return modes.default_port(getattr(self.args, "connect", None))

    def merger(self) -> None:
        """Bring results and flows together and put out one record a job, until both have ended."""
        merger = Merger(PATIENCE, observing=bool(self.chains))
        ends = 2  # the results' and the flows'
        try:
            while ends:
                item = self.mergequeue.get()
                if item is SHUTDOWN_SENTINEL:
                    ends -= 1
                elif isinstance(item, Unmeasured):
                    self._put(self._unmeasured_record(item))
                elif isinstance(item, Result):
                    self._put_merged(merger.add_result(item, time.monotonic()))
                else:
                    self._put_merged(merger.add_flow(item, time.monotonic()))
            self._put_merged(merger.finish())
        finally:
            self.outqueue.put(SHUTDOWN_SENTINEL)

    def _put_merged(self, merged: Iterator[Merged]) -> None:
        for job in merged:
            self.flows_found += sum(flow is not None for flow in job.flows)
            self.flows_missed += job.missed
            try:
                record = self._record(job)
            except Exception as error:
                self.fail(error, job.result.job)
                record = self._unmeasured_record(
                    Unmeasured(job.result.job, conditions.NOT_MEASURED, f"{type(error).__name__}: {error}"))
            self._put(record)

    def _put(self, record: Record | None) -> None:
        self.jobs_done += 1
        if record is not None:
            self.outqueue.put(record)

    def _record(self, merged: Merged) -> Record | None:
        """The output record of a job; None if the plugin wants none."""
        job, connections, began, ended, losses = merged.result
        if any(connection["spdr_state"] == CONN_DISCARD for connection in connections):
            return None
        flows = []
        for flow, connection in zip(merged.flows, connections, strict=True):
            # A job's own keys never stand in for what was observed; the target is spelled as in the job.
            kept = {key: value for key, value in job.items() if key in ("dip", "dp") or key not in (flow or ())}
            record = self.merge(flow, {**kept, **connection})
            record["spdr_state"] = int(record["spdr_state"])
            flows.append(record)
        found = (conditions.local_errors(connections) or conditions.missed_flows(merged.missed)
                 or conditions.skipped(connections))
        if not found and self.capture_losses() > losses:
            found = [conditions.NOT_OBSERVED, conditions.CAPTURE_LOST]
        found = found or self.combine_flows(flows) or []
        record = {
            **job,
            "path": path_to(job, self.beginnings),
            "conditions": list(found),
            "time": {"from": timestamp(began), "to": timestamp(ended)},
        }
        if self.output_flows:
            record["flow_results"] = flows
            record["missed_flows"] = merged.missed
        return record

    def _unmeasured_record(self, item: Unmeasured) -> Record:
        record = {**item.job, "path": path_to(item.job, self.beginnings), "conditions": [item.condition]}
        if item.error:
            record["error"] = item.error
        return record


def path_to(job: Job, beginnings: Beginnings) -> list[str | None]:
    """The path from the vantage point to a job's target: ``[sip, "*", dip]``, with the target's AS where it is known.

    The AS comes from the job: ``dip_asn``, ``info.ASN`` or ``canid_info.ASN``.
    """
    dip = job.get("dip")
    beginning = beginnings[isinstance(dip, str) and ":" in dip]
    asn = target_asn(job)
    return [*beginning, "*", *([f"AS{asn}"] if asn else []), dip]


def target_asn(job: Job) -> str | None:
    """The number of the target's AS, digits only, or None."""
    info, canid = job.get("info"), job.get("canid_info")
    candidates = [job.get("dip_asn")]
    candidates += [place.get("ASN") for place in (info, canid) if isinstance(place, dict)]
    for candidate in candidates:
        digits = str(candidate).upper().removeprefix("AS")
        if isinstance(candidate, float):
            digits = digits.removesuffix(".0")  # tables with gaps in them have whole numbers so
        if digits.isascii() and digits.isdigit():
            return digits
    return None


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as UTC, ``YYYY-MM-DD HH:MM:SS.ffffff``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def positive_seconds(text: str) -> float:
    """An option's value as a time over 0, for argparse."""
    with suppress(ValueError):
        if 0 < (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text}: a number of seconds over 0 is needed")


def _join(thread: threading.Thread | None) -> None:
    if thread is not None:
        thread.join()
