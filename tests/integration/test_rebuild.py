"""A card is replayed from catalogue version to evaluation, also when the model it belongs to is gone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.errors import CatalogueNotFound
from backend.flow.kinds import run_request
from backend.flow.requests import IndexRequest, RebuildRequest, TrainRequest
from backend.progress import NullProgress
from tests.fixtures.models import TINY, store_catalogue
from tests.fixtures.registry import register_projection

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.slow]


@pytest.fixture
def home(mlflow_settings, small_products):
    """A registered model of a small catalogue, of which a newer version has come meanwhile."""
    settings = replace(mlflow_settings, threads=1)
    store_catalogue(settings.catalogues_dir, small_products)
    run_request(TrainRequest("small", config=TINY, name="first"), settings, NullProgress())
    run_request(IndexRequest("first"), settings, NullProgress())
    register_projection(settings, settings.models_dir / "first")
    return settings


def test_a_registered_model_is_rebuilt_from_its_card_alone(home):
    original = bundle.read_manifest(home.models_dir / "first")
    shutil.rmtree(home.models_dir / "first")
    found = run_request(RebuildRequest(version=1, name="again"), home, NullProgress())
    rebuilt = bundle.verify(home.models_dir / "again")
    assert (found["model"], found["original"]) == ("again", "first")
    assert (rebuilt.catalogue, rebuilt.config, rebuilt.seed) == (original.catalogue, original.config, original.seed)
    assert (rebuilt.index.size, rebuilt.classes) == (original.index.size, original.classes)
    assert found["same_network"] == (rebuilt.weights_hash == original.weights_hash)
    what = {one["what"] for one in found["differs"]}
    assert ("network" in what) != found["same_network"]
    assert (found["largest_weight_difference"] == 0) == found["same_network"]  # against the registered network
    assert found["largest_weight_difference"] < 1e-3
    assert rebuilt.threads == original.threads > 0
    assert {one["figure"] for one in found["figures"]} == original.metrics.keys() & rebuilt.metrics.keys()
    assert rebuilt.run_id != original.run_id
    assert not what & {"products in the index", "kind of index", "tensorflow", "numpy"}


def test_a_catalogue_version_that_is_gone_is_said_before_anything_is_trained(home):
    shutil.rmtree(home.catalogues_dir / "small")
    with pytest.raises(CatalogueNotFound):
        run_request(RebuildRequest(version=1, name="again"), home, NullProgress())
    assert not (home.models_dir / "again").exists()
