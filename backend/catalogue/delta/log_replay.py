"""What a Delta table was at each of its versions: files, rows, feed; told by its log alone, without a JVM.

The log of a table is small beside its data, and a commit never changes, so each is parsed once in a process.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backend.catalogue.delta.delta_log import note_of
from backend.catalogue.sources.parquet.files import open_parquet
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FEED_FOLDER = "_change_data"
_LOG_FOLDER = "_delta_log"
_KEPT_COMMITS = 2048
_COMMIT = re.compile(r"\d{20}\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.\d{10})?\.parquet")
# The names of deletion vectors are written in Z85, which is base 85 with another alphabet.
_Z85 = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
)
_Z85_UUID = 20  # characters


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table at some version.

    Attributes:
        path: Where it is, from the table's folder, with slashes.
        rows: Its rows that are there; None where its writer did not count them.
        vector: Which deletion vector it has, empty without one: two vectors differ in this.
        vector_path: File of that vector, empty without one and where it is in the log itself.
        identity: Path and vector as the log writes them, which name the file when it goes.
    """

    path: str
    rows: int | None = None
    vector: str = ""
    vector_path: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """All files that its rows need."""
        return (self.path, self.vector_path) if self.vector_path else (self.path,)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as its file tells it.

    Attributes:
        version: The version that it made.
        info: What it says about itself: timestamp in ms, operation, userMetadata.
        added: Files that belong to the table from here on.
        removed: Files that do not any more.
        feed: Files of the Change Data Feed that tell its changes; without them, added and removed files tell.
        changes_data: Whether rows are different after it; a compaction only moves them.
        configuration: The table's properties where the commit sets them, else None.
    """

    version: int
    info: Mapping[str, Any] = field(default_factory=dict)
    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()
    feed: tuple[str, ...] = ()
    changes_data: bool = False
    configuration: Mapping[str, str] | None = None

    @property
    def timestamp_s(self) -> float:
        """When it was made, in seconds since 1970."""
        return float(self.info.get("timestamp", 0)) / 1000

    @property
    def note(self) -> Mapping[str, Any]:
        """Our note on it; empty for anybody else's commit."""
        return note_of(dict(self.info))


@dataclass(frozen=True, slots=True)
class TableState:
    """A table at one version.

    Attributes:
        commit: The commit that made the version.
        files: Its files by path; None where the log has been tidied too far to tell.
        has_feed: Whether its writers keep a Change Data Feed.
    """

    commit: Commit
    files: Mapping[str, DataFile] | None
    has_feed: bool

    @property
    def version(self) -> int:
        """The version."""
        return self.commit.version

    @property
    def rows(self) -> int | None:
        """Number of rows; None where the log does not tell."""
        if self.files is None:
            return None
        counts = [file.rows for file in self.files.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def paths(self) -> frozenset[str]:
        """All files that reading it needs, from the table's folder."""
        return frozenset(path for file in (self.files or {}).values() for path in file.paths)

    def is_readable(self, present: Mapping[str, Any]) -> bool:
        """Tell whether all its files are among those ``present``."""
        return self.files is not None and all(path in present for path in self.paths)


def states(table: Path) -> list[TableState]:
    """Return a table at each of its versions, oldest first; empty where no table was begun.

    Raises:
        CatalogueError: The log is damaged.
    """
    commits = _commits(table)
    if not commits:
        return []
    files, has_feed, base = _beginning(table, commits[0].version, commits[-1].version)
    history: list[TableState] = []
    for commit in commits:
        if commit.configuration is not None:
            has_feed = commit.configuration.get("delta.enableChangeDataFeed", "").lower() == "true"
        if commit.version > base and (commit.added or commit.removed):
            gone = {file.path for file in commit.removed}
            files = {path: file for path, file in files.items() if path not in gone}
            files |= {file.path: file for file in commit.added}  # a file with another vector is removed and added
        history.append(TableState(commit, files if commit.version >= base else None, has_feed))
    return history


def files_present(table: Path) -> dict[str, os.stat_result]:
    """Return the files in a table's folder, by path from there; the log and hidden files are passed over."""
    files: dict[str, os.stat_result] = {}
    folders = [""]
    while folders:
        prefix = folders.pop()
        for entry in os.scandir(table / prefix) if (table / prefix).is_dir() else ():
            path = f"{prefix}{entry.name}"
            if entry.name.startswith(".") or (entry.name.startswith("_") and path != FEED_FOLDER):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
            else:
                files[path] = entry.stat()
    return files


# ---------------------------------------------------------------------------------------- the log's files


def _commits(table: Path) -> list[Commit]:
    """Read the commits up to the newest, as far back as there is no gap."""
    log = table / _LOG_FOLDER
    files = sorted(path for path in log.iterdir() if _COMMIT.fullmatch(path.name)) if log.is_dir() else []
    gaps = [at for at, (one, other) in enumerate(pairwise(files), 1) if int(other.stem) != int(one.stem) + 1]
    commits = []
    for file in files[gaps[-1] if gaps else 0 :]:
        status = file.stat()
        commits.append(_commit(file, status.st_mtime_ns, status.st_size))
    return commits


@lru_cache(maxsize=_KEPT_COMMITS)
def _commit(file: Path, _modified_ns: int, _size: int) -> Commit:
    """Parse a commit; one of another table that stood in this place before has another time or size."""
    actions: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            for kind, action in json.loads(line).items():
                actions[kind].append(action)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CatalogueError(
            f"{file.name} in the log of {file.parents[1]} is damaged.", next_step="Restore it from a backup."
        ) from error
    return Commit(
        version=int(file.stem),
        info=actions["commitInfo"][0] if actions["commitInfo"] else {},
        added=tuple(_data_file(action) for action in actions["add"]),
        removed=tuple(_data_file(action) for action in actions["remove"]),
        feed=tuple(unquote(action["path"]) for action in actions["cdc"]),
        changes_data=any(
            action.get("dataChange", True) for kind in ("add", "remove", "cdc") for action in actions[kind]
        ),
        configuration=actions["metaData"][0].get("configuration", {}) if actions["metaData"] else None,
    )


def _data_file(action: Mapping[str, Any]) -> DataFile:
    stats = json.loads(action.get("stats") or "{}")
    rows = stats.get("numRecords") if isinstance(stats, dict) else None
    vector = action.get("deletionVector")
    path = unquote(action["path"])
    named = {"path": action["path"]}
    if not vector:
        return DataFile(path, rows, identity=named)
    left = None if rows is None else rows - int(vector["cardinality"])
    identity = f"{vector['storageType']}{vector['pathOrInlineDv']}@{vector.get('offset') or 0}"
    return DataFile(path, left, identity, vector_path(vector), named | {"deletionVector": vector})


def vector_path(vector: Mapping[str, Any]) -> str:
    """Return the file of a deletion vector, from the table's folder on; empty where it is in the log itself."""
    kind, where = vector["storageType"], vector["pathOrInlineDv"]
    if kind == "i":  # it stands in the log itself
        return ""
    if kind == "p":
        return unquote(where.removeprefix("file://"))
    folder, name = where[:-_Z85_UUID], where[-_Z85_UUID:].encode("ascii")
    file = f"deletion_vector_{uuid.UUID(bytes=base64.b85decode(name.translate(_Z85)))}.bin"
    return f"{folder}/{file}" if folder else file


# ---------------------------------------------------------------------------------------- a log without its beginning


def _beginning(table: Path, oldest: int, newest: int) -> tuple[dict[str, DataFile], bool, int]:
    """Return where to begin: files, whether there is a feed, and the version; -1 with nothing for a whole log."""
    if oldest == 0:
        return {}, False, -1
    parts: defaultdict[int, list[Path]] = defaultdict(list)
    for path in (table / _LOG_FOLDER).iterdir():
        if (match := _CHECKPOINT.fullmatch(path.name)) and oldest - 1 <= int(match[1]) <= newest:
            parts[int(match[1])].append(path)
    if not parts:
        return {}, False, newest + 1
    base = min(parts)
    actions = list(_checkpoint_actions(parts[base]))
    files = {file.path: file for file in (_data_file(action["add"]) for action in actions if action.get("add"))}
    properties = dict(next((dict(action["metaData"]["configuration"]) for action in actions if action["metaData"]), {}))
    return files, properties.get("delta.enableChangeDataFeed") == "true", base


def _checkpoint_actions(paths: list[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted(paths):
        with open_parquet(path) as file:
            yield from file.read(columns=["add", "metaData"]).to_pylist()
