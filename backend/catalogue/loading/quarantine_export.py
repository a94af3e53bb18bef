"""The quarantine as a zip file that can be mended and loaded again: a table, and the pictures beside it."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING, Protocol

from backend.access.person import Role
from backend.access.use_case import use_case
from backend.catalogue.items import REJECTED_COLUMNS as COLUMNS
from backend.files.sheet_text import guarded
from backend.imaging.pixels import kind_of

if TYPE_CHECKING:
    from backend.catalogue.items import Rejected

TABLE = "quarantine.csv"
_AT_ONCE = 200


class HasRejected(Protocol):
    """A catalogue version, or a load that was checked."""

    def rejected(self, *, limit: int, offset: int = 0) -> list[Rejected]:
        """Return some rejected rows."""


@use_case("catalogue.export_rejected", Role.MERCHANDISER)
def export_quarantine(source: HasRejected) -> bytes:
    """Return all rejected rows of a catalogue version or a checked load as a zip file: mend it, then load that.

    ``quarantine.csv`` has a row for each, with what was understood of it, the reason, and the row as its source gave
    it; ``images`` holds the bytes that came, under names that say where they belong. Text that a spreadsheet would run as
    a formula is marked as text, and loading takes the marks off again.
    """
    buffer, table = io.BytesIO(), io.StringIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        offset = 0
        while rows := source.rejected(limit=_AT_ONCE, offset=offset):
            for number, row in enumerate(rows, start=offset):
                name = _picture_name(number, row)
                if row.image is not None:
                    archive.writestr(name, row.image)
                writer.writerow(_as_row(row, name if row.image is not None else ""))
            offset += len(rows)
        archive.writestr(TABLE, table.getvalue())
    return buffer.getvalue()


def _as_row(row: Rejected, picture: str) -> dict[str, object]:
    values = {**{name: getattr(row, name, None) for name in COLUMNS}, "image": picture}
    return {name: "" if value is None else guarded(value) for name, value in values.items()}


def _picture_name(number: int, row: Rejected) -> str:
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in row.product_id or "")
    kind = kind_of(row.image or b"") or "PNG"
    return f"images/{number:05d}-{plain[:60]}.{kind.lower()}"
