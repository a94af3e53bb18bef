"""WooCommerce: simple products, and variations that name their parent by its SKU or as id:123, anywhere in the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from backend.catalogue.sources.profiles.cells import first_above, first_leaf, first_of, listed_pictures
from backend.catalogue.sources.profiles.profile import Profile, words
from backend.catalogue.sources.tables.values import plain_id

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    pictures: list[str]


def _products(layout: Layout) -> Iterator[Row]:
    """Give every product but those that only gather variations; a variation takes from its parent what it lacks."""
    parents, gathering, shown = _parents(layout)
    for row in layout.rows():
        if row.problem is not None:
            yield row
            continue
        key, kinds = _key(layout, row), _kinds(layout, row)
        if "variable" in kinds and key in gathering:
            layout.tally["parent rows"] += 1
        elif "variation" in kinds:
            parent = parents.get(_reference(layout, row))
            yield _variation(layout, row, key, parent, shown)
        else:
            images = listed_pictures(layout.text(row, "images"))
            yield layout.put(row, {"sku": key, GROUP: "", **_attributes(layout, row)})._replace(
                pictures=tuple(images) or None
            )


def _variation(layout: Layout, row: Row, key: str, parent: _Parent | None, shown: dict[str, set[str]]) -> Row:
    own = listed_pictures(layout.text(row, "images"))
    group = _key(layout, parent.row) if parent else _reference(layout, row).removeprefix("id:")
    whole, gallery = row, []
    if parent is not None:
        whole = layout.inherited(row, parent.row, _INHERITED)
        others = shown.get(group, set()) - set(own)
        gallery = [name for name in parent.pictures if not own or name not in others]
    pictures = tuple(dict.fromkeys([*own, *gallery]))
    made = {"sku": key, GROUP: group, **_attributes(layout, row)}
    return layout.put(whole, made)._replace(pictures=pictures or None)


def _parents(layout: Layout) -> tuple[dict[str, _Parent], set[str], dict[str, set[str]]]:
    """Return the parents by every name they have, the keys of those with variations, and what variations show."""
    parents: dict[str, _Parent] = {}
    named: list[tuple[str, list[str]]] = []
    for row in layout.rows():
        kinds = _kinds(layout, row)
        if "variable" in kinds:
            parent = _Parent(row, listed_pictures(layout.text(row, "images")))
            parents |= dict.fromkeys((_key(layout, row), f"id:{layout.text(row, 'id')}"), parent)
        elif "variation" in kinds:
            named.append((_reference(layout, row), listed_pictures(layout.text(row, "images"))))
    gathering: set[str] = set()
    shown: dict[str, set[str]] = {}
    for reference, pictures in named:
        if (found := parents.get(reference)) is not None:
            gathering.add(key := _key(layout, found.row))
            shown.setdefault(key, set()).update(pictures)
    return parents, gathering, shown


def _kinds(layout: Layout, row: Row) -> set[str]:
    return {word.strip().lower() for word in layout.text(row, "type").split(",")}


def _key(layout: Layout, row: Row) -> str:
    return plain_id(layout.text(row, "sku")) or layout.text(row, "id")


def _reference(layout: Layout, row: Row) -> str:
    return plain_id(layout.text(row, "parent"))


def _attributes(layout: Layout, row: Row) -> dict[str, str]:
    """Return the colour and the like, of the attributes that have one value."""
    found: dict[str, str] = {}
    number = 1
    while f"attribute {number} name" in layout.names:
        name, value = layout.text(row, f"attribute {number} name"), layout.text(row, f"attribute {number} value(s)")
        for column, pattern in _ATTRIBUTES.items():
            if value and pattern.fullmatch(name) and first_of(value) == value.replace("\\,", ","):
                found[column] = value
        number += 1
    return {**dict.fromkeys(_ATTRIBUTES, ""), **found}


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
