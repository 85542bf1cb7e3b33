"""The spider: what every plugin extends, and what a program runs.

:class:`Spider` is the documented face of a run. The run itself, its stages, queues and threads, is
:mod:`pathspider.run.pipeline`; the four models (:mod:`pathspider.sync`, :mod:`pathspider.desync`, …) say how a
connection is made.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pathspider.chains.evidence import EvidenceChain
from pathspider.conditions import connectivity, first_and_last, is_unfinished
from pathspider.helpers import modes, poller
from pathspider.helpers.poller import Exchange
from pathspider.helpers.sockets import SockOpts, Source
from pathspider.network.interfaces import PROTOCOL_NUMBERS, InterfaceError, asks_for_ecn
from pathspider.network.routes import ElsewhereError, Sources
from pathspider.records import (
    CONN_DISCARD,
    CONN_FAILED,
    CONN_OK,
    CONN_SKIPPED,
    CONN_TIMEOUT,
    SHUTDOWN_SENTINEL,
    Connection,
    Flow,
    Job,
    Record,
    Result,
    Unmeasured,
    to_measure,
)
from pathspider.run.confirm import suspicious
from pathspider.run.connect import LATE_PACKETS, Stopped
from pathspider.run.judge import path_to, timestamp
from pathspider.run.options import RunOptions
from pathspider.run.pipeline import Pipeline
from pathspider.targets.problems import TARGET_KEYS, target_problem
from pathspider.version import __version__

if TYPE_CHECKING:
    from pathspider.chains.base import Chain
    from pathspider.network.settings import Settings
    from pathspider.observer import DummyObserver, Observer
    from pathspider.run.channel import Channel, JobQueue
    from pathspider.run.match import Merged
    from pathspider.run.specimen import Specimen

__all__ = [
    "CONN_DISCARD",
    "CONN_FAILED",
    "CONN_OK",
    "CONN_SKIPPED",
    "CONN_TIMEOUT",
    "SHUTDOWN_SENTINEL",
    "PluggableSpider",
    "Spider",
    "Stopped",
    "__version__",
    "path_to",
    "timestamp",
]

DEFAULT_TIMEOUT = 5
"""Seconds that one connection may take."""



class PluggableSpider:
    """What makes a spider a plugin: ``pspdr measure`` offers each subclass that it finds in ``pathspider.plugins``."""

    name: ClassVar[str] = ""
    """The sub-command's name."""
    description: ClassVar[str] = ""
    """One line for the help text."""
    feature: ClassVar[str] = ""
    """What the experiment asks of the path, as a sentence of the report begins: ``Asking for ECN``. Else the
    description."""
    features: ClassVar[Mapping[str, str]] = {}
    """The same of each of several experiments, by what its conditions have between the plugin's name and
    ``.connectivity``: ``{"large": "A large TLS ClientHello"}``. ``<…>`` stands for a number, in the words too. One
    that is not among these is told by the plugin's feature and its own name."""
    questions: ClassVar[Mapping[str, str]] = {}
    """Headings of the report: conditions without the plugin's name and their answer, ``negotiation`` for
    ``ecn.negotiation.succeeded``, and the question that they answer. The first is what is said of a plugin without
    ``connectivity.broken``."""
    version: ClassVar[str] = ""
    conditions: ClassVar[Mapping[str, str]] = {}
    """Every condition that the plugin concludes, with its meaning; ``<…>`` stands for a value."""
    placeholders: ClassVar[Mapping[str, str]] = {}
    """What ``<…>`` may stand for, by its word, as a regular expression; a number where it is not among these."""
    passive_chains: ClassVar[Sequence[type[Chain]]] = ()
    """The chains whose fields :meth:`passive_conditions` reads; without any, it is not asked."""

    @classmethod
    def passive_conditions(cls, flow: Flow) -> Sequence[str]:
        """What one flow of others, seen in passing, tells by itself: for ``pspdr observe --conditions``.

        Nobody knows what was configured, and what was not seen may have been there: a capture may have begun later, may
        see one direction alone, and may have lost any packet. So only what packets that were seen prove is said, and
        never whether something is ``broken`` or ``offline``.

        Of a plugin that comes with PATHspider, it is a matter of the fields that it looks at: it is not asked about a
        flow that has the same in them as one before. Ports are the same where they are not among
        :data:`pathspider.conditions.TOLD_PORTS`.

        :param flow: the fields of :attr:`passive_chains`, ``pkt_first`` and ``pkt_last``; none of a connection's
        """
        return ()

    @classmethod
    def register_args(cls, subparsers: Any) -> None:
        """Add this plugin's sub-command to ``subparsers``. The models implement it, named before this one or after."""
        of_model = getattr(super(), "register_args", None)
        if of_model is None:
            raise NotImplementedError("a plugin extends one of the models: SynchronizedSpider, DesynchronizedSpider, …")
        of_model(subparsers)


class Spider:
    """A run of one experiment over many targets.

    :param worker_count: how many jobs are under way at once, at most; 0 for a spider that is only asked to combine
    :param libtrace_uri: packet source of the observer, such as ``int:eth0``; connections leave from the addresses that
        the kernel chooses for packets through this interface, unless others are given (:attr:`source`)
    :param args: the plugin's parsed arguments; ``connect`` and ``timeout`` are the common ones
    :param server_mode: the spider is fed by a long-running program: a target may be measured again
    """

    chains: Sequence[type[Chain]] = []
    """The observer's chains. Empty: nothing is observed. A run that begins may add to them (``observed_chains()``)."""
    connect_supported: ClassVar[Sequence[str]] = ()
    """Connection modes of this plugin; the first is the default."""
    capabilities: ClassVar[Sequence[str]] = ("CAP_NET_RAW",)
    """What the run needs of capabilities(7): to capture, at least. Where a plugin does not say, ``CAP_NET_ADMIN`` stays
    too, if it is there."""
    keeps_root: ClassVar[bool] = False
    """A run that root has begun goes on as root: the plugin writes files of root's, or calls what asks for it."""
    target_keys: ClassVar[Sequence[str]] = TARGET_KEYS
    """The keys of a job that say what is measured. A plugin that puts out several lines for a job names those by which
    they belong together."""
    baseline_between: ClassVar[bool] = False
    """With more than one experiment: repeat the baseline before each, to see that the path still stands (A B1 A B2)."""
    keep_open: ClassVar[bool] = False
    """A job's connections are all open together, and finished off after the last; otherwise each before the next."""
    most_per_address: ClassVar[int | None] = None
    """Jobs that may be under way to one address at once, whatever ``--per-address`` says; None: any number."""
    in_poller = False
    """Nothing of :meth:`perform` blocks: it is :meth:`exchange`, in the poller's thread."""
    compares_responses: ClassVar[bool] = False
    """Where connectivity ``works``, say how the responses of two connections differ: the first and the last,
    unless :meth:`compared` says otherwise (:func:`~pathspider.conditions.with_responses`)."""
    suspects: ClassVar[Sequence[str]] = ()
    """Conditions, beside those of connectivity, that are to be confirmed, each ``X.what.word``."""
    fixed_order: ClassVar[bool] = False
    """Each experiment builds on the one before it: their order is not drawn. In rounds of ``--confirm`` the baseline is
    the first or the last."""
    located: ClassVar[Mapping[str, Sequence[str]]] = {}
    """By a condition, as a regular expression: the header fields that are looked for on the path where it was found
    (``--locate``), by their names in :class:`~pathspider.quotation.Quotation`. The first condition that a record has
    counts, if packets can show it; of ``X.connectivity.broken``, if it was confirmed. Empty: nothing of this plugin can
    be seen on the path."""
    name: ClassVar[str] = "spider"
    description: ClassVar[str] = ""
    version: ClassVar[str] = ""

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        if worker_count < 0:
            raise ValueError(f"{worker_count} workers")
        self.worker_count = worker_count
        self.libtrace_uri = libtrace_uri
        self.args = args
        self.server_mode = server_mode
        self.options = RunOptions.from_arguments(args)
        """Of the run; to be set before it is started."""
        self.sources = sources_of(libtrace_uri)
        """What the kernel chooses; None where packets are not captured from an interface."""
        self._job = threading.local()
        self.asks_for_ecn = False
        """Whether all of this machine's SYNs ask for ECN; as it was when the run was started."""
        self.observer: Observer | DummyObserver | None = None
        self.pipeline = Pipeline(self)
        self.changes: dict[str, dict[str, Any]] = {}
        """What was borrowed so far, by its name: what it was ``set`` to and, of a sysctl, the value ``before``."""
        self._settings: Settings | None = None
        self._settings_closed = False
        self._settings_state = threading.Lock()
        self._settings_closing = threading.Lock()

    # -- what plugins and models fill in -------------------------------------------------------------------------

    @classmethod
    def register_args(cls, subparsers: Any) -> None:
        """Add this plugin's sub-command: ``--connect``, ``--timeout`` and what :meth:`extra_args` adds."""
        parser = subparsers.add_parser(cls.name, help=cls.description.replace("%", "%%"),
                                       description=inspect.cleandoc(cls.__doc__ or cls.description),
                                       formatter_class=argparse.RawDescriptionHelpFormatter,
                                       conflict_handler="resolve")  # the plugin's own options win
        parser.set_defaults(plugin=cls)
        if cls.connect_supported:
            default = cls.connect_supported[0]
            modes = ", ".join(cls.connect_supported)
            parser.add_argument("--connect", choices=cls.connect_supported, default=default, metavar="MODE",
                                help=f"Kind of connection: {modes}. (Default: {default})")
        parser.add_argument("--timeout", type=positive_seconds, default=DEFAULT_TIMEOUT, metavar="SECONDS",
                            help=f"Time that one connection may take. (Default: {DEFAULT_TIMEOUT})")
        cls.extra_args(parser)

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        """Add a plugin's own options to its sub-command."""

    @classmethod
    def require(cls, args: argparse.Namespace) -> None:
        """Raises ``MissingError`` (of ``pathspider.helpers.optional``) where something optional is not installed that a
        run with these arguments needs: before it is begun. By default that is what the connection mode needs."""
        modes.require(getattr(args, "connect", None))

    def configuration_count(self) -> int:
        """How many configurations the experiment has, the baseline included."""
        raise NotImplementedError

    def plan(self) -> list[int]:
        """The configuration of each connection to a target, in the order in which :meth:`combine_flows` gets them."""
        configs = range(self.configuration_count())
        if not self.baseline_between:
            return list(configs)
        return [config for experiment in configs[1:] for config in (0, experiment)] or list(configs)

    def perform(self, job: Job, config: int) -> Connection:
        """Make connection number ``config`` to a job's target; the models say how."""
        raise NotImplementedError

    def exchange(self, job: Job, config: int) -> Exchange[Connection]:
        """The same as an exchange of the poller's (:mod:`pathspider.helpers.poller`), for spiders with
        ``in_poller``. Called in the worker's thread, carried out in the poller's: it must not block."""
        raise NotImplementedError

    def one_more(self) -> None:
        """Before a connection that :meth:`plan` does not tell: it counts for ``--rate``. Nothing is waited for, since
        it belongs to those before it; other jobs wait for it."""
        self.pipeline.connector.one_more()

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

        Called unless our own machine failed or a connection was skipped. ``observed`` is False for a flow that was not
        observed; its chains' fields have their initial values, and no conclusion that needs them may be drawn. A plugin
        without this concludes nothing: its records have no conditions of its own.
        """
        return None

    def suspicious(self, found: Sequence[str]) -> Sequence[str]:
        """Those of a record's conditions that are to be confirmed (``--confirm``): connectivity that is ``broken`` or
        ``transient``, in whatever name, and the plugin's :attr:`suspects`.

        A plugin may add others of its own. In the place of ``X.what.word`` the record then also has
        ``X.stable.what.word``, if every round said the same, or ``X.stable.what.unstable``.
        """
        return suspicious(found, self.suspects)

    def compared(self, name: str, flows: Sequence[Flow]) -> tuple[Flow, Flow]:
        """The two flows of which ``NAME.connectivity`` is concluded: their responses are compared where that is
        ``works``, and ``--locate`` makes its probes of them. It asks with what the connections told alone, without the
        fields of chains. Unless overridden, the flow that has the ``variant`` that is named and the baseline before it,
        or the first and the last.

        :returns: baseline and experiment, the same objects
        """
        return first_and_last(name, flows)

    def probed(self, connection: Flow, packets: Specimen) -> Specimen:
        """The packets of a connection of which ``--locate`` makes its probes: those that were observed, unless
        overridden.

        :param connection: what :meth:`compared` gave
        """
        return packets

    def combine_connectivity(self, baseline: bool | int, experimental: bool | int | None = None,
                             prefix: str | None = None) -> str:
        """The connectivity condition: ``works``, ``broken``, ``transient`` or ``offline``; of a baseline alone
        ``online`` or ``offline``.

        :param baseline: whether the connection came up; its ``spdr_state`` (an int) says so, too
        :param experimental: the same of the other connection, where there is one
        :param prefix: what the condition begins with; the plugin's name unless given
        """
        name = self.name if prefix is None else prefix
        if experimental is None:
            return f"{name}.connectivity.{'online' if came_up(baseline) else 'offline'}"
        return connectivity(name, came_up(baseline), came_up(experimental))

    def borrow(self) -> None:
        """Borrow the settings that the run changes, before anything else is begun: it may be that they cannot be had.

        What this raises, such as :class:`~pathspider.network.settings.SettingsError`, :meth:`start` raises.
        """

    def configurator(self) -> None:
        """Switch between the system's configurations while the workers connect. A no-op where nothing is switched."""

    def wake_configurator(self) -> None:
        """The workers are gone, or shall go: a model whose configurator waits for them overrides this."""

    def configurator_over(self) -> None:
        """The configurator has ended, perhaps before its time: nobody may wait for it any more."""

    def is_unfinished(self, record: Record) -> bool:
        """True for a record without a verdict that a second try could give: ``--resume`` measures its target again."""
        return is_unfinished(record)

    def undone(self) -> Iterator[tuple[int, str]]:
        """How many of what were not done, beside what records say: each number over 0 makes the exit status 1."""
        return iter(())

    def finish(self) -> None:
        """Give back what this plugin holds, once, when all jobs have their records."""

    def create_observer(self) -> Observer | DummyObserver:
        """The observer of this run, capturing when this returns; a dummy if the plugin has no chains."""
        from pathspider.observer import DummyObserver, Observer  # noqa: PLC0415 - native, and not needed for --help

        if not self.chains:
            return DummyObserver()
        return Observer(self.libtrace_uri, chains=self.observed_chains(), bpf=self.capture_filter())

    def observed_chains(self) -> list[type[Chain]]:
        """The chains of this run: the plugin's and, where records hold flows or suspects are confirmed,
        :class:`~pathspider.chains.evidence.EvidenceChain`. None where the plugin has none."""
        chains = list(self.chains)
        wanted = self.options.output_flows or self.options.confirm > 0
        if chains and wanted and not any("evidence_failure" in chain.fields for chain in chains):
            chains.append(EvidenceChain)
        if chains and self.located and self.options.locate:
            from pathspider.run.specimen import SpecimenChain  # noqa: PLC0415 - for such runs alone

            chains += [] if SpecimenChain in chains else [SpecimenChain]
        return chains

    def capture_filter(self) -> str | None:
        """BPF: what can belong to this run. None, everything, where the vantage point's addresses are not known."""
        ours = {address for address in self.source if address} | (self.sources.known if self.sources else frozenset())
        if not any(self.source):
            return None
        from pathspider.network.interfaces import capture_filter  # noqa: PLC0415 - not needed for --help

        return capture_filter(sorted(ours))

    def job_problem(self, job: Job) -> str | None:
        """Why this job cannot be measured, as a word for a condition; None if it can. Fills in the default port."""
        problem = target_problem(job)
        if problem is None and job.get("dp") is None:
            job["dp"] = self.default_port()
        return problem

    def default_port(self) -> int:
        """The port of a job that names none."""
        return modes.default_port(getattr(self.args, "connect", None))

    def outcome(self, merged: Merged) -> Iterator[Record]:
        """What is written of a measured job: its record, or none if a connection was ``CONN_DISCARD``."""
        return self.pipeline.judge.record(merged)

    def unmeasured(self, item: Unmeasured) -> Iterator[Record]:
        """What is written of a job that was not measured."""
        return self.pipeline.judge.unmeasured(item)

    # -- the run -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the configurator, the observer, the merger and the workers; jobs may be added from now on.

        Raises what the observer raises when it cannot capture, and what :meth:`borrow` raises; nothing runs then, and
        nothing stays borrowed.
        """
        if not self.worker_count:
            raise ValueError("a run without workers: at least one is needed")
        self.asks_for_ecn = asks_for_ecn()
        with suppress(AttributeError):  # a property of the plugin's own
            self.chains = self.observed_chains()
        self.pipeline.start()

    def add_job(self, job: Job) -> bool:
        """Add a job to the job queue; blocks while the workers are busy. False if the spider is stopping.

        A job that is the record of an earlier measurement loses what that one found.
        """
        return self.pipeline.jobs.offer(to_measure(job))

    def shutdown(self) -> None:
        """End the run in order: queued jobs complete, results are merged, the records' end is marked. Blocks."""
        self.pipeline.shutdown()

    def interrupt(self) -> None:
        """Take no new jobs; those that nobody has begun end as not measured. What is under way goes on."""
        self.pipeline.interrupt()

    def terminate(self) -> None:
        """End the run as quickly as possible: connections under way are given up, nothing waits for them."""
        self.pipeline.terminate()

    def worker(self, worker_number: int) -> None:
        """Measure jobs until there are no more.

        :param worker_number: the unique number of the worker
        """
        poller.stays()
        while (job := self.jobqueue.get()) is not SHUTDOWN_SENTINEL:
            with self.jobqueue.under_way(job):
                outcome = self.measure(job)
            self.mergequeue.put(outcome)

    def measure(self, job: Job) -> Result | Unmeasured:
        """All connections to one target, for the merger."""
        return self.pipeline.take(job)

    def merger(self) -> None:
        """Bring results and flows together and put out one record a job, until both have ended."""
        self.pipeline.match_and_judge()

    def exception_wrapper(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a thread's function; what it raises stops the run in order and is kept for the exit status."""
        try:
            target(*args, **kwargs)
        except Stopped:
            pass
        except BaseException as error:
            self.pipeline.fail(error)

    @property
    def source(self) -> Source:
        """Our addresses, IPv4 and IPv6, that packets leave from; None for one that there is not.

        In a worker's thread those for the target of its job: the kernel's choice for it, which another target need not
        have. Elsewhere the usual ones. What is set, here or in the run's options, holds for all targets.
        """
        for_job: Source | None = getattr(self._job, "source", None)
        if for_job is not None:
            return for_job
        named, usual = self.options.source, self.sources.default if self.sources else (None, None)
        return named[0] or usual[0], named[1] or usual[1]

    @source.setter
    def source(self, source: Source) -> None:
        self._job.source = None
        self.options = replace(self.options, source=source)

    def live_options(self, config: int) -> SockOpts | None:
        """The socket options with which the kernel makes a TCP connection as configuration ``config`` has it; None
        where there is more to it than options. Where there are some, ``--locate`` looks into such a connection."""
        return None

    def is_answer(self, octets: bytes) -> bool | None:
        """Whether octets that came back for data, over TCP, are what the experiment waits for; None where more have to
        come. With ``--locate``, another answer to the experiment's data is none of the target's that accepts them."""
        return True

    def leave_for(self, job: Job | None) -> None:
        """From now on :attr:`source` is, in this thread, what packets to a job's target leave from; None: the usual.

        :raises ElsewhereError: they would leave where nothing is captured of them
        """
        self._job.source = None
        if job is None or self.sources is None or "dip" not in self.target_keys:
            return
        try:
            self._job.source = self.sources.toward(job["dip"], self.options.source)
        except ElsewhereError:
            if self.chains:
                raise
        except (KeyError, TypeError, ValueError, OSError):
            pass  # no address, as a plugin changed it: whoever connects says so

    def longest_connection(self) -> float:
        """Seconds that one connection may take."""
        return float(getattr(self.args, "timeout", None) or DEFAULT_TIMEOUT)

    @property
    def jobqueue(self) -> JobQueue:
        """Jobs for the workers."""
        return self.pipeline.jobs

    @property
    def mergequeue(self) -> Channel:
        """What workers and observer have for the merger."""
        return self.pipeline.made

    @property
    def outqueue(self) -> Channel:
        """Records, and at the end of the run ``SHUTDOWN_SENTINEL``."""
        return self.pipeline.records

    @property
    def running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self.pipeline.running

    @property
    def exception(self) -> BaseException | None:
        """What ended the run before its time."""
        return self.pipeline.exception

    @property
    def jobs_added(self) -> int:
        """Jobs that were taken in."""
        return self.jobqueue.accepted

    @property
    def jobs_done(self) -> int:
        """Jobs that have their record, or want none."""
        return self.pipeline.jobs_done

    @property
    def flows_missed(self) -> int:
        """Flows that were expected and not observed."""
        return self.pipeline.flows_missed

    def descriptors(self) -> int:
        """How many files and sockets one worker has open at once, at most: its connections, and a copy of one for a
        moment."""
        return (len(self.plan()) if self.keep_open else 1) + 1

    def per_address(self) -> int | None:
        """Jobs under way to one address at once; None where a worker loop of the plugin's own does not tell when a job
        is over."""
        most = [most for most in (self.options.per_address, self.most_per_address) if most is not None]
        return min(most, default=sys.maxsize) if type(self).worker is Spider.worker else None

    def capture_losses(self) -> int:
        """Packets that the capture has lost so far."""
        if self.observer is None:
            return 0
        stats = self.observer.stats
        return stats.dropped_kernel + stats.dropped_ring

    def end_flow(self, job: Job, connection: Connection) -> None:
        """This connection is over: have its flow end when what is still under way has come."""
        target = connection.get("dip") or job.get("dip")
        if self.observer is not None and self.chains and connection.get("sp") and target:
            for protocol in [connection["proto"]] if connection.get("proto") else PROTOCOL_NUMBERS.values():
                self.observer.end_flow(target, protocol, connection["dp"], connection["sp"], LATE_PACKETS)

    # -- borrowed settings ---------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The machine's settings, borrowed: put back when the run ends."""
        with self._settings_state:
            if self._settings_closed:
                raise Stopped
            if self._settings is None:
                from pathspider.network.settings import Settings  # noqa: PLC0415 - only where something is borrowed

                self._settings = Settings()
                self.changes = self._settings.changes
                self._settings.__enter__()
            return self._settings

    def give_settings_back(self) -> None:
        """Put back what was borrowed; nothing more can be borrowed. What cannot be put back is named in the error."""
        with self._settings_closing:  # whoever comes second waits until all is back
            with self._settings_state:
                settings, self._settings = self._settings, None
                self._settings_closed = True
            if self.sources is not None:
                self.sources.close()
            if settings is not None:
                settings.close()


def sources_of(uri: str) -> Sources | None:
    """Where packets leave from through the interface that ``int:IF`` names; None if it is not there, or for others."""
    kind, _, interface = uri.partition(":")
    if kind == "int":
        with suppress(InterfaceError):  # the observer says it, where the run begins
            return Sources(interface)
    return None


def came_up(state: bool | int) -> bool:
    """Whether a connection came up: a truth value as it is; of a ``spdr_state``, ``CONN_OK`` (0) alone."""
    return state if isinstance(state, bool) else state == CONN_OK


def positive_seconds(text: str) -> float:
    """An option's value as a time over 0, for argparse; an int where it is whole, which plugins of 2.x may rely on."""
    with suppress(ValueError):
        if 0 < (value := float(text)) < float("inf"):
            return int(value) if value.is_integer() else value
    raise argparse.ArgumentTypeError(f"{text}: a number of seconds over 0 is needed")
