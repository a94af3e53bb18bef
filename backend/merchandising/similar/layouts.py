r"""The layouts that the table leaves in: as a table, as JSON lines, and as shops import them.

Sources: https://help.shopify.com/en/manual/products/import-export/using-csv (a file that updates products needs handle and
title, and a metafield has a column ``<name> (product.metafields.<namespace>.<key>)``; lists of references are handles parted
by semicolons, as Shopify's own exports write them); WooCommerce's Product CSV Importer & Exporter, schema
https://github.com/woocommerce/woocommerce/wiki/Product-CSV-Import-Schema (``Upsells`` are SKUs parted by commas, a comma in
one is written ``\,``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from backend.files.sheet_text import guarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LayoutName = Literal["wide", "long", "jsonl", "shopify", "woocommerce"]
RELATED = "Related products (product.metafields.shopify--discovery--product_recommendation.related_products)"
UPSELLS = "Upsells"
DETAILS = ("group_id", "title", "label", "category", "brand", "price", "stock")  # of a product, from its catalogue
_LONG = ("rank", "similar_id", "similarity", "rank_before", "rules")


@dataclass(frozen=True, slots=True)
class Listed:
    """One product and those like it, in their order.

    Attributes:
        product_id: The product.
        rows: Values of the table's columns for each similar product.
        details: What the catalogue says of it.
        picture: Name of its picture beside the file; empty where pictures do not go with it.
    """

    product_id: str
    rows: Sequence[Mapping[str, Any]]
    details: Mapping[str, Any]
    picture: str = ""

    @property
    def similar(self) -> list[str]:
        """Ids of those like it."""
        return [row["similar_id"] for row in self.rows]


class Layout:
    """How products are written, with the groups of all of them at hand.

    Args:
        name: The layout.
        k: Similar products of each product, at most.
        groups: Group of each product that has one.
        with_pictures: Whether each product's picture and details go with it, so that the file can be loaded as products.
    """

    def __init__(self, name: LayoutName, k: int, groups: Mapping[str, str], *, with_pictures: bool = False) -> None:
        self.name, self._k, self._groups, self._with_pictures = name, k, groups, with_pictures
        self._handles: set[str] = set()
        self.left_out = 0

    @property
    def header(self) -> list[str]:
        """Names of the columns; none of JSON lines."""
        more = self._with_pictures
        ours = ["image", *DETAILS] if more else []
        return {
            "wide": ["product_id", *ours, *(f"similar_{rank}" for rank in range(1, self._k + 1))],
            "long": ["product_id", *_LONG],
            "jsonl": [],
            "shopify": ["Handle", "Title", *(_SHOPIFY if more else []), RELATED],
            "woocommerce": [*(_WOO if more else ["SKU"]), UPSELLS],
        }[self.name]

    def rows_of(self, one: Listed) -> list[list[Any]]:
        """Return the rows of a product."""
        rows: list[list[Any]] = getattr(self, f"_{self.name}")(one)
        return rows

    def _wide(self, one: Listed) -> list[list[Any]]:
        ours = [one.picture, *(one.details.get(name) for name in DETAILS)] if self._with_pictures else []
        return [_guarded([one.product_id, *ours, *one.similar, *[None] * (self._k - len(one.rows))])]

    def _long(self, one: Listed) -> list[list[Any]]:
        return [_guarded([one.product_id, *(row[name] for name in _LONG)]) for row in one.rows]

    def _jsonl(self, one: Listed) -> list[list[Any]]:
        ours = {"image": one.picture, **one.details} if self._with_pictures else {}
        known = {name: value for name, value in ours.items() if value is not None}
        similar = [{name: row[name] for name in _LONG if row[name] is not None} for row in one.rows]
        return [[json.dumps({"product_id": one.product_id, **known, "similar": similar}, ensure_ascii=False)]]

    def _shopify(self, one: Listed) -> list[list[Any]]:
        """One row for each handle, that of its first variant; texts are the shop's own, which compares by them."""
        handle = self._groups.get(one.product_id, one.product_id)
        title = one.details.get("title")
        if not title or handle in self._handles:
            self.left_out += not title
            return []
        self._handles.add(handle)
        more = [one.product_id, *_some(one, "brand", "label", "price", "stock"), one.picture]
        related = dict.fromkeys(self._groups.get(name, name) for name in one.similar)
        return [[handle, title, *(more if self._with_pictures else []), "; ".join(related)]]

    def _woocommerce(self, one: Listed) -> list[list[Any]]:
        names = ", ".join(name.replace(",", "\\,") for name in one.similar)
        if not self._with_pictures:
            return [[one.product_id, names]]
        category = " > ".join(part for part in _some(one, "category", "label") if part)
        shown = [*_some(one, "title"), *_some(one, "price"), category.replace(",", "\\,"), one.picture]
        return [["", "simple", one.product_id, *shown, *_some(one, "stock", "brand"), names]]


_SHOPIFY = ["Variant SKU", "Vendor", "Type", "Variant Price", "Variant Inventory Qty", "Image Src"]
_WOO = ["ID", "Type", "SKU", "Name", "Regular price", "Categories", "Images", "Stock", "Brands"]


def _some(one: Listed, *names: str) -> list[Any]:
    return [one.details.get(name) for name in names]


def _guarded(cells: Sequence[Any]) -> list[Any]:
    return ["" if cell is None else guarded(cell) for cell in cells]
