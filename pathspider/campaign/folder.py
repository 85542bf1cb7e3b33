"""A campaign's folder: what is measured, of which targets, what has happened, and the results.

::

    campaign.json      what is measured, how and by whom; never changed
    targets.ndjson     the targets, each once
    journal.ndjson     what has happened
    results/SLOT/000000.zst
    results/SLOT/000000.damaged    what was there of a chunk that was measured again; 000000.damaged-2 the next time
    results/SLOT/000000.unfinished    the same of a chunk that had targets without a verdict
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pathspider.atomic import atomic_write
from pathspider.campaign.chunks import ANY, Chunk, Order
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.journal import Journal
from pathspider.campaign.results import Head, ResultError, Unfinished, Whole, look, unfinished
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

MOST_NAMED = 3
"""Files of others that are named."""

DAMAGED = ".damaged"
"""The ending of results that are not whole, once they were measured again."""

UNFINISHED = ".unfinished"
"""That of results that had targets without a verdict for reasons of the machine, once they were asked for anew."""

UNFINISHED_WHY = "it has unfinished targets"
"""Why a chunk is asked for anew, in the journal: no other results of before are taken then."""

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
        own = {"id", "created", "version", "here", "targets", "sha256"}
        return [one.name for one in fields(self)
                if one.name not in own and _plain(getattr(self, one.name)) != _plain(getattr(other, one.name))]


class Damaged(NamedTuple):
    """A file that is not the whole results of its chunk."""

    slot: str
    number: int
    path: Path
    why: str
    is_read: bool = True
    """Whether it could be read."""
    kept: str = ""
    """The file's name after it was put aside."""

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"

    @property
    def remedy(self) -> str:
        """What to do."""
        again = f"pspdr campaign run {self.path.parents[2]} has this chunk measured again"
        return again if self.is_read else f"make it readable, or remove it: then {again}"


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
        self._whole: dict[Path, int] = {}
        """Files of results that are whole, as far as was looked, with their inodes."""
        self._unsound: dict[Path, tuple[int, int, str]] = {}
        """Those that reading showed to be damaged: inode, when that was changed, and why."""
        self._unfinished: dict[Path, Unfinished] = {}
        """What was unfinished in files of results when they were looked at."""

    def close(self) -> None:
        """Close the files, and with them let go of the lock."""
        self._files.close()
        self.journal.close()

    @classmethod
    def create(cls, folder: str | Path, definition: Definition, jobs: Iterable[Job]) -> Campaign:
        """Make a campaign of these jobs, each target once. Until all is on the disk there is none, and of one that
        cannot be made nothing stays.

        :raises CampaignError: if the folder cannot be written, or has other files, or there are no jobs
        """
        path = Path(folder)
        try:
            refuse_others(path)
            with ExitStack() as undo:
                for missing in [one for one in (path, *path.parents) if not one.exists()][::-1]:
                    missing.mkdir()
                    undo.callback(_remove_empty, missing)
                targets, digest, number = path / "targets.ndjson", sha256(), 0
                undo.callback(targets.unlink, missing_ok=True)
                with atomic_write(targets) as stream:
                    for job in jobs:
                        line = json_line(job)
                        digest.update(line)
                        stream.write(line)
                        number += 1
                    if not number:
                        raise CampaignError(f"there are no targets to measure: no campaign was made in {folder}")
                known = asdict(definition) | {"targets": number, "sha256": digest.hexdigest(), "id": new_run_id(),
                                              "created": time.time()}
                undo.callback((path / "campaign.json").unlink, missing_ok=True)
                with atomic_write(path / "campaign.json") as stream:
                    stream.write(json.dumps(known, indent=1).encode() + b"\n")
                sync(path)
                undo.pop_all()
        except OSError as error:
            raise CampaignError(f"{folder}: {error.strerror}") from None
        return cls(path)

    # -- one process at a time -----------------------------------------------------------------------------------

    def lock(self) -> int:
        """Keep the folder to this process and those that have the descriptor, which is returned. flock(2)

        Who has it is said at once, and waited for: it may be ending.

        :raises CampaignError: if another process goes on having it
        """
        lock = os.open(self.folder / "campaign.json", os.O_RDONLY | os.O_CLOEXEC)
        self._files.callback(os.close, lock)
        began = time.monotonic()
        for tried in count():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if tried == 1:  # at the first time it may be somebody who asks whether it is run
                    log.warning("%s; waiting up to %d seconds for it to end", self._holder()[0], PATIENCE)
                if tried and time.monotonic() > began + PATIENCE:
                    raise CampaignError("; ".join([*self._holder(), "see how far it is with pspdr campaign status "
                                                   f"{self.folder}"])) from None
                time.sleep(0.1)
        own = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._files.callback(os.close, own)
        with suppress(OSError):  # not every file system locks folders
            fcntl.flock(own, fcntl.LOCK_EX)  # nobody has it but, for a moment, who asks whether it is run
        self.journal.record("run", pid=os.getpid(), host=socket.gethostname())
        return lock

    def is_run(self) -> bool:
        """Whether a process runs this campaign now. It holds two locks: the folder's own goes with it, however
        it ends; the other one stays while what it has started goes on. flock(2)"""
        try:
            return _is_locked(self.folder)
        except OSError:
            return _is_locked(self.folder / "campaign.json")

    def _holder(self) -> list[str]:
        """Who has locked the folder, by what it has noted, and how that is ended."""
        run = next((event for event in reversed(self.journal.events()) if event["event"] == "run"), None)
        if run is None:
            return [f"{self.folder}: another process runs this campaign"]
        pid, host = run["pid"], run["host"]
        if host != socket.gethostname():
            return [f"{self.folder}: process {pid} on {host} runs this campaign"]
        if not Path("/proc", str(pid)).exists():
            return [f"{self.folder}: process {pid}, which ran this campaign, has ended; what it has started has not"]
        return [f"{self.folder}: process {pid} runs this campaign", f"kill -INT {pid} has it finish its chunk and end"]

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
        """The chunks of a slot that have their results, whole."""
        return {number for number, inode in self._there(slot).items() if self._damage(slot, number, inode) is None}

    def damaged(self, *, thoroughly: bool = False) -> list[Damaged]:
        """The chunks whose results are there and are not whole. They are not done.

        :param thoroughly: read all results, which finds octets that have changed
        """
        return [found for slot in self.definition.slots for number, inode in sorted(self._there(slot).items())
                if (found := self._damage(slot, number, inode, thoroughly=thoroughly)) is not None]

    def unfinished(self, slots: Sequence[str] | None = None) -> dict[tuple[str, int], Unfinished]:
        """The chunks whose results are whole and have targets without a verdict, or a part of it, for reasons of the
        machine that measured them: those that ``pspdr measure --resume`` would measure again.

        :param slots: only theirs
        """
        return {(slot, number): found for slot in (self.definition.slots if slots is None else slots)
                for number in sorted(self.done(slot))
                if (found := self._unfinished.get(self.path(slot, number))) is not None}

    def _there(self, slot: str) -> dict[int, int]:
        """The chunks of a slot of which there is a file, with its inode."""
        try:
            with os.scandir(self.folder / "results" / slot) as entries:
                return {int(entry.name[:-4]): entry.inode() for entry in entries
                        if entry.name.endswith(".zst") and entry.name[:-4].isdecimal()}
        except FileNotFoundError:
            return {}

    def _damage(self, slot: str, number: int, inode: int, *, thoroughly: bool = False) -> Damaged | None:
        path = self.path(slot, number)
        if self._whole.get(path) == inode and not thoroughly:
            return None
        found = self.look(slot, number, thoroughly=thoroughly)
        if isinstance(found, Damaged):
            return found
        self._whole[path] = inode  # as folders tell it: of some file systems it is another than that of the file
        return None

    def look(self, slot: str, number: int, *, thoroughly: bool,
             keep: Callable[[bytes], None] | None = None) -> Head | Damaged:
        """The first line of a chunk's results, or what is wrong with them; as :func:`~.results.look`."""
        path = self.path(slot, number)
        try:
            with path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                now = status.st_ino, status.st_ctime_ns
                known = self._unsound.get(path)
                if known is not None and known[:2] == now:
                    return Damaged(slot, number, path, known[2])
                head = look(stream, self.definition.id, slot, number, thoroughly=thoroughly, keep=keep)
        except FileNotFoundError:
            return Damaged(slot, number, path, "it was removed just now")
        except OSError as error:
            return Damaged(slot, number, path, error.strerror or str(error), is_read=False)
        except ResultError as error:
            self._whole.pop(path, None)
            if thoroughly:
                self._unsound[path] = *now, str(error)
            return Damaged(slot, number, path, str(error))
        if (found := unfinished(head)) is not None:
            self._unfinished[path] = found
        else:
            self._unfinished.pop(path, None)
        self._whole[path] = status.st_ino
        return head

    def store(self, slot: str, number: int, data: bytes) -> bool:
        """Have the results of a chunk on the disk, whole; False if there were some: the first ones stay, also where
        they cannot be read. What was read and is damaged is put aside."""
        path = self.path(slot, number)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync(path.parent.parent)
            sync(self.folder)
        inode = self._there(slot).get(number)
        found = None if inode is None else self._damage(slot, number, inode)
        if found is not None and found.is_read:
            _put_aside(path, DAMAGED)
        elif found is not None:
            log.error("%s; other results of this chunk have come and are not kept: %s", found, found.remedy)
        self._whole.pop(path, None)  # a file that was removed may have had the inode that this one gets
        return write_once(path, data)

    def set_aside(self) -> list[Damaged]:
        """Ask anew for the chunks whose results are damaged, or were there and are missing; they are returned. All that
        is there is read, and what is damaged is renamed.

        That a chunk is asked for is noted first: who is killed between the two, or has no room, does this again.

        :raises CampaignError: for a file that cannot be read, which may be whole
        :raises OSError: where the folder cannot be written
        """
        found = self.damaged(thoroughly=True)
        for one in found:
            if not one.is_read:
                raise CampaignError(f"{one}; {one.remedy}")
        found += self._missing()
        self._ask({(one.slot, one.number): one.why for one in found})
        return [one._replace(kept=_put_aside(one.path, DAMAGED)) for one in found]

    def set_aside_unfinished(self) -> list[tuple[str, int, str]]:
        """Ask anew for the chunks that have unfinished targets, as :meth:`set_aside` does for damaged ones; slot and
        number of each, and the name under which its results are kept.

        :raises CampaignError: while the campaign is run, which looks for nothing that is asked for meanwhile
        :raises OSError: where the folder cannot be written
        """
        if self.is_run():
            raise CampaignError(f"{self.folder} is run now: ask for its unfinished targets when that has ended")
        places = self.unfinished()
        self._ask(dict.fromkeys(places, UNFINISHED_WHY))
        return [(*place, _put_aside(self.path(*place), UNFINISHED)) for place in places]

    def _ask(self, places: Mapping[tuple[str, int], str]) -> None:
        """Note that chunks are asked for anew, each with the reason, unless they are already."""
        epochs, asked = self.epochs(), self._asked()
        for (slot, number), why in places.items():
            if (slot, number) not in asked:
                self.journal.record("retry", slot=slot, chunk=number, why=why, epoch=epochs.get((slot, number), 0) + 1)

    def _missing(self) -> Iterator[Damaged]:
        """The chunks that have come and have no file, but for those that were given up."""
        for slot, number in sorted(self.noted() - {*self.there()} - self.dead().keys()):
            yield Damaged(slot, number, self.path(slot, number), "this file was there, and is missing")

    def noted(self) -> set[tuple[str, int]]:
        """The chunks whose results have come, since they were asked for last, by the journal."""
        return self._since(["done"], ["retry"])

    def _asked(self) -> set[tuple[str, int]]:
        """The chunks that are asked for anew, and of which nothing more is noted."""
        return self._since(["retry"], ["published", "done", "dead"])

    def _since(self, these: Sequence[str], others: Sequence[str]) -> set[tuple[str, int]]:
        """The chunks of which the last of these events and of others is one of these."""
        found: set[tuple[str, int]] = set()
        for event in self.journal.events():
            if event["event"] in these:
                found.add((event["slot"], event["chunk"]))
            elif event["event"] in others:
                found.discard((event["slot"], event["chunk"]))
        return found

    def epochs(self) -> dict[tuple[str, int], int]:
        """How often each chunk was asked for anew; those that never were are left out."""
        found: dict[tuple[str, int], int] = {}
        for event in self.journal.events():
            if event["event"] == "retry":
                found[event["slot"], event["chunk"]] = event["epoch"]
        return found

    def outdated(self, slot: str, number: int, epoch: int) -> bool:
        """Whether results of this epoch were put aside for their unfinished targets, and have come again."""
        return any(epoch < event["epoch"] for event in self.journal.events() if event["event"] == "retry"
                   and (event["slot"], event["chunk"]) == (slot, number) and event.get("why") == UNFINISHED_WHY)

    def dead(self) -> dict[tuple[str, int], str]:
        """The chunks that were given up, and why."""
        found: dict[tuple[str, int], str] = {}
        for event in self.journal.events():
            if event["event"] == "dead":
                found[event["slot"], event["chunk"]] = str(event["why"])
            elif event["event"] == "retry":
                found.pop((event["slot"], event["chunk"]), None)
        done = {slot: self.done(slot) for slot in {place[0] for place in found}}
        return {place: why for place, why in found.items() if place[1] not in done[place[0]]}

    @property
    def unmeasurable(self) -> int:
        """Targets of the list that cannot be measured, such as those whose address is none; they have records that say
        so."""
        return next((int(event.get("unmeasurable", 0)) for event in self.journal.events()
                     if event["event"] == "create"), 0)

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

    def there(self, slots: Sequence[str] | None = None) -> Iterator[tuple[str, int]]:
        """The chunks of which there is a file, slot by slot in their order.

        :param slots: only theirs
        """
        for slot in self.definition.slots if slots is None else slots:
            yield from ((slot, number) for number in sorted(self._there(slot)))

    def results(self, places: Iterable[tuple[str, int]], damaged: list[Damaged]) -> Iterator[Whole]:
        """The whole results of these chunks, each read once.

        :param damaged: gets those that are not whole
        """
        for place in places:
            whole = Whole(self.path(*place))
            found = self.look(*place, thoroughly=True, keep=whole.keep)
            if isinstance(found, Damaged):
                damaged.append(found)
            else:
                whole.head = found
                yield whole


def refuse_others(folder: Path) -> None:
    """:exc:`CampaignError` for a folder that has files, of whatever kind; nothing for one that is not there."""
    if folder.exists() and (names := sorted(os.listdir(folder))):
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        raise CampaignError(f"{folder}: there are other files in this folder ({', '.join(names[:MOST_NAMED])}{more}); "
                            "name a new one, or an empty one")


def _is_locked(path: Path) -> bool:
    """Whether another one has this file or folder for itself. flock(2)"""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _put_aside(path: Path, ending: str) -> str:
    """Rename results, and keep those that were put aside before; the name, empty where there is no file."""
    names = (f"{path.stem}{ending}{f'-{number}' if number > 1 else ''}" for number in count(1))
    name = next(name for name in names if not (path.parent / name).exists())
    try:
        path.rename(path.parent / name)
    except FileNotFoundError:
        return ""
    sync(path.parent)
    return name


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


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

