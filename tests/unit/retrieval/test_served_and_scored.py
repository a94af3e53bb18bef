"""Every product that is not withdrawn is searched; scores are taken without the test split; one embedding serves both."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from backend.bundles import bundle
from backend.catalogue.items import SCORED_SPLITS, SPLITS
from backend.catalogue.snapshot import open_snapshot
from backend.evaluation.answers import load_answers
from backend.evaluation.report import load_report
from backend.flow.evaluate import evaluate_step
from backend.flow.index import index_step, refresh_index
from backend.flow.requests import EvaluateRequest, IndexRequest, RefreshRequest
from backend.imaging.spec import CONTRACT
from backend.progress import NullProgress
from backend.retrieval.freshness import index_behind
from backend.retrieval.gallery.gallery import Gallery, build_gallery, load_vectors
from backend.retrieval.recommend import Recommender
from backend.retrieval.refresh import refresh_gallery
from tests.fixtures.endpoint import encoded, load_projection, picture, shop_rows, write_projection_bundle
from tests.fixtures.evaluation import WARDROBE, write_model
from tests.support.changed_catalogues import WITHDRAWN, ChangingShop


def test_a_product_asked_about_by_its_own_picture_is_answered_first(shop, projection_recommender):
    """Whatever split it is of; of products with the same picture, the one whose id comes first."""
    for answer, row in zip(
        projection_recommender.recommend([row["image"] for row in shop.rows], k=1), shop.rows, strict=True
    ):
        first = projection_recommender.gallery.thumbnail(answer.neighbours[0].position)
        assert (answer.neighbours[0].product_id == row["product_id"]) or first == row["image"]
        assert answer.neighbours[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_withdrawn_products_are_not_searched_whatever_split_they_are_of(tmp_path):
    shop = ChangingShop(tmp_path / "catalogues", shop_rows(per_kind=10))
    gone = [row["product_id"] for row in list(shop.rows.values()) if row["split"] == "test"][:1]
    shop.change(gone[0], **WITHDRAWN)
    info = build_gallery(
        shop.snapshot, write_projection_bundle(tmp_path / "m"), tmp_path / "m", progress=NullProgress()
    )
    assert (info.size, info.scored_size) == (29, 27)
    assert gone[0] not in Gallery.load(tmp_path / "m").ids


def test_scores_are_those_of_an_index_without_the_test_split(wardrobe_home):
    snapshot = open_snapshot(wardrobe_home.catalogues_dir, WARDROBE)
    reports, answers = [], []
    for name in ("all", "scored"):
        folder = write_model(wardrobe_home, snapshot, name)
        if name == "scored":
            build_gallery(
                snapshot, load_projection(folder, bundle.read_manifest(folder), threads=0), folder,
                splits=SCORED_SPLITS, progress=NullProgress(),
            )  # fmt: skip
        evaluate_step(
            EvaluateRequest(name, bootstrap=100, robustness=True, against=("mine",)), wardrobe_home, NullProgress()
        )
        found = json.loads(load_report(folder).to_json().replace(f'"{name}"', '"m"'))
        reports.append(
            {key: value for key, value in found.items() if key not in {"created_at", "seconds", "weights_hash"}}
        )
        answers.append(load_answers(folder).table)
    assert bundle.read_manifest(wardrobe_home.models_dir / "all").index.size == 163
    assert bundle.read_manifest(wardrobe_home.models_dir / "scored").index.size == 126
    assert reports[0] == reports[1]
    assert answers[0].equals(answers[1])
    for query in load_answers(wardrobe_home.models_dir / "all").queries(tuple(answers[0]["product_id"].to_pylist())):
        assert query.product_id not in {one.product_id for one in query.neighbours}


# ------------------------------------------------------------------------- an index that lacks the test split


def test_an_old_manifest_says_that_what_is_searched_is_what_is_scored(home_without_test_split):
    manifest = bundle.verify(home_without_test_split.models_dir / "stored")
    index = manifest.index
    assert (index.size, index.splits) == (126, SCORED_SPLITS)
    assert (index.scored_size, index.scored_splits) == (126, SCORED_SPLITS)
    assert index.pixel_contract == 1 != CONTRACT
    assert bundle.Manifest.from_json(manifest.to_json()) == manifest


def test_what_an_old_index_lacks_is_told(home_without_test_split):
    index = bundle.read_manifest(home_without_test_split.models_dir / "stored").index
    found = index_behind(home_without_test_split.catalogues_dir, index)
    assert (found.versions, found.products, found.text) == (0, 37, "37 products not searched yet")


@pytest.mark.parametrize("change", ["nothing", "to another split", "new and gone"])
def test_a_refresh_takes_in_what_an_old_index_lacks(tmp_path, change):
    """Whatever happens at the same time, the result is what a build at the newest version makes."""
    shop = ChangingShop(tmp_path / "catalogues", shop_rows(per_kind=10))
    folders = [tmp_path / "old" / "m", tmp_path / "new" / "m"]
    embedders = [write_projection_bundle(folder) for folder in folders]
    build_gallery(shop.snapshot, embedders[0], folders[0], splits=SCORED_SPLITS, progress=NullProgress())
    if change == "to another split":
        shop.change("c001", split="train")
        shop.change("c002", split="test")
    elif change == "new and gone":
        shop.put({**shop.rows["c003"], "product_id": "a000", "split": "test", "image": encoded(picture("blob", 41))})
        shop.drop(["b001", "b002"])
    done = refresh_gallery(shop.snapshot, lambda: embedders[0], folders[0], progress=NullProgress())
    build_gallery(shop.snapshot, embedders[1], folders[1], progress=NullProgress())
    one, other = (bundle.verify(folder).index for folder in folders)
    assert replace(one, generation=1) == other
    assert one.splits == SPLITS
    np.testing.assert_array_equal(load_vectors(folders[0]), load_vectors(folders[1]))
    assert Gallery.load(folders[0]).ids == Gallery.load(folders[1]).ids
    assert done.embedded == {"nothing": 3, "to another split": 3, "new and gone": 3}[change]
    assert index_behind(shop.folder, one).products == 0


def test_an_index_of_other_pixels_is_embedded_anew(tmp_path):
    """Vectors of two pixel contracts cannot be compared, so that none of the old ones is kept."""
    shop = ChangingShop(tmp_path / "catalogues", shop_rows(per_kind=4))
    folders = [tmp_path / "old" / "m", tmp_path / "new" / "m"]
    embedders = [write_projection_bundle(folder) for folder in folders]
    build_gallery(shop.snapshot, embedders[0], folders[0], progress=NullProgress())
    np.save(folders[0] / bundle.VECTORS, load_vectors(folders[0])[::-1].copy())  # whatever they were
    manifest = bundle.read_manifest(folders[0])
    bundle.write_manifest(folders[0], replace(manifest, index=replace(manifest.index, pixel_contract=1)))
    shop.drop(["b001"])
    done = refresh_gallery(shop.snapshot, lambda: embedders[0], folders[0], progress=NullProgress())
    build_gallery(shop.snapshot, embedders[1], folders[1], progress=NullProgress())
    assert (done.embedded, done.details, done.removed) == (11, 0, 1)
    np.testing.assert_array_equal(load_vectors(folders[0]), load_vectors(folders[1]))
    assert Gallery.load(folders[0]).ids == Gallery.load(folders[1]).ids
    assert replace(bundle.verify(folders[0]).index, generation=1) == bundle.verify(folders[1]).index


def assert_same_answers(found, stored):
    """The same products in the same order; of similarities, processors of other kinds compute other last digits."""
    is_list_of_floats = [
        pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type) for field in stored.schema
    ]
    for name, is_close in zip(stored.column_names, is_list_of_floats, strict=True):
        if is_close:
            assert np.allclose(found[name].to_pylist(), stored[name].to_pylist(), rtol=0, atol=1e-5)
        else:
            assert found[name].equals(stored[name])


@pytest.mark.tf
def test_a_stored_bundle_answers_is_refreshed_and_keeps_its_scores(home_without_test_split):
    from backend.training.embedder import load_query_embedder

    settings, folder = home_without_test_split, home_without_test_split.models_dir / "stored"
    snapshot = open_snapshot(settings.catalogues_dir, WARDROBE)
    learnt, asking = snapshot.product("box-00"), snapshot.product("disc-24")
    assert (learnt.split, asking.split) == ("train", "test")
    before = Recommender.load(folder, embedder_loader=load_query_embedder)
    assert before.recommend([learnt.image], k=1)[0].neighbours[0].similarity == pytest.approx(1.0, abs=1e-4)
    assert asking.product_id not in before.gallery.ids

    scored, answers = load_report(folder), load_answers(folder).table
    assert scored.is_of(bundle.read_manifest(folder))
    done = refresh_index(RefreshRequest("stored"), settings, NullProgress())
    assert (done["gallery_size"], done["embedded"], done["details"], done["removed"]) == (163, 163, 0, 0)
    assert not scored.is_of(bundle.read_manifest(folder))  # every picture was embedded anew, from other pixels
    after = Recommender.load(folder, embedder_loader=load_query_embedder)
    (found,) = after.recommend([asking.image], k=3)
    assert found.neighbours[0].product_id == asking.product_id

    # The figures that the earlier version took, to the last digit: no test product finds itself.
    for rebuild in (False, True):
        if rebuild:
            assert index_step(IndexRequest("stored"), settings, NullProgress())["gallery_size"] == 163
        evaluate_step(EvaluateRequest("stored", bootstrap=100, baselines=False), settings, NullProgress())
        again = load_report(folder)
        assert (again.seen, again.unseen, again.by_label) == (scored.seen, scored.unseen, scored.by_label)
        assert again.is_of(bundle.read_manifest(folder))
        assert again.gallery == scored.gallery == 126
        assert_same_answers(load_answers(folder).table, answers)
