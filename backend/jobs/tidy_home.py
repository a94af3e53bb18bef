"""``tidy``: all that ended processes left, also where looking takes longer than a start may."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.delta.locks import commit_lock
from backend.catalogue.fetch.records import records_of, store_of
from backend.catalogue.snapshot import list_catalogues
from backend.catalogue.upkeep.retention import uncommitted
from backend.errors import CatalogueError
from backend.feeding.content_cache import cache_folder
from backend.files import scratch
from backend.jobs.tidying import Leftover, clear_left, left_behind, size_of, summary
from backend.progress import NullProgress
from backend.registry.runs.unowned import unowned

if TYPE_CHECKING:
    from backend.settings import Settings

logger = logging.getLogger(__name__)

FETCHED = "fetched pictures that no table names"
KEPT = "decoded pictures and features kept for later trainings"
UNREGISTERED, UNCLOSED, UNCOMMITTED = (
    "models in MLflow that no version refers to",
    "runs in MLflow that no process is using",
    "catalogue files that no commit refers to",
)


@use_case("home.tidy", Role.ADMIN, about=lambda _settings, **which: words(**which))
def tidy(settings: Settings, *, dry_run: bool = False, cache: bool = False, fetched: bool = False) -> dict[str, Any]:
    """Remove all that ended processes left, wherever it is; ``found`` says what it was, counted, with its bytes.

    With ``cache``, what is kept for later trainings goes, too: those make it again. With ``fetched``, pictures that were
    fetched and that no table names, as it was last fetched, do: a load of an older table would miss them.

    Processes that an ended job left running are ended, and the job is said to be lost.

    Raises:
        RegistryError: The store of runs and models refuses.
    """
    counted = summary(left_behind(settings))  # before it goes
    if not dry_run:
        clear_left(settings)
    loose = unowned(settings, remove=not dry_run)
    counted += summary(Leftover(UNCLOSED) for _ in loose.runs)
    counted += summary(Leftover(UNREGISTERED, n_bytes=size) for size in loose.models)
    counted += summary(_uncommitted(settings, remove=not dry_run))
    counted += summary(Leftover(KEPT, n_bytes=size) for _, size, _ in cache_folder(settings).shards() if cache)
    if cache and not dry_run:
        cache_folder(settings).clear()
    counted += summary(_unnamed(settings, remove=not dry_run) if fetched else [])
    return {"found": counted, "bytes": sum(one["bytes"] for one in counted), "is_dry_run": dry_run}


def _unnamed(settings: Settings, *, remove: bool) -> list[Leftover]:
    store = store_of(settings)
    if not store.folder.is_dir():
        return []
    named = records_of(store).named()
    loose = [path for path in store.files() if path.name not in named]
    found = [Leftover(FETCHED, n_bytes=size_of(path)) for path in loose]
    for path in loose if remove else ():
        path.unlink(missing_ok=True)
    return found


def _uncommitted(settings: Settings, *, remove: bool) -> list[Leftover]:
    """Find files of killed writers in all catalogues that can be read; remove them if told to."""
    found = []
    for name in list_catalogues(settings.catalogues_dir):
        folder = settings.catalogues_dir / name
        try:
            with commit_lock(folder, NullProgress()):
                for file in uncommitted(folder):
                    found.append(Leftover(UNCOMMITTED, n_bytes=size_of(file)))
                    if remove:
                        scratch.remove(file)
        except CatalogueError as error:
            logger.warning("Files of the catalogue %s were left alone: %s", name, error)
    return found
