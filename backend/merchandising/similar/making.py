"""Making the table and keeping it: everything by partition on Spark the first time, what changed and no more after that."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from backend.bundles import bundle
from backend.catalogue.delta.delta_log import catalogue_folder
from backend.errors import RetrievalError
from backend.files import scratch
from backend.files.holding import held, lock_of
from backend.files.storage import disk_watched
from backend.merchandising.similar.answers import as_rows
from backend.merchandising.similar.by_partition import Plan, made_on_spark
from backend.merchandising.similar.kept import Kept
from backend.merchandising.similar.moves import Moves
from backend.merchandising.similar.refresh import Refreshed, refreshed
from backend.merchandising.similar.ruled import RulesAt, reserve
from backend.merchandising.similar.source import Source
from backend.merchandising.similar.table import FOUND_WITH, note_of, replace_rows
from backend.retrieval.rules.rule import next_change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from backend.merchandising.similar.by_partition import OpenSpark
    from backend.progress import Progress

TABLE = "table"
USUAL_K, MOST_K = 12, 100
_LISTED = 3  # products of a list for each of an answer: so many may leave before it is searched for again
_FEWEST, _SPARE = 32, 20
_SHALLOWER, _DEEPER = 0.8, 2.0  # than needed now, lists are kept
_MOST_LISTED = 450  # above what rules look at for the most products of an answer
_KEPT, _WORK = "kept-", ".work-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the table is to be.

    Attributes:
        k: Similar products of each product.
        model: Name of the model's bundle.
        model_version: Its number in the registry, 0 where it has none.
        catalogue: Name of the catalogue.
        rules: The rules, at the time that they are to hold for.
    """

    k: int
    model: str
    model_version: int
    catalogue: str
    rules: RulesAt = field(default_factory=RulesAt)

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MOST_K:
            raise RetrievalError(f"{self.k} similar products are not possible.", next_step=f"Use 1 to {MOST_K}.")


@dataclass(frozen=True, slots=True)
class Made:
    """What was done.

    Attributes:
        products: Products of the table.
        searched: Those whose answers were looked up.
        inserted, updated, deleted: Rows that came, are different, and went.
        version: Of the Delta table.
        is_whole: Whether everything was made again.
        seconds: How long it took.
    """

    products: int
    searched: int
    inserted: int
    updated: int
    deleted: int
    version: int
    is_whole: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def table_of(similar_dir: Path, catalogue: str) -> Path:
    """Return the folder of the Delta table of a catalogue, which need not exist."""
    return catalogue_folder(similar_dir, catalogue) / TABLE


def make(
    similar_dir: Path, folder: Path, wanted: Wanted, spark: OpenSpark, progress: Progress, *, again: bool = False
) -> Made:
    """Bring the table of a catalogue to what a bundle answers now.

    Only what changed is looked up, unless there is no table yet, or another model, or much is new. Killed or cancelled at
    any time, the table is what it was.

    Args:
        similar_dir: Where the tables are.
        folder: The bundle, which has been verified.
        wanted: What the table is to be.
        spark: Opens a session, where everything is made.
        progress: Told the products done, asked whether to stop.
        again: Whether everything is made again, whatever changed.

    Raises:
        RetrievalError: The bundle has no index.
        StorageFull: There is no space for it.
        Cancelled: The user asked to stop.
    """
    started = time.monotonic()
    table = table_of(similar_dir, wanted.catalogue)
    with disk_watched("make the table again"), _writing(table, progress):
        progress.report(0, 1, note="Finding changes")
        source = Source.open(folder)
        note = note_of(table)
        found = None if again else _refreshed(table, note, source, wanted)
        if found is None:
            state, rows = _whole(table, folder, source, wanted, spark, progress)
        else:
            state, rows = found.kept, as_rows(found.answers, source.ids)
        asked = None if found is None else found.asked
        progress.report(1, 1, note="Writing the table")
        progress.check_cancelled()
        done = _commit(table, state, rows, asked, source, wanted)
    searched = source.index.size if asked is None else len(asked)
    return Made(
        source.index.size, searched, **done, is_whole=found is None, seconds=round(time.monotonic() - started, 3)
    )


def depth_for(source: Source, wanted: Wanted) -> int:
    """Return how many products a list holds: more where products have variants, of which an answer shows one."""
    least = reserve(wanted.k) + _SPARE if wanted.rules.live else max(_LISTED * wanted.k, _FEWEST)
    known, codes = source.gallery.codes("group_id")
    groups = len(known) + int((codes < 0).sum())
    return min(_MOST_LISTED, round(least * source.gallery.size / max(groups, 1)))


@contextmanager
def _writing(table: Path, progress: Progress) -> Iterator[None]:
    table.parent.mkdir(parents=True, exist_ok=True)
    name = f"The table of similar products of {table.parent.name}"
    with held(lock_of(table.parent), name, "is being made", progress, wait=True):
        yield


def _refreshed(table: Path, note: dict[str, Any], source: Source, wanted: Wanted) -> Refreshed | None:
    """Look up what changed; None where everything is to be made: it was another model, or much is new."""
    same = {"k": wanted.k, "weights": source.manifest.weights_hash}
    if not note or any(note.get(name) != value for name, value in same.items()):
        return None
    needed = depth_for(source, wanted)  # which moves a little as variants come and go
    if not _SHALLOWER * needed <= note["depth"] <= _DEEPER * needed:
        return None
    kept = Kept.load(table.parent / str(note["kept"]))
    moves = None if kept is None else Moves.between(kept, source)
    if kept is None or moves is None or not moves.is_small:
        return None
    return refreshed(kept, source, wanted.rules, moves, k=wanted.k)


def _whole(
    table: Path, folder: Path, source: Source, wanted: Wanted, spark: OpenSpark, progress: Progress
) -> tuple[Kept, pa.Table]:
    manifest = bundle.sha256_of(folder / bundle.MANIFEST)
    plan = Plan(str(folder.absolute()), manifest, depth_for(source, wanted), wanted.k, wanted.rules)
    scratch.sweep(table.parent, f"{_WORK}*")
    progress.report(0, 1, note="Starting Spark")
    with scratch.held_folder(table.parent, _WORK) as place, spark() as session:
        return made_on_spark(session, source, plan, place, progress)


def _commit(
    table: Path, state: Kept, rows: pa.Table, asked: pa.Array | None, source: Source, wanted: Wanted
) -> dict[str, Any]:
    name = f"{_KEPT}{uuid4().hex}.arrow"
    state.save(table.parent / name)
    info = source.info
    with_ = {
        "model": wanted.model,
        "model_version": wanted.model_version,
        "index_generation": info.generation,
        "catalogue_version": info.catalogue.version,
        "rules_version": wanted.rules.rules.version,
    }
    note = {
        **with_,
        "action": "similar",
        "k": wanted.k,
        "depth": state.near.depth,
        "weights": source.manifest.weights_hash,
        "catalogue": info.catalogue.name,
        "products": source.index.size,
        "rules_digest": wanted.rules.rules.digest,
        "rules_until": _until(wanted.rules),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "kept": name,
    }
    done = replace_rows(table, rows, asked, found_with={one: with_[one] for one in FOUND_WITH.names}, note=note)
    for path in table.parent.glob(f"{_KEPT}*"):
        if path.name != name:
            path.unlink(missing_ok=True)
    return {"version": done.version, "inserted": done.inserted, "updated": done.updated, "deleted": done.deleted}


def _until(rules: RulesAt) -> str:
    """Return when the next rule starts or ends, as ISO time; empty where none does."""
    until = next_change(rules.rules.rules, rules.at)
    return "" if until is None else until.isoformat(timespec="minutes")
