"""What a Delta table's log says, read without a JVM."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from backend.catalogue.delta.stored_rows import StoredRows
from backend.errors import CatalogueError, CatalogueNotFound

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError
    from numpy.typing import NDArray

# Properties of a table that forgets no version by itself.
KEEPS_ALL = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
_ARROW_TYPES = {
    "string": pa.string(),
    "binary": pa.binary(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}
_STORED_NAME = "delta.columnMapping.physicalName"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def catalogue_folder(catalogues_dir: Path, name: str) -> Path:
    """Return the folder of a catalogue, which need not exist.

    Raises:
        CatalogueError: The name is none that a folder may have everywhere.
    """
    if not _NAME.fullmatch(name):
        raise CatalogueError(
            f"{name!r} is not a valid catalogue name.",
            next_step="Use up to 64 letters, digits, dots, hyphens and underscores, starting with a letter or digit.",
        )
    return catalogues_dir / name


def newest_version(path: Path) -> int | None:
    """Return the newest version of a table, None where no table was begun; nothing but file names is read."""
    names = (entry.stem for entry in (path / "_delta_log").glob("*.json"))
    return max((int(name) for name in names if name.isdecimal()), default=None)


def open_table(path: Path, version: int | None = None) -> DeltaTable:
    """Open a table at its newest version or the one asked for.

    Raises:
        CatalogueError: The log is damaged, that version's part of it is gone, or the table has features that are not
            read here.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version=version)
        is_mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
        renamed = [field.name for field in table.schema().fields if field.metadata.get(_STORED_NAME) != field.name]
    except DeltaError as error:
        raise _unreadable(path, version, error) from error
    if is_mapped and renamed:
        raise CatalogueError(
            f"The Delta table {path} uses column mapping, which is not supported.",
            next_step="Write a copy without it, as Delta or as Parquet.",
        )
    return table


def _unreadable(path: Path, version: int | None, error: DeltaError) -> CatalogueError:
    at = "" if version is None else f" at version {version}"
    reason = str(error).splitlines()[0].removeprefix("Kernel error: ")
    return CatalogueError(
        f"The table {path} cannot be read{at}: {reason}",
        next_step="Restore its log, or write a copy without newer features of Delta, as Delta or as Parquet.",
    )


def files_of(table: DeltaTable) -> list[Path]:
    """Return the Parquet files of the version the table is opened at; deltalake gives them as quoted addresses."""
    return [_path_of(uri) for uri in table.file_uris()]


def masks_of(table: DeltaTable) -> dict[Path, NDArray[np.bool_]]:
    """Return the deletion vectors of the version the table is opened at: by file, whether each row is still there.

    Raises:
        CatalogueError: The table has a feature with which deltalake does not read its vectors.
    """
    from deltalake.exceptions import DeltaError

    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return {}  # deltalake would refuse features that matter for writers only, or change nothing in the files
    try:
        batches = list(table.deletion_vectors())
    except DeltaError as error:
        raise _unreadable(Path(table.table_uri), table.version(), error) from error
    found = {}
    for batch in batches:
        columns = pa.record_batch(batch)
        for uri, mask in zip(columns.column("filepath").to_pylist(), columns.column("selection_vector"), strict=True):
            found[_path_of(uri)] = np.asarray(mask.values, dtype=np.bool_)
    return found


def rows_of(table: DeltaTable, schema: pa.Schema = None) -> StoredRows:
    """Return the rows of the version the table is opened at, in the table's own columns or those of ``schema``.

    A column of ``schema`` that the table does not have yet is null.
    """
    return StoredRows(files_of(table), masks_of(table), _arrow_schema(table) if schema is None else schema)


def _arrow_schema(table: DeltaTable) -> pa.Schema | None:
    """Return the table's columns in Arrow's types; None where one is nested, and the files have to tell."""
    kinds = [(field.name, getattr(field.type, "type", "")) for field in table.schema().fields]
    if any(kind not in _ARROW_TYPES for _, kind in kinds):
        return None
    return pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in kinds])


def _path_of(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("file://")))


def commit_of(path: Path, version: int) -> dict[str, Any]:
    """Return what a commit says about itself: timestamp in ms, operation, userMetadata.

    It is read from the commit's own file: deltalake's history numbers the commits of an older version wrongly.

    Raises:
        CatalogueNotFound: The log has been tidied, and the commit is gone.
    """
    file = path / "_delta_log" / f"{version:020d}.json"
    try:
        actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise CatalogueNotFound(
            f"Version {version} of {path} no longer exists.", next_step="Choose a newer version."
        ) from error
    return next((action["commitInfo"] for action in actions if "commitInfo" in action), {})


def note_of(commit: dict[str, Any]) -> dict[str, Any]:
    """Return the note that :func:`delta_table.commit_note` put on a commit; empty for anybody else's."""
    try:
        note = json.loads(commit.get("userMetadata") or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def version_of_load(path: Path, load: str) -> int:
    """Return the version that a load made, whoever committed after it.

    Raises:
        CatalogueNotFound: The load made none.
    """
    for version in range(newest_version(path) or 0, 0, -1):
        if note_of(commit_of(path, version)).get("load") == load:
            return version
    raise CatalogueNotFound(f"No version of {path} was made by the load {load}.")
