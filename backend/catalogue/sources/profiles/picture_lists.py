"""Lists of pictures for research: a row is one picture, and what is to be found of it are other pictures of its product."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PICTURE_ID, KIND, GENDER, PART = "Id of the picture", "Kind of product", "For whom", "Part"
_PARTS = {"query": "test", "gallery": "gallery-only", "train": "train"}
_FOR = {"women": "female", "men": "male"}


def _in_shop(layout: Layout) -> Iterator[Row]:
    for row in layout.rows():
        path = PurePosixPath(layout.text(row, "image name"))
        folders = path.parts[-4:-2] if len(path.parts) > 3 else ("", "")
        part = layout.text(row, "evaluation status").lower()
        made = {
            PICTURE_ID: path.with_suffix("").as_posix(),
            KIND: folders[1].replace("_", " "),
            GENDER: _FOR.get(folders[0].lower(), ""),
            PART: _PARTS.get(part, part),
        }
        yield layout.put(row, made)


def _online_products(layout: Layout) -> Iterator[Row]:
    """Give the pictures of one of the two files; which part it is, only its name says."""
    name = layout.file.lower()
    part = "test" if "test" in name else "train" if "train" in name else ""
    for row in layout.rows():
        folder = PurePosixPath(layout.text(row, "path")).parent.name
        yield layout.put(row, {KIND: folder.removesuffix("_final").replace("_", " "), PART: part})


IN_SHOP = Profile(
    name="in-shop",
    title="DeepFashion In-Shop",
    required=words("image name, item id, evaluation status"),
    columns={
        "product_id": (PICTURE_ID.lower(),),
        "image": ("image name",),
        "label": ("item id",),
        "split": (PART.lower(),),
        "category": (KIND.lower(),),
        "group_id": ("item id",),
        "gender": (GENDER.lower(),),
    },
    grammar=_in_shop,
    adds=(PICTURE_ID, KIND, GENDER, PART),
)
ONLINE_PRODUCTS = Profile(
    name="online-products",
    title="Stanford Online Products",
    required=words("image id, class id, super class id, path"),
    columns={
        "product_id": ("image id",),
        "image": ("path",),
        "label": ("class id",),
        "split": (PART.lower(),),
        "category": (KIND.lower(),),
        "group_id": ("class id",),
    },
    grammar=_online_products,
    adds=(KIND, PART),
)
PROFILES = (IN_SHOP, ONLINE_PRODUCTS)
