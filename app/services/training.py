"""What the Train page needs of trainings: requests with a name, what can be resumed, and how each worker is doing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.services import common
from backend.files.holding import holder_of, lock_of
from backend.flow.requests import TrainRequest, to_json
from backend.flow.train import new_model_name
from backend.training.preparation import ModelPlace, unfinished_trainings
from backend.training.ranks.rank_folder import RankFolder

if TYPE_CHECKING:
    from backend.jobs.store import Job
    from backend.training.config import TrainConfig
    from backend.training.preparation import Unfinished
    from backend.training.ranks.rank_folder import RankState


@dataclass(frozen=True, slots=True)
class Worker:
    """How a worker of a distributed training is doing, and the end of its log."""

    state: RankState
    last_lines: str


def request(catalogue: str, version: int, config: TrainConfig, *, workers: int) -> TrainRequest:
    """Ask for a training under a name that is known from the start, so that it can be resumed.

    The very same training, where it is under way, keeps its name: asked for twice, it is not started twice.
    """
    asked = TrainRequest(catalogue, version, config, workers=workers)
    for job in common.jobs().list(active=True, kind="train"):
        name = str(job.request.get("name", ""))
        if job.request == to_json(replace(asked, name=name)):
            return replace(asked, name=name)
    return replace(asked, name=new_model_name(asked))


def resumption(training: Unfinished, *, epochs: int) -> TrainRequest:
    """Ask for the rest of a training, with so many epochs in all."""
    ref, changes = training.catalogue, {} if epochs == training.config.epochs else {"epochs": epochs}
    asked = TrainRequest(ref.name, ref.version, training.config, training.name, training.workers, resume=True)
    return replace(asked, changes=changes)


def unfinished() -> list[Unfinished]:
    """Trainings that ended early and are not under way again, as a job or as a command; the newest first."""
    models = common.settings().models_dir
    under_way = {job.request.get("name") for job in common.jobs().list(active=True, kind="train")}
    found = [training for training in unfinished_trainings(models) if training.name not in under_way]
    return [training for training in found if holder_of(lock_of(models / training.name)) is None]


def can_be_resumed(job: Job) -> bool:
    """Whether trying a job again goes on from a checkpoint instead of starting from the beginning."""
    return job.kind == "train" and job.request.get("name") in {training.name for training in unfinished()}


def workers(job: Job) -> list[Worker]:
    """How the workers of a training job are doing; none where it trains alone, or has not begun."""
    name, count = str(job.request.get("name", "")), int(job.request.get("workers", 1))
    if count < 2 or not name:
        return []
    folder = RankFolder(ModelPlace(common.settings().models_dir, name).checkpoints / "ranks")
    if not folder.path.is_dir():
        return []
    return [Worker(state, folder.last_lines(state.rank)) for state in folder.states(count)]


def proof(job: Job) -> dict[str, Any] | None:
    """What a finished distributed training can show for having been right."""
    found = (job.result or {}).get("proof")
    return found if isinstance(found, dict) else None
