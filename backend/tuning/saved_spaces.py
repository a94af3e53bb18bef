"""Spaces that were saved by name, one JSON file each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import ConfigurationError
from backend.files.storage import write_atomically
from backend.tuning.space import Space

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,59}")


@use_case("spaces.save", Role.ENGINEER, about=lambda _folder, name, _space: words(space=name))
def save_space(spaces_dir: Path, name: str, space: Space) -> None:
    """Keep a space under a name; one that has it is replaced.

    Raises:
        ConfigurationError: The name cannot be a file's, or the space cannot be used.
    """
    space.check()
    path = _path(spaces_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(space.as_dict(), indent=2).encode())


def saved_spaces(spaces_dir: Path) -> list[str]:
    """Return the names of all saved spaces, in alphabetical order."""
    return sorted(path.stem for path in spaces_dir.glob("*.json") if not path.name.startswith("."))


def load_space(spaces_dir: Path, name: str) -> Space:
    """Read a saved space.

    Raises:
        ConfigurationError: There is no such name, or it is damaged.
    """
    path = _path(spaces_dir, name)
    if not path.is_file():
        known = ", ".join(saved_spaces(spaces_dir)) or "none"
        raise ConfigurationError(f"There is no space {name!r}.", next_step=f"Saved ones: {known}.")
    try:
        space = Space.from_dict(json.loads(path.read_text("utf-8")))
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"The space {name!r} is damaged.", next_step="Save it again.") from error
    space.check()
    return space


@use_case("spaces.delete", Role.ENGINEER, about=lambda _folder, name: words(space=name))
def delete_space(spaces_dir: Path, name: str) -> None:
    """Forget a saved space; one that is not there is no error."""
    _path(spaces_dir, name).unlink(missing_ok=True)


def _path(spaces_dir: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a valid space name.",
            next_step="Use up to 60 letters, digits, spaces, dots, hyphens and underscores.",
        )
    return spaces_dir / f"{name}.json"
