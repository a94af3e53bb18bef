"""The gallery is complete, sorted, of one piece with its vectors, and an interrupted build changes nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from backend.bundles import bundle
from backend.catalogue.items import SCORED_SPLITS, SPLITS
from backend.errors import BundleError, Cancelled, RetrievalError, StorageFull
from backend.evaluation.pictures import PictureReader
from backend.files import scratch
from backend.imaging import pixels as imaging
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.retrieval.gallery import gallery_rows
from backend.retrieval.gallery.gallery import Gallery, build_gallery, load_vectors
from tests.fixtures.endpoint import ShopSnapshot, encoded, picture, shop_rows, write_projection_bundle


class Listener(NullProgress):
    def __init__(self, *, cancel_after=None):
        self.heard = []
        self._cancel_after = cancel_after

    def report(self, done, total, *, unit="", note=""):
        self.heard.append((done, total, unit, note))

    def check_cancelled(self):
        if self._cancel_after is not None and len(self.heard) >= self._cancel_after:
            raise Cancelled("Stopped.")


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("backend.retrieval.gallery.gallery.BATCH", 7)
    monkeypatch.setattr("backend.retrieval.gallery.gallery_rows.ROW_GROUP", 5)


def test_it_holds_every_gallery_item_with_its_own_vector(shop, tmp_path, small_batches):
    embedder = write_projection_bundle(tmp_path / "m")
    info = build_gallery(shop, embedder, tmp_path / "m", progress=NullProgress())

    in_gallery = sorted(shop.rows, key=lambda r: r["product_id"])
    gallery, vectors = Gallery.load(tmp_path / "m"), load_vectors(tmp_path / "m")
    assert info.size == gallery.size == len(vectors) == len(in_gallery) == 60
    assert (info.splits, info.scored_size, info.scored_splits) == (SPLITS, 54, SCORED_SPLITS)
    assert gallery.splits.tolist() == [row["split"] for row in in_gallery]
    assert gallery.ids == [row["product_id"] for row in in_gallery]
    assert gallery.labels.tolist() == [row["label"] for row in in_gallery]
    for position, row in enumerate(in_gallery):
        pixels = imaging.decode(row["image"], embedder.spec).pixels
        np.testing.assert_array_equal(vectors[position], embedder.embed(pixels[None])[0])
        item = gallery.item(position)
        assert (item.title, item.category, item.price, item.stock) == tuple(
            row[name] for name in ("title", "category", "price", "stock")
        )
        assert gallery.thumbnail(position) == row["image"]


def test_what_is_withdrawn_can_be_asked_about_but_is_never_an_answer(shop, tmp_path):
    gone = next(row for row in shop.rows if row["split"] == "train")
    rows = [{**row, "withdrawn_at": "yesterday" if row is gone else None} for row in shop.rows]
    embedder = write_projection_bundle(tmp_path / "m")
    info = build_gallery(ShopSnapshot(rows), embedder, tmp_path / "m", progress=NullProgress())
    assert (info.size, info.scored_size) == (59, 53)
    assert gone["product_id"] not in Gallery.load(tmp_path / "m").ids
    asked = PictureReader(ShopSnapshot(rows), tmp_path).read(("train",), embedder.spec, progress=NullProgress())
    assert gone["product_id"] in asked.ids


def test_the_bundle_verifies_and_names_its_catalogue(shop, tmp_path):
    embedder = write_projection_bundle(tmp_path / "m")
    info = build_gallery(shop, embedder, tmp_path / "m", splits=("test",), progress=NullProgress())
    manifest = bundle.verify(tmp_path / "m")
    assert manifest.index == info
    assert (info.kind, info.size, info.splits, info.catalogue) == ("exact", 6, ("test",), shop.ref)
    assert (info.scored_size, info.scored_splits) == (0, ())
    assert set(manifest.files) == {bundle.WEIGHTS, bundle.VECTORS, bundle.GALLERY}


def test_the_same_catalogue_in_another_order_gives_the_same_files(shop, tmp_path, small_batches):
    for name, rows in (("a", shop.rows), ("b", shop.rows[::-1])):
        embedder = write_projection_bundle(tmp_path / name)
        build_gallery(ShopSnapshot(rows), embedder, tmp_path / name, progress=NullProgress())
    assert bundle.read_manifest(tmp_path / "a").files == bundle.read_manifest(tmp_path / "b").files


def test_an_unreadable_picture_is_left_out_and_said(tmp_path, small_batches, caplog):
    rows = shop_rows(per_kind=5)
    rows[4] = {**rows[4], "image": b"no picture"}
    rows[9] = {**rows[9], "image": rows[9]["image"][:-40]}
    listener = Listener()
    embedder = write_projection_bundle(tmp_path / "m")
    info = build_gallery(ShopSnapshot(rows), embedder, tmp_path / "m", progress=listener)
    assert info.size == 13
    assert not {rows[4]["product_id"], rows[9]["product_id"]} & set(Gallery.load(tmp_path / "m").ids)
    assert listener.heard[0] == (7, 15, "pictures", "1 unreadable, left out")
    assert listener.heard[-1] == (15, 15, "pictures", "2 unreadable, left out")
    assert rows[4]["product_id"] in caplog.text


def test_a_batch_of_nothing_but_unreadable_pictures_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr("backend.retrieval.gallery.gallery.BATCH", 3)
    rows = shop_rows(per_kind=4)
    rows[3:6] = [{**row, "image": b"?"} for row in rows[3:6]]
    info = build_gallery(
        ShopSnapshot(rows), write_projection_bundle(tmp_path / "m"), tmp_path / "m", progress=NullProgress()
    )
    assert info.size == 9


@pytest.mark.parametrize("rows", [[], [{**row, "image": b"?"} for row in shop_rows(per_kind=1)]], ids=["none", "bad"])
def test_without_a_readable_picture_there_is_no_gallery(tmp_path, rows):
    embedder = write_projection_bundle(tmp_path / "m")
    before = bundle.read_manifest(tmp_path / "m")
    with pytest.raises(RetrievalError, match="no readable picture in train"):
        build_gallery(ShopSnapshot(rows), embedder, tmp_path / "m", splits=("train",), progress=NullProgress())
    assert bundle.verify(tmp_path / "m") == before


def test_a_cancelled_build_leaves_the_bundle_as_it_was(projection_bundle, tmp_path, small_batches):
    folder = tmp_path / "models" / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(ShopSnapshot(shop_rows(per_kind=4)), embedder, folder, progress=NullProgress())
    before = bundle.verify(folder)
    with pytest.raises(Cancelled):
        build_gallery(ShopSnapshot(shop_rows()), embedder, folder, progress=Listener(cancel_after=2))
    assert bundle.verify(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


def test_a_full_disk_is_said_and_leaves_the_bundle_as_it_was(shop, tmp_path, monkeypatch):
    embedder = write_projection_bundle(tmp_path / "m")
    before = bundle.read_manifest(tmp_path / "m")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageFull, match="full"):
        build_gallery(shop, embedder, tmp_path / "m", progress=NullProgress())
    assert bundle.verify(tmp_path / "m") == before


def test_what_a_killed_build_left_is_removed(shop, tmp_path):
    stale = tmp_path / ".m.index-dead"
    stale.mkdir()
    (stale / "spill.arrow").write_bytes(b"half")
    (stale / scratch.LOCK).touch()  # which nobody holds
    build_gallery(shop, write_projection_bundle(tmp_path / "m"), tmp_path / "m", progress=NullProgress())
    assert not stale.exists()


def test_large_pictures_are_decoded_in_parts_and_shown_small(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_rows.os, "sched_getaffinity", lambda _: {0, 1, 2})
    noise = np.random.default_rng(0).integers(0, 255, (6, 200, 230, 3)).astype(np.uint8)
    rows = [{**row, "image": imaging.encode_png(noise[at]), "split": "train"} for at, row in enumerate(shop_rows(2))]
    spec = PixelSpec(24, 24, 3, "any")
    embedder = write_projection_bundle(tmp_path / "m", spec)
    build_gallery(ShopSnapshot(rows), embedder, tmp_path / "m", progress=NullProgress())
    gallery, vectors = Gallery.load(tmp_path / "m"), load_vectors(tmp_path / "m")
    by_id = {row["product_id"]: row for row in rows}
    for position, product_id in enumerate(gallery.ids):
        pixels = imaging.decode(by_id[product_id]["image"], spec).pixels
        np.testing.assert_array_equal(vectors[position], embedder.embed(pixels[None])[0])
        assert imaging.verify(gallery.thumbnail(position)).width == 160


def test_a_bundle_without_an_index_says_so(tmp_path):
    write_projection_bundle(tmp_path / "m")
    for opening in (Gallery.load, load_vectors):
        with pytest.raises(RetrievalError, match="m has no index yet"):
            opening(tmp_path / "m")


def test_a_gallery_or_vectors_of_another_make_are_refused(projection_bundle, tmp_path):
    folder = shutil.copytree(projection_bundle, tmp_path / "m")
    table = pq.read_table(folder / bundle.GALLERY)
    pq.write_table(table.drop_columns(["brand"]), folder / bundle.GALLERY)
    with pytest.raises(BundleError, match="it has the columns"):
        Gallery.load(folder)
    (folder / bundle.GALLERY).write_bytes(b"PAR1 not really")
    with pytest.raises(BundleError, match=r"gallery\.parquet of m cannot be read"):
        Gallery.load(folder)
    np.save(folder / bundle.VECTORS, np.zeros((3, 2)))
    with pytest.raises(BundleError, match="not a float32 matrix"):
        load_vectors(folder)
    np.save(folder / bundle.VECTORS, np.array([{"code": 1}]), allow_pickle=True)
    with pytest.raises(BundleError, match="cannot be read"):
        load_vectors(folder)


def test_the_folder_must_be_a_bundle(shop, tmp_path):
    embedder = write_projection_bundle(tmp_path / "m")
    (tmp_path / "other").mkdir()
    with pytest.raises(BundleError):
        build_gallery(shop, embedder, tmp_path / "other", progress=NullProgress())


def filtered(gallery, **filters):
    mask = gallery.allowed(filters)
    return {gallery.ids[position] for position in np.flatnonzero(mask)}


def test_filters_keep_what_a_reader_of_the_table_would_keep(shop, projection_bundle):
    gallery = Gallery.load(projection_bundle)

    def expected(keeps):
        return {row["product_id"] for row in shop.rows if keeps(row)}

    assert gallery.allowed(None) is gallery.allowed({}) is None
    assert filtered(gallery, brand="Bo") == expected(lambda r: r["brand"] == "Bo")
    assert filtered(gallery, brand=["Bo", "Cy"]) == expected(lambda r: r["brand"] in {"Bo", "Cy"})
    assert filtered(gallery, category="pattern") == expected(lambda r: r["category"] == "pattern")
    assert filtered(gallery, price_min="20", price_max=29.5) == expected(
        lambda r: r["price"] is not None and 20 <= r["price"] <= 29.5
    )
    assert filtered(gallery, in_stock=True) == expected(lambda r: (r["stock"] or 0) > 0)
    assert filtered(gallery, in_stock="false") == expected(lambda r: not r["stock"])
    assert filtered(gallery, label="blob", brand="Ada") == expected(
        lambda r: r["label"] == "blob" and r["brand"] == "Ada"
    )
    assert filtered(gallery, brand="bo") == filtered(gallery, colour="") == set()


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"size": "M"}, "no filter 'size'"),
        ({"x" * 500: "M"}, "no filter 'x{40}'"),
        ({"brand": []}, "brand needs a text"),
        ({"brand": 4}, "brand needs a text"),
        ({"price_min": "cheap"}, "price_min needs a number"),
        ({"price_max": "nan"}, "price_max needs a number"),
        ({"price_max": True}, "price_max needs a number"),
        ({"in_stock": "maybe"}, "in_stock must be true or false"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused(projection_recommender, filters, says):
    with pytest.raises(RetrievalError, match=says):
        projection_recommender.recommend([encoded(picture("blob", 1))], k=3, filters=filters)


def test_a_manifest_of_another_index_is_refused(projection_bundle, tmp_path):
    from backend.retrieval.recommend import Recommender
    from tests.fixtures.endpoint import load_projection

    folder = shutil.copytree(projection_bundle, tmp_path / "m")
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, index=replace(manifest.index, size=61)))
    with pytest.raises(BundleError, match="is inconsistent"):
        Recommender.load(folder, embedder_loader=load_projection)
