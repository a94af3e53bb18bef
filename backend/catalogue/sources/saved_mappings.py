"""Which column is what, as someone decided and saved by name: the next table with the same header is read the same way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import CatalogueError
from backend.files import edited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from backend.files.edited import Edition

_NAME = re.compile(r"[^\W_][\w. \-]{0,59}")


@dataclass(frozen=True, slots=True)
class SavedMapping:
    """A mapping with its name, the header that it is for, the column of each field, and the version that this is."""

    name: str
    header: tuple[str, ...]
    columns: dict[str, str]
    edition: Edition | None = field(default=None, compare=False, repr=False)


@use_case(
    "sources.save_mapping",
    Role.ENGINEER,
    about=lambda _, name, *__, base=None: words(mapping=name, base=base),
    brings=lambda saved: words(version=saved.edition.version),
)
def save_mapping(
    folder: Path, name: str, header: Iterable[str], columns: Mapping[str, str], *, base: int | None = None
) -> SavedMapping:
    """Keep a mapping under a name, as a version after the one that has it.

    Args:
        folder: Of the mappings.
        name: Of the mapping.
        header: The columns that it is for.
        columns: The column of each field.
        base: Version that it was made of, 0 for a new one; None takes whichever is there.

    Raises:
        CatalogueError: The name cannot be a file's.
        ChangedMeanwhile: Another person saved it since that version.
    """
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise CatalogueError(
            f"{name!r} is not a valid name for a mapping.",
            next_step="Use up to 60 letters, digits, spaces, dots, hyphens and underscores.",
        )
    content = {"name": name, "header": [*header], "columns": dict(columns)}
    what, by = f"the columns saved as {name!r}", asking().person.name
    return _of(edited.save(folder / f"{name}.json", content, base=base, by=by, what=what))


def mapping_named(folder: Path, name: str) -> SavedMapping | None:
    """Return a saved mapping; None where there is none that can be read."""
    return _read(folder / f"{name}.json") if _NAME.fullmatch(name) else None


def mappings_for(folder: Path, header: Iterable[str]) -> list[SavedMapping]:
    """Return the saved mappings for a header, the one that was saved last first; a damaged file is passed over."""
    wanted = sorted(header)
    files = sorted(folder.glob("*.json"), key=lambda path: -path.stat().st_mtime_ns)
    found = [saved for path in files if not path.name.startswith(".") and (saved := _read(path)) is not None]
    return [saved for saved in found if sorted(saved.header) == wanted]


def _read(path: Path) -> SavedMapping | None:
    try:
        found = edited.newest(path)
        return _of(found) if found else None
    except edited.UNREADABLE:
        return None


def _of(saved: Edition) -> SavedMapping:
    raw = saved.content
    return SavedMapping(str(raw["name"]), tuple(raw["header"]), dict(raw["columns"]), saved)
