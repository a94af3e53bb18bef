"""Which version of another table belongs to a version of the products: their commits say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.delta import delta_log
from backend.catalogue.items import PICTURES, PRODUCTS, QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOTED = (QUARANTINE, PICTURES)


def noted_version(folder: Path, version: int, table: str) -> int:
    """Return the version of a table that belongs to a version of the products; 0 where there is none.

    Commits that take no products in, such as a compaction, say nothing of it: then it is as before.
    """
    for number in range(version, 0, -1):
        note = delta_log.note_of(delta_log.commit_of(folder / PRODUCTS, number))
        if key(table) in note:
            return int(note[key(table)] or 0)
    return 0


def noted_versions(folder: Path, version: int) -> Mapping[str, int]:
    """Return what a commit has to note so that it quotes the same versions as another one of the products."""
    return {key(table): noted_version(folder, version, table) for table in NOTED}


def key(table: str) -> str:
    """Return what the note calls the version of a table."""
    return f"{table}_version"
