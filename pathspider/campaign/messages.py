"""What goes over the broker: jobs to vantage points, and what these say of themselves. All of it is data, and read as
if a stranger had written it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import zstandard

from pathspider.campaign.chunks import ANY, Chunk
from pathspider.campaign.folder import ID, NAME, Definition
from pathspider.targets.reading import MAX_DEPTH, LineError, parse_ndjson

MOST_MESSAGE = 1 << 26
"""Octets of an unpacked message at most."""

MOST_JOB = 1 << 16
"""Octets of a target at most."""

MOST_OPTIONS = 50


class MessageError(ValueError):
    """A message is not one that this vantage point takes; the text says why."""


class Task(NamedTuple):
    """A chunk and what is to be measured of it."""

    chunk: Chunk
    plugin: str
    measure: list[list[str]]
    options: list[list[str]]
    rate: float | None
    start: float | None
    """Seconds since the epoch before which it does not begin."""
    version: str
    other_versions: bool


def pack(chunk: Chunk, definition: Definition) -> bytes:
    """A job for a vantage point."""
    head = {"campaign": chunk.campaign, "slot": chunk.slot, "chunk": chunk.number, "epoch": chunk.epoch,
            "plugin": definition.plugin, "measure": definition.measure, "options": definition.options,
            "rate": definition.rate, "start": definition.start, "version": definition.version,
            "other_versions": definition.other_versions, "jobs": chunk.jobs}
    return zstandard.ZstdCompressor(level=3).compress(json.dumps(head).encode())


def unpack(data: bytes, name: str, most: int) -> Task:
    """A job for the vantage point of this name.

    :param most: targets in it at most
    :raises MessageError: for anything else
    """
    found = _object(data)
    chunk = Chunk(_value(found, "campaign", str, lambda value: bool(ID.fullmatch(value))),
                  _value(found, "slot", str, lambda value: value in (name, ANY)),
                  _value(found, "chunk", int, lambda value: 0 <= value < 1 << 40),
                  _value(found, "epoch", int, lambda value: 0 <= value < 1 << 20),
                  [_job(one) for one in _value(found, "jobs", list, lambda value: 0 < len(value) <= most)])
    return Task(chunk, _value(found, "plugin", str), _options(found, "measure"), _options(found, "options"),
                _number(found, "rate"), _number(found, "start"), _value(found, "version", str),
                _value(found, "other_versions", bool))


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        # The frame says how long it is; what says nothing, or more than can be, is refused before it is unpacked.
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= MOST_MESSAGE:
            raise MessageError("too long, or of a length that it does not tell")
        unpacked = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=MOST_MESSAGE)
        found = json.loads(unpacked)
    except zstandard.ZstdError as error:
        raise MessageError(f"not compressed by Zstandard: {error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise error if isinstance(error, MessageError) else MessageError("not JSON") from None
    if not isinstance(found, dict):
        raise MessageError("not a JSON object")
    return found


def _value(found: Mapping[str, Any], key: str, kind: type, check: Callable[[Any], bool] = lambda value: True) -> Any:
    value = found.get(key)
    if type(value) is not kind or not check(value):
        raise MessageError(f"its {key} is none that can be")
    return value


def _number(found: Mapping[str, Any], key: str) -> float | None:
    value = found.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value < 1e12:
        raise MessageError(f"its {key} is none that can be")
    return float(value)


def _options(found: Mapping[str, Any], key: str) -> list[list[str]]:
    options = _value(found, key, list, lambda value: len(value) <= MOST_OPTIONS)
    for one in options:
        if not (isinstance(one, list) and 0 < len(one) <= 2 and all(isinstance(word, str) for word in one)):
            raise MessageError(f"its {key} are none that can be")
    return list(options)


def _job(value: Any) -> Any:
    try:
        text = json.dumps(value, allow_nan=False)
        if len(text) > MOST_JOB:
            raise MessageError("a target is too long")
        return parse_ndjson(text, MAX_DEPTH)
    except (LineError, ValueError, RecursionError) as error:
        raise MessageError(f"a target is none: {error}") from None


def slot_name(text: str) -> bool:
    """Whether this can be a vantage point's name."""
    return bool(NAME.fullmatch(text))


def state(**said: Any) -> bytes:
    """What a vantage point says of itself."""
    return json.dumps({"at": time.time(), **said}).encode()


def read_state(data: bytes) -> dict[str, Any]:
    """The same as the coordinator reads it; :exc:`MessageError` for what is none."""
    try:
        found = json.loads(data) if len(data) < 1 << 14 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MessageError("not a JSON object")
    known = {"version": str, "disk_free": int, "clock_offset": float, "synchronized": bool, "errors": int,
             "refused": str}
    return {name: found[name] for name, kind in known.items() if type(found.get(name)) is kind}
