"""Magento and Adobe Commerce: a row for each SKU and store view; configurable products name the simple ones they consist of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import first_of, listed_pictures, named_values, positive, state, steps
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

GROUP, BRAND, COLOUR, MATERIAL, GENDER = (
    *("Product group", "Brand attribute", "Colour attribute"),
    *("Material attribute", "Gender attribute"),
)
_ATTRIBUTES = {
    BRAND: ("brand", "manufacturer", "marke"),
    COLOUR: ("color", "colour", "farbe"),
    MATERIAL: ("material", "fabric"),
    GENDER: ("gender",),
}
_INHERITED = (
    "categories",
    "base image",
    "additional images",
    "url key",
    "product online",
    "brand",
    "manufacturer",
    "price",
)
_SKU = re.compile(r"(?:^|\|)\s*sku=([^,|]+)")
_NONE = "no_selection"
_ROOTS = frozenset({"default category", "root catalog"})


def _products(layout: Layout) -> Iterator[Row]:
    """Give every SKU once; what other store views say of it is counted, and what gathers variants gives them its own."""
    parents = {child: row for row in layout.rows() for child in _children(layout, row)}
    known = {layout.text(row, "sku") for row in layout.rows() if parents} & parents.keys()
    seen: set[str] = set()
    for row in layout.rows():
        sku = layout.text(row, "sku")
        if row.problem is not None or not sku:
            yield row
        elif layout.text(row, "store view code") and sku in seen:
            layout.tally["store view rows"] += 1
        elif known.intersection(_children(layout, row)):
            seen.add(sku)
            layout.tally["parent rows"] += 1
        else:
            seen.add(sku)
            yield _product(layout, row, parents.get(sku))


def _product(layout: Layout, row: Row, parent: Row | None) -> Row:
    whole = layout.inherited(_without_none(layout, row), _without_none(layout, parent), _INHERITED) if parent else row
    named = named_values(layout.text(parent, "additional attributes")) if parent else {}
    named |= named_values(layout.text(row, "additional attributes"))
    made = {column: next((named[one] for one in known if named.get(one)), "") for column, known in _ATTRIBUTES.items()}
    for column, known in _ATTRIBUTES.items():
        made[column] = made[column] or layout.text(whole, *known)
    made[GROUP] = layout.text(parent, "sku") if parent else ""
    base, more = layout.text(whole, "base image"), layout.text(whole, "additional images")
    pictures = tuple(name for name in listed_pictures(base, more) if name != _NONE)
    return layout.put(whole, made, pictures)


def _without_none(layout: Layout, row: Row) -> Row:
    return layout.put(row, {"base image": ""}) if layout.text(row, "base image") == _NONE else row


def _children(layout: Layout, row: Row) -> list[str]:
    return [sku.strip() for sku in _SKU.findall(layout.text(row, "configurable variations"))]


def _path(text: str) -> list[str]:
    parts = steps(first_of(text) or "")
    return parts[1:] if parts and parts[0].lower() in _ROOTS else parts


def _label(text: str) -> str | None:
    """Return the last step of the longest path: shops list a product under every level above it, too."""
    paths = [_path(path) for path in text.split(",")]
    return next(iter(max(paths, key=len)[-1:]), None)


def _category(text: str) -> str | None:
    paths = [_path(path) for path in text.split(",")]
    return " > ".join(max(paths, key=len)[:-1]) or None


PROFILES = (
    Profile(
        name="magento",
        title="Magento export",
        required=words("sku, product type, attribute set code"),
        strong=words(
            "store view code, categories, product websites, name, price, base image, additional attributes, qty"
        )
        | words("configurable variations, is in stock, url key, additional images"),
        columns={
            "product_id": ("sku",),
            "group_id": (GROUP.lower(),),
            "image": ("base image", "image"),
            "title": ("name",),
            "label": ("categories",),
            "category": ("categories",),
            "brand": (BRAND.lower(),),
            "colour": (COLOUR.lower(),),
            "price": ("price",),
            "sale_price": ("special price",),
            "stock": ("qty",),
            "availability": ("is in stock",),
            "url": ("url key",),
            "status": ("product online",),
            "material": (MATERIAL.lower(),),
            "gender": (GENDER.lower(),),
        },
        readers={
            "label": _label,
            "category": _category,
            "sale_price": positive,
            "status": lambda text: state({"2": "0"}.get(text, text)),
            # Four decimals, always behind a dot: 12.0000
            "stock": lambda text: text.removesuffix(".0000"),
        },
        grammar=_products,
        adds=(GROUP, BRAND, COLOUR, MATERIAL, GENDER),
    ),
)
