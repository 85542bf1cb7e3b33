"""A list of names on its way through a resolver: so many at once, each with one outcome."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

from pathspider.records import Job, Record, to_measure
from pathspider.targets.problems import target_problem
from pathspider.targets.resolver.core import Question
from pathspider.targets.resolver.journal import Journal
from pathspider.targets.resolver.message import AAAA, A
from pathspider.targets.resolver.naming import NO_ANSWER, UNRESOLVED, Plan, Shape, Target, jobs, own_address
from pathspider.writing import RecordWriter

log = logging.getLogger("pathspider")

AT_ONCE = 64
"""Names that are begun before it is looked for answers: more would fill a resolver's buffer."""
SAVE_EVERY = 1.0
"""Seconds of work that a SIGKILL may cost."""
TELL_EVERY = 60.0
FIRST_NAMES = 20
"""Where so many names from the first on are not answered, something is wrong with the resolvers."""
LONG = 60.0
SERVFAIL_IN_PART, INVALID_JOBS = "servfail in part", "invalid jobs"
"""Keys beside the problems of names, of which one is ``invalid``, as answers are."""
INVALID = ("dip_", "dp_", "domain_")
"""What the words for jobs that cannot be measured begin with."""


class Asks(Protocol):
    """What :class:`~pathspider.targets.resolver.engine.Engine` does."""

    @property
    def pending(self) -> int: ...

    def ask(self, question: Question) -> None: ...

    def step(self, longest: float) -> list[Question]: ...

    def free_in(self) -> float: ...

    def wake(self) -> None: ...

    def troubles(self) -> list[str]: ...


class Ahead:
    """Reads jobs in a thread of its own, a few ahead: where they come slowly, answers need not wait for them.

    :param wake: called when there is something to be had again
    """

    MOST = 256

    def __init__(self, source: Iterable[tuple[int, Job]], wake: Any) -> None:
        self._queue: queue.Queue[tuple[int, Job] | BaseException | None] = queue.Queue(self.MOST)
        self._source = source
        self._wake = wake
        threading.Thread(target=self._read, name="names", daemon=True).start()

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._source:
                self._queue.put(item)
                if self._queue.qsize() <= 1:  # looked at behind put(), which may have waited until all was taken
                    self._wake()
        except Exception as error:  # told where it can end the run
            end = error
        self._queue.put(end)
        self._wake()

    def next(self) -> tuple[int, Job] | None:
        """The next job and its place; None if there is none by now. ``StopIteration`` at the end."""
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            return None
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item


class Direct:
    """Reads jobs from a file, which has them at once."""

    def __init__(self, source: Iterable[tuple[int, Job]]) -> None:
        self._source = iter(source)

    def next(self) -> tuple[int, Job] | None:
        """The next job and its place; ``StopIteration`` at the end."""
        return next(self._source)


class Run:
    """Resolves a list.

    :param output: gets the jobs
    :param unresolved: gets the names without addresses, as records that say why; None to count them alone
    :param window: names under way at once
    """

    def __init__(self, engine: Asks, plan: Plan, shape: Shape, output: RecordWriter,
                 unresolved: RecordWriter | None = None, *, window: int = 2000, journal: Journal | None = None) -> None:
        self._engine = engine
        self._plan = plan
        self._shape = shape
        self._output = output
        self._unresolved = unresolved
        self._window = window
        self._journal = journal
        self._under_way = 0
        self._found: list[Job] = []
        self._failures: list[Record] = []
        self.counts: Counter[str] = Counter(journal.counts if journal else {})
        """``names``, ``resolved``, ``jobs``, ``partial`` (of names with jobs: some questions got no answer), ``servfail
        in part`` (some got SERVFAIL, which is one), ``invalid jobs``, and by their problem names without addresses."""
        self._told = self._saved = time.monotonic()
        self._heard = False
        """Whether the resolvers have told anything of any name."""
        self.stopped = 0
        """The signal that has ended reading."""

    def stop(self, number: int) -> None:
        """Read no more names; those under way are finished."""
        self.stopped = number
        self._engine.wake()

    def resolve(self, source: Ahead | Direct) -> None:
        """Resolve all that is read."""
        if self._journal is not None:
            self._save()
        ended = False
        while True:
            begun = 0
            waits = False  # for jobs
            while not ended and not self.stopped and begun < AT_ONCE and self._under_way < self._window \
                    and self._engine.free_in() <= 0:
                try:
                    item = source.next()
                except StopIteration:
                    ended = True
                    break
                if item is None:
                    waits = True
                    break
                self._begin(*item)
                begun += 1
            if not self._under_way and (ended or self.stopped):
                break
            full = ended or waits or self.stopped or self._under_way >= self._window
            for question in self._engine.step(LONG if full else max(0.0, self._engine.free_in())):
                self._over(question)
            self._write()
        self._write()
        if self._journal is not None:
            self._save()

    def _begin(self, place: int, job: Job) -> None:
        if self._journal is not None:
            self._journal.read = max(self._journal.read, place + 1)
            self._journal.under_way.add(place)
        job = to_measure(job)
        target = Target(job, self._plan, place)
        self._under_way += 1
        if (known := own_address(job)) is not None:
            target.problem = self._problem(job, known)
            if target.problem:
                self._finish(target)
                return
            shape = self._shape
            self._found.append(shape.annotate(known) if shape.annotate else known)
            self._done(target, 1)
            return
        questions = target.begin()
        if not questions:
            self._finish(target)
        for question in questions:
            self._engine.ask(question)

    def _problem(self, job: Job, known: Job) -> str:
        """Why a job that has its address, or one in the place of its name, is not passed on; empty if it is."""
        wanted = self._plan.addresses
        if problem := target_problem(known):
            return problem
        is_other = job.get("dip") is None and wanted and (AAAA if ":" in known["dip"] else A) not in wanted
        return "nodata" if is_other else ""

    def _over(self, question: Question) -> None:
        target: Target = question.owner
        for following in target.answered(question):
            self._engine.ask(following)
        if not target.left:
            self._finish(target)

    def _finish(self, target: Target) -> None:
        before = len(self._found)
        self._found.extend(jobs(target, self._shape))
        found = len(self._found) - before
        if found:
            if problems := target.unanswered().values():
                self.counts[SERVFAIL_IN_PART if set(problems) == {"servfail"} else "partial"] += 1
        else:
            why = target.why()
            if why == "nodata" and any(one.answer.values for host in target.hosts for one in host.questions):
                why = "no_target"
            self.counts[why] += 1
            if why.startswith(INVALID) or why in ("no_name", "bad_domain"):
                self.counts[INVALID_JOBS] += 1
            if self._unresolved is not None:
                invalid = "domain_missing" if why == "no_name" else target.why() if why.startswith(INVALID) else ""
                condition = f"pathspider.invalid_job:{invalid}" if invalid else f"{UNRESOLVED}:{why}"
                self._failures.append(cast(Record, {**target.job, "conditions": [condition]}))
        self._done(target, found)

    def _done(self, target: Target, found: int) -> None:
        self._under_way -= 1
        self.counts["names"] += 1
        self.counts["resolved"] += bool(found)
        self.counts["jobs"] += found
        if self._journal is not None:
            self._journal.under_way.discard(target.place)
        if not self._heard:
            self._heard = bool(found) or (not target.problem and target.why() not in NO_ANSWER)
            if not self._heard and self.counts["names"] == FIRST_NAMES:
                log.error("not one of the first %d names could be resolved (%s): can the resolvers be reached, and do "
                          "they resolve for this machine? --resolver asks another", FIRST_NAMES, target.why())

    def _write(self) -> None:
        """Put out what has been found, and now and then note how far it is."""
        if self._found:
            self._output.write_all(self._found)
            self._found.clear()
        if self._failures:
            if self._unresolved is not None:
                self._unresolved.write_all(self._failures)
            self._failures.clear()
        now = time.monotonic()
        if self._journal is not None and now - self._saved >= SAVE_EVERY:
            self._save()
        if now - self._told >= TELL_EVERY:
            self._told = now
            log.info("%d names so far, %d resolved; %d under way", self.counts["names"], self.counts["resolved"],
                     self._under_way)

    def _save(self) -> None:
        assert self._journal is not None
        self._journal.counts = dict(self.counts)
        self._journal.save()
        self._saved = time.monotonic()

    def failures(self) -> Counter[str]:
        """Names without addresses, by their problem."""
        known = ("names", "resolved", "jobs", "partial", SERVFAIL_IN_PART, INVALID_JOBS)
        return Counter({key: count for key, count in self.counts.items() if key not in known and count})

    def unanswered(self) -> int:
        """Names of which the resolvers have told nothing."""
        return sum(count for key, count in self.failures().items() if key in NO_ANSWER)


def places(source: Iterable[Job], journal: Journal | None) -> Iterator[tuple[int, Job]]:
    """The jobs that are to be done, each with its place in the list."""
    read, left = (journal.read, frozenset(journal.under_way)) if journal is not None else (0, frozenset())
    return ((place, job) for place, job in enumerate(source) if place >= read or place in left)
