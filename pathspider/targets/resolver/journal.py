"""How far a list has been resolved, in a file beside the output: after SIGKILL nothing is lost, and nothing twice."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from pathspider.atomic import atomic_write

SUFFIX = ".journal"


class JournalError(ValueError):
    """The journal cannot be gone on with; the text says why."""


class Journal:
    """Which jobs of a list are done, and how long the outputs are with what was made of these.

    A job is its place in the list, from 0 on. At each :meth:`save` the outputs are on disk first. Whoever goes on cuts
    the outputs to these lengths and does what is missing: what was written behind them is made once more.

    :param outputs: ordinary files, opened for writing
    :param settings: what has to be the same when it goes on
    """

    def __init__(self, path: Path, outputs: Mapping[str, IO[bytes]], settings: Mapping[str, Any]) -> None:
        self._path = path
        self._outputs = outputs
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.read = 0
        """Jobs that have been begun: those of all places below."""
        self.under_way: set[int] = set()
        """Of these, those that are not done."""
        self.counts: dict[str, int] = {}
        """What else is to be known when it goes on."""

    def load(self) -> bool:
        """Take up what was saved, and cut the outputs to it; False where nothing was.

        :raises JournalError: where it is of something else, or an output has become shorter
        """
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return False
        except ValueError:
            raise JournalError("this is no journal of pspdr resolve") from None
        parts = {"settings": dict, "read": int, "under_way": list, "octets": dict, "counts": dict}
        if not isinstance(found, dict) or any(not isinstance(found.get(key), kind) for key, kind in parts.items()) \
                or not self._outputs.keys() <= found["octets"].keys():
            raise JournalError("this is no journal of pspdr resolve")
        if self.settings.get("shuffle") is not None and found["settings"].get("shuffle") is not None:
            self.settings["shuffle"] = found["settings"]["shuffle"]  # one that was drawn is the same again
        for key, value in self.settings.items():
            if found["settings"].get(key) != value:
                raise JournalError(f"{key} was {found['settings'].get(key)!r} when this began, and is {value!r} now")
        for name, stream in self._outputs.items():
            if os.fstat(stream.fileno()).st_size < found["octets"][name]:
                raise JournalError(f"{name} is shorter than it was")
        for name, stream in self._outputs.items():
            stream.truncate(found["octets"][name])
            stream.seek(0, os.SEEK_END)
        self.read, self.under_way, self.counts = found["read"], set(found["under_way"]), found["counts"]
        return True

    def save(self) -> None:
        """Note how far it is, once the outputs are on disk."""
        octets = {}
        for name, stream in self._outputs.items():
            stream.flush()
            os.fdatasync(stream.fileno())
            octets[name] = stream.tell()
        state = {"settings": self.settings, "read": self.read, "under_way": sorted(self.under_way), "octets": octets,
                 "counts": self.counts}
        with atomic_write(self._path) as file:
            file.write(json.dumps(state).encode("ascii") + b"\n")

    def remove(self) -> None:
        """All is done."""
        self._path.unlink(missing_ok=True)
