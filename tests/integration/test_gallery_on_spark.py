"""A gallery that Spark's executors embed is the one that this process embeds, bit for bit, on whatever master."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.bundles import bundle
from backend.catalogue.schemas import PICTURE_SCHEMA
from backend.errors import RetrievalError
from backend.flow.index_on_spark import build_gallery_on_spark
from backend.flow.ready_made import make_ready_made
from backend.flow.requests import ReadyMadeRequest
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery, load_vectors
from backend.retrieval.indexes.further import FILES, Further
from backend.training.heads import load_embedder
from tests.fixtures.endpoint import shop_rows
from tests.fixtures.models import Listener
from tests.support.changed_catalogues import ChangingShop
from tests.support.standalone import CONF, standalone

LIMIT_S = 240
pytestmark = [pytest.mark.spark, pytest.mark.tf]


def copy_of(folder, target):
    shutil.copytree(folder, target)
    return target


def assert_same(one, other):
    np.testing.assert_array_equal(load_vectors(one), load_vectors(other))
    assert pq.read_table(one / bundle.GALLERY).equals(pq.read_table(other / bundle.GALLERY))
    assert bundle.verify(one).index == bundle.verify(other).index


def test_executors_give_the_vectors_of_this_process(
    spark, sample_snapshot, trained_bundle, bundle_with_index, tmp_path
):
    folder = copy_of(trained_bundle[0], tmp_path / trained_bundle[0].name)
    heard = Listener()
    build_gallery_on_spark(spark, sample_snapshot, folder, progress=heard)
    assert_same(folder, bundle_with_index)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert heard.reports[-1][3] == "Embedding on Spark"


def test_executors_search_by_a_ready_made_network_as_this_process_does(spark, settings, tmp_path):
    shop = ChangingShop(settings.catalogues_dir, shop_rows())
    made = make_ready_made(ReadyMadeRequest(shop.name), settings, NullProgress())
    folder = copy_of(made, tmp_path / made.name)
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), index=None))
    build_gallery_on_spark(spark, shop.snapshot, folder, progress=NullProgress())
    np.testing.assert_array_equal(load_vectors(folder), load_vectors(made))
    assert pq.read_table(folder / bundle.GALLERY).equals(pq.read_table(made / bundle.GALLERY))


def test_executors_embed_further_pictures_as_this_process_does(
    spark, sample_snapshot, trained_bundle, tmp_path, monkeypatch
):
    """Products that show each other's pictures, too: their bytes are held."""
    rows = sample_snapshot.columns(["product_id", "image_sha256"]).slice(0, 8).to_pylist()
    further = [(one["product_id"], 1, "further", other["image_sha256"]) for one, other in pairwise(rows)]
    table = pa.table([*map(list, zip(*further, strict=True))], names=PICTURE_SCHEMA.names).cast(PICTURE_SCHEMA)
    monkeypatch.setattr(sample_snapshot, "further_pictures", lambda: table)
    here, there = (copy_of(trained_bundle[0], tmp_path / name / trained_bundle[0].name) for name in ("here", "there"))
    network = load_embedder(here, bundle.read_manifest(here), threads=1)
    build_gallery(sample_snapshot, network, here, progress=NullProgress())
    build_gallery_on_spark(spark, sample_snapshot, there, progress=NullProgress())
    for name in FILES:
        assert (here / name).read_bytes() == (there / name).read_bytes()
    found = Further.load(there, size=load_vectors(there).shape[0], dimensions=load_vectors(there).shape[1])
    first = {row["product_id"]: at for at, row in enumerate(pq.read_table(there / bundle.GALLERY).to_pylist())}
    for row, (one, other) in enumerate(pairwise(rows)):
        assert found.owners[row] == first[one["product_id"]]
        np.testing.assert_array_equal(found.vectors[row], load_vectors(there)[first[other["product_id"]]])


def test_splits_without_a_picture_make_no_gallery(spark, sample_snapshot, trained_bundle, tmp_path):
    folder = copy_of(trained_bundle[0], tmp_path / "m")
    with pytest.raises(RetrievalError, match="no readable picture in gallery-only"):
        build_gallery_on_spark(spark, sample_snapshot, folder, splits=("gallery-only",), progress=NullProgress())
    assert bundle.verify(folder).index is None


@pytest.mark.slow
def test_on_a_cluster_the_command_embeds_there(settings, sample_snapshot, bundle_with_index, repository, tmp_path):
    """A master with two workers, each in a working directory of its own; the home is a folder that all see."""
    shutil.copytree(sample_snapshot.catalogues_dir / "sample", settings.catalogues_dir / "sample")
    folder = settings.models_dir / bundle_with_index.name
    shutil.copytree(bundle_with_index, folder)
    (folder / bundle.VECTORS).unlink()
    (folder / bundle.GALLERY).unlink()
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), index=None))
    with standalone(tmp_path) as master:
        there = replace(settings, spark_master=master, spark_conf=CONF)
        done = subprocess.run(
            [sys.executable, "-m", "backend", "index", "--model", folder.name, "--json"],
            cwd=repository,
            env={**os.environ, **there.environment()},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["gallery_size"] == bundle.read_manifest(folder).index.size
    assert_same(folder, bundle_with_index)
