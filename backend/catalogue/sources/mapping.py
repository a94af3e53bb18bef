"""Which column of a table is which field of a product: by guess, and checked where it is done by hand."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from backend.catalogue.fields import PRODUCT_FIELDS
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# Names of numbers that stand on the packaging: several products may share one, and no shop calls a product by it.
CODES = frozenset({"ean", "gtin", "styleid", "productcode"})
# The fields that a column can be mapped to, and what each means to whoever maps.
FIELDS: dict[str, str] = {
    "product_id": "Unique id of the product; without it, the path of its picture or its row number is used.",
    "image": "The picture: a path relative to the table's folder, or the encoded picture itself. Required.",
    "label": "The kind of product; products without one appear in results, but Twinset does not learn from them.",
    "split": "Its use: train, validation, test or gallery-only. If empty, Twinset chooses.",
    **{one.name: one.meaning for one in PRODUCT_FIELDS},
}

# Names that mean a field, best first, as _plain() writes them.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "product_id": (
        *("productid", "productno", "productnumber", "sku", "itemid", "itemno", "itemnumber", "articleid", "articleno"),
        *("articlenumber", "article", "artikelnr", "artikelnummer", "artikelid", "produktnummer", "asin", "uid", "id"),
        *("reference", "referencia", "referenceproduit", "codearticle", "ean", "gtin", "styleid", "productcode"),
    ),
    "image": (
        *("image", "imagebytes", "imagedata", "bytes", "imagepath", "imagefile", "imagefilename", "imagename", "img"),
        *("imgpath", "imgfile", "picture", "picturepath", "picturefile", "photo", "photopath", "photofile"),
        *("filepath", "filename", "path", "file", "imageurl", "imgurl", "photourl", "pictureurl", "imagelink"),
        *("images", "pictures", "photos", "imagesrc", "bild", "bilder", "bilddatei", "bildpfad", "foto", "fotos"),
        *("imagen", "imagenes", "photoproduit", "hauptbild"),
    ),
    "label": (
        "label",
        "labelname",
        "class",
        "classname",
        "kind",
        "producttype",
        "producttypename",
        "articletype",
        "itemtype",
        "type",
        "produktart",
        "produkttyp",
        "artikelart",
        "typedeproduit",
        "tipodeproducto",
    ),
    "split": ("split", "subset", "partition", "fold"),
    **{one.name: one.called for one in PRODUCT_FIELDS},
}
_IGNORED = re.compile(r"[\s_.\-]+")


def guess_columns(
    column_names: Sequence[str], binary: Collection[str] = (), refused: Mapping[str, Collection[str]] | None = None
) -> dict[str, str]:
    """Guess the column of each field by its name; case, spaces, dots, hyphens and underscores do not matter.

    A column is used once, and a field's own name wins over other names for it. Where no column is the label, the
    category is: models learn from nothing else.

    Args:
        column_names: Columns of the table.
        binary: Those of them that hold encoded pictures; they can be nothing but ``image``.
        refused: Columns by field that cannot be it, whatever they are called.

    Returns:
        Column by field, in the order of :data:`FIELDS`; fields without a column are left out.

    Example:
        >>> guess_columns(["SKU", "Image Path", "product_type", "Name", "notes"])
        {'product_id': 'SKU', 'image': 'Image Path', 'label': 'product_type', 'title': 'Name'}
    """
    found: dict[str, str] = {}
    no = {field: {*(refused or {}).get(field, ()), *(binary if field != "image" else ())} for field in FIELDS}
    for field in FIELDS:
        _use(found, field, [name for name in column_names if _plain(name) == _plain(field)], no[field])
    if "image" not in found and binary:
        pictures = [name for name in column_names if name in binary]
        _use(found, "image", sorted(pictures, key=lambda name: _rank("image", name)), no["image"])
    for field in FIELDS:
        _use(found, field, may_mean(field, column_names), no[field])
    if "image" not in found and found.get("url") not in {None, *no["image"]} and _plain(found["url"]) == "url":
        found["image"] = found.pop("url")  # tables of nothing but pictures call them so
    if "label" not in found and found.get("category") not in {None, *no["label"]}:
        found["label"] = found.pop("category")
    return {field: found[field] for field in FIELDS if field in found}


def check_columns(mapping: Mapping[str, str], available: Collection[str]) -> None:
    """Check a mapping from field to column before anything is read by it.

    Raises:
        CatalogueError: It names an unknown field or an absent column, or no column has the pictures.
    """
    listed = ", ".join(available)
    for field, column in mapping.items():
        if field not in FIELDS:
            raise CatalogueError(f"A product has no field {field}.", next_step=f"Its fields are {', '.join(FIELDS)}.")
        if column not in available:
            raise CatalogueError(
                f"The table has no column {column!r} for {field}.", next_step=f"Its columns are {listed}."
            )
    if "image" not in mapping:
        raise CatalogueError(
            "No column is chosen for the pictures.", next_step=f"Map one to image; the table has {listed}."
        )


def is_code(name: str) -> bool:
    """Tell whether a column is called as a number on the packaging, which is no id where another column is one."""
    return _plain(name) in CODES


def may_mean(field: str, column_names: Sequence[str]) -> list[str]:
    """Return the columns whose names may mean a field, best first."""
    known = [name for name in column_names if _plain(name) in {*_SYNONYMS[field], _plain(field)}]
    return sorted(known, key=lambda name: (_plain(name) != _plain(field), _rank(field, name)))


def _use(found: dict[str, str], field: str, candidates: Sequence[str], refused: Collection[str]) -> None:
    """Give the field the first candidate that is free and may be it."""
    taken = set(found.values())
    free = [name for name in candidates if name not in taken and name not in refused]
    if field not in found and free:
        found[field] = free[0]


def _rank(field: str, name: str) -> int:
    known = _SYNONYMS[field]
    return known.index(_plain(name)) if _plain(name) in known else len(known)


def _plain(name: str) -> str:
    bare = _IGNORED.sub("", name).casefold()
    if bare.isascii():
        return bare
    return "".join(sign for sign in unicodedata.normalize("NFD", bare) if not unicodedata.combining(sign))
