"""Pictures in a table of their own: written once, untouched by what changes no picture, kept as long as a version shows them."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.catalogue.delta.delta_log import files_of, newest_version, open_table, rows_of
from backend.catalogue.items import PICTURE_BYTES, PICTURES, PRODUCT_CONSTRAINTS, PRODUCTS
from backend.catalogue.loading import products_table
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.loading.picture_tables import held_hashes
from backend.catalogue.noted import noted_version
from backend.catalogue.pictured import has_pictures
from backend.catalogue.schemas import PICTURE_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.sources import entry_table
from backend.catalogue.sources.tables.listing import TableSource
from backend.catalogue.splits import SplitPlan
from backend.catalogue.upkeep.changes import changes_between
from backend.catalogue.upkeep.history import history, readable_versions
from backend.catalogue.upkeep.maintenance import compact, restore, vacuum
from backend.catalogue.upkeep.resplit import redraw_splits
from backend.errors import CatalogueError
from backend.imaging.pixels import encode_png
from backend.progress import NullProgress
from tests.fixtures.stored import STORED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.spark

QUIET = NullProgress()
COLUMNS = (("product_id", "id"), ("image", "image"), ("label", "label"), ("split", "split"), ("price", "price"))


def noise(seed):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8))


class Feed:
    """A table of products and their pictures, to be loaded again and again."""

    def __init__(self, spark, settings, folder: Path):
        self.spark, self.settings, self.folder = spark, settings, folder
        self.rows = {f"p{at:02d}": (at, 9.5) for at in range(12)}

    @property
    def catalogue(self) -> Path:
        return self.settings.catalogues_dir / "shop"

    @property
    def snapshot(self):
        return open_snapshot(self.settings.catalogues_dir, "shop")

    def load(self, **options):
        self.folder.mkdir(exist_ok=True)
        lines = ["id,image,label,split,price"]
        for name, (seed, price) in self.rows.items():
            (self.folder / f"{seed}.png").write_bytes(noise(seed))
            lines.append(f"{name},{seed}.png,Bag,train,{price}")
        (self.folder / "feed.csv").write_text("\n".join(lines), "utf-8")
        source = TableSource(self.folder / "feed.csv", COLUMNS, "csv")
        return ingest(self.spark, source, self.settings, catalogue="shop", progress=QUIET, **options)

    def held(self):
        return sorted(held_hashes(self.catalogue).to_pylist())


@pytest.fixture
def feed(spark, settings, tmp_path):
    return Feed(spark, settings, tmp_path / "feed")


def hashes_of(*seeds):
    return sorted(hashlib.sha256(noise(seed)).hexdigest() for seed in seeds)


def files_in(folder):
    """All files of all tables but their logs, with the feeds of changes, by path: bytes."""
    return {path: path.stat().st_size for path in folder.rglob("*.parquet") if "_delta_log" not in path.parts}


def shown(snapshot):
    return {product.product_id: product.image for product in snapshot.page(offset=0, limit=99)[0]}


def test_a_picture_is_stored_once_whoever_shows_it(feed):
    feed.rows |= {"twin": feed.rows["p03"], "other": feed.rows["p03"]}
    feed.load()
    assert feed.held() == hashes_of(*range(12))
    assert shown(feed.snapshot) == {name: noise(seed) for name, (seed, _) in feed.rows.items()}
    rows = pq.read_table(files_of(open_table(feed.catalogue / PICTURES))).to_pylist()
    assert {(row["product_id"], row["position"], row["role"]) for row in rows} == {(n, 0, "first") for n in feed.rows}
    assert not any("image" in pq.read_schema(file).names for file in files_of(open_table(feed.catalogue / PRODUCTS)))


@pytest.mark.parametrize(
    ("table", "column", "value", "constraint"),
    [
        (PICTURE_BYTES, "image", "CAST('' AS binary)", "picture_not_empty"),
        (PICTURES, "role", "'back'", "role_known"),
    ],
)
def test_delta_refuses_what_a_constraint_forbids_whoever_writes(spark, feed, table, column, value, constraint):
    feed.load()
    path = str(feed.catalogue / table)
    row = spark.read.format("delta").load(path).limit(1).selectExpr(f"* EXCEPT ({column})", f"{value} AS {column}")
    with pytest.raises(Exception, match=f"CHECK constraint {constraint} "):
        row.write.format("delta").mode("append").save(path)


def test_a_change_of_price_or_split_writes_no_picture(feed):
    """Regression: both wrote every picture of a changed row anew, and twice more into the feed of changes."""
    feed.load()
    pictures, before = sum(len(noise(seed)) for seed in range(12)), files_in(feed.catalogue)
    feed.rows = {name: (seed, price + 1) for name, (seed, price) in feed.rows.items()}
    assert feed.load().counts.changed == 12
    by_price = files_in(feed.catalogue)
    assert redraw_splits(feed.spark, feed.settings, "shop", SplitPlan(seed=3, redraw=True), progress=QUIET)["moved"] > 0
    fresh = {path: size for path, size in files_in(feed.catalogue).items() if path not in before}
    assert {path.relative_to(feed.catalogue).parts[0] for path in fresh} == {PRODUCTS}
    assert any("_change_data" in path.parts for path in fresh)
    for path in fresh:
        footer = pq.read_metadata(path)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        columns = [group.column(at) for group in groups for at in range(footer.num_columns)]
        assert not any(column.path_in_schema == "image" for column in columns)
        assert sum(column.total_compressed_size for column in columns) < pictures / 2
    assert {*by_price} - {*before}, "the load has written something"
    assert feed.snapshot.product("p03").image == noise(3)


def test_a_load_that_fails_before_its_products_is_invisible_and_what_it_left_is_used_or_tidied(feed, monkeypatch):
    feed.load()
    feed.rows |= {"p03": (50, 9.5), "new": (51, 9.5)}
    with monkeypatch.context() as patch:
        patch.setattr(products_table, "writer", lambda *_, **__: lambda _note: (_ for _ in ()).throw(OSError("gone")))
        with pytest.raises(CatalogueError):
            feed.load()
    assert (feed.snapshot.version, shown(feed.snapshot)["p03"]) == (1, noise(3))
    assert feed.held() == hashes_of(*range(12), 50, 51)
    feed.rows["p03"] = (3, 9.5)
    assert feed.load().version == 2
    rows = pq.read_table(files_of(open_table(feed.catalogue / PICTURES))).to_pylist()
    assert len(rows) == 13  # what was left of the other picture is undone
    vacuum(feed.spark, feed.catalogue, keep_days=0, protected=[], progress=QUIET)
    assert feed.held() == hashes_of(*range(12), 51)
    assert shown(feed.snapshot) == {name: noise(seed) for name, (seed, _) in feed.rows.items()}


def test_a_version_that_can_be_read_keeps_its_pictures_and_no_longer(feed):
    feed.load()
    feed.rows["p03"] = (60, 9.5)
    feed.load()
    assert feed.held() == hashes_of(*range(12), 60)
    compact(feed.spark, feed.catalogue, progress=QUIET)
    vacuum(feed.spark, feed.catalogue, keep_days=0, protected=[1], progress=QUIET)
    old = open_snapshot(feed.settings.catalogues_dir, "shop", 1)
    assert (shown(old)["p03"], shown(feed.snapshot)["p03"]) == (noise(3), noise(60))
    vacuum(feed.spark, feed.catalogue, keep_days=0, protected=[], progress=QUIET)
    assert 1 not in readable_versions(feed.catalogue)
    assert feed.held() == hashes_of(0, 1, 2, *range(4, 12), 60)
    assert shown(feed.snapshot)["p03"] == noise(60)


# ------------------------------------------------------------------------------------------- further pictures


@dataclass(frozen=True)
class Gallery:
    """A source of products with several pictures, each told by the seed that it is drawn from; -1 is no picture."""

    products: dict[str, tuple[int, ...]]
    names_further: bool = True
    name: str = "gallery"

    def entries(self) -> pa.Table:
        ids = list(self.products)
        more = [[str(seed) for seed in self.products[name][1:]] or None for name in ids]
        columns = {"product_id": ids, "label": ["Bag"] * len(ids), "split": ["train"] * len(ids)}
        locators = [str(self.products[name][0]) for name in ids]
        more_pictures = more if self.names_further else [None] * len(ids)
        return entry_table(
            {**columns, "locator": locators, "more_pictures": more_pictures, "position": range(len(ids))}
        )

    def read(self, entries: pa.RecordBatch) -> list[bytes]:
        seeds = map(int, entries.column("locator").to_pylist())
        return [noise(seed) if seed >= 0 else b"no picture" for seed in seeds]


@pytest.fixture(scope="module", autouse=True)
def _ship_this_module():
    """Executors have `backend` and nothing of the tests, so the source above travels by value."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def gallery_of(settings, version=None):
    """The pictures of each product at a version, by their hashes in order."""
    folder = settings.catalogues_dir / "shop"
    version = version or newest_version(folder / PRODUCTS)
    table = open_table(folder / PICTURES, noted_version(folder, version, PICTURES))
    rows = rows_of(table, PICTURE_SCHEMA).table(PICTURE_SCHEMA.names).sort_by("position").to_pylist()
    found: dict[str, list[str]] = {}
    for row in rows:
        assert (row["position"], row["role"]) == (
            len(found.get(row["product_id"], ())),
            "further" if row["product_id"] in found else "first",
        )
        found.setdefault(row["product_id"], []).append(row["image_sha256"])
    return found


def in_order(products):
    return {name: [hashlib.sha256(noise(seed)).hexdigest() for seed in seeds] for name, seeds in products.items()}


def test_a_product_has_its_pictures_in_order_and_a_load_changes_just_those_that_changed(spark, settings):
    def load(products, **options):
        return ingest(spark, Gallery(products, **options), settings, catalogue="shop", progress=QUIET)

    first = {"a": (1, 2, 3), "b": (4,), "c": (5, 2), "d": (6, 7, 8)}
    report = load({**first, "d": (6, 7, -1, 8)})
    assert report.warnings == {"further_unread": 1}
    assert gallery_of(settings) == in_order(first)
    held = sorted(held_hashes(settings.catalogues_dir / "shop").to_pylist())
    assert held == hashes_of(*range(1, 9))
    assert load(first).counts.unchanged == 4
    assert load(first, names_further=False).counts.unchanged == 4  # it knows of none, and leaves them as they are
    second = {"a": (1, 3), "b": (4, 9), "c": (10, 2), "d": (6, 7, 8)}
    report = load(second)
    assert (report.counts.changed, report.counts.unchanged) == (3, 1)
    assert gallery_of(settings) == in_order(second)
    assert gallery_of(settings, 1) == in_order(first)
    changes = {
        change.product_id: change
        for change in changes_between(settings.catalogues_dir, "shop", 1, report.version).page()
    }
    assert {name: change.changed_columns for name, change in changes.items()} == {
        "a": ("pictures",),
        "b": ("pictures",),
        "c": ("image",),
    }
    assert shown(open_snapshot(settings.catalogues_dir, "shop")) == {
        name: noise(seeds[0]) for name, seeds in second.items()
    }


# ------------------------------------------------------------------------------------------- an old catalogue


@pytest.fixture
def old(settings):
    """A catalogue of 51 products as an earlier version of Twinset stored it, pictures in the rows."""
    shutil.copytree(STORED / "before-rooms" / "catalogues", settings.catalogues_dir)
    folder = settings.catalogues_dir / "shop"
    assert has_pictures(open_table(folder / PRODUCTS))
    return folder


def test_a_tidied_old_catalogue_has_its_pictures_apart_and_its_old_version_as_it_was(spark, old):
    before = open_snapshot(old.parent, "shop")
    pictures = shown(before)
    compact(spark, old, progress=QUIET)
    after = open_snapshot(old.parent, "shop")
    assert not has_pictures(open_table(old / PRODUCTS))
    assert shown(after) == pictures == shown(open_snapshot(old.parent, "shop", before.version))
    assert sorted(held_hashes(old).to_pylist()) == sorted(hashlib.sha256(p).hexdigest() for p in {*pictures.values()})
    assert changes_between(old.parent, "shop", before.version, after.version).total == 0
    assert [entry.action for entry in history(old)][-2] == "Loaded"
    assert any(entry.action.startswith("Pictures moved") for entry in history(old))
    checks = {name.removeprefix("delta.constraints.") for name in open_table(old / PRODUCTS).metadata().configuration}
    assert {name for name, _ in PRODUCT_CONSTRAINTS} <= checks
    assert "picture_not_empty" not in checks
    path = str(old / PRODUCTS)
    row = (
        spark.read.format("delta").load(path).limit(1).selectExpr("* EXCEPT (source)", "CAST(NULL AS string) AS source")
    )
    with pytest.raises(Exception, match="NOT NULL constraint violated"):
        row.write.format("delta").mode("append").save(path)
    vacuum(spark, old, keep_days=0, protected=[], progress=QUIET)
    assert readable_versions(old)[0] > before.version
    assert shown(open_snapshot(old.parent, "shop")) == pictures


def test_a_load_into_an_old_catalogue_moves_its_pictures_first_and_changes_what_it_changes(
    spark, settings, old, tmp_path
):
    before = open_snapshot(old.parent, "shop")
    pictures = shown(before)
    names = sorted(pictures)[:3]
    for at, name in enumerate(names):
        (tmp_path / f"{at}.png").write_bytes(pictures[name])
    known = {product.product_id: product for product in before.products(names)}
    lines = [f"{name},{at}.png,{known[name].label},{known[name].split},77.5" for at, name in enumerate(names)]
    (tmp_path / "feed.csv").write_text("\n".join(["id,image,label,split,price", *lines]), "utf-8")
    report = ingest(
        spark, TableSource(tmp_path / "feed.csv", COLUMNS, "csv"), settings, catalogue="shop", progress=QUIET
    )
    assert (report.counts.changed, report.counts.new, report.base_version) == (3, 0, before.version)
    after = open_snapshot(old.parent, "shop")
    assert shown(after) == pictures
    changes = changes_between(old.parent, "shop", before.version, after.version)
    assert ({change.product_id for change in changes.page()}, changes.counts["changed"]) == ({*names}, 3)
    assert not {"image"} & {*changes.by_column}
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", report.version)
    assert feed.load(str(old / PRODUCTS)).where("_change_type = 'update_postimage'").count() == 3
    # The old version comes back, its pictures apart.
    assert restore(spark, old, before.version, progress=QUIET) == newest_version(old / PRODUCTS)
    restored = open_snapshot(old.parent, "shop")
    assert not has_pictures(open_table(old / PRODUCTS))
    assert changes_between(old.parent, "shop", before.version, restored.version).total == 0
    assert shown(restored) == pictures
    assert newest_version(old / PICTURE_BYTES) == 1  # none was written twice
