"""The first look at a source before anything is loaded: a few of its pictures, its columns, its labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.fetch.finding import AddressBook, named_by_address
from backend.catalogue.fetch.store import PictureStore
from backend.catalogue.items import SPLITS, USES
from backend.catalogue.loading.load_warnings import sentences
from backend.catalogue.sources.locations import open_source, with_addresses
from backend.catalogue.sources.pictures.names import no_picture
from backend.catalogue.sources.sources import remarks_of
from backend.catalogue.sources.tables.listing import TableSource, spread
from backend.catalogue.sources.tables.reading import Reading, reading_of
from backend.catalogue.split_demand import SplitDemand, demand_of
from backend.errors import ImageRejected
from backend.imaging.pixels import thumbnail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.catalogue.sources.locations import Kind
    from backend.catalogue.sources.pictures.listing import FolderSource, LabelFrom, ZipSource
    from backend.catalogue.sources.sources import Picture


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One product of a source: ``thumbnail`` is None where ``reason`` says why its picture cannot be shown."""

    product_id: str | None
    label: str | None
    split: str | None
    title: str | None
    thumbnail: bytes | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source looks like.

    Attributes:
        kind: What it is.
        name: What the column ``source`` will say.
        total: Products that it lists, unusable ones among them.
        columns: Columns of a table; empty for folders and zips of pictures.
        mapping: Column by product field, as given or guessed.
        rows: Some products, spread over the whole source.
        labels: How many of all products have each label.
        demand: What the draw of splits has to go by.
        notes: Sentences about what is missing or will not be loaded.
        addresses: Products whose pictures are at web addresses, fetched or not.
        recognised: What was recognised, in numbers; empty where it is no known export.
        examples: By product field, the first values in its column.
    """

    kind: Kind
    name: str
    total: int
    columns: tuple[str, ...]
    mapping: dict[str, str]
    rows: tuple[PreviewRow, ...]
    labels: dict[str, int]
    demand: SplitDemand
    notes: tuple[str, ...]
    addresses: int = 0
    recognised: str = ""
    examples: dict[str, list[str]] = field(default_factory=dict)


def preview(  # noqa: PLR0913 - what can be asked, each by its name
    kind: Kind,
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    label_from: LabelFrom = "folder",
    version: int | None = None,
    table: str = "",
    fetched: str = "",
    limit: int = 12,
) -> Preview:
    """List a source, and read ``limit`` of its pictures, evenly spread over it.

    A table in which no column is known to have the pictures is shown without them, so that one can be chosen.

    Args:
        kind: As ``locations.detect`` says.
        path: The file or folder.
        columns: Column by product field; guessed where there are none.
        label_from: Where the labels of a folder or zip come from.
        version: Version of a Delta table; the newest when None.
        table: Which table of a folder or zip it is, see :func:`locations.open_source`.
        fetched: Folder of the pictures that were fetched from the web; empty where there is none.
        limit: Pictures to read, at most.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: It cannot be read, holds no products, or the columns do not fit it.
    """
    source = open_source(kind, path, columns=columns, label_from=label_from, version=version, table=table)
    source = with_addresses(source, AddressBook(PictureStore(Path(fetched)))) if fetched else source
    available = tuple(source.available()) if isinstance(source, TableSource) else ()
    mapping = dict(source.columns) if isinstance(source, TableSource) else {}
    entries = _listed(source, mapping)
    total = entries.num_rows
    picks = source.sample(entries, limit) if isinstance(source, TableSource) else spread(total, limit)
    chosen = entries.take(pa.array(picks, pa.int64())).combine_chunks()
    pictures: Sequence[Picture] = [None] * chosen.num_rows
    if mapping.get("image") or not isinstance(source, TableSource):
        pictures = source.read(chosen.to_batches()[0]) if chosen.num_rows else []
    reading = reading_of(entries) or Reading()
    usable = entries.filter(pc.is_null(entries["reason"]))
    return Preview(
        kind=kind,
        name=source.name,
        total=total,
        columns=available,
        mapping=mapping,
        rows=tuple(_row(entry, picture) for entry, picture in zip(chosen.to_pylist(), pictures, strict=True)),
        labels=dict(sorted(Counter(entries["label"].drop_null().to_pylist()).items())),
        demand=demand_of(usable["label"].to_pylist(), usable["split"].to_pylist()),
        notes=(*remarks_of(source), *_notes(entries, mapping if available else None)),
        addresses=named_by_address(entries),
        recognised=reading.sentence,
        examples={name: found["values"] for name, found in reading.columns.items()},
    )


def _listed(source: FolderSource | ZipSource | TableSource, mapping: Mapping[str, str]) -> pa.Table:
    return source.listed() if isinstance(source, TableSource) and "image" not in mapping else source.entries()


def _row(entry: Mapping[str, Any], picture: Picture) -> PreviewRow:
    shown, reason = _shown(picture, entry["locator"])
    known = {name: entry[name] for name in ("product_id", "label", "split", "title")}
    return PreviewRow(**known, thumbnail=shown, reason=entry["reason"] or reason)


def _shown(picture: Picture, locator: str | None) -> tuple[bytes | None, str | None]:
    if picture is None:
        return None, no_picture(locator)
    if isinstance(picture, ImageRejected):
        return None, f"{picture.code}: {picture.message}"
    try:
        return thumbnail(picture), None
    except ImageRejected as error:
        return None, f"{error.code}: {error.message}"


def _notes(entries: pa.Table, mapping: Mapping[str, str] | None) -> list[str]:
    notes = []
    if mapping is not None and "image" not in mapping:
        notes.append("No column was recognised as the pictures: choose one.")
    notes += [*_label_notes(entries, mapping), *_split_notes(entries), *sentences(entries)]
    reasons = Counter(reason.partition(":")[0] for reason in entries["reason"].drop_null().to_pylist())
    for code, count in sorted(reasons.items()):
        what = f"{count:,} of {entries.num_rows:,} products" if count > 1 else "One product"
        if code == "not_fetched":
            notes.append(f"{what} will be rejected unless the pictures on the web are fetched first.")
        else:
            notes.append(f"{what} will be rejected: {code.replace('_', ' ')}.")
    return notes


def _split_notes(entries: pa.Table) -> list[str]:
    counts = Counter(entries["split"].drop_null().to_pylist())
    if not counts:
        return []
    told_splits = ", ".join(f"{USES[split].lower()} {counts[split]:,}" for split in SPLITS if counts[split])
    open_ones = f"; Twinset chooses {entries['split'].null_count:,} more" if entries["split"].null_count else ""
    return [f"The source states how products are used, and that is kept: {told_splits}{open_ones}."]


def _label_notes(entries: pa.Table, mapping: Mapping[str, str] | None) -> list[str]:
    missing = entries["label"].null_count
    if missing == 0:
        return []
    if missing == 1 < entries.num_rows:
        return ["One product has no label: it appears in results, but Twinset does not learn from it."]
    if missing < entries.num_rows:
        return [
            (
                f"{missing:,} of {entries.num_rows:,} products have no label: they appear in results, but Twinset does "
                "not learn from them."
            )
        ]
    how = "put the pictures into one subfolder per label" if mapping is None else "choose a column for them"
    return [f"No labels were found: {how}, or load the products without labels, for results only."]
