"""``pspdr lab check``: measure every path with its plugin, as a user does, and compare with the truth.

Paths that are measured in the same way share one run in one fresh lab; the labs of different runs exist side by side,
since a run mostly waits for connections that never come up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence, Set
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TextIO

from pathspider.helpers.optional import MissingError, require_aioquic
from pathspider.installed import declared
from pathspider.lab.errors import LabError
from pathspider.lab.hops import PLACE
from pathspider.lab.listing import cases_for, places, print_table
from pathspider.lab.plugins import find_plugin
from pathspider.lab.progress import Progress
from pathspider.lab.scenario import Case, connect_mode, without_mode
from pathspider.lab.session import Lab
from pathspider.records import Record

PARALLEL_LABS = 8
"""Labs side by side."""

CONNECTION_TIMEOUT = "4"
"""Seconds for one connection: enough for a SYN that is lost once or twice, and no longer, since failing ones wait."""

CONFIRM_GAP = 2.0
"""Seconds before each round, where suspects are confirmed: nothing in the lab is there to be polite to."""

NOTICED = 0.5
"""Seconds after which a signal is noticed that came just before the main thread began to wait."""

LOCATE = ("--locate=1000",)
"""Options of a measurement that searches for places."""

LACKING = {"nginx": {"h2c", "proxy"}, "apache": {"odd-dns", "odd-web", "full-mss", "proxy", "h3"}}
"""What servers do not know: scenarios that need it are left out with them."""

PER_CONNECTION = {"--feedback", "--syn-ect"}
"""Options of plugins that cannot be had in lock-step: scenarios with them are left out."""

USAGE_ERROR = 2
"""Exit status of a command that cannot run as it was given."""

LONGEST_RUN = 300
"""Seconds after which a run is called hung."""


@dataclass(frozen=True)
class Result:
    """What was found on one path."""

    case: Case
    found: tuple[str, ...] | None
    """The record's conditions; None without a record."""
    records: int = 1
    """How many records the path got; anything but 1 is a fault."""
    confirmed: bool = False
    """Whether suspects were measured again, in rounds."""

    @property
    def truth(self) -> Set[str]:
        """The conditions that are true; where chance decides, those that are the nearest to what was found. Those that
        say where on a path of hops it happens are apart: :attr:`places`."""
        return min(self.case.truths(confirmed=self.confirmed), key=lambda one: len(one ^ set(self.conditions)))

    @property
    def conditions(self) -> list[str]:
        """What was found, without the places of a path of hops."""
        return [one for one in self.found or () if self.case.scenario.route is None or PLACE not in one]

    @property
    def places(self) -> list[str]:
        """Words that were found for the place."""
        return [] if self.case.scenario.route is None else [
            one.partition(PLACE)[2] for one in self.found or () if PLACE in one]

    @property
    def right_place(self) -> bool:
        """Whether what was found of the place is true: one word, where something happens at all."""
        place = self.case.scenario.place
        if place is None or not self.places:
            by_chance = self.truth != self.case.truths(confirmed=self.confirmed)[0]
            return not self.places and (place is None or by_chance)
        return all(place.holds(one) for one in self.places)

    @property
    def smallest(self) -> bool:
        """Whether an interval is as small as it can be."""
        return self.case.scenario.place is not None and set(self.places) == {self.case.scenario.place.word}

    @property
    def right(self) -> bool:
        """Exactly one record with exactly the conditions that are true."""
        return (self.records == 1 and self.found is not None and sorted(self.conditions) == sorted(self.truth)
                and self.right_place)

    @property
    def missing(self) -> list[str]:
        """Conditions that are true and were not found."""
        place = self.case.scenario.place
        return sorted(self.truth - set(self.conditions)) + (
            [] if self.right_place or place is None else [f"*{PLACE}{place.word}"])

    @property
    def wrong(self) -> list[str]:
        """Conditions that were found and are not true, or were found twice."""
        found = self.conditions
        return sorted({one for one in found if one not in self.truth or found.count(one) > 1}) + (
            [] if self.right_place else [f"*{PLACE}{one}" for one in self.places])


@dataclass
class Run:
    """One run of ``pspdr measure`` over the paths that are measured in the same way."""

    measure: Sequence[str]
    cases: list[Case]
    locate: bool = False
    """Whether it searches for the place where something happens."""
    status: int = 0
    seconds: float = 0.0
    errors: str = ""
    """What it wrote to standard error."""
    results: list[Result] = field(default_factory=list)

    @property
    def began(self) -> bool:
        """False where the command could not run as it was given: no path was measured."""
        return self.status != USAGE_ERROR or any(result.records for result in self.results)

    @property
    def right(self) -> bool:
        """The run ended well and every path was judged right."""
        return self.status == 0 and all(result.right for result in self.results)


class Labs:
    """The labs of runs under way, for someone who may have to close them early."""

    def __init__(self) -> None:
        self._labs: list[Lab] = []
        self._over = False
        self._lock = threading.Lock()

    def add(self, lab: Lab) -> None:
        """A lab that has just been made. Raises LabError when nobody wants it any more."""
        with self._lock:
            if self._over:
                raise LabError("the check was interrupted")
            self._labs.append(lab)

    def close(self) -> None:
        """End them all, and those that are still being made, as soon as they are."""
        with self._lock:
            self._over = True
        for lab in self._labs:
            lab.close()


def plan(cases: Sequence[Case]) -> list[Run]:
    """Group paths by the arguments with which they are measured; on paths of hops, with the search for the place."""
    groups: dict[tuple[tuple[str, ...], bool], list[Case]] = {}
    for case in cases:
        groups.setdefault((tuple(case.scenario.measure), case.scenario.route is not None), []).append(case)
    return [Run(measure, group, locate=locate) for (measure, locate), group in groups.items()]


def perform(
    run: Run,
    servers: str = "builtin",
    scenarios: Sequence[str] = (),
    *,
    timeout: str = CONNECTION_TIMEOUT,
    labs: Labs | None = None,
    options: Sequence[str] = (),
    confirm: int = 0,
    confirm_gap: float = CONFIRM_GAP,
    progress: Progress | None = None,
) -> Run:
    """Measure the paths of one run in a lab of its own and fill in what was found.

    ``timeout``: seconds for one connection, unless the run's own arguments say. ``labs``: where to note the lab.
    ``options``: those of ``pspdr measure``, such as ``--lockstep``. ``confirm``, ``confirm_gap``: the rounds of
    suspects, and seconds before each. ``progress``: what hears of records as they come.
    """
    progress = progress or Progress([run], None)
    progress.began(run)
    jobs = "".join(json.dumps(case.job) + "\n" for case in run.cases)
    command = [sys.executable, "-P", "-m", "pathspider", "measure", "-i", "lab0", "--confirm", str(confirm),
               *(["--confirm-gap", str(confirm_gap)] if confirm else ()), *options,
               *(LOCATE if run.locate else ()), *run.measure]
    if "--timeout" not in run.measure:
        command += ["--timeout", timeout]
    began = time.monotonic()
    with Lab(servers, scenarios) as lab:
        if labs is not None:
            labs.add(lab)
        try:
            done = lab.run(command, data=jobs.encode(), capture_output=True, timeout=LONGEST_RUN,
                           on_line=lambda line: progress.heard(run))
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, -1, b"", f"no end after {LONGEST_RUN} s".encode())
    run.seconds = time.monotonic() - began
    run.status, run.errors = done.returncode, done.stderr.decode(errors="replace")
    run.results = compare(run.cases, done.stdout.decode(errors="replace").splitlines(), confirmed=confirm > 0)
    progress.ended(run, outcome(run))
    return run


def compare(cases: Sequence[Case], lines: Sequence[str], *, confirmed: bool = False) -> list[Result]:
    """Each path with what the records say about it; ``confirmed``: after rounds."""
    records: dict[tuple[str, str], list[list[str]]] = {}
    for line in lines:
        try:
            record: Record = json.loads(line)
        except ValueError:
            continue  # the record that is not there is the difference
        where = (str(record.get("scenario")), str(record.get("dip")))
        records.setdefault(where, []).append(record.get("conditions", []))
    results = []
    for case in cases:
        found = records.get((case.scenario.name, case.address), [])
        results.append(Result(case, tuple(found[0]) if found else None, len(found), confirmed))
    return results


def require_plugin(run: Run) -> None:
    """Raises LabError where the plugin of a run is not there, or does not know its connection mode or a condition."""
    first = run.cases[0].scenario
    try:
        plugin = find_plugin(first.plugin)
    except LabError as error:
        raise LabError(f"{first.where}: scenario {first.name!r}: {error}") from None
    known = plugin.connect_supported
    mode = connect_mode(run.measure)
    if mode not in known and list(run.measure) != without_mode(run.measure):
        raise LabError(f"{first.where}: scenario {first.name!r}: {first.plugin} has no --connect {mode}; it has "
                       f"{', '.join(known) or 'no connection modes, leave it out'}")
    for case in run.cases if getattr(plugin, "conditions", None) else ():  # a plugin need not declare any
        for condition in sorted(set[str]().union(*case.truths())):
            if declared(condition, first.plugin) is None:
                raise LabError(f"{case.scenario.where}: scenario {case.scenario.name!r}: {condition} is expected, "
                               f"which {first.plugin} does not declare among its conditions")


def to_measure(plugins: Sequence[str], servers: str = "builtin", options: Sequence[str] = ()) -> list[Case]:
    """The paths of these plugins (of all, if none is named) that these servers, and options of a run, can show."""
    left_out = PER_CONNECTION if "--lockstep" in options else set()
    return [case for case in cases_for(plugins) if case.scenario.needs not in LACKING.get(servers, ())
            and left_out.isdisjoint(case.scenario.measure)]


def missing(case: Case) -> str | None:
    """What a path needs that is not installed on this machine, and what to do; None where nothing is missing."""
    try:
        if case.scenario.needs == "h3":
            require_aioquic("the lab's HTTP/3 server")
        with suppress(LabError):  # there is no such plugin, which is said where it is to be measured
            find_plugin(case.scenario.plugin).require(argparse.Namespace(connect=case.scenario.connect))
    except MissingError as error:
        return str(error)
    return None


def installed(cases: Sequence[Case], stream: TextIO | None) -> list[Case]:
    """Those of these paths for which nothing is missing here; ``stream`` is told of the others. Raises LabError where
    that are all."""
    lacks = {id(case): missing(case) for case in cases}
    for reason, count in Counter(filter(None, lacks.values())).items():
        if stream is not None:
            print(f"left out: {count} paths, since {reason}", file=stream)
    left = [case for case in cases if lacks[id(case)] is None]
    if cases and not left:
        raise LabError(next(filter(None, lacks.values())))
    return left


def check(
    plugins: Sequence[str],
    servers: str = "builtin",
    scenarios: Sequence[str] = (),
    options: Sequence[str] = (),
    stream: TextIO | None = None,
    *,
    confirm: int = 0,
    confirm_gap: float = CONFIRM_GAP,
) -> list[Run]:
    """Measure all paths of these plugins (of all, if none is named); ``stream`` is told how far it is.

    Others as :func:`perform` has them.
    """
    runs = plan(installed(to_measure(plugins, servers, options), stream))
    for run in runs:
        require_plugin(run)
    labs = Labs()
    with Progress(runs, stream) as progress, ThreadPoolExecutor(PARALLEL_LABS) as pool:
        try:
            measure = partial(perform, servers=servers, scenarios=scenarios, labs=labs, options=options,
                              confirm=confirm, confirm_gap=confirm_gap, progress=progress)
            waiting = {pool.submit(measure, run) for run in runs}
            while waiting:
                done, waiting = wait(waiting, NOTICED, FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:  # Ctrl-C among them: nobody waits for runs that nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            labs.close()
            raise
    return runs


def outcome(run: Run) -> str:
    """A run in one line."""
    bad = sum(not result.right for result in run.results)
    state = "as expected" if run.right else f"ended with status {run.status}"
    if bad and run.began:
        state = f"{bad} different"
    return f"{' '.join(run.measure):<32} {len(run.cases):3} paths  {run.seconds:5.1f} s  {state}"


def check_and_report(plugins: Sequence[str], servers: str, scenarios: Sequence[str], *, as_json: bool,
                     options: Sequence[str] = (), confirm: int = 0, confirm_gap: float = CONFIRM_GAP) -> int:
    """The command: exit status 1 on any difference."""
    runs = check(plugins, servers, scenarios, options, sys.stderr, confirm=confirm, confirm_gap=confirm_gap)
    print(json.dumps(as_data(runs, servers))) if as_json else report(runs)
    return 0 if all(run.right for run in runs) else 1


def as_data(runs: Sequence[Run], servers: str) -> dict[str, Any]:
    """All results, for a program."""
    return {
        "servers": servers,
        "paths": sum(len(run.cases) for run in runs),
        "differences": sum(not result.right for run in runs for result in run.results),
        "runs": [{"measure": list(run.measure), "status": run.status, "seconds": round(run.seconds, 3),
                  "errors": run.errors} for run in runs],
        "results": [
            {"scenario": result.case.scenario.name, "address": result.case.address, "measure": list(run.measure),
             "right": result.right, "records": result.records, "expected": sorted(result.truth),
             "found": None if result.found is None else sorted(result.found), **places(result.case.scenario),
             **({"smallest": result.smallest} if result.case.scenario.place else {})}
            for run in runs for result in run.results
        ],
    }


def report(runs: Sequence[Run]) -> None:
    """All differences, for a person."""
    rows = [("SCENARIO", "ADDRESS", "IMPAIRMENT", "NOT FOUND", "FOUND INSTEAD")]
    not_measured = sum(len(run.cases) for run in runs if not run.began)
    for run in runs:
        if not run.began:
            print(f"{len(run.cases)} paths were not measured: pspdr measure {' '.join(run.measure)} said:\n"
                  f"{run.errors[-2000:]}")
            continue
        for result in run.results:
            if not result.right:
                extra = ", ".join(result.wrong)
                if result.records != 1:
                    extra = "no record" if result.records == 0 else f"{result.records} records"
                rows.append((result.case.scenario.name, result.case.address, result.case.scenario.about,
                             ", ".join(result.missing), extra))
    if len(rows) > 1:
        print_table(rows, wrap=(2, 3, 4))
    for run in runs:
        if run.status and run.began:
            print(f"\npspdr measure {' '.join(run.measure)} ended with status {run.status}:\n{run.errors[-2000:]}")
    with_place = [result for run in runs for result in run.results if result.case.scenario.place and result.places]
    if with_place:
        print(f"places: {len(with_place)} found, {sum(one.smallest for one in with_place)} of them as near as can be")
    paths = sum(len(run.cases) for run in runs) - not_measured
    print(f"{paths} paths, {len(rows) - 1} different from the truth" if len(rows) > 1
          else f"{paths} paths, all as the truth has it" if paths else "no path was measured")
