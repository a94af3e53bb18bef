"""The log of a Delta table that a stranger made: nothing that it names may be outside of the table's folder.

A log names data files, deletion vectors and parts of checkpoints, by paths that may be absolute, climb out, or be
addresses; and its own files may be links. All of it is looked at before the library that reads it follows any.
"""

from __future__ import annotations

import json
import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backend.catalogue.delta.log_replay import vector_path
from backend.catalogue.sources.parquet.bounds import require_modest, sizes_of
from backend.catalogue.sources.parquet.files import UNREADABLE, open_parquet, read_footer
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG, _SIDECARS = "_delta_log", "_sidecars"
_ADDRESS = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:/")
_KEPT = 4096
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, *UNREADABLE)


def require_inside(table: Path) -> None:
    """Refuse a table whose log is not all in its folder, or names what is not.

    Raises:
        CatalogueError: It does, or the log is damaged.
    """
    root = os.path.realpath(table)
    for file in _files(root):
        facts = file.stat()
        try:
            named, vectors = _named(file, facts.st_mtime_ns, facts.st_size)
        except _DAMAGED as error:
            raise CatalogueError(
                f"{file.name} in the log of the table {table.name} is damaged.",
                next_step="Restore it, or write a copy of the table.",
            ) from error
        for path in named:
            _require_below(root, path, table)
        for path in vectors:
            _require_below(root, path, table)
            if not _is_below(os.path.realpath(os.path.join(root, _local(path))), root):  # noqa: PTH118 - it may be absolute
                raise _outside(table, path)


def _files(root: str) -> Iterator[Path]:
    """Yield the commits and checkpoints of a log, and parts of these; all its files must be its own."""
    if Path(root, _LOG).is_symlink():
        raise _outside(Path(root), _LOG)
    for folder, folders, files in os.walk(Path(root, _LOG)):
        for name in (*folders, *files):
            kind = Path(folder, name).lstat().st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                raise _outside(Path(root), f"{os.path.relpath(folder, root)}/{name}")
        yield from (Path(folder, name) for name in files if name.endswith((".json", ".parquet")))


@lru_cache(maxsize=_KEPT)
def _named(file: Path, _modified_ns: int, _size: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that a commit or checkpoint names, and its deletion vectors; those of old commits never change."""
    named, vectors = set(), set()
    for action in _from_checkpoint(file) if file.suffix == ".parquet" else _from_commit(file):
        named.add(str(action["path"]))
        if vector := action.get("deletionVector"):
            if vector["storageType"] == "p":
                vectors.add(str(vector["pathOrInlineDv"]))
            elif path := vector_path(vector):
                vectors.add(path)
    return tuple(named), tuple(vectors)


def _from_commit(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            action = json.loads(line) if line.strip() else {}
            yield from (action[kind] for kind in ("add", "cdc") if action.get(kind))
            if part := action.get("sidecar"):
                yield {"path": f"{_LOG}/{_SIDECARS}/{part['path']}"}
                yield {"path": part["path"]}  # an address would not be put behind a folder


def _from_checkpoint(file: Path) -> Iterator[dict[str, Any]]:
    footer = read_footer(file)
    require_modest(file.name, [sizes_of(file, footer.metadata)])
    kinds = [kind for kind in ("add", "sidecar") if kind in footer.schema.names]
    inner = {name for kind in kinds for name in _children(footer.schema.field(kind).type)}
    columns = [f"{kind}.{name}" for kind in kinds for name in ("path", "deletionVector") if name in inner]
    with open_parquet(file) as opened:
        for batch in opened.iter_batches(columns=columns):
            for row in batch.to_pylist():
                yield from (row[kind] for kind in kinds if row.get(kind) and row[kind].get("path"))


def _children(kind: Any) -> list[str]:
    return [kind.field(at).name for at in range(kind.num_fields)]


def _require_below(root: str, named: str, table: Path) -> None:
    for path in {named, once := unquote(named), unquote(once)}:
        place = os.path.normpath(os.path.join(root, _local(path)))  # noqa: PTH118 - it may be absolute
        if _ADDRESS.match(path) or not _is_below(place, root):
            raise _outside(table, named)


def _local(path: str) -> str:
    return re.sub(r"^file:/*(?=/)", "", path)


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/") + "/")


def _outside(table: Path, named: str) -> CatalogueError:
    return CatalogueError(
        f"The table {table.name} has a file outside its folder: {named[:120]}.",
        next_step="Load a full copy of the table.",
    )
