"""Every kind of source through real Spark into a table, and the quarantine out, mended, and in again."""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.catalogue.items import LoadCounts
from backend.catalogue.labels import OneLabelEach
from backend.catalogue.loading.ingest import check_source, commit_checked, ingest
from backend.catalogue.loading.quarantine_export import TABLE, export_quarantine
from backend.catalogue.loading.staged_rejects import StagedRejects
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.locations import detect, open_source
from backend.errors import CatalogueNotFound
from backend.imaging.pixels import encode_png
from backend.progress import NullProgress

pytestmark = pytest.mark.spark

PICTURES = [encode_png(p) for p in np.random.default_rng(5).integers(0, 256, (12, 20, 20, 3), np.uint8)]
NAMES = [f"a{number:02d}" for number in range(12)]
HEADER = ("SKU", "Product name", "Type", "Photo", "Price", "Qty")


def row(number, **changes):
    values = {
        "SKU": NAMES[number],
        "Product name": f"Thing {number}",
        "Type": ("Bag", "Coat")[number % 2],
        "Photo": f"pictures/{NAMES[number]}.png",
        "Price": f"{number},50 €",
        "Qty": str(number),
    }
    return {**values, **changes}


def csv_text(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER, delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return "\ufeff" + out.getvalue()


def as_folder(place):
    for name, picture, number in zip(NAMES, PICTURES, range(12), strict=True):
        path = place / ("Bag", "Coat")[number % 2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    return place


def as_zip(place):
    path = place / "shop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, picture, number in zip(NAMES, PICTURES, range(12), strict=True):
            archive.writestr(f"shop/{('Bag', 'Coat')[number % 2]}/{name}.png", picture)
    return path


def as_csv(place):
    (place / "pictures").mkdir()
    for name, picture in zip(NAMES, PICTURES, strict=True):
        (place / "pictures" / f"{name}.png").write_bytes(picture)
    path = place / "shop.csv"
    path.write_text(csv_text([row(number) for number in range(12)]), encoding="utf-8")
    return path


def as_parquet(place):
    path = place / "shop.parquet"
    pq.write_table(_table(), path, row_group_size=5)
    return path


def as_delta(place):
    from deltalake import write_deltalake

    write_deltalake(place / "table", _table().slice(0, 7))
    write_deltalake(place / "table", _table().slice(7), mode="append")
    return place / "table"


def _table():
    return pa.table(
        {
            "item id": NAMES,
            "title": [f"Thing {number}" for number in range(12)],
            "class": [("Bag", "Coat")[number % 2] for number in range(12)],
            "image": pa.array(PICTURES, pa.binary()),
            "price": [number + 0.5 for number in range(12)],
        }
    )


@pytest.fixture
def load(spark, settings):
    def run(path, **options):
        source = open_source(detect(path), path, columns=None, label_from="folder", version=None)
        return ingest(spark, source, settings, catalogue="shop", progress=NullProgress(), **options)

    return run


@pytest.mark.parametrize("make", [as_folder, as_zip, as_csv, as_parquet, as_delta], ids=lambda f: f.__name__[3:])
def test_every_kind_of_source_brings_the_same_products(load, settings, tmp_path, make):
    path = make(tmp_path)
    report = load(path)
    assert (report.kept, report.rejected, report.counts) == (12, {}, LoadCounts(new=12))
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    products, _ = snapshot.page(offset=0, limit=20)
    by_picture = {product.image: product for product in products}
    for number, picture in enumerate(PICTURES):
        product = by_picture[picture]
        assert product.label == ("Bag", "Coat")[number % 2]
        assert product.product_id.endswith(NAMES[number])
        if make in {as_csv, as_parquet, as_delta}:
            assert (product.title, product.price) == (f"Thing {number}", number + 0.5)
    assert load(path).counts == LoadCounts(unchanged=12)


def test_what_was_rejected_is_downloaded_mended_and_loaded_again(load, settings, tmp_path):
    path = as_csv(tmp_path)
    rows = [row(number) for number in range(12)]
    rows[2]["Price"], rows[5]["Photo"], rows[7]["SKU"] = "cheap", "pictures/missing.png", ""
    path.write_text(csv_text(rows), encoding="utf-8")
    (tmp_path / "pictures" / "a09.png").write_bytes(b"no picture")
    report = load(path)
    assert report.rejected == {"no_id": 1, "no_picture": 1, "not_an_image": 1}
    assert report.warnings == {"bad_price": 1}
    assert "One product is loaded without a price: “cheap” is not a price." in report.notes
    assert open_snapshot(settings.catalogues_dir, "shop").product("a02").price is None
    packed = zipfile.ZipFile(io.BytesIO(export_quarantine(open_snapshot(settings.catalogues_dir, "shop"))))
    table = list(csv.DictReader(io.StringIO(packed.read(TABLE).decode())))
    assert {line["reason"].split(":")[0] for line in table} == set(report.rejected)
    assert all(line["source_row"] for line in table)
    pictures = {line["image"]: packed.read(line["image"]) for line in table if line["image"]}
    for line in table:
        code = line["reason"].split(":")[0]
        if code == "no_id":
            line["product_id"] = "a07"
        elif code == "no_picture":
            line["image"] = "images/found.png"
            pictures[line["image"]] = PICTURES[5]
        else:
            pictures[line["image"]] = PICTURES[9]
    mended = tmp_path / "mended.zip"
    with zipfile.ZipFile(mended, "w") as archive:
        for name, picture in pictures.items():
            archive.writestr(name, picture)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
        archive.writestr(TABLE, text.getvalue())
    report = load(mended)
    assert (report.rejected, report.counts.new, report.counts.gone) == ({}, 3, 9)
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert snapshot.summary().rows == 12
    assert snapshot.product("a05").label == "Coat"
    # The row without an id left under the id that it got, which nothing ties to the row that came without one.
    assert snapshot.rejected_by_reason() == {"no_id": 1}


def test_a_shop_as_it_comes_is_checked_listed_and_committed_with_every_guess_counted(spark, settings, tmp_path):
    path = tmp_path / "mac.zip"
    table = "sku;image;label;price;split\r"
    rows = [
        f"{name};Fotos/Ä {name}.png;{('Bag', 'bag', 'Coat')[at % 3]};ab {at},50 €;;" for at, name in enumerate(NAMES)
    ]
    rows[1] = rows[1].replace("ab 1,50 €", "auf Anfrage")
    rows[4] = rows[4].replace("Fotos/Ä a04.png", "Fotos/Ä a04.png, Fotos/Ä a05.png")
    rows[7] = rows[7].replace("a07.png", "lost.png")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("products.csv", table + "\r".join(rows))
        archive.writestr("__MACOSX/._products.csv", "x")
        for name, picture in zip(NAMES, PICTURES, strict=True):
            archive.writestr(unicodedata.normalize("NFD", f"fotos/Ä {name}.png"), picture)
    source = OneLabelEach(open_source("zip", path, columns=None, label_from="folder", version=None))
    report = check_source(spark, source, settings, catalogue="shop", progress=NullProgress())
    assert (report.kept, report.rejected) == (11, {"no_picture": 1})
    assert report.warnings == {"bad_price": 1, "several_pictures": 1}
    assert "One product is loaded without a price: “auf Anfrage” is not a price." in report.notes
    assert set(report.by_label) == {"Bag", "Coat"}
    rejects = StagedRejects(settings, report.staged)
    assert rejects.rejected_by_reason() == report.rejected
    (rejected,) = rejects.rejected(limit=24)
    assert (rejected.product_id, rejected.sentence) == ("a07", "There is no file Fotos/Ä lost.png.")
    packed = zipfile.ZipFile(io.BytesIO(export_quarantine(rejects)))
    assert "Fotos/Ä lost.png" in packed.read(TABLE).decode()
    done = commit_checked(spark, settings, report.staged, gone="keep", progress=NullProgress())
    assert (done.warnings, done.kept) == (report.warnings, 11)
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert (snapshot.product("a04").image, snapshot.product("a05").price) == (PICTURES[4], 5.5)
    with pytest.raises(CatalogueNotFound):
        StagedRejects(settings, report.staged)
