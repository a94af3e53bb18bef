"""The table as a file: written file by file of the table, so that memory holds a part of it at a time."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.delta.log_replay import states
from backend.catalogue.snapshot import open_snapshot
from backend.files.scratch import own_folder
from backend.imaging.pixels import kind_of
from backend.merchandising.similar.layouts import DETAILS, Layout, LayoutName, Listed
from backend.merchandising.similar.making import table_of
from backend.merchandising.similar.stand import made_of
from backend.merchandising.similar.table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress

_BATCH = 512
IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        products: Products whose similar ones are in the file.
        left_out: Those that the layout cannot name, as they have no title.
    """

    products: int
    left_out: int

    def as_dict(self) -> dict[str, int]:
        """Return the fields as JSON values."""
        return asdict(self)


@use_case(
    "similar.export",
    Role.MERCHANDISER,
    about=lambda _similar, _catalogues, catalogue, layout, *_: words(catalogue=catalogue, layout=layout),
)
def export(
    similar_dir: Path, catalogues_dir: Path, catalogue: str, name: LayoutName, target: Path, progress: Progress
) -> Exported:
    """Write the table of a catalogue in a layout: as CSV or JSON lines, or with the pictures where ``target`` is a zip file.

    Args:
        similar_dir: Where the tables are.
        catalogues_dir: Where the catalogues are.
        catalogue: Name of the catalogue.
        name: The layout.
        target: The file; one that ends in ``.zip`` holds the products with details and pictures, to be loaded as they are.
        progress: Told the products written, asked whether to stop.

    Raises:
        CatalogueNotFound: There is no such table, or its catalogue is not here.
        Cancelled: The user asked to stop; what is in the file then is not whole.
    """
    table = table_of(similar_dir, catalogue)
    note = made_of(similar_dir, catalogue)
    snapshot = open_snapshot(catalogues_dir, catalogue, note["catalogue_version"])
    is_zip = target.suffix == ".zip"
    details = _Details(snapshot)
    layout = Layout(name, note["k"], details.groups, with_pictures=is_zip)
    writing = _Writing(table, layout, details, progress, total=note["products"])
    if not is_zip:
        with target.open("w", encoding="utf-8", newline="") as stream:
            return writing.to(stream)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive, own_folder("export") as folder:
        writing.pictures = dict(_packed(snapshot, archive, progress))
        path = folder / f"similar.{'jsonl' if name == 'jsonl' else 'csv'}"
        with path.open("w", encoding="utf-8", newline="") as stream:
            done = writing.to(stream)
        archive.write(path, path.name, zipfile.ZIP_DEFLATED)
    return done


class _Details:
    """What the catalogue says of products, as columns: a million of them are no Python objects."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._rows = snapshot.columns(["product_id", *DETAILS], on_sale_only=True).combine_chunks()
        has_group = pc.is_valid(self._rows["group_id"])
        grouped = self._rows.select(["product_id", "group_id"]).filter(has_group)
        self.groups = dict(zip(grouped["product_id"].to_pylist(), grouped["group_id"].to_pylist(), strict=True))

    def of(self, ids: list[str]) -> list[dict[str, Any]]:
        """Return what is said of some products, in their order; nothing of those that are not there."""
        places = pc.index_in(pa.array(ids, pa.string()), value_set=self._rows["product_id"])
        rows: list[dict[str, Any]] = self._rows.select(list(DETAILS)).take(places).to_pylist()
        return rows


class _Writing:
    def __init__(self, table: Path, layout: Layout, details: _Details, progress: Progress, *, total: int) -> None:
        self._table, self._layout, self._details = table, layout, details
        self._progress, self._total = progress, total
        self.pictures: Mapping[str, str] = {}

    def to(self, stream: TextIO) -> Exported:
        """Write all products."""
        writer, done = csv.writer(stream), 0
        if self._layout.header:
            writer.writerow(self._layout.header)
        for one in self._products():
            for row in self._layout.rows_of(one):
                if self._layout.header:
                    writer.writerow(row)
                else:
                    stream.write(f"{row[0]}\n")
            done += 1
            if not done % _BATCH:
                self._progress.report(done, self._total, unit="products", note="Writing the file")
                self._progress.check_cancelled()
        return Exported(done - self._layout.left_out, self._layout.left_out)

    def _products(self) -> Iterator[Listed]:
        for rows in _parts(self._table):
            values = rows.to_pylist()
            ids = list(dict.fromkeys(row["product_id"] for row in values))
            products = groupby(values, key=lambda row: row["product_id"])
            for (product_id, mine), details in zip(products, self._details.of(ids), strict=True):
                yield Listed(product_id, list(mine), details, self.pictures.get(product_id, ""))


def _parts(table: Path) -> Iterator[pa.Table]:
    """Give the rows of each file of the table, in the order of ids: files hold neighbouring ones."""
    files = [table / path for path in (states(table)[-1].files or {})]
    firsts = {path: pq.read_table(path, columns=["product_id"]).slice(0, 1)["product_id"].to_pylist() for path in files}
    for path in sorted(files, key=firsts.__getitem__):
        yield pq.read_table(path, schema=SCHEMA)


def _packed(snapshot: Snapshot, archive: zipfile.ZipFile, progress: Progress) -> Iterator[tuple[str, str]]:
    """Put the pictures into a zip file; gives ids and names."""
    number = 0
    for batch in snapshot.batches(splits=None, columns=["product_id", "image"], batch_size=_BATCH, on_sale_only=True):
        for product_id, image in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            data = image.as_py()
            name = f"{IMAGES}/{number:06d}.{(kind_of(data) or 'PNG').lower()}"
            archive.writestr(name, data)
            number += 1
            yield product_id, name
        progress.check_cancelled()


def as_bytes(similar_dir: Path, catalogues_dir: Path, catalogue: str, name: LayoutName, progress: Progress) -> bytes:
    """Return a file for a download; see :func:`export`."""
    with own_folder("export") as folder:
        path = folder / "similar"
        export(similar_dir, catalogues_dir, catalogue, name, path, progress)
        return path.read_bytes()
