"""What pages ask of the pictures at web addresses: whether they may be fetched, and what came of it for a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common
from backend.catalogue.fetch.gate import hosts_of
from backend.errors import SettingsError

if TYPE_CHECKING:
    from backend.flow.requests import FetchRequest
    from backend.jobs.store import Job

JOBS_LOOKED_AT = 20
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


def latest(request: FetchRequest) -> Job | None:
    """Return the newest job that fetched for the same table, read in the same way; None where there is none."""
    wanted = {name: getattr(request, name) for name in _WHICH}
    jobs = common.jobs().list(JOBS_LOOKED_AT, kind="fetch")
    return next((job for job in jobs if {name: job.request.get(name) for name in _WHICH} == wanted), None)
