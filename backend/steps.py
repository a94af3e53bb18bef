"""The steps of the flow, each a function from a typed request to a JSON result; commands and jobs both call these.

catalogue -> train -> index -> evaluate -> explore -> deploy; ``demo`` runs them in one go
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from backend.catalogue_steps import commit_step, ingest_step, quality_step, restore_step, splits_step, tidy_step
from backend.errors import JobError
from backend.evaluation_steps import evaluate_step
from backend.holding import held, lock_of
from backend.index_steps import fidelity_step, index_step, is_answered_with, refresh_index
from backend.models import model_folder
from backend.progress import Span
from backend.projection_steps import project_step
from backend.registry_steps import await_index, deploy_step, promote_step, rollback_step
from backend.removal_steps import delete_step
from backend.requests import (
    CommitRequest,
    DeleteRequest,
    DemoRequest,
    DeployRequest,
    EvaluateRequest,
    FidelityRequest,
    IndexRequest,
    IngestRequest,
    ProjectRequest,
    PromoteRequest,
    QualityRequest,
    RebuildRequest,
    RefreshRequest,
    Request,
    RestoreRequest,
    RollbackRequest,
    SplitsRequest,
    TidyRequest,
    TrainRequest,
    TuneRequest,
)
from backend.storage import AGAIN, UNTOUCHED, disk_watched
from backend.training_steps import train_step
from backend.tuning_steps import tune_step

__all__ = ["deploy_step", "index_step", "refresh_step", "run_request"]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.progress import Progress
    from backend.settings import Settings


def run_request(request: Request, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Carry out one request and return its result as JSON values.

    Raises:
        WorkbenchError: It could not be done; the message says why and what to do.
        Cancelled: The user asked to stop.
    """
    from backend.demo import run_demo
    from backend.rebuild import rebuild_step

    steps: dict[type[Any], Any] = {
        IngestRequest: ingest_step,
        CommitRequest: commit_step,
        QualityRequest: quality_step,
        SplitsRequest: splits_step,
        RestoreRequest: restore_step,
        TidyRequest: tidy_step,
        TrainRequest: train_step,
        TuneRequest: tune_step,
        IndexRequest: index_step,
        RefreshRequest: refresh_step,
        FidelityRequest: fidelity_step,
        EvaluateRequest: evaluate_step,
        ProjectRequest: project_step,
        DeployRequest: deploy_step,
        PromoteRequest: promote_step,
        RollbackRequest: rollback_step,
        RebuildRequest: rebuild_step,
        DeleteRequest: delete_step,
        DemoRequest: run_demo,
    }
    if type(request) not in steps:
        raise JobError(f"Nothing carries out {type(request).__name__}.")
    with disk_watched(AGAIN, so=UNTOUCHED), _model_held(request, settings, progress) as asked:
        result: dict[str, Any] = steps[type(request)](asked, settings, progress)
    return result


# What is done to a model that exists; one piece of work at a time, the next one waits. New ones hold their own name.
_ON_A_MODEL: dict[type[Any], str] = {
    IndexRequest: "is being indexed",
    RefreshRequest: "is being brought up to date",
    FidelityRequest: "is being measured",
    EvaluateRequest: "is being evaluated",
    ProjectRequest: "is being drawn as a map",
    DeployRequest: "is being deployed",
}


@contextmanager
def _model_held(request: Request, settings: Settings, progress: Progress) -> Iterator[Request]:
    """Hold the model that a request is about, and yield the request with its name, also where it said: the newest."""
    doing = _ON_A_MODEL.get(type(request))
    if doing is None:
        yield request
        return
    folder = model_folder(settings, cast("IndexRequest", request).model)
    if isinstance(request, DeployRequest):
        await_index(folder.name, settings, progress)
    with held(lock_of(folder), f"The model {folder.name!r}", doing, progress, wait=True):
        yield replace(cast("IndexRequest", request), model=folder.name)


def refresh_step(request: RefreshRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Bring a model's index up to date; where it is what answers, deploy it again, so that the endpoint takes it up."""
    refreshing, deploying = Span.split(progress, [("", 60), ("Deploying", 40)])
    result = refresh_index(request, settings, refreshing)
    folder = model_folder(settings, result["model"])
    if request.deploy and is_answered_with(folder, settings, alias=request.alias):
        deployed = deploy_step(DeployRequest(model=folder.name, alias=request.alias), settings, deploying)
        return {**deployed, **result, "registered_version": deployed["version"]}
    return result
