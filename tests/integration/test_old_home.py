"""A home that was written before the modules moved opens with all that is in it, and answers."""

from __future__ import annotations

import json

import pytest

from backend.catalogue.snapshot import open_snapshot
from backend.cli.main import main
from backend.flow.requests import IndexRequest, TrainRequest, from_json
from backend.jobs.store import JobStore
from backend.serving.served import load_champion

pytestmark = [pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]


def asked(capfd, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capfd.readouterr().out.splitlines()[-1])


def test_what_an_older_home_holds_is_listed_and_its_jobs_are_understood(home_before_rooms, monkeypatch, capfd):
    monkeypatch.setenv("TWINSET_HOME", str(home_before_rooms.home))
    assert asked(capfd, "catalogue", "list")["catalogues"] == ["shop"]
    assert [model["name"] for model in asked(capfd, "models", "list")["models"]] == ["first"]
    store = JobStore(home_before_rooms.jobs_db, logs_dir=home_before_rooms.logs_dir)
    jobs = {job.kind: job for job in store.list(-1)}
    assert isinstance(from_json("index", jobs["index"].request), IndexRequest)
    assert from_json("train", jobs["train"].request) == TrainRequest(
        "shop", config=from_json("train", jobs["train"].request).config, name="second"
    )
    assert (jobs["train"].error, jobs["index"].result["gallery_size"]) == ("The disk is full.", 51)
    assert [one["id"] for one in asked(capfd, "jobs", "list")["jobs"]] == [job.id for job in store.list(-1)]


def test_the_champion_of_an_older_home_finds_every_product_by_its_own_picture(home_before_rooms):
    served = load_champion(home_before_rooms)
    products, _ = open_snapshot(home_before_rooms.catalogues_dir, "shop").page(offset=0, limit=51)
    assert len(products) == served.recommender.size == 51
    for product in products[::7]:
        (answer,) = served.recommender.recommend_each([product.image], k=3)
        assert product.product_id in [neighbour.product_id for neighbour in answer.neighbours]
