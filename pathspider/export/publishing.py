"""From results to an archive, and from an archive to what is wrong with it: what ``pspdr bundle`` does."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from pathspider.atomic import atomic_write
from pathspider.export import bundle
from pathspider.export.bundle import Member
from pathspider.export.columns import is_time
from pathspider.export.readme import Contents, readme
from pathspider.records import Record
from pathspider.run.metadata import ENDING, MetadataError, read
from pathspider.targets.reading import JobReader, parse_record
from pathspider.targets.unpacking import PACKINGS

log = logging.getLogger(__name__)

MOST_KINDS = 1000
"""Conditions that are counted for the README."""


class BundleError(Exception):
    """There can be no archive of this; the text says why."""


class Options(NamedTuple):
    """What goes into the archive, besides the results."""

    output: Path
    evidence: Path | None = None
    title: str = ""
    licence: str = ""
    creators: str = ""
    readme: Path | None = None
    """In the place of the one that is made."""


def publish(results: Sequence[Path], options: Options) -> bool:
    """Make an archive; whether all of the results could be read.

    :raises BundleError: where something cannot be in it
    """
    try:
        folder = bundle.folder_of(options.output.name)
    except ValueError as error:
        raise BundleError(f"output {options.output}: {error}") from None
    contents, members, packets, whole = [], bundle.schemas(), set[str](), True
    for path in results:
        metadata = metadata_of(path)
        for one in (path, metadata):
            if one is not None:
                members.append(_member(one))
        found, fine = look_at(path, packets)
        found.runs = _runs(metadata) if metadata else []
        if metadata is None:
            log.warning("%s has no metadata beside it: nobody will know how it was measured", path)
        contents.append(found)
        whole = whole and fine
    if options.evidence is not None:
        members += _evidence(options.evidence, packets)
    elif packets:
        log.info("packets of %d targets are left out; --evidence DIR puts them in", len(packets))
    ends = [end for one in contents for run in one.runs if is_time(end := run.get("end"))]
    if options.readme is None:
        members.append(Member.of_text(bundle.README, readme(
            folder, contents, title=options.title, licence=options.licence, creators=options.creators,
            evidence=len(packets) if options.evidence else 0)))
    else:
        members.append(_member(options.readme)._replace(name=bundle.README))
    _refuse_twins(members)
    try:
        with atomic_write(options.output) as stream:
            bundle.write(stream, options.output.name, members, bundle.moment_of(cast("list[str]", ends)))
    except OSError as error:
        raise BundleError(f"{error.filename or options.output}: {error.strerror or error}") from None
    advice = "" if options.readme else f"; look at what {bundle.README} says has to be written"
    log.info("%s: %d files%s", options.output, len(members) + 1, advice)
    return whole


def metadata_of(path: Path) -> Path | None:
    """The metadata beside a file of records, which may be called after the packed file or the unpacked one."""
    name = str(path)
    names = [name, *(name.removesuffix(one.ending) for one in PACKINGS if name.endswith(one.ending))]
    return next((found for one in names if (found := Path(one + ENDING)).is_file()), None)


def look_at(path: Path, packets: set[str]) -> tuple[Contents, bool]:
    """Read a file of records: what is in it, and whether all of it could be read.

    :param packets: the names of files of evidence that the records tell come into it
    """
    found = Contents(path.name)
    with path.open("rb") as lines:
        reader = JobReader(lines, str(path), parse_record)
        for line in reader:
            record = cast("Record", line)
            found.records += 1
            time = record.get("time")
            if isinstance(time, dict) and is_time(time.get("from")) and is_time(time.get("to")):
                found.first = min(found.first or time["from"], time["from"])
                found.last = max(found.last, time["to"])
            for name in {condition.partition(":")[0] for condition in record["conditions"]}:
                if name in found.conditions or len(found.conditions) < MOST_KINDS:
                    found.conditions[name] += 1
            if isinstance(file := record.get("evidence"), str):
                packets.add(file)
    return found, reader.all_were_jobs and bool(found.records)


def _member(path: Path) -> Member:
    try:
        return Member.of_path(path.name, path)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from None


def _evidence(folder: Path, names: Iterable[str]) -> list[Member]:
    try:
        return [*bundle.evidence(folder, names)]
    except OSError as error:
        raise BundleError(f"evidence {error.filename}: {error.strerror}") from None


def _runs(path: Path) -> list[dict[str, object]]:
    try:
        with path.open("rb") as stream:
            return read(stream)
    except MetadataError as error:
        raise BundleError(f"{path}: {error}") from None


def _refuse_twins(members: Sequence[Member]) -> None:
    seen: set[str] = set()
    for member in members:
        if member.name in seen:
            raise BundleError(f"two files are called {member.name}: rename one of them")
        if not member.name.isprintable() or "\\" in member.name:
            raise BundleError(f"a file cannot be called {member.name!r} everywhere: rename it")
        seen.add(member.name)
