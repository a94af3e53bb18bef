"""Keeping a catalogue current: what it is loaded from is remembered, and loaded again by one click or on a schedule.

A feed and its pictures are asked for with the signs that their servers gave, so that what did not change is not sent, and
where nothing did, nothing is loaded. What changed is committed, and flows on by the change data feed; a source that lost
more than a tenth of the products withdraws nothing before somebody decided.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.delta.delta_log import catalogue_folder, newest_version
from backend.catalogue.fetch.records import Fetched, records_of, store_of
from backend.catalogue.items import PRODUCTS
from backend.catalogue.sources.locations import detect
from backend.errors import CatalogueError
from backend.files import edited
from backend.flow.catalogue import ingest_step
from backend.flow.current.fetch import fetch_feed, fetch_wanted, listed_as
from backend.flow.requests import FetchRequest, IngestRequest, from_json, to_json
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.catalogue.items import IngestReport
    from backend.files.edited import Edition
    from backend.flow.requests import RenewRequest
    from backend.progress import Progress
    from backend.settings import Settings

HOUR_S = 3600.0
MOST_LOST = 0.1  # of a catalogue's products, that may be missing from a source before somebody is asked


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a catalogue is loaded from.

    Attributes:
        load: The load, as it was asked for; for a feed at an address, ``path`` is where it was kept last.
        address: Of the feed; empty where the source is at a path.
        every_hours: Hours from one load to the next; 0 means that it is only loaded when it is asked for.
        renewed_at: When it was last loaded again, or that was tried; seconds since the epoch.
        feed: What was last at the address, by which it is asked whether that changed.
        changed_at: When the feed's content was last found to be another.
        loaded: Hash of all that the last load went by; while it is the same, another load would bring nothing.
    """

    load: IngestRequest
    address: str = ""
    every_hours: float = 0.0
    renewed_at: float = 0.0
    feed: Fetched | None = None
    changed_at: float = 0.0
    loaded: str = ""

    @property
    def due_at(self) -> float | None:
        """When it is to be loaded again; None where it is not by itself."""
        return self.renewed_at + self.every_hours * HOUR_S if self.every_hours > 0 else None


@use_case(
    "sources.remember",
    Role.ENGINEER,
    about=lambda _, catalogue, __, *, base=None: words(catalogue=catalogue, base=base),
    brings=lambda saved: words(version=saved.version),
)
def remember(settings: Settings, catalogue: str, kept: Remembered, *, base: int | None = None) -> Edition:
    """Remember what a catalogue is loaded from, as a version after what was remembered before.

    Args:
        settings: Of the home.
        catalogue: Its name.
        kept: What to remember.
        base: Version that it was made of, 0 where nothing was remembered; None takes whichever is there.

    Raises:
        ChangedMeanwhile: Another person changed it since that version.
    """
    path, by = _path(settings, catalogue), asking().person.name
    return edited.save(path, _content(kept), base=base, by=by, what=f"the source of {catalogue}")


def update(settings: Settings, catalogue: str, before: Remembered, after: Remembered) -> None:
    """Note something in what was read before, unless somebody has changed or forgotten that meanwhile."""
    path = _path(settings, catalogue)
    edited.replace_content(path, _content(after), is_same=lambda found: remembered_in(found) == before)


def _content(kept: Remembered) -> dict[str, Any]:
    return {**asdict(kept), "load": to_json(kept.load)}


def newest_edition(settings: Settings, catalogue: str) -> Edition | None:
    """Return the newest version of what is remembered; None where nothing is."""
    return edited.newest(_path(settings, catalogue))


def remembered(settings: Settings, catalogue: str) -> Remembered | None:
    """Return what a catalogue is loaded from; None where nothing is remembered."""
    found = newest_edition(settings, catalogue)
    return remembered_in(found) if found else None


def remembered_in(version: Edition) -> Remembered:
    """Return what a version remembers."""
    raw = dict(version.content)
    load = from_json(IngestRequest.kind, raw.pop("load"))
    if not isinstance(load, IngestRequest):
        raise TypeError(type(load).__name__)
    feed = raw.pop("feed", None)
    return Remembered(load=load, feed=Fetched(**feed) if feed else None, **raw)


@use_case("sources.forget", Role.ENGINEER, about=lambda _, catalogue: words(catalogue=catalogue))
def forget(settings: Settings, catalogue: str) -> None:
    """Forget what a catalogue is loaded from; the catalogue stays as it is."""
    _path(settings, catalogue).unlink(missing_ok=True)


def all_remembered(settings: Settings) -> Iterator[tuple[str, Remembered]]:
    """Give every catalogue of which the source is remembered."""
    for path in sorted(settings.remembered_dir.glob("*.json")):
        if (kept := remembered(settings, path.stem)) is not None:
            yield path.stem, kept


def renew_step(request: RenewRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Load a catalogue's source again: the feed, its pictures, a check, and the commit unless too much is missing."""
    kept = remembered(settings, request.catalogue)
    if kept is None:
        raise CatalogueError(
            f"It is not known what {request.catalogue} is loaded from.",
            next_step="Say it on the Catalogue page, or with `python -m backend catalogue remember`.",
        )
    feed, pictures, loading = Span.split(progress, [("", 5), ("", 45), ("", 50)])
    before, kept = kept, replace(_with_feed(kept, settings, feed), renewed_at=time.time())
    load = kept.load
    update(settings, request.catalogue, before, kept)
    asked = FetchRequest(
        load.source, load.path, load.columns, load.table, load.source_version, fresh_hours=0.0, base=load.base
    )
    fetched = fetch_wanted(asked, settings, pictures) or {}
    told = {"fetched": {name: fetched[name] for name in ("fetched", "unchanged", "failed") if name in fetched}}
    if kept.loaded and kept.loaded == _goes_by(kept, settings):
        return {**_nothing_new(kept), **told}
    doubt = None if request.confirmed else partial(_doubt, load=load)
    result = ingest_step(replace(load, check_only=False), settings, loading, doubt=doubt)
    if result["staged"]:
        return {**result, **told}
    if kept.address:
        update(settings, request.catalogue, kept, replace(kept, loaded=_goes_by(kept, settings)))
    return {**result, **told}


def _with_feed(kept: Remembered, settings: Settings, progress: Progress) -> Remembered:
    """Return what is remembered with the feed as it is now; a source at a path is read where it is."""
    if not kept.address:
        return kept
    known = kept.feed if kept.feed and Path(kept.load.path).is_file() else None
    feed, path = fetch_feed(kept.address, known, settings, progress)
    load, changed_at = replace(kept.load, base=feed.final), kept.changed_at
    if path is not None and str(path) != load.path:
        records_of(store_of(settings)).want(listed_as(load), ())  # what it named before; the list would grow for ever
        load, changed_at = replace(load, path=str(path), source=detect(path)), feed.fetched_at
    return replace(kept, load=load, feed=feed, changed_at=changed_at)


def _goes_by(kept: Remembered, settings: Settings) -> str:
    """Return a hash of all that a load depends on: feed, pictures, how columns are read, and what the catalogue holds."""
    load = kept.load
    pictures = records_of(store_of(settings)).state(listed_as(load))
    mappings = [path.read_text("utf-8") for path in sorted(settings.mappings_dir.glob("[!.]*.json"))]
    version = newest_version(catalogue_folder(settings.catalogues_dir, load.catalogue_name) / PRODUCTS)
    return hashlib.sha256(json.dumps([to_json(load), pictures, mappings, version]).encode()).hexdigest()


def _nothing_new(kept: Remembered) -> dict[str, Any]:
    since = datetime.fromtimestamp(kept.changed_at, UTC)
    sentence = (
        f"The feed and its pictures are unchanged since {since.day} {since:%B %Y, %H:%M} UTC, so nothing was loaded."
    )
    return {
        "catalogue": kept.load.catalogue_name,
        "staged": "",
        "unchanged_since": since.isoformat(timespec="seconds"),
        "notes": [sentence],
    }


def _doubt(report: IngestReport, load: IngestRequest) -> str:
    """Say why a load must be decided on by somebody; empty where it need not be."""
    counts = report.counts
    held = counts.unchanged + counts.changed + counts.gone
    if load.gone == "keep" or counts.gone <= MOST_LOST * held:
        return ""
    return (
        f"{counts.gone:,} of {held:,} products are missing from the source, more than a tenth, so nothing was stored. "
        "Decide what should happen to them."
    )


def _path(settings: Settings, catalogue: str) -> Path:
    catalogue_folder(settings.catalogues_dir, catalogue)  # refuses what cannot be a name
    return settings.remembered_dir / f"{catalogue}.json"
