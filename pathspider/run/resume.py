"""Continuing an interrupted run: which of its records stand, and which targets they are of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pathspider.atomic import atomic_write, refuse_special
from pathspider.records import Record
from pathspider.targets.reading import LineError, parse_record
from pathspider.targets.repeats import TargetFilter


def resume(name: str, seen: TargetFilter, unfinished: Callable[[Record], bool],
           parse: Callable[[str], Record] = parse_record, *, several: bool = False, look_only: bool = False) -> int:
    """Make the output of an interrupted run ready to be continued; the number of records that it has.

    Their targets are noted in ``seen``. Taken out of the file: a torn last line; records that are ``unfinished``,
    so that their targets are measured now; and, where a target can have ``several`` lines, those of the
    last one, of which more may have been to come. :exc:`LineError` for what is not a record of this run; the file is
    then left as it was.

    :param parse: one line as a record of this run; :exc:`LineError` if it is none
    :param look_only: leave the file as it is
    """
    kept = target = begins = kept_before = 0
    refuse_special(Path(name))
    with (open(os.devnull, "wb") if look_only else atomic_write(name)) as new, open(name, "rb") as old:
        for number, line in enumerate(old, 1):
            if not line.endswith(b"\n"):
                break  # torn
            try:
                record = parse(line.decode("utf-8"))
            except ValueError as error:
                raise LineError(f"{name}, line {number}: {error}; name the output of a run of the same plugin") \
                    from None
            if unfinished(record):
                continue
            if several and seen.target(record) != target:
                target, begins, kept_before = seen.target(record), new.tell(), kept
            seen.repeats(record)
            new.write(line)
            kept += 1
        if several:
            seen.forget(target)
            if not look_only:
                new.truncate(begins)
            kept = kept_before
    return kept
