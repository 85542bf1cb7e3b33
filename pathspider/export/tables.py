"""Rows as a table in a file: CSV, SQLite, Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pathspider.export.columns import Batch, Column, Kind, Rows
from pathspider.text import harmless
from pathspider.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

SQL_TYPES = {Kind.INTEGER: "integer", Kind.BOOLEAN: "integer", Kind.NUMBER: "real"}


class MissingPackageError(Exception):
    """A package that this format needs is not installed; the text says what to do."""


def with_text(rows: Rows) -> tuple[list[Column], Iterator[Iterator[tuple[Any, ...]]]]:
    """The columns, and for each batch its rows, with JSON in the place of lists."""
    columns, families = rows.columns()

    def told(batch: Batch, column: Column) -> list[Any]:
        values = batch.values(column, families)
        if column.kind in (Kind.LIST, Kind.INTEGERS):
            known: dict[int, str] = {id(None): ""}  # equal sets of conditions are one list
            for value in values:
                if id(value) not in known:
                    known[id(value)] = json.dumps(value, separators=(",", ":"))
            return [value and known[id(value)] for value in values]
        return values

    return columns, (zip(*(told(batch, column) for column in columns), strict=True) for batch in rows.batches())


def as_csv(rows: Rows) -> Iterator[bytes]:
    """:rfc:`4180`, in UTF-8: null is empty, what CSV has no form for is JSON. A text that a spreadsheet would take for
    a formula has an apostrophe before it."""
    columns, batches = with_text(rows)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(harmless(column.name) for column in columns)
    unsafe = [column.kind in (Kind.TEXT, Kind.JSON) for column in columns]
    flags = [place for place, column in enumerate(columns) if column.kind is Kind.BOOLEAN]
    for batch in batches:
        for row in batch:
            cells = [value and harmless(value) if one else value for one, value in zip(unsafe, row, strict=True)]
            for place in flags:
                cells[place] = None if cells[place] is None else str(cells[place]).lower()
            writer.writerow(cells)
            if text.tell() > 1 << 20:
                yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data


def as_sqlite(rows: Rows, path: Path) -> None:
    """A database with the table ``records``, and ``columns``, which says what is in each of its columns.

    :param path: of an empty file
    """
    columns, batches = with_text(rows)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("pragma journal_mode = off")
        database.execute("pragma synchronous = off")  # the file takes its place when it is whole, and not before
        database.execute("begin")
        database.execute("create table columns (name text, type text, meaning text)")
        database.executemany("insert into columns values (?, ?, ?)",
                             ((column.name, column.kind.value, column.meaning) for column in columns))
        names = ", ".join(f"{quoted(column.name)} {SQL_TYPES.get(column.kind, 'text')}" for column in columns)
        database.execute(f"create table records ({names})")
        insert = f"insert into records values ({', '.join(repeat('?', len(columns)))})"
        for batch in batches:
            database.executemany(insert, batch)
        database.execute("create index records_dip on records (dip)")
        database.execute("commit")
    finally:
        database.close()


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""').replace("\0", "") + '"'


def arrow() -> Any:
    """The package ``pyarrow``; :exc:`MissingPackageError` where it is not installed."""
    try:
        import pyarrow.parquet  # noqa: PLC0415 - optional
    except ImportError:
        raise MissingPackageError("--format parquet needs the Python package pyarrow, which Debian 12 does not have: "
                                  "install it (pip install pyarrow), or choose --format sqlite or csv") from None
    return pyarrow


def as_parquet(rows: Rows, stream: IO[bytes]) -> None:
    """One Parquet file, a row group for each batch; each column's meaning is in its field's metadata.

    https://parquet.apache.org/docs/file-format/
    """
    pa = arrow()
    columns, families = rows.columns()
    schema = pa.schema([pa.field(column.name, _arrow_type(pa, column.kind), metadata={"meaning": column.meaning})
                        for column in columns], {"created_by": f"PATHspider {__version__}"})
    pa.set_cpu_count(min(os.cpu_count() or 1, 4))
    with pa.parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in rows.batches():
            arrays = [_array(pa, batch, column, families) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema))


def _arrow_type(pa: Any, kind: Kind) -> pa.DataType:
    return {Kind.INTEGER: pa.int64(), Kind.BOOLEAN: pa.bool_(), Kind.NUMBER: pa.float64(),
            Kind.TIME: pa.timestamp("us", "UTC"), Kind.LIST: pa.list_(pa.string()),
            Kind.INTEGERS: pa.list_(pa.int64())}.get(kind, pa.string())


def _array(pa: Any, batch: Batch, column: Column, families: frozenset[str]) -> pa.Array:
    kind = _arrow_type(pa, column.kind)
    if column.kind is Kind.TIME:
        return pa.array(batch.values(column, families), pa.string()).cast(pa.timestamp("us")).cast(kind)
    return pa.array(batch.values(column, families), kind)


__all__ = ["MissingPackageError", "as_csv", "as_parquet", "as_sqlite", "quoted"]
