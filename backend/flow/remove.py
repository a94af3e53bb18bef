"""The step that deletes a model, an unfinished training or a sweep; never what an alias, a rule or a job still names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.errors import BundleError, ConfigurationError, EndpointError, Protected
from backend.files.holding import held, lock_of
from backend.flow.active import no_jobs
from backend.registry.golden import golden_queries
from backend.training.preparation import ModelPlace
from backend.tuning.folder import SweepFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backend.flow.active import ActiveJob, ActiveJobs
    from backend.flow.requests import DeleteRequest
    from backend.progress import Progress
    from backend.registry.ledger import Ledger
    from backend.settings import Settings

_ANSWER_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Removal:
    """What a deletion would do.

    Attributes:
        what: E.g. ``model 'autumn'``.
        folders: What would go.
        n_bytes: What that holds.
        protected: Why it cannot be deleted, in sentences; empty where it can.
    """

    what: str
    folders: tuple[Path, ...]
    n_bytes: int
    protected: tuple[str, ...]


def delete_step(
    request: DeleteRequest, settings: Settings, progress: Progress, *, active: ActiveJobs = no_jobs
) -> dict[str, Any]:
    """Delete a model with its maps and checkpoints, or a sweep with its runs in MLflow, which go to its trash.

    Raises:
        InUse: Something works on it.
        Protected: Something still names it; the message says what.
    """
    from backend.registry.history import load_ledger
    from backend.registry.runs.sweep_tracking import delete_runs

    folder = (settings.sweeps_dir / request.sweep) if request.sweep else (settings.models_dir / request.model)
    _check_name(folder, settings)
    name = f"The {'sweep' if request.sweep else 'model'} {folder.name!r}"
    with held(lock_of(folder), name, "is being deleted", progress):
        jobs = [job for job in active() if job.id != progress.job]
        found = removal(request, settings, load_ledger(settings), jobs, serving=_serving(settings))
        if found.protected:
            raise Protected(
                f"The {found.what} cannot be deleted. {' '.join(found.protected)}",
                next_step="Resolve this first, then delete it.",
            )
        runs = delete_runs(settings, SweepFolder(folder).status().run_ids) if request.sweep else 0
        for part in found.folders:
            bundle.discard(part)
    return {"deleted": found.what, "freed_bytes": found.n_bytes, "runs": runs, "is_sweep": bool(request.sweep)}


def removal(
    request: DeleteRequest, settings: Settings, ledger: Ledger, jobs: Iterable[ActiveJob], *, serving: str
) -> Removal:
    """Return what a deletion would do; nothing is changed.

    Args:
        request: What is to be deleted.
        settings: Of the home.
        ledger: What is registered.
        jobs: Those that have not ended.
        serving: Name of the model that the endpoint answers with; empty where none is known.

    Raises:
        ConfigurationError: There is no such sweep.
        BundleError: There is no such model.
    """
    if request.sweep:
        folders = [SweepFolder(settings.sweeps_dir / request.sweep).path]
        if not folders[0].is_dir():
            raise ConfigurationError(
                f"There is no sweep {request.sweep!r}.",
                next_step="`python -m backend tune list` lists them.",
            )
        what, protected = f"sweep {request.sweep!r}", _names_sweep(request.sweep, ledger, jobs)
    else:
        place = ModelPlace(settings.models_dir, request.model)
        parts = (settings.maps_dir / place.name, place.checkpoints, place.bundle)  # what names all others goes last
        folders = [path for path in parts if path.exists()]
        if not folders:
            raise BundleError(
                f"There is no model {request.model!r}.",
                next_step="`python -m backend models list` lists them.",
            )
        is_model = (place.bundle / bundle.MANIFEST).exists()
        what = f"{'model' if is_model else 'unfinished training'} {request.model!r}"
        protected = _names_model(request.model, settings, ledger, jobs, serving)
    size = sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())
    return Removal(what, tuple(folders), size, tuple(protected))


def _names_model(name: str, settings: Settings, ledger: Ledger, jobs: Iterable[ActiveJob], serving: str) -> list[str]:
    """Say what still names a model."""
    mine = [version for version in ledger.versions if version.model == name]
    said = [f"Version {one.version} of it is {' and '.join(one.aliases)}." for one in mine if one.aliases]
    if serving == name:
        said.append("The endpoint answers with it.")
    titles = {f"{ledger.name} version {one.version}" for one in mine}
    said += [
        f"The golden query {query.name!r} was approved with its answer."
        for query in golden_queries(settings.home)
        if query.approved_with in titles
    ]
    for job in jobs:
        asked = job.request
        if job.kind != "delete" and name in {asked.get("model"), asked.get("name"), *asked.get("against", ())}:
            said.append(f"The job {job.id} ({job.kind}) is using it.")
    return said


def _names_sweep(name: str, ledger: Ledger, jobs: Iterable[ActiveJob]) -> list[str]:
    """Say what still names a sweep."""
    said = [
        f"Its trial {one.card.trial} became {one.model}, which is {' and '.join(one.aliases)}."
        for one in ledger.versions
        if one.aliases and one.card is not None and one.card.sweep == name
    ]
    for job in jobs:
        asked = job.request
        if name in {asked.get("plan", {}).get("name"), asked.get("origin", {}).get("sweep")}:
            said.append(f"The job {job.id} ({job.kind}) is using it.")
    return said


def _check_name(folder: Path, settings: Settings) -> None:
    if folder.parent not in {settings.models_dir, settings.sweeps_dir} or folder.name.startswith("."):
        raise ConfigurationError(
            f"{folder.name!r} is not the name of a model or a sweep.", next_step="Use a name as the lists show it."
        )


def _serving(settings: Settings) -> str:
    """Return the model that the endpoint answers with; empty where it cannot be reached, or answers with none."""
    from backend.serving.clients import client_of

    try:
        return str(client_of(settings, timeout_s=_ANSWER_WITHIN_S).version()["model"]["bundle"])
    except EndpointError:
        return ""
