"""Columns are guessed by their names, and checked where people choose them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from backend.catalogue.items import DETAIL_COLUMNS, Product
from backend.catalogue.sources import mapping
from backend.catalogue.sources.mapping import FIELDS, check_columns, guess_columns
from backend.errors import CatalogueError


def test_fields_are_those_of_a_product_each_with_its_help():
    assert set(FIELDS) == {"product_id", "image", *DETAIL_COLUMNS}
    assert set(FIELDS) <= {item.name for item in fields(Product)}
    assert all(text.endswith(".") for text in FIELDS.values())


def test_no_name_means_two_fields():
    names = [name for synonyms in mapping._SYNONYMS.values() for name in synonyms]
    assert len(names) == len(set(names))
    assert [mapping._plain(name) for name in names] == names


@pytest.mark.parametrize(
    ("columns", "guessed"),
    [
        (list(FIELDS), {field: field for field in FIELDS}),
        (
            ["SKU", "Image Path", "product-type", "Name", "Manufacturer", "List Price", "Qty", "Color", "notes"],
            {
                "product_id": "SKU",
                "image": "Image Path",
                "label": "product-type",
                "title": "Name",
                "brand": "Manufacturer",
                "colour": "Color",
                "price": "List Price",
                "stock": "Qty",
            },
        ),
        (
            [
                "id",
                "gender",
                "masterCategory",
                "subCategory",
                "articleType",
                "baseColour",
                "productDisplayName",
                "file",
            ],
            {
                "product_id": "id",
                "image": "file",
                "label": "articleType",
                "title": "productDisplayName",
                "category": "masterCategory",
                "colour": "baseColour",
                "gender": "gender",
            },
        ),
        (["image", "label"], {"image": "image", "label": "label"}),
        (["asin", "img_url", "class", "dept"], {"product_id": "asin", "image": "img_url", "label": "class"}),
        (["path", "filename", "fold"], {"image": "filename", "split": "fold"}),
        (["description", "title"], {"title": "title"}),
        (["weight", "size"], {}),
        ([], {}),
    ],
)
def test_columns_are_guessed_by_name(columns, guessed):
    assert guess_columns(columns) == guessed


def test_a_fields_own_name_wins_over_other_names_for_it():
    assert guess_columns(["sku", "product_id", "photo", "image"]) == {"product_id": "product_id", "image": "image"}
    assert guess_columns(["id", "sku"])["product_id"] == "sku"


def test_columns_of_bytes_are_pictures_and_nothing_else():
    assert guess_columns(["name", "payload"], ["payload"]) == {"image": "payload", "title": "name"}
    assert guess_columns(["path", "label", "bytes"], ["label", "bytes"]) == {"image": "bytes"}
    assert guess_columns(["image", "raw"], ["raw"]) == {"image": "image"}


def test_a_mapping_that_fits_passes():
    check_columns({"image": "a", "title": "a"}, ["a", "b"])


@pytest.mark.parametrize(
    ("chosen", "words", "step"),
    [
        ({"image": "a", "size": "b"}, "no field size", "product_id, image, label"),
        ({"image": "a", "title": "c"}, "no column 'c' for title", "a, b"),
        ({"title": "a"}, "No column is chosen for the pictures", "a, b"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(chosen, words, step):
    with pytest.raises(CatalogueError, match=words) as caught:
        check_columns(chosen, ["a", "b"])
    assert step in caught.value.next_step


def test_without_a_label_the_category_is_what_models_learn_from():
    assert guess_columns(["Artikelnummer", "Category", "Image"])["label"] == "Category"
    assert guess_columns(["id", "Category", "articleType", "Image"])["label"] == "articleType"
    assert "label" not in guess_columns(["id", "Category", "Image"], refused={"label": ["Category"]})
