"""Keeping a catalogue current: what it is loaded from is remembered, and loaded again by one click or on a schedule.

Pictures at addresses are asked with their ``ETag``. What changed is committed, and flows on by the
change data feed; a source that lost more than a tenth of the products withdraws nothing before somebody decided.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.catalogue.delta.delta_log import catalogue_folder
from backend.catalogue.sources.locations import detect
from backend.errors import CatalogueError
from backend.files.storage import write_atomically
from backend.flow.catalogue import commit_step, ingest_step
from backend.flow.current.fetch import fetch_feed, fetch_wanted
from backend.flow.requests import CommitRequest, FetchRequest, IngestRequest, from_json, to_json
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.flow.requests import RenewRequest
    from backend.progress import Progress
    from backend.settings import Settings

HOUR_S = 3600.0
MOST_LOST = 0.1  # of a catalogue's products, that may be missing from a source before somebody is asked
_FOLDER = "remembered"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a catalogue is loaded from.

    Attributes:
        load: The load, as it was asked for; for a feed at an address, ``path`` is where it was kept last.
        address: Of the feed; empty where the source is at a path.
        every_hours: Hours from one load to the next; 0 means that it is only loaded when it is asked for.
        renewed_at: When it was last loaded again, or that was tried; seconds since the epoch.
    """

    load: IngestRequest
    address: str = ""
    every_hours: float = 0.0
    renewed_at: float = 0.0

    @property
    def due_at(self) -> float | None:
        """When it is to be loaded again; None where it is not by itself."""
        return self.renewed_at + self.every_hours * HOUR_S if self.every_hours > 0 else None


def remember(settings: Settings, catalogue: str, kept: Remembered) -> None:
    """Remember what a catalogue is loaded from, in place of what was remembered before."""
    path = _path(settings, catalogue)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = {**asdict(kept), "load": to_json(kept.load)}
    write_atomically(path, json.dumps(raw, indent=2).encode())


def remembered(settings: Settings, catalogue: str) -> Remembered | None:
    """Return what a catalogue is loaded from; None where nothing is remembered."""
    try:
        raw = json.loads(_path(settings, catalogue).read_text("utf-8"))
    except FileNotFoundError:
        return None
    load = from_json(IngestRequest.kind, raw.pop("load"))
    if not isinstance(load, IngestRequest):
        raise TypeError(type(load).__name__)
    return Remembered(load=load, **raw)


def forget(settings: Settings, catalogue: str) -> None:
    """Forget what a catalogue is loaded from; the catalogue stays as it is."""
    _path(settings, catalogue).unlink(missing_ok=True)


def all_remembered(settings: Settings) -> Iterator[tuple[str, Remembered]]:
    """Give every catalogue of which the source is remembered."""
    for path in sorted((settings.home / _FOLDER).glob("*.json")):
        if (kept := remembered(settings, path.stem)) is not None:
            yield path.stem, kept


def renew_step(request: RenewRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Load a catalogue's source again: the feed, its pictures, a check, and the commit unless too much is missing."""
    from backend.spark.session import open_spark

    kept = remembered(settings, request.catalogue)
    if kept is None:
        raise CatalogueError(
            f"It is not known what {request.catalogue} is loaded from.",
            next_step="Say it on the Catalogue page, or with `python -m backend catalogue remember`.",
        )
    feed, pictures, checking, storing = Span.split(progress, [("", 5), ("", 45), ("", 35), ("", 15)])
    load = kept.load
    if kept.address:
        path = fetch_feed(kept.address, settings, feed)
        load = replace(load, path=str(path), source=detect(path))
    remember(settings, request.catalogue, replace(kept, load=load, renewed_at=time.time()))
    asked = FetchRequest(load.source, load.path, load.columns, load.table, load.source_version, fresh_hours=0.0)
    fetched = fetch_wanted(asked, settings, pictures) or {}
    told = {"fetched": {name: fetched[name] for name in ("fetched", "unchanged", "failed") if name in fetched}}
    with open_spark(settings, app_name=f"twinset renew {request.catalogue}"):
        report = ingest_step(replace(load, check_only=True), settings, checking)
        if (sentence := _doubt(report, load)) and not request.confirmed:
            return {**report, **told, "notes": [sentence, *report["notes"]]}
        commit = CommitRequest(report["staged"], load.gone, load.measure_quality)
        return {**commit_step(commit, settings, storing), **told}


def _doubt(report: dict[str, Any], load: IngestRequest) -> str:
    """Say why a load must be decided on by somebody; empty where it need not be."""
    counts = report["counts"]
    held = counts["unchanged"] + counts["changed"] + counts["gone"]
    if load.gone == "keep" or counts["gone"] <= MOST_LOST * held:
        return ""
    return (
        f"{counts['gone']:,} of {held:,} products are missing from the source, more than a tenth, so nothing was stored. "
        "Decide what should happen to them."
    )


def _path(settings: Settings, catalogue: str) -> Path:
    catalogue_folder(settings.catalogues_dir, catalogue)  # refuses what cannot be a name
    return settings.home / _FOLDER / f"{catalogue}.json"
