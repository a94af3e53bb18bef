"""The step that fetches the pictures that a table names by web address."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backend.errors import CatalogueError, ImageRejected

if TYPE_CHECKING:
    from backend.catalogue.fetch.fetcher import Fetcher
    from backend.catalogue.fetch.gate import Hosts, Network
    from backend.catalogue.fetch.records import Fetched, Records, Which
    from backend.catalogue.fetch.run import Tally
    from backend.catalogue.fetch.store import PictureStore
    from backend.catalogue.sources.sources import Source
    from backend.flow.requests import ExportRequest, FetchRequest, IngestRequest
    from backend.progress import Progress
    from backend.settings import Settings

_SHOWN = 50  # addresses without a picture, and pictures that many products share
_UNCHANGED = 304
_FEED_S = 300.0  # that a feed may take to arrive


def fetch_step(request: FetchRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Fetch what is due of a table's pictures; or only a sample, to say what all would take."""
    from backend.catalogue.fetch.gate import OFF, TURN_ON, hosts_of

    if hosts_of(settings.picture_hosts).is_off:
        raise CatalogueError(OFF, next_step=TURN_ON)
    found = fetch_wanted(request, settings, progress)
    if found is None:
        raise CatalogueError(
            f"{Path(request.path).name} names no web addresses.", next_step="Load it; its pictures are not on the web."
        )
    return found


def fetch_wanted(request: FetchRequest, settings: Settings, progress: Progress) -> dict[str, Any] | None:
    """Do what :func:`fetch_step` does; None where nothing may be fetched, or nothing is to be."""
    from backend.catalogue.fetch.gate import hosts_of, parsed_hosts
    from backend.catalogue.fetch.records import Which, allowed_hosts, records_of, store_of
    from backend.catalogue.fetch.run import fetch_sample
    from backend.catalogue.fetch.wanted import wanted_of

    if hosts_of(settings.picture_hosts).is_off:
        return None
    store, name = store_of(settings), listed_as(request)
    records = records_of(store)
    records.confirm(parsed_hosts(request.confirm))
    hosts = allowed_hosts(settings)
    progress.report(0, 1, note="Listing the pictures")
    if not records.want(name, wanted_of(table_of(request, settings, progress))):
        return None
    records.forget_lost(name, store)
    which = Which.older_than(request.fresh_hours, only_failed=request.only_failed)
    started = time.monotonic()
    with _fetcher(settings, hosts) as fetcher:
        if request.check_only:
            return {"source": request.path, **fetch_sample(fetcher, records, name, which, progress)}
        tally = _all(fetcher, records, name, which, settings, progress)
    seconds = time.monotonic() - started
    return {"source": request.path, **_told(store, name, hosts, which, tally), "seconds": round(seconds, 1)}


def listed_as(table: FetchRequest | IngestRequest) -> str:
    """Return under which name the pictures of a table are listed."""
    return f"{table.path}#{table.table}"


def fetch_feed(
    address: str, known: Fetched | None, settings: Settings, progress: Progress
) -> tuple[Fetched, Path | None]:
    """Fetch a feed and keep it as an upload is kept, by its content.

    Args:
        address: Of the feed.
        known: What was there before: the feed is only sent if it is another by now.
        settings: Which hosts may be asked, and how large a feed may be.
        progress: Told what is done.

    Returns:
        What is there now, and where it is kept; no place where it is still what is known.

    Raises:
        CatalogueError: It cannot be fetched, or is too large.
    """
    from backend.catalogue.fetch.exchange import Limits
    from backend.catalogue.fetch.fetcher import Fetcher
    from backend.catalogue.fetch.records import allowed_hosts, store_of
    from backend.catalogue.sources.locations import keep_upload

    progress.report(0, 1, note="Fetching the feed")
    hosts, store = allowed_hosts(settings), store_of(settings)
    limits = Limits(n_bytes=settings.max_source_upload_mb * 1_000_000, total_s=_FEED_S)
    try:
        with Fetcher(hosts, store, max_pixels=settings.max_pixels, limits=limits, network=network()) as fetcher:
            found, data = fetcher.fetch_file(address, known)
    except ImageRejected as error:
        raise CatalogueError(f"The feed cannot be fetched. {error.message}", next_step=error.next_step) from error
    if found.status == _UNCHANGED:
        return found, None
    name = unquote(found.final.partition("?")[0].rpartition("/")[2]) or "feed"
    return found, keep_upload(settings, name, data)


def network() -> Network:
    """Return what resolves and dials; a test replaces it at this one door."""
    from backend.catalogue.fetch.gate import Network

    return Network()


def table_of(request: FetchRequest | ExportRequest, settings: Settings, progress: Progress) -> Source:
    """Open what a request names, with the mapping that was saved for it unless the request has one."""
    from backend.catalogue.fetch.finding import AddressBook
    from backend.catalogue.sources.locations import open_source, require_allowed, with_addresses, with_saved

    if request.source == "sample" or request.source == "fashion-mnist":  # noqa: PLR1714 - what the type checker follows
        raise CatalogueError("A built-in source is no table of a shop.", next_step="Choose a file.")
    path = Path(request.path).expanduser().absolute()
    if progress.job:  # as for a load: a job comes from a page
        path = require_allowed(path, settings)
    source = open_source(
        request.source,
        path,
        columns=request.columns,
        label_from="none",
        version=request.source_version,
        table=request.table,
    )
    source = with_addresses(source, AddressBook(None, request.base))
    return source if request.columns else with_saved(source, settings.mappings_dir)


def _fetcher(settings: Settings, hosts: Hosts) -> Fetcher:
    from backend.catalogue.fetch.fetcher import Fetcher
    from backend.catalogue.fetch.manners import Clock, Manners
    from backend.catalogue.fetch.records import store_of

    manners = Manners(Clock(), own=settings.picture_connections)
    return Fetcher(hosts, store_of(settings), max_pixels=settings.max_pixels, manners=manners, network=network())


def _all(fetcher: Fetcher, records: Records, name: str, which: Which, settings: Settings, progress: Progress) -> Tally:
    """Fetch here, or on the executors of a cluster."""
    from backend.catalogue.fetch.on_spark import Executing, fetch_on_spark
    from backend.catalogue.fetch.run import fetch_due
    from backend.spark.cluster import is_local
    from backend.spark.session import open_spark

    if is_local(settings.spark_master):
        return fetch_due(fetcher, records, name, which, progress)
    progress.report(0, 1, note="Starting Spark")
    executing = Executing(fetcher.hosts, fetcher.store, settings.max_pixels, settings.picture_connections, network())
    with open_spark(settings, app_name="twinset fetch") as spark:
        return fetch_on_spark(spark, executing, records, name, which, progress)


def _told(store: PictureStore, name: str, hosts: Hosts, which: Which, tally: Tally) -> dict[str, Any]:
    from backend.catalogue.fetch.records import records_of
    from backend.catalogue.fetch.run import host_rows
    from backend.catalogue.fetch.shared import SharedPictures

    records = records_of(store)
    counts = records.counts(name)
    shared = SharedPictures(store).find(name)
    failed = records.failed(name, limit=_SHOWN)
    return {
        "addresses": sum(counts.values()),
        "asked": tally.asked,
        "fetched": tally.fetched,
        "n_bytes": tally.n_bytes,
        "unchanged": tally.unchanged,
        "ready": counts.pop("", 0),
        "failed": counts,
        "placeholders": sum(one.addresses for one in shared if not one.is_real),
        "shared": [one._asdict() for one in shared[:_SHOWN]],
        "hosts": host_rows(records.hosts(name, which), hosts),
        "rows": [{"address": one.address, "reason": one.reason.partition(":")[2].strip()} for one in failed],
    }
