"""The steps that find substitutes in stock, and that tell how ready a range is for what sells out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.errors import ImageRejected, RetrievalError
from backend.flow.current.similar import model_of

if TYPE_CHECKING:
    from backend.flow.requests import ReadinessRequest, SubstitutesRequest
    from backend.merchandising.similar.source import Source
    from backend.merchandising.substitutes.finding import Selected
    from backend.merchandising.substitutes.shelf import Shelf
    from backend.merchandising.substitutes.twins import Limits
    from backend.progress import Progress
    from backend.settings import Settings

_AT_ONCE, _SIDE = 64, 320


def substitutes_step(request: SubstitutesRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Find the substitutes of a selection, and keep them to be checked."""
    from backend.merchandising.substitutes.finding import rows_of
    from backend.merchandising.substitutes.kept import About, Checks

    folder, version, source, shelf = _opened(request, settings, progress)
    selected = _selected(request, folder, source, shelf, settings, progress)
    rows, reasons = rows_of(selected, source, shelf, _limits(request), request.k, progress)
    about = About(
        source.info.catalogue.name,
        shelf.version,
        source.manifest.name,
        version,
        datetime.now(UTC).isoformat(timespec="seconds"),
        len(selected.ids),
        reasons,
        selected.missing + (shelf.unsearched if request.selection == "new" else 0),
        selected.unreadable,
        shelf.states_stock,
        {**asdict(request), "ids": []},
    )
    progress.check_cancelled()
    Checks(settings.substitutes_dir, about.catalogue).save(about, rows)
    return {**asdict(about), "with_twin": len(rows)}


def readiness_step(request: ReadinessRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Tell how much of the range has a twin in stock, and keep the figures."""
    from backend.merchandising.substitutes.kept import Checks
    from backend.merchandising.substitutes.readiness import readiness
    from backend.merchandising.substitutes.shelf import shelf_at, version_before

    _, _, source, shelf = _opened(request, settings, progress)
    catalogue = source.info.catalogue.name
    when = read_date(request.since) if request.since else datetime.now(UTC) - timedelta(days=1)
    earlier, since = version_before(settings.catalogues_dir, catalogue, when)
    before = shelf_at(source, settings.catalogues_dir, earlier)
    found = readiness(
        source, shelf, progress, limits=_limits(request), before=before, since=since.isoformat(timespec="seconds")
    )
    figures = {**found.as_dict(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    Checks(settings.substitutes_dir, catalogue).save_readiness(figures)
    return figures


def read_date(text: str) -> datetime:
    """Read an ISO date or time, as UTC where it names no zone.

    Raises:
        RetrievalError: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise RetrievalError(f"{text[:40]!r} is not a date.", next_step="Write it as 2026-11-28.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _opened(
    request: SubstitutesRequest | ReadinessRequest, settings: Settings, progress: Progress
) -> tuple[Path, int, Source, Shelf]:
    from backend.merchandising.similar.source import Source
    from backend.merchandising.substitutes.shelf import shelf_at
    from backend.retrieval.indexes.kinds import no_index

    progress.report(0, 1, note="Reading stock and prices")
    folder, version = model_of(request, settings)
    if bundle.read_manifest(folder).index is None:
        raise no_index(folder)
    source = Source.open(folder)
    return folder, version, source, shelf_at(source, settings.catalogues_dir)


def _limits(request: SubstitutesRequest | ReadinessRequest) -> Limits:
    from backend.merchandising.substitutes.twins import Limits

    return Limits(request.price, request.at_least, tuple(request.same), request.unknown)


def _selected(
    request: SubstitutesRequest, folder: Path, source: Source, shelf: Shelf, settings: Settings, progress: Progress
) -> Selected:
    from backend.catalogue.snapshot import open_snapshot
    from backend.merchandising.substitutes import finding
    from backend.merchandising.substitutes.shelf import version_before

    if request.selection == "sold out":
        return finding.sold_out(source, shelf)
    if request.selection == "filter":
        return finding.filtered(source, shelf, request.filters)
    if request.selection == "list":
        return finding.listed(source, shelf, request.ids)
    if request.selection == "new":
        name, when = source.info.catalogue.name, read_date(request.since)
        earlier, _ = version_before(settings.catalogues_dir, name, when)
        return finding.new_since(source, shelf, open_snapshot(settings.catalogues_dir, name, earlier))
    if request.selection == "photos":
        return _photos(request, folder, source, settings, progress)
    raise RetrievalError(f"There is no selection {request.selection!r:.40}.", next_step="See the help of the command.")


def _photos(
    request: SubstitutesRequest, folder: Path, source: Source, settings: Settings, progress: Progress
) -> Selected:
    """Read the pictures of a folder, a zip file or a table, and embed them as a question's."""
    from backend.catalogue.sources.locations import detect, open_source, require_allowed
    from backend.imaging import pixels
    from backend.merchandising.substitutes.finding import Selected
    from backend.merchandising.substitutes.twins import Seeds
    from backend.retrieval.query_pictures import QueryPictures, embed_queries
    from backend.training.embedder import load_query_embedder

    path = Path(request.path).expanduser().absolute()
    path = require_allowed(path, settings) if progress.job else path
    photos = open_source(detect(path), path, columns=None, label_from="none", version=None)
    entries, reader = photos.entries(), QueryPictures(source.manifest.pixels, settings.max_pixels)
    embedder = load_query_embedder(folder, source.manifest, threads=settings.threads)
    ids: list[str] = []
    small, vectors, done = [], [], 0
    for batch in entries.to_batches(max_chunksize=_AT_ONCE):
        progress.report(done, len(entries), unit="photos", note="Reading the photos")
        progress.check_cancelled()
        done += len(batch)
        pairs = zip(batch["product_id"].to_pylist(), photos.read(batch), strict=True)
        read = [(name, image) for name, image in pairs if isinstance(image, bytes)]
        tried = [(name, image, reader.tried(image)) for name, image in read]
        good = [(name, image, found[0]) for name, image, found in tried if not isinstance(found, ImageRejected)]
        ids += [name or "photo" for name, _, _ in good]
        small += [pixels.thumbnail(image, side=_SIDE) for _, image, _ in good]
        vectors.append(embed_queries(embedder, [decoded for _, _, decoded in good])[0])
    if not ids:
        raise RetrievalError(f"No photo of {path.name} can be read.", next_step="Use JPEG, PNG or WEBP files.")
    seeds = Seeds(np.concatenate(vectors), np.full(len(ids), -1, np.int64))
    return Selected(_each_once(ids), seeds, photos=small, unreadable=len(entries) - len(ids))


def _each_once(names: list[str]) -> list[str]:
    """Return names that differ: a decision is about one of them."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
