"""Google Merchant Center, as text with tabs or as XML: a row is an offer, which is one variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import above, leaf, listed_pictures
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

KIND = "product type"


def offers(layout: Layout) -> Iterator[Row]:
    """Give every offer, with Google's category in words where the shop's own is empty."""
    for row in layout.rows():
        google = "" if layout.text(row, KIND) else layout.text(row, "google product category", "fb product category")
        yield layout.put(row, {KIND: google}) if leaf(google) else row


def pictures(layout: Layout, row: Row) -> list[str]:
    """Return the picture of an offer and its further ones."""
    cells = ("image link", "image url", "additional image link", "additional image links", "additional image urls")
    return listed_pictures(*layout.texts(row, cells))


COLUMNS = {
    "product_id": ("id",),
    "group_id": ("item group id",),
    "image": ("image link",),
    "title": ("title",),
    "label": (KIND, "google product category", "fb product category"),
    "category": (KIND, "google product category", "fb product category"),
    "brand": ("brand",),
    "colour": ("color", "colour"),
    "price": ("price",),
    "sale_price": ("sale price",),
    "availability": ("availability",),
    "url": ("link", "url"),
    "material": ("material",),
    "gender": ("gender",),
}
READERS = {"label": leaf, "category": above}
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
