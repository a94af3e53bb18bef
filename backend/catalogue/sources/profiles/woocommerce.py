"""WooCommerce: simple products, and variations that name their parent by its SKU or as id:123, anywhere in the file."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count, takewhile
from typing import TYPE_CHECKING, NamedTuple

from backend.catalogue.sources.profiles.cells import first_above, first_leaf, first_of, listed_pictures
from backend.catalogue.sources.profiles.profile import Profile, words
from backend.catalogue.sources.tables.values import plain_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

GROUP, COLOUR, MATERIAL, GENDER = "Product group", "Colour attribute", "Material attribute", "Gender attribute"
_INHERITED = ("categories", "brands", "brand", "tags", "published", "external url")
_ATTRIBUTES = {
    COLOUR: re.compile(r"colou?rs?|farben?|couleur|colore|kleur|color", re.IGNORECASE),
    MATERIAL: re.compile(r"material|stoff|matière|materiale", re.IGNORECASE),
    GENDER: re.compile(r"gender|geschlecht|genre|género", re.IGNORECASE),
}
_SHOWN = {"1": "active", "0": "draft", "-1": "draft"}


class _Parent(NamedTuple):
    row: Row
    key: str
    pictures: list[str]


def _products(layout: Layout) -> Iterator[Row]:
    """Give every product but those that only gather variations; a variation takes from its parent what it lacks."""
    parents, gathering, shown = _parents(layout)
    attributes = _attribute_columns(layout)
    for row in layout.rows():
        if row.problem is not None:
            yield row
            continue
        key, kinds = _key(layout, row), _kinds(layout, row)
        if "variable" in kinds and key in gathering:
            layout.tally["parent rows"] += 1
        elif "variation" in kinds:
            parent = parents.get(_reference(layout, row))
            group, lacking, pictures = _of_parent(layout, row, parent, shown)
            made = {**lacking, "sku": key, GROUP: group, **_attributes(layout, row, attributes)}
            yield layout.put(row, made, pictures or None)
        else:
            made = {"sku": key, GROUP: "", **_attributes(layout, row, attributes)}
            yield layout.put(row, made, listed_pictures(layout.text(row, "images")) or None)


def _of_parent(
    layout: Layout, row: Row, parent: _Parent | None, shown: dict[str, set[str]]
) -> tuple[str, dict[str, str], list[str]]:
    """Return the group of a variation, what it takes from its parent, and its pictures."""
    own = listed_pictures(layout.text(row, "images"))
    if parent is None:
        return _reference(layout, row).removeprefix("id:"), {}, own
    others = shown.get(parent.key, set()).difference(own) if own else ()
    gallery = [name for name in parent.pictures if name not in others]
    return parent.key, layout.lacking(row, parent.row, _INHERITED), list(dict.fromkeys([*own, *gallery]))


def _parents(layout: Layout) -> tuple[dict[str, _Parent], set[str], dict[str, set[str]]]:
    """Return the parents by every name they have, the keys of those with variations, and what variations show."""
    parents: dict[str, _Parent] = {}
    named: list[tuple[str, list[str]]] = []
    for row in layout.rows():
        kinds = _kinds(layout, row)
        if "variable" in kinds:
            parent = _Parent(row, _key(layout, row), listed_pictures(layout.text(row, "images")))
            parents[parent.key] = parents[f"id:{layout.text(row, 'id')}"] = parent
        elif "variation" in kinds:
            named.append((_reference(layout, row), listed_pictures(layout.text(row, "images"))))
    gathering: set[str] = set()
    shown: dict[str, set[str]] = {}
    for reference, pictures in named:
        if (found := parents.get(reference)) is not None:
            gathering.add(found.key)
            shown.setdefault(found.key, set()).update(pictures)
    return parents, gathering, shown


def _kinds(layout: Layout, row: Row) -> frozenset[str]:
    return _words(layout.text(row, "type"))


@lru_cache(maxsize=256)
def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in text.split(","))


def _key(layout: Layout, row: Row) -> str:
    return plain_id(layout.text(row, "sku")) or layout.text(row, "id")


def _reference(layout: Layout, row: Row) -> str:
    return plain_id(layout.text(row, "parent"))


def _attribute_columns(layout: Layout) -> list[tuple[str, str]]:
    """Return the columns of the name and the value of each attribute."""
    numbers = takewhile(lambda number: f"attribute {number} name" in layout.names, count(1))
    return [(f"attribute {number} name", f"attribute {number} value(s)") for number in numbers]


def _attributes(layout: Layout, row: Row, columns: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the colour and the like, of the attributes that have one value."""
    found = dict.fromkeys(_ATTRIBUTES, "")
    for named, valued in columns:
        if not (value := layout.text(row, valued)):
            continue
        name = layout.text(row, named)
        for column, pattern in _ATTRIBUTES.items():
            if pattern.fullmatch(name) and first_of(value) == value.replace("\\,", ","):
                found[column] = value
    return found


PROFILES = (
    Profile(
        name="woocommerce",
        title="WooCommerce export",
        required=words("id, type, sku, name, regular price, categories, images"),
        strong=words("published, in stock?, stock, sale price, parent, tax status, attribute 1 name, tags"),
        columns={
            "product_id": ("sku",),
            "group_id": (GROUP.lower(),),
            "image": ("images",),
            "title": ("name",),
            "label": ("categories",),
            "category": ("categories",),
            "brand": ("brands", "brand"),
            "colour": (COLOUR.lower(),),
            "price": ("regular price",),
            "sale_price": ("sale price",),
            "stock": ("stock",),
            "availability": ("in stock?",),
            "status": ("published",),
            "url": ("external url",),
            "material": (MATERIAL.lower(),),
            "gender": (GENDER.lower(),),
        },
        readers={
            "label": first_leaf,
            "category": first_above,
            "brand": first_of,
            "status": lambda text: _SHOWN.get(text, text),
        },
        grammar=_products,
        adds=(GROUP, COLOUR, MATERIAL, GENDER),
    ),
)
