"""The whole path in one go: catalogue, train, index, evaluate, deploy, and one question to the endpoint."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from backend.catalogue.snapshot import open_snapshot
from backend.errors import DatasetUnavailable
from backend.errors.addresses import shown
from backend.flow.catalogue import ingest_step
from backend.flow.deploy import deploy_step
from backend.flow.evaluate import evaluate_step
from backend.flow.index import index_step
from backend.flow.requests import DemoRequest, DeployRequest, EvaluateRequest, IndexRequest, IngestRequest, TrainRequest
from backend.flow.train import train_step
from backend.progress import Span
from backend.training.presets import fitting_preset, preset

if TYPE_CHECKING:
    from backend.progress import Progress
    from backend.serving.client import Answer
    from backend.settings import Settings

SourceChoice = Literal["fashion-mnist", "sample"]
# How long the steps take in proportion, so that the progress bar moves evenly.
WEIGHTS: dict[SourceChoice, dict[str, float]] = {
    "fashion-mnist": {"catalogue": 8, "train": 74, "index": 8, "evaluate": 4, "deploy": 4, "recommend": 2},
    "sample": {"catalogue": 25, "train": 45, "index": 8, "evaluate": 6, "deploy": 10, "recommend": 6},
}


def run_demo(request: DemoRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the path and return its figures.

    The fixed query is the first test product by id, asked through the real endpoint with the app's token.
    """
    started = time.monotonic()
    source, note = choose_source(request, settings, progress)
    spans = dict(zip(WEIGHTS[source], Span.split(progress, WEIGHTS[source].items()), strict=True))
    ingested = ingest_step(IngestRequest(source=source), settings, spans["catalogue"])
    config = preset(request.preset or fitting_preset(open_snapshot(settings.catalogues_dir, source)))
    trained = train_step(TrainRequest(catalogue=source, config=config), settings, spans["train"])
    model = trained["model"]
    indexed = index_step(IndexRequest(model), settings, spans["index"])
    scored = evaluate_step(EvaluateRequest(model, baselines=False), settings, spans["evaluate"])
    deploying = DeployRequest(model, reason="The demo was requested.", replace_catalogue=True)
    deployed = deploy_step(deploying, settings, spans["deploy"])
    query, answer = ask(source, settings, spans["recommend"])
    return {
        "source": source,
        "note": note,
        "rows_ingested": ingested["kept"],
        "ingest_seconds": ingested["seconds"],
        "training_seconds": trained["seconds"],
        "index_seconds": indexed["seconds"],
        "precision_at_1": scored["metrics"]["test.precision_at_1"],
        "map_at_r": scored["metrics"]["test.map_at_r"],
        "gallery_size": indexed["gallery_size"],
        "endpoint": shown(settings.effective_endpoint_url),
        "model": model,
        "model_version": deployed["version"],
        "query": query,
        "neighbours": neighbours_as_json(answer),
        "total_seconds": round(time.monotonic() - started, 3),
    }


def choose_source(request: DemoRequest, settings: Settings, progress: Progress) -> tuple[SourceChoice, str]:
    """Return the source in force and, where it is not what was hoped for, a sentence that says so."""
    from backend.catalogue.sources.fashion_mnist import obtain

    if request.source != "auto":
        return request.source, ""
    try:
        obtain(settings, progress)
    except DatasetUnavailable as error:
        note = f"{error.message} The demo runs on the built-in sample catalogue instead."
        progress.report(0, 100, unit="%", note=note)
        return "sample", note
    return "fashion-mnist", ""


def ask(catalogue: str, settings: Settings, progress: Progress) -> tuple[str, Answer]:
    """Ask the endpoint for the neighbours of the first test product; one is started for the time if none runs."""
    from backend.machine.supervisor import endpoint_running
    from backend.serving.clients import local_client

    products, _ = open_snapshot(settings.catalogues_dir, catalogue).page(offset=0, limit=1, split="test")
    query = products[0]
    progress.report(0, 1, note="Querying the endpoint")
    with endpoint_running(settings):
        answer = local_client(settings).recommend(query.image, k=10)
    progress.report(1, 1, note="Queried the endpoint")
    return query.product_id, answer


def neighbours_as_json(answer: Answer) -> list[dict[str, Any]]:
    """Return the neighbours of an answer as JSON values, without pictures."""
    return [
        {
            "rank": neighbour.rank,
            "product_id": neighbour.product_id,
            "label": neighbour.label,
            "closeness": neighbour.closeness,
            "similarity": round(neighbour.similarity, 6),
            "distance": round(neighbour.distance, 6),
            "rank_before": neighbour.rank_before,
            "rules": list(neighbour.rules),
        }
        for neighbour in answer.neighbours
    ]
