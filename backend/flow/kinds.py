"""Every kind of job, in one table: its request, the step that carries it out, and what it does to a model meanwhile.

A new kind is an entry here, a request, a step, and an entry in :mod:`app.components.jobs.kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.access import use_case
from backend.errors import JobError
from backend.flow import catalogue, requests
from backend.flow.active import no_jobs
from backend.flow.current.asked import simulate_step
from backend.flow.current.export import export_step
from backend.flow.current.fetch import fetch_step
from backend.flow.current.renew import renew_step
from backend.flow.current.similar import similar_step
from backend.flow.current.substitutes import readiness_step, substitutes_step
from backend.flow.demo import run_demo
from backend.flow.deploy import deploy_step, promote_step, refresh_step, rollback_step
from backend.flow.evaluate import evaluate_step
from backend.flow.index import fidelity_step, index_step
from backend.flow.project import project_step
from backend.flow.ready_made import ready_made_step
from backend.flow.rebuild import rebuild_step
from backend.flow.remove import delete_step
from backend.flow.roles import JOBS, about
from backend.flow.steps import Step, await_jobs, carry_out
from backend.flow.train import train_step
from backend.flow.tune import tune_step

if TYPE_CHECKING:
    from backend.flow.active import ActiveJobs
    from backend.flow.requests import Request
    from backend.progress import Progress
    from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of job.

    Attributes:
        request: What is asked for.
        step: What carries it out.
        to_the_model: What it does to a model that exists, in words: one piece of work at a time, the next one waits. What
            makes a new one holds its name itself.
        waits_for: The kind of job that must have ended on the same model first: what it leaves is what is taken.
        asks_jobs: Whether the step is told which jobs have not ended, as ``active``.
    """

    request: type[Any]
    step: Step
    to_the_model: str = ""
    waits_for: str = ""
    asks_jobs: bool = False


_ALL = (
    JobKind(requests.IngestRequest, catalogue.ingest_step),
    JobKind(requests.FetchRequest, fetch_step),
    JobKind(requests.ExportRequest, export_step),
    JobKind(requests.RenewRequest, renew_step),
    JobKind(requests.CommitRequest, catalogue.commit_step),
    JobKind(requests.QualityRequest, catalogue.quality_step),
    JobKind(requests.SplitsRequest, catalogue.splits_step),
    JobKind(requests.RestoreRequest, catalogue.restore_step),
    JobKind(requests.TidyRequest, catalogue.tidy_step),
    JobKind(requests.TrainRequest, train_step),
    JobKind(requests.TuneRequest, tune_step),
    JobKind(requests.IndexRequest, index_step, "is being indexed"),
    JobKind(requests.ReadyMadeRequest, ready_made_step),
    JobKind(requests.RefreshRequest, refresh_step, "is being brought up to date"),
    JobKind(requests.SimilarRequest, similar_step),
    JobKind(requests.SubstitutesRequest, substitutes_step),
    JobKind(requests.ReadinessRequest, readiness_step),
    JobKind(requests.FidelityRequest, fidelity_step, "is being measured"),
    JobKind(requests.EvaluateRequest, evaluate_step, "is being evaluated"),
    JobKind(requests.ProjectRequest, project_step, "is being drawn as a map"),
    JobKind(requests.SimulateRequest, simulate_step),
    JobKind(requests.DeployRequest, deploy_step, "is being deployed", waits_for="index"),
    JobKind(requests.PromoteRequest, promote_step),
    JobKind(requests.RollbackRequest, rollback_step),
    JobKind(requests.RebuildRequest, rebuild_step),
    JobKind(requests.DeleteRequest, delete_step, asks_jobs=True),
    JobKind(requests.DemoRequest, run_demo),
)
JOB_KINDS: dict[str, JobKind] = {kind.request.kind: kind for kind in _ALL}


def run_request(
    request: Request, settings: Settings, progress: Progress, *, active: ActiveJobs = no_jobs
) -> dict[str, Any]:
    """Carry out one request and return its result as JSON values.

    Args:
        request: What is asked for.
        settings: Of the home.
        progress: Told how far it is.
        active: Says which jobs of the home have not ended.

    Raises:
        AccessDenied: It is not for whoever asks.
        WorkbenchError: It could not be done; the message says why and what to do.
        Cancelled: The user asked to stop.
    """
    kind = JOB_KINDS.get(getattr(request, "kind", ""))
    if kind is None:
        raise JobError(f"No step is registered for {type(request).__name__}.")

    def work() -> dict[str, Any]:
        if kind.waits_for:
            await_jobs(kind.waits_for, request, settings, progress, active)
        more = {"active": active} if kind.asks_jobs else {}
        return carry_out(kind.step, request, settings, progress, to_the_model=kind.to_the_model, **more)

    return use_case.carry_out(JOBS[request.kind], work, about(request, progress.job))
