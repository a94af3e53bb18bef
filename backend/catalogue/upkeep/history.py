"""The history of a catalogue: every version with time, operation, job and rows; read without a JVM."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backend.catalogue.delta.delta_log import newest_version
from backend.catalogue.delta.log_replay import TableState, files_present, states
from backend.catalogue.items import PRODUCTS
from backend.errors import CatalogueNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backend.catalogue.delta.log_replay import Commit

_NOBODY: Mapping[int, Sequence[str]] = MappingProxyType({})
# What our own commits say that they did, in the words of the screens.
_ACTIONS = {
    "ingest": "Loaded",
    "splits": "Uses changed",
    "compact": "Compacted",
    "pictures": "Pictures moved into a table of their own",
}
# What Delta calls it, for commits without a note of ours.
_OPERATIONS = {
    "CREATE TABLE": "Created",
    "CREATE TABLE AS SELECT": "Created",
    "WRITE": "Written",
    "MERGE": "Merged",
    "UPDATE": "Products changed",
    "DELETE": "Products deleted",
    "OPTIMIZE": "Compacted",
    "REORG": "Compacted",
    "VACUUM START": "Vacuum started",
    "VACUUM END": "Vacuumed",
    "SET TBLPROPERTIES": "Settings of the table changed",
    "UNSET TBLPROPERTIES": "Settings of the table changed",
    "UPGRADE PROTOCOL": "Settings of the table changed",
    "ADD COLUMNS": "Columns of the table changed",
    "CHANGE COLUMN": "Columns of the table changed",
    "ADD CONSTRAINT": "Rules of the table changed",
    "DROP CONSTRAINT": "Rules of the table changed",
}


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version of a catalogue.

    Attributes:
        version: Delta version of the products.
        committed_at: ISO time, UTC.
        operation: What Delta calls it, e.g. MERGE.
        action: What was done, in plain words.
        job: Id of the job that did it; empty without one.
        source: Name of the source that was loaded; empty without one.
        rows: Products at that version; None where the log does not tell. The log outlives the files.
        new: Products that came; None where the commit does not say, as for the next three.
        changed: Products that changed.
        unchanged: Products that were as they are.
        gone: Products that the source did not name.
        is_readable: Whether all its files are still there.
        used_by: Names of the models that were built on it.
    """

    version: int
    committed_at: str
    operation: str
    action: str
    job: str
    source: str
    rows: int | None
    new: int | None
    changed: int | None
    unchanged: int | None
    gone: int | None
    is_readable: bool
    used_by: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "used_by": list(self.used_by)}


def history(
    folder: Path, *, used_by: Mapping[int, Sequence[str]] = _NOBODY, limit: int = 100, before: int | None = None
) -> list[HistoryEntry]:
    """Return the versions of a catalogue, newest first.

    Args:
        folder: Folder of the catalogue.
        used_by: Names of the models that were built on a version, by version.
        limit: Versions to return, at most.
        before: Only versions older than this one, for the next page.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: The log is damaged.
    """
    table = folder / PRODUCTS
    wanted = [state for state in catalogue_states(folder) if before is None or state.version < before]
    present = files_present(table)
    page = wanted[-limit:] if limit > 0 else []
    return [_entry(state, state.is_readable(present), used_by) for state in reversed(page)]


def catalogue_states(folder: Path) -> list[TableState]:
    """Return the products of a catalogue at each version, oldest first.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: The log is damaged.
    """
    found = states(folder / PRODUCTS)
    if not found or not found[-1].version:  # version 0 is the empty table
        raise CatalogueNotFound(
            f"There is no catalogue {folder.name}.",
            next_step="Load it on the Catalogue page, or with `python -m backend catalogue ingest`.",
        )
    return found


def readable_versions(folder: Path) -> list[int]:
    """Return the versions of a catalogue whose files are all there, oldest first; version 0, the empty one, is not one.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: The log is damaged.
    """
    present = files_present(folder / PRODUCTS)
    return [state.version for state in catalogue_states(folder) if state.version and state.is_readable(present)]


def require_readable(folder: Path, *versions: int) -> None:
    """Make sure that a catalogue can be read at these versions.

    Raises:
        CatalogueNotFound: There is no such catalogue or version, or a vacuum has removed its files.
        CatalogueError: The log is damaged.
    """
    readable = readable_versions(folder)
    newest = newest_version(folder / PRODUCTS)
    for version in versions:
        if not 1 <= version <= (newest or 0):
            raise CatalogueNotFound(
                f"The catalogue {folder.name} has no version {version}.", next_step=f"Its versions are 1 to {newest}."
            )
        if version not in readable:
            oldest = f"The oldest readable version is {readable[0]}." if readable else ""
            raise CatalogueNotFound(
                f"Version {version} of the catalogue {folder.name} can no longer be read: its files were removed.",
                next_step=oldest or "Load the catalogue again.",
            )


def _entry(state: TableState, is_readable: bool, used_by: Mapping[int, Sequence[str]]) -> HistoryEntry:  # noqa: FBT001
    commit, note = state.commit, state.commit.note
    return HistoryEntry(
        version=state.version,
        committed_at=datetime.fromtimestamp(commit.timestamp_s, UTC).isoformat(timespec="seconds"),
        operation=str(commit.info.get("operation", "")),
        action=_action(commit),
        job=str(note.get("job") or ""),
        source=str(note.get("source") or ""),
        rows=state.rows,
        **{name: _count(note.get(name)) for name in ("new", "changed", "unchanged", "gone")},
        is_readable=is_readable,
        used_by=tuple(used_by.get(state.version, ())),
    )


def _action(commit: Commit) -> str:
    """Say in plain words what a commit did: what our note says, else what Delta says."""
    note, operation = commit.note, str(commit.info.get("operation", ""))
    if action := str(note.get("action") or ""):
        if action == "restore":
            return f"Restored version {note.get('restored', '')}".rstrip()
        return _ACTIONS.get(action, action.replace("_", " ").replace("-", " ").capitalize())
    if operation == "RESTORE":
        version = commit.info.get("operationParameters", {}).get("version")
        return f"Restored version {version}" if version is not None else "Restored an older version"
    if operation == "WRITE" and "load" in note:
        return "Loaded"
    return _OPERATIONS.get(operation, operation.capitalize() or "Changed")


def _count(number: object) -> int | None:
    return number if isinstance(number, int) else None
