"""A campaign's folder: what is measured, of which targets, what has happened, and the results.

::

    campaign.json      what is measured, how and by whom; never changed
    targets.ndjson     the targets, each once
    journal.ndjson     what has happened
    results/SLOT/000000.zst
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Literal

from pathspider.atomic import atomic_write
from pathspider.campaign.chunks import ANY, Chunk, Order
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.journal import Journal
from pathspider.campaign.results import ResultError, Unpacked
from pathspider.records import Job
from pathspider.run.options import new_run_id
from pathspider.targets.shuffling import LineIndex
from pathspider.version import __version__
from pathspider.writing import json_line

log = logging.getLogger("pathspider")

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""A vantage point's name: it stands in names of files, queues and users, and in certificates."""

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

PATIENCE = 10.0
"""Seconds for which another process that has the folder open may go on ending."""

Mode = Literal["local", "fanout", "split"]


@dataclass(frozen=True)
class Definition:
    """What a campaign is: ``campaign.json``."""

    plugin: str
    measure: Sequence[Sequence[str]]
    """Options of ``measure``, each a name and, where it takes one, a value."""
    options: Sequence[Sequence[str]]
    """Those of the plugin."""
    mode: Mode
    vantages: Sequence[str]
    chunk: int
    """Targets in a chunk."""
    seed: int
    targets: int = 0
    sha256: str = ""
    """Of ``targets.ndjson``."""
    default_port: int | None = None
    several: bool = False
    """The plugin puts out any number of lines for a target."""
    label: str = ""
    rate: float | None = None
    """New connections per second at each vantage point."""
    start: float | None = None
    """Seconds since the epoch before which no chunk begins."""
    other_versions: bool = False
    """Vantage points may have another version of PATHspider than the coordinator: it is noted."""
    here: Sequence[str] = ()
    """Of a campaign of this machine: words of ``measure`` that are this machine's."""
    fleet: str = ""
    version: str = __version__
    id: str = ""
    created: float = 0.0

    @property
    def slots(self) -> list[str]:
        """Whose chunks there are."""
        return [ANY] if self.mode == "split" else list(self.vantages)

    def same(self, other: Definition) -> list[str]:
        """Names of what differs, but for what each campaign has of its own."""
        own = {"id", "created", "version", "seed", "here"}
        return [one.name for one in fields(self)
                if one.name not in own and _plain(getattr(self, one.name)) != _plain(getattr(other, one.name))]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


class Campaign:
    """An existing campaign. :meth:`create` makes one.

    :raises CampaignError: if there is none in this folder
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            known = json.loads((self.folder / "campaign.json").read_bytes())
            self.definition = Definition(**known)
        except FileNotFoundError:
            raise CampaignError(f"{folder}: there is no campaign in this folder") from None
        except (OSError, ValueError, TypeError) as error:
            raise CampaignError(f"{self.folder / 'campaign.json'}: {error}") from None
        self.journal = Journal(self.folder / "journal.ndjson")
        self._files = ExitStack()

    def close(self) -> None:
        """Close the files, and with them let go of the lock."""
        self._files.close()
        self.journal.close()

    @classmethod
    def create(cls, folder: str | Path, definition: Definition, jobs: Iterable[Job]) -> Campaign:
        """Make a campaign of these jobs, each target once. Until all is on the disk there is none.

        :raises CampaignError: if the folder cannot be written, or there are no jobs
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            digest, count = sha256(), 0
            with atomic_write(path / "targets.ndjson") as stream:
                for job in jobs:
                    line = json_line(job)
                    digest.update(line)
                    stream.write(line)
                    count += 1
                if not count:
                    raise CampaignError("there are no targets to measure")
            known = asdict(definition) | {"targets": count, "sha256": digest.hexdigest(), "id": new_run_id(),
                                          "created": time.time()}
            with atomic_write(path / "campaign.json") as stream:
                stream.write(json.dumps(known, indent=1).encode() + b"\n")
            sync(path)
        except OSError as error:
            raise CampaignError(f"{folder}: {error.strerror}") from None
        return cls(path)

    # -- one process at a time -----------------------------------------------------------------------------------

    def lock(self) -> int:
        """Keep the folder to this process and those that have the descriptor, which is returned. flock(2)

        :raises CampaignError: if another process goes on having it
        """
        lock = os.open(self.folder / "campaign.json", os.O_RDONLY | os.O_CLOEXEC)
        self._files.callback(os.close, lock)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > until:
                    raise CampaignError(f"{self.folder}: another process runs this campaign") from None
                time.sleep(0.1)

    # -- chunks --------------------------------------------------------------------------------------------------

    def order(self, slot: str) -> Order:
        """The order of a slot's targets."""
        return Order(self.definition.targets, self.definition.chunk, self.definition.seed, slot)

    def chunk(self, slot: str, number: int, epoch: int = 0) -> Chunk:
        """A chunk with its jobs; ``LookupError`` if there is none."""
        if slot not in self.definition.slots or not 0 <= number < self.order(slot).chunks:
            raise LookupError(slot, number)
        lines = [self._index.read(place, 1 << 24)[0] for place in self.order(slot).targets(number)]
        return Chunk(self.definition.id, slot, number, epoch, [json.loads(line) for line in lines])

    @cached_property
    def _index(self) -> LineIndex:
        stream = self._files.enter_context((self.folder / "targets.ndjson").open("rb"))  # the index reads from it
        index = self._files.enter_context(LineIndex(stream.fileno()))
        for line in stream:
            index.add(b"", len(line))
        index.whole()
        if len(index) != self.definition.targets:
            raise CampaignError(f"{stream.name}: {len(index)} targets, where the campaign has "
                                f"{self.definition.targets}; the file has been changed")
        return index

    # -- results -------------------------------------------------------------------------------------------------

    def path(self, slot: str, number: int) -> Path:
        """The file of a chunk's results."""
        return self.folder / "results" / slot / f"{number:06d}.zst"

    def done(self, slot: str) -> set[int]:
        """The chunks of a slot that have their results."""
        try:
            names = os.listdir(self.folder / "results" / slot)
        except FileNotFoundError:
            return set()
        return {int(name[:-4]) for name in names if name.endswith(".zst") and name[:-4].isdecimal()}

    def store(self, slot: str, number: int, data: bytes) -> bool:
        """Have the results of a chunk on the disk, whole; False if there were some: the first ones stay."""
        path = self.path(slot, number)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync(path.parent.parent)
            sync(self.folder)
        return write_once(path, data)

    def epochs(self) -> dict[tuple[str, int], int]:
        """How often each chunk was asked for anew; those that never were are left out."""
        found: dict[tuple[str, int], int] = {}
        for event in self.journal.events():
            if event["event"] == "retry":
                found[event["slot"], event["chunk"]] = event["epoch"]
        return found

    def dead(self) -> dict[tuple[str, int], str]:
        """The chunks that were given up, and why."""
        found: dict[tuple[str, int], str] = {}
        for event in self.journal.events():
            if event["event"] == "dead":
                found[event["slot"], event["chunk"]] = str(event["why"])
            elif event["event"] == "retry":
                found.pop((event["slot"], event["chunk"]), None)
        return {place: why for place, why in found.items() if not self.path(*place).exists()}

    @property
    def cancelled(self) -> bool:
        """Whether no more chunks are to begin."""
        return (self.folder / "cancelled").exists()

    def cancel(self) -> None:
        """Have no more chunks begin."""
        self.journal.record("cancel")
        (self.folder / "cancelled").touch()

    def retry(self, *, lost: bool = False) -> list[tuple[str, int]]:
        """Ask anew for the chunks that were given up, which are returned, and let a cancelled campaign go on.

        :param lost: the broker has lost what it had
        """
        if lost:
            self.journal.record("taken_back")
        epochs = self.epochs()
        again = list(self.dead())
        for slot, number in again:
            self.journal.record("retry", slot=slot, chunk=number, epoch=epochs.get((slot, number), 0) + 1)
        with suppress(FileNotFoundError):
            (self.folder / "cancelled").unlink()
        return again

    def left(self) -> Iterator[tuple[str, int]]:
        """Chunks that have no results and were not given up, slot by slot."""
        dead = self.dead()
        for slot in self.definition.slots:
            done = self.done(slot)
            yield from ((slot, number) for number in range(self.order(slot).chunks)
                        if number not in done and (slot, number) not in dead)

    def results(self, slots: Sequence[str] | None = None) -> Iterator[tuple[Path, Unpacked]]:
        """The results that there are, slot by slot in the order of their chunks.

        :raises CampaignError: for a file that is none; so does reading its lines
        """
        for slot in self.definition.slots if slots is None else slots:
            for number in sorted(self.done(slot)):
                path = self.path(slot, number)
                with path.open("rb") as stream:
                    yield path, Stored(stream, path)


class Stored(Unpacked):
    """Results in a file of the folder.

    :raises CampaignError: for what they cannot be, with the file's name
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._path = path
        with self._named():
            super().__init__(stream)

    def lines(self) -> Iterator[bytes]:
        """The records, each with its newline."""
        with self._named():
            yield from super().lines()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except ResultError as error:
            raise CampaignError(f"{self._path}: {error}; remove the file, and the chunk is measured again") from None


def write_once(path: Path, data: bytes) -> bool:
    """Have a file on the disk with this content, whole or not at all; False if there is one: it stays as it is."""
    descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        try:
            os.link(draft, path)  # as rename(2), but for one that is there
        except FileExistsError:
            return False
        finally:
            os.unlink(draft)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        raise
    sync(path.parent)
    return True


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_drafts(folder: Path) -> None:
    """Remove what a killed process left of files that were not whole."""
    for path in folder.rglob(".draft-*"):
        with suppress(FileNotFoundError):
            path.unlink()

