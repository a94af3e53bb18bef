"""Akeneo PIM: a column for each attribute, locale, channel and currency; pictures below files/ beside the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backend.catalogue.sources.pictures.files import PICTURE_SUFFIXES
from backend.catalogue.sources.profiles.cells import first_of, state
from backend.catalogue.sources.profiles.profile import Profile, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.sources.profiles.profile import Layout
    from backend.catalogue.sources.tables.rows import Row

PRICE, CURRENCY, PICTURE = "Price of the product", "Currency of the price", "Picture of the product"
_PRICES = re.compile(r"(?:list |base )?price-([a-z]{3})")
_LAST = "variation"  # a picture of the variation alone comes behind those of the product
_LANGUAGES = ("en us", "en gb", "de de", "fr fr", "es es")


def _products(layout: Layout) -> Iterator[Row]:
    titles = [name for wanted in _TITLES for name in layout.names if re.fullmatch(wanted, name)]
    priced = [(name, match[1].upper()) for name in layout.names if (match := _PRICES.fullmatch(name))]
    priced.sort(key=lambda one: one[1] != "EUR")
    for row in layout.rows():
        amount, currency = next(
            ((text, code) for name, code in priced if (text := layout.text(row, name))),
            ("", ""),
        )
        named = [
            (name.startswith(_LAST), value) for name in layout.names if _is_picture(value := layout.text(row, name))
        ]
        pictures = tuple(dict.fromkeys(value for _, value in sorted(named, key=lambda one: one[0])))
        made = {PRICE: amount, CURRENCY: currency, PICTURE: next(iter(pictures), "")}
        if titles and not layout.text(row, titles[0]):  # not every product has a name in that language
            made[titles[0]] = layout.text(row, *titles)
        yield layout.put(row, made, pictures)


def _is_picture(value: str) -> bool:
    return "/" in value and value.lower().endswith(tuple(PICTURE_SUFFIXES))


def _named(attribute: str) -> tuple[str | re.Pattern[str], ...]:
    """Return the columns of a text, in the language that is best known."""
    exact = tuple(f"{attribute}-{language}" for language in _LANGUAGES)
    return (*exact, re.compile(rf"{attribute}-.*"), attribute)


_TITLES = (*_named("name"), *_named("label"), *_named("title"))
PROFILES = (
    Profile(
        name="akeneo",
        title="Akeneo export",
        required=words("sku, family"),
        any_of=words("enabled, groups, categories"),
        strong=words("categories, enabled, family, parent, groups"),
        negative=words("store view code, product websites"),
        columns={
            "product_id": ("sku", "identifier"),
            "group_id": ("parent",),
            "image": (PICTURE.lower(),),
            "title": _TITLES,
            "label": ("family",),
            "category": ("categories",),
            "brand": ("brand", "marke", "manufacturer"),
            "colour": ("color", "colour", "main color", "farbe"),
            "price": (PRICE.lower(),),
            "currency": (CURRENCY.lower(),),
            "stock": ("quantity", "stock"),
            "status": ("enabled",),
            "material": ("material",),
            "gender": ("gender",),
        },
        readers={"category": first_of, "status": state},
        grammar=_products,
        adds=(PRICE, CURRENCY, PICTURE),
    ),
)
