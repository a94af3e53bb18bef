"""What can be wrong, and what is wrong now. Jobs are read as they end; everything else is looked at as it is."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from backend.bundles.bundle import read_manifest
from backend.catalogue.delta.delta_log import catalogue_folder, newest_version
from backend.catalogue.items import PRODUCTS
from backend.jobs.schedules import Schedules
from backend.jobs.states import JobState
from backend.jobs.store import JobStore, as_json
from backend.machine.keeper import troubles as server_troubles
from backend.registry.ledger import CHAMPION, read_ledger
from backend.retrieval.freshness import behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from backend.bundles.bundle import CatalogueRef
    from backend.jobs.job import Job
    from backend.registry.ledger import Ledger
    from backend.retrieval.freshness import Behind
    from backend.settings import Settings

DEATHS = 3
_EASES = 1.1  # the disk counts as recovered once so much of the limit is free, so that it does not go to and fro
_OF_GATE = re.compile(r"Version \d+ was not made ")  # as the promotion says it


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        key: What it is about: as long as it is wrong, there is one trouble of this key.
        kind: One of ``KINDS``.
        occurrence: Tells it from an earlier trouble of the same key.
        text: What is wrong, in a sentence.
        since: When it was first seen, in seconds since the epoch.
    """

    key: str
    kind: str
    occurrence: str
    text: str
    since: float = 0.0


def of_jobs(settings: Settings, since: float, known: Iterable[Trouble]) -> dict[str, Trouble]:
    """Return the troubles with jobs, by key: those known, but for requests that succeeded since, and those that failed."""
    found = {one.key: one for one in known}
    for job in JobStore(settings.jobs_db).ended(since) if settings.jobs_db.is_file() else ():
        key = f"job:{job.kind}:{hashlib.sha256(as_json(job.request).encode()).hexdigest()[:12]}"
        if job.state is JobState.SUCCEEDED:
            found.pop(key, None)
        elif job.state in {JobState.FAILED, JobState.LOST} and not _OF_GATE.match(job.error or ""):
            found[key] = Trouble(key, "job", job.id, _said(job))
    return found


def _said(job: Job) -> str:
    what = "was lost" if job.state is JobState.LOST else "failed"
    return f"Job {job.kind} {job.id} {what}: {job.error or 'see its log'}"


def of_gate(settings: Settings) -> Sequence[Trouble]:
    """Return the version that the gate judged last, if it refused it and nobody promoted it all the same."""
    judged = [one for one in _ledger(settings).versions if one.checks]
    if not judged or CHAMPION in judged[0].aliases or all(check.passed for check in judged[0].checks):
        return ()
    failed = " ".join(f"{check.name.capitalize()}: {check.says}" for check in judged[0].checks if not check.passed)
    number = judged[0].version
    return (Trouble("gate", "gate", str(number), f"Version {number} was not made champion. {failed}"),)


def of_index(settings: Settings) -> Sequence[Trouble]:
    """Return the index that is served, if it is further behind its catalogue than the setting allows."""
    found = champion_behind(settings) if settings.alert_behind else None
    if found is None or (found.products is not None and found.products <= settings.alert_behind):
        return ()
    return (Trouble("behind", "behind", found.catalogue, f"The index of {found.catalogue} is {found.text}."),)


def champion_behind(settings: Settings) -> Behind | None:
    """Return how far the index that is served is behind its catalogue; None where there is none, or not here."""
    champion = _ledger(settings).at(CHAMPION)
    index = read_manifest(settings.models_dir / champion.model).index if champion is not None else None
    if index is None:
        return None
    newest = newest_version(catalogue_folder(settings.catalogues_dir, index.catalogue.name) / PRODUCTS)
    return _behind(settings.catalogues_dir, index.catalogue, tuple(index.splits), newest)


@lru_cache(maxsize=4)
def _behind(folder: Path, ref: CatalogueRef, splits: tuple[str, ...], _newest: int | None) -> Behind | None:
    """Tell it once for each version that a catalogue is at: what that costs grows with the change."""
    return behind(folder, ref, splits=splits)


def of_disk(settings: Settings, *, is_known: bool) -> Sequence[Trouble]:
    """Return the disk of the home, if less of it is free than the setting wants."""
    free, limit = shutil.disk_usage(settings.home).free, settings.alert_disk_mb * 1e6
    if free >= limit * (_EASES if is_known else 1):
        return ()
    return (Trouble("disk", "disk", "", f"The disk of the home folder has {free / 1e6:,.0f} MB free."),)


def of_schedules(settings: Settings, now: float) -> Sequence[Trouble]:
    """Return the schedules whose time passed while nothing ran, and that have not run since."""
    found = []
    for one in Schedules(settings).list() if settings.jobs_db.is_file() else ():
        said = one.said_missed(now)
        if said and (one.last_at or 0.0) < max(one.missed):
            text = f"Schedule of {one.kind}: {said}."
            found.append(Trouble(f"schedule:{one.id}", "schedule", str(max(one.missed)), text))
    return found


def of_servers(settings: Settings) -> Sequence[Trouble]:
    """Return the servers that died again and again."""
    return [
        Trouble(f"server:{one.title}", "server", "", f"{one.title} died {one.deaths:d} times in a row.")
        for one in server_troubles(settings.home)
        if one.deaths >= DEATHS
    ]


def _ledger(settings: Settings) -> Ledger:
    return read_ledger(settings.home, settings.model_name)
