"""Shopify: a product's first row has the product, its first variant and its first picture; later rows a variant, a picture, or both."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import state
from backend.catalogue.sources.profiles.profile import Profile, words
from backend.catalogue.sources.tables.values import parse_price

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

_HANDLE = ("handle", "url handle")
_SKU, _PRICE, _BEFORE = (
    ("variant sku", "sku"),
    ("variant price", "price"),
    ("variant compare at price", "compare-at price"),
)
_STOCK = ("variant inventory qty", "inventory quantity")
_IMAGE, _POSITION, _OWN = (
    ("image src", "product image url"),
    ("image position",),
    ("variant image", "variant image url"),
)
_OPTIONS = ("option1 value", "option2 value", "option3 value")
_OF_A_VARIANT = (*_SKU, *_PRICE, *_STOCK, *_OPTIONS)
_OF_THE_PRODUCT = (
    "title",
    "vendor",
    "product category",
    "type",
    "status",
    "published",
    "tags",
    "google shopping / gender",
)
_COLOURS = frozenset({"color", "colour", "farbe", "couleur", "colore", "kleur", "färg"})
_MATERIALS = frozenset({"material", "matière", "materiale"})
REGULAR, REDUCED, COLOUR, MATERIAL = "Regular price", "Reduced price", "Colour option", "Material option"
_DEFAULT = "default title"


def _products(layout: Layout) -> Iterator[Row]:
    for handle, rows in groupby(_with_handles(layout), key=lambda row: layout.text(row, *_HANDLE)):
        yield from _variants(layout, handle, list(rows))


def _with_handles(layout: Layout) -> Iterator[Row]:
    """Give every row the handle of the row above it where it has none."""
    handle = ""
    for row in layout.rows():
        own = layout.text(row, *_HANDLE)
        if row.problem is None and not own and handle:
            row = layout.put(row, {next(name for name in _HANDLE if name in layout.names): handle})  # noqa: PLW2901
        handle = own or handle
        yield row


def _variants(layout: Layout, handle: str, rows: Sequence[Row]) -> Iterator[Row]:
    first = rows[0]
    variants = [row for row in rows if row.problem is not None or row is first or layout.texts(row, _OF_A_VARIANT)]
    layout.tally["picture rows"] += len(rows) - len(variants)
    named = [(_place(layout, row, at), name) for at, row in enumerate(rows) if (name := layout.text(row, *_IMAGE))]
    images = [name for _, name in sorted(named, key=lambda one: one[0])]
    owned = {layout.text(row, *_OWN) for row in variants} - {""}
    for row in variants:
        if row.problem is not None:
            yield row
            continue
        own = layout.text(row, *_OWN)
        # What another variant shows is no picture of this one.
        others = [name for name in images if name not in owned or name == own or not own]
        pictures = tuple(dict.fromkeys([*([own] if own else []), *others]))
        lacking = layout.lacking(row, first, (*_HANDLE, *_OF_THE_PRODUCT)) if row is not first else {}
        own_values = _own_values(layout, row, first, handle, is_only=len(variants) == 1)
        yield layout.put(row, {**lacking, **own_values}, pictures or None)


def _place(layout: Layout, row: Row, at: int) -> tuple[int, int]:
    position = layout.text(row, *_POSITION)
    return (int(position) if position.isdigit() else at + 1, at)


def _own_values(layout: Layout, row: Row, first: Row, handle: str, *, is_only: bool) -> dict[str, str]:
    """Return the id, the prices and the colour of a variant."""
    named = [
        (layout.text(first, f"option{at} name").lower(), layout.text(row, f"option{at} value")) for at in (1, 2, 3)
    ]
    options = [value for _, value in named if value and value.lower() != _DEFAULT]
    sku = layout.text(row, *_SKU) or "/".join([handle, *([] if is_only else options)])
    regular, reduced = _prices(layout.text(row, *_PRICE), layout.text(row, *_BEFORE))
    return {
        next((name for name in _SKU if name in layout.names), _SKU[0]): sku,
        REGULAR: regular,
        REDUCED: reduced,
        COLOUR: next((value for name, value in named if name in _COLOURS and value), ""),
        MATERIAL: next((value for name, value in named if name in _MATERIALS and value), ""),
    }


def _prices(price: str, before: str) -> tuple[str, str]:
    """Return the regular and the reduced price: on sale where the one to compare at is higher."""
    try:
        is_reduced = bool(before) and parse_price(before) > parse_price(price)
    except ValueError:
        is_reduced = False
    return (before, price) if is_reduced else (price, "")


_COLUMNS = {
    "product_id": _SKU,
    "group_id": _HANDLE,
    "image": _IMAGE,
    "title": ("title",),
    "label": ("type",),
    "category": ("product category",),
    "brand": ("vendor",),
    "colour": (COLOUR.lower(),),
    "price": (REGULAR.lower(),),
    "sale_price": (REDUCED.lower(),),
    "stock": _STOCK,
    "status": ("status",),
    "material": (MATERIAL.lower(),),
    "gender": ("google shopping / gender",),
}
CLASSIC = Profile(
    name="shopify",
    title="Shopify export",
    required=words("handle, title, variant price, image src"),
    strong=words(
        "vendor, type, variant sku, option1 name, option1 value, variant inventory qty, image position, status"
    ),
    columns=_COLUMNS,
    readers={"status": state},
    grammar=_products,
    adds=(REGULAR, REDUCED, COLOUR, MATERIAL),
)
NEW = replace(
    CLASSIC,
    name="shopify-template",
    required=words("url handle, title, price, product image url"),
    strong=words("vendor, type, sku, option1 name, option1 value, inventory quantity, image position, status"),
)
PROFILES = (CLASSIC, NEW)
