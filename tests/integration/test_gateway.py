"""The endpoint as it is deployed: a trained model from a real registry, MLflow's own scoring, a real process."""

from __future__ import annotations

import base64
import copy
import gc
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend.cli.main import main
from backend.errors import EndpointRejected, EndpointUnreachable, RetrievalError
from backend.flow.kinds import run_request
from backend.flow.requests import SimulateRequest
from backend.imaging import pixels
from backend.progress import NullProgress
from backend.registry.golden import GoldenQuery, approve
from backend.registry.store import open_store
from backend.retrieval.rules.rule import Rule
from backend.retrieval.rules.rule_set import as_plain
from backend.serving.client import EndpointClient, decode_response_image
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import deploy, encoded, http_to

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def http(deployed, champion):
    headers = {"Authorization": f"Bearer {ensure_app_token(deployed).reveal()}"}
    with http_to(build_app(deployed, load=lambda: champion), headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def photos(sample_snapshot):
    return [product.image for product in sample_snapshot.page(offset=0, limit=20, split="test")[0]]


def text_of(photo):
    return base64.b64encode(photo).decode()


def in_format(name, texts):
    return {
        "dataframe_split": {"columns": ["input"], "data": [[text] for text in texts]},
        "dataframe_records": [{"input": text} for text in texts],
        "instances": texts,
        "inputs": {"input": texts},
    }[name]


def error_of(response):
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "next_step", "request_id"}
    for leak in ("Traceback", "stack_trace", "site-packages", "mlflow.exceptions"):
        assert leak not in response.text
    return response.status_code, error["code"]


def test_logged_questions_are_answered_again_and_rules_are_tried_on_them(
    deployed, champion, photos, capsys, monkeypatch
):
    for name, value in deployed.environment().items():
        monkeypatch.setenv(name, value)
    headers = {"Authorization": f"Bearer {ensure_app_token(deployed).reveal()}"}
    with http_to(build_app(deployed, load=lambda: champion), headers=headers) as client:
        answers = [client.post("/v1/recommend?k=6", content=photo).json() for photo in photos[:8]]
    approved = [one["product_id"] for one in answers[0]["neighbours"]]
    approve(deployed.home, GoldenQuery("first", "sample", photos[0], tuple(approved[:2]), (), 6))
    assert main(["questions", "verify", "--catalogue", "sample", "--json"]) == 0
    verified = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert verified["asked"] == verified["equal"] == verified["identical"] == 8
    last = approved[-1]
    rules = [as_plain(Rule("pin", "pin", products=(last,), slot=1))]
    tried = run_request(SimulateRequest(rules=rules), deployed, NullProgress())
    assert (tried["approved"], tried["logged"], tried["version"]) == (1, 8, 0)
    same = [one["neighbours"][0]["product_id"] for one in answers].count(last)
    assert tried["answers_changed"] == 9 - same
    example = next(one for one in tried["examples"] if one["question"] == "first")
    assert (example["before"], example["after"]) == (approved, [last, *approved[:-1]])
    with pytest.raises(RetrievalError, match="no draft of Ann"):
        run_request(SimulateRequest("Ann"), deployed, NullProgress())


@pytest.mark.parametrize("name", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_mlflows_protocol_answers_every_row(http, champion, photos, name):
    body = {name: in_format(name, [text_of(photo) for photo in photos]), "params": {"k": 3}}
    response = http.post("/invocations", json=body)
    assert response.status_code == 200
    rows = response.json()["predictions"]
    assert [row["query_row"] for row in rows] == [row for row in range(len(photos)) for _ in range(3)]
    assert rows[0].keys() == {"query_row", "rank", "product_id", "label", "distance", "similarity"}
    expected = [n for answer in champion.recommender.recommend(photos, k=3) for n in answer.neighbours]
    assert [(row["rank"], row["product_id"], row["label"]) for row in rows] == [
        (n.rank, n.product_id, n.label) for n in expected
    ]
    np.testing.assert_allclose([row["distance"] for row in rows], [n.distance for n in expected], atol=1e-6)


def test_both_protocols_give_the_same_neighbours(http, photos):
    ours = http.post("/v1/recommend?k=6", content=photos[0]).json()["neighbours"]
    theirs = http.post("/invocations", json={"instances": [text_of(photos[0])], "params": {"k": 6}}).json()[
        "predictions"
    ]
    assert [n["product_id"] for n in ours] == [row["product_id"] for row in theirs]


def test_a_colour_picture_is_one_query_and_comes_back_as_one_picture(http, champion, photos):
    """The original design made three pictures of the three channels of one."""
    for image_format in ("png", "hex"):
        body = {"instances": [text_of(photos[0])], "params": {"k": 2, "include_images": image_format}}
        rows = http.post("/invocations", json=body).json()["predictions"]
        assert [row["query_row"] for row in rows] == [0, 0]
        (answer,) = champion.recommender.recommend(photos[:1], k=2)
        for row, neighbour in zip(rows, answer.neighbours, strict=True):
            thumbnail = champion.recommender.gallery.thumbnail(neighbour.position)
            expected = pixels.decode(thumbnail, champion.recommender.manifest.pixels).pixels
            assert expected.shape == (48, 48, 3)
            np.testing.assert_array_equal(decode_response_image(row["image"]), expected)


def test_the_client_speaks_both_protocols(http, deployed, photos):
    client = EndpointClient(str(http.base_url), ensure_app_token(deployed))
    rows = client.invoke(photos[:3], k=2, include_images="png")
    assert [(row.query_row, row.rank) for row in rows] == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert decode_response_image(rows[0].image).shape == (48, 48, 3)
    assert client.recommend(photos[0], k=2).neighbours[0].product_id == rows[0].product_id
    with pytest.raises(EndpointRejected, match="query_row 1: ") as caught:
        client.invoke([photos[0], b"?"], k=2, on_error="raise")
    assert caught.value.code == "not_an_image"
    answered, failed = client.invoke([photos[0], b"?"], k=1)
    assert (answered.query_row, answered.product_id, answered.error) == (0, rows[0].product_id, "")
    assert (failed.query_row, failed.rank, failed.product_id, failed.distance) == (1, 0, "", None)
    assert caught.value.message.removeprefix("query_row 1: ") in failed.error
    with pytest.raises(EndpointRejected):
        client.invoke([b"?"], k=1)
    (failed,) = client.invoke([b"?"], k=1, on_error="row")
    assert failed.error
    client.close()


def difficult():
    grey = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
    return [
        (b"", 422, "empty"),
        (b"no picture", 415, "not_an_image"),
        (encoded(grey)[:-60], 422, "damaged"),
        (encoded(Image.new("1", (8_000, 6_000))), 413, "too_many_pixels"),
        (encoded(Image.new("L", (1, 1))), 422, "too_small"),
        (encoded(grey.convert("CMYK"), "JPEG"), 200, ""),
        (encoded(Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)), 200, ""),
        (encoded(grey.convert("RGBA")), 200, ""),
    ]


def test_a_difficult_picture_among_good_ones_is_typed_and_changes_nothing(http, photos):
    good = {"instances": [text_of(photos[0])], "params": {"k": 5}}
    before = http.post("/invocations", json=good).json()
    for data, status, code in difficult():
        body = {"instances": [text_of(photos[1]), text_of(data)], "params": {"k": 2}}
        rows = http.post("/invocations", json=body).json()["predictions"]
        assert [row["query_row"] for row in rows] == ([0, 0, 1, 1] if status == 200 else [0, 0, 1])
        assert bool(rows[-1].get("error")) == (status != 200)
        strict = http.post("/invocations", json={**body, "params": {"k": 2, "on_error": "raise"}})
        if status != 200:
            assert error_of(strict) == (status, code)
            assert strict.json()["error"]["message"].startswith("query_row 1: ")
        assert http.post("/invocations", json=good).json() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b'{"instances": ["%%%"]}', 400, "not_base64"),
        (b'{"dataframe_split": {"columns": ["picture"], "data": [["QQ=="]]}}', 422, "bad_columns"),
        (b'{"instances": [], "params": {"k": 1}}', 422, "no_rows"),
        (b'{"instances": ["QQ=="], "params": {"k": 0}}', 422, "bad_k"),
        (b'{"messages": [{"role": "user", "content": "hello"}]}', 422, "bad_format"),
        (b'{"instances": [' + b'"QQ==",' * 128 + b'"QQ=="]}', 413, "too_many_rows"),
    ],
)
def test_a_wrong_request_is_typed(http, body, status, code):
    response = http.post("/invocations", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert error_of(response) == (status, code)


@pytest.mark.parametrize("media_type", ["text/csv", "application/vnd.apache.parquet", "", "text/plain"])
def test_only_json_is_taken(http, media_type):
    response = http.post("/invocations", content=b"input\nQQ==", headers={"Content-Type": media_type})
    assert error_of(response) == (415, "bad_content_type")


def test_an_answer_that_would_be_huge_is_not_computed(http, photos):
    body = {"instances": [text_of(photos[0])] * 100, "params": {"k": 200, "include_images": "hex"}}
    assert error_of(http.post("/invocations", json=body)) == (413, "answer_too_large")


def test_what_goes_wrong_inside_mlflow_stays_inside(deployed, champion, photos, caplog):
    """MLflow would answer with a stack trace and the whole input."""

    class Broken:
        manifest = champion.recommender.manifest

        def recommend(self, *_, **__):
            raise ZeroDivisionError("the secret recipe")

    broken = replace(champion, recommender=Broken())
    headers = {"Authorization": f"Bearer {ensure_app_token(deployed).reveal()}"}
    with http_to(build_app(deployed, load=lambda: broken), headers=headers) as client:
        response = client.post("/invocations", json={"instances": [text_of(photos[0])]})
    assert error_of(response) == (500, "internal_error")
    assert "secret recipe" not in response.text
    number = re.search(r"incident (\w+)", response.json()["error"]["message"]).group(1)
    assert f"incident {number}" in caplog.text


def test_what_was_swapped_out_is_forgotten(deployed, champion, photos):
    """FastAPI keeps the functions of every application for good: one application a version kept every version."""

    def load():
        loaded = copy.copy(champion.recommender)
        swapped_in.append(weakref.ref(loaded))
        return replace(champion, recommender=loaded)

    swapped_in = []
    headers = {"Authorization": f"Bearer {ensure_app_token(deployed).reveal()}"}
    with http_to(build_app(deployed, load=load), headers=headers) as client:
        for _ in range(4):
            assert client.post("/invocations", json={"instances": [text_of(photos[0])]}).status_code == 200
            assert client.post("/v1/recommend", content=photos[0]).status_code == 200
            assert client.post("/v1/reload").status_code == 200
        gc.collect()
        assert [ref() is None for ref in swapped_in] == [True, True, True, True, False]


def test_many_at_once_are_answered_as_one_by_one(http, photos):
    def ask(photo):
        body = http.post("/v1/recommend?k=4", content=photo).json()
        rows = http.post("/invocations", json={"instances": [text_of(photo)], "params": {"k": 4}}).json()["predictions"]
        return [n["product_id"] for n in body["neighbours"]], [row["product_id"] for row in rows]

    one_by_one = [ask(photo) for photo in photos]
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, photos)) == one_by_one


@contextmanager
def endpoint_process(settings):
    """The endpoint as a process of its own on a free port; gives its address and the process."""
    program = (
        "import logging; from backend.settings import load_settings; from backend.serving.server import serve;"
        "logging.basicConfig(level='INFO');"
        "serve(load_settings(), port=0, on_ready=lambda address: print('READY', address, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()))
    reader.start()
    try:
        ready = lines.get(timeout=180)
        assert ready.startswith("READY "), process.communicate(timeout=30)[1][-3000:]
        yield ready.split()[1], process
    finally:
        process.kill()
        process.communicate(timeout=30)
        reader.join(30)


def test_a_real_process_starts_empty_takes_up_a_deployment_and_ends_when_told(
    mlflow_settings, bundle_with_index, photos
):
    with endpoint_process(mlflow_settings) as (address, process):
        token = ensure_app_token(mlflow_settings)
        client = EndpointClient(address, token, timeout_s=30)
        with pytest.raises(EndpointRejected) as caught:
            client.recommend(photos[0], k=3)
        assert caught.value.code == "no_model"
        with pytest.raises(EndpointRejected) as caught:
            client.reload()
        assert (caught.value.code, caught.value.status) == ("registry_error", 409)

        deploy(mlflow_settings, bundle_with_index)
        assert client.reload()["model"]["version"] == 1
        first = client.recommend(photos[0], k=3)
        assert len(first.neighbours) == 3
        deploy(mlflow_settings, bundle_with_index)
        assert client.recommend(photos[0], k=3).model_version == 1
        assert client.reload()["model"]["version"] == 2
        second = client.recommend(photos[0], k=3)
        assert second.model_version == 2
        assert second.neighbours == first.neighbours

        with open_store(mlflow_settings) as store:  # an alias at nothing: the reload fails, the answers go on
            store.delete_registered_model_alias("twinset", "champion")
        with pytest.raises(EndpointRejected):
            client.reload()
        assert client.recommend(photos[0], k=3).neighbours == first.neighbours

        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0, log[-2000:]
        with pytest.raises(EndpointUnreachable):
            client.health()
        client.close()
        assert token.reveal() not in log
        assert "POST /v1/recommend 200" in log
        assert "Traceback" not in log
