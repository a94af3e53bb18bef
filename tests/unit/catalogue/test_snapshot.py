"""Reading without a JVM, on tables that another writer made: any row order, several files, several versions."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import deltalake
import numpy as np
import pyarrow as pa
import pytest

from backend.catalogue.items import PRODUCTS
from backend.catalogue.schemas import PICTURED_SCHEMA
from backend.catalogue.snapshot import list_catalogues, open_snapshot
from backend.errors import CatalogueError, CatalogueNotFound

LABELS = ("Bag", "Coat", "Ankle boot")
SPLITS = ("train", "train", "validation", "test", "gallery-only")
IDS = [f"p{i:04d}" for i in range(200)]
FULL, NEWEST = 3, 4


def products(numbers, *, colour="red"):
    rows = [int(i) for i in numbers]
    values = {
        "product_id": [f"p{i:04d}" for i in rows],
        "image": [f"picture {i} {colour}".encode() for i in rows],
        "label": [LABELS[i % 3] for i in rows],
        "split": [SPLITS[i % 5] for i in rows],
        "title": [f"{LABELS[i % 3]} No. {i}" for i in rows],
        "brand": [None if i % 2 else "Norrland" for i in rows],
        "colour": [colour] * len(rows),
        "price": [i / 2 for i in rows],
        "ingested_at": [datetime(2026, 11, 22, tzinfo=UTC)] * len(rows),
    }
    return pa.table({f.name: pa.array(values.get(f.name, [None] * len(rows)), f.type) for f in PICTURED_SCHEMA})


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory):
    """Catalogue ``shop``: version 0 empty, 1 to 3 a shuffled file each, 4 another, shorter content."""
    folder = tmp_path_factory.mktemp("home, with space ü") / "catalogues" / "shop" / PRODUCTS
    folder.mkdir(parents=True)
    deltalake.write_deltalake(folder, products([]))
    small_groups = deltalake.WriterProperties(max_row_group_size=20)
    for part in np.array_split(np.random.default_rng(4).permutation(200), 3):
        deltalake.write_deltalake(folder, products(part), mode="append", writer_properties=small_groups)
    deltalake.write_deltalake(folder, products(range(30), colour="blue"), mode="overwrite")
    return folder.parents[1]


@pytest.fixture
def full(catalogues):
    return open_snapshot(catalogues, "shop", FULL)


def ids(page):
    return [product.product_id for product in page[0]]


def test_pages_are_ordered_by_id_whatever_the_order_stored(full):
    found = [ids(full.page(offset=start, limit=48)) for start in range(0, 240, 48)]
    assert found == [IDS[start : start + 48] for start in range(0, 240, 48)]


def test_a_product_comes_with_its_own_picture_and_columns(full):
    (product,), total = full.page(offset=137, limit=1)
    assert total == 200
    assert product == full.product("p0137")
    assert (product.image, product.label, product.split) == (b"picture 137 red", "Ankle boot", "validation")
    assert (product.title, product.brand, product.price, product.stock) == ("Ankle boot No. 137", None, 68.5, None)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"split": "test"}, [i for i in range(200) if i % 5 == 3]),
        ({"label": "Coat"}, [i for i in range(200) if i % 3 == 1]),
        ({"label": "Coat", "split": "train"}, [i for i in range(200) if i % 3 == 1 and i % 5 < 2]),
        ({"search": " boot no. 1"}, [i for i in range(200) if i % 3 == 2 and str(i).startswith("1")]),
        ({"search": "norr", "label": "Bag"}, [i for i in range(200) if i % 6 == 0]),
        ({"search": "P0042"}, [42]),
        ({"search": "no such thing"}, []),
        ({"split": "nowhere"}, []),
        ({"search": ".*"}, []),
    ],
)
def test_filters_meet(full, filters, expected):
    page = full.page(offset=0, limit=1000, **filters)
    assert ids(page) == [IDS[i] for i in expected]
    assert page[1] == len(expected)


def test_a_page_beyond_the_end_is_empty_and_still_counts(full):
    assert full.page(offset=1000, limit=10) == ([], 200)


def test_the_list_of_a_page_belongs_to_its_caller(full):
    full.page(offset=0, limit=3)[0].clear()
    assert len(full.page(offset=0, limit=3)[0]) == 3


def test_many_pages_at_once_from_many_threads(full):
    wrong = []

    def look(offset):
        if ids(full.page(offset=offset, limit=10)) != IDS[offset : offset + 10]:
            wrong.append(offset)

    threads = [threading.Thread(target=look, args=(offset,)) for offset in range(0, 200, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_summary_counts_splits_and_labels(full):
    summary = full.summary()
    assert (summary.name, summary.version, summary.rows, summary.quarantined) == ("shop", FULL, 200, 0)
    assert summary.by_split == {"train": 80, "validation": 40, "test": 40, "gallery-only": 40}
    assert summary.by_label["Bag"] == {"gallery-only": 13, "test": 14, "train": 27, "validation": 13}
    assert list(summary.by_label) == sorted(LABELS)
    assert datetime.fromisoformat(summary.committed_at).tzinfo is not None


def test_columns_come_ordered_with_or_without_splits(full):
    table = full.columns(["product_id", "price"])
    assert table.to_pydict() == {"product_id": IDS, "price": [i / 2 for i in range(200)]}
    some = full.columns(["product_id"], splits=["test", "validation"])
    assert some["product_id"].to_pylist() == [IDS[i] for i in range(200) if i % 5 in {2, 3}]


def test_batches_stream_every_row_once(full):
    batches = list(full.batches(splits=["train", "test"], columns=["product_id", "image"], batch_size=16))
    assert max(batch.num_rows for batch in batches) <= 16
    rows = pa.Table.from_batches(batches).to_pydict()
    assert sorted(rows["product_id"]) == [IDS[i] for i in range(200) if i % 5 in {0, 1, 3}]
    assert all(image == f"picture {int(i[1:])} red".encode() for i, image in zip(*rows.values(), strict=True))
    assert sum(b.num_rows for b in full.batches(splits=None, columns=["label"], batch_size=64)) == 200


def test_versions_stay_as_they_were(catalogues):
    newest, first = open_snapshot(catalogues, "shop"), open_snapshot(catalogues, "shop", 1)
    assert (newest.version, newest.ref.name, newest.ref.version) == (NEWEST, "shop", NEWEST)
    assert newest.product("p0003").colour == "blue"
    assert newest.summary().rows == 30
    assert first.summary().rows == 67
    assert open_snapshot(catalogues, "shop", FULL).product("p0003").colour == "red"


def test_a_missing_product_is_said_to_be_missing(full):
    with pytest.raises(CatalogueNotFound, match="shop has no product p9999"):
        full.product("p9999")


@pytest.mark.parametrize("version", [-1, 0, NEWEST + 1])
def test_a_version_that_is_none_is_answered_with_those_there_are(catalogues, version):
    with pytest.raises(CatalogueNotFound, match=f"no version {version}") as caught:
        open_snapshot(catalogues, "shop", version)
    assert "1 to 4" in caught.value.next_step


def test_only_folders_that_hold_a_load_are_catalogues(catalogues, tmp_path):
    assert list_catalogues(catalogues) == ["shop"]
    assert list_catalogues(tmp_path / "nowhere") == []
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("no catalogue")
    begun = tmp_path / "begun" / PRODUCTS
    begun.mkdir(parents=True)
    deltalake.write_deltalake(begun, products([]))
    assert list_catalogues(tmp_path) == []
    for name in ("notes", "begun", "absent"):
        with pytest.raises(CatalogueNotFound, match=f"no catalogue {name}") as caught:
            open_snapshot(tmp_path, name)
        assert "catalogue ingest" in caught.value.next_step


@pytest.mark.parametrize("name", ["", "..", "../shop", "a/b", ".hidden", "x" * 65, "shop\n"])
def test_a_name_cannot_lead_out_of_the_folder(catalogues, name):
    with pytest.raises(CatalogueError, match="is not a valid"):
        open_snapshot(catalogues, name)


def test_a_damaged_log_is_an_error_of_ours_and_hides_no_other_catalogue(tmp_path):
    log = tmp_path / "broken" / PRODUCTS / "_delta_log"
    log.mkdir(parents=True)
    for version in (0, 1):
        (log / f"{version:020d}.json").write_text("{no json")
    assert list_catalogues(tmp_path) == ["broken"]
    with pytest.raises(CatalogueError, match="cannot be read"):
        open_snapshot(tmp_path, "broken")
