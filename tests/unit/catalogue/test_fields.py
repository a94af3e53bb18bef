"""A product's fields are defined once: one more is one entry, and everything iterates over it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from backend.catalogue.fields import COLUMNS, FACETS, LATER, NAMES, Details, details_of, filters_of
from backend.catalogue.items import PRODUCT_COLUMNS, Product
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.locations import open_source
from backend.progress import NullProgress
from tests.support.pictures import put

MOST_FILES = 5  # that name a field


@pytest.fixture(scope="module")
def with_season(repository, projection_bundle, tmp_path_factory):
    command = [sys.executable, "-W", "error", "-m", "tests.support.one_more_field"]
    places = (tmp_path_factory.mktemp("season"), repository / "tests/stored/without-test-split", projection_bundle)
    done = subprocess.run(
        [*command, *map(str, places)], cwd=repository, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_one_more_field_by_one_entry_is_in_the_schema_the_filter_the_csv_and_the_answer(with_season):
    assert with_season["schemas"] == {"arrow": "string", "ddl": True, "gallery": "string", "rejected": True}
    assert with_season["loaded"] == {"mapping": "Collection", "values": ["winter", None]}
    answered = with_season["answered"]
    assert answered["filtered"] == ["winter"] * 5
    assert answered["all"] == ["", "summer", "winter"]
    header, first = csv.reader(answered["csv"])
    assert dict(zip(header, first, strict=True))["season"] == "winter"
    assert answered["filter"] == "Season"
    assert answered["card"].endswith(" · winter")
    assert "season" in answered["parameter"]
    assert answered["documented"] == ["string", "null"]


@pytest.mark.slow
def test_what_was_stored_without_the_field_opens_and_has_none(with_season):
    assert with_season["earlier"] == [None] * 5


def test_a_field_is_named_in_at_most_five_files(repository):
    """Of the brand, which is a word of nothing else; pictures have colours, too, and a price is a range."""
    found = naming(repository, r"\bbrand\b")
    assert "backend/catalogue/fields.py" in found
    assert len(found) <= MOST_FILES, found


def test_the_fields_are_listed_nowhere_else(repository):
    listing = [set(naming(repository, f'"{name}"')) for name in ("category", "colour", "stock")]
    assert set.intersection(*listing) == set()


def naming(repository, pattern):
    """Files that name something; a profile of an export does nothing else than say which column is which field."""
    command = ["git", "grep", "-lE", "--untracked", pattern, "--", "backend/**.py", "app/**.py", "pages/**.py"]
    command.append(":!backend/catalogue/sources/profiles")
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


@pytest.mark.spark
def test_a_catalogue_of_before_the_later_fields_opens_and_a_load_brings_them(home_without_test_split, spark, tmp_path):
    settings, progress = home_without_test_split, NullProgress()
    before = open_snapshot(settings.catalogues_dir, "wardrobe")
    assert {getattr(product, name) for product in before.page(offset=0, limit=5)[0] for name in LATER} == {None}
    first = before.page(offset=0, limit=1)[0][0]
    put(tmp_path, "new.png")
    (tmp_path / "old.png").write_bytes(first.image)
    table = tmp_path / "goods.csv"
    table.write_text(
        "id,image,kind,price,sale_price,availability,item_group_id\n"
        f"{first.product_id},old.png,{first.label},12.00 EUR,9.99 EUR,in_stock,G1\nn1,new.png,bag,$5,,preorder,\n",
        "utf-8",
    )
    source = open_source("csv", table, columns=None, label_from="folder", version=None)
    report = ingest(spark, source, settings, catalogue="wardrobe", progress=progress)
    assert (report.counts.new, report.counts.changed, report.rejected) == (1, 1, {})
    now = open_snapshot(settings.catalogues_dir, "wardrobe")
    kept, new = now.product(first.product_id), now.product("n1")
    assert (kept.price, kept.sale_price, kept.currency) == (12.0, 9.99, "EUR")
    assert (kept.availability, kept.group_id) == ("in stock", "G1")
    assert (new.price, new.currency, new.availability) == (5.0, "USD", "preorder")
    assert open_snapshot(settings.catalogues_dir, "wardrobe", before.version).product(first.product_id).currency is None
