"""A product's fields are defined once: one more is one entry, and everything iterates over it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from backend.catalogue.fields import COLUMNS, FACETS, LATER, NAMES, Details, details_of, filters_of
from backend.catalogue.items import PRODUCT_COLUMNS, Product

MOST_FILES = 5  # that name a field


@pytest.fixture(scope="module")
def with_material(repository, projection_bundle, tmp_path_factory):
    command = [sys.executable, "-W", "error", "-m", "tests.support.one_more_field"]
    places = (tmp_path_factory.mktemp("material"), repository / "tests/stored/without-test-split", projection_bundle)
    done = subprocess.run(
        [*command, *map(str, places)], cwd=repository, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_one_more_field_by_one_entry_is_in_the_schema_the_filter_the_csv_and_the_answer(with_material):
    assert with_material["schemas"] == {"arrow": "string", "ddl": True, "gallery": "string", "rejected": True}
    assert with_material["loaded"] == {"mapping": "Fabric", "values": ["wool", None]}
    answered = with_material["answered"]
    assert answered["filtered"] == ["wool"] * 5
    assert answered["all"] == ["", "silk", "wool"]
    header, first = csv.reader(answered["csv"])
    assert dict(zip(header, first, strict=True))["material"] == "wool"
    assert answered["filter"] == "Material"
    assert answered["card"].endswith(" · wool")
    assert "material" in answered["parameter"]
    assert answered["documented"] == ["string", "null"]


@pytest.mark.slow
def test_what_was_stored_without_the_field_opens_and_has_none(with_material):
    assert with_material["earlier"] == [None] * 5


def test_a_field_is_named_in_at_most_five_files(repository):
    """Of the brand, which is a word of nothing else; pictures have colours, too, and a price is a range."""
    found = naming(repository, r"\bbrand\b")
    assert "backend/catalogue/fields.py" in found
    assert len(found) <= MOST_FILES, found


def test_the_fields_are_listed_nowhere_else(repository):
    listing = [set(naming(repository, f'"{name}"')) for name in ("category", "colour", "stock")]
    assert set.intersection(*listing) == set()


def naming(repository, pattern):
    command = ["git", "grep", "-lE", "--untracked", pattern, "--", "backend/**.py", "app/**.py", "pages/**.py"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_fields_are_the_columns_the_attributes_and_the_filters():
    assert NAMES[: len(NAMES) - len(LATER)] == ("title", "category", "brand", "colour", "price", "stock")
    assert set(COLUMNS) <= set(PRODUCT_COLUMNS)
    assert filters_of("values") == FACETS
    assert FACETS[:3] == ("category", "brand", "colour")
    assert {"price_min", "price_max", "in_stock"} <= {*filters_of("range"), *filters_of("presence")}
    product = Product("p1", "bag", "train", b"", brand="Ada", price=2.5)
    assert isinstance(product, Details)
    assert details_of(product) == dict.fromkeys(NAMES) | {"brand": "Ada", "price": 2.5}
