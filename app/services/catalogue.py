"""What the Catalogue page asks of the backend: sources, checked loads, versions, changes, rejected rows.

As in :mod:`app.services.common`, what is cached is immutable (named by catalogue and version) or looked at again after a few
seconds, and nothing grows without bound. The app's other pages need none of this.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.services import common
from app.state import Source
from backend.bundles import bundle
from backend.catalogue.items import IngestReport, Product
from backend.catalogue.loading import staging
from backend.catalogue.sources import locations, saved_mappings
from backend.catalogue.upkeep import history as catalogue_history
from backend.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from backend.catalogue.items import Rejected
    from backend.catalogue.loading.quarantine_export import HasRejected
    from backend.catalogue.sources.saved_mappings import SavedMapping
    from backend.catalogue.upkeep.changes import Change, ChangeKind, ChangeSet
    from backend.catalogue.upkeep.history import HistoryEntry
    from backend.files.edited import Edition
    from backend.jobs.store import Job

CHECKS_LOOKED_AT = 20
SERVED_FRESH_S = 10.0  # an endpoint that hangs is not waited for at every click
VERSIONS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class CheckedLoad:
    """A load that was checked and waits for its commit, and the job that checked it."""

    job: Job
    report: IngestReport


@dataclass(frozen=True, slots=True)
class Since:
    """A version that something was built on, and what it was."""

    title: str
    version: int


def look_again() -> None:
    """Forget what was the newest: a job has ended, and may have changed it."""
    for answer in (common.snapshot, common.model_folders, common.serving, _readable, _history, served_now):
        answer.clear()


# ------------------------------------------------------------------------------------------------- sources


def source_roots() -> list[Path]:
    """Folders on the server that products may be loaded from."""
    return locations.source_roots(common.settings())


def source_at(path: str) -> Source:
    """Find out what is at a path on the server.

    Raises:
        CatalogueError: The path is not allowed, or it is nothing that products are loaded from.
        DatasetUnavailable: There is nothing.
    """
    allowed = locations.require_allowed(Path(path), common.settings())
    return Source(locations.detect(allowed), str(allowed), allowed.name)


def keep_upload(name: str, data: BinaryIO) -> Source:
    """Store an upload and find out what it is.

    Raises:
        CatalogueError: It is too large, or nothing that products are loaded from.
        StorageFull: No space is left.
    """
    kept = locations.keep_upload(common.settings(), name, data)
    return Source(locations.detect(kept), str(kept), name)


# ------------------------------------------------------------------------------------------------- checked loads


def checked_loads() -> list[CheckedLoad]:
    """Loads that were checked and neither committed nor discarded, newest first."""
    committing = {job.request["staged"] for job in common.jobs().list(kind="commit", active=True)}
    found = []
    jobs = [job for kind in ("catalogue", "renew") for job in common.jobs().list(CHECKS_LOOKED_AT, kind=kind)]
    for job in sorted(jobs, key=lambda job: -job.created_at):
        staged = str((job.result or {}).get("staged") or "")
        folder = common.settings().staging_dir / staged
        if staged.isalnum() and staged not in committing and folder.is_dir():
            found.append(CheckedLoad(job, report_of(job.result or {})))
    return found


def report_of(result: dict[str, Any]) -> IngestReport:
    """Return the report in the result of a load's job; what was measured afterwards is beside it."""
    return IngestReport.from_dict(
        {item.name: result[item.name] for item in fields(IngestReport) if item.name in result}
    )


def discard(staged: str) -> None:
    """Drop a checked load."""
    staging.discard(common.settings(), staged)


# ------------------------------------------------------------------------------------------------- versions


def readable_versions(name: str) -> list[int]:
    """Versions of a catalogue whose files are all there, oldest first."""
    return _readable(name, common.snapshot(name).version)


@st.cache_data(ttl=common.FRESH_S, max_entries=8, show_spinner=False)
def _readable(name: str, newest: int) -> list[int]:
    return [version for version in catalogue_history.readable_versions(_folder(name)) if version <= newest]


def history(name: str) -> list[HistoryEntry]:
    """The newest versions of a catalogue, newest first."""
    return _history(name, common.snapshot(name).version)


@st.cache_data(ttl=common.FRESH_S, max_entries=8, show_spinner=False)
def _history(name: str, newest: int) -> list[HistoryEntry]:
    used_by = bundle.versions_named(common.models(), name)
    return catalogue_history.history(_folder(name), used_by=used_by, limit=VERSIONS_SHOWN, before=newest + 1)


def built_on(name: str) -> list[Since]:
    """The versions of a catalogue that the endpoint and the models were built on, the endpoint's first."""
    served = served_now()
    found = (
        [Since("Products searched now", served.catalogue.version)] if served and served.catalogue.name == name else []
    )
    for model in common.models():
        if model.catalogue.name == name:
            found.append(Since(f"Learned as {model.name}", model.catalogue.version))
        if model.index is not None and model.index.catalogue.name == name:
            found.append(Since(f"Last update of {model.name}", model.index.catalogue.version))
    return found


@st.cache_data(ttl=SERVED_FRESH_S, max_entries=1, show_spinner=False)
def served_now() -> common.Serving | None:
    """What the endpoint serves, None where nobody answers: then there is nothing to compare with."""
    try:
        return common.serving()
    except EndpointError:
        return None


# ------------------------------------------------------------------------------------------------- changes


@st.cache_resource(ttl=600, max_entries=8, show_spinner="Comparing the versions")
def changes(name: str, from_version: int, to_version: int) -> ChangeSet:
    """What differs at one version from another, be it newer or, for a restore, older.

    Raises:
        CatalogueNotFound: There is no such version, or its files were removed.
    """
    from backend.catalogue.upkeep.changes import changes_towards

    return changes_towards(common.settings().catalogues_dir, name, from_version, to_version)


@st.cache_data(
    ttl=600,
    max_entries=16,
    show_spinner=False,
    hash_funcs={
        "backend.catalogue.upkeep.changes.ChangeSet": lambda found: (
            found.catalogue,
            found.from_version,
            found.to_version,
        )
    },
)
def change_page(found: ChangeSet, *, kind: ChangeKind | None, offset: int, limit: int) -> list[Change]:
    """A page of changes with their pictures."""
    return found.page(kind, offset=offset, limit=limit)


# ------------------------------------------------------------------------------------------------- products


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def withdrawn(
    name: str, version: int, *, offset: int, limit: int, split: str | None, label: str | None, search: str
) -> tuple[list[Product], int]:
    """A page of the products that are withdrawn, and how many match in all."""
    snapshot = common.snapshot(name, version)
    rows = snapshot.columns(["product_id", "withdrawn_at"])
    only = tuple(rows.filter(rows["withdrawn_at"].is_valid())["product_id"].to_pylist())
    return snapshot.page(offset=offset, limit=limit, split=split, label=label, search=search, only=only)


# ------------------------------------------------------------------------------------------------- rejected rows


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def rejected_by_reason(name: str, version: int) -> dict[str, int]:
    """Rejected rows by the first word of their reason."""
    return common.snapshot(name, version).rejected_by_reason()


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def rejected(name: str, version: int, *, code: str | None, offset: int, limit: int) -> list[Rejected]:
    """A page of rejected rows of a catalogue version, of one reason or all."""
    return _page(common.snapshot(name, version), rejected_by_reason(name, version), code, offset, limit)


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def staged_rejected(
    staged: str, counts: dict[str, int], *, code: str | None, offset: int, limit: int
) -> list[Rejected]:
    """A page of the rows that a checked load rejects, of one reason or all.

    Raises:
        CatalogueNotFound: The load is gone.
    """
    from backend.catalogue.loading.staged_rejects import StagedRejects

    return _page(StagedRejects(common.settings(), staged), counts, code, offset, limit)


def _page(source: HasRejected, counts: dict[str, int], code: str | None, offset: int, limit: int) -> list[Rejected]:
    """Rows come in the order of reason: those of one are together."""
    first, many = 0, sum(counts.values())
    if code is not None:
        first, many = sum(count for other, count in counts.items() if other < code), counts[code]
    return source.rejected(limit=min(limit, many - offset), offset=first + offset)


def quarantine_zip(name: str, version: int) -> bytes:
    """All rejected rows of a catalogue version as a zip file."""
    from backend.catalogue.loading.quarantine_export import export_quarantine

    return export_quarantine(common.snapshot(name, version))


def staged_zip(staged: str) -> bytes:
    """All rows that a checked load rejects as a zip file."""
    from backend.catalogue.loading.quarantine_export import export_quarantine
    from backend.catalogue.loading.staged_rejects import StagedRejects

    return export_quarantine(StagedRejects(common.settings(), staged))


def _folder(name: str) -> Path:
    return common.settings().catalogues_dir / name


def mappings_for(header: Sequence[str]) -> list[SavedMapping]:
    """The mappings that were saved for tables with these columns, the newest first."""
    return saved_mappings.mappings_for(common.settings().mappings_dir, header)


def mapping_edition(name: str) -> Edition | None:
    """The newest version of a mapping; None where there is none of that name."""
    found = saved_mappings.mapping_named(common.settings().mappings_dir, name)
    return found.edition if found else None


def save_mapping(name: str, header: Sequence[str], columns: Mapping[str, str], base: int) -> int:
    """Keep which column is what, for the next table with the same columns; returns the new version.

    Raises:
        CatalogueError: The name cannot be a file's.
        ChangedMeanwhile: Another person saved it since the version that it was made of.
    """
    found = saved_mappings.save_mapping(common.settings().mappings_dir, name, header, columns, base=base)
    return found.edition.version if found.edition else 0
