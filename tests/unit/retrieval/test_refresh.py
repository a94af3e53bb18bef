"""A refreshed index is the one that a build at the newer version would make, whatever happened in between."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from backend.bundles import bundle, renewal
from backend.errors import BundleError, Cancelled, CatalogueNotFound, RetrievalError
from backend.progress import NullProgress
from backend.retrieval.freshness import Behind, behind, gallery_changes, index_behind
from backend.retrieval.gallery.gallery import Gallery, build_gallery, load_vectors
from backend.retrieval.recommend import Recommender
from backend.retrieval.refresh import refresh_gallery
from tests.fixtures.endpoint import encoded, load_projection, picture, shop_rows, write_projection_bundle
from tests.support.changed_catalogues import WITHDRAWN, ChangingShop

BROKEN = b"\x89PNG, and then no more"


@pytest.fixture
def shop(tmp_path):
    return ChangingShop(tmp_path / "catalogues", shop_rows(per_kind=6))


@pytest.fixture
def built(shop, tmp_path):
    """A bundle whose index is of the shop as it is first, and its embedder."""
    folder = tmp_path / "models" / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(shop.snapshot, embedder, folder, progress=NullProgress())
    return folder, embedder


def new(product_id, kind="blob", number=40, **columns):
    return {
        "product_id": product_id,
        "label": kind,
        "split": "train",
        "image": encoded(picture(kind, number)),
        **columns,
    }


def rebuilt(shop, folder, embedder, tmp_path):
    """The bundle as a build at the newest version makes it."""
    other = tmp_path / "rebuilt" / folder.name
    shutil.copytree(folder, other)
    build_gallery(shop.snapshot, embedder, other, kind=bundle.read_manifest(folder).index.kind, progress=NullProgress())
    return other


def assert_same(one, other):
    assert pq.read_table(one / bundle.GALLERY).equals(pq.read_table(other / bundle.GALLERY))
    np.testing.assert_array_equal(load_vectors(one), load_vectors(other))
    first, second = (bundle.verify(folder).index for folder in (one, other))
    assert replace(first, generation=1) == second


CHANGES = {
    "new": lambda shop: shop.put(new("a001"), new("m500"), new("z999")),
    "another picture": lambda shop: shop.change("c003", image=encoded(picture("blob", 41))),
    "another price": lambda shop: shop.change("c003", price=1.5, stock=7),
    "gone": lambda shop: shop.drop(["b001", "s006"]),
    "withdrawn": lambda shop: shop.change("c003", **WITHDRAWN),
    "to the test split": lambda shop: shop.change("c003", split="test"),
    "to another split of the gallery": lambda shop: shop.change("c003", split="gallery-only"),
    "a picture nobody can read": lambda shop: shop.change("c003", image=BROKEN),
    "a new one nobody can read": lambda shop: shop.put(new("a001"), {**new("a002"), "image": BROKEN}),
    "there and back": lambda shop: (shop.put(new("a001")), shop.drop(["a001"])),
    "all at once": lambda shop: (
        shop.drop(["b001", "b002", "c006"]),
        shop.put(new("a001"), new("b002", number=44), new("zz")),
        shop.change("c001", title="Another name"),
        shop.change("s002", image=encoded(picture("stripes", 45)), price=3.0),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_refreshed_index_is_the_one_that_a_build_makes(shop, built, tmp_path, change):
    folder, embedder = built
    change(shop)
    done = refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    assert done.index.catalogue == shop.snapshot.ref
    assert_same(folder, rebuilt(shop, folder, embedder, tmp_path))


def test_rows_are_merged_across_row_groups(shop, built, tmp_path, monkeypatch):
    monkeypatch.setattr("backend.retrieval.gallery.gallery_rows.ROW_GROUP", 4)
    folder, embedder = built
    build_gallery(shop.snapshot, embedder, folder, progress=NullProgress())
    CHANGES["all at once"](shop)
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    assert_same(folder, rebuilt(shop, folder, embedder, tmp_path))
    groups = pq.ParquetFile(folder / bundle.GALLERY)
    assert groups.metadata.row_group(0).num_rows == 4
    assert groups.num_row_groups == -(-groups.metadata.num_rows // 4)


def test_only_what_has_another_picture_is_embedded(shop, built):
    folder, embedder = built

    seen = []

    class Counting:
        spec, size, batch = embedder.spec, embedder.size, embedder.batch

        def embed(self, pixels):
            seen.extend(row for row in pixels if row.any())
            return embedder.embed(pixels)

    CHANGES["all at once"](shop)
    done = refresh_gallery(shop.snapshot, Counting, folder, progress=NullProgress())
    assert (done.embedded, done.details, done.removed) == (4, 1, 2)
    assert len(seen) == 4


def test_where_only_details_changed_no_network_is_loaded(shop, built):
    folder, _ = built
    shop.change("c003", price=1.5)

    def network():
        raise AssertionError("nothing is to be embedded")

    done = refresh_gallery(shop.snapshot, network, folder, progress=NullProgress())
    gallery = Gallery.load(folder)
    assert gallery.item(gallery.position("c003")).price == 1.5
    assert (done.embedded, done.details, done.index.generation) == (0, 1, 2)


def test_a_version_that_moves_no_product_of_the_gallery_is_only_noted(shop, built):
    folder, _ = built
    before = bundle.verify(folder)
    shop.put(new("t001", **WITHDRAWN))
    done = refresh_gallery(shop.snapshot, NotImplemented, folder, progress=NullProgress())
    after = bundle.verify(folder)
    assert done.index.catalogue == after.index.catalogue == shop.snapshot.ref
    assert (after.files, after.index.generation) == (before.files, 1)
    assert refresh_gallery(shop.snapshot, NotImplemented, folder, progress=NullProgress()).index == after.index


def test_what_else_lies_in_the_bundle_stays(shop, built):
    folder, embedder = built
    (folder / "calibration.json").write_text("{}")
    manifest = bundle.write_manifest(folder, replace(bundle.read_manifest(folder), metrics={"test.map_at_r": 0.5}))
    shop.put(new("a001"))
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    after = bundle.verify(folder)
    assert after.files["calibration.json"] == manifest.files["calibration.json"]
    assert (after.metrics, after.catalogue) == (manifest.metrics, manifest.catalogue)
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


@pytest.mark.parametrize("can_exchange", [True, False], ids=["in one step", "in three"])
def test_whoever_has_the_old_index_open_keeps_it(shop, built, monkeypatch, can_exchange):
    folder, embedder = built
    if not can_exchange:
        monkeypatch.setattr(renewal, "_EXCHANGE", 1 << 30)  # which no file system knows
    old = Recommender.load(folder, embedder_loader=load_projection)
    row = shop.rows["c003"]
    shop.drop(["c003"])
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    fresh = Recommender.load(folder, embedder_loader=load_projection)
    assert old.recommend([row["image"]], k=1)[0].neighbours[0].product_id == "c003"
    found = fresh.recommend([row["image"]], k=fresh.size)[0].neighbours
    assert "c003" not in {neighbour.product_id for neighbour in found}
    assert len(found) == old.size - 1


def test_a_cancelled_refresh_leaves_the_bundle_as_it_was(shop, built):
    folder, embedder = built
    before = bundle.verify(folder)
    shop.put(new("a001"))

    class Stopping(NullProgress):
        def check_cancelled(self):
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=Stopping())
    assert bundle.verify(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


def test_what_cannot_be_refreshed_says_why(shop, built, tmp_path):
    folder, embedder = built
    other = ChangingShop(tmp_path / "catalogues", shop_rows(per_kind=1), name="other")
    with pytest.raises(RetrievalError, match="built from shop version 1 and cannot be updated to other"):
        refresh_gallery(other.snapshot, lambda: embedder, folder, progress=NullProgress())
    bare = tmp_path / "models" / "bare"
    write_projection_bundle(bare)
    with pytest.raises(RetrievalError, match="bare has no index yet"):
        refresh_gallery(shop.snapshot, lambda: embedder, bare, progress=NullProgress())
    shop.drop(list(shop.rows))
    with pytest.raises(RetrievalError, match="No product would be left"):
        refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    (folder / bundle.VECTORS).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="damaged"):
        refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())


def test_how_far_an_index_is_behind_is_told_in_versions_and_products(shop, built):
    folder, embedder = built
    info = bundle.read_manifest(folder).index
    assert index_behind(shop.folder, info).products == 0
    assert not index_behind(shop.folder, info).is_behind
    shop.drop(["b001", "b002"])
    shop.put(new("a001"), new("t001", split="test"))
    found = index_behind(shop.folder, info)
    assert (found.versions, found.products, found.is_behind) == (2, 4, True)
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    assert not index_behind(shop.folder, bundle.read_manifest(folder).index).is_behind


def test_an_index_whose_catalogue_is_elsewhere_or_whose_version_is_gone(shop, built):
    folder, _ = built
    ref = bundle.read_manifest(folder).index.catalogue
    assert behind(shop.folder / "elsewhere", ref) is None
    assert behind(shop.folder, replace(ref, version=99)) is None
    shop.drop(["b001"])
    for file in (shop.folder / "shop" / "products").glob("*.parquet"):
        file.unlink()
    lost = behind(shop.folder, ref)
    assert (lost.versions, lost.products, lost.is_behind) == (1, None, True)
    with pytest.raises(CatalogueNotFound, match="can no longer be read"):
        gallery_changes(shop.folder, ref, shop.snapshot.version)


def test_how_far_it_is_behind_is_said_in_words():
    assert Behind("shop", 3, 5, 143).text == "2 versions, 143 products behind"
    assert Behind("shop", 5, 5, 1_143).text == "1,143 products not searched yet"
    assert Behind("shop", 4, 5, 1).text == "1 version, 1 product behind"
    assert Behind("shop", 4, 5, None).text == "1 version behind"
    assert Behind("shop", 4, 5, 0).text == "Up to date"
