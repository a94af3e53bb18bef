"""A registered model starts where nothing of Twinset is: in an environment made from its own requirements alone.

Its folder is copied elsewhere, and every process there has a home, a path and a working folder without this checkout.
"""

from __future__ import annotations

import base64
import io
import json
import platform
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.bundles import bundle
from backend.machine import logfile
from backend.machine.supervisor import Service, await_ready, end, log_of
from backend.registry.fetching import fetch_champion
from backend.retrieval.gallery.gallery import load_vectors
from backend.retrieval.indexes.cells import Cells, owners_of
from backend.serving.answers import InvokedRow
from backend.serving.clients import local_client
from backend.serving.gateway import build_app
from backend.serving.served import load_champion
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import deploy, http_to
from tests.support.browsing import free_port
from tests.support.hostile_pictures import encoded

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(1200)]
KINDS = ("exact", "approximate")
K = 4
CENTRES = 12
ASK = """
import json, sys
import mlflow
import pandas as pd
photos = pd.DataFrame({"input": json.load(open(sys.argv[1]))})
rows = {kind: mlflow.pyfunc.load_model(kind).predict(photos, params={"k": 4}).to_dict("records") for kind in sys.argv[2:]}
import backend
print(json.dumps({"code": backend.__file__, "faiss": "faiss" in sys.modules, "rows": rows}))
"""


@pytest.fixture(scope="module")
def homes(bundle_with_index, fresh_store, tmp_path_factory):
    """Settings by kind of index, whose champion is the trained bundle with an index of that kind."""
    found = {}
    for kind in KINDS:
        place = tmp_path_factory.mktemp(kind)
        folder = shutil.copytree(bundle_with_index, place / bundle_with_index.name)
        if kind == "approximate":
            _divide(folder)
        found[kind] = settings_for(place / "home")
        found[kind].home.mkdir()
        shutil.copy(fresh_store, found[kind].home / "mlflow.db")
        deploy(found[kind], folder)
    return found


def _divide(folder):
    """Give a bundle an approximate index of several cells; a gallery this small would get one, which is searched exactly."""
    vectors = load_vectors(folder)
    centres = np.array(vectors[:: len(vectors) // CENTRES][:CENTRES])
    Cells(centres, owners_of(vectors, centres), probes=4).save(folder / bundle.CELLS)
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, manifest.with_index(replace(manifest.index, kind="approximate")))


@pytest.fixture(scope="module")
def elsewhere(homes, tmp_path_factory):
    """A folder with the logged models, by kind, and nothing else."""
    place = tmp_path_factory.mktemp("elsewhere")
    for kind, settings in homes.items():
        shutil.copytree(fetch_champion(settings)[1].parents[1], place / kind)
    return place


@pytest.fixture(scope="module")
def python(elsewhere, tmp_path_factory):
    """The Python of an environment that holds what the models require, from a package index, and nothing else."""
    exact, approximate = ((elsewhere / kind / "requirements.txt").read_text() for kind in KINDS)
    assert exact == approximate  # one environment is that of both
    place = tmp_path_factory.mktemp("environment")
    python = place / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    smallest = next(line for line in exact.split() if line.startswith("six=="))
    probe = (*pip, "install", "--dry-run", "--no-deps", "--retries", "0", "--timeout", "20", smallest)
    if (asked := subprocess.run(probe, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"there is no package index: {asked.stderr.strip()[-200:]}")
    try:
        required = str(elsewhere / KINDS[0] / "requirements.txt")
        subprocess.run([*pip, "install", "-q", "--no-compile", "-r", required], check=True)
        subprocess.run([*pip, "check"], check=True)
        yield python
    finally:
        shutil.rmtree(place)  # 2.8 GB


@pytest.fixture(scope="module")
def alone(python, tmp_path_factory):
    """What a process there is told of its surroundings, and nothing else."""
    home = tmp_path_factory.mktemp("their-home")
    return {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@pytest.fixture(scope="module")
def photos(sample_snapshot):
    """Three products, and one of them again as a telephone takes it."""
    found = [product.image for product in sample_snapshot.page(offset=0, limit=3, split="test")[0]]
    with Image.open(io.BytesIO(found[0])) as picture:
        return [*found, encoded(picture.convert("RGB"), "HEIF", quality=90)]


@pytest.fixture(scope="module")
def expected(homes, photos):
    """What our own endpoint answers, by kind."""
    return {kind: _from_endpoint(settings, photos) for kind, settings in homes.items()}


def _from_endpoint(settings, photos):
    champion = load_champion(settings)
    with http_to(build_app(settings, load=lambda: champion)) as http:
        url = f"{str(http.base_url).rstrip('/')}/invocations"
        client = local_client(replace(settings, endpoint_url=url))
        rows = client.invoke(photos, k=K)
        client.close()
    assert [(row.query_row, row.rank) for row in rows] == [
        (at, rank + 1) for at in range(len(photos)) for rank in range(K)
    ]
    return rows


def agree(found, rows):
    """The same products in the same order, at the same distances."""
    assert [row.product_id for row in found] == [row.product_id for row in rows]
    assert [row.query_row for row in found] == [row.query_row for row in rows]
    assert [row.distance for row in found] == pytest.approx([row.distance for row in rows], abs=1e-6)


def test_it_is_loaded_elsewhere_and_answers_as_the_endpoint_does(elsewhere, python, alone, photos, expected):
    (elsewhere / "photos.json").write_text(json.dumps([base64.b64encode(photo).decode() for photo in photos]))
    done = subprocess.run(
        [python, "-c", ASK, "photos.json", *KINDS],
        cwd=elsewhere,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mismatch" not in done.stderr  # MLflow finds what the model requires
    told = json.loads(done.stdout.splitlines()[-1])
    assert Path(told["code"]).is_relative_to(elsewhere)
    assert told["faiss"]
    for kind in KINDS:
        agree([InvokedRow(**row) for row in told["rows"][kind]], expected[kind])


@contextmanager
def serving(kind, elsewhere, python, alone, settings):
    """Stock ``mlflow models serve`` of a model; gives a function that waits until it answers and returns its address."""
    port = free_port()
    options = ("--env-manager", "local", "-h", "127.0.0.1", "-p", str(port))
    command = (str(python), "-m", "mlflow", "models", "serve", "-m", kind, *options)
    service = Service("stock", "Stock MLflow", port, command, "/ping")
    with logfile.opened(log_of(service, settings)) as log:
        process = subprocess.Popen(
            command,
            cwd=elsewhere,
            env=alone,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield lambda: (await_ready(service, settings, process), f"{service.url}/invocations")[1]
        finally:
            end(process)


def test_it_is_served_elsewhere_and_answers_as_the_endpoint_does(elsewhere, python, alone, homes, photos, expected):
    with ExitStack() as stack:
        begun = {
            kind: stack.enter_context(serving(kind, elsewhere, python, alone, homes[kind])) for kind in KINDS
        }  # side by side: each takes its time to start
        for kind, address in begun.items():
            client = local_client(replace(homes[kind], endpoint_url=address()))
            agree(client.invoke(photos, k=K), expected[kind])
            client.close()


def test_a_dockerfile_for_it_installs_what_it_requires(elsewhere, python, alone, tmp_path):
    command = (python, "-m", "mlflow", "models", "generate-dockerfile", "-m", "approximate", "-d", tmp_path)
    subprocess.run(command, cwd=elsewhere, env=alone, check=True, capture_output=True)
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert f"FROM python:{platform.python_version()}-slim" in dockerfile
    assert "COPY model_dir/approximate /opt/ml/model" in dockerfile
    # Which installs what the model's python_env.yaml names.
    assert "_install_pyfunc_deps('/opt/ml/model'" in dockerfile
    copied = tmp_path / "model_dir" / "approximate"
    assert "- -r requirements.txt" in (copied / "python_env.yaml").read_text()
    for name in ("requirements.txt", "code/backend/registry/predictor.py"):
        assert (copied / name).read_bytes() == (elsewhere / "approximate" / name).read_bytes()
