"""Products as XML: the items of an RSS or Atom feed, or whatever element repeats in another file.

It is parsed by defusedxml, which refuses entities that a file defines itself; what names of another file is never opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from backend.catalogue.sources.tables.files import require_size, whole
from backend.catalogue.sources.tables.row_cells import cells_by_number
from backend.catalogue.sources.tables.rows import Row
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backend.catalogue.sources.tables.files import TableFile

_ROWS = frozenset(["item", "entry", "product", "offer", "shopitem", "article", "row", "record", "produkt", "artikel"])
_LOOKED_AT = 2_000  # items that tell the columns
_PIECE = 1 << 16
_DEEPEST = 60
_LONGEST_ITEM = 20_000_000  # letters
_NEXT = "Export the feed again, or correct the file there: an “&” in a text is written “&amp;”."


@dataclass(frozen=True, slots=True)
class XmlTable:
    """A feed as XML."""

    file: TableFile

    def columns(self) -> Mapping[str, bool]:
        """Names of the elements in the first items, without their prefixes.

        Raises:
            CatalogueError: There are none, or the file does not parse.
        """
        names: dict[str, bool] = {}
        for row in islice(self.rows(None), _LOOKED_AT):
            names |= dict.fromkeys(row.values, False)
        if not names:
            raise CatalogueError(
                f"{self.file.name} contains no products that can be recognised.",
                next_step="Export it as an RSS feed with one item per product, or as CSV.",
            )
        require_size(self.file.name, columns=len(names))
        return names

    def rows(self, image: str | None) -> Iterator[Row]:  # noqa: ARG002 - one cannot pass over an element
        """Stream the items.

        Raises:
            CatalogueError: The file does not parse, said with line and column, or defines entities.
        """
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import XMLParser

        items = _Items(self.file.name)
        position = 0
        with whole(self.file.name), self.file.open() as stream:
            parser = XMLParser(target=items)
            try:
                while piece := stream.read(_PIECE):
                    parser.feed(piece)
                    for values in items.take():
                        yield Row(position, values, f"/#{position}")
                        position += 1
                parser.close()
            except ParseError as error:
                line, column = error.position
                why = str(error).partition(":")[0]
                raise CatalogueError(
                    f"{self.file.name} cannot be read as XML: line {line}, column {column + 1}: {why}.", next_step=_NEXT
                ) from error
            except DefusedXmlException as error:
                raise CatalogueError(
                    f"{self.file.name} defines entities, as malicious files do, and is not read.",
                    next_step="Export the feed without a document type.",
                ) from error

    def cheap_positions(self) -> list[int]:
        """Every row costs the same."""
        return []

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return what these rows have under ``image``."""
        return cells_by_number(self.rows(image), locators, image)


class _Items:
    """Receives the elements of a file, and keeps those of finished items: values by name, repeated ones a line each."""

    def __init__(self, name: str) -> None:
        self._name, self._path, self._text = name, [""] * 0, [""] * 0
        self._done: list[dict[str, Any]] = []
        self._item: dict[str, Any] | None = None
        self._prefixed: set[str] = set()
        self._depth = self._length = 0

    def take(self) -> list[dict[str, Any]]:
        """Return the items that were finished since the last call."""
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CatalogueError(f"{self._name} is nested too deeply.", next_step="Export the feed again.")
        self._text.clear()
        name = tag.rpartition("}")[2]
        if self._item is not None:
            self._path.append(name)
            if address := attributes.get("href") or attributes.get("url"):
                self._text.append(address)
        elif name.lower() in _ROWS:
            self._item, self._path, self._length = dict(attributes), [], 0
            self._prefixed.clear()

    def data(self, text: str) -> None:
        if self._item is not None:
            self._text.append(text)
            self._length += len(text)
            if self._length > _LONGEST_ITEM:
                raise CatalogueError(f"{self._name} has an item that is too long.", next_step="Export the feed again.")

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._item is None:
            return
        if not self._path:
            self._done.append(self._item)
            self._item = None
            return
        text = "".join(self._text).strip()
        self._text.clear()
        if text:
            self._put(".".join(self._path), text, is_prefixed=tag.startswith("{http://base.google"))
        self._path.pop()

    def _put(self, name: str, text: str, *, is_prefixed: bool) -> None:
        """Keep a value; one of Google's namespace wins over one of the feed's own with the same name."""
        item = self._item
        if item is None or (name in self._prefixed and not is_prefixed):
            return
        if name in item and not (is_prefixed and name not in self._prefixed):
            text = f"{item[name]}\n{text}"
        item[name] = text
        if is_prefixed:
            self._prefixed.add(name)

    def close(self) -> None:
        """The file has ended."""
