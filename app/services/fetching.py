"""What pages ask of the pictures at web addresses: whether they may be fetched, and what came of it for a source."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from app.services import common
from app.state import Photo
from backend.catalogue.fetch.exchange import Limits
from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Network, hosts_of
from backend.catalogue.fetch.records import allowed_hosts, store_of
from backend.catalogue.fetch.shared import SharedPictures
from backend.catalogue.fetch.store import PictureStore
from backend.errors import ImageRejected, SettingsError
from backend.files import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.flow.requests import FetchRequest
    from backend.jobs.store import Job

JOBS_LOOKED_AT = 20
PHOTO_S = 10.0  # that a user waits for one photo
_WHICH = ("source", "path", "columns", "table", "source_version")


def is_off() -> bool:
    """Whether nothing is fetched, as no host is named that could be asked."""
    try:
        return hosts_of(common.settings().picture_hosts).is_off
    except SettingsError:
        return True


def folder() -> str:
    """Where fetched pictures are kept."""
    return str(common.settings().fetched_dir)


def kept(sha256: str) -> bytes | None:
    """Return a fetched picture by its hash; None where it is not kept any more."""
    return store_of(common.settings()).read(sha256)


def real(pictures: Iterable[str]) -> set[str]:
    """Return which of some shared pictures do show their products, as somebody said."""
    return SharedPictures(store_of(common.settings())).real(pictures)


def say_real(sha256: str, *, is_real: bool) -> None:
    """Keep whether a shared picture shows its products, for this table and all others.

    Raises:
        CatalogueError: It was not found to be shared.
    """
    SharedPictures(store_of(common.settings())).say([sha256], is_real=is_real)


def photo(address: str) -> Photo:
    """Fetch a photo by its address, through the same gate as the pictures of a table; it is not kept.

    Raises:
        ImageRejected: It may not be fetched, cannot be, or is no usable picture.
    """
    settings = common.settings()
    hosts = allowed_hosts(settings)
    limits = Limits(n_bytes=settings.max_upload_bytes, total_s=PHOTO_S, attempts=1)
    with scratch.own_folder("photo") as folder:
        store = PictureStore(folder)
        with (
            Fetcher(hosts, store, max_pixels=settings.max_pixels, limits=limits, network=network()) as fetcher,
            closing(fetcher.line()) as line,
        ):
            found = fetcher.fetch(address, line)
        data = store.read(found.sha256) if found.sha256 else None
    if data is None:
        code, _, sentence = found.reason.partition(":")
        raise ImageRejected(sentence.strip(), code=code)
    return Photo(unquote(urlsplit(found.address).path.rpartition("/")[2]) or "photo", data)


def network() -> Network:
    """Return what resolves and dials; a test replaces it at this one door."""
    return Network()


def latest(request: FetchRequest) -> Job | None:
    """Return the newest job that fetched for the same table, read in the same way; None where there is none."""
    wanted = {name: getattr(request, name) for name in _WHICH}
    jobs = common.jobs().list(JOBS_LOOKED_AT, kind="fetch")
    return next((job for job in jobs if {name: job.request.get(name) for name in _WHICH} == wanted), None)
