"""What cells of shops' exports mean: paths of categories, lists of pictures, states of a product, named values."""

from __future__ import annotations

import re

from backend.catalogue.sources.pictures.names import pictures_in

_PATH = re.compile(r"\s*(?:>|/(?=\S)|›|»|\|)\s*")
_ANGLES = re.compile(r"\s*[>›»]\s*")
_PAIR = re.compile(r'\s*([\w\-. ]+?)=("(?:[^"]|"")*"|[^,]*)(?:,|$)')
_STATES = {
    "active": "active 1 true yes publish published enabled visible live",
    "draft": "draft 0 false no pending private disabled hidden staging",
    "archived": "archived -1 trash deleted inactive",
}
_STATE_OF = {word: state for state, known in _STATES.items() for word in known.split()}


def leaf(path: str) -> str | None:
    """Return the last step of a path of categories: Men > Jackets > Rain.

    Example:
        >>> leaf("Men > Jackets > Rain"), leaf("5598"), leaf("Bags")
        ('Rain', None, 'Bags')
    """
    last = _ANGLES.split(path.strip())[-1].strip()
    return None if not last or last.isdigit() else last


def above(path: str) -> str | None:
    """Return a path of categories without its last step; the path where it has one step only, None for a number."""
    steps = [step for step in _ANGLES.split(path.strip()) if step]
    if path.strip().isdigit() or len(steps) < 2:
        return None
    return " > ".join(steps[:-1])


def first_of(text: str) -> str | None:
    r"""Return the first of several values that commas part; a comma in a value is written ``\,``.

    Example:
        >>> first_of("Clothes > Jumpers, New\\, now")
        'Clothes > Jumpers'
    """
    first = re.split(r"(?<!\\),", text, maxsplit=1)[0]
    return first.replace("\\,", ",").strip() or None


def first_leaf(text: str) -> str | None:
    """Return the last step of the first of several paths of categories."""
    return leaf(first_of(text) or "")


def first_above(text: str) -> str | None:
    """Return the first of several paths of categories without its last step."""
    return above(first_of(text) or "")


def steps(path: str) -> list[str]:
    """Return the steps of a path of categories that slashes part."""
    return [step for step in _PATH.split(path.strip().strip("/")) if step]


def state(text: str) -> str | None:
    """Return whether a shop shows a product: active, draft or archived; another word as it is."""
    return _STATE_OF.get(text.strip().lower(), text.strip().lower())


def positive(text: str) -> str | None:
    """Return an amount unless it is nothing: exports write 0 for no sale price."""
    return None if not text.strip("0., ") else text


def named_values(text: str) -> dict[str, str]:
    """Return values that are written ``name=value,name="a, b"``, names in lower case."""
    return {name.strip().lower(): value.strip('"').replace('""', '"').strip() for name, value in _PAIR.findall(text)}


def listed_pictures(*cells: str) -> list[str]:
    """Return the pictures that some cells name, in order, each once."""
    return list(dict.fromkeys([name for cell in cells if cell for name in pictures_in(cell)]))
