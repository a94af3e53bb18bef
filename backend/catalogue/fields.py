"""What is known of a product beside its id, picture, label and split: one definition, which everything else iterates over.

A field is one entry of :class:`Details`, behind those that are there. From it come the column of the catalogue and of a
bundle's gallery, the columns of a table that are taken for it, its filter, its place on cards, in the CSV and in the
endpoint's answer. A catalogue or a bundle that was written before opens, and has nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal

Kind = Literal["string", "double", "int"]  # Spark SQL types
_KINDS: dict[str, Kind] = {"str | None": "string", "float | None": "double", "int | None": "int"}
Filter = Literal["", "values", "range", "presence"]


@dataclass(frozen=True, slots=True)
class ProductField:
    """One field of a product; empty where it is not known.

    Attributes:
        name: Of the column, wherever there is one.
        kind: Its type. Of texts nothing else is needed; a number needs a parser in ``sources.tables.rows``.
        title: What pages call it.
        meaning: What it is, in a sentence, for whoever maps a table's columns.
        called: Names of columns that mean it, best first, without spaces and signs.
        filtered: How answers are limited by it: to some of its values, to a range, to those that have any. The filter
            of a range is called ``<name>_min`` and ``<name>_max``, that of presence ``in_<name>``.
        is_on_card: Whether cards name it, below the title.
        is_bounded: Whether the log of the table keeps its least and greatest value in each file.
    """

    name: str
    kind: Kind
    title: str
    meaning: str
    called: tuple[str, ...]
    filtered: Filter = ""
    is_on_card: bool = False
    is_bounded: bool = False


def _detail(title: str, meaning: str, called: str, **more: Any) -> Any:
    return field(default=None, metadata={"title": title, "meaning": meaning, "called": tuple(called.split()), **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The fields, as every product, answer and rejected row has them."""

    title: str | None = _detail(
        "Title",
        "Its name.",
        "title producttitle productname productdisplayname itemname displayname name prodname bezeichnung artikelbezeichnung "
        "artikelname produktname titel titre nom nomduproduit designation titulo nombre nombredelproducto "
        "productdescription shortdescription description",
    )
    category: str | None = _detail(
        "Category",
        "The wider group it belongs to.",
        "category categoryname productcategory mastercategory department departmentname section productgroup "
        "productgroupname subcategory categories warengruppe kategorie kategorien categorie categoria categorias rayon",
        filtered="values",
        is_bounded=True,
    )
    brand: str | None = _detail(
        "Brand",
        "Who makes it.",
        "brand brandname manufacturer vendor maker designer brands marke hersteller marque fabricant marca fabricante",
        filtered="values",
        is_on_card=True,
        is_bounded=True,
    )
    colour: str | None = _detail(
        "Colour",
        "Its colour, in words.",
        "colour color colourname colorname basecolour basecolor maincolour maincolor colourgroupname farbe couleur",
        filtered="values",
        is_on_card=True,
    )
    price: float | None = _detail(
        "Price",
        "A number, with or without a currency sign.",
        "price listprice unitprice retailprice regularprice amount cost preis verkaufspreis vkpreis vkbrutto vk bruttopreis "
        "einzelpreis prix prixttc prixdevente precio preciodeventa pvp",
        filtered="range",
        is_bounded=True,
    )
    stock: int | None = _detail(
        "Stock",
        "The number in stock: a whole number.",
        "stock stocklevel stockquantity quantity qty inventory onhand available bestand lagerbestand menge quantite "
        "existencias cantidad",
        filtered="presence",
        is_bounded=True,
    )
    group_id: str | None = _detail(
        "Product group",
        "What the variants of one product have in common, such as the id of that product.",
        "groupid itemgroupid parentsku parentid masterid hauptartikel",
    )
    url: str | None = _detail(
        "Page", "The address of its page in the shop.", "url link producturl productlink pageurl lien enlace"
    )
    currency: str | None = _detail(
        "Currency",
        "The currency of its prices: a sign or a code such as EUR.",
        "currency currencycode wahrung devise moneda divisa",
        filtered="values",
    )
    sale_price: float | None = _detail(
        "Sale price",
        "The reduced price, where it is on sale.",
        "saleprice specialprice angebotspreis sonderpreis aktionspreis prixpromo preciorebajado preciodeoferta",
        filtered="range",
    )
    availability: str | None = _detail(
        "Availability",
        "In stock, out of stock, preorder or backorder.",
        "availability verfugbarkeit disponibilite disponibilidad",
        filtered="values",
    )
    status: str | None = _detail(
        "Status", "Whether the shop shows it: active, draft or archived.", "status statut estado"
    )
    material: str | None = _detail("Material", "What it is made of.", "material fabric stoff matiere")
    gender: str | None = _detail("Gender", "For whom it is made.", "gender geschlecht zielgruppe genero sexe")


PRODUCT_FIELDS = tuple(ProductField(item.name, _KINDS[str(item.type)], **item.metadata) for item in fields(Details))
NAMES = tuple(one.name for one in PRODUCT_FIELDS)
# Fields that were added after the first ones, at the end; what was written before does not have them.
LATER = frozenset(NAMES[6:])
TEXTS = tuple(one.name for one in PRODUCT_FIELDS if one.kind == "string")
# Those that answers can be limited to some values of, in their order.
FACETS = tuple(one.name for one in PRODUCT_FIELDS if one.filtered == "values")
# Those that answers can be limited to a range of: the prices.
RANGES = tuple(one.name for one in PRODUCT_FIELDS if one.filtered == "range")
# The columns of a Delta table: name, Spark SQL type, may be null.
COLUMNS: tuple[tuple[str, str, bool], ...] = tuple((one.name, one.kind, True) for one in PRODUCT_FIELDS)
_values = attrgetter(*NAMES)


def filters_of(kind: Filter) -> tuple[str, ...]:
    """Return the names of all filters of a kind."""
    patterns = {"values": ("{}",), "range": ("{}_min", "{}_max"), "presence": ("in_{}",)}[kind]
    return tuple(pattern.format(one.name) for one in PRODUCT_FIELDS if one.filtered == kind for pattern in patterns)


def details_of(item: Details) -> dict[str, Any]:
    """Return the fields of a product by name."""
    return dict(zip(NAMES, _values(item), strict=True))
