"""Earlier versions of what several people edit in files: listed, and made the newest again."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import FileUnusable
from backend.files import edited

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.files.edited import Edition
    from backend.settings import Settings

KINDS: dict[str, Callable[[Settings], Path]] = {
    "space": lambda settings: settings.spaces_dir,
    "mapping": lambda settings: settings.mappings_dir,
    "source": lambda settings: settings.remembered_dir,
}


def versions(settings: Settings, kind: str, name: str) -> list[Edition]:
    """Return the versions that are kept, the newest first.

    Raises:
        FileUnusable: There is none of that name, or it is damaged.
    """
    try:
        found = edited.editions(_path(settings, kind, name))
    except edited.UNREADABLE as error:
        raise FileUnusable(f"The {kind} {name!r} is damaged.", next_step="Restore it from a backup.") from error
    if not found:
        raise FileUnusable(f"There is no {kind} {name!r}.", next_step="Check its name.")
    return found


@use_case(
    "home.restore_version",
    Role.ENGINEER,
    about=lambda _, kind, name, version: words(**{kind: name}, restored=version),
    brings=lambda made: words(version=made.version),
)
def put_back(settings: Settings, kind: str, name: str, version: int) -> Edition:
    """Save an earlier version as the newest one.

    Raises:
        FileUnusable: There is no such version.
        ChangedMeanwhile: Another person saved a version meanwhile.
    """
    found = versions(settings, kind, name)
    wanted = next((one for one in found if one.version == version), None)
    if wanted is None:
        raise FileUnusable(
            f"The {kind} {name!r} has no version {version}.",
            next_step=f"Those that are kept: {', '.join(str(one.version) for one in found)}.",
        )
    path, by = _path(settings, kind, name), asking().person.name
    return edited.save(path, wanted.content, base=found[0].version, by=by, what=f"the {kind} {name!r}")


def _path(settings: Settings, kind: str, name: str) -> Path:
    if PurePath(name).name != name or name.startswith("."):
        raise FileUnusable(f"{name!r} is not a valid name.", next_step="Use a name as the lists show it.")
    return KINDS[kind](settings) / f"{name}.json"
