"""Somebody reaches MLflow's server, which has no login: nothing that they do there changes what is served."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from backend.bundles import bundle
from backend.errors import BundleError
from backend.machine.supervisor import running, services
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion, fetch_version
from backend.registry.history import load_ledger
from backend.registry.promotion import promote
from backend.registry.signing import BUNDLE_TAG, MANIFEST_TAG
from backend.registry.store import open_store
from backend.retrieval.recommend import Recommender
from tests.fixtures.endpoint import load_projection
from tests.fixtures.registry import register_projection, write_model_folder

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory, fresh_store, projection_bundle):
    """A home with a champion, and the server that is started for it; yields the settings."""
    from tests.fixtures.base import settings_for

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = replace(settings_for(tmp_path_factory.mktemp("attacked") / "home"), mlflow_port=port)
    settings.home.mkdir()
    shutil.copy(fresh_store, settings.home / "mlflow.db")
    promote(settings, register_projection(settings, projection_bundle), progress=NullProgress())
    mlflow = next(one for one in services(settings) if one.name == "mlflow")
    with running(mlflow, settings):
        yield settings


@pytest.fixture
def unchanged(server):
    """What is served before the test is served after it, from the same folder, also once the registry was listed."""
    before = fetch_champion(server)
    paths = _paths(server)
    yield server
    for _ in range(2):
        assert fetch_champion(server) == before
        assert load_ledger(server).at("champion").version == before[0].version
    assert Recommender.load(before[1], embedder_loader=load_projection).manifest.classes[0] != "OWNED"
    assert [path for path in _paths(server) if path in paths] == paths


def _paths(settings):
    with closing(sqlite3.connect(settings.home / "mlflow.db")) as database:
        return database.execute("SELECT version, storage_location FROM model_versions ORDER BY 1").fetchall()


@pytest.fixture
def api(server):
    """MLflow's interface as anybody on the machine has it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.mlflow_port}", timeout=30) as client:
        yield client


@pytest.fixture
def owned(tmp_path, projection_bundle):
    """A logged model of ours with other answers, and hashes that fit."""
    folder = shutil.copytree(projection_bundle, tmp_path / "owned")
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, classes=("OWNED", *manifest.classes[1:])))
    return write_model_folder(tmp_path / "evil", folder)


def post(api, path, **body):
    answer = api.post(f"/api/2.0/mlflow/{path}", json=body)
    answer.raise_for_status()
    return answer.json()


def hostile_run(api, location):
    made = post(api, "experiments/create", name=f"e{time.time_ns()}", artifact_location=str(location))
    return post(api, "runs/create", experiment_id=made["experiment_id"], start_time=1)["run"]["info"]


def files_of(model):
    return [(str(path.relative_to(model)), path) for path in sorted(model.rglob("*")) if path.is_file()]


def register(api, model, run, source, **tags):
    sha256 = bundle.sha256_of(model / "artifacts" / "bundle" / bundle.MANIFEST)
    usual = {MANIFEST_TAG: sha256, BUNDLE_TAG: "projection", **tags}
    pairs = [{"key": key, "value": value} for key, value in usual.items()]
    made = post(api, "model-versions/create", name="twinset", source=source, run_id=run["run_id"], tags=pairs)
    number = made["model_version"]["version"]
    post(api, "registered-models/alias", name="twinset", alias="champion", version=number)
    return int(number)


def test_the_server_takes_no_artifacts_at_the_door_for_them(unchanged, api, owned):
    _, path = files_of(owned)[0]
    answer = api.put("/api/2.0/mlflow-artifacts/artifacts/evil/model/MLmodel", content=path.read_bytes())
    assert answer.status_code >= 400
    assert api.get("/api/2.0/mlflow-artifacts/artifacts").status_code >= 400


@pytest.mark.parametrize("below", ["elsewhere", "home/artifacts/models", "home/artifacts/logged-1"])
def test_an_uploaded_version_with_our_alias_is_not_served(unchanged, api, owned, tmp_path, below):
    """A run's files can be uploaded by the interface of the pages, below any folder."""
    place = unchanged.home.parent / below if below.startswith("home") else tmp_path / below
    run = hostile_run(api, place)
    for name, path in files_of(owned):
        asked = {"run_uuid": run["run_id"], "path": f"model/{name}"}
        api.post("/ajax-api/2.0/mlflow/upload-artifact", params=asked, content=path.read_bytes()).raise_for_status()
    with open_store(unchanged) as client:
        ours = client.get_model_version("twinset", "1").tags
    number = register(
        api, owned, run, f"{run['artifact_uri']}/model", **{"twinset.signature": ours["twinset.signature"]}
    )
    with pytest.raises(BundleError, match="signed with another key or was tampered with"):
        fetch_version(unchanged, number)
    with pytest.raises(BundleError, match="is not loaded"):
        promote(unchanged, number, reason="Please.", progress=NullProgress())
    assert "is not loaded" in load_ledger(unchanged).version(number).refused


def test_a_tag_moves_no_artifacts(unchanged, api):
    root = str(unchanged.home / "artifacts" / "logged-1")
    made = post(api, "experiments/create", name=f"t{time.time_ns()}", artifact_location=root)
    for experiment in (made["experiment_id"], "0"):
        post(api, "experiments/set-experiment-tag", experiment_id=experiment, key="twinset.artifact_root", value=root)


def test_tags_of_the_champion_can_be_spoilt_and_what_is_served_stays(server, api, projection_bundle):
    """The version before is what is left to serve: a manifest that was not signed is not."""
    promote(server, register_projection(server, projection_bundle), reason="It may.", progress=NullProgress())
    champion = fetch_champion(server)[0].version
    post(api, "model-versions/set-tag", name="twinset", version=str(champion), key=MANIFEST_TAG, value="0" * 64)
    post(api, "registered-models/set-tag", name="twinset", key="twinset.moved.9", value=json.dumps({"at": []}))
    assert fetch_champion(server)[0].version == 1


def test_our_own_processes_log_to_the_server_all_the_same(server):
    own = replace(server, tracking_uri=f"http://127.0.0.1:{server.mlflow_port}")
    with open_store(own) as client:
        run = client.create_run("0")
        client.log_text(run.info.run_id, "a", "a.txt")
        assert run.info.artifact_uri.startswith(f"{server.home}/artifacts/0/")
        assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["a.txt"]


def test_the_attack_as_it_was_reported(unchanged, security_case, owned, tmp_path):
    script = security_case("repro_mlflow.py")
    shutil.move(owned / "artifacts" / "bundle", owned / "artifacts" / "shop")
    (owned / "MLmodel").write_text((owned / "MLmodel").read_text().replace("artifacts/bundle", "artifacts/shop"))
    address = f"http://127.0.0.1:{unchanged.mlflow_port}"
    root = str(unchanged.home / "artifacts")
    done = subprocess.run(
        [sys.executable, str(script), address, str(owned), root],
        cwd=tmp_path,
        env={**os.environ, "SERVER_CWD": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith("0 files uploaded; version")
