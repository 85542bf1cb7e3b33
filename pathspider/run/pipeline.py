"""The whole of a run: its stages in order, the queues between them, the threads, and the end.

::

    jobs ─► connect ─► match ─► judge ─► confirm ─► locate ─► records
             ▲ │ ▲       ▲                  │
             │ ▼ │       │ flows            │
             │ network ─► observer          │
             └──────────────────────────────┘ suspects, once more

Every queue is bounded and blocks, so a slow reader of records slows the whole run down instead of filling memory. The
end follows the arrows. What one target does to a stage ends in that target's record. A stage that dies lets those
go who wait for it, and the run ends in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pathspider import conditions
from pathspider.helpers import poller
from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL, Job, Record, Result, Unmeasured
from pathspider.run.channel import Channel, Inlet, JobQueue
from pathspider.run.confirm import Confirmer, Round
from pathspider.run.connect import LATE_PACKETS, Connector
from pathspider.run.health import Health
from pathspider.run.judge import Judge
from pathspider.run.limits import LimitError, stack_size
from pathspider.run.locate import LOCATE, Locator, Materials, specimens
from pathspider.run.match import Matcher, Merged
from pathspider.run.pace import Pace

if TYPE_CHECKING:
    from pathspider.libtrace._core import Packets
    from pathspider.observer import DummyObserver, Observer
    from pathspider.run.evidence import Evidence
    from pathspider.run.experiment import Experiment
    from pathspider.run.pcapfile import PcapFile

log = logging.getLogger("pathspider")

PATIENCE = 60.0
"""Seconds after a connection's end for which its flow is waited for: well over the observer's two timeouts together."""

MOST_IN_A_ROW = 50
"""Jobs that may fail by the plugin's mistake, one after the other, before the run is ended: it is true for all then."""
MOST_NAMED = 10
"""Such jobs of which each is named on standard error; all are in their records."""

PLUGIN_ERRORS = (Exception, SystemExit)
"""What a plugin's function may raise and the run goes on."""


class GiveUp(NamedTuple):
    """Among results and flows: no more flows come of the results that there are."""

    taken: int
    """How many jobs had been taken then, rounds included."""


PACKETS = "_packets"
"""Of a flow's record, on its way to be judged: its packets."""

FLOW_BACKLOG = 10
"""Results and flows, for each worker, that may wait to be matched; and as many records to be written."""


class Pipeline:
    """The stages of one run and their supervisor. :class:`~pathspider.base.Spider` shows it under documented names."""

    def __init__(self, spider: Experiment) -> None:
        self.spider = spider
        workers = max(spider.worker_count, 1)
        self.jobs = JobQueue(workers)
        self.made = Channel(FLOW_BACKLOG * workers)
        """Results of connections, and flows."""
        self.records = Channel(FLOW_BACKLOG * workers)

        self.health = Health(workers, poller.lag, poller.disturbance, time.monotonic)
        self.connector = Connector(spider, self.health)

        self.confirmer = Confirmer(0, 0, 0, suspicious=spider.suspicious, plan=0)
        """As the run's options have it from :meth:`start` on."""
        self.locator: Locator | None = None
        """From :meth:`start` on, where the run's options ask for it."""
        self._judged_at = time.monotonic()
        self._judged_count = 0
        """Results and unmeasured jobs that were dealt with, of rounds too."""
        self.may_begin: Callable[[], bool] = lambda: True
        """Whether one more job may begin: whoever takes the records may have no room for one more."""
        self.settled: Callable[[], None] = lambda: None
        """Called when what there was of an item is in the records' queue, by the merger's or the locator's thread."""
        self.evidence: Evidence | None = None
        """Where packets go of targets whose word is not ``works``; to be set before :meth:`start`."""
        self.pcap: PcapFile | None = None
        """Where all packets go; to be set before :meth:`start`."""
        self._done = 0
        self.jobs_failed = 0
        """Jobs that ended by the plugin's mistake."""
        self.flows_found = 0
        self.flows_missed = 0
        self.exception: BaseException | None = None
        """The first exception that ended the run."""
        self._unprepared: BaseException | None = None
        self.running = False
        self._begun = self._finished = False
        self._failed_in_a_row: Counter[str] = Counter()
        """By the stage: what one stage does well says nothing of the next."""
        self._workers_left = workers
        self._threads: dict[str, threading.Thread] = {}
        self._state = threading.Lock()
        self._ending = threading.Lock()
        self._interrupting = threading.Lock()
        """Held while jobs that nobody has begun are handed on: the merger's queue is not closed meanwhile."""
        self._observer_control = Channel(1)
        self._news = threading.Condition()
        """Something happened that the confirmer may wait for."""
        self._idle_since = 0.0
        """Since when no connection is under way, and none to come but rounds; 0: some are."""
        self._flushed = self._given_up = -1
        """How many jobs had begun when flows were ended early for them, and when no more were waited for."""
        self._attended = ExitStack()
        self._workers_over: Inlet | None = None

    # -- the run -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Prepare, then start every stage, the last one first. Raises what preparing raises; nothing runs then."""
        spider = self.spider
        if self._begun:
            raise RuntimeError("this spider has run already: make another one" if not self.running
                               else "this spider runs already")
        self._begun = True
        options = spider.options
        self.jobs.per_address = spider.per_address()
        if options.rate is not None:
            self.connector.pace = Pace(options.rate)
        self._make_stages()
        try:
            prepared = threading.Event()
            self._thread("configurator", self._configurator, prepared)
            prepared.wait()
            if self._unprepared is not None:
                raise self._unprepared
            observer = self._capture()
        except BaseException:
            self._wake_configurator()
            self._join("configurator")
            self._give_settings_back()
            raise
        with self._state:
            self.running = True
            not_said = self.exception
        self._attended.enter_context(poller.attended())
        self._workers_over = self.made.inlet()
        flows = self.made.inlet()
        try:
            if self.locator is not None:
                self._thread("locator", self.locator.run, gives=self.records.inlet())
            self._thread("merger", self._merger, takes=self.made, gives=self.records.inlet())
            self._thread("observer", observer.run_flow_enqueuer, flows, self._observer_control, gives=flows)
            if self.jobs.held:
                self._thread("confirmer", self._confirmer)
            with stack_size():
                for number in range(spider.worker_count):
                    self._thread(f"worker-{number}", spider.worker, number, over=self._worker_over)
        except BaseException as error:  # no more threads may be
            with self._state:
                self.exception = self.exception or error
            self.connector.aborting.set()
            self.confirmer.stop()
            flows.close()  # perhaps there is no observer
            self.shutdown()
            raise
        if not_said is not None:
            self._stop_after(not_said)

    def _make_stages(self) -> None:
        """Those behind the connections, as the options have them."""
        spider, options = self.spider, self.spider.options
        longest_job = spider.longest_connection() * len(spider.plan())
        self.matcher = Matcher(PATIENCE + longest_job, observing=bool(spider.chains))
        self.judge = Judge(spider)
        self.confirmer = Confirmer(options.confirm, options.confirm_gap, options.seed, suspicious=spider.suspicious,
                                   plan=len(spider.plan()), fixed_order=spider.fixed_order)
        if options.locate and spider.located and spider.chains:
            self.locator = Locator(spider, self.records.put, self._located)
        self.jobs.held = bool(options.confirm or self.locator) or spider.server_mode
        self.jobs.when_empty = self._tell

    def _capture(self) -> Observer | DummyObserver:
        """The observer, capturing, and its packets on their way to where they are kept."""
        observer = self.spider.observer = self.spider.create_observer()
        for destination in (self.evidence, self.pcap):
            if destination is not None:
                destination.begin(observer)
        return observer

    def _worker_over(self) -> None:
        """A worker has ended. When it is the last one and jobs still come, nobody would take them."""
        with self._state:
            self._workers_left -= 1
            last = not self._workers_left
        self._tell()
        if last and not self.jobs.closed:
            self.fail(RuntimeError("every worker has ended, and jobs are still to come"))

    def take(self, job: Job) -> Result | Unmeasured:
        """Connect: what a worker does with a job, whatever the plugin does in it."""
        if not self.may_begin():
            return Unmeasured(job, conditions.NOT_MEASURED, "", time.time())
        try:
            outcome = self.connector.take(job)
        except PLUGIN_ERRORS as error:
            return self._failed(job, error, "connect")
        if isinstance(outcome, Result):
            self._failed_in_a_row["connect"] = 0
        return outcome

    def _merger(self) -> None:
        self.spider.merger()
        if self.made.closed:  # all workers have ended
            self._finish()

    def _finish(self) -> None:
        """Have the plugin give back what it holds, once."""
        with self._state:
            finished, self._finished = self._finished, True
        if not finished:
            self.spider.finish()

    def match_and_judge(self) -> None:
        """Results and flows in, records out, until both have ended."""
        for item in self.made.gathered():
            for record in self._records_of(item):
                self._hand_on(record)
            self.settled()
        for merged in self.matcher.finish():
            for record in self._judged(merged):
                self._hand_on(record)
        for record in self.confirmer.left():
            self._done += 1
            if self.evidence is not None:
                self.evidence.complete(record)
            self._hand_on(record)

    def _located(self) -> None:
        """The locator's thread has put a record out."""
        self._tell()
        self.settled()

    def _hand_on(self, record: Record) -> None:
        """Put a record out, or have it located first."""
        made_of = cast(dict[str, Any], record).pop(LOCATE, None)
        if self.locator is None or not self.locator.take(record, made_of):
            self.records.put(record)

    def _records_of(self, item: Any) -> Iterator[Record]:
        """The records of the jobs that are complete with this item: a result, an unmeasured job, or a flow."""
        now = time.monotonic()
        if isinstance(item, GiveUp):
            for incomplete in self.matcher.finish():
                yield from self._judged(incomplete)
            self._given_up = item.taken
            self._tell()
            return
        if isinstance(item, Unmeasured):
            yield from self._said_of(item.job, None, lambda: self.spider.unmeasured(item))
            return
        stage = f"match {type(item).__name__}"
        try:
            if isinstance(item, Result):
                for connection in item.connections:  # of a worker loop of the plugin's own
                    connection.setdefault("spdr_state", CONN_OK)
                merged = [*self.matcher.add_result(item, now)]
            else:
                merged = [*self.matcher.add_flow(item, now)]
        except Exception as error:  # what a plugin's connection or chain says of itself cannot be used
            if isinstance(item, Result):
                failed = self._failed(item.job, error, stage)
                yield from self._said_of(item.job, None, lambda: self.judge.unmeasured(failed))
            else:
                self._failed({}, error, stage)
            return
        self._failed_in_a_row[stage] = 0
        for job in merged:
            yield from self._judged(job)

    def _judged(self, merged: Merged) -> Iterator[Record]:
        self.flows_found += sum(flow is not None for flow in merged.flows)
        self.flows_missed += merged.missed
        packets = [flow.pop(PACKETS, None) if flow else None for flow in merged.flows]
        made_of: Materials = ()
        if self.locator is not None:
            made_of = [*zip(merged.result.connections, specimens(merged.flows), strict=True)]
        yield from self._said_of(merged.result.job, merged, lambda: self.spider.outcome(merged), packets, made_of)

    def _said_of(self, job: Job, merged: Merged | None, say: Callable[[], Iterable[Record]],
                 packets: Sequence[Packets | None] = (), made_of: Materials | None = None) -> list[Record]:
        """The records of a job that has been dealt with; none of one that is to be confirmed.

        :param merged: None for a job that was not measured
        :param packets: that were held of each connection
        :param made_of: what is needed to locate what is found
        """
        self._judged_at = time.monotonic()
        ended = max((end for _, end in merged.result.spans), default=self._judged_at) if merged else 0.0
        waits = False
        try:
            records = [*say()]
            if merged is not None:
                if self.evidence is not None:
                    self.evidence.take(records, merged.result, packets)
                if made_of and len(records) == 1:
                    cast(dict[str, Any], records[0])[LOCATE] = made_of
                waits = not isinstance(job, Round) and self.confirmer.suspects_first(merged.result, records, ended)
            self._failed_in_a_row["judge"] = 0
        except PLUGIN_ERRORS as error:
            records, merged = [*self.judge.unmeasured(self._failed(job, error, "judge"))], None
        if isinstance(job, Round):
            records = self.confirmer.another(job, records, merged, ended)
            waits = not records
        elif waits:
            records = []
        self._done += not waits
        self._judged_count += 1  # not before a suspect is one: the confirmer would think that there are no more
        if self.evidence is not None:
            for record in records:
                self.evidence.complete(record)
        if self.jobs.held and (self.jobs.closed or self.jobs.drains or not records):
            self._tell()
        return records

    def drain(self) -> None:
        """In server mode: no more jobs come for now. Flows of those that came are not waited for longer than at the end
        of a run."""
        self._idle_since = 0.0
        self.jobs.drains = True
        self._tell()

    # -- confirmation --------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Have the confirmer look again."""
        with self._news:
            self._news.notify_all()

    def _confirmer(self) -> None:
        """Give suspects their rounds, until no job can make another suspect."""
        try:
            while (step := self._next_step()) is not None:
                if isinstance(step, GiveUp):
                    assert self.spider.observer is not None
                    self.spider.observer.flush(partial(self.made.put, step))
                else:
                    self.jobs.once_more(cast(Job, step))
        finally:
            self.confirmer.stop()
            self.jobs.held = False

    def _next_step(self) -> Round | GiveUp | None:
        """Waits for what the confirmer is to do: a round, or to give up waiting for flows; None: nothing more."""
        with self._news:
            while not self.confirmer.stopped:
                now = time.monotonic()
                if again := self.confirmer.take_due(now):
                    return again
                due = self.confirmer.next_due()
                moments = [] if due is None else [due]
                closed = self.jobs.closed
                if (closed or self.jobs.drains) and self._is_idle(now, moments):
                    begun = self.jobs.taken
                    all_judged = self._judged_count >= begun or self._given_up == begun
                    locating = self.locator is not None and self.locator.open > 0
                    if all_judged and due is None and closed and not locating:
                        return None
                    if not all_judged and self._flushed != begun:
                        # Flows of rounds end by themselves; those of the run's last connections are not waited for.
                        waits = self.jobs.again and self.matcher.observing
                        flush_at = self._idle_since + (2 * LATE_PACKETS if waits else 0)
                        if flush_at <= now:
                            self._flushed = begun
                            return GiveUp(begun)
                        moments.append(flush_at)
                self._news.wait(min(moments) - now if moments else None)
        return None

    def _is_idle(self, now: float, moments: list[float]) -> bool:
        """Whether no connection is under way: the workers say so or, where they do not wait for jobs as ours do, long
        silence does. Adds the moment at which to look again."""
        if self.jobs.is_idle(self._workers_left):
            if self._idle_since == 0:
                self._idle_since = now
            return True
        self._idle_since = 0.0
        silent_at = self._judged_at + self.matcher.patience
        moments.append(silent_at)
        return silent_at <= now

    def written(self) -> None:
        """A record could be written as it was."""
        self._failed_in_a_row["write"] = 0

    def unwritable(self, record: Record, error: Exception) -> Record:
        """What is written in place of a record that JSON cannot hold."""
        keys = {*self.spider.target_keys, "path", "time", "run"}
        known = cast(Record, {key: value for key, value in record.items() if key in keys})
        failed = self._failed(known, error, "write")
        return {**known, "conditions": [failed.condition], "error": failed.error}

    @property
    def jobs_done(self) -> int:
        """Jobs that have their record, or want none."""
        return self._done - (self.locator.open if self.locator is not None else 0)

    @property
    def suspects(self) -> int:
        """Jobs that are to be confirmed before they have their record; they have begun."""
        return self.confirmer.open

    @property
    def jobs_under_way(self) -> int:
        """Jobs that have begun and have no record yet."""
        return max(0, self.jobs.begun - self.jobs_done)

    # -- faults --------------------------------------------------------------------------------------------------

    def _failed(self, job: Job, error: BaseException, stage: str) -> Unmeasured:
        """A job that ended by the plugin's mistake: its record says so, and the others go on, unless all are so."""
        with self._state:
            self.jobs_failed += 1
            self._failed_in_a_row[stage] += 1
            count, in_a_row = self.jobs_failed, self._failed_in_a_row[stage]
        what = f"{type(error).__name__}: {error}"
        target = f"{job.get('dip', '')} {job.get('domain') or ''}".strip()
        if count <= MOST_NAMED:
            ours = type(error).__module__.startswith("pathspider.")
            log.error("plugin %s, job %s: %s; its record says so", self.spider.name, target, error if ours else what,
                      exc_info=error if count == 1 and not ours else None)
        if count == MOST_NAMED:
            log.error("plugin %s: these were %d such jobs; further ones are counted, and not named", self.spider.name,
                      MOST_NAMED)
        if in_a_row == MOST_IN_A_ROW:
            self.fail(RuntimeError(f"{in_a_row} jobs in a row failed, the last with {what}"))
        return Unmeasured(job, conditions.NOT_MEASURED, what, time.time())

    def fail(self, error: BaseException) -> None:
        """Note an exception, the first of which decides the run's end, and stop in order."""
        with self._state:
            first = self.exception is None
            if first:
                self.exception = error
            running = self.running
        if running:
            self._stop_after(error if first else None)

    def _stop_after(self, error: BaseException | None) -> None:
        """Say what ended the run, once, and stop in order."""
        if error is not None:
            # Our own exceptions are made to be read; anybody else's needs to be traced.
            ours = type(error).__module__.startswith("pathspider.")
            kind = "" if ours else f"{type(error).__name__}: "
            log.error("plugin %s: %s%s; the run stops", self.spider.name, kind, error, exc_info=None if ours else error)
        self.connector.aborting.set()
        self._wake_configurator()
        if error is None:
            return  # somebody stops already
        # Not in this thread: it may be the one that empties the queue that interrupt() fills.
        try:
            threading.Thread(target=self.interrupt, name="stopper", daemon=True).start()
            # Whoever feeds us may wait for more to come, and not notice.
            threading.Thread(target=self.shutdown, name="shutdown", daemon=True).start()
        except RuntimeError:  # no more threads may be
            self.connector.interrupted.set()
            self.jobs.close()

    def _thread(self, name: str, target: Callable[..., Any], *args: Any, takes: Channel | None = None,
                gives: Channel | Inlet | None = None, over: Callable[[], None] | None = None) -> None:
        """Start a stage's thread. Whatever ends it, nobody waits for what it would have taken or given."""
        def run() -> None:
            try:
                self.spider.exception_wrapper(target, *args)
            finally:
                if takes is not None and not takes.closed:
                    takes.abandon()
                if gives is not None:
                    gives.close()
                if over is not None:
                    over()

        thread = threading.Thread(target=run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise LimitError(f"this machine lets us have no more than {threading.active_count()} threads: use fewer "
                             "workers (-w), or raise the limit (ulimit -u, pids.max)") from error
        self._threads[name] = thread

    # -- the end -------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Take no new jobs; those that nobody has begun end as not measured. What is under way goes on."""
        self.connector.interrupted.set()
        self.confirmer.stop()
        if self.locator is not None:
            self.locator.stop()
        self._tell()
        with self._interrupting:
            for job in self.jobs.stop():
                self.made.put(Unmeasured(job, conditions.NOT_MEASURED, "", time.time()))

    def shutdown(self) -> None:
        """End in order: the jobs that were taken complete, everything is matched and judged. Blocks."""
        self.jobs.close()
        self._tell()
        with self._ending:
            if not self.running:
                return
            for number in range(self.spider.worker_count):
                self._join(f"worker-{number}")
            self.health.end()
            self._wake_configurator()
            self._join("confirmer")
            self._join("configurator")
            self._give_settings_back()
            self._observer_control.put(SHUTDOWN_SENTINEL)
            self._join("observer")
            if self.pcap is not None and self.spider.observer is not None:
                self.spider.observer.close()  # it may be that its thread could not be started
                self.pcap.join()
            self.interrupt()  # jobs that are left where every worker has died
            assert self._workers_over is not None
            self._workers_over.close()
            self._join("merger")
            if self.locator is not None:
                self.locator.close()
            self._join("locator")
            self._attended.close()
            self.spider.exception_wrapper(self._finish)
            self.running = False

    def terminate(self) -> None:
        """End as quickly as possible: connections under way are given up, nothing waits for them."""
        self.jobs.stop()
        self.confirmer.stop()
        if self.locator is not None:
            self.locator.stop()
        self._tell()
        self.connector.interrupted.set()
        self.connector.aborting.set()
        self._wake_configurator()
        self._give_settings_back()
        self._observer_control.put(SHUTDOWN_SENTINEL)
        self._attended.close()
        self.records.close()

    def _configurator(self, prepared: threading.Event) -> None:
        """Prepare what connections need of the machine, then switch it, where that is the model."""
        try:
            self.spider.borrow()
        except BaseException as error:
            self._unprepared = error
            return
        finally:
            prepared.set()
        try:
            self.spider.configurator()
        except BaseException:
            self.connector.aborting.set()
            raise
        finally:
            self.spider.configurator_over()

    def _wake_configurator(self) -> None:
        self.spider.wake_configurator()

    def _give_settings_back(self) -> None:
        try:
            self.spider.give_settings_back()
        except Exception as error:  # everything that can be put back is; what cannot is named
            log.error("%s", error)
            with self._state:
                self.exception = self.exception or error

    def _join(self, name: str) -> None:
        thread = self._threads.get(name)
        if thread is not None:
            thread.join()
