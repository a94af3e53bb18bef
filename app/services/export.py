"""What the Catalogue page asks of corrected tables: which tables a catalogue was loaded from, and what was made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services import common
from app.services.renewal import source_of
from backend.flow.current.export import export_path
from backend.flow.requests import ExportRequest, IngestRequest, from_json
from backend.jobs.states import JobState
from backend.merchandising import products

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.projection.lists import SavedList

EXPORTS = "/exports"  # where the app serves them, below its path
_LOOKED_AT = 50  # newest loads


@dataclass(frozen=True, slots=True)
class Loaded:
    """A table that a catalogue was loaded from, and the system whose layout it has; empty where that is not known."""

    load: IngestRequest
    system: str

    @property
    def title(self) -> str:
        """Its name, and whose layout it has."""
        name = self.load.table or Path(self.load.path).name
        return f"{self.system}: {name}" if self.system else name

    @property
    def request(self) -> ExportRequest:
        """What asks for it corrected."""
        load = self.load
        return ExportRequest(
            load.catalogue, load.source, load.path, load.columns, load.table, load.source_version, load.base
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corrected table that can be downloaded: its address in the app, its bytes, and what its job brought."""

    address: str
    n_bytes: int
    result: dict[str, Any]


def tables_of(catalogue: str) -> list[Loaded]:
    """Return the tables that a catalogue was loaded from and that are still there, the last one first."""
    found: dict[tuple[str, str], Loaded] = {}
    for one in _loads(catalogue):
        if Path(one.load.path).is_file() or Path(one.load.path).is_dir():
            found.setdefault((one.load.path, one.load.table), one)
    return list(found.values())


def _loads(catalogue: str) -> Iterator[Loaded]:
    done = [job for job in common.jobs().list(_LOOKED_AT, kind="catalogue") if job.state is JobState.SUCCEEDED]
    stored = {job.request["staged"] for job in common.jobs().list(_LOOKED_AT, kind="commit") if job.result}
    for job in done:
        result, load = job.result or {}, from_json(job.kind, job.request)
        reading = result.get("reading") or {}
        if (
            isinstance(load, IngestRequest)
            and result.get("catalogue") == catalogue
            and reading.get("rows")
            and (not result.get("staged") or result["staged"] in stored)
        ):
            yield Loaded(load, reading.get("title", ""))
    kept = source_of(catalogue)  # a load by command is no job
    if kept is not None and kept.load.source not in {"folder", "sample", "fashion-mnist"}:
        yield Loaded(kept.load, "")


def prepared(wanted: ExportRequest) -> Prepared | None:
    """Return the corrected table that was made of this table last; None where there is none."""
    path = export_path(common.settings(), wanted.catalogue)
    jobs = common.jobs().list(_LOOKED_AT, kind="export")
    last = next((job for job in jobs if job.request["catalogue"] == wanted.catalogue and job.result), None)
    if last is None or from_json(last.kind, last.request) != wanted or not path.is_file():
        return None
    return Prepared(f"{common.settings().app_path}{EXPORTS}/{wanted.catalogue}", path.stat().st_size, last.result or {})


def handed_out(make: Callable[[], str], **about: object) -> str:
    """Return products that are on a page as the content of a file that leaves Twinset."""
    return products.handed_out(make, **about)


def of_list(found: SavedList, make: Callable[[], str]) -> str:
    """Return a list as such content."""
    about = {"catalogue": found.catalogue, "version": found.catalogue_version, "list": found.name}
    return handed_out(make, **about, products=len(found.products))
