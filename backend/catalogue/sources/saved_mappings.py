"""Which column is what, as someone decided and saved by name: the next table with the same header is read the same way."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import CatalogueError
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_NAME = re.compile(r"[^\W_][\w. \-]{0,59}")


@dataclass(frozen=True, slots=True)
class SavedMapping:
    """A mapping with its name, the header that it is for, and the column of each field."""

    name: str
    header: tuple[str, ...]
    columns: dict[str, str]


@use_case("sources.save_mapping", Role.ENGINEER, about=lambda _folder, name, *_: words(mapping=name))
def save_mapping(folder: Path, name: str, header: Iterable[str], columns: Mapping[str, str]) -> SavedMapping:
    """Keep a mapping under a name; one that has it is replaced.

    Raises:
        CatalogueError: The name cannot be a file's.
    """
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise CatalogueError(
            f"{name!r} is not a valid name for a mapping.",
            next_step="Use up to 60 letters, digits, spaces, dots, hyphens and underscores.",
        )
    saved = SavedMapping(name, tuple(header), dict(columns))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.json", json.dumps(asdict(saved), indent=2).encode())
    return saved


def mappings_for(folder: Path, header: Iterable[str]) -> list[SavedMapping]:
    """Return the saved mappings for a header, the one that was saved last first; a damaged file is passed over."""
    wanted = sorted(header)
    files = sorted(folder.glob("*.json"), key=lambda path: -path.stat().st_mtime_ns)
    found = [saved for path in files if not path.name.startswith(".") and (saved := _read(path)) is not None]
    return [saved for saved in found if sorted(saved.header) == wanted]


def _read(path: Path) -> SavedMapping | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
        return SavedMapping(str(raw["name"]), tuple(raw["header"]), dict(raw["columns"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
