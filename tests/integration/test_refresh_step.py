"""A refresh of the model that answers is a new registered version of it, which the alias then stands at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from backend.bundles import bundle
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.built_in import SampleSource
from backend.flow.deploy import refresh_step
from backend.flow.index import index_step, is_answered_with
from backend.flow.requests import IndexRequest, RefreshRequest
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.usage import versions_in_use
from backend.retrieval.gallery.gallery import load_vectors
from tests.fixtures.catalogue import SAMPLE_COUNT
from tests.fixtures.endpoint import deploy

pytestmark = [pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture
def answering(spark, sample_snapshot, bundle_with_index, mlflow_settings):
    """A home whose champion is an indexed model, and whose catalogue then got eighteen products more."""
    settings = mlflow_settings
    shutil.copytree(sample_snapshot.catalogues_dir / "sample", settings.catalogues_dir / "sample")
    folder = settings.models_dir / bundle_with_index.name
    shutil.copytree(bundle_with_index, folder)
    deploy(settings, folder)
    ingest(spark, SampleSource(SAMPLE_COUNT + 18), settings, catalogue="sample", progress=NullProgress())
    return settings, folder


def test_what_answers_is_refreshed_registered_and_taken_up(answering):
    settings, folder = answering
    before, _ = fetch_champion(settings)
    result = refresh_step(RefreshRequest(folder.name), settings, NullProgress())
    newest = open_snapshot(settings.catalogues_dir, "sample").version
    after, registered = fetch_champion(settings)
    assert (result["version"], result["registered_version"]) == (newest, after.version)
    assert (after.version, after.model) == (before.version + 1, folder.name)
    assert bundle.read_manifest(registered).index == bundle.verify(folder).index
    assert bundle.read_manifest(registered).index.catalogue.version == newest
    assert result["embedded"] > 0
    assert not is_answered_with(folder, settings, alias="champion")
    assert folder.name in versions_in_use(settings, "sample")[newest]

    refreshed = np.array(load_vectors(folder))
    index_step(IndexRequest(folder.name), settings, NullProgress())  # at the same version, all of it
    np.testing.assert_array_equal(load_vectors(folder), refreshed)


def test_what_does_not_answer_is_refreshed_alone(answering):
    settings, folder = answering
    other = settings.models_dir / "other"
    shutil.copytree(folder, other)
    result = refresh_step(RefreshRequest("other"), settings, NullProgress())
    assert "registered_version" not in result
    assert fetch_champion(settings)[0].model == folder.name
    assert bundle.verify(other).index.generation == 2
    assert bundle.verify(folder).index.generation == 1
