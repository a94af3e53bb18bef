"""The commands about models and golden queries: lists, cards, aliases, and what they say when they cannot."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles.bundle import WEIGHTS, read_manifest
from backend.cli import main
from backend.flow import rebuild
from backend.flow.rebuild import differences, figures
from backend.registry.card import card_of
from backend.registry.golden import golden_queries
from backend.serving.gateway import build_app
from tests.fixtures.endpoint import encoded, http_to, load_projection, picture, served
from tests.fixtures.registry import register_projection


def told(capfd, *arguments):
    """Run a command; returns its status and its JSON."""
    status = main.main([*arguments, "--json"])
    return status, json.loads(capfd.readouterr().out.strip().splitlines()[-1])


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))


@pytest.fixture
def home(mlflow_settings, evaluated_home, monkeypatch):
    """Two versions: a good model, and a worse one."""
    for name, value in mlflow_settings.environment().items():
        monkeypatch.setenv(name, value)
    shutil.copytree(evaluated_home.models_dir, mlflow_settings.models_dir)
    for name in ("large", "small"):
        register_projection(mlflow_settings, mlflow_settings.models_dir / name)
    return mlflow_settings


def test_without_anything_the_list_is_empty_and_makes_no_store(empty, capfd, tmp_path):
    assert told(capfd, "models") == (0, {"models": [], "left_out": [], "versions": [], "history": []})
    assert told(capfd, "golden", "list") == (0, {"golden": []})
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_a_damaged_model_is_listed_with_the_reason_beside_the_others(empty, capfd, tmp_path, projection_bundle):
    models = tmp_path / "home" / "models"
    shutil.copytree(projection_bundle, models / "projection")
    (models / "bad").mkdir()
    (models / "bad" / "manifest.json").write_text("[]")
    _, listed = told(capfd, "models")
    assert [model["name"] for model in listed["models"]] == ["projection"]
    assert [(one["name"], "not valid JSON" in one["reason"]) for one in listed["left_out"]] == [("bad", True)]
    shutil.rmtree(models / "projection")
    assert main.main(["models"]) == 0
    assert "not valid JSON" in capfd.readouterr().out


@pytest.mark.mlflow
def test_a_version_of_somebody_else_is_listed_and_served_once_it_is_signed(home, capfd):
    number = str(register_projection(home, home.models_dir / "large", signed=False))
    _, listed = told(capfd, "models")
    assert (listed["versions"][0]["gate"], "is not loaded" in listed["versions"][0]["reason"]) == ("not ours", True)
    for action in (("show", number), ("promote", number)):
        status, refused = told(capfd, "models", *action)
        assert (status, "was not registered by Twinset" in refused["error"]["message"]) == (1, True)
    assert told(capfd, "models", "sign", number) == (0, {"registered_model": "twinset", "version": 3, "model": "large"})
    assert told(capfd, "models", "promote", number)[0] == 0


@pytest.mark.mlflow
def test_versions_are_listed_shown_promoted_and_rolled_back(home, capfd):
    status, done = told(capfd, "models", "promote", "1")
    assert (status, done["version"], done["before"]) == (0, 1, None)

    status, refused = told(capfd, "models", "promote", "2")
    assert (status, refused["error"]["code"]) == (1, "promotion_refused")
    assert "--reason" in refused["error"]["next_step"]
    assert told(capfd, "models", "promote", "2", "--reason", "New lamps.")[1]["reason"] == "New lamps."

    _, listed = told(capfd, "models", "list")
    assert [(one["version"], one["aliases"], one["gate"]) for one in listed["versions"]] == [
        (2, "champion", "refused"),
        (1, "", "passed"),
    ]
    assert [event["reason"] for event in listed["history"]] == ["New lamps.", ""]

    _, shown = told(capfd, "models", "show", "2", "--markdown")
    assert shown["markdown"].startswith("# twinset version 2: small")
    assert shown["card"]["rates"]["precision_at_1"]
    assert [check["passed"] for check in shown["checks"]] == [False, True, True]

    assert told(capfd, "models", "show", "champion")[1]["version"] == 2
    assert told(capfd, "models", "show", "large")[1]["card"]["model"] == "large"

    assert told(capfd, "models", "rollback")[1]["version"] == 1
    status, nothing = told(capfd, "models", "rollback")
    assert (status, nothing["error"]["code"]) == (1, "registry_error")
    assert main.main(["models", "show", "2"]) == 0
    assert "Catalogue: wardrobe" in capfd.readouterr().out


@pytest.mark.mlflow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("models", "promote", "9"), "registry_error"),
        (("models", "show", "9"), "registry_error"),
        (("models", "show", "nobody"), "bundle_error"),
        (("models", "rebuild", "9"), "registry_error"),
        (("models", "rollback"), "registry_error"),
        (("golden", "remove", "0123"), "registry_error"),
        (("golden", "approve", "nowhere.png"), "not_found"),
    ],
)
def test_what_is_not_there_is_said(home, capfd, arguments, code):
    status, said = told(capfd, *arguments)
    assert (status, said["error"]["code"]) == (1, code)


def test_an_answer_is_approved_listed_replayed_and_given_up(
    settings, projection_bundle, projection_recommender, monkeypatch, capfd, tmp_path
):
    monkeypatch.setattr("backend.training.embedder.load_query_embedder", load_projection)
    shutil.copytree(projection_bundle, settings.models_dir / "projection")
    photo = tmp_path / "checks.png"
    photo.write_bytes(encoded(picture("checks", 3)))
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http:
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TWINSET_ENDPOINT_URL", str(http.base_url).rstrip("/"))
        status, made = told(capfd, "golden", "approve", str(photo))
        assert (status, made["name"], made["catalogue"]) == (0, "checks.png", "shop")
        assert made["products"].split(", ")[0] == "c017"
        told(capfd, "golden", "approve", str(photo), "--name", "Checks", "--label", "checks", "-k", "4")
    (query,) = golden_queries(settings.home)
    assert (query.name, query.products, query.labels, query.k) == ("Checks", (), ("checks",), 4)
    status, replayed = told(capfd, "golden", "replay")
    assert (status, replayed["passed"]) == (0, True)
    assert told(capfd, "golden", "remove", query.id)[0] == 0
    assert told(capfd, "golden", "list")[1] == {"golden": []}


def test_a_rebuild_says_what_differs_and_nothing_else(evaluated_home):
    cards = [
        card_of(folder, read_manifest(folder)) for folder in (evaluated_home.models_dir / n for n in ("small", "large"))
    ]
    assert differences(cards[0], cards[0]) == []
    found = {one["what"]: (one["original"], one["rebuilt"]) for one in differences(*cards)}
    assert found["network"] == ("small-5", "large-3")
    assert "test.precision_at_1" in found
    assert "code" not in found
    assert "threads" not in found  # of neither is it known
    shown = {one["figure"]: one for one in figures(*cards)}
    assert shown.keys() == cards[0].metrics.keys() & cards[1].metrics.keys()
    one = shown["test.precision_at_1"]
    assert (one["original"], one["rebuilt"]) == tuple(card.metrics["test.precision_at_1"] for card in cards)
    assert one["difference"] == one["rebuilt"] - one["original"]


def test_another_number_of_threads_is_named(evaluated_home):
    folder = evaluated_home.models_dir / "small"
    card = card_of(folder, read_manifest(folder))
    told = differences(replace(card, threads=2), replace(card, threads=4))
    assert told == [{"what": "threads", "original": "2", "rebuilt": "4"}]
    (told,) = differences(card, replace(card, threads=4))
    assert told["original"] == "not recorded"


@pytest.mark.parametrize(
    ("changed", "gap"),
    [
        ({}, 0.0),
        ({"b": np.float32([1.0, 2.0 + 2**-20])}, 2**-20),
        ({"a": np.zeros((2, 3), np.float32)}, 5.0),
        ({"a": np.zeros((3, 2), np.float32)}, None),
        ({"c": np.zeros(1, np.float32)}, None),
    ],
)
def test_the_size_of_the_difference_is_that_of_the_weight_that_differs_most(changed, gap, tmp_path):
    before = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([1.0, 2.0])}
    for name, arrays in (("before", before), ("after", {**before, **changed})):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / WEIGHTS, **arrays)
    assert rebuild._largest_difference(tmp_path / "before", tmp_path / "after") == gap
    assert rebuild._largest_difference(None, tmp_path / "after") is None
