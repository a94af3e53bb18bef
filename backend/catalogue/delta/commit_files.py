"""Commits to a Delta table that make it, put whole files in or take whole files out, written without a JVM."""

from __future__ import annotations

import io
import json
import os
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.parquet as pq

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.log_replay import FEED_FOLDER
from backend.errors import CatalogueBusy
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from backend.catalogue.delta.log_replay import DataFile


_CHECKPOINT_EVERY = 50
_FEATURES = ["deletionVectors"]
_WRITER_FEATURES = ["checkConstraints", "invariants", "changeDataFeed", "appendOnly"]


def commit_files(
    path: Path,
    added: Sequence[Mapping[str, Any]],
    removed: Sequence[DataFile] = (),
    *,
    note: Mapping[str, object],
    metadata: Mapping[str, Any] | None = None,
    operation: str = "WRITE",
    moves_only: bool = False,
) -> None:
    """Commit right after the newest version of a table.

    Args:
        path: Folder of the table, in which the files are.
        added: What the log says of each file that comes in: path, size, modificationTime, stats. Files in the folder of
            the Change Data Feed, path and size, tell what changed; without any, the others do.
        removed: Files that go.
        note: User metadata of the commit.
        metadata: What the log says of the table's columns and properties from here on; as before where left out.
        operation: What the history calls it.
        moves_only: The rows are those that were there before, in other files: the Change Data Feed passes it over.

    Raises:
        CatalogueBusy: Another writer committed at the same time.
    """
    version, now = int(delta_log.open_table(path).version()), time.time_ns() // 1_000_000
    mode = {"mode": "Overwrite" if removed else "Append"}
    info = {"timestamp": now, "operation": operation, "operationParameters": mode, "isBlindAppend": not removed}
    actions: list[dict[str, Any]] = [{"commitInfo": {**info, "userMetadata": json.dumps(dict(note))}}]
    actions += [{"metaData": dict(metadata)}] if metadata else []
    fixed: dict[str, Any] = {"dataChange": not moves_only}
    actions += [{"remove": {**file.identity, "deletionTimestamp": now, **fixed}} for file in removed]
    for file in added:
        is_feed = str(file["path"]).startswith(f"{FEED_FOLDER}/")
        entry = {"partitionValues": {}, **file, **({"dataChange": False} if is_feed else fixed)}
        actions.append({"cdc" if is_feed else "add": entry})
    _write(path, version + 1, actions)


def write_file(file: Path, rows: pa.Table, *, compression: str = "snappy") -> dict[str, Any]:
    """Write rows as a file in a table's folder, and return what the log says of it, for :func:`commit_files`.

    Raises:
        OSError: The disk refuses; there is no such file then.
    """
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression=compression)
    write_atomically(file, buffer.getvalue())
    stats = json.dumps({"numRecords": len(rows), "minValues": {}, "maxValues": {}, "nullCount": {}})
    modified = file.stat().st_mtime_ns // 1_000_000
    return {"path": file.name, "size": buffer.tell(), "modificationTime": modified, "stats": stats}


def checkpoint(path: Path, *, forgets: bool = False) -> None:
    """Sum the log up after every fiftieth commit, from where others read it on; ``forgets`` drops what its retention ended for."""
    if (delta_log.newest_version(path) or 0) % _CHECKPOINT_EVERY == 0:
        table = delta_log.open_table(path)
        table.create_checkpoint()
        if forgets:
            table.cleanup_metadata()


def create_table(path: Path, fields: Sequence[Mapping[str, Any]], configuration: Mapping[str, str]) -> None:
    """Make an empty table, as Delta's own writers of the same features make it.

    Args:
        path: Its folder, which is made.
        fields: Its columns: name, type and nullable as the log names them.
        configuration: Its properties; constraints among them.

    Raises:
        CatalogueBusy: There is one already.
    """
    now = time.time_ns() // 1_000_000
    features = {"writerFeatures": [*_FEATURES, *_WRITER_FEATURES], "readerFeatures": _FEATURES}
    table = {"id": str(uuid4()), "createdTime": now, "partitionColumns": []}
    (path / "_delta_log").mkdir(parents=True, exist_ok=True)
    info = {"timestamp": now, "operation": "CREATE TABLE", "operationParameters": {}, "isBlindAppend": True}
    actions: list[dict[str, Any]] = [
        {"commitInfo": info},
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"metaData": {**table, **metadata_of(fields, configuration)}},
    ]
    _write(path, 0, actions)


def metadata_of(fields: Sequence[Mapping[str, Any]], configuration: Mapping[str, str]) -> dict[str, Any]:
    """Return what the log says of a table's columns and properties."""
    columns = [{"metadata": {}, **one} for one in fields]
    return {
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": columns}),
        "configuration": dict(configuration),
    }


def _write(path: Path, version: int, actions: Sequence[Mapping[str, Any]]) -> None:
    log = path / "_delta_log"
    temporary = log / f".{uuid4().hex}.tmp"
    try:
        temporary.write_text("".join(f"{json.dumps(action)}\n" for action in actions), encoding="utf-8")
        os.link(temporary, log / f"{version:020d}.json")  # refused where it is there already
    except FileExistsError as error:
        raise CatalogueBusy(
            "Another writer changed the table meanwhile.", next_step="Wait for it to finish, then try again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
