"""The fashion product images of Kaggle: the last column spills over commas, pictures are called as their products.

The list of pictures and their addresses, which comes with it, is read for itself, too.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.profile import Profile, words
from backend.catalogue.sources.tables.csv_table import MORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PICTURE, PICTURE_ID = "Picture of the product", "Id of the picture"
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
        path = _found(layout, f"images/{key}.jpg", str(links.get(key, {}).get("link") or ""))
        yield layout.put(whole, {PICTURE: path}, (path,))


def _pictures(layout: Layout) -> Iterator[Row]:
    for row in layout.rows():
        name = layout.text(row, "filename")
        path = _found(layout, name, layout.text(row, "link"))
        made = {PICTURE_ID: PurePosixPath(name).stem, PICTURE: path}
        yield layout.put(row, made, (path,) if path else ())


def _found(layout: Layout, path: str, link: str) -> str:
    """Return the path of a picture, or its address where there is no such file."""
    return link if "://" in link and layout.find(path).locator is None else path


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
    Profile(
        name="kaggle-pictures",
        title="List of pictures",
        required=words("filename, link"),
        negative=words("id, title, name, price, label, category, brand"),
        columns={"product_id": (PICTURE_ID.lower(),), "image": (PICTURE.lower(),)},
        grammar=_pictures,
        adds=(PICTURE_ID, PICTURE),
    ),
)
