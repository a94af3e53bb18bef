"""Which column of a table is what, guessed by names and checked by values: an id whose values repeat is none."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from backend.catalogue.sources.mapping import FIELDS, guess_columns, is_code, may_mean
from backend.catalogue.sources.profiles.known import BY_NAME, recognised
from backend.catalogue.sources.profiles.profile import plain_names
from backend.catalogue.sources.tables.values import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.catalogue.sources.tables.listing import TableSource
    from backend.catalogue.sources.tables.rows import Row

_LOOKED_AT = 20_000  # rows
_NAMES_TRIED = 20
_FEW = 5  # values, of fewer nothing can be said
_SHOWN = 40  # letters of a value
_MOST_GAPS = 10  # one row in so many may lack its id
_OF_QUARANTINE = frozenset({"product_id", "reason", "source", "source_row"})
# What shop systems call the sort of a record, which says nothing about the product; in lower case.
_RECORD_TYPES = frozenset(
    {"simple", "variable", "variation", "grouped", "external", "virtual", "downloadable", "subscription", "bundle"}
    | {"configurable", "composite", "physical", "digital", "product", "sku", "variant", "image", "rule"}
)


def profile_of(source: TableSource) -> str:
    """Return the name of the layout that a table is in; empty for none that is known, and for pictures in the table.

    Raises:
        DatasetUnavailable, CatalogueError: The table cannot be read.
    """
    found = source.available()
    profile = None if any(found.values()) or found.keys() >= _OF_QUARANTINE else recognised(found)
    return profile.name if profile else ""


def guess_mapping(source: TableSource) -> tuple[dict[str, str], tuple[str, ...]]:
    """Guess the column of each field of a table whose columns nobody named.

    Returns:
        Column by field, and sentences for the user about what was decided by values.

    Raises:
        DatasetUnavailable, CatalogueError: The table cannot be read.
    """
    found = source.available()
    if source.profile:
        return BY_NAME[source.profile].mapping(plain_names(found)), ()
    binary = [name for name, is_picture in found.items() if is_picture]
    ids, labels = (may_mean(field, [name for name in found if name not in binary]) for field in ("product_id", "label"))
    if found.keys() >= _OF_QUARANTINE:  # our own export to be mended; it may still lack ids or hold one twice
        return guess_columns(list(found), binary), ()
    rows = list(islice(source.rows(), _LOOKED_AT)) if ids or labels else []
    refused = {"product_id": _no_ids(rows, ids), "label": [name for name in labels if _is_record_type(rows, name)]}
    mapping = guess_columns(list(found), binary, refused)
    notes = []
    if ids and mapping.get("product_id") != ids[0]:
        notes.append(_passed_over(rows, ids[0], mapping.get("product_id")))
    if "image" not in mapping and (named := _naming_pictures(source, rows, ids)):
        mapping = {**mapping, "image": named}
        notes.append(f"No column contains picture paths; pictures are matched by “{named}”, which is their file name.")
    return {field: mapping[field] for field in FIELDS if field in mapping}, tuple(notes)


def _no_ids(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Return the columns that cannot be ids: with values that repeat, or many gaps; with any, if one has none.

    A number on the packaging is no id beside another column for it, and the only one may have a few that repeat: the
    rows that have them are rejected one by one.
    """
    proper = [name for name in columns if not is_code(name)] or list(columns)
    values = {name: [text_of(row.values.get(name)) for row in rows if row.problem is None] for name in proper}
    unique = [name for name, texts in values.items() if _is_unique(text for text in texts if text is not None)]
    gaps = {name: values[name].count(None) for name in unique}
    kept = [name for name in unique if not gaps[name]] or [
        name for name in unique if _MOST_GAPS * gaps[name] < len(rows)
    ]
    if not kept and len(proper) == 1 and _is_nearly_unique(values[proper[0]]):
        kept = proper
    return [name for name in columns if name not in kept]


def _is_nearly_unique(texts: Sequence[str | None]) -> bool:
    known = [text for text in texts if text is not None]
    return len(known) >= _FEW and 4 * len(set(known)) >= 3 * len(known) and 4 * len(known) >= 3 * len(texts)


def _passed_over(rows: Sequence[Row], column: str, taken: str | None) -> str:
    """Say why a column that is called as an id is none, and what is the id instead."""
    texts = [text_of(row.values.get(column)) for row in rows if row.problem is None]
    counts = Counter(text for text in texts if text is not None)
    repeated = [text for text, count in counts.items() if count > 1]
    why = f"{texts.count(None):,} of its {len(texts):,} values are missing"
    if repeated:
        values = f"{len(repeated):,} values" if len(repeated) > 1 else "one value"
        often = "more than once" if max(counts.values()) > 2 else "twice"
        why = f"it contains {values} {often}, for example “{repeated[0][:_SHOWN]}”"
    instead = f"“{taken}” is used instead" if taken else "the picture's path or the row number is used instead"
    return f"“{column}” is not used as the product id because {why}; {instead}."


def _is_unique(texts: Iterable[str]) -> bool:
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            return False
        seen.add(text)
    return True


def _is_record_type(rows: Sequence[Row], column: str) -> bool:
    texts = {text_of(row.values.get(column)) for row in rows} - {None}
    words = {word.strip().lower() for text in texts for word in str(text).split(",")}
    return bool(words) and words <= _RECORD_TYPES


def _naming_pictures(source: TableSource, rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """Return the column whose values are the file names of pictures; most of the first rows must have one."""
    find = source.finder()
    for name in columns:
        texts = [text for row in rows[:_NAMES_TRIED] if (text := text_of(row.values.get(name)))]
        if texts and 2 * sum(find(text).locator is not None for text in texts) > len(texts):
            return name
    return None
