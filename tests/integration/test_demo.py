"""The whole path as its users run it: commands in processes of their own, on real parts."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import psutil
import pytest

from backend.errors import DatasetUnavailable
from backend.sample import shop
from tests.fixtures.base import settings_for

pytestmark = [pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@pytest.fixture(scope="module")
def environ(tmp_path_factory) -> dict[str, str]:
    """A home of its own for the module, and ports that nobody uses."""
    app, endpoint, mlflow = free_ports(3)
    home = tmp_path_factory.mktemp("demo")
    settings = settings_for(home / "home")
    ports = {"TWINSET_APP_PORT": app, "TWINSET_ENDPOINT_PORT": endpoint, "TWINSET_MLFLOW_PORT": mlflow}
    return {**os.environ, **settings.environment(), **{name: str(port) for name, port in ports.items()}}


def backend(environ, repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", *arguments]
    return subprocess.run(
        command, cwd=repository, env=environ, capture_output=True, text=True, check=False, timeout=540
    )


@pytest.fixture(scope="module")
def demo(environ, repository) -> dict:
    done = backend(environ, repository, "demo", "--source", "sample", "--json")
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_demo_prints_its_figures(demo):
    assert demo["source"] == "sample"
    assert demo["rows_ingested"] >= 1200
    assert demo["gallery_size"] == demo["rows_ingested"]  # whatever split they are of
    assert 0.6 < demo["precision_at_1"] <= 1.0
    assert 0.3 < demo["map_at_r"] <= 1.0
    assert [n["rank"] for n in demo["neighbours"]] == list(range(1, 11))
    distances = [n["distance"] for n in demo["neighbours"]]
    assert distances == sorted(distances)
    assert all(n["product_id"] and n["label"] for n in demo["neighbours"])


def test_a_photo_is_answered_from_the_command_line(demo, environ, repository, tmp_path):
    product = next(p for p in shop.sample_products() if p.product_id == demo["neighbours"][0]["product_id"])
    photo = tmp_path / "photo.png"
    photo.write_bytes(shop.draw(product))
    done = backend(environ, repository, "recommend", str(photo), "-k", "5", "--json")
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(answer["neighbours"]) == 5
    assert answer["neighbours"][0]["product_id"] == product.product_id  # an item of the gallery finds itself
    assert answer["neighbours"][0]["distance"] == pytest.approx(0, abs=1e-3)
    assert answer["model"] == demo["model"] or str(answer["model_version"]) == str(demo["model_version"])


def test_a_file_that_is_no_picture_is_a_sentence(demo, environ, repository, tmp_path):
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7")
    done = backend(environ, repository, "recommend", str(tmp_path / "letter.pdf"), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "not_an_image"
    assert "Traceback" not in done.stderr


@contextmanager
def everything_running(environ, repository):
    command = [sys.executable, "-m", "backend", "run"]
    process = subprocess.Popen(command, cwd=repository, env=environ, stdout=subprocess.PIPE, text=True)
    said: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        for line in process.stdout:
            said.append(line)
            if "Logs are in" in line:
                ready.set()
        ready.set()

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        assert ready.wait(120)
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        listener.join(30)
        process.stdout.close()


def get(port: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_make_run_starts_everything_and_ctrl_c_ends_it(demo, environ, repository):
    with everything_running(environ, repository) as (process, said):
        assert process.poll() is None, "".join(said)
        family = psutil.Process(process.pid).children(recursive=True)
        assert get(environ["TWINSET_APP_PORT"], "/") == 200
        assert get(environ["TWINSET_MLFLOW_PORT"], "/health") == 200
        assert get(environ["TWINSET_ENDPOINT_PORT"], "/ping") == 200
        assert get(environ["TWINSET_ENDPOINT_PORT"], "/health") == 401
        addresses = "".join(said)
        for name in ("APP", "ENDPOINT", "MLFLOW"):
            assert f"http://127.0.0.1:{environ[f'TWINSET_{name}_PORT']}" in addresses
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_without_data_and_network_the_demo_says_that_it_takes_the_sample(settings):
    from dataclasses import replace

    from backend.flow.demo import choose_source
    from backend.flow.requests import DemoRequest
    from backend.progress import NullProgress

    (port,) = free_ports(1)
    nowhere = replace(settings, fashion_mnist_url=f"http://127.0.0.1:{port}", cache_dir=settings.home / "cache")
    source, note = choose_source(DemoRequest(), nowhere, NullProgress())
    assert source == "sample"
    assert "sample catalogue instead" in note
    from backend.catalogue.sources.fashion_mnist import obtain

    with pytest.raises(DatasetUnavailable):
        obtain(nowhere, NullProgress())


@pytest.mark.dataset
@pytest.mark.skipif("TWINSET_FASHION_MNIST_DIR" not in os.environ, reason="TWINSET_FASHION_MNIST_DIR is not set")
def test_the_path_on_the_seventy_thousand_real_items(environ, repository, tmp_path):
    """Everything on the real files, but for the length of training."""
    data = os.environ["TWINSET_FASHION_MNIST_DIR"]
    home = {**environ, "TWINSET_HOME": str(tmp_path / "real"), "TWINSET_FASHION_MNIST_DIR": data}

    def run(*arguments: str) -> dict:
        done = backend(home, repository, *arguments, "--json")
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    ingested = run("catalogue", "ingest", "--source", "fashion-mnist")
    assert (ingested["kept"], ingested["rejected"]) == (70_000, {})
    shown = run("catalogue", "show", "fashion-mnist")
    assert shown["by_split"] == {"train": 54_000, "validation": 6_000, "test": 10_000}
    assert {tuple(sorted(splits.items())) for splits in shown["by_label"].values()} == {
        (("test", 1000), ("train", 5400), ("validation", 600))
    }
    run("train", "--catalogue", "fashion-mnist", "--set", "epochs=1", "--set", "steps_per_epoch=120")
    assert run("index")["gallery_size"] == 70_000
    assert run("evaluate")["metrics"]["test.precision_at_1"] > 0.75
    assert run("deploy")["version"] == 1
