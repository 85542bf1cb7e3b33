"""Whether an archive of results is whole, and what it says of itself is so. Nothing of it is unpacked into the file
system but, one at a time, a file of records into a temporary file without a name."""

from __future__ import annotations

import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any

from pathspider.export.bundle import CHUNK, README, SUMS, opened
from pathspider.run.metadata import ENDING, MetadataError, read
from pathspider.targets.reading import JobReader, parse_record

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
          RuntimeError, OSError)
"""What libraries raise for an archive that is damaged, or was made to look so."""
LONGEST = 1 << 20
"""Octets of a file that is read at once: sums, schemas, metadata."""
MOST_MEMBERS = 1_000_000
SUM = re.compile(r"([0-9a-f]{64})  (.+)")

Check = Callable[[Any], str]
"""What is wrong with a value by its schema; empty where nothing is."""


class NoSchemasError(Exception):
    """The package ``jsonschema`` is not installed; the text says what to do."""


def verify(path: Path) -> Iterator[str]:
    """What is wrong with an archive, one after another.

    :raises NoSchemasError: where schemas cannot be checked
    """
    checks = validators()
    sums: dict[str, str] = {}
    told: dict[str, str] | None = None
    folders: set[str] = set()
    try:
        with opened(path) as members:
            for name, size, stream in members:
                if problem := why_not_name(name):
                    yield f"{name!r}: {problem}"
                    continue
                if stream is None:
                    yield f"{name!r}: a link, a folder or a device, where only files may be"
                    continue
                folder, _, inner = name.partition("/")
                folders.add(folder)
                if inner in sums or (inner == SUMS and told is not None):
                    yield f"{inner}: is there twice"
                    continue
                if len(sums) >= MOST_MEMBERS:
                    yield f"there are more than {MOST_MEMBERS} files"
                    return
                if inner == SUMS:
                    told = {}
                    yield from _read_sums(stream.read(size), told)
                    continue
                yield from _look_at(inner, stream, sums, checks)
    except DAMAGE as error:
        yield f"the archive is damaged: {error or type(error).__name__}"
    if len(folders) > 1:
        yield f"there are several folders: {', '.join(sorted(folders)[:5])}"
    yield from _compare(sums, told)


def why_not_name(name: str) -> str:
    """What is wrong with the name of a file in an archive; empty where nothing is."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name) or ".." in PurePosixPath(name).parts:
        return "its name leads out of the archive"
    if not name.isprintable():
        return "its name has characters that are not seen"
    if len(parts) < 2 or not all(parts) or "." in parts:
        return "it is not in the archive's folder"
    return ""


def _read_sums(data: bytes, told: dict[str, str]) -> Iterator[str]:
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        match = SUM.fullmatch(line)
        if match is None:
            yield f"{SUMS}, line {number}: no checksum"
        else:
            told[match[2]] = match[1]


def _look_at(name: str, stream: IO[bytes], sums: dict[str, str], checks: dict[str, Check]) -> Iterator[str]:
    """Hash a file, and look at what is in it."""
    is_records = not (name.endswith((ENDING, f"/{README}")) or name == README
                      or name.startswith(("schemas/", "evidence/")))
    hashed, data = sha256(), b""
    with TemporaryFile(prefix="pspdr-bundle-") as copy:
        while chunk := stream.read(CHUNK):
            hashed.update(chunk)
            if is_records:
                copy.write(chunk)
            elif len(data) <= LONGEST:
                data += chunk
        sums[name] = hashed.hexdigest()
        if is_records:
            copy.seek(0)
            yield from _records(name, copy, checks["record"])
    if name.endswith(ENDING):
        yield from _metadata(name, data, checks["metadata"])
    elif name.startswith("schemas/"):
        ours = files("pathspider") / "schemas" / name.removeprefix("schemas/")
        if "/" in name.removeprefix("schemas/") or not ours.is_file() or ours.read_bytes() != data:
            yield f"{name}: not the schema of this version of PATHspider, by whose schemas the rest is checked"


def _records(name: str, stream: IO[bytes], check: Check) -> Iterator[str]:
    found: list[str] = []
    line = 0

    def parse(text: str) -> Any:
        nonlocal line
        record = parse_record(text)
        line += 1
        if problem := check(record):
            found.append(f"{name}, record {line}: {problem}")
        return record

    reader = JobReader(stream, name, parse)
    bad = 0
    for _ in reader:
        bad += len(found)
        yield from found[:1] if bad <= 10 else ()
        found.clear()
    if bad > 10:
        yield f"{name}: {bad} records are not as the schema says"
    if reader.skipped:
        yield f"{name}: {reader.skipped} lines are no records"
    if reader.broken_off:
        yield f"{name}: {reader.broken_off}"
    if not reader.jobs:
        yield f"{name}: holds no records"


def _metadata(name: str, data: bytes, check: Check) -> Iterator[str]:
    try:
        read(io.BytesIO(data))
    except MetadataError as error:
        yield f"{name}: {error}"
        return
    if problem := check(json.loads(data)):
        yield f"{name}: {problem}"


def _compare(sums: dict[str, str], told: dict[str, str] | None) -> Iterator[str]:
    if told is None:
        yield f"there is no {SUMS}"
        return
    for name in sorted(sums.keys() - told.keys()):
        yield f"{name}: {SUMS} does not know it"
    for name in sorted(told.keys() - sums.keys()):
        yield f"{name}: is missing"
    for name in sorted(sums.keys() & told.keys()):
        if sums[name] != told[name]:
            yield f"{name}: its checksum is another one"


def validators() -> dict[str, Check]:
    """What checks records and metadata against the schemas of this version."""
    try:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - optional
    except ImportError:
        raise NoSchemasError("--verify needs the Python package jsonschema: install it (apt install "
                             "python3-jsonschema, or pip install jsonschema)") from None
    room = files("pathspider") / "schemas"
    flow = (room / "flow.schema.json").read_text(encoding="utf-8")

    def check(name: str) -> Check:
        text = (room / name).read_text(encoding="utf-8").replace('{"$ref": "flow.schema.json"}', flow)
        validator = Draft202012Validator(json.loads(text))  # one document: nothing is fetched

        def problem(value: Any) -> str:
            error = next(validator.iter_errors(value), None)
            if error is None:
                return ""
            place = "".join(f"[{part!r}]" for part in error.absolute_path)
            return f"{place or 'it'}: {error.message[:200]}"

        return problem

    return {name: check(f"{name}.schema.json") for name in ("record", "metadata")}
