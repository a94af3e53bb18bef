"""What a home holds on its disk: each model, map, table, log and cache by its size, what may go, and why the rest stays."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backend.access.person import Role
from backend.access.use_case import use_case
from backend.bundles import bundle
from backend.errors import WorkbenchError
from backend.flow.remove import removal
from backend.flow.requests import DeleteRequest
from backend.jobs.runner import active_jobs
from backend.jobs.tidying import size_of
from backend.registry.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.settings import Settings

CHECKPOINTS = ".checkpoints"


class Kind(NamedTuple):
    """What a folder of the home, or a file, is.

    Attributes:
        title: Of one thing in it.
        may_go: Whether it may be removed without losing what nobody can make again.
        note: How, or why not.
        depth: How many folders below it are things of their own: 1 where each folder in it is one.
    """

    title: str
    may_go: bool
    note: str
    depth: int = 0


_EDITED = "Made by people; every version is kept."
KINDS = {
    "catalogues": Kind(
        "Catalogue", False, "Its products. Old versions that no model names: Catalogue page, History.", 2
    ),
    "models": Kind("Model", True, "", 1),
    "maps": Kind("Map", False, "Deleted with its model.", 1),
    "sweeps": Kind("Sweep", True, "", 1),
    "similar": Kind("Similar products", False, "The shop reads this table. A job makes it again.", 1),
    "substitutes": Kind("Substitutes", False, "Contains what people decided.", 1),
    "rules": Kind("Rules", False, _EDITED, 1),
    "collections": Kind("Collections", False, _EDITED, 1),
    "questions": Kind("Logged questions", False, "Removed after TWINSET_KEEP_QUESTIONS_DAYS.", 1),
    "photos": Kind("Searched photos", False, "Removed after TWINSET_KEEP_PHOTOS_DAYS; links need them until then."),
    "fetched": Kind("Fetched pictures", True, "`python -m backend tidy --fetched` removes those that no table names."),
    "cache": Kind(
        "Cache of decoded pictures", True, "Later trainings fill it again: `python -m backend tidy --cache`."
    ),
    "staging": Kind("Checked loads", False, "Each waits for a decision; removed with it, or after a day."),
    "uploads": Kind("Uploaded files", False, "Removed when no load needs them any more."),
    "downloads": Kind("Downloads", True, "Downloaded again when needed; delete the folder."),
    "exports": Kind("Corrected tables", True, "Made again when needed; delete the folder."),
    "artifacts": Kind("MLflow artifacts", True, "`python -m backend tidy` removes models that no version refers to."),
    "logs": Kind("Logs", False, "Server logs are rotated at 10 MB; a job's log is kept with the job."),
    "audit": Kind("Audit", False, "Nothing in Twinset removes from it."),
    "mlflow.db": Kind("Runs and registered models", False, "The registry needs it."),
    "jobs.db": Kind("Jobs", False, "The list of jobs needs it."),
}
_OTHER = Kind("Lists, tokens and other small files", False, "Twinset needs them.")


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that takes space.

    Attributes:
        what, name: What it is, and which; the name is empty where there is one of it.
        n_bytes: Its bytes.
        may_go: Whether it may be removed safely.
        note: How, or why not.
        request: What deletes it; None where another way does, or none.
    """

    what: str
    name: str
    n_bytes: int
    may_go: bool
    note: str
    request: DeleteRequest | None = None


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What a home holds, the largest first, and what is left on its disk, in bytes; ``is_low`` where that is too little."""

    held: list[Held]
    free: int
    is_low: bool

    @property
    def total(self) -> int:
        """Bytes of all that is held."""
        return sum(one.n_bytes for one in self.held)


@use_case("home.disk", Role.VIEWER, is_audited=False)
def disk_use(settings: Settings) -> DiskUse:
    """Measure a home; nothing is changed, and MLflow is not asked."""
    home = settings.home
    parts = [path for path in sorted(home.iterdir()) if not path.name.startswith(".")] if home.is_dir() else []
    kinds: defaultdict[str, list[Path]] = defaultdict(list)
    for path in parts:
        name = path.name.removesuffix("-wal").removesuffix("-shm")  # side files of a database
        kinds[name if name in KINDS else ""].append(path)
    held = [one for name, paths in kinds.items() for one in _held(settings, KINDS.get(name, _OTHER), paths)]
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return DiskUse(sorted(held, key=lambda one: -one.n_bytes), free, free < settings.alert_disk_mb * 1_000_000)


def _held(settings: Settings, kind: Kind, paths: list[Path]) -> Iterator[Held]:
    sizes: defaultdict[str, int] = defaultdict(int)
    for path in paths:
        for part in _below(path, kind.depth):
            sizes[": ".join(part.relative_to(path).parts)] += size_of(part)
    for one, n_bytes in sizes.items():
        if not n_bytes:
            continue
        if kind.may_go and kind.depth:
            yield _deletable(settings, kind, one, n_bytes)
        else:
            yield Held(kind.title, one, n_bytes, kind.may_go, kind.note)


def _below(path: Path, depth: int) -> Iterator[Path]:
    """Give the things in a folder: the folders so far below, and what is not in one."""
    if not depth or not path.is_dir():
        yield path
        return
    for part in sorted(path.glob("[!.]*")):  # locks are empty
        yield from _below(part, depth - 1)


def _deletable(settings: Settings, kind: Kind, name: str, n_bytes: int) -> Held:
    """Say of a model, an unfinished training or a sweep what still names it; the deletion itself looks again."""
    is_begun = name.endswith(CHECKPOINTS)
    title, name = ("Unfinished training" if is_begun else kind.title), name.removesuffix(CHECKPOINTS)
    if is_begun and (settings.models_dir / name / bundle.MANIFEST).exists():
        return Held("Checkpoints", name, n_bytes, True, "The training is complete; the next start removes them.")
    request = DeleteRequest(sweep=name) if kind.title == "Sweep" else DeleteRequest(model=name)
    try:
        ledger = read_ledger(settings.home, settings.model_name)
        found = removal(request, settings, ledger, active_jobs(settings)(), serving="")
    except WorkbenchError as error:
        return Held(title, name, n_bytes, False, error.message)
    if found.protected:
        return Held(title, name, n_bytes, False, " ".join(found.protected))
    note = "It could not be resumed." if is_begun else "No alias, approved answer or job names it."
    return Held(title, name, n_bytes, True, note, request)
