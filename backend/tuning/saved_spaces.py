"""Spaces that were saved by name, one JSON file each, with its earlier versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import ConfigurationError
from backend.files import edited
from backend.tuning.space import Space

if TYPE_CHECKING:
    from pathlib import Path

    from backend.files.edited import Edition

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,59}")


@use_case(
    "spaces.save",
    Role.ENGINEER,
    about=lambda _, name, __, *, base=None: words(space=name, base=base),
    brings=lambda saved: words(version=saved.version),
)
def save_space(spaces_dir: Path, name: str, space: Space, *, base: int | None = None) -> Edition:
    """Keep a space under a name, as a version after the one that has it.

    Args:
        spaces_dir: Folder of the spaces.
        name: Of the space.
        space: What to keep.
        base: Version that it was made of, 0 for a new one; None takes whichever is there.

    Raises:
        ConfigurationError: The name cannot be a file's, or the space cannot be used.
        ChangedMeanwhile: Another person saved it since that version.
    """
    space.check()
    path = _path(spaces_dir, name)
    return edited.save(path, space.as_dict(), base=base, by=asking().person.name, what=f"the space {name!r}")


def newest_edition(spaces_dir: Path, name: str) -> Edition | None:
    """Return the newest version of a space; None where there is none that can be read."""
    try:
        return edited.newest(_path(spaces_dir, name))
    except (*edited.UNREADABLE, ConfigurationError):
        return None


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
        space = Space.from_dict(edited.editions(path)[0].content)
    except edited.UNREADABLE as error:
        raise ConfigurationError(f"The space {name!r} is damaged.", next_step="Save it again.") from error
    space.check()
    return space


@use_case("spaces.delete", Role.ENGINEER, about=lambda _, name: words(space=name))
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
