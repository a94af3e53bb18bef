"""Splits changed in place by real Spark: leaks mended, classes kept out, nothing rewritten, nothing done twice."""

from __future__ import annotations

import numpy as np
import pytest

from backend.catalogue.loading.ingest import ingest
from backend.catalogue.quality.measuring import measure_quality
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.pictures.listing import FolderSource
from backend.catalogue.splits import SplitPlan
from backend.catalogue.upkeep.resplit import leaks_of, mend_leaks, redraw_splits
from backend.errors import CatalogueError
from backend.imaging.pixels import encode_png
from backend.progress import NullProgress

pytestmark = pytest.mark.spark

OPTIONS = {"progress": NullProgress()}


@pytest.fixture
def shop(spark, settings, tmp_path):
    """Forty products in two kinds; the picture of every fourth is there twice, and once more a shade brighter."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "photos"
    for number in range(40):
        small = rng.integers(0, 200, (6, 6), np.uint8)
        pixels = np.kron(small, np.ones((12, 12), np.uint8))
        kind = folder / ("bag", "coat")[number % 2]
        kind.mkdir(parents=True, exist_ok=True)
        (kind / f"p{number:02d}.png").write_bytes(encode_png(pixels))
        if number % 4 == 0:
            (kind / f"p{number:02d}-again.png").write_bytes(encode_png(pixels))
            (kind / f"p{number:02d}-bright.png").write_bytes(encode_png(pixels + np.uint8(8)))
    plan = SplitPlan(validation_share=0.3, test_share=0.3)
    ingest(spark, FolderSource(folder), settings, catalogue="shop", splits=plan, **OPTIONS)
    return settings


def splits_of(settings):
    rows = open_snapshot(settings.catalogues_dir, "shop").columns(["product_id", "split"])
    return dict(zip(rows["product_id"].to_pylist(), rows["split"].to_pylist(), strict=True))


def test_equal_pictures_come_into_one_split_and_a_second_time_nothing_is_done(spark, shop):
    leaks, _ = leaks_of(shop.catalogues_dir, "shop", near=False)
    assert leaks
    before = splits_of(shop)
    done = mend_leaks(spark, shop, "shop", near=False, **OPTIONS)
    assert (done["version"], done["leaks"]) == (2, len(leaks))
    after = splits_of(shop)
    moved = {name for name in before if before[name] != after[name]}
    assert len(moved) == done["moved"] > 0
    assert moved <= {name for leak in leaks for name in leak.product_ids}
    assert leaks_of(shop.catalogues_dir, "shop", near=False)[0] == []
    assert mend_leaks(spark, shop, "shop", near=False, **OPTIONS)["version"] == 2


def test_pictures_that_look_the_same_are_leaks_too_once_they_are_measured(spark, shop):
    assert measure_quality(spark, shop.catalogues_dir / "shop", **OPTIONS) == 50  # ten of sixty are there twice
    exact, _ = leaks_of(shop.catalogues_dir, "shop", near=False)
    near, _ = leaks_of(shop.catalogues_dir, "shop", near=True)
    assert {leak.kind for leak in near} >= {"near"}
    assert len(near) > len(exact)
    mend_leaks(spark, shop, "shop", near=True, **OPTIONS)
    assert leaks_of(shop.catalogues_dir, "shop", near=True)[0] == []
    after = splits_of(shop)
    for number in range(0, 40, 4):
        name = f"bag/p{number:02d}"
        assert after[name] == after[f"{name}-again"] == after[f"{name}-bright"]


def test_a_class_is_kept_out_of_training_without_rewriting_a_picture(spark, shop):
    from delta.tables import DeltaTable

    done = redraw_splits(spark, shop, "shop", SplitPlan(unseen=("coat",), seed=11), **OPTIONS)
    summary = open_snapshot(shop.catalogues_dir, "shop").summary()
    assert done["by_split"] == summary.by_split
    assert set(summary.by_label["coat"]) == {"gallery-only", "test"}
    assert set(summary.by_label["bag"]) == {"train", "validation", "test"}
    commit = DeltaTable.forPath(spark, str(shop.catalogues_dir / "shop" / "products")).history(1).first()
    assert int(commit.operationMetrics["numTargetRowsCopied"]) == 0
    again = redraw_splits(spark, shop, "shop", SplitPlan(unseen=("coat",), seed=11), **OPTIONS)
    assert (again["version"], again["moved"]) == (done["version"], 0)
    with pytest.raises(CatalogueError, match="no label 'hat'"):
        redraw_splits(spark, shop, "shop", SplitPlan(unseen=("hat",)), **OPTIONS)
