"""The fashion product images of Kaggle: the last column spills over commas, pictures are called as their products."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.profile import Profile, words
from backend.catalogue.sources.tables.csv_table import MORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PICTURE = "Picture of the product"
_NAME = "productdisplayname"


def _products(layout: Layout) -> Iterator[Row]:
    links = {PurePosixPath(name).stem: row for name, row in layout.joined(("filename", "link")).items()}
    for row in layout.rows():
        whole = row
        if row.spilt:
            text = ",".join([layout.text(row, _NAME), *row.spilt])
            whole = layout.put(row, {_NAME: text, MORE: ""})._replace(problem=None, spilt=())
        if whole.problem is not None:
            yield whole
            continue
        key = layout.text(whole, "id")
        path = f"images/{key}.jpg"
        link = str(links.get(key, {}).get("link") or "")
        if layout.find(path).locator is None and "://" in link:
            path = link
        yield layout.put(whole, {PICTURE: path})._replace(pictures=(path,))


PROFILES = (
    Profile(
        name="kaggle-fashion",
        title="Fashion product images",
        required=words("id, articletype, mastercategory, productdisplayname"),
        strong=words("gender, subcategory, basecolour, season, year, usage"),
        negative=words("file, image, path"),
        columns={
            "product_id": ("id",),
            "image": (PICTURE.lower(),),
            "title": (_NAME,),
            "label": ("articletype",),
            "category": ("mastercategory",),
            "colour": ("basecolour",),
            "gender": ("gender",),
        },
        grammar=_products,
        adds=(PICTURE,),
    ),
)
