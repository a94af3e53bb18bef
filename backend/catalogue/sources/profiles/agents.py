"""The feed that shopping agents read, as JSON lines or CSV: a row is one variant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backend.catalogue.sources.profiles import google
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

COLOUR, MATERIAL = "Colour of the variant", "Material of the variant"
_NAMES = {COLOUR: ("color", "colour"), MATERIAL: ("material",)}


def _variants(layout: Layout) -> Iterator[Row]:
    for row in layout.rows():
        told = _of_variant(layout, row)
        made = {
            column: next((str(told[one]) for one in names if told.get(one)), "") or layout.text(row, *names)
            for column, names in _NAMES.items()
        }
        yield layout.put(row, made)


def _of_variant(layout: Layout, row: Row) -> dict[str, Any]:
    """Return what a row says of its variant: columns of their own in JSON, JSON in a cell of a table."""
    found = {
        name.rpartition(".")[2]: row.values.get(own)
        for name, own in layout.names.items()
        if name.startswith(("variant dict.", "variant.", "variant options."))
    }
    try:
        cell = json.loads(layout.text(row, "variant dict", "variant options") or "{}")
    except (ValueError, RecursionError):
        return found
    return {**found, **{str(name).lower(): value for name, value in cell.items()}} if isinstance(cell, dict) else found


PROFILES = (
    Profile(
        name="agents",
        title="Agents' commerce feed",
        required=words("item id, title, image url"),
        strong=words("description, url, additional image urls, price, availability, brand, group id, variant dict"),
        columns={
            **google.COLUMNS,
            "product_id": ("item id",),
            "group_id": ("group id", "item group id"),
            "image": ("image url",),
            "label": ("product category", "category", "product type", "google product category"),
            "category": ("product category", "category", "product type", "google product category"),
            "colour": (COLOUR.lower(),),
            "stock": ("inventory quantity", "quantity", "stock"),
            "url": ("url", "link"),
            "material": (MATERIAL.lower(),),
        },
        readers=google.READERS,
        grammar=_variants,
        pictures=google.pictures,
        adds=(COLOUR, MATERIAL),
    ),
)
