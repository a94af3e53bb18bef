"""Tables among pictures: which there are in a folder or zip, and which of them describes the products."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from backend.catalogue.sources.pictures.files import is_clutter
from backend.catalogue.sources.pictures.zipped import opened_zip
from backend.catalogue.sources.tables.files import TABLE_SUFFIXES
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Sequence

ONLY_PICTURES = "none"  # in place of a table's name: the pictures alone are loaded
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a folder or zip.

    Attributes:
        place: Its name.
        top: Those at its top, or at the top of the only folder in it, by their paths from it on.
        deeper: Those below.
    """

    place: str
    top: tuple[str, ...] = ()
    deeper: tuple[str, ...] = ()

    @property
    def usual(self) -> str | None:
        """What is taken unless someone says otherwise: the only table at the top, no table, or None: it is asked."""
        return ONLY_PICTURES if not self.top else self.top[0] if len(self.top) == 1 else None

    def choose(self, name: str) -> str:
        """Return the table to read, empty for none; ``name`` is what the user says, empty where nothing was said.

        Raises:
            CatalogueError: There is no such table, or there are several and none is named.
        """
        chosen = name or self.usual
        if chosen is None:
            raise CatalogueError(
                f"{self.place} contains {len(self.top)} tables: {listed(self.top)}.",
                next_step=f"Name the one that describes the products, as in --table {self.top[0]}, or load only the "
                f"pictures with --table {ONLY_PICTURES}.",
            )
        if chosen != ONLY_PICTURES and chosen not in (*self.top, *self.deeper):
            raise CatalogueError(
                f"{self.place} contains no table {chosen}.",
                next_step=f"It has {listed((*self.top, *self.deeper)) or 'none'}.",
            )
        return "" if chosen == ONLY_PICTURES else chosen

    def unread(self, chosen: str) -> tuple[str, ...]:
        """Return a sentence about the tables that are not read, or nothing."""
        left = [name for name in (*self.top, *self.deeper) if name != chosen]
        if not left:
            return ()
        return (f"{'One table is' if len(left) == 1 else f'{len(left):,} tables are'} not read: {listed(left)}.",)


def tables_in(kind: Literal["folder", "zip"], path: Path) -> Tables:
    """Find the tables of a folder or zip; hidden files and clutter are none.

    Raises:
        DatasetUnavailable: There is no such zip.
        CatalogueError: It is no zip.
    """
    names = sorted(
        name for name in (opened_zip(path).members if kind == "zip" else _below(path)) if not is_clutter(name)
    )
    tops = {PurePosixPath(name).parts[0] for name in names}
    depth = 2 if len(tops) == 1 and all("/" in name for name in names) else 1
    tables = [name for name in names if name.lower().endswith(TABLE_SUFFIXES)]
    if kind == "folder":  # a link may not lead to a table elsewhere
        real = path.resolve()
        tables = [name for name in tables if (path / name).resolve().is_relative_to(real)]
    top = [name for name in tables if len(PurePosixPath(name).parts) == depth]
    return Tables(path.name, tuple(top), tuple(name for name in tables if name not in top))


def listed(names: Sequence[str]) -> str:
    """Say some names, the first few in full."""
    shown = list(names[:_LISTED])
    more = [f"{len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    said = [*shown, *more]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else ""


def _below(root: Path) -> list[str]:
    """List files by their paths from a folder on; linked folders are not entered."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_clutter(name)]
        start = os.path.relpath(folder, root)
        found += files if start == "." else [f"{start}/{name}" for name in files]
    return [name for name in found if name.isprintable()]
