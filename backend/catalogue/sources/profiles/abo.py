"""Amazon Berkeley Objects: JSON lines, a listing a marketplace; pictures by id, whose paths a second table has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.cells import steps
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PICTURE = "Picture of the product"


def _listings(layout: Layout) -> Iterator[Row]:
    paths = layout.joined(("image_id", "height", "width", "path"))
    seen: set[str] = set()
    for row in layout.rows():
        key = layout.text(row, "item id")
        if row.problem is None and key in seen:
            layout.tally["other marketplace rows"] += 1
            continue
        seen.add(key)
        ids = [layout.text(row, "main image id"), *layout.text(row, "other image id").split("\n")]
        pictures = tuple(str(paths[one]["path"]) if one in paths else one for one in ids if one)
        yield layout.put(row, {PICTURE: next(iter(pictures), "")}, pictures)


def _kind(text: str) -> str:
    """Write a kind as people do: CELLULAR_PHONE_CASE."""
    return text.partition("\n")[0].replace("_", " ").capitalize()


def _node(text: str) -> str | None:
    return " > ".join(steps(text.partition("\n")[0])) or None


PROFILES = (
    Profile(
        name="abo",
        title="Amazon Berkeley Objects",
        required=words("item id, main image id, item name"),
        strong=words("other image id, product type, brand, color, node, marketplace, domain name"),
        columns={
            "product_id": ("item id",),
            "image": (PICTURE.lower(),),
            "title": ("item name",),
            "label": ("product type",),
            "category": ("node",),
            "brand": ("brand",),
            "colour": ("color",),
            "material": ("material",),
        },
        readers={
            "label": _kind,
            "category": _node,
            **dict.fromkeys(("title", "brand", "colour", "material"), lambda text: text.partition("\n")[0]),
        },
        grammar=_listings,
        adds=(PICTURE,),
    ),
)
