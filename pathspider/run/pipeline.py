"""The whole of a run: its stages in order, the queues between them, the threads, and the end.

::

    jobs ─► connect ─► match ─► judge ─► records
              │ ▲        ▲
              ▼ │        │ flows
            network ─► observer

Every queue is bounded and blocks, so a slow reader of records slows the whole run down instead of filling memory. The
end follows the arrows. What one target does to a stage ends in that target's record. A stage that dies lets those
go who wait for it, and the run ends in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from pathspider import conditions
from pathspider.helpers import poller
from pathspider.records import CONN_OK, SHUTDOWN_SENTINEL, Flow, Job, Record, Result, Unmeasured
from pathspider.run.channel import Channel, Inlet, JobQueue
from pathspider.run.connect import Connector
from pathspider.run.health import Health
from pathspider.run.judge import Judge
from pathspider.run.limits import LimitError, stack_size
from pathspider.run.match import Matcher, Merged
from pathspider.run.pace import Pace

if TYPE_CHECKING:
    from pathspider.run.experiment import Experiment

log = logging.getLogger("pathspider")

PATIENCE = 60.0
"""Seconds after a connection's end for which its flow is waited for: well over the observer's two timeouts together."""

MOST_IN_A_ROW = 50
"""Jobs that may fail by the plugin's mistake, one after the other, before the run is ended: it is true for all then."""
MOST_NAMED = 10
"""Such jobs of which each is named on standard error; all are in their records."""

PLUGIN_ERRORS = (Exception, SystemExit)
"""What a plugin's function may raise and the run goes on."""

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

        self.may_begin: Callable[[], bool] = lambda: True
        """Whether one more job may begin: whoever takes the records may have no room for one more."""
        self.jobs_done = 0
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
        longest_job = spider.longest_connection() * len(spider.plan())
        self.matcher = Matcher(PATIENCE + longest_job, observing=bool(spider.chains))
        self.judge = Judge(spider)
        try:
            prepared = threading.Event()
            self._thread("configurator", self._configurator, prepared)
            prepared.wait()
            if self._unprepared is not None:
                raise self._unprepared
            spider.observer = spider.create_observer()
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
            self._thread("merger", self._merger, takes=self.made, gives=self.records)
            self._thread("observer", spider.observer.run_flow_enqueuer, flows, self._observer_control, gives=flows)
            with stack_size():
                for number in range(spider.worker_count):
                    self._thread(f"worker-{number}", spider.worker, number, over=self._worker_over)
        except BaseException as error:  # no more threads may be
            with self._state:
                self.exception = self.exception or error
            self.connector.aborting.set()
            flows.close()  # perhaps there is no observer
            self.shutdown()
            raise
        if not_said is not None:
            self._stop_after(not_said)

    def _worker_over(self) -> None:
        """A worker has ended. When it is the last one and jobs still come, nobody would take them."""
        with self._state:
            self._workers_left -= 1
            last = not self._workers_left
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
                self.records.put(record)
        for merged in self.matcher.finish():
            for record in self._judged(merged):
                self.records.put(record)

    def _records_of(self, item: Result | Unmeasured | Flow) -> Iterator[Record]:
        """The records of the jobs that are complete with this item."""
        now = time.monotonic()
        if isinstance(item, Unmeasured):
            yield from self._said_of(item.job, lambda: self.spider.unmeasured(item))
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
                self.jobs_done += 1
                yield from self.judge.unmeasured(self._failed(item.job, error, stage))
            else:
                self._failed({}, error, stage)
            return
        self._failed_in_a_row[stage] = 0
        for job in merged:
            yield from self._judged(job)

    def _judged(self, merged: Merged) -> Iterator[Record]:
        self.flows_found += sum(flow is not None for flow in merged.flows)
        self.flows_missed += merged.missed
        yield from self._said_of(merged.result.job, lambda: self.spider.outcome(merged))

    def _said_of(self, job: Job, say: Callable[[], Iterable[Record]]) -> list[Record]:
        """The records of a job that has been dealt with."""
        self.jobs_done += 1
        try:
            records = [*say()]
        except PLUGIN_ERRORS as error:
            return [*self.judge.unmeasured(self._failed(job, error, "judge"))]
        self._failed_in_a_row["judge"] = 0
        return records

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
        with self._interrupting:
            for job in self.jobs.stop():
                self.made.put(Unmeasured(job, conditions.NOT_MEASURED, "", time.time()))

    def shutdown(self) -> None:
        """End in order: the jobs that were taken complete, everything is matched and judged. Blocks."""
        self.jobs.close()
        with self._ending:
            if not self.running:
                return
            for number in range(self.spider.worker_count):
                self._join(f"worker-{number}")
            self.health.end()
            self._wake_configurator()
            self._join("configurator")
            self._give_settings_back()
            self._observer_control.put(SHUTDOWN_SENTINEL)
            self._join("observer")
            self.interrupt()  # jobs that are left where every worker has died
            assert self._workers_over is not None
            self._workers_over.close()
            self._join("merger")
            self._attended.close()
            self.spider.exception_wrapper(self._finish)
            self.running = False

    def terminate(self) -> None:
        """End as quickly as possible: connections under way are given up, nothing waits for them."""
        self.jobs.stop()
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
