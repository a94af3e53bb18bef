"""A product is found by any of its pictures, named once, and the answer says by which."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.bundles import bundle
from backend.catalogue.items import PICTURES, PRODUCTS
from backend.catalogue.schemas import PICTURE_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.errors import BundleError
from backend.imaging.pixels import thumbnail
from backend.progress import NullProgress
from backend.retrieval.gallery.further_thumbnails import (
    EMBEDDED,
    FurtherThumbnails,
    keep_thumbnails,
    write_thumbnails,
)
from backend.retrieval.gallery.gallery import Gallery, build_gallery
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.further import FILES, Further, PicturesIndex, likeness
from backend.retrieval.recommend import Recommender
from backend.retrieval.refresh import refresh_gallery
from backend.retrieval.wishes import Wishes
from tests.fixtures.endpoint import encoded, load_projection, picture, write_projection_bundle
from tests.support.stored_catalogues import product_table, put_bytes, store

QUIET = NullProgress()
FRONT, BACK, SIDE, OTHER = (
    encoded(picture(kind, 40 + at)) for at, kind in enumerate(("blob", "checks", "stripes", "blob"))
)
BROKEN = b"\xff\xd8\xff no picture"


def sha(image):
    return hashlib.sha256(image).hexdigest()


class Shop:
    """A catalogue whose products have several pictures; without a JVM."""

    def __init__(self, folder):
        self.folder = folder
        kinds = ("blob", "checks", "stripes")
        rows = [self._row(f"p{at:02d}", encoded(picture(kinds[at % 3], at))) for at in range(18)]
        rows.append(self._row("z-coat", FRONT))
        store(folder, rows, name="shop")
        self.held = {sha(row["image"]) for row in rows}
        self.names = {row["product_id"]: sha(row["image"]) for row in rows}
        write_deltalake(folder / "shop" / PICTURES, PICTURE_SCHEMA.empty_table())

    @staticmethod
    def _row(name, image):
        return {"product_id": name, "label": "coat", "split": "train", "image": image}

    def give(self, **further):
        """Give products further pictures, as a new version."""
        place, images = self.folder / "shop", {image for all_ in further.values() for image in all_}
        put_bytes(place, product_table([self._row("x", image) for image in sorted(images)]), self.held)
        rows = [(name, 0, "first", sha256) for name, sha256 in self.names.items()]
        rows += [
            (f"z-{n}" if n == "coat" else n, at, "further", sha(i))
            for n, all_ in further.items()
            for at, i in enumerate(all_, 1)
        ]
        table = pa.table(list(map(list, zip(*rows, strict=True))), names=PICTURE_SCHEMA.names).cast(PICTURE_SCHEMA)
        write_deltalake(place / PICTURES, table, mode="overwrite")
        version = len(list((place / PICTURES / "_delta_log").glob("*.json"))) - 1
        products = open_snapshot(self.folder, "shop").columns(["product_id"]).num_rows
        assert products == len(self.names)
        self._note(version, further)
        return open_snapshot(self.folder, "shop")

    def _note(self, version, further):
        import json

        from deltalake import CommitProperties, DeltaTable

        table = DeltaTable(self.folder / "shop" / PRODUCTS)
        value = sha("".join(sha(image) for image in further["coat"]).encode()) if "coat" in further else None
        note = CommitProperties(custom_metadata={"userMetadata": json.dumps({"pictures_version": version})})
        quoted = f"'{value}'" if value else "NULL"
        table.update({"further_sha256": quoted}, predicate="product_id = 'z-coat'", commit_properties=note)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "catalogues")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models" / "m"
    write_projection_bundle(folder)
    return folder


def built(shop, folder, **further):
    build_gallery(
        shop.give(**further), load_projection(folder, bundle.read_manifest(folder), threads=1), folder, progress=QUIET
    )
    return opened(folder)


def opened(folder):
    return Recommender.load(folder, embedder_loader=load_projection)


def found(recommender, image, name="z-coat", **options):
    answer = recommender.find([image], k=5, **options)
    assert len({n.product_id for n in answer.neighbours}) == len(answer.neighbours) == 5
    return next((n for n in answer.neighbours if n.product_id == name), None)


def test_a_product_is_found_by_any_of_its_pictures_and_named_once(shop, folder):
    recommender = built(shop, folder, coat=[BACK, BROKEN, SIDE])
    for at, image in ((0, FRONT), (1, BACK), (3, SIDE)):
        one = found(recommender, image)
        assert (one.rank, round(one.similarity, 5)) == (1, 1.0)
        assert (one.picture, one.picture_sha256, one.pictures) == (at, sha(image) if at else None, 4)
        assert recommender.gallery.picture(one.position, one.picture_sha256) == thumbnail(image)
        assert recommender.gallery.thumbnail(one.position) == thumbnail(FRONT)
    assert (recommender.size, Gallery.load(folder).size) == (19, 19)


def test_a_bundle_of_before_shows_first_pictures_until_its_index_is_updated(shop, folder):
    """It has further pictures without thumbnails."""
    built(shop, folder, coat=[BACK])
    complete = {name: (folder / name).read_bytes() for name in FILES}
    (folder / bundle.FURTHER_THUMBNAILS).unlink()
    bundle.write_manifest(folder, bundle.read_manifest(folder))
    recommender = opened(folder)
    one = found(recommender, BACK)
    assert (one.picture, one.pictures) == (1, 2)
    assert recommender.gallery.picture(one.position, one.picture_sha256) == thumbnail(FRONT)
    network = load_projection(folder, bundle.read_manifest(folder), threads=1)
    refresh_gallery(shop.give(coat=[BACK, SIDE]), lambda: network, folder, progress=QUIET)
    recommender = opened(folder)
    for image in (BACK, SIDE):
        one = found(recommender, image)
        assert recommender.gallery.picture(one.position, one.picture_sha256) == thumbnail(image)
    refresh_gallery(shop.give(coat=[BACK]), lambda: network, folder, progress=QUIET)
    assert {name: (folder / name).read_bytes() for name in FILES} == complete


def test_thumbnails_are_kept_once_whoever_shows_them_and_are_read_in_any_order(tmp_path):
    """More than a row group, from what was made now and what an earlier index has."""
    rng = np.random.default_rng(5)
    images = {sha(data): data for data in (rng.bytes(int(size)) for size in rng.integers(1, 400, 203))}
    names, before, place = list(images), tmp_path / "before", tmp_path / "place"
    for folder, mine in ((before, names[:131]), (place, names[97:])):
        folder.mkdir()

        def embedded(keep, mine=mine):
            for start in range(0, len(mine), 50):
                part = mine[start : start + 50]
                rows = [part, [""] * len(part), [images[name] for name in part]]
                keep(pa.record_batch(rows, schema=EMBEDDED))

        part, _ = keep_thumbnails(folder, embedded)
        wanted = mine if folder == before else names
        write_thumbnails(folder, [*wanted, *wanted[:9]], [part], FurtherThumbnails(before))
    shown = FurtherThumbnails(place)
    for at in rng.permutation(len(names)):
        assert shown.get(names[at]) == images[names[at]]
    assert (shown.get("0" * 64), shown.get(names[0][:-1]), "f" * 64 in shown) == (None, None, False)
    (place / bundle.FURTHER_THUMBNAILS).write_bytes(b"PAR1 no")
    with pytest.raises(BundleError, match=r"further\.parquet"):
        FurtherThumbnails(place)


def test_wishes_look_at_all_pictures_too(shop, folder):
    recommender = built(shop, folder, coat=[BACK])
    one = found(recommender, BACK, wishes=Wishes(diversity=0.2))
    assert (one.rank, round(one.similarity, 5), one.picture) == (1, 1.0, 1)


def test_filtered_products_are_not_found_by_a_further_picture(shop, folder):
    recommender = built(shop, folder, coat=[BACK])
    assert recommender.recommend([BACK], k=30, filters={"price_min": 1.0})[0].neighbours == ()


def test_without_further_pictures_a_bundle_is_as_it_was(shop, folder):
    recommender = built(shop, folder)
    assert not {*FILES} & {path.name for path in folder.iterdir()}
    assert found(recommender, FRONT).picture == 0


def test_a_refresh_embeds_the_pictures_that_are_new_alone_and_is_what_a_build_would_be(shop, folder, tmp_path):
    built(shop, folder, coat=[BACK])
    embedded = []

    class Counting:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def embed(self, pixels):
            embedded.append(len(pixels))
            return self.inner.embed(pixels)

    network = Counting(load_projection(folder, bundle.read_manifest(folder), threads=1))
    done = refresh_gallery(shop.give(coat=[SIDE, BACK]), lambda: network, folder, progress=QUIET)
    assert (done.embedded, done.details, done.removed, len(embedded)) == (0, 1, 0, 1)
    assert (found(opened(folder), BACK).picture, found(opened(folder), SIDE).picture) == (2, 1)
    other = tmp_path / "models" / "other"
    write_projection_bundle(other)
    build_gallery(open_snapshot(shop.folder, "shop"), network, other, progress=QUIET)
    for name in (*FILES, bundle.VECTORS):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    refresh_gallery(shop.give(), lambda: network, folder, progress=QUIET)
    assert not any((folder / name).exists() for name in FILES)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**31))
@profile(max_examples=40, deadline=None)
def test_the_nearest_products_are_those_of_the_nearest_pictures(products, pictures, k, seed):
    rng = np.random.default_rng(seed)
    vectors, others, queries = (_unit(rng.normal(size=(n, 6))) for n in (products, pictures, 3))
    owners = np.sort(rng.integers(0, products, pictures)).astype(np.int32)
    further = Further(owners, np.ones(pictures, np.int32), np.zeros((pictures, 32), np.uint8), others)
    allowed = rng.random(products) < 0.7
    index = PicturesIndex(ExactIndex(vectors), further)
    best = vectors @ queries.T
    for row, owner in enumerate(owners):
        best[owner] = np.maximum(best[owner], others[row] @ queries.T)
    np.testing.assert_allclose(likeness(index, np.arange(products), queries), best, atol=1e-5)
    answer = index.search(queries, k=k, allowed=allowed)
    for query in range(3):
        there = answer.positions[query]
        assert len(there) == len({*there.tolist()}) == min(k, int(allowed.sum()))
        assert allowed[there].all()
        expected = np.sort(best[allowed, query])[::-1][: len(there)]
        np.testing.assert_allclose(1.0 - answer.distances[query], expected, atol=1e-5)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [
        {"owners": np.array([19], np.int32)},
        {"owners": np.array([-1], np.int32)},
        {"owners": np.array([0], np.int64)},
        {"positions": np.array([1, 2], np.int32)},
        {"hashes": np.zeros((1, 31), np.uint8)},
    ],
)
def test_further_pictures_of_another_gallery_are_refused(shop, folder, change):
    built(shop, folder, coat=[BACK])
    stored = dict(np.load(folder / bundle.FURTHER))
    with (folder / bundle.FURTHER).open("wb") as stream:
        np.savez(stream, **{**stored, **change})
    with pytest.raises(BundleError, match="further pictures"):
        Further.load(folder, size=19, dimensions=bundle.read_manifest(folder).embedding_size)


def test_further_embeddings_that_are_none_are_refused(shop, folder):
    built(shop, folder, coat=[BACK])
    np.save(folder / bundle.FURTHER_VECTORS, 3 * np.load(folder / bundle.FURTHER_VECTORS))
    with pytest.raises(BundleError, match="unit vectors"):
        Further.load(folder, size=19, dimensions=bundle.read_manifest(folder).embedding_size)
