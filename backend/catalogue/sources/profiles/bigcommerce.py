"""BigCommerce: a product's row, and below it the rows of its variants, pictures, videos and rules."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import listed_pictures, positive, state, steps
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

GROUP, COLOUR = "Product group", "Colour option"
_KIND = ("item", "item type")
_SKU, _ID = ("sku", "product code/sku"), ("id", "product id")
_IMAGES = ("internal image url (export)", "image url (import)")
_FILE = re.compile(r"product image file - (\d+)")
_OF_A_VARIANT = frozenset({"variant", "sku"})
_INHERITED = (
    *("name", "product name", "price", "sale price", "brand", "brand name", "categories", "category", "product url"),
    *("is visible", "product visible?"),
)
_COLOUR = re.compile(r"(?:name=|\])\s*(?:colou?r|farbe|couleur)\s*(?:\|value)?=\s*(?P<value>[^|;,\[]+)", re.IGNORECASE)
_PATHS = re.compile(r"category path:\s*([^|;]+)", re.IGNORECASE)
_TRUE = frozenset({"true", "y", "yes", "1"})


def _products(layout: Layout) -> Iterator[Row]:
    gathered: list[Row] = []
    for row in layout.rows():
        if row.problem is not None:
            yield row
        elif _kind(layout, row) == "product":
            yield from _variants(layout, gathered)
            gathered = [row]
        elif gathered:
            gathered.append(row)
        else:
            yield row._replace(problem="bad_row: There is no product row above it.")
    yield from _variants(layout, gathered)


def _variants(layout: Layout, rows: Sequence[Row]) -> Iterator[Row]:
    """Give the variants of a product, or the product where it has none."""
    if not rows:
        return
    product, by_kind = rows[0], defaultdict(list)
    for row in rows[1:]:
        by_kind["variant" if _kind(layout, row) in _OF_A_VARIANT else _kind(layout, row)].append(row)
    variants = by_kind.pop("variant", [])
    for kind, others in by_kind.items():
        layout.tally["picture rows" if kind == "image" else f"{kind or 'other'} rows"] += len(others)
    images = _pictures(layout, product, rows[1:])
    key = layout.text(product, *_SKU) or layout.text(product, *_ID)
    layout.tally["parent rows"] += bool(variants)
    shown = {picture for row in variants for picture in _own(layout, row)}
    for row in variants or [product]:
        own = _own(layout, row) if variants else []
        rest = [name for name in images if name not in shown or not own]
        made = {
            next((name for name in _SKU if name in layout.names), _SKU[0]): layout.text(row, *_SKU)
            or layout.text(row, *_ID),
            GROUP: key if variants else "",
            COLOUR: _colour(layout.text(row, "options", "product name")),
        }
        whole = layout.inherited(row, product, _INHERITED) if variants else row
        if variants and layout.text(row, "product name").startswith("["):  # the options of a variant, not its name
            made["product name"] = layout.text(product, "product name")
        yield layout.put(whole, made, tuple(dict.fromkeys([*own, *rest])) or None)


def _kind(layout: Layout, row: Row) -> str:
    return layout.text(row, *_KIND).lower()


def _own(layout: Layout, row: Row) -> list[str]:
    return listed_pictures(*layout.texts(row, ("variant image url",))) + _numbered(layout, row)


def _pictures(layout: Layout, product: Row, rows: Sequence[Row]) -> list[str]:
    """Return the pictures of a product: its thumbnail first, then as they are sorted."""
    found = []
    for at, row in enumerate(rows):
        if _kind(layout, row) == "image" and (name := layout.text(row, *_IMAGES)):
            place = layout.text(row, "image sort order")
            is_thumbnail = layout.text(row, "image is thumbnail").lower() in _TRUE
            found.append((not is_thumbnail, int(place) if place.isdigit() else at, at, name))
    return [name for *_, name in sorted(found)] or _numbered(layout, product)


def _numbered(layout: Layout, row: Row) -> list[str]:
    """Return the pictures in numbered columns."""
    found = []
    for name in layout.names:
        if (match := _FILE.fullmatch(name)) and (picture := layout.text(row, name)):
            flag = layout.text(row, f"product image is thumbnail - {match[1]}").lower()
            found.append((flag not in _TRUE, int(match[1]), picture))
    return [picture for *_, picture in sorted(found)]


def _colour(options: str) -> str:
    found = _COLOUR.search(options)
    return found["value"].strip() if found else ""


def _path(text: str) -> list[str]:
    """Return the first path of categories; of nothing but numbers there is none."""
    path = _PATHS.search(text)
    parts = steps(path[1] if path else text.split(";", maxsplit=1)[0])
    return [] if all(part.isdigit() for part in parts) else parts


def _label(text: str) -> str | None:
    return next(iter(_path(text)[-1:]), None)


def _category(text: str) -> str | None:
    return " > ".join(_path(text)[:-1]) or None


_COLUMNS = {
    "product_id": _SKU,
    "group_id": (GROUP.lower(),),
    "title": ("name", "product name"),
    "label": ("categories", "category", "category string"),
    "category": ("categories", "category", "category string"),
    "brand": ("brand", "brand name"),
    "colour": (COLOUR.lower(),),
    "price": ("price",),
    "sale_price": ("sale price",),
    "stock": ("current stock", "current stock level"),
    "status": ("is visible", "product visible?"),
    "url": ("product url",),
}


def _visible(text: str) -> str | None:
    return state("1" if text.lower() in _TRUE else "0")


_READERS = {"label": _label, "category": _category, "sale_price": positive, "status": _visible}
PROFILES = (
    Profile(
        name="bigcommerce",
        title="BigCommerce export",
        required=words("item, id, name, sku, price"),
        any_of=frozenset(_IMAGES) | words("variant image url"),
        strong=words(
            "type, options, inventory tracking, current stock, image is thumbnail, image sort order, brand id"
        ),
        columns={**_COLUMNS, "image": _IMAGES},
        readers=_READERS,
        grammar=_products,
        adds=(GROUP, COLOUR),
    ),
    Profile(
        name="bigcommerce-old",
        title="BigCommerce export",
        required=words("item type, product id, product name, product code/sku"),
        strong=words("product type, brand name, price, current stock level, product image file - 1"),
        columns={**_COLUMNS, "image": ("product image file - 1",)},
        readers=_READERS,
        grammar=_products,
        adds=(GROUP, COLOUR),
    ),
)
