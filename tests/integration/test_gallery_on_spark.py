"""A gallery that Spark's executors embed is the one that this process embeds, bit for bit, on whatever master."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from backend import bundle
from backend.catalogue.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import SampleSource
from backend.errors import RetrievalError
from backend.gallery_on_spark import build_gallery_on_spark
from backend.index_steps import index_step
from backend.progress import NullProgress
from backend.requests import IndexRequest
from backend.retrieval.gallery import load_vectors
from tests.fixtures.models import Listener
from tests.support.standalone import CONF, standalone

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


def test_splits_without_a_picture_make_no_gallery(spark, sample_snapshot, trained_bundle, tmp_path):
    folder = copy_of(trained_bundle[0], tmp_path / "m")
    with pytest.raises(RetrievalError, match="no readable picture in gallery-only"):
        build_gallery_on_spark(spark, sample_snapshot, folder, splits=("gallery-only",), progress=NullProgress())
    assert bundle.verify(folder).index is None


@pytest.mark.slow
def test_on_a_cluster_the_step_embeds_there(settings, trained_bundle, tmp_path):
    """A master with two workers, each in a working directory of its own; the home is a folder that all see."""
    from backend.spark_session import open_spark

    with standalone(tmp_path) as master:
        on_cluster = replace(settings, spark_master=master, spark_conf=CONF)
        with open_spark(on_cluster, app_name="test") as spark:
            ingest(spark, SampleSource(60), on_cluster, catalogue="sample", progress=NullProgress())
            snapshot = open_snapshot(settings.catalogues_dir, "sample")
            for name in ("there", "here"):
                folder = settings.models_dir / name
                shutil.copytree(trained_bundle[0], folder)
                manifest = replace(bundle.read_manifest(folder), name=name, catalogue=snapshot.ref)
                bundle.write_manifest(folder, manifest)
            result = index_step(IndexRequest("there"), on_cluster, NullProgress())
    index_step(IndexRequest("here"), settings, NullProgress())
    assert result["gallery_size"] == bundle.read_manifest(settings.models_dir / "here").index.size
    assert_same(settings.models_dir / "there", settings.models_dir / "here")
