"""What every process of the product begins with: its folder for temporary files, and what killed ones left goes.

Whatever a process makes for itself only, it holds by a lock that the system gives back however it dies (see
:mod:`backend.files.scratch` and :mod:`backend.files.holding`): what nobody holds is left behind. A start removes what is found in a
moment; :mod:`backend.jobs.tidy_home` looks everywhere.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.audit import journal
from backend.bundles.bundle import WORKPLACES
from backend.catalogue.loading import leftovers
from backend.errors import InUse, WorkbenchError
from backend.files import scratch
from backend.files.holding import held, holder_of, lock_of
from backend.files.storage import private
from backend.jobs.runner import JobRunner, dead_jobs
from backend.progress import NullProgress
from backend.registry.runs.left_open import close_left
from backend.training.preparation import useless_checkpoints
from backend.tuning.folder import never_begun

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backend.settings import Settings

TEMPORARY, LOADS, BEGUN, OPEN = (
    "temporary files of ended processes",
    "unused loads and uploads",
    "trainings and sweeps that cannot be resumed",
    "runs and models that ended processes left open in MLflow",
)
JOBS = "jobs whose process has ended"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that an ended process left: what it is, and where it is."""

    what: str
    path: Path | None = None
    n_bytes: int = 0

    @property
    def size(self) -> int:
        """Its bytes; of what it holds, where it is a folder."""
        return size_of(self.path) if self.path else self.n_bytes


@contextmanager
def own_process(settings: Settings, *, clear: bool = True) -> Iterator[None]:
    """Give this process a folder for temporary files, and clear the home of what killed processes left in it.

    Args:
        settings: Of the home.
        clear: Not set by who looks for what is left.
    """
    with private(settings.home), scratch.own_folder(clear=clear):
        if clear:
            clear_left(settings)
        yield


def left_behind(settings: Settings) -> list[Leftover]:
    """Look for what killed processes left in temporary folders and in the home; nothing is changed, MLflow is not asked.

    Raises:
        JobError: The list of jobs cannot be read.
    """
    return [*(Leftover(JOBS) for _ in dead_jobs(settings)), *_lying_about(settings)]


def _lying_about(settings: Settings) -> list[Leftover]:
    return [
        *(Leftover(TEMPORARY, path) for path in scratch.left_of_processes()),
        *(Leftover(TEMPORARY, path) for parent in _places(settings) for path in scratch.left_in(parent, WORKPLACES)),
        *(Leftover(LOADS, path) for path in leftovers.left(settings)),
        *(Leftover(BEGUN, path) for path, lock in _begun(settings) if holder_of(lock) is None),
        *(Leftover(OPEN, path) for path in scratch.left_in(settings.open_runs_dir, "*")),
    ]


def clear_left(settings: Settings) -> None:
    """Remove what :func:`left_behind` finds, close what was left open, and end what ended jobs left running."""
    with _put_off("Jobs whose process was killed stay as they are for now"):
        if dead_jobs(settings):
            JobRunner(settings, starts=False)  # gives them their final state
    for one in _lying_about(settings):
        if one.path and one.what in {TEMPORARY, LOADS}:
            scratch.remove(one.path)
    for path, lock in _begun(settings):
        if holder_of(lock) is None:
            _remove_held(path, lock)
    from backend.merchandising.kept_pictures import KeptPictures  # it loads what reads pictures

    KeptPictures(settings.photos_dir).tidy(settings.keep_photos_days, most_bytes=settings.keep_photos_mb * 1_000_000)
    with _put_off("Runs of killed processes stay open for now"):
        close_left(settings)
    if journal(settings).is_due:
        from backend.jobs.audit_table import fold  # it loads what reads tables

        with _put_off("The newest rows of the audit are not in its table yet"):
            fold(settings)


@contextmanager
def _put_off(said: str) -> Iterator[None]:
    """Leave something to the next start: what is asked for may need no store and no job."""
    try:
        yield
    except WorkbenchError as error:
        logger.warning("%s: %s", said, error)


def summary(leftovers: Iterable[Leftover]) -> list[dict[str, Any]]:
    """Return how many there are of each kind, and their bytes, as JSON values."""
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for one in leftovers:
        kinds[one.what].append(one.size)
    return [{"what": what, "count": len(sizes), "bytes": sum(sizes)} for what, sizes in kinds.items()]


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder; links and what goes meanwhile count nothing."""
    total = 0
    for file in (path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)):
        with suppress(FileNotFoundError):
            facts = file.lstat()
            total += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return total


def _places(settings: Settings) -> Iterator[Path]:
    """Give the folders in which files are written beside others."""
    home, models = settings.home, settings.models_dir
    yield from (
        home,
        models,
        home / "downloads",
        home / "golden",
        settings.spaces_dir,
        settings.lists_dir,
        settings.mappings_dir,
        settings.exports_dir,
        settings.photos_dir,
        settings.remembered_dir,
        settings.audit_dir,
        settings.audit_dir / "table",
    )
    yield from (*settings.maps_dir.glob("*"), *models.glob("*"), *models.glob("*.checkpoints/ranks"))
    yield from (*settings.content_cache_dir.glob("*"), *settings.substitutes_dir.glob("*"))
    yield from settings.fetched_dir.glob("??")
    for kept in (settings.rules_dir, settings.collections_dir, settings.questions_dir):
        yield from (path for path in kept.glob("*/*") if path.is_dir())
    yield from (*settings.sweeps_dir.glob("*"), *settings.sweeps_dir.glob("*/trials"))


def _begun(settings: Settings) -> Iterator[tuple[Path, Path]]:
    """Give the folders of trainings and sweeps that nothing goes on from, each with the lock of who works there."""
    for path, name in useless_checkpoints(settings.models_dir):
        yield path, lock_of(settings.models_dir / name)
    for path in never_begun(settings.sweeps_dir):
        yield path, lock_of(path)


def _remove_held(path: Path, lock: Path) -> None:
    try:
        with held(lock, str(path), "is being removed", NullProgress()):
            scratch.remove(path)
    except InUse:
        logger.debug("%s is in use again", path)
