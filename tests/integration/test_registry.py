"""A trained bundle goes into a real MLflow registry and comes out whole; whatever is wrong with it is said."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from backend import __version__
from backend.bundles import bundle
from backend.errors import BundleError, RegistryError
from backend.machine.supervisor import Service, running
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.model_registry import register_bundle
from backend.registry.promotion import promote
from backend.registry.runs.tracking import MlflowTracker
from backend.registry.store import open_store
from backend.registry.usage import versions_in_use
from backend.retrieval.recommend import Recommender
from backend.serving.server import _bound
from tests.fixtures.endpoint import deploy, write_projection_bundle

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.spark, pytest.mark.slow]


@pytest.fixture
def registered(mlflow_settings, bundle_with_index):
    """Settings whose champion is the bundle."""
    deploy(mlflow_settings, bundle_with_index)
    return mlflow_settings


def stored(folder):
    """The files of a stored bundle, to be damaged."""
    return folder / bundle.MANIFEST, folder / bundle.VECTORS


def test_what_goes_in_comes_out(registered, bundle_with_index):
    version, folder = fetch_champion(registered)
    assert (version.name, version.version, version.alias) == ("twinset", 1, "champion")
    assert version.model == bundle_with_index.name
    assert bundle.verify(folder) == bundle.verify(bundle_with_index)
    assert registered.home in folder.parents


def test_the_versions_that_models_name_are_known_also_where_their_bundles_are_gone(registered, bundle_with_index):
    ref = bundle.read_manifest(bundle_with_index).catalogue
    assert not registered.models_dir.exists() or not list(registered.models_dir.iterdir())
    assert versions_in_use(registered, ref.name) == {ref.version: ["twinset version 1"]}
    shutil.copytree(bundle_with_index, registered.models_dir / bundle_with_index.name)
    assert versions_in_use(registered, ref.name) == {ref.version: sorted([bundle_with_index.name, "twinset version 1"])}
    assert versions_in_use(registered, "another") == {}


def test_it_is_logged_in_its_training_run_with_all_that_is_needed_to_serve_it(
    mlflow_settings, bundle_with_index, tmp_path
):
    tracker = MlflowTracker(mlflow_settings)
    run_id = tracker.start(name="training", params={}, tags={"catalogue": "sample"})
    tracker.finish(status="FINISHED")
    folder = shutil.copytree(bundle_with_index, tmp_path / "m")
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), run_id=run_id))
    version = deploy(mlflow_settings, folder)
    assert version.run_id == run_id

    with open_store(mlflow_settings) as client:
        found = client.get_model_version_by_alias("twinset", "champion")
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert [output.model_id for output in run.outputs.model_outputs] == [found.source.removeprefix("models:/")]
    assert (found.tags["catalogue"], found.tags["twinset.bundle"]) == ("sample", bundle_with_index.name)
    assert found.tags["twinset.version"] == run.data.tags["twinset.version"] == __version__

    from mlflow.models import Model

    _, stored_bundle = fetch_champion(mlflow_settings)
    model = Model.load(str(stored_bundle.parents[1]))
    assert [column["name"] for column in model.signature.inputs.to_dict()] == ["input"]
    assert [param["name"] for param in model.signature.params.to_dict()] == [
        "k",
        "include_images",
        "on_error",
        "layout",
        "region",
        "colour_weight",
        "rules",
    ]
    requirements = (stored_bundle.parents[1] / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} >= {"mlflow", "tensorflow", "tensorflow-similarity", "pillow"}
    assert all("==" in line for line in requirements)
    example = json.loads((stored_bundle.parents[1] / "serving_input_example.json").read_text())
    assert example["params"]["k"] == 3


def test_the_logged_model_answers_in_a_process_that_knows_nothing_of_this_checkout(
    registered, bundle_with_index, sample_snapshot, tmp_path
):
    from backend.training.embedder import load_query_embedder

    photos = [product.image for product in sample_snapshot.page(offset=0, limit=3, split="test")[0]]
    (tmp_path / "photos.json").write_text(json.dumps([base64.b64encode(photo).decode() for photo in photos]))
    program = """
import json, sys
import pandas as pd
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(pd.DataFrame({"input": json.load(open("photos.json"))}), params={"k": 4, "include_images": "hex"})
import backend
print(json.dumps({"backend": backend.__file__, "rows": found.to_dict(orient="records")}))
"""
    _, folder = fetch_champion(registered)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder.parents[1])],
        cwd=tmp_path,
        env={**clean, "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert str(registered.home) in answer["backend"]

    recommender = Recommender.load(bundle_with_index, embedder_loader=load_query_embedder)
    expected = [n for a in recommender.recommend(photos, k=4) for n in a.neighbours]
    assert [row["product_id"] for row in answer["rows"]] == [n.product_id for n in expected]
    assert [row["query_row"] for row in answer["rows"]] == [row for row in range(3) for _ in range(4)]
    assert all(len(row["image"]) == 8 * 48 * 48 * 3 for row in answer["rows"])


def test_an_alias_moves_and_other_aliases_stay(registered, bundle_with_index):
    second = register_bundle(registered, bundle_with_index, progress=NullProgress())
    promote(registered, second.version, alias="challenger", progress=NullProgress())
    assert second.version == 2
    assert fetch_champion(registered)[0].version == 1
    assert fetch_champion(registered, "challenger")[0].version == 2
    assert deploy(registered, bundle_with_index).version == 3
    assert fetch_champion(registered)[0].version == 3
    assert fetch_champion(registered, "challenger")[0].version == 2


def test_a_moved_home_still_serves(registered, bundle_with_index, tmp_path):
    moved = replace(registered, home=registered.home.rename(tmp_path / "moved"))
    _, folder = fetch_champion(moved)
    assert moved.home in folder.parents
    deploy(moved, bundle_with_index)
    assert moved.home in fetch_champion(moved)[1].parents
    assert not registered.home.exists()


def test_damage_in_the_artifact_store_is_found(registered):
    _, folder = fetch_champion(registered)
    manifest, vectors = stored(folder)
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    with pytest.raises(BundleError, match=r"vectors\.npy .* is damaged"):
        fetch_champion(registered)
    bundle.write_manifest(folder, bundle.read_manifest(folder))  # hashes that fit what was slipped in
    with pytest.raises(BundleError, match="not what was registered"):
        fetch_champion(registered)
    manifest.unlink()
    with pytest.raises(BundleError):
        fetch_champion(registered)
    shutil.rmtree(registered.home / "artifacts")
    with pytest.raises(BundleError, match="not found"):
        fetch_champion(registered)


def test_no_champion_yet_is_said_with_what_to_do_and_makes_no_store(settings, mlflow_settings):
    empty = replace(settings, home=settings.home / "untouched")
    for nothing_yet in (empty, mlflow_settings):
        with pytest.raises(RegistryError, match="No version of twinset has the alias champion yet") as caught:
            fetch_champion(nothing_yet)
        assert "backend deploy" in caught.value.next_step
    assert not empty.home.exists()


def test_a_bundle_without_an_index_or_damaged_is_not_registered(mlflow_settings, bundle_with_index, tmp_path):
    write_projection_bundle(tmp_path / "unindexed")
    damaged = shutil.copytree(bundle_with_index, tmp_path / "damaged")
    (damaged / bundle.VECTORS).write_bytes(b"")
    for folder, says in ((tmp_path / "unindexed", "no index yet"), (damaged, "is damaged")):
        with pytest.raises(BundleError, match=says):
            register_bundle(mlflow_settings, folder, progress=NullProgress())
    with pytest.raises(RegistryError):
        fetch_champion(mlflow_settings)


def test_a_model_that_cannot_answer_is_not_registered(mlflow_settings, bundle_with_index, tmp_path):
    """MLflow itself only warns of one."""
    folder = shutil.copytree(bundle_with_index, tmp_path / "m")
    np.savez(folder / bundle.WEIGHTS, a=np.zeros(3, dtype=np.float32))
    bundle.write_manifest(folder, bundle.read_manifest(folder))
    with pytest.raises(BundleError):
        register_bundle(mlflow_settings, folder, progress=NullProgress())
    with pytest.raises(RegistryError):
        fetch_champion(mlflow_settings)


def test_a_remote_store_is_used_and_downloaded_from_once(settings, fresh_store, bundle_with_index, tmp_path):
    server = replace(settings, home=tmp_path / "server")
    server.home.mkdir()
    shutil.copy(fresh_store, server.home / "mlflow.db")
    with closing(_bound("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", server.effective_tracking_uri, "--artifacts-destination", str(server.home / "kept")),
    )
    with running(Service("mlflow", "MLflow", port, command, "/health"), server):
        remote = replace(settings, tracking_uri=f"http://127.0.0.1:{port}")
        deploy(remote, bundle_with_index)
        _, folder = fetch_champion(remote)
        assert folder.is_relative_to(settings.home / "downloads" / "twinset-1")
        assert bundle.verify(folder) == bundle.verify(bundle_with_index)
        first = folder.stat().st_ino
        assert fetch_champion(remote)[1].stat().st_ino == first
    with pytest.raises(RegistryError, match="The MLflow operation failed"):
        fetch_champion(remote)
