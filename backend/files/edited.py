"""A file that several people edit: a save names the version that it was made of, and the versions before it are kept.

It is one JSON object: what is edited, the edition that this is, and earlier ones. A file without editions, as earlier
versions of Twinset wrote it, is version 1 of an unknown person.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.errors import ChangedMeanwhile
from backend.files.locking import locked
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_EDITION, _EARLIER = "edition", "earlier"
_KEPT = 20  # earlier versions
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class Edition:
    """One version.

    Attributes:
        version: From 1 on.
        by: Who saved it; empty where nobody knows.
        at: When, ISO 8601 in UTC.
        content: What was saved, as JSON values.
    """

    version: int
    by: str
    at: str
    content: dict[str, Any]

    @property
    def said(self) -> str:
        """Who saved it and when, as the end of a sentence."""
        when = f"{datetime.fromisoformat(self.at).astimezone(UTC):%d %b %Y, %H:%M} UTC"
        return f"by {self.by or 'an unknown user'} on {when}, version {self.version}"


def editions(path: Path) -> list[Edition]:
    """Return all versions that are kept, the newest first; none where there is no file.

    Raises:
        OSError, ValueError, TypeError, KeyError, AttributeError: It is damaged; see ``UNREADABLE``.
    """
    try:
        raw = json.loads(path.read_text("utf-8"))
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return []
    earlier = raw.pop(_EARLIER, [])
    about = raw.pop(_EDITION, {"version": 1, "by": "", "at": changed.isoformat(timespec="seconds")})
    return [Edition(**about, content=raw), *(Edition(**one) for one in earlier)]


def newest(path: Path) -> Edition | None:
    """Return the newest version, as :func:`editions` does; None where there is no file."""
    return next(iter(editions(path)), None)


def save(path: Path, content: Mapping[str, Any], *, base: int | None, by: str, what: str) -> Edition:
    """Save a version after the newest one; what is saved already stays as it is.

    Args:
        path: The file; its folder is made.
        content: JSON values.
        base: Version that the content was made of, 0 for a new file; None takes whichever is there.
        by: Who saves.
        what: What is saved, for a message: ``the space 'rates'``.

    Raises:
        ChangedMeanwhile: The newest version is another one; nothing is changed.
    """
    plain = json.loads(json.dumps(content))
    with _locked(path.parent):
        before = _readable(path)
        version = before[0].version if before else 0
        if before and before[0].content == plain:
            return before[0]
        if base is not None and base != version:
            raise _changed(what, before, base)
        made = Edition(version + 1, by, datetime.now(UTC).isoformat(timespec="seconds"), plain)
        _write(path, [made, *before])
    return made


def replace_content(path: Path, content: Mapping[str, Any], *, is_same: Callable[[Edition], bool]) -> bool:
    """Put other content into the newest version, if that still is the one that was read; returns whether.

    That is for what Twinset itself notes: no person's edit, and no version.
    """
    with _locked(path.parent):
        found = editions(path)
        if not found or not is_same(found[0]):
            return False
        _write(path, [replace(found[0], content=dict(content)), *found[1:]])
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the one lock of a folder, whose name is no file's in it and none that tidying takes for something left."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".edits.lock"):
        yield


def _readable(path: Path) -> list[Edition]:
    """Return the versions; none of a file that is damaged, which a save replaces."""
    try:
        return editions(path)
    except UNREADABLE:
        return []


def _write(path: Path, found: list[Edition]) -> None:
    now, *earlier = found
    about = {"version": now.version, "by": now.by, "at": now.at}
    raw = {**now.content, _EDITION: about, _EARLIER: [asdict(one) for one in earlier[:_KEPT]]}
    write_atomically(path, json.dumps(raw, indent=2).encode())


def _changed(what: str, before: list[Edition], base: int) -> ChangedMeanwhile:
    if not before:
        return ChangedMeanwhile(f"Another person deleted {what} meanwhile.", next_step="Save yours under another name.")
    said = f"({before[0].said})"
    message = (
        f"Another person changed {what} since version {base} {said}."
        if base
        else f"There already is a version of {what} {said}."
    )
    return ChangedMeanwhile(message, next_step="Open theirs, or save yours over it; both versions are kept.")
