"""What is known of a system's export: how its header is recognised, what a row is, and what each column means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from backend.catalogue.sources.pictures.names import Place
    from backend.catalogue.sources.tables.rows import Row

PER_WORD = 3  # what a required word of a header counts for; a strong one counts one


@dataclass(slots=True)
class Layout:
    """A table in the layout of a profile, as a grammar reads it.

    Attributes:
        rows: Streams the rows of the table, from its first; a grammar that looks for parents reads them twice.
        names: The table's own name of each column, by the name as profiles write it.
        joined: Reads a second table beside it by the header that it has: the rows by the value of its first column.
        find: Finds a picture beside the table.
        file: The file's own name.
        tally: Rows that became no product of their own, by what they are; counted while rows are given.
    """

    rows: Callable[[], Iterator[Row]]
    names: Mapping[str, str]
    joined: Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
    find: Callable[[str], Place]
    file: str = ""
    tally: Counter[str] = field(default_factory=Counter)

    def text(self, row: Row, *columns: str) -> str:
        """Return the first of some cells of a row that says anything, stripped; empty where none does."""
        own, values = self.names, row.values
        for column in columns:
            if column in own and (value := values.get(own[column])) is not None and (text := str(value).strip()):
                return text
        return ""

    def texts(self, row: Row, columns: Iterable[str]) -> list[str]:
        """Return what all of some cells of a row say, without empty ones."""
        own, cell = self.names, row.values.get
        found = [cell(own[column]) for column in columns if column in own]
        return [text for value in found if value and (text := str(value).strip())]

    def put(self, row: Row, values: Mapping[str, Any], pictures: Iterable[str] | None = None) -> Row:
        """Return a row with other values in some columns, by the name as profiles write it; it knows what it was.

        It has the pictures that are given, where there are any; a grammar that says none leaves it to the profile.
        """
        own = self.names
        changed = {**row.values, **{own.get(name, name): value for name, value in values.items()}}
        return row.changed(changed, row.pictures if pictures is None else tuple(pictures))

    def inherited(self, row: Row, parent: Row, columns: Iterable[str]) -> Row:
        """Return a row with what its parent has in the columns that it leaves empty."""
        found = self.lacking(row, parent, columns)
        return self.put(row, found) if found else row

    def lacking(self, row: Row, parent: Row, columns: Iterable[str]) -> dict[str, str]:
        """Return what a row's parent has in the columns that the row leaves empty."""
        return {one: self.text(parent, one) for one in columns if one in self.names and not self.text(row, one)}


def every_row(layout: Layout) -> Iterator[Row]:
    """Every row is a product."""
    return layout.rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The export of one system.

    Attributes:
        name: What requests and reports call it.
        title: What pages call it.
        required: Words of the header without any of which it is another layout; in lower case, as all names here.
        strong: Words that speak for it.
        negative: Words that no export of this layout has.
        any_of: Words of which one must be there.
        columns: By field of a product, the columns that may have it, best first; a pattern is any column that it fits.
        readers: By field, what makes its value of the text of that column.
        grammar: Makes products of rows.
        pictures: What a row's pictures are made of, main one first, where a grammar does not say it.
        adds: Columns that the grammar makes.
    """

    name: str
    title: str
    required: frozenset[str]
    columns: Mapping[str, tuple[str | re.Pattern[str], ...]]
    any_of: frozenset[str] = frozenset()
    strong: frozenset[str] = frozenset()
    negative: frozenset[str] = frozenset()
    readers: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    grammar: Callable[[Layout], Iterator[Row]] = every_row
    pictures: Callable[[Layout, Row], Sequence[str]] | None = None
    adds: tuple[str, ...] = ()

    def score(self, header: frozenset[str]) -> int:
        """Say how well a header (names in lower case) fits; 0 where it does not."""
        if not self.required <= header or self.negative & header or (self.any_of and not self.any_of & header):
            return 0
        return PER_WORD * len(self.required) + len(self.strong & header)

    def mapping(self, names: Mapping[str, str]) -> dict[str, str]:
        """Return the column by field, as the table of ``names`` calls it; a column that is made keeps its name."""
        known = {**{name.lower(): name for name in self.adds}, **names}
        found = {
            field: next((one for column in columns if (one := _column(known, column))), None)
            for field, columns in self.columns.items()
        }
        return {field: column for field, column in found.items() if column is not None}

    def readers_for(
        self, chosen: Mapping[str, str], names: Mapping[str, str]
    ) -> dict[str, Callable[[str], str | None]]:
        """Return what reads the fields whose column is still the one that the profile names."""
        usual = self.mapping(names)
        return {field: read for field, read in self.readers.items() if chosen.get(field) == usual.get(field)}

    def read(self, layout: Layout) -> Iterator[Row]:
        """Stream the products of a table with their pictures."""
        for row in self.grammar(layout):
            if self.pictures is None or row.pictures is not None:
                yield row
            else:
                yield row.changed(row.values, tuple(self.pictures(layout, row)))


def _column(known: Mapping[str, str], wanted: str | re.Pattern[str]) -> str | None:
    if isinstance(wanted, str):
        return known.get(wanted)
    return next((name for plain, name in known.items() if wanted.fullmatch(plain)), None)


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Return a table's own names of its columns by how profiles write them: in lower case, with blanks."""
    return {" ".join(name.replace("_", " ").split()).lower().removeprefix("g:"): name for name in names}


def words(text: str) -> frozenset[str]:
    """Return names of columns that are written with commas between them."""
    return frozenset(word.strip() for word in text.split(",") if word.strip())
