"""Requests travel as JSON and come back as they were; what does not fit is named."""

from __future__ import annotations

import json

import pytest

from backend.errors import CatalogueError, ConfigurationError, JobError
from backend.flow.requests import (
    KINDS,
    CommitRequest,
    DeleteRequest,
    DemoRequest,
    DeployRequest,
    EvaluateRequest,
    FetchRequest,
    FidelityRequest,
    IndexRequest,
    IngestRequest,
    PromoteRequest,
    QualityRequest,
    ReadyMadeRequest,
    RebuildRequest,
    RefreshRequest,
    RestoreRequest,
    RollbackRequest,
    SimulateRequest,
    SplitsRequest,
    TidyRequest,
    TrainRequest,
    TuneRequest,
    from_json,
    to_json,
)
from backend.training.presets import preset
from backend.tuning.plan import Objective
from tests.support.sweeps import plan_for


@pytest.mark.parametrize(
    "request_",
    [
        IngestRequest("fashion-mnist", "shoes", 0.2, 11),
        IngestRequest("csv", "shop", path="/a/b.csv", columns={"title": "Name"}, unseen=("Bag",), gone="mark"),
        CommitRequest("0123abcd", "delete"),
        QualityRequest("shop"),
        SplitsRequest("shop", "redraw", unseen=("Bag", "Coat")),
        RestoreRequest("shop", 3),
        TidyRequest("shop", vacuum=True, keep_days=2.5),
        TrainRequest("sample", 4, preset("seed-cnn", epochs=2), "mine"),
        TrainRequest("sample", 4, name="mine", origin={"sweep": "autumn", "trial": 7}),
        TuneRequest(plan_for(objective=Objective("map_at_r", "mean")), resume=True),
        IndexRequest("m", "approximate", newest=True),
        ReadyMadeRequest("shop", 3, "mine", "approximate", replace_catalogue=True),
        RefreshRequest("m", deploy=False),
        FidelityRequest("m", k=5),
        FetchRequest("csv", "/f.csv", {"image": "link"}, confirm=("a.test", "b.test"), only_failed=True),
        EvaluateRequest("m", k=5, robustness=True, against=("a", "b")),
        SimulateRequest(rules=[{"id": "a", "action": "pin", "products": ["b"], "slot": 1}], limit=9),
        DeployRequest("m", "challenger", "We want it.", replace_catalogue=True),
        PromoteRequest(3, "champion", "We want it."),
        RollbackRequest("champion"),
        RebuildRequest(3, "", "again"),
        DeleteRequest(model="m"),
        DemoRequest("sample", "seed-cnn"),
    ],
    ids=lambda r: r.kind,
)
def test_every_kind_survives_json(request_):
    assert from_json(request_.kind, json.loads(json.dumps(to_json(request_)))) == request_


def test_kinds_are_the_words_of_the_flow():
    flow = {"catalogue", "train", "tune", "index", "ready_made", "evaluate", "project", "deploy", "demo"}
    keeping = {"export", "fetch", "renew", "commit", "quality", "splits", "restore", "tidy"}  # a catalogue
    standing = {"promote", "rollback", "rebuild"}  # registered models
    tending = {"refresh", "fidelity", "similar", "substitutes", "readiness"}  # an index
    assert set(KINDS) == flow | keeping | standing | tending | {"simulate", "delete"}


@pytest.mark.parametrize(
    ("kind", "raw", "error", "says"),
    [
        ("bake", {}, JobError, "no job kind 'bake'"),
        ("index", {"modle": "m"}, JobError, "no field 'modle'"),
        ("train", {"config": {"epochs": 0}}, ConfigurationError, "epochs must be between"),
        ("train", {"config": {"epoch": 1}}, ConfigurationError, "no field 'epoch'"),
    ],
)
def test_what_does_not_fit_is_named(kind, raw, error, says):
    with pytest.raises(error, match=says):
        from_json(kind, raw)


def test_a_catalogue_is_named_after_its_source_unless_told():
    assert IngestRequest("sample").catalogue_name == "sample"
    assert IngestRequest("sample", "shop").catalogue_name == "shop"
    with pytest.raises(CatalogueError, match="no name"):
        _ = IngestRequest("zip", path="x.zip").catalogue_name
