"""Products as JSON: an object a line, or one array of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from backend.catalogue.sources.tables.files import require_size, whole
from backend.catalogue.sources.tables.row_cells import cells_by_number
from backend.catalogue.sources.tables.rows import Row
from backend.catalogue.sources.tables.streams import as_utf8
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backend.catalogue.sources.tables.files import TableFile

_LOOKED_AT = 2_000  # objects that tell the columns
_LONGEST_LINE = 128_000_000
_LARGEST_ARRAY = 256_000_000
_DEEPEST = 4
_BOM = "\ufeff"
_NEXT = "Export it again as JSON lines: one object in each line."
_LANGUAGES = ("en_us", "en_gb", "en", "de_de", "de")  # best first, where a text comes in several


@dataclass(frozen=True, slots=True)
class JsonTable:
    """A file of JSON lines, or with an array of objects."""

    file: TableFile

    def columns(self) -> Mapping[str, bool]:
        """Names of what the first objects have.

        Raises:
            CatalogueError: There are none.
        """
        names: dict[str, bool] = {}
        for row in islice(self.rows(None), _LOOKED_AT):
            names |= dict.fromkeys(row.values, False)
        if not names:
            raise CatalogueError(f"{self.file.name} has no rows that can be read.", next_step=_NEXT)
        require_size(self.file.name, columns=len(names))
        return names

    def rows(self, image: str | None) -> Iterator[Row]:  # noqa: ARG002 - one cannot pass over a value of an object
        """Stream the objects; a line that is none comes with a problem.

        Raises:
            CatalogueError: The file cannot be read to its end.
        """
        with whole(self.file.name), self.file.open() as stream:
            for position, (line, found) in enumerate(self._objects(as_utf8(stream))):
                locator = f"/#{position}"
                if isinstance(found, dict):
                    yield Row(position, _flat(found), locator)
                else:
                    yield Row(position, {}, locator, f"bad_row: Line {line:,} is not a JSON object: {found}.")

    def cheap_positions(self) -> list[int]:
        """Every row costs the same."""
        return []

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return what these rows have under ``image``."""
        return cells_by_number(self.rows(image), locators, image)

    def _objects(self, stream: IO[bytes]) -> Iterator[tuple[int, Any]]:
        start = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        stream.seek(0)
        if start == b"[":
            yield from ((1, found) for found in self._array(stream))
            return
        number = 0
        while line := stream.readline(_LONGEST_LINE):
            number += 1
            text = line.decode("utf-8", "replace").strip().lstrip(_BOM)
            if text:
                yield number, _parsed(text)

    def _array(self, stream: IO[bytes]) -> list[Any]:
        data = stream.read(_LARGEST_ARRAY + 1)
        if len(data) > _LARGEST_ARRAY:
            raise CatalogueError(f"{self.file.name} is too large for one JSON array.", next_step=_NEXT)
        try:
            found = json.loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            at = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "its text"
            raise CatalogueError(
                f"{self.file.name} cannot be read as JSON: the error is in {at}.", next_step=_NEXT
            ) from error
        return found if isinstance(found, list) else [found]


def _parsed(text: str) -> Any:
    """Return the object in a line, or why there is none, in words."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        return f"{error.msg} at column {error.colno}"
    except (ValueError, RecursionError):
        return "it is nested too deeply"
    return found if isinstance(found, dict) else "it is another value"


def _flat(found: Mapping[str, Any], before: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the values of an object by name; those inside another one behind its name and a dot."""
    values: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            values |= _flat(value, f"{before}{name}.", depth + 1)
        else:
            values[before + name] = _text(value) if isinstance(value, list) else value
    return values


def _text(values: Sequence[Any]) -> str | None:
    """Return a list as text, a line each; of one text in several languages, the one that is best known."""
    if values and all(isinstance(one, dict) for one in values):
        return _of_objects(values)
    return "\n".join(str(one) for one in values if one is not None and not isinstance(one, dict | list)) or None


def _of_objects(values: Sequence[Mapping[str, Any]]) -> str | None:
    key = next((key for key in ("value", "node_name", "url", "link", "name") if key in values[0]), None)
    if key is None:
        return json.dumps(list(values), ensure_ascii=False)
    tags = [str(one.get("language_tag", "")).lower() for one in values]
    if not any(tags):
        return "\n".join(str(one[key]) for one in values if one.get(key) is not None) or None
    ranks = [_LANGUAGES.index(tag) if tag in _LANGUAGES else len(_LANGUAGES) + (tag[:2] != "en") for tag in tags]
    best = values[min(range(len(values)), key=ranks.__getitem__)]
    return None if best.get(key) is None else str(best[key])
