"""Which files of a catalogue a vacuum may remove: those that no kept version needs; decided without a JVM.

A version is kept while it is the newest, while it was the newest within the last ``keep_days``, and as long as someone
names it. Delta's own vacuum knows no named versions, so the decision is made here, file by file, from the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from backend.catalogue.delta.log_replay import files_present, states
from backend.catalogue.items import PICTURE_BYTES, PRODUCTS, QUALITY
from backend.catalogue.noted import NOTED, key
from backend.catalogue.upkeep.history import catalogue_states
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from backend.catalogue.delta.log_replay import TableState

DAY_S = 86_400.0
# A file that no commit names may belong to a writer that is about to commit.
_UNNAMED_STAYS_S = DAY_S


@dataclass(frozen=True, slots=True)
class Removable:
    """One file that may go: where it is from its table's folder, bytes, and when it was written, in ms since 1970."""

    path: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class VacuumPlan:
    """What a vacuum would remove.

    Attributes:
        keep_days: Versions that were the newest within so many days stay.
        files: The files that may go, by table.
        protected: Versions that are named by someone and can be read: they stay.
        lost: Versions that can be read now and cannot be afterwards.
        still: Versions that can be read afterwards, ascending.
        oldest_readable: The oldest of them.
    """

    keep_days: float
    files: Mapping[str, Sequence[Removable]]
    protected: tuple[int, ...]
    lost: tuple[int, ...]
    still: tuple[int, ...]
    oldest_readable: int

    @property
    def count(self) -> int:
        """Number of files."""
        return sum(len(files) for files in self.files.values())

    @property
    def bytes(self) -> int:
        """What they take."""
        return sum(file.size for files in self.files.values() for file in files)


def plan_vacuum(folder: Path, *, keep_days: float, protected: Collection[int]) -> VacuumPlan:
    """Decide what a vacuum of a catalogue may remove, from all its tables.

    1. Versions of the products that can be read now: all their files are there.
    2. Of these, the named ones; and the newest, and those that were the newest within the days. They are kept.
    3. Versions of quarantine and pictures that belong to kept ones are kept, too; measurements need no older version,
       nor do the bytes of pictures, which leave their table only when no version shows them (:mod:`forgetting`).
    4. In each table may go what no kept version needs, if it is older than the days (:func:`_removable`).
    5. Versions that could be read, and cannot without these files, are lost: that is told, not decided.

    Args:
        folder: Folder of the catalogue.
        keep_days: Versions that were the newest within so many days stay, at least 0.
        protected: Versions of the products that stay whatever their age. Those that are gone already are passed over.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: ``keep_days`` is out of range, or a log does not tell which files are in use.
    """
    if not keep_days >= 0:
        raise CatalogueError(f"Versions cannot be kept for {keep_days:g} days.", next_step="Use 0 or more.")
    now_s = time.time()
    products = catalogue_states(folder)
    present = files_present(folder / PRODUCTS)
    readable = _readable(products, present)  # 1
    named = tuple(sorted({*protected} & {*readable}))  # 2
    kept = {*_recent(products, now_s - keep_days * DAY_S), *named}
    kept_of = {PRODUCTS: kept, **{name: noted_by(products, kept, name) for name in NOTED}}  # 3
    kept_of |= {PICTURE_BYTES: set[int](), QUALITY: set[int]()}
    files = {
        name: _removable(folder / name, versions, keep_days=keep_days, now_s=now_s)  # 4
        for name, versions in kept_of.items()
    }
    going = {file.path for file in files[PRODUCTS]}
    still = _readable(products, {path: status for path, status in present.items() if path not in going})  # 5
    return VacuumPlan(
        keep_days=keep_days,
        files={name: removable for name, removable in files.items() if removable},
        protected=named,
        lost=tuple(version for version in readable if version not in {*still}),
        still=tuple(still),
        oldest_readable=still[0] if still else products[-1].version,
    )


def uncommitted(folder: Path) -> list[Path]:
    """Return files that killed writers left in a catalogue: no commit names them, and nobody is about to after a day.

    Raises:
        CatalogueError: A log is damaged.
    """
    before_s, left = time.time() - _UNNAMED_STAYS_S, []
    for log in sorted(folder.glob("*/_delta_log")):
        history = states(log.parent)
        if not history or history[-1].files is None:
            continue
        named = {path for state in history for path in (*state.paths, *state.commit.feed)}
        unnamed = {*files_present(log.parent)} - named
        files = [log.parent / path for path in unnamed if path.endswith((".parquet", ".bin"))]
        files += log.glob(".*.tmp")
        left += [file for file in files if file.stat().st_mtime < before_s]
    sums = (file.with_name(f".{file.name}.crc") for file in left)  # as Hadoop names them
    return sorted([*left, *(path for path in sums if path.exists())])


def _readable(products: Sequence[TableState], present: Mapping[str, object]) -> list[int]:
    """Return the versions whose files are all among these, ascending; the first, empty one counts for none."""
    return [state.version for state in products if state.version and state.is_readable(present)]


def _recent(history: Sequence[TableState], cutoff_s: float) -> set[int]:
    """Return the newest version and those that were the newest until after the cutoff."""
    until = [one.version for one, other in pairwise(history) if other.commit.timestamp_s >= cutoff_s]
    return {history[-1].version, *until}


def noted_by(products: Sequence[TableState], versions: Collection[int], table: str) -> set[int]:
    """Return the versions of a table that belong to these versions of the products."""
    found, current = set(), 0
    for state in products:
        current = int(state.commit.note.get(key(table), current) or 0)
        if state.version in versions:
            found.add(current)
    return found


def _removable(table: Path, kept: Collection[int], *, keep_days: float, now_s: float) -> list[Removable]:
    """Return the files of a table that may go.

    a. Needed are the files of kept versions, of the table's own recent ones, and the young part of its change feed.
    b. Anything else may go that is older than the days; what no commit names is, besides, a day old at least.
    """
    history = states(table)
    if not history:
        return []
    if history[-1].files is None:
        raise CatalogueError(
            f"The log of {table} does not show which files are in use, so none can be removed.",
            next_step="Load the catalogue again under another name.",
        )
    cutoff_s = now_s - keep_days * DAY_S
    kept = {*kept, *_recent(history, cutoff_s)}
    needed = {path for state in history if state.version in kept for path in state.paths}
    needed |= {path for state in history if state.commit.timestamp_s >= cutoff_s for path in state.commit.feed}
    named = {path for state in history for path in (*state.paths, *state.commit.feed)}
    return [
        Removable(path, status.st_size, int(status.st_mtime * 1000))
        for path, status in sorted(files_present(table).items())
        if path not in needed
        and status.st_mtime < (cutoff_s if path in named else min(cutoff_s, now_s - _UNNAMED_STAYS_S))
    ]
