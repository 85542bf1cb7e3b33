"""A spider that has been started, fed from a file of jobs, its records written as they come."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pathspider import conditions
from pathspider.records import SHUTDOWN_SENTINEL, Job, Record, Unmeasured, to_measure

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.targets.reading import JobReader
    from pathspider.targets.repeats import TargetFilter
    from pathspider.writing import RecordWriter

log = logging.getLogger("pathspider")

HINTS = {
    "EADDRNOTAVAIL": " (has the interface lost its address, or are all ports in use?)",
    "ENETUNREACH": " (has the route to it gone?)",
    "other_interface": " (-i names an interface; those behind another are another run's)",
    "new_source": " (has the interface another address now? A new run leaves from it)",
    "lab_address": " (pspdr lab run -- pspdr measure … measures it in the lab; --allow-lab-addresses here)",
    "EHOSTUNREACH": " (has its neighbour on the way gone?)",
}
"""What an error of our own kernel may come from."""

AT_ONCE = 2.0
"""Seconds that giving the settings back may take after the second signal; the guard process does it otherwise."""


class Measurement:
    """Feeds a spider and writes what it puts out.

    A signal, once: no new jobs, what is under way is finished and written; twice: at once.

    :param seen: targets that are not measured (again)
    :param resumes: the records continue those of an earlier run
    :param jobs: the reader's jobs, where some of them have been read already
    """

    def __init__(self, spider: Spider, reader: JobReader, writer: RecordWriter, seen: TargetFilter, *,
                 resumes: bool = False, jobs: Iterable[Job] | None = None) -> None:
        self.spider = spider
        self.reader = reader
        self.jobs = reader if jobs is None else jobs
        self.writer = writer
        self.seen = seen
        self.resumes = resumes
        self.invalid = 0
        self.unmeasured = 0
        self.unwritten = 0
        """Records that came when the output could take no more: of targets that were contacted."""
        self.refused: Job | None = None
        """A job that was read when no more were taken."""
        self.repeats = 0
        self.local_errors: Counter[str] = Counter()
        """Records without a verdict for reasons of our own machine, by the reason."""
        self.signals: list[int] = []
        self.failure: OSError | None = None
        """The output can take no more."""
        self.unread: OSError | None = None
        """The input cannot be read any further."""

    def run(self) -> int:
        """Measure all jobs; the exit status."""
        threading.Thread(target=self._feed, name="feeder", daemon=True).start()
        self._write()
        self.spider.shutdown()  # where a stage has died, records end before the rest of the run
        return self._report()

    # -- the threads' functions ----------------------------------------------------------------------------------

    def _feed(self) -> None:
        try:
            for job in self.jobs:
                if self.seen.repeats(job):
                    self.repeats += 1
                elif not self.spider.add_job(job):
                    self.refused = job
                    break
        except OSError as error:
            self.unread = error
            log.error("%s: %s; the run stops", self.reader.name, error.strerror or error)
        except BaseException as error:
            self.spider.pipeline.fail(error)
        self.spider.shutdown()

    def _write(self) -> None:
        """Write what comes until the records' end; when the output breaks, the run stops in order."""
        for record in iter(self.spider.outqueue.get, SHUTDOWN_SENTINEL):
            self._take(record)
        if self.refused is not None:
            for record in self.spider.unmeasured(Unmeasured(to_measure(self.refused), conditions.NOT_MEASURED)):
                self._take(record)

    def _take(self, record: Record) -> None:
        if self.failure is None:
            try:
                self._write_one(record)
                return
            except OSError as error:
                self.failure = error
                self._stop_in_another_thread()
        found = record.get("conditions", [])
        self.unwritten += found[:1] != [conditions.NOT_MEASURED]

    def _write_one(self, record: Record) -> None:
        try:
            self.writer.write(record)
            self.spider.pipeline.written()
        except (TypeError, ValueError, RecursionError) as error:  # a plugin's value that JSON cannot hold
            record = self.spider.pipeline.unwritable(record, error)
            self.writer.write(record)
        self._count(record)

    def _count(self, record: Record) -> None:
        found = record.get("conditions", [])  # a resolver puts out jobs
        first = found[0] if found else ""
        if not first.startswith(conditions.RUN):
            return
        self.invalid += first.startswith(conditions.INVALID_JOB)
        self.unmeasured += first == conditions.NOT_MEASURED
        for reason in conditions.local_reasons(found)[:1]:
            self.local_errors[reason] += 1
            if self.local_errors[reason] == 1:
                log.warning("no verdict on %s for a reason of this machine: %s%s; further ones are counted",
                            record.get("dip"), reason, HINTS.get(reason, ""))

    # -- signals -------------------------------------------------------------------------------------------------

    def stop_in_order(self, number: int) -> None:
        """The first signal."""
        self.signals.append(number)
        self._stop_in_another_thread()  # this one waits for the second signal
        say("stopping: no new jobs; what is under way is finished (once more to stop at once)")

    def end_at_once(self, _number: int) -> None:
        """The second: give the settings back and be gone. Nothing else is waited for, not even a reader who does not
        read."""
        thread = threading.Thread(target=self.spider.terminate, name="terminate", daemon=True)
        thread.start()
        thread.join(AT_ONCE)
        say(f"ended at once, after {self.writer.written} records").join(AT_ONCE)
        os._exit(128 + self.signals[0])

    def _stop_in_another_thread(self) -> None:
        def stop() -> None:
            self.spider.interrupt()
            self.spider.shutdown()

        threading.Thread(target=stop, name="stop", daemon=True).start()

    # -- the end -------------------------------------------------------------------------------------------------

    def _report(self) -> int:
        """Say what was not done; the exit status."""
        spider, run = self.spider, self.spider.pipeline
        if self.repeats:
            log.info("%d targets were left out: %s", self.repeats, "they have a record already, or are repeated"
                     if self.resumes else "they are repeated (same dip, dp and domain)")
        undone = [
            (self.reader.skipped, "lines of input were not jobs and were skipped"),
            (self.invalid, "jobs were invalid; their records say why"),
            (self.unmeasured, "jobs were read but not measured; their records say so"),
            (self.local_errors.total(), "targets got no verdict for a reason of this machine: "
             + ", ".join(f"{count} {reason}" for reason, count in self.local_errors.most_common())
             + "; --resume measures them again"),
            (self.unwritten + run.jobs.accepted - run.jobs_done,
             "targets were contacted without a record; --resume FILE measures them again"),
        ]
        status = 0
        for count, what in undone:
            if count:
                log.error("%d %s", count, what)
                status = 1
        if spider.observer is not None and spider.chains:
            stats = spider.observer.stats
            lost = stats.dropped_kernel + stats.dropped_ring
            log.log(logging.WARNING if lost or run.flows_missed else logging.INFO,
                    "%d records; observed %d packets, %d lost by the capture, %d flows missed%s", self.writer.written,
                    stats.packets, lost, run.flows_missed, self._own_troubles())
            if run.flows_missed and not run.flows_found:
                log.error("nothing at all was observed of these connections: does the interface lead to the targets? "
                          "`ip route get ADDRESS` names the one that does")
                status = 1
        if isinstance(self.failure, BrokenPipeError):
            log.error("the reader of the output has gone; the run was stopped")
        elif self.failure is not None:
            log.error("output: %s; the run was stopped", self.failure.strerror or self.failure)
        if self.failure or self.unread or spider.exception is not None or run.jobs_failed:
            status = 1
        if self.signals and spider.exception is None:
            return 128 + self.signals[0]
        return status

    def _own_troubles(self) -> str:
        repeated = self.spider.pipeline.health.repeated
        return f"; {repeated} jobs measured again, since this machine was not well" if repeated else ""


def say(text: str) -> threading.Thread:
    """Tell of a warning without waiting for who reads it: the end of a pipe may not read (``2>&1 | less``)."""
    thread = threading.Thread(target=log.warning, args=("%s", text), name="say", daemon=True)
    thread.start()
    return thread
