"""Google Merchant Center, as text with tabs or as XML: a row is an offer, which is one variant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import above, leaf, listed_pictures
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

KINDS = ("product type", "google product category", "fb product category")
_NUMBER = re.compile(r"\s*\d+\s+-\s+")  # 166 - Apparel & Accessories > Clothing


def offers(layout: Layout) -> Iterator[Row]:
    """Give every offer with the first of its categories that is in words: the shop's own, Google's, or Meta's."""
    named = [name for name in KINDS if name in layout.names]
    for row in layout.rows():
        said = next((text for name in named if kind(text := layout.text(row, name))), "")
        yield layout.put(row, {named[0]: said}) if said and said != layout.text(row, named[0]) else row


def kind(path: str) -> str | None:
    """Return the last step of a path of categories, which Google's number may stand before."""
    return leaf(_NUMBER.sub("", path, count=1))


def _wider(path: str) -> str | None:
    return above(_NUMBER.sub("", path, count=1))


def pictures(layout: Layout, row: Row) -> list[str]:
    """Return the picture of an offer and its further ones."""
    cells = ("image link", "image url", "additional image link", "additional image links", "additional image urls")
    return listed_pictures(*layout.texts(row, cells))


COLUMNS = {
    "product_id": ("id",),
    "group_id": ("item group id",),
    "image": ("image link",),
    "title": ("title",),
    "label": KINDS,
    "category": KINDS,
    "brand": ("brand",),
    "colour": ("color", "colour"),
    "price": ("price",),
    "sale_price": ("sale price",),
    "availability": ("availability",),
    "url": ("link", "url"),
    "material": ("material",),
    "gender": ("gender",),
}
READERS = {"label": kind, "category": _wider}
STRONG = words(
    "description, link, availability, price, brand, gtin, mpn, condition, item group id, google product category"
)

PROFILES = (
    Profile(
        name="google-merchant",
        title="Google Merchant feed",
        required=words("id, title, image link"),
        any_of=words("availability, condition, gtin, item group id, google product category, product type, link"),
        strong=STRONG,
        negative=words("fb product category, quantity to sell on facebook"),
        columns=COLUMNS,
        readers=READERS,
        grammar=offers,
        pictures=pictures,
    ),
)
