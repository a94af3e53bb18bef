"""Figures of a home for Prometheus: its jobs, how far the index is behind, its catalogues, rules, disk and alerts."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from typing import TYPE_CHECKING

from backend.catalogue.items import PRODUCTS
from backend.catalogue.snapshot import list_catalogues
from backend.errors import WorkbenchError
from backend.jobs.alerts import watch
from backend.jobs.alerts.kinds import KINDS
from backend.jobs.alerts.troubles import champion_behind
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.merchandising.rule_store import RuleStore
from backend.serving.metrics import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backend.settings import Settings

FRESH_S = 10.0
logger = logging.getLogger(__name__)


class HomeFigures:
    """Reads the figures of a home, at most every ten seconds, from any thread.

    Args:
        settings: Of the home.
        tick: Seconds since some moment.
    """

    def __init__(self, settings: Settings, *, tick: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._tick = settings, tick
        self._lock, self._read_at = threading.Lock(), float("-inf")
        self._known: Sequence[Figure] = ()

    def __call__(self) -> Sequence[Figure]:
        """Return the figures; those that cannot be read are left out, and the log says why."""
        with self._lock:
            if self._tick() - self._read_at >= FRESH_S:
                parts = (_jobs, _index, _catalogues, _disk, _alerts)
                self._known = [one for part in parts for one in _read(part, self._settings)]
                self._read_at = self._tick()
            return self._known


def _read(part: Callable[[Settings], Iterator[Figure]], settings: Settings) -> list[Figure]:
    try:
        return list(part(settings))
    except (WorkbenchError, OSError) as error:
        logger.warning("Figures are left out: %s", error)
        return []


def _jobs(settings: Settings) -> Iterator[Figure]:
    counted = JobStore(settings.jobs_db).counted() if settings.jobs_db.is_file() else ()
    newest: dict[str, tuple[float, float]] = {}
    for one in counted:
        yield Figure("jobs", one.jobs, {"kind": one.kind, "state": one.state.lower()})
        if one.started_at is not None and one.finished_at is not None:
            newest[one.kind] = max(
                newest.get(one.kind, (0.0, 0.0)), (one.finished_at, one.finished_at - one.started_at)
            )
            if one.state is JobState.SUCCEEDED:
                yield Figure("job_last_success_timestamp_seconds", one.finished_at, {"kind": one.kind})
    for kind, (_, seconds) in newest.items():
        yield Figure("job_last_run_seconds", seconds, {"kind": kind})


def _index(settings: Settings) -> Iterator[Figure]:
    if (found := champion_behind(settings)) is None:
        return
    of = {"catalogue": found.catalogue}
    yield Figure("index_behind_versions", found.versions, of)
    if found.products is not None:
        yield Figure("index_behind_products", found.products, of)


def _catalogues(settings: Settings) -> Iterator[Figure]:
    for name in list_catalogues(settings.catalogues_dir):
        of = {"catalogue": name}
        log = settings.catalogues_dir / name / PRODUCTS / "_delta_log"
        yield Figure("catalogue_changed_timestamp_seconds", log.stat().st_mtime, of)
        yield Figure("rules_version", RuleStore(settings.rules_dir, name).newest(), of)


def _disk(settings: Settings) -> Iterator[Figure]:
    yield Figure("disk_free_bytes", shutil.disk_usage(settings.home).free, {})


def _alerts(settings: Settings) -> Iterator[Figure]:
    found = watch.read(settings).open
    for kind in KINDS:
        yield Figure("alerts_open", sum(one.kind == kind for one in found), {"kind": kind})
