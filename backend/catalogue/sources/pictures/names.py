"""Finding the file that a table names, though another system wrote the name: one finder for folders and zips.

A name is looked for as it is first. Then names are compared composed (NFC), then without case and percent-encoding, then
by the file's own name alone where only one file has it, and last by that name without its suffix, for tables that name
pictures by an id.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from html import unescape
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+:)?//[^/]|data:", re.IGNORECASE)
_SEPARATORS = re.compile(r"[,|;\n]")
# Between addresses, which may have commas and blanks themselves.
_BEFORE_ADDRESS = re.compile(r"[,|;\s]+(?=(?:https?:)?//)", re.IGNORECASE)
_MOST_PARTS = 100  # pictures that a cell may name
_LONGEST_PATH = 4096
_LONGEST_COMPOSED = 2000  # letters: composing takes the square of the marks on a letter
_SHOWN = 120  # letters of a path in a reason

OUTSIDE = "It points outside the folder being loaded."
ADDRESS = "address: This picture is at a web address. Fetch the pictures first, or put the files next to the table."
UNNAMED = "no_picture: The table gives no picture for it."
# What is counted of pictures that were found, but not where and as the table says.
BY_NAME = "found_by_name"
SEVERAL = "several_pictures"


class Place(NamedTuple):
    """Where the picture is that a row of a table names, or why it may not be read; all null where it names none.

    ``path`` is the way to it from the table's folder on, as an id is made of; ``warning`` is what is to be counted;
    ``more`` are the locators of further pictures, ``lacking`` the names of those there are none of. A picture at a web
    address has that for its locator, and a reason.
    """

    locator: str | None = None
    reason: str | None = None
    path: str | None = None
    warning: str | None = None
    more: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


class Name(NamedTuple):
    """A file of a source: what it may be called, and where to read it."""

    path: str
    locator: str


def is_address(named: str) -> bool:
    """Tell whether a picture is named by a web address rather than by a path."""
    is_usual = named[:8] == "https://" and named[8:9] not in {"", "/"}
    return is_usual or _ADDRESS.match(named) is not None


def pictures_in(cell: str) -> list[str]:
    """Split a cell that may name several pictures; commas inside an address part nothing."""
    if "," not in cell and ";" not in cell and "|" not in cell and cell.split(None, 1) == [cell]:
        return [cell]
    between = _BEFORE_ADDRESS if is_address(cell.lstrip()) else _SEPARATORS
    return [part.strip(" ,;|\n") for part in between.split(cell, _MOST_PARTS)[:_MOST_PARTS] if part.strip()]


def several(find: Callable[[str], Place], parts: Sequence[str]) -> Place:
    """Find several pictures of a product: the first that may be used, with the others there are behind it."""
    if len(parts) == 1:
        return find(parts[0])
    places = [find(part) for part in parts[:_MOST_PARTS]]
    there = [place for place in places if place.locator is not None]
    first = next((place for place in there if place.reason is None), there[0] if there else places[0])
    more = dict.fromkeys([locator for place in there if (locator := place.locator) and locator != first.locator])
    lacking: list[str] = []
    if len(there) < len(places):
        pairs = zip(parts, places, strict=False)
        lacking = [part for part, place in pairs if place.locator is None and place is not first]
    return Place(first.locator, first.reason, first.path, first.warning, tuple(more), tuple(lacking))


def composed(text: str) -> str:
    """Return text in Unicode's composed form (NFC): a Mac hands out file names in the decomposed one."""
    return text if text.isascii() or len(text) > _LONGEST_COMPOSED else unicodedata.normalize("NFC", text)


def missing(path: str) -> str:
    """Say that there is no file at a path, as the reason of a row."""
    return f"no_picture: There is no file {path[:_SHOWN]}."


def no_picture(locator: str | None) -> str:
    """Say why there is no picture at a locator that was listed: a file, a cell of a table, or nothing at all."""
    if locator is None or locator.startswith("/"):
        return "no_picture: The source has no picture for it."
    return missing(locator)


class Finder:
    """Finds the files that a table names.

    Args:
        exact: Finds a path as it is, with slashes: its place, why it may not be read, or None where there is none.
        names: Lists all files that may be found; asked once, and only when something is not found as it is.
    """

    def __init__(self, exact: Callable[[str], Place | None], names: Callable[[], Iterable[Name]]) -> None:
        self._exact, self._names = exact, names

    def find(self, named: str) -> Place:
        """Find the file that a cell names, or the first there is of several that it names, or say why there is none."""
        if not is_address(named):
            whole = self._one(named)
            if whole.locator is not None and whole.warning is None:
                return whole
            parts = pictures_in(named)
            if len(parts) < 2 or not all(PurePosixPath(part).suffix for part in parts):
                return whole
        elif len(parts := pictures_in(named)) < 2:
            return self._at_address(named)
        found = several(self._one, parts)
        return found._replace(warning=SEVERAL) if len(parts) > 1 else found

    __call__ = find

    def _one(self, named: str) -> Place:
        if "\0" in named or len(named) > _LONGEST_PATH:
            return Place(reason="bad_path: It is not a file path.")
        if is_address(named):
            return self._at_address(named)
        plain = named.replace("\\", "/")
        place = self._exact(plain)
        if place is not None and (place.reason is None or not plain.startswith("/")):
            return place
        path = normpath(plain).lstrip("/")
        return self._alike(path) or place or Place(reason=self._missing(path), path=path)

    def _at_address(self, named: str) -> Place:
        """Say that a picture is at an address, unless there is a file of that name."""
        named = unescape(named) if "&" in named else named
        beside = self._alike(_path_of(named), only_name=True) if self._index[0] else None
        return beside or Place(named, ADDRESS)

    def _alike(self, path: str, *, only_name: bool = False) -> Place | None:
        for level in range(_NAME_LEVEL if only_name else 0, len(_LEVELS)):
            found = self._index[level].get(_LEVELS[level][1](path))
            if found is not None:
                return Place(
                    found.locator, path=found.path, warning=BY_NAME if level >= _NAME_LEVEL and "/" in path else None
                )
        return None

    def _missing(self, path: str) -> str:
        is_doubtful = _own_name(path) in self._index[_NAME_LEVEL]
        return missing(path) + (" Several files in other folders have that name." if is_doubtful else "")

    @cached_property
    def _index(self) -> list[dict[str, Name | None]]:
        """Files by what is compared at each level; None where several are alike."""
        levels: list[dict[str, Name | None]] = [{} for _ in _LEVELS]
        for name in self._names():
            for index, (key, _) in zip(levels, _LEVELS, strict=True):
                known = key(name.path)
                other = index.setdefault(known, name)
                if other is None or other.locator != name.locator:
                    index[known] = None
        return levels


def _loose(path: str) -> str:
    plain = unquote(path.replace("\\", "/"))
    if plain.isascii() or len(plain) > _LONGEST_COMPOSED:
        return plain.casefold()
    return composed(unicodedata.normalize("NFD", plain).casefold())


def _own_name(path: str) -> str:
    return _loose(path).rpartition("/")[2]


def _stem(path: str) -> str:
    return PurePosixPath(_own_name(path)).stem


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # an address that is none, such as http://[x
        return address


# What is compared, best first: of a file, and of the name that is looked for.
_LEVELS: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (composed, composed),
    (_loose, _loose),
    (_own_name, _own_name),
    (_stem, _own_name),
)
_NAME_LEVEL = 2
