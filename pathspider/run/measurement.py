"""A spider that has been started, fed from a file of jobs, its records written as they come."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from signal import Signals
from typing import TYPE_CHECKING, NamedTuple

from pathspider import conditions
from pathspider.records import SHUTDOWN_SENTINEL, Job, Record, Unmeasured, to_measure
from pathspider.run.alarms import Alarms
from pathspider.run.counts import Counts
from pathspider.run.room import Room
from pathspider.text import amount

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.targets.reading import JobReader
    from pathspider.targets.selection import Selection
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

RECORD_OCTETS, FLOW_OCTETS = 1024, 2048
"""Octets that a record, and a flow in it, may have, until it is known what they have."""

AT_ONCE = 2.0
"""Seconds that giving the settings back may take after the second signal; the guard process does it otherwise."""


class Ended(NamedTuple):
    """Why a run ended."""

    why: str
    """``input``: all of it was measured; ``input_error``, ``signal``, ``output`` or ``fault``: it was not."""
    what: str = ""
    """The signal's name, or what is wrong."""


class Measurement:
    """Feeds a spider and writes what it puts out.

    A signal, once: no new jobs, what is under way is finished and written; twice: at once.

    :param targets: the jobs of the reader that are to be measured
    :param resumes: the records continue those of an earlier run
    """

    def __init__(self, spider: Spider, reader: JobReader, targets: Selection, writer: RecordWriter, *,
                 resumes: bool = False) -> None:
        self.spider = spider
        self.reader = reader
        self.writer = writer
        self.targets = targets
        self.resumes = resumes
        self.at_end: Callable[[], None] = lambda: None
        """Called when all is over and :attr:`status` is known, also where a second signal ends all at once."""
        self.counts = Counts()
        """Of what was written."""
        self.alarms = Alarms()
        self.all_read = False
        """Whether the input was read to its end."""
        self.status: int | None = None
        """The exit status, when all is over."""
        self.unwritten = 0
        """Records that came when the output could take no more: of targets that were contacted."""
        self.refused: Job | None = None
        """A job that was read when no more were taken."""
        self.signals: list[int] = []
        self.failure: OSError | None = None
        """The output can take no more."""
        self.unread: OSError | None = None
        """The input cannot be read any further."""
        self.no_room: OSError | None = None
        """Why no more jobs begin: there would be no room for their records. Those under way are written."""
        self.left_out = 0
        """Records of jobs that were not measured for that, which are not written."""
        flows = len(spider.plan()) if spider.options.output_flows else 0
        self._room = Room(writer, RECORD_OCTETS + FLOW_OCTETS * flows)
        spider.pipeline.may_begin = self._may_begin

    def run(self) -> int:
        """Measure all jobs; the exit status."""
        threading.Thread(target=self._feed, name="feeder", daemon=True).start()
        self._write()
        self.spider.shutdown()  # where a stage has died, records end before the rest of the run
        self._room.release()
        self.status = self._report()
        self.at_end()
        return self.status

    @property
    def without_record(self) -> int:
        """Targets that were contacted and have no record, when all is over."""
        run = self.spider.pipeline
        return max(0, self.unwritten + run.jobs.accepted - run.jobs_done)

    @property
    def ended(self) -> Ended:
        """Why the run ended, where it has."""
        if isinstance(self.failure, BrokenPipeError):
            return Ended("output", "its reader has gone")
        if (error := self.failure or self.no_room) is not None:
            return Ended("output", error.strerror or str(error))
        if (fault := self.spider.exception) is not None:
            return Ended("fault", f"{type(fault).__name__}: {fault}")
        if (broken := (self.unread and self.unread.strerror) or self.reader.broken_off):
            return Ended("input_error", broken)
        if self.signals:
            return Ended("signal", Signals(self.signals[0]).name)
        return Ended("input")

    # -- the threads' functions ----------------------------------------------------------------------------------

    def _feed(self) -> None:
        try:
            for job in self.targets:
                if not self.spider.add_job(job):
                    self.refused = job
                    break
            else:
                self.all_read = self.targets.left != 0 and not self.reader.broken_off
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

    def _may_begin(self) -> bool:
        """Whether there is room for one more record, beside those of the jobs under way. Any worker may ask."""
        run = self.spider.pipeline
        if self.no_room is None:
            try:
                self._room.ensure(run.jobs_under_way + run.records.qsize() + 1, run.jobs_done)
            except OSError as error:
                first, self.no_room = self.no_room is None, error
                if first:
                    self._stop_in_another_thread()
        return self.no_room is None

    def _take(self, record: Record) -> None:
        not_measured = record.get("conditions", [])[:1] == [conditions.NOT_MEASURED]
        if not_measured and self.no_room is not None:  # the room is for those that were contacted
            self.left_out += 1
            return
        if self.failure is None:
            try:
                self._write_one(record)
                return
            except OSError as error:
                self.failure = error
                self._stop_in_another_thread()
        self.unwritten += not not_measured

    def _write_one(self, record: Record) -> None:
        try:
            self.writer.write(record)
            self.spider.pipeline.written()
        except (TypeError, ValueError, RecursionError) as error:  # a plugin's value that JSON cannot hold
            record = self.spider.pipeline.unwritable(record, error)
            self.writer.write(record)
        self._count(record)

    def _count(self, record: Record) -> None:
        self.alarms.note(record)
        first = self.counts.add(record)
        if first.startswith(f"{conditions.RUN}."):
            for reason in conditions.local_reasons(record["conditions"])[:1]:
                if self.counts.local_errors[reason] == 1:
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
        self.status = 128 + self.signals[0]

        def end() -> None:
            self.spider.terminate()
            self.at_end()

        thread = threading.Thread(target=end, name="terminate", daemon=True)
        thread.start()
        thread.join(AT_ONCE)
        say(f"ended at once, after {self.writer.written} records").join(AT_ONCE)
        os._exit(self.status)

    def _stop_in_another_thread(self) -> None:
        def stop() -> None:
            self.spider.interrupt()
            self.spider.shutdown()

        threading.Thread(target=stop, name="stop", daemon=True).start()

    # -- the end -------------------------------------------------------------------------------------------------

    def _report(self) -> int:
        """Say what was not done; the exit status."""
        spider, run = self.spider, self.spider.pipeline
        if self.targets.other_version:
            log.info("%s", self.targets.left_out())
        if self.targets.repeated:
            log.info("%d targets were left out: %s", self.targets.repeated,
                     "they have a record already, or are repeated" if self.resumes
                     else "they are repeated (same dip, dp and domain)")
        undone = [
            (self.reader.skipped, "lines of input were not jobs and were skipped"),
            (self.counts.of(conditions.INVALID_JOB), "jobs were invalid; their records say why"),
            (self.counts.of(conditions.NOT_MEASURED), "jobs were read but not measured; their records say so"),
            (self.left_out, "jobs were read but not measured, and there is no room for their records"),
            (self.counts.local_errors.total(), "targets got no verdict for a reason of this machine: "
             + ", ".join(f"{count} {reason}" for reason, count in self.counts.local_errors.most_common())
             + "; --resume measures them again"),
            (self.counts.conditions[conditions.UNCONFIRMED],
             "targets were to be confirmed, and were not; --resume measures them again"),
            (self.counts.conditions[conditions.UNLOCATED],
             "targets were to be located on the path, and were not" + self._why_not_located()
             + "; --resume measures them again"),
            (self.without_record,
             "targets were contacted without a record; --resume FILE measures them again"),
            *self._packets_undone(),
            *spider.undone(),
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
                    "observed %d packets, %d lost by the capture, %d flows missed%s", stats.packets, lost,
                    run.flows_missed, self._own_troubles())
            if run.flows_missed and not run.flows_found:
                log.error("nothing at all was observed of these connections: does the interface lead to the targets? "
                          "`ip route get ADDRESS` names the one that does")
                status = 1
        if isinstance(self.failure, BrokenPipeError):
            log.error("the reader of the output has gone; the run was stopped")
        elif self.failure is not None:
            log.error("output: %s; the run was stopped", self.failure.strerror or self.failure)
        elif self.no_room is not None:
            log.error("output: %s; the run was stopped before anything was lost: --resume FILE goes on where there is "
                      "room", self.no_room.strerror)
        for line in self.alarms.lines():
            log.warning("%s%s", line, " (of what this run adds)" if self.resumes else "")
        log.log(logging.WARNING if self.counts.local_errors else logging.INFO, "%s", self.counts.summary())
        if (self.failure or self.no_room or self.unread or self.reader.broken_off or spider.exception is not None
                or run.jobs_failed):
            status = 1
        if self.signals and spider.exception is None:
            return 128 + self.signals[0]
        return status

    def _packets_undone(self) -> Iterator[tuple[int, str]]:
        """What was not written of the run's packets, nor located on the path."""
        locator = self.spider.pipeline.locator
        if locator is not None:
            log.info("located: %d targets, with %d packets", locator.located, locator.probes)
            if locator.beyond:
                log.warning("%s could have been located on the path: --locate=N raises the limit of %d",
                            amount(locator.beyond, "more target"), locator.most)
        pcap, evidence = self.spider.pipeline.pcap, self.spider.pipeline.evidence
        if pcap is not None:
            log.info("pcap: %d packets, in %d files: %s", pcap.packets, pcap.files, pcap.name)
            why = "they came faster than they could be written" if pcap.failure is None else pcap.failure.strerror
            yield pcap.lost, f"packets are not in {pcap.name}: {why}"
        if evidence is not None:
            log.info("evidence: packets of %d targets are in %s", evidence.files, evidence.folder.name)
            if evidence.shortened or evidence.lost:
                log.warning("evidence: the %d MiB for packets were full: %d flows kept only their first packets, and "
                            "%d none", evidence.memory >> 20, evidence.shortened, evidence.lost)
            yield evidence.failed, f"times, packets could not be written to {evidence.folder.name}: {evidence.why}"

    def _why_not_located(self) -> str:
        """In parentheses; nothing where a run before this one has not said it."""
        locator = self.spider.pipeline.locator
        why = locator.why if locator is not None else {}
        return f" ({', '.join(f'{count} {what}' for what, count in why.items())})" if why else ""

    def _own_troubles(self) -> str:
        repeated = self.spider.pipeline.health.repeated
        return f"; {repeated} jobs measured again, since this machine was not well" if repeated else ""


def say(text: str) -> threading.Thread:
    """Tell of a warning without waiting for who reads it: the end of a pipe may not read (``2>&1 | less``)."""
    thread = threading.Thread(target=log.warning, args=("%s", text), name="say", daemon=True)
    thread.start()
    return thread
