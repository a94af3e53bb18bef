"""H&M's articles: a row is one colour of a product; pictures are below the first three digits of their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PICTURE = "Picture of the article"
_DIGITS = 10  # of an id; a spreadsheet takes the zeros before it away
_FOR = {"ladieswear": "female", "menswear": "male"}


def _articles(layout: Layout) -> Iterator[Row]:
    for row in layout.rows():
        if row.problem is not None:
            yield row
            continue
        key = layout.text(row, "article id")
        key = key.zfill(_DIGITS) if key.isdigit() else key
        path = f"images/{key[:3]}/{key}.jpg"
        yield layout.put(row, {"article id": key, PICTURE: path}, (path,))


PROFILES = (
    Profile(
        name="hm",
        title="H&M articles",
        required=words("article id, product code, prod name, product type name"),
        any_of=words("detail desc, index group name, garment group name"),
        strong=words("product group name, colour group name, index name, section name, department name"),
        negative=words("image, image path, path, file"),
        columns={
            "product_id": ("article id",),
            "group_id": ("product code",),
            "image": (PICTURE.lower(),),
            "title": ("prod name",),
            "label": ("product type name",),
            "category": ("product group name", "garment group name"),
            "colour": ("colour group name", "perceived colour master name"),
            "gender": ("index group name",),
        },
        readers={"gender": lambda text: _FOR.get(text.lower())},
        grammar=_articles,
        adds=(PICTURE,),
    ),
)
